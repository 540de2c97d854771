"""The schema, step by step: numbered SQL files, each applied once, in order, in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from watchword.errors import ConfigurationError

__all__ = ["Migration", "apply", "known", "pending"]


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its number, the word in its file name and its SQL."""

    number: int
    word: str
    sql: str


def known() -> Sequence[Migration]:
    """Every step this program knows, in order."""
    found = []
    for file in files("watchword.server.store").joinpath("migrations").iterdir():
        number, _, rest = file.name.partition("_")
        if number.isdigit() and rest.endswith(".sql"):
            found.append(Migration(int(number), rest.removesuffix(".sql"), file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda step: step.number)


def pending(connection: sqlite3.Connection) -> Sequence[Migration]:
    """The steps this database lacks.

    Raises:
        ConfigurationError: it has steps this program does not know: it belongs to a newer one.
    """
    applied: set[int] = set()
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'").fetchone():
        applied = {number for (number,) in connection.execute("SELECT number FROM schema_migrations")}
    steps = known()
    if applied - {step.number for step in steps}:
        raise ConfigurationError("database: it was made by a newer version of this program")
    return [step for step in steps if step.number not in applied]


def apply(connection: sqlite3.Connection, now_ms: int) -> Sequence[Migration]:
    """Apply what is missing, all or nothing; two processes that try at once take turns at the write lock."""
    connection.create_function("casefold", 1, _casefold, deterministic=True)
    connection.execute("BEGIN IMMEDIATE")
    try:
        steps = pending(connection)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (number INTEGER PRIMARY KEY, word TEXT NOT NULL, applied_at INTEGER NOT NULL)"
        )
        for step in steps:
            for statement in _statements(step.sql):
                connection.execute(statement)
            connection.execute(
                "INSERT INTO schema_migrations VALUES (?, ?, ?)", (step.number, step.word, now_ms)
            )
            if step.number == 1:
                _seed(connection, now_ms)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return steps


def _statements(sql: str) -> Sequence[str]:
    # ``executescript`` would commit first; so the file is cut where SQLite says a statement is whole.
    found, gathered = [], ""
    for line in sql.splitlines(keepends=True):
        gathered += line
        if sqlite3.complete_statement(gathered):
            found.append(gathered)
            gathered = ""
    return found


def _seed(connection: sqlite3.Connection, now_ms: int) -> None:
    connection.execute("INSERT INTO head VALUES (1, ?, 0, 0, 600000, NULL, NULL)", (now_ms,))
    connection.executemany(
        "INSERT INTO roles (name, scope, built_in) VALUES (?, 'profile email', 1)", [("user",), ("admin",)]
    )
    connection.execute(
        "INSERT INTO clients (id, name, version, floor, disabled, created_at)"
        " VALUES ('cli_first_party', 'First-party log-ins', ?, 0, 0, ?)",
        (now_ms, now_ms),
    )


def _casefold(text: str | None) -> str | None:
    return None if text is None else text.casefold()
