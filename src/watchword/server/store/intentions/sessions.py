"""Sessions: sign-ins that last, and keys."""

from __future__ import annotations

from datetime import datetime, timedelta

from watchword.server.store.engine import Engine, Topic, reads, writes
from watchword.server.store.records import (
    Advance,
    Live,
    NewSession,
    Opened,
    Origin,
    PresentedRefreshToken,
    Refused,
    SessionRules,
)
from watchword.server.store.sql import api_keys, basic_pairs, refresh, sessions

__all__ = ["Sessions"]


class Sessions(Topic):
    """Sessions of one store."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._walked = 0

    get = reads(sessions.get)
    """The session with this id, ended or not."""
    give_pair = writes(basic_pairs.give_pair, session="session_id")
    """Write down that *pair* is this session's Basic pair; the one before is revoked.

    ``Refused`` with ``crowded``: too many were replaced of late.
    """
    add_key = writes(api_keys.add, user="new.user_id")
    """Begin a key: a session without a refresh token, which doesn't end by being unused.

    ``Refused`` with ``too_many``: the user has *maximum* that live; ``parent_ended``: the session in which it was asked
    for is over.
    """
    list = reads(sessions.list_live)
    """The living sessions of a user and of one kind, most recently used first."""
    end = writes(sessions.end, session="session_id")
    """End one session (of *user_id* and *kind*, if given). ``None``: there is no such living session."""

    _open = writes(sessions.open_session, user="new.user_id")
    _open_with_pair = writes(basic_pairs.open_with_pair, user="new.user_id")
    _advance = writes(refresh.advance, session="presented.session_id")
    _live = reads(sessions.live)
    _look_up_key = reads(api_keys.look)
    _use_key = writes(api_keys.use, session="session_id")
    _sweep = writes(sessions.sweep)

    async def open(self, new: NewSession, rules: SessionRules, origin: Origin) -> Opened | Refused:
        """Open a session: re-read user, client and roles, compare versions, trim to the maximum per user.

        The least recently used sessions beyond the maximum end in the same transaction, with entries. Sets the user's
        ``last_login_at``.
        """
        if new.pair is not None:
            return await self._open_with_pair(new, new.pair, rules, origin)
        if (shortcut := self.engine.shortcut) is not None:
            opened = await shortcut.open(new, rules, origin)
            if opened is not None:
                return opened
        return await self._open(new, rules, origin)

    async def advance(
        self, presented: PresentedRefreshToken, client_id: str, rules: SessionRules, origin: Origin
    ) -> Advance:
        """Spend a refresh token and tell what became of it (feed document, section 5).

        The current counter moves on by one. One of the last four, first spent within the grace, answers the current
        head again. Anything older, past the grace or ahead of the row ends the session.
        """
        if (shortcut := self.engine.shortcut) is not None:
            advanced = await shortcut.advance(presented, client_id, rules, origin)
            if advanced is not None:
                return advanced
        return await self._advance(presented, client_id, rules, origin)

    async def live(self, session_id: str) -> Live | Refused:
        """Whether this session lives now, and every fact that a token of it rests on."""
        if (shortcut := self.engine.shortcut) is not None:
            return await shortcut.live(session_id)
        return await self._live(session_id)

    async def use_key(
        self, session_id: str, secret_digest: bytes | None, life: timedelta, origin: Origin
    ) -> Live | Refused:
        """Whether this is a key that lives, and every fact that a token of *life* rests on; ``None``: a signing key.

        ``last_used_at`` is written at most once in *life*: the other uses of the time only read.
        """
        found = await self._look_up_key(session_id, secret_digest, life)
        return found or await self._use_key(session_id, secret_digest, life, origin)

    async def sweep(self, before: datetime, limit: int) -> int:
        """Look at the next *limit* sessions and delete those that ended or expired before *before*; how many went."""
        deleted, self._walked = await self._sweep(before, self._walked, limit)
        return deleted
