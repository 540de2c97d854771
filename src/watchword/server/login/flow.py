"""One log-in: limits, password, session, tokens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from watchword.errors import (
    AccountDisabled,
    InvalidCredentials,
    InvalidInput,
    InvalidTarget,
    TemporarilyUnavailable,
)
from watchword.protocol.access_token import FIRST_PARTY_CLIENT_ID
from watchword.protocol.scope import parse_scope
from watchword.server.accounts.address import LONGEST, email_key
from watchword.server.accounts.passwords import PasswordService
from watchword.server.login.attempts import Attempts
from watchword.server.login.refusals import Refusals
from watchword.server.login.write_limits import WriteLimits
from watchword.server.policies import SessionPolicy
from watchword.server.store.intentions.sessions import Sessions
from watchword.server.store.intentions.users import Users
from watchword.server.store.records import (
    Live,
    NewPair,
    NewSession,
    Opened,
    Origin,
    Refused,
    User,
)
from watchword.server.tokens.issuance import Issuance, TokenSet
from watchword.server.tokens.refresh_token import SECRET_SIZE, new_session_id, secret_digest
from watchword.server.tokens.target import Targets

__all__ = ["LoginFlow", "LoginResult"]


@dataclass(frozen=True, slots=True)
class LoginResult:
    """Who came in, with which tokens, and the facts that they rest on."""

    tokens: TokenSet
    live: Live

    @property
    def user(self) -> User:
        """Who."""
        return self.live.user


@dataclass(frozen=True, slots=True)
class LoginFlow:
    """A first-party log-in with a password.

    Everything that is wrong with the credentials gets one answer in one time; what is wrong with the
    request (scope, audience) is said only to somebody whose password was right.
    """

    users: Users
    sessions: Sessions
    targets: Targets
    refusals: Refusals
    passwords: PasswordService
    issuance: Issuance
    session_policy: SessionPolicy
    attempts: Attempts
    writes: WriteLimits
    token_bytes: Callable[[int], bytes] = field(repr=False)

    async def password(
        self,
        *,
        email: str | None = None,
        username: str | None = None,
        password: str,
        audience: str | None = None,
        scope: str | None = None,
        device: str | None = None,
        pair: NewPair | None = None,
        origin: Origin,
    ) -> LoginResult:
        """Log in with e-mail or user name and password; the session begins with the Basic *pair*, if there is one.

        Raises:
            InvalidCredentials: the two do not belong together.
            AccountDisabled: they do, and the user is banned.
            InvalidScope, InvalidTarget: scope or audience is unknown or beyond the user's roles.
            TooManyRequests: too many failures for this account or from this address, or too many sign-ins.
            TemporarilyUnavailable: too many passwords wait to be checked.
        """
        if (email is None) == (username is None):
            raise InvalidInput(
                "give either email or username", errors=[("email", "or username, one of the two")]
            )
        name = email_key(email) if email is not None else (username or "")[: LONGEST + 1].lower()
        found = await self.proven(name, by_email=email is not None, password=password, origin=origin)
        await self.writes.enter("sign-ins", found.id, origin.address)
        if found.banned:
            await self._failed(found, "banned", origin)
            raise AccountDisabled
        asked = parse_scope(scope) if scope is not None else None
        aud = await self._audience(audience)
        if asked is not None:
            await self.targets.check_scope(found, aud, asked)
        secret = self.token_bytes(SECRET_SIZE)
        new = NewSession(
            id=new_session_id(self.issuance.now(), self.token_bytes),
            user_id=found.id,
            client_id=FIRST_PARTY_CLIENT_ID,
            version=found.version,
            audience=aud,
            scope=asked,
            amr=("pwd",),
            secret_digest=secret_digest(secret),
            apis=tuple(one for one in aud if one == audience != self.issuance.claims.policy.issuer),
            device=device,
            pair=pair,
        )
        rules = self.session_policy.rules(self.issuance.claims.policy.lifetime)
        match await self.sessions.open(new, rules, origin):
            case Opened(live=live):
                return LoginResult(await self.issuance.token_set(live.facts, secret), live)
            case Refused(reason="banned"):
                raise AccountDisabled
            case Refused(reason="api_deleted"):
                raise InvalidTarget("no such audience")
            case Refused():
                # He changed his password or was deleted while we were hashing.
                raise InvalidCredentials

    async def proven(self, name: str, *, by_email: bool, password: str, origin: Origin) -> User:
        """The user that *name* and *password* prove, and the version read with the digest.

        Raises:
            InvalidCredentials, TooManyRequests, TemporarilyUnavailable: as for ``password``.
        """
        possible = len(name) <= LONGEST and name.isprintable()
        found = None
        if possible:
            found = (
                await self.users.find(email_key=name)
                if by_email
                else await self.users.find(username_key=name)
            )
        typed = f"{'email' if by_email else 'username'} {name}"
        digest = found.password_digest if found else None
        attempt = await self.attempts.admit(
            found.id if found else None, origin, name=typed, cost=self.passwords.cost(digest)
        )
        if found is not None and attempt.familiar:
            # Elsewhere a 429 would tell strangers that there is such an account; its owner's network knows.
            await self.writes.check("sign-ins", found.id, origin.address)
        matched = await self.passwords.verify(digest, password, origin.address) and found is not None
        told = await attempt.settle(matched)
        if not told or found is None or digest is None:
            reason = "held_back" if matched else "wrong_password" if found else "unknown"
            await self._failed(found, reason, origin)
            raise InvalidCredentials
        if self.passwords.needs_rehash(digest):
            # It can be done at any log-in, so this one does not fail for it.
            with suppress(TemporarilyUnavailable):
                renewed = await self.passwords.hash(password, origin.address)
                await self.users.rehash(found.id, digest, renewed)
        return found

    async def prove(self, user: User, password: str, origin: Origin) -> None:
        """Let a user who is logged in prove himself once more.

        Raises:
            InvalidCredentials: *password* is not his.
            TooManyRequests, TemporarilyUnavailable: as for ``password``.
        """
        digest = user.password_digest
        attempt = await self.attempts.admit(user.id, origin, cost=self.passwords.cost(digest))
        matched = await self.passwords.verify(digest, password, origin.address)
        if not await attempt.settle(matched):
            await self._failed(user, "wrong_password", origin)
            raise InvalidCredentials("the current password is wrong")

    async def _audience(self, asked: str | None) -> tuple[str, ...]:
        policy = self.targets.policy
        if asked is None:
            return (policy.issuer, policy.audience)
        if asked != policy.issuer:
            await self.targets.require(asked)
        return (asked,)

    async def _failed(self, user: User | None, reason: str, origin: Origin) -> None:
        await self.refusals.add(
            "login.failed", origin, user_id=user.id if user else None, detail={"reason": reason}
        )
