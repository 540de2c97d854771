"""A forgotten password: a link by mail, or from an administrator, by which its owner chooses another (ASVS 6.4.3).

Who asks for a mail learns nothing: whether there is an account is looked up after he has been answered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Final

from watchword.errors import InvalidResetToken, MailNotConfigured, NotFound
from watchword.jose.encoding import encode_base64url
from watchword.server.accounts.address import normalise_email
from watchword.server.accounts.passwords import PasswordService
from watchword.server.ephemeral.counters import Turnstile
from watchword.server.ephemeral.networks import network_of
from watchword.server.login.refusals import Refusals
from watchword.server.outbox.budget import MailBudget
from watchword.server.outbox.letter import Letter, reset_link
from watchword.server.outbox.mail import Outbox
from watchword.server.outbox.notices import Notices
from watchword.server.policies import RecoveryPolicy
from watchword.server.store.intentions.password_resets import PasswordResets
from watchword.server.store.records import Origin

__all__ = ["Recovery"]

_REFUSED: Final = "password_reset.refused"


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a user comes back in who does not know his password any more.

    Attributes:
        tries: requests for a link and links that were none, of each address.
    """

    resets: PasswordResets
    refusals: Refusals
    passwords: PasswordService
    outbox: Outbox
    notices: Notices
    budget: MailBudget
    policy: RecoveryPolicy
    issuer: str
    tries: Turnstile
    token_bytes: Callable[[int], bytes] = field(repr=False)

    @property
    def by_mail(self) -> bool:
        """Whether links are sent."""
        return self.outbox.carrier is not None

    async def ask(self, email: str, origin: Origin) -> None:
        """Send a link to *email* if that is somebody's: nothing here depends on whether it is.

        Raises:
            MailNotConfigured: this server sends no mail.
            InvalidInput: it is no address at all.
            TooManyRequests: too many were asked for from one address.
            TemporarilyUnavailable: too much mail waits.
        """
        if not self.by_mail:
            raise MailNotConfigured
        await self.tries.enter_from(origin.address)
        _, key = normalise_email(email)
        self.outbox.post(partial(self._write, key, origin), network_of(origin.address))

    async def _write(self, key: str, origin: Origin) -> Letter | None:
        # Asked first, so that a link that is not sent replaces none that was. The account has a limit of its own,
        # which deleting it and making it anew would lift.
        if not await self.budget.allows("link", key):
            return None
        token = self._new_token()
        omitted = await self.refusals.admit(_REFUSED, origin, None)
        user = await self.resets.offer(
            key, _digest(token), self.policy.lifetime, self.policy.per_account, origin, omitted
        )
        if user is None:
            return None
        return reset_link(user.email, self.issuer, self._link(token), self.policy.lifetime)

    async def link(self, user_id: str, origin: Origin) -> str:
        """A link for an administrator to hand over; an older one dies.

        Raises:
            NotFound: there is no such user, or he is banned.
        """
        token = self._new_token()
        if await self.resets.grant(user_id, _digest(token), self.policy.lifetime, origin) is None:
            raise NotFound("there is no such user, or he is banned")
        return self._link(token)

    async def valid(self, token: str) -> bool:
        """Whether the link with *token* would replace a password now."""
        return await self.resets.owner(_digest(token)) is not None

    async def complete(self, token: str, password: str, origin: Origin) -> None:
        """Spend the link: the password is *password* from now on, and every session of its user is over.

        The password is looked at before the link is spent, so that one that is refused does not cost it.

        Raises:
            InvalidResetToken: the link is unknown, spent, dead or over.
            InvalidInput: *password* may not be set.
            TooManyRequests: too many links from one address were none.
            TemporarilyUnavailable: too many passwords wait to be hashed; the link is whole.
        """
        user = await self.resets.owner(_digest(token))
        if user is not None:
            self.passwords.check(password, about=(user.email, user.name, user.username))
            digest = await self.passwords.hash(password, origin.address)
            user = await self.resets.complete(_digest(token), digest, origin)
        if user is None:
            await self.tries.enter_from(origin.address)
            await self.refusals.add("password_reset.failed", origin)
            raise InvalidResetToken
        self.notices.password_changed(user)

    def _new_token(self) -> str:
        return encode_base64url(self.token_bytes(32))

    def _link(self, token: str) -> str:
        return f"{self.policy.page or self.issuer + '/reset'}?token={token}"


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
