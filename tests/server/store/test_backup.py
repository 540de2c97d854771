"""One SQLite file in the place of another, where somebody else has it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from watchword.errors import ConfigurationError, TemporarilyUnavailable
from watchword.server.store.backup import overwrite


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two databases, each with its name in it."""
    made = tmp_path / "source.db", tmp_path / "target.db"
    for file in made:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE said (name TEXT)")
            connection.execute("INSERT INTO said VALUES (?)", (file.name,))
    return made


def said(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        return str(connection.execute("SELECT name FROM said").fetchone()[0])


class TestOverwrite:
    def test_a_writer_that_lets_go_is_waited_for(self, files: tuple[Path, Path]) -> None:
        """He has the lock at the first try and not at the second."""
        source, target = files
        tries: list[int] = []
        with closing(sqlite3.connect(target, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")

            def progress(done: int, total: int) -> None:
                if not tries:
                    writer.execute("COMMIT")
                tries.append(done)

            overwrite(source, target, progress, patience=0.01, monotonic=lambda: 0.0)
        assert len(tries) > 1
        assert said(target) == source.name

    def test_a_writer_that_does_not_is_told_of(self, files: tuple[Path, Path]) -> None:
        """When patience is at its end, by the steady clock; the database is as it was, and can be used."""
        source, target = files
        clock = [0.0]

        def progress(done: int, total: int) -> None:
            clock[0] += 0.006
            assert clock[0] < 0.03, "it waits for ever"

        with closing(sqlite3.connect(target, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            with pytest.raises(TemporarilyUnavailable, match="written to"):
                overwrite(source, target, progress, patience=0.01, monotonic=lambda: clock[0])
            writer.execute("INSERT INTO said VALUES ('more')")
            writer.execute("COMMIT")
        assert said(target) == target.name

    def test_a_slow_copy_is_no_lock(self, files: tuple[Path, Path]) -> None:
        """What goes forward may take its time."""
        source, target = files
        with closing(sqlite3.connect(source)) as connection, connection:
            connection.executemany("INSERT INTO said VALUES (?)", [("x" * 4000,)] * 3000)
        clock = [0.0]

        def progress(done: int, total: int) -> None:
            clock[0] += 60

        overwrite(source, target, progress, monotonic=lambda: clock[0])
        assert clock[0] > 120
        assert said(target) == source.name

    def test_a_file_that_is_none_changes_nothing(self, files: tuple[Path, Path]) -> None:
        """The refusal is one line."""
        source, target = files
        source.write_text("a letter home, long enough to be read as a header of something else " * 30)
        with pytest.raises(ConfigurationError, match="cannot be replaced"):
            overwrite(source, target, lambda done, total: None)
        assert said(target) == target.name
