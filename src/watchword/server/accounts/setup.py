"""The first administrator: made through a link that works once, never by a default password (ASVS 6.3.2)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from watchword.errors import EmailTaken, NotFound
from watchword.server.accounts.address import normalise_email, normalise_name
from watchword.server.accounts.users import UserService
from watchword.server.store.intentions.one_time import OneTime
from watchword.server.store.intentions.users import Users
from watchword.server.store.records import Origin, User

__all__ = ["SetupService"]

_PURPOSE = "setup"
_LIFETIME = timedelta(hours=24)
_ROLES = ("user", "admin")


@dataclass(frozen=True, slots=True)
class SetupService:
    """Offers the set-up link while there is no administrator."""

    users: UserService
    store: Users
    one_time: OneTime
    now: Callable[[], datetime]
    token_bytes: Callable[[int], bytes] = field(repr=False)

    async def offer(self) -> str | None:
        """A new one-time token for the link, ``None`` when there is an administrator; an older one dies."""
        if await self.store.count(role="admin"):
            return None
        token = urlsafe_b64encode(self.token_bytes(24)).decode()
        await self.one_time.add(_digest(token), _PURPOSE, None, self.now() + _LIFETIME)
        return token

    async def valid(self, token: str) -> bool:
        """Whether *token* could be spent now: never once there is an administrator, however he was made."""
        return await self.one_time.get(_digest(token), _PURPOSE) and not await self.store.count(role="admin")

    async def complete(self, token: str, email: str, password: str, name: str | None, origin: Origin) -> User:
        """Spend the link and make the first administrator.

        Input is checked before the link is spent, so that a typing error does not cost it.

        Raises:
            NotFound: the link is unknown, spent or expired, or there is an administrator by now.
            InvalidInput, EmailTaken: the account cannot be made.
            TemporarilyUnavailable: too many passwords wait to be hashed; the link is whole.
        """
        if not await self.valid(token):
            raise NotFound("this link is not valid any more")
        self.users.passwords.check(password, about=(email, name))
        normalise_email(email)
        if name is not None:
            normalise_name(name)
        if await self.users.find_by_email(email) is not None:
            # The link must not become a way to take an account over.
            raise EmailTaken
        digest = await self.users.passwords.hash(password, origin.address)
        # Hashing takes a while, in which another administrator may have been made.
        new = self.users.take_over(email, digest, roles=_ROLES, name=name)
        made = None
        if await self.valid(token):
            made = await self.one_time.spend(_digest(token), _PURPOSE, new, origin)
        if made is None:
            raise NotFound("this link is not valid any more")
        return made

    async def ensure(self, email: str, password: str) -> User | None:
        """Make the administrator that the environment names; ``None`` where that user exists already.

        Raises:
            InvalidInput: e-mail or password may not be used.
        """
        if await self.users.find_by_email(email) is not None:
            return None
        try:
            return await self.users.create(email, password, roles=_ROLES, origin=Origin())
        except EmailTaken:  # by another node that began at the same moment
            return None


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
