"""Faults to plant, nearly all in code that every ground shares: each lets live what is dead, or hides a change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from tests.server.stage import GROUNDS
from watchword.guard import revocations as table
from watchword.guard.knowledge import Knowledge
from watchword.server.store.intentions.revocations import Revocations
from watchword.server.store.past import Past
from watchword.server.store.sql import revocations
from watchword.server.store.sql.transaction import Transaction

__all__ = ["FAULTS", "Fault"]

Patch = pytest.MonkeyPatch


def a_kill_is_not_told(patch: Patch) -> None:
    """No guard hears of bans, deletions, changed passwords."""
    _lose(patch, "user")


def a_log_out_is_not_told(patch: Patch) -> None:
    """No guard hears of the end of a session."""
    _lose(patch, "session")


def a_revoked_token_is_not_told(patch: Patch) -> None:
    """No guard hears of it."""
    _lose(patch, "token")


def a_change_of_roles_is_not_told(patch: Patch) -> None:
    """Tokens go on showing what was taken away."""
    _lose(patch, "claims")


def a_kill_spares_the_last_version(patch: Patch) -> None:
    """Dead are those below the version before it, not those before it."""
    revoke = Transaction.revoke

    async def lower(self: Transaction, kind: Any, id: str = "", *, below: int = 0, **more: Any) -> int:
        return await revoke(self, kind, id, below=below - 1 if kind == "user" else below, **more)

    patch.setattr(Transaction, "revoke", lower)


def a_version_may_be_the_base(patch: Patch) -> None:
    """What is killed right after the brake bears the version that all tokens have since."""

    async def next_version(self: Transaction, version: int) -> int:
        base = await self.one("SELECT base FROM head")
        return max(version + 1, self.ms, base[0] if base else 0)

    patch.setattr(Transaction, "next_version", next_version)


def the_floor_stays(patch: Patch) -> None:
    """A log-in that was on its way when everything ended opens its session all the same."""
    _amend(
        patch,
        "version = ?, floor = ?,",
        "version = ?, floor = CASE WHEN floor < ? THEN floor ELSE floor END,",
    )


def the_shortcut_looks_at_no_floor(patch: Patch) -> None:
    """The same, where PostgreSQL opens many sessions in one statement."""
    every = Transaction.all
    right = " AND a.version >= u.floor"
    patch.setattr(Transaction, "all", lambda self, sql, *values: every(self, sql.replace(right, ""), *values))


def the_brake_leaves_the_base(patch: Patch) -> None:
    """The server itself takes tokens from before it."""
    _amend(
        patch, "UPDATE head SET base = ?", "UPDATE head SET base = CASE WHEN base < ? THEN base ELSE base END"
    )


def the_log_is_read_short(patch: Patch) -> None:
    """The newest of several entries is left out, and counted as read."""
    read = Revocations.read

    async def short(self: Revocations, after: int, limit: int = 100_000, known: Any = None) -> Any:
        page = await read(self, after, limit, known)
        return page._replace(entries=page.entries[: max(1, len(page.entries) - 1)])

    patch.setattr(Revocations, "read", short)


def length_is_taken_for_identity(patch: Patch) -> None:
    """A log that is as long as the one that was known, or longer, is believed."""

    async def past(tx: Transaction, here: Any, known: Any, mark: Any) -> str:
        return "other" if here[:2] < known[:2] else "same"

    patch.setattr(revocations, "_past", past)
    patch.setattr(Past, "check", lambda *compared: None)


def a_guard_moves_over_a_gap(patch: Patch) -> None:
    """It takes a message that begins beyond what it has heard for all there is."""
    move = Knowledge._move

    def over(self: Knowledge, message: Any) -> Any:
        return move(
            self,
            msgspec.structs.replace(message, after=min(message.after, self.sequence), after_mark="", mark=""),
        )

    patch.setattr(Knowledge, "_move", over)


def a_guard_keeps_the_last_kill_alone(patch: Patch) -> None:
    """An older message that comes late takes the place of what is known."""

    def last(known: Any, entry: Any, death: Any) -> table.Kill:
        return table.Kill(entry.below, entry.excepted, entry.below, death)

    patch.setattr(table, "_added", last)


def _lose(patch: Patch, lost: str) -> None:
    revoke = Transaction.revoke

    async def silent(self: Transaction, kind: Any, *args: Any, **more: Any) -> int:
        return 0 if kind == lost else await revoke(self, kind, *args, **more)

    patch.setattr(Transaction, "revoke", silent)


def _amend(patch: Patch, right: str, wrong: str) -> None:
    run = Transaction.run
    patch.setattr(
        Transaction, "run", lambda self, sql, *values: run(self, sql.replace(right, wrong), *values)
    )


@dataclass(frozen=True)
class Fault:
    """One fault, a seed that is known to find it, and what the model says then."""

    plant: Callable[[Patch], None]
    seed: int
    found: str
    grounds: tuple[str, ...] = GROUNDS
    overtaken: bool = False
    """Whether only a run with a log that was rolled back shows it."""

    def __str__(self) -> str:
        return self.plant.__name__


DEAD = "dead and accepted"
FAULTS = (
    Fault(a_kill_is_not_told, 9, DEAD),
    Fault(a_log_out_is_not_told, 4, DEAD),
    Fault(a_revoked_token_is_not_told, 2, DEAD),
    Fault(a_change_of_roles_is_not_told, 3, "shown"),
    Fault(a_kill_spares_the_last_version, 40, DEAD),
    Fault(a_version_may_be_the_base, 40, DEAD),
    Fault(the_floor_stays, 0, "dead on arrival, and let in"),
    Fault(the_shortcut_looks_at_no_floor, 0, "dead on arrival, and let in", GROUNDS[1:]),
    Fault(the_brake_leaves_the_base, 2, "the server itself took a dead token"),
    Fault(the_log_is_read_short, 52, DEAD),
    Fault(length_is_taken_for_identity, 0, "another past", overtaken=True),
    Fault(a_guard_moves_over_a_gap, 9, DEAD),
    Fault(a_guard_keeps_the_last_kill_alone, 341, DEAD),
)
