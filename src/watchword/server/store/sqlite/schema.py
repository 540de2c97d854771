"""The schema of a SQLite database: brought up to date in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

from watchword.errors import ConfigurationError
from watchword.server.store import migrations
from watchword.server.store.migrations import Migration
from watchword.server.store.sql.seed import seed
from watchword.server.store.sql.transaction import LONGEST_LOG, Transaction, milliseconds
from watchword.server.store.sqlite.connection import SqliteConnection, at_once

__all__ = ["apply", "lacking", "pending"]


def lacking(path: Path | str) -> Sequence[Migration]:
    """The steps the database at *path* lacks; all of them where there is none yet.

    Raises:
        ConfigurationError: it cannot be opened, or belongs to a newer program.
    """
    if path == ":memory:" or not Path(path).is_file():
        return migrations.known("sqlite")
    try:
        with closing(sqlite3.connect(path)) as connection:
            return pending(connection)
    except sqlite3.Error as broken:
        raise ConfigurationError(f"database: cannot open it: {broken}") from None


def pending(connection: sqlite3.Connection) -> Sequence[Migration]:
    """The steps this database lacks.

    Raises:
        ConfigurationError: it belongs to a newer program.
    """
    applied = {}
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'").fetchone():
        for row in connection.execute("SELECT * FROM schema_migrations"):
            applied[row[0]] = (row[1], row[3] if len(row) > 3 else "")
    return migrations.missing("sqlite", applied)


def apply(connection: sqlite3.Connection, now: datetime) -> Sequence[Migration]:
    """Apply what is missing, all or nothing; two processes that try at once take turns at the write lock."""
    connection.create_function("casefold", 1, _casefold, deterministic=True)
    connection.execute("BEGIN IMMEDIATE")
    try:
        steps = pending(connection)
        connection.execute(migrations.TABLE)
        for step in steps:
            for statement in _statements(step.sql):
                connection.execute(statement)
            connection.execute(
                "INSERT INTO schema_migrations (number, word, applied_at) VALUES (?, ?, ?)",
                (step.number, step.word, milliseconds(now)),
            )
            if step.number == 1:
                begin = Transaction(SqliteConnection(connection), now, lambda user, scope: {}, LONGEST_LOG)
                at_once(seed(begin))
        if steps:
            for step in migrations.known("sqlite"):
                connection.execute(migrations.SIGN.format("?", "?"), (step.digest, step.number))
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


def _casefold(text: str | None) -> str | None:
    return None if text is None else text.casefold()
