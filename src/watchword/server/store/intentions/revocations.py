"""The revocation log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from watchword.protocol.revocation_list import Entry
from watchword.server.store.engine import Topic, reads, scans, snapshots, writes
from watchword.server.store.position import Head, LogPage, Position
from watchword.server.store.sql import revocations

__all__ = ["Revocations"]

_FEW: Final = 256
"""Entries that may be read on the loop."""


class Revocations(Topic):
    """The revocation log."""

    head = snapshots(revocations.head)
    """Epoch, sequence, base, longest life and live token kids, read together."""
    mark_at = reads(revocations.mark_at)
    """The mark that a sequence bears; ``None`` if none is kept."""
    name_issuer = writes(revocations.name_issuer)
    """Write down whose database this is; another issuer's copy becomes another instance."""
    revoke_token = writes(revocations.revoke_token, session="session_id")
    """Revoke one access token; more than 8 of one session fold into the session."""
    brake = writes(revocations.brake, alone=True)
    """Revoke every access token there is by one entry; sessions live and refresh."""
    open_epoch = writes(revocations.open_epoch, by_anybody=True, anew=True)
    """Begin a new epoch, because this store is a restored backup or was rolled back.

    Every access token is revoked by the new base, every key is replaced by *fresh* ones (each ring's active and waiting
    one), and the refresh tokens end with the old epoch unless *keep_sessions*.

    *position* is the epoch, sequence and mark that prove it; False, and nothing happens, if they are of this log after
    all, or a new epoch began: of two who notice, one acts. Without a mark, False if the log is past them by now;
    without a sequence, if its epoch is. With *restored* the data is a backup's, so it is another instance from now on.
    """
    set_longest_life = writes(revocations.set_longest_life)
    """Raise the longest life at once, lower it only after the old value has elapsed."""
    sweep = writes(revocations.sweep)
    """Delete up to *limit* entries that no token is left for, none past *through*.

    The wall clock alone does not tell: who knows, by a clock that nobody sets, how long an entry has been seen says how
    far it is safe.
    """

    _head = reads(revocations.head)
    _read = snapshots(revocations.read)
    _read_many = scans(revocations.read)

    async def since(self, after: int, limit: int = 100_000) -> tuple[Head, Sequence[Entry]]:
        """Head and the kept entries past *after*, read in one transaction, head first."""
        page = await self.read(after, limit)
        return page.head, page.entries

    async def read(self, after: int, limit: int = 100_000, known: Position | None = None) -> LogPage:
        """The same with the marks of their sequences; ``head.past`` says whether *known* is of this log.

        A log that is longer proves nothing: one that was rolled back overtakes within a second.
        """
        behind = (await self._head()).sequence - after
        return await (self._read if behind <= _FEW else self._read_many)(after, limit, known)

    @property
    def contradicted(self) -> Position | None:
        """A position this process has seen, if the database turned out to be another past; nothing is written then.

        It ends when a new epoch opens.
        """
        return self.engine.past.contradicted

    def believe(self, head: Head) -> None:
        """Take *head* for the past that each new connection must agree with before it writes."""
        self.engine.past.believe(head.position)

    def watch(self) -> AsyncIterator[None]:
        """Yield after every commit that may have moved the log, of this process or another; may yield in vain."""
        return self.engine.watch()
