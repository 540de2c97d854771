"""What every back-end must keep in order: signing keys, the audit log, the log of what died."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from watchword.protocol.revocation_list import Entry
from watchword.server.store.position import Head, LogPage, Position
from watchword.server.store.records import Event, Origin, Page, SigningKey

__all__ = ["Events", "Keys", "Revocations"]


class Keys(Protocol):
    """The signing keys. Each change of what is published writes a ``key`` entry with the published public keys."""

    async def list(self) -> Sequence[SigningKey]:
        """Every key that is not gone, both purposes, oldest first."""

    async def add(self, key: SigningKey, origin: Origin) -> None:
        """Add a key in the state it bears.

        A no-op when its purpose has a key in that state already: two nodes that start at once make one.
        """

    async def schedule(self, kid: str, active_at: datetime, origin: Origin) -> SigningKey | None:
        """Say when the waiting key becomes active."""

    async def activate(self, kid: str, successor: SigningKey, origin: Origin) -> bool:
        """Make the waiting key *kid* active, retire the active one, put *successor* in wait; one caller wins.

        The retired key stays live for ``longest_life`` + 5 minutes (``gone_at``).
        """

    async def replace_waiting(self, kid: str, successor: SigningKey, origin: Origin) -> bool:
        """Put *successor* in the place of the waiting key *kid*, which never signed; False when it waits no more."""

    async def compromise(self, kid: str, successor: SigningKey, origin: Origin) -> SigningKey | None:
        """Kill a key: its tokens die. If it was active, the waiting key becomes active and *successor* waits;
        if it was waiting, *successor* takes its place."""

    async def sweep(self, kids: Sequence[str]) -> int:
        """Forget those of *kids* that are retired and whose last token has expired.

        The wall clock alone does not tell: whoever knows by a clock that nobody sets how long a key has rested says
        which ones.
        """


class Events(Protocol):
    """The audit log."""

    async def add(
        self,
        type: str,
        origin: Origin,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        client_id: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Write an event that no other intention writes (a failed log-in)."""

    async def list(
        self,
        *,
        type: str | None = None,
        user_id: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Event]:
        """Events, newest first."""

    async def sweep(self, before: datetime, limit: int) -> int:
        """Delete up to *limit* events older than *before*."""


class Revocations(Protocol):
    """The log of what died."""

    async def head(self) -> Head:
        """Epoch, sequence, base, longest life and live token kids, read together."""

    async def since(self, after: int, limit: int = 100_000) -> tuple[Head, Sequence[Entry]]:
        """Head and the kept entries past *after*, read in one transaction, head first."""

    async def read(self, after: int, limit: int = 100_000, known: Position | None = None) -> LogPage:
        """The same with the marks of their sequences; ``head.past`` says whether *known* is of this log.

        A log that is longer proves nothing: one that was rolled back overtakes within a second.
        """

    async def mark_at(self, sequence: int) -> int | None:
        """The mark that a sequence bears; ``None`` if none is kept."""

    @property
    def contradicted(self) -> Position | None:
        """A position this process has seen, if the database turned out to be another past; nothing is written then.

        It ends when a new epoch opens.
        """

    def believe(self, head: Head) -> None:
        """Take *head* for the past that each new connection must agree with before it writes."""

    async def name_issuer(self, issuer: str) -> None:
        """Write down whose database this is; another issuer's copy becomes another instance."""

    async def revoke_token(
        self, jti: str, session_id: str | None, expires_at: datetime, origin: Origin
    ) -> None:
        """Kill one access token; more than 8 of one session fold into the session."""

    async def brake(self, origin: Origin) -> None:
        """Kill every access token there is by one entry; sessions live and refresh."""

    async def open_epoch(
        self,
        seen: tuple[int, ...],
        keys: Sequence[SigningKey],
        origin: Origin,
        *,
        keep_sessions: bool = False,
        restored: bool = False,
    ) -> bool:
        """Begin a new epoch, because this store is a restored backup or was rolled back.

        Every access token dies by the new base, every key is replaced by *keys* (each ring's active
        and waiting one), and the refresh tokens die with the old epoch unless *keep_sessions*.

        Args:
            seen: the epoch, sequence and mark that prove it; False, and nothing happens, if they are of this
                log after all, or a new epoch began: of two who notice, one acts. Without a mark, False if the
                log is past them by now; without a sequence, if its epoch is.
            keys: fresh ones.
            origin: who noticed.
            keep_sessions: let refresh tokens of older epochs live.
            restored: the data is a backup's, so it is another instance from now on.
        """

    async def set_longest_life(self, life: timedelta) -> None:
        """Raise the longest life at once, lower it only after the old value has elapsed."""

    def watch(self) -> AsyncIterator[None]:
        """Yield after every commit that may have moved the log, of this process or another; may yield in vain."""

    async def sweep(self, limit: int, through: int | None = None) -> int:
        """Delete up to *limit* entries no token is left for, none past *through*.

        The wall clock alone does not tell: whoever knows by a clock that nobody sets how long he has seen
        an entry says how far it is safe.
        """
