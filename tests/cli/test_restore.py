"""``watchword db restore`` over data that is newer, or another's: it says what goes, asks, and keeps it (N16)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.stage import Shell, type_into


@pytest.fixture
def backup(shell: Shell) -> Path:
    """A backup with one user; a second one came after it."""
    shell.create("ada@example.com")
    copy = shell.folder / "copy.db"
    shell.ok("db", "backup", str(copy))
    shell.create("bob@example.com")
    return copy


def emails(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as opened:
        return {email for (email,) in opened.execute("SELECT email FROM users")}


def kept(shell: Shell) -> list[Path]:
    return list(shell.data_dir.glob("watchword.db.before-*[0-9]"))


class TestRestore:
    @pytest.mark.parametrize("options", [(), ("--yes",)])
    def test_f_n16_a_script_is_told_what_was_replaced_and_where_it_is(
        self, shell: Shell, backup: Path, options: tuple[str, ...]
    ) -> None:
        """One line of what goes, with both times, and one of where it is now."""
        done = shell.ok("db", "restore", str(backup), *options)
        replaced, where = done.stderr.splitlines()
        assert replaced.startswith("replaces 2 users and all changes until ")
        assert "; the backup ends 20" in replaced
        assert "another instance" not in replaced
        (file,) = kept(shell)
        assert where.endswith(str(file.relative_to(shell.folder)))
        assert emails(file) == {"ada@example.com", "bob@example.com"}
        assert emails(shell.data_dir / "watchword.db") == {"ada@example.com"}

    def test_f_n16_the_backup_of_another_instance_is_named(self, shell: Shell, backup: Path) -> None:
        """A staging server's copy, or one from before an earlier restore."""
        shell.ok("db", "restore", str(backup), "--yes")
        done = shell.ok("db", "restore", str(backup), "--yes")
        assert "The backup is of another instance" in done.stderr.splitlines()[0]
        assert len(kept(shell)) == 2

    def test_f_n16_on_a_terminal_it_asks(self, shell: Shell, backup: Path) -> None:
        """No: nothing changes and no copy is left. Yes, or ``--yes``: it is done."""
        for answers, options, done in ((["n"], (), 0), (["y"], (), 1), ([], ("--yes",), 2)):
            said = type_into(shell, answers, "db", "restore", str(backup), *options)
            assert ("Replace it?" in said) == bool(answers), said
            assert len(kept(shell)) == done
            assert emails(shell.data_dir / "watchword.db") == (
                {"ada@example.com"} if done else {"ada@example.com", "bob@example.com"}
            )

    def test_f_n16_where_nothing_was_nothing_is_asked(self, shell: Shell, backup: Path) -> None:
        """The first restore on a new machine."""
        for file in shell.data_dir.glob("watchword.db*"):
            file.unlink()
        done = shell.ok("db", "restore", str(backup))
        assert done.stderr.splitlines() == ["there was no data before"]
