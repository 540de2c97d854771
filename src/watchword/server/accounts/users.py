"""Users: registered, found, changed, banned, deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from msgspec import UNSET, UnsetType

from watchword.errors import AccessDenied, InvalidCredentials, InvalidInput, NotFound
from watchword.jose.encoding import encode_base64url
from watchword.server.accounts.address import (
    email_key,
    normalise_email,
    normalise_name,
    normalise_username,
    same_mailbox,
)
from watchword.server.accounts.passwords import PasswordService
from watchword.server.outbox.notices import Notices
from watchword.server.policies import RegistrationPolicy
from watchword.server.store.intentions.users import Users
from watchword.server.store.records import NewUser, Origin, Page, User, UserChange

__all__ = ["UserService"]


@dataclass(frozen=True, slots=True)
class UserService:
    """Accounts of people. What ends tokens is done by the store in the same transaction."""

    users: Users
    passwords: PasswordService
    notices: Notices
    policy: RegistrationPolicy
    token_bytes: Callable[[int], bytes] = field(repr=False)

    async def register(
        self,
        email: str,
        password: str,
        name: str | None = None,
        username: str | None = None,
        *,
        origin: Origin,
    ) -> User:
        """Make an account for whoever asks.

        Raises:
            AccessDenied: registration is closed.
            InvalidInput: a member is not valid.
            EmailTaken, UsernameTaken: somebody has it.
            TemporarilyUnavailable: too many passwords wait to be hashed.
        """
        if not self.policy.open:
            raise AccessDenied("registration is closed")
        return await self.create(
            email, password, roles=self.policy.roles, name=name, username=username, origin=origin
        )

    async def create(
        self,
        email: str,
        password: str | None,
        *,
        roles: tuple[str, ...] = ("user",),
        name: str | None = None,
        username: str | None = None,
        origin: Origin,
    ) -> User:
        """Make an account with these roles; without a password nobody can log in to it until one is set.

        Raises:
            InvalidInput, EmailTaken, UsernameTaken, TemporarilyUnavailable: as for ``register``.
        """
        shown, key = normalise_email(email)
        login, login_key = normalise_username(username) if username is not None else (None, None)
        full_name = normalise_name(name) if name is not None else None
        if password is not None:
            self.passwords.check(password, about=(shown, full_name, login))
        new = NewUser(
            id=self._new_id(),
            email=shown,
            email_key=key,
            username=login,
            username_key=login_key,
            name=full_name,
            roles=_distinct(roles),
            password_digest=await self.passwords.hash(password, origin.address)
            if password is not None
            else None,
        )
        return await self.users.add(new, origin)

    def take_over(
        self,
        email: str,
        password_digest: str | None,
        *,
        roles: tuple[str, ...],
        name: str | None = None,
        username: str | None = None,
        email_verified: bool = False,
        banned: bool = False,
        ban_reason: str | None = None,
        banned_until: datetime | None = None,
        created_at: datetime | None = None,
    ) -> NewUser:
        """An account with the hash it has already, and the ban of another system: checked and not yet added.

        Raises:
            InvalidInput: a member is not valid.
        """
        _check_reason(ban_reason, "ban_reason")
        shown, key = normalise_email(email)
        login, login_key = normalise_username(username) if username is not None else (None, None)
        return NewUser(
            id=self._new_id(),
            email=shown,
            email_key=key,
            username=login,
            username_key=login_key,
            name=normalise_name(name) if name is not None else None,
            roles=_distinct(roles),
            password_digest=password_digest,
            email_verified=email_verified,
            banned=banned,
            ban_reason=ban_reason if banned else None,
            banned_until=banned_until if banned else None,
            created_at=created_at,
        )

    async def add(self, new: NewUser, origin: Origin) -> User:
        """Add an account that ``take_over`` made.

        Raises:
            InvalidInput, EmailTaken, UsernameTaken: as for ``create``.
        """
        return await self.users.add(new, origin)

    async def get(self, user_id: str) -> User | None:
        """The user with this id."""
        return await self.users.get(user_id)

    async def require(self, user_id: str) -> User:
        """The user with this id.

        Raises:
            NotFound: there is none.
        """
        return _found(await self.users.get(user_id))

    async def find_by_email(self, email: str) -> User | None:
        """The user with this e-mail address."""
        return await self.users.find(email_key=email_key(email))

    async def find_by_username(self, username: str) -> User | None:
        """The user with this user name."""
        return await self.users.find(username_key=normalise_username(username)[1])

    async def list(self, *, q: str = "", cursor: str | None = None, limit: int = 50) -> Page[User]:
        """Users in order of creation."""
        return await self.users.list(q=q, cursor=cursor, limit=limit)

    async def update(
        self,
        user_id: str,
        *,
        name: str | None | UnsetType = UNSET,
        email: str | UnsetType = UNSET,
        username: str | None | UnsetType = UNSET,
        roles: tuple[str, ...] | UnsetType = UNSET,
        seen: User | None = None,
        origin: Origin,
    ) -> User:
        """Change a user; new roles act on the tokens they already have.

        Args:
            user_id: whom.
            name, email, username, roles: what they shall be; ``UNSET`` stays.
            seen: the user as they were when it was decided that the caller may change email and username.
            origin: who asks.

        Raises:
            NotFound: there is no such user.
            Conflict: email or username is another one than was *seen*.
            InvalidInput, EmailTaken, UsernameTaken: as for ``create``.
        """
        shown, key = (UNSET, UNSET) if isinstance(email, UnsetType) else normalise_email(email)
        login: str | None | UnsetType
        login_key: str | None | UnsetType
        if isinstance(username, UnsetType):
            login, login_key = UNSET, UNSET
        else:
            login, login_key = normalise_username(username) if username is not None else (None, None)
        change = UserChange(
            email=shown,
            email_key=key,
            username=login,
            username_key=login_key,
            name=normalise_name(name) if isinstance(name, str) else name,
            roles=_distinct(roles) if isinstance(roles, tuple) else UNSET,
            seen=UNSET
            if seen is None or (shown is UNSET and login is UNSET)
            else (seen.email, seen.username),
        )
        before = await self.users.get(user_id) if shown is not UNSET else None
        changed = _found(await self.users.update(user_id, change, origin))
        if before is not None and not same_mailbox(before.email, changed.email):
            self.notices.address_changed(before)
        return changed

    async def ban(self, user_id: str, reason: str | None, until: datetime | None, origin: Origin) -> User:
        """Ban a user: no new token, and the ones he has are dead.

        Raises:
            NotFound: there is no such user.
            InvalidInput: the reason is over 500 characters or no text.
        """
        _check_reason(reason, "reason")
        return _found(await self.users.ban(user_id, reason, until, origin))

    async def unban(self, user_id: str, origin: Origin) -> User:
        """Lift a ban; the user logs in again.

        Raises:
            NotFound: there is no such user.
        """
        return _found(await self.users.unban(user_id, origin))

    async def delete(self, user_id: str, origin: Origin) -> None:
        """Delete a user, his sessions and his tokens.

        Raises:
            NotFound: there is no such user.
        """
        if not await self.users.delete(user_id, origin):
            raise NotFound("there is no such user")

    async def set_password(self, user_id: str, new: str, origin: Origin) -> User:
        """Give a user another password and end all his sessions.

        Raises:
            NotFound: there is no such user.
            InvalidInput: the password may not be set.
        """
        user = await self.require(user_id)
        self.passwords.check(new, about=(user.email, user.name, user.username))
        digest = await self.passwords.hash(new, origin.address)
        changed = _found(await self.users.set_password(user_id, digest, origin))
        self.notices.password_changed(changed)
        return changed

    async def change_password(
        self, user: User, new: str, *, version: int, session_id: str | None, origin: Origin
    ) -> None:
        """Let a user who proved himself at *version* change his password: his other sessions end, this one stays.

        Raises:
            InvalidCredentials: it was changed meanwhile.
            InvalidInput: *new* may not be set.
        """
        self.passwords.check(new, about=(user.email, user.name, user.username), member="new_password")
        changed = await self.users.set_password(
            user.id,
            await self.passwords.hash(new, origin.address),
            origin,
            expected_version=version,
            keep_session=session_id,
        )
        if changed is None:
            raise InvalidCredentials("the password was changed meanwhile")
        self.notices.password_changed(changed)

    def _new_id(self) -> str:
        return "usr_" + encode_base64url(self.token_bytes(16))


def _found(user: User | None) -> User:
    if user is None:
        raise NotFound("there is no such user")
    return user


def _check_reason(reason: str | None, member: str) -> None:
    if reason is not None and (len(reason) > 500 or any("\ud800" <= letter <= "\udfff" for letter in reason)):
        raise InvalidInput(errors=[(member, "must be a text of at most 500 characters")])


def _distinct(roles: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(roles))
