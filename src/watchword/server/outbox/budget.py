"""How much mail one mailbox may be sent, whoever causes it, and whichever account has the address at the moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, Self

from watchword.server.ephemeral.counters import Count, Counters, Limit
from watchword.server.store.records import LinkLimit

__all__ = ["MailBudget", "MailKind"]

MailKind = Literal["link", "address_changed", "password_changed"]

_HOUR: Final = timedelta(hours=1)
_NOTICES: Final = 2
"""Notices an hour. They have a count of their own: nobody suppresses one by asking for links."""


@dataclass(frozen=True, slots=True)
class MailBudget:
    """Mails of each kind that a mailbox may get; without limits it may get any number."""

    counters: Counters
    limits: Mapping[MailKind, Sequence[Limit]]

    @classmethod
    def of(cls, links: LinkLimit, counters: Counters) -> Self:
        """The budget: so many *links* a window that replace a password or confirm an address, and few notices.

        At one time it is as many mails as there are links a window, and the notices are among them.
        """
        notice = Limit.of("mail notice", _NOTICES, _HOUR)
        at_once = min(links.links, max(links.links - _NOTICES, 2))
        return cls(
            counters,
            {
                "password_changed": (notice,),
                "address_changed": (notice, Limit.of("mail address_changed", 1, _HOUR)),
                "link": (Limit.of("mail link", at_once, links.window * at_once / links.links),)
                if links.links
                else (),
            },
        )

    async def allows(self, kind: MailKind, address: str) -> bool:
        """Whether one more mail of this kind may go to *address*; if so, it is counted."""
        counts = [Count(limit, _mailbox(address)) for limit in self.limits[kind]]
        return not counts or not (await self.counters.settle(counts, False)).wait


def _mailbox(address: str) -> str:
    """Addresses that differ only in case or in what follows a plus are one mailbox nearly everywhere."""
    local, _, domain = address.casefold().rpartition("@")
    return f"{local.partition('+')[0] or local}@{domain}"
