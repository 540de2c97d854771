"""What a user is told of changes to what opens his account (ASVS 6.3.7, 7.5.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from watchword.server.outbox import letter
from watchword.server.outbox.mail import Outbox
from watchword.server.store.records import User

__all__ = ["Notices"]


@dataclass(frozen=True, slots=True)
class Notices:
    """Mails that tell and ask nothing; where no mail is sent, nothing is told."""

    outbox: Outbox
    issuer: str
    now: Callable[[], datetime]

    def password_changed(self, user: User) -> None:
        """His password is another one."""
        if not user.banned:
            self.outbox.send(letter.password_changed(user.email, self.issuer, self.now()))

    def address_changed(self, before: User) -> None:
        """His e-mail address is another one: the old one is told."""
        if not before.banned:
            self.outbox.send(letter.address_changed(before.email, self.issuer, self.now()))
