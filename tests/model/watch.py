"""What the oracle sees: the outcome of each intention, at the moment it was committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.model.oracle import Oracle, Position
from tests.model.scheduler import Scheduler
from watchword.server.store.records import Advanced, Opened, Replayed
from watchword.server.store.store import Store


@dataclass
class Watch:
    """Tells *oracle* what came of each call to the store."""

    oracle: Oracle
    scheduler: Scheduler
    store: Store

    async def _at(self) -> Position:
        head = await self.store.revocations.head()
        return head.epoch, head.sequence

    async def users(self, name: str, args: Any, kwargs: Any, outcome: Any) -> None:
        match name:
            case "find":
                self.oracle.proof_read(self.scheduler.actor)
            case "ban" | "delete" if outcome:
                self.oracle.note("user", args[0], await self._at())
            case "set_password" if outcome is not None:
                spared = kwargs["keep_session"] or ""
                self.oracle.note("user", args[0], await self._at(), spared=spared)
            case "log_out_everywhere":
                self.oracle.note("user", args[0], await self._at())
            case "update" if outcome is not None:
                self.oracle.note("roles", args[0], await self._at(), roles=outcome.roles)

    async def sessions(self, name: str, args: Any, kwargs: Any, outcome: Any) -> None:
        actor = self.scheduler.actor
        match name, outcome:
            case "open", Opened(live=live, evicted=evicted):
                self.oracle.check_opened(actor, live.user.id)
                for session in evicted:
                    self.oracle.note("session", session, await self._at())
                self.oracle.facts_read(actor)
            case "advance", Advanced():
                self.oracle.facts_read(actor)
            case "advance", Replayed(session_id=session):
                self.oracle.note("session", session, await self._at())
            case "end", ended if ended is not None:
                self.oracle.note("session", args[0], await self._at())

    async def log(self, name: str, args: Any, kwargs: Any, outcome: Any) -> None:
        match name:
            case "revoke_token":
                self.oracle.note("token", args[0], await self._at())
            case "brake":
                self.oracle.note("all", "", await self._at())
            case "open_epoch" if outcome:
                self.oracle.note("all", "", await self._at())
                self.oracle.unnoticed = False

    async def clients(self, name: str, args: Any, kwargs: Any, outcome: Any) -> None:
        if name == "disable" and kwargs.get("disabled", True):
            self.oracle.note("client", args[0], await self._at())

    async def keys(self, name: str, args: Any, kwargs: Any, outcome: Any) -> None:
        if name == "compromise" and outcome is not None:
            self.oracle.note("key", args[0], await self._at())
