"""What every back-end must do: narrow protocols of whole intentions.

An intention is one transaction. It writes the audit event and the revocation entry of what it does,
so neither exists without the other, and a race is answered by an outcome, not by an exception.
The clock and the source of randomness are the store's own fields, given when it is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from watchword.server.ephemeral.counters import Counters
from watchword.server.store.email_changes import EmailChanges
from watchword.server.store.history import Events, Keys, Revocations
from watchword.server.store.meta import Meta
from watchword.server.store.records import (
    Advance,
    Api,
    Client,
    LinkLimit,
    Live,
    NewPair,
    NewSession,
    NewUser,
    Opened,
    Origin,
    Page,
    PresentedRefreshToken,
    Refused,
    Role,
    Session,
    SessionKind,
    SessionRules,
    User,
    UserChange,
)

__all__ = [
    "Apis",
    "Clients",
    "EmailChanges",
    "Events",
    "Keys",
    "Meta",
    "OneTime",
    "PasswordResets",
    "Revocations",
    "Roles",
    "Sessions",
    "Store",
    "Users",
]


class Users(Protocol):
    """People. Each kill raises version and floor together and writes a ``user`` entry."""

    async def add(self, user: NewUser, origin: Origin) -> User:
        """Add *user*.

        Raises:
            EmailTaken: another user has the e-mail.
            UsernameTaken: another user has the user name.
            InvalidInput: a role is not known.
        """

    async def get(self, user_id: str) -> User | None:
        """The user with this id."""

    async def find(self, *, email_key: str | None = None, username_key: str | None = None) -> User | None:
        """The user with this normalised e-mail or user name, and the version read with his digest."""

    async def list(self, *, q: str = "", cursor: str | None = None, limit: int = 50) -> Page[User]:
        """Users in order of creation; *q* is found in e-mail, user name or name, without case."""

    async def count(self, *, role: str | None = None) -> int:
        """How many users there are (with this role)."""

    async def other_digests(self, beginning: str, limit: int) -> Sequence[str]:
        """Up to *limit* digests of passwords that do not begin so."""

    async def update(self, user_id: str, change: UserChange, origin: Origin) -> User | None:
        """Change a user. Roles raise ``version`` (not ``floor``) and write an overlay. ``None``: no such user.

        Raises:
            EmailTaken, UsernameTaken, InvalidInput: as for ``add``.
        """

    async def set_password(
        self,
        user_id: str,
        digest: str,
        origin: Origin,
        *,
        expected_version: int | None = None,
        keep_session: str | None = None,
    ) -> User | None:
        """Replace the password digest and end the user's sessions but *keep_session*, which rises with the version.

        ``None``: no such user, or his floor is above *expected_version* (he changed meanwhile).
        """

    async def rehash(self, user_id: str, old: str, new: str) -> bool:
        """Replace digest *old* by *new* of the same password; False when it is no longer *old*. No version moves."""

    async def ban(
        self, user_id: str, reason: str | None, until: datetime | None, origin: Origin
    ) -> User | None:
        """Ban a user: version, floor, all sessions ended, entry, event. A second ban updates reason and end."""

    async def unban(self, user_id: str, origin: Origin) -> User | None:
        """Lift a ban. Tokens from before it stay dead."""

    async def delete(self, user_id: str, origin: Origin) -> bool:
        """Delete a user with his sessions; the entry that kills his tokens stays."""

    async def log_out_everywhere(
        self, user_id: str, reason: str, origin: Origin, *, keep_session: str | None = None
    ) -> int:
        """End all sessions of a user by raising his floor; the count of sessions ended."""


class Sessions(Protocol):
    """The sessions of one store."""

    async def open(self, new: NewSession, rules: SessionRules, origin: Origin) -> Opened | Refused:
        """Open a session: re-read user, client and roles, compare versions, trim to the maximum per user.

        The least recently used sessions beyond the maximum end in the same transaction, with entries.
        Sets the user's ``last_login_at``.
        """

    async def advance(
        self, presented: PresentedRefreshToken, client_id: str, rules: SessionRules, origin: Origin
    ) -> Advance:
        """Spend a refresh token and tell what became of it (feed document, section 5).

        The current counter moves on by one. One of the last four, first spent within the grace,
        answers the current head again. Anything older, past the grace or ahead of the row ends the session.
        """

    async def get(self, session_id: str) -> Session | None:
        """The session with this id, ended or not."""

    async def live(self, session_id: str) -> Live | Refused:
        """Whether this session is alive now, and every fact a token of it rests on."""

    async def give_pair(self, session_id: str, pair: NewPair, origin: Origin) -> Live | Refused:
        """Write down that *pair* is this session's Basic pair; the one before dies.

        ``Refused`` with ``crowded``: too many were replaced of late.
        """

    async def add_key(self, new: NewSession, life: timedelta, maximum: int, origin: Origin) -> Live | Refused:
        """Begin a key: a session without a refresh token, that being unused does not end.

        ``Refused`` with ``too_many``: the user has *maximum* that live; ``parent_ended``: the session in
        which it was asked for is over.
        """

    async def use_key(
        self, session_id: str, secret_digest: bytes | None, life: timedelta, origin: Origin
    ) -> Live | Refused:
        """Whether this is a key that lives, and every fact a token of *life* rests on; ``None``: a signing key.

        ``last_used_at`` is written at most once in *life*: the other uses of the time read and write nothing.
        """

    async def list(self, user_id: str, kind: SessionKind = "login") -> Sequence[Session]:
        """The living sessions of a user and of one kind, most recently used first."""

    async def end(
        self,
        session_id: str,
        reason: str,
        origin: Origin,
        *,
        user_id: str | None = None,
        kind: SessionKind | None = None,
    ) -> Session | None:
        """End one session (of *user_id* and *kind*, when given). ``None``: there is no such living session."""

    async def sweep(self, before: datetime, limit: int) -> int:
        """Look at the next *limit* sessions and delete those that ended or expired before *before*; how many went."""


class Clients(Protocol):
    """Clients, as far as first-party log-ins need them."""

    async def get(self, client_id: str) -> Client | None:
        """The client with this id."""

    async def disable(self, client_id: str, origin: Origin, *, disabled: bool = True) -> Client | None:
        """Disable a client: version, floor, entry, event; or enable it, and what it killed stays dead.

        ``None``: there is no such client.
        """


class Roles(Protocol):
    """Roles and the scope each may carry."""

    async def list(self) -> Sequence[Role]:
        """All roles by name."""

    async def get(self, name: str) -> Role | None:
        """The role of this name."""

    async def set(self, name: str, scope: tuple[str, ...], origin: Origin) -> Role:
        """Make or change a role. Users who have it get a new version; scope taken away is taken by an overlay."""

    async def delete(self, name: str, origin: Origin) -> bool:
        """Delete a role and take it from every user.

        Raises:
            Conflict: the role is built in.
        """


class Apis(Protocol):
    """Protected APIs (RFC 8707)."""

    async def list(self) -> Sequence[Api]:
        """All APIs by audience."""

    async def get(self, audience: str) -> Api | None:
        """The API of this audience."""

    async def add(
        self,
        audience: str,
        scope: tuple[str, ...],
        origin: Origin,
        *,
        built_in: bool = False,
        encryption_jwk: str | None = None,
    ) -> Api:
        """Add an API.

        Raises:
            Conflict: there is one of this audience.
        """

    async def set_encryption(self, audience: str, encryption_jwk: str | None, origin: Origin) -> Api | None:
        """Set the public key that tokens for it alone are encrypted to; ``None``: they are not."""

    async def delete(self, audience: str, origin: Origin) -> bool:
        """Delete an API; its sessions end, and their tokens die.

        Raises:
            Conflict: it is built in.
        """


class OneTime(Protocol):
    """Things that can be used once: the set-up link."""

    async def add(self, digest: bytes, purpose: str, subject: str | None, expires_at: datetime) -> None:
        """Keep the digest of a secret handed out; an older one of the same purpose and subject dies."""

    async def get(self, digest: bytes, purpose: str) -> bool:
        """Whether it could be spent now."""

    async def spend(self, digest: bytes, purpose: str, user: NewUser, origin: Origin) -> User | None:
        """Spend it and add *user*, both or neither; ``None`` for all callers but one.

        Raises:
            EmailTaken, UsernameTaken, InvalidInput: as for ``Users.add``; it is not spent.
        """


class PasswordResets(Protocol):
    """Links to choose another password by. One a user: the newest.

    It dies with the password, a ban, another e-mail address, and the user.
    """

    async def offer(
        self,
        email_key: str,
        digest: bytes,
        life: timedelta,
        limit: LinkLimit,
        origin: Origin,
        omitted: int | None = 0,
    ) -> User | None:
        """Keep the digest of a link that is sent to this address; whose it is.

        ``None``: nobody has the address, he is banned, or was sent *limit* of late. There is an event either way, which
        says how many like it were *omitted*; with ``None`` a refusal has none.
        """

    async def grant(self, user_id: str, digest: bytes, life: timedelta, origin: Origin) -> User | None:
        """The same for one handed over by an administrator. ``None``: there is no such user, or he is banned."""

    async def owner(self, digest: bytes) -> User | None:
        """Whose password the link would replace now; ``None``: it is unknown, spent, dead or over."""

    async def complete(self, digest: bytes, password_digest: str, origin: Origin) -> User | None:
        """Spend the link: the new password, all sessions ended, entry, event; for exactly one caller.

        ``None``: as for ``owner``.
        """

    async def sweep(self, limit: int) -> int:
        """Delete up to *limit* that neither open anything nor count; how many went."""


class Store(Protocol):
    """A back-end: its protocols by name."""

    @property
    def users(self) -> Users:
        """People."""

    @property
    def sessions(self) -> Sessions:
        """Log-ins."""

    @property
    def clients(self) -> Clients:
        """Clients."""

    @property
    def roles(self) -> Roles:
        """Roles."""

    @property
    def apis(self) -> Apis:
        """Protected APIs."""

    @property
    def keys(self) -> Keys:
        """Signing keys."""

    @property
    def events(self) -> Events:
        """The audit log."""

    @property
    def revocations(self) -> Revocations:
        """The log of what died."""

    @property
    def one_time(self) -> OneTime:
        """Once-only things."""

    @property
    def counters(self) -> Counters:
        """Counters of attempts, for all who share the store. They may be lost, and are no part of its data."""

    @property
    def password_resets(self) -> PasswordResets:
        """Links to choose another password by."""

    @property
    def email_changes(self) -> EmailChanges:
        """Addresses that wait for their confirmation."""

    @property
    def meta(self) -> Meta:
        """Facts of the installation."""

    def now(self) -> datetime:
        """The clock of the store: where nodes share a database, they share its time."""

    async def ready(self) -> None:
        """Prove that reading works.

        Raises:
            TemporarilyUnavailable: it does not.
        """

    async def check(self) -> Sequence[str]:
        """What is broken in the data, one line each; empty when all is well."""

    async def close(self) -> None:
        """Finish what was acknowledged and let go."""
