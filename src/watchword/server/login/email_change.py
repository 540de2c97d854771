"""Another email address: it counts, for sign-in and for resets, once it was confirmed from its mailbox.

Where the server sends no mail nobody could confirm it, and the change is immediate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

from watchword.errors import NotFound, TooManyRequests
from watchword.jose.encoding import encode_base64url
from watchword.server.accounts.address import normalise_email, same_mailbox
from watchword.server.ephemeral.counters import Turnstile
from watchword.server.outbox.budget import MailBudget
from watchword.server.outbox.letter import Letter, confirm_address
from watchword.server.outbox.mail import Outbox
from watchword.server.outbox.notices import Notices
from watchword.server.policies import RecoveryPolicy
from watchword.server.store.intentions.email_changes import EmailChanges
from watchword.server.store.records import Origin, User

__all__ = ["EmailChange"]

_GONE = "this link isn't valid any more"


@dataclass(frozen=True, slots=True)
class EmailChange:
    """Sends the link that confirms a new address, and changes the address by it.

    Attributes:
        policy: of the links that replace a password; these live as long, and as many are sent.
        tries: links that were none, of each network.
    """

    changes: EmailChanges
    outbox: Outbox
    notices: Notices
    budget: MailBudget
    policy: RecoveryPolicy
    issuer: str
    tries: Turnstile
    token_bytes: Callable[[int], bytes] = field(repr=False)

    def needs_confirmation(self, user: User, email: str) -> bool:
        """Whether *email* is another mailbox, and can be asked.

        Raises:
            InvalidInput: it is no address.
        """
        return self.outbox.carrier is not None and not same_mailbox(normalise_email(email)[0], user.email)

    async def ask(self, user: User, email: str, origin: Origin) -> str:
        """Send the link to *email*; the address as it will be shown.

        Whether it is anybody's is looked up after the answer, so nobody learns it here.

        Raises:
            InvalidInput: it is no address.
            TooManyRequests: the user asked too often.
            TemporarilyUnavailable: too much mail waits.
        """
        shown, key = normalise_email(email)
        token = encode_base64url(self.token_bytes(32))
        life, limit = self.policy.lifetime, self.policy.per_account
        if await self.changes.offer(user.id, (shown, key), _digest(token), life, limit, origin) is None:
            raise TooManyRequests(retry_after=int(limit.window.total_seconds()) // max(limit.links, 1))
        self.outbox.post(partial(self._write, shown, key, token, user.id), user.id)
        return shown

    async def _write(self, shown: str, key: str, token: str, user_id: str) -> Letter | None:
        if not await self.changes.wanted(key, user_id, self.policy.per_account.links):
            return None
        if not await self.budget.allows("link", shown):
            return None
        link = f"{self.issuer}/confirm-email?token={token}"
        return confirm_address(shown, self.issuer, link, self.policy.lifetime)

    async def pending(self, token: str) -> str | None:
        """The address that the link with *token* would confirm now."""
        return await self.changes.pending(_digest(token))

    async def complete(self, token: str, origin: Origin) -> None:
        """Spend the link: the address is the new one from now on, and the old one is told.

        Raises:
            NotFound: the link is unknown, spent, void or over.
            EmailTaken: the address is another user's by now.
            TooManyRequests: too many links from one network were none.
        """
        before = await self.changes.complete(_digest(token), origin)
        if before is None:
            await self.tries.enter_from(origin.address)
            raise NotFound(_GONE)
        self.notices.address_changed(before)


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
