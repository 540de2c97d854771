"""How much mail one mailbox may be sent, whoever causes it, and whichever account has the address at the moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, Self

from watchword.server.ephemeral.counters import Count, Counters, Limit
from watchword.server.store.records import LinkLimit

__all__ = ["MailBudget", "MailKind"]

MailKind = Literal["link", "address_changed", "password_changed"]

_HOUR: Final = timedelta(hours=1)
_NOTICES: Final[Mapping[MailKind, int]] = {"address_changed": 1, "password_changed": 2}
"""Notices an hour. They have counts of their own: nobody suppresses one by asking for links."""


@dataclass(frozen=True, slots=True)
class MailBudget:
    """Mails of each kind that a mailbox may get; a limit that is ``None`` is off."""

    counters: Counters
    limits: Mapping[MailKind, Limit | None]

    @classmethod
    def of(cls, links: LinkLimit, counters: Counters) -> Self:
        """The budget: *links* that replace a password or confirm an address, and few notices."""
        limits: dict[MailKind, Limit | None] = {
            kind: Limit.of(f"mail {kind}", count, _HOUR) for kind, count in _NOTICES.items()
        }
        limits["link"] = Limit.of("mail link", links.links, links.window) if links.links else None
        return cls(counters, limits)

    async def allows(self, kind: MailKind, address: str) -> bool:
        """Whether one more mail of this kind may go to *address*; if so, it is counted."""
        limit = self.limits[kind]
        if limit is None:
            return True
        return not (await self.counters.settle([Count(limit, _mailbox(address))], False)).wait


def _mailbox(address: str) -> str:
    """Addresses that differ only in case or in what follows a plus are one mailbox nearly everywhere."""
    local, _, domain = address.casefold().rpartition("@")
    return f"{local.partition('+')[0] or local}@{domain}"
