"""The sessions of a user: who is in, and how to throw one out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from watchword.errors import NotFound
from watchword.server.store.intentions.sessions import Sessions
from watchword.server.store.intentions.users import Users
from watchword.server.store.records import Origin, Session, SessionKind

__all__ = ["SessionService"]


@dataclass(frozen=True, slots=True)
class SessionService:
    """Lists and ends sessions; an ended session's access tokens die with it, everywhere."""

    sessions: Sessions
    users: Users

    async def list(self, user_id: str) -> Sequence[Session]:
        """The living sessions of a user, most recently used first."""
        return await self.sessions.list(user_id)

    async def end(self, session_id: str, reason: str, origin: Origin, user_id: str | None = None) -> Session:
        """End one session, of *user_id* when given.

        Raises:
            NotFound: there is no such living session, or it is somebody else's.
        """
        # A user's devices and his keys are two lists; an administrator ends what he has the id of.
        kind: SessionKind | None = None if user_id is None else "login"
        ended = await self.sessions.end(session_id, reason, origin, user_id=user_id, kind=kind)
        if ended is None:
            raise NotFound("there is no such session")
        return ended

    async def end_all(
        self, user_id: str, reason: str, origin: Origin, keep_session: str | None = None
    ) -> int:
        """Log a user out everywhere, but for *keep_session*; how many sessions ended."""
        return await self.users.log_out_everywhere(user_id, reason, origin, keep_session=keep_session)
