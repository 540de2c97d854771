"""What a user is told of changes to what opens his account (ASVS 6.3.7, 7.5.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from watchword.server.outbox import letter
from watchword.server.outbox.budget import MailBudget, MailKind
from watchword.server.outbox.mail import Outbox
from watchword.server.store.records import User

__all__ = ["Notices"]


@dataclass(frozen=True, slots=True)
class Notices:
    """Mails that tell and ask nothing, few of each kind to one mailbox."""

    outbox: Outbox
    budget: MailBudget
    issuer: str
    now: Callable[[], datetime]

    def password_changed(self, user: User) -> None:
        """The password is another one."""
        self._tell("password_changed", user, letter.password_changed(user.email, self.issuer, self.now()))

    def address_changed(self, before: User) -> None:
        """The email address is another one: the old one is told, if it was ever verified to be the user's."""
        if before.email_verified:
            self._tell(
                "address_changed", before, letter.address_changed(before.email, self.issuer, self.now())
            )

    def _tell(self, kind: MailKind, user: User, notice: letter.Letter) -> None:
        async def errand() -> letter.Letter | None:
            return notice if await self.budget.allows(kind, notice.to) else None

        if not user.banned:
            self.outbox.send(errand, user.id)
