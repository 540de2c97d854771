"""``watchword db`` and ``key``: the schema, the health of the data, the signing keys."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.cli.stage import Shell


class TestUpgrade:
    def test_a_missing_database_is_made(self, shell: Shell) -> None:
        """The steps are the data; a second run has none."""
        first = shell.json("db", "upgrade")["applied"]
        assert first[0] == "0001_start"
        assert shell.json("db", "upgrade") == {"applied": []}
        done = shell.ok("db", "upgrade")
        assert (done.stdout, done.stderr) == ("", "applied 0; the schema is up to date\n")

    def test_a_newer_database_is_refused(self, shell: Shell) -> None:
        """An older program must not write into a schema it does not know."""
        shell.ok("db", "upgrade")
        with closing(sqlite3.connect(shell.data_dir / "watchword.db")) as database, database:
            database.execute(
                "INSERT INTO schema_migrations (number, word, applied_at) VALUES (9999, 'later', 0)"
            )
        for command in ("upgrade", "check"):
            assert "newer version" in shell.refused("db", command, code=2)

    def test_what_is_no_database_is_refused(self, shell: Shell) -> None:
        """The file is named and left as it is."""
        file = shell.data_dir / "watchword.db"
        shell.data_dir.mkdir()
        file.write_text("a letter home, long enough to be read as a header of something else " * 3)
        for command in ("upgrade", "check"):
            assert shell.refused("db", command, code=2).startswith("database: ")
        assert file.read_text().startswith("a letter home")


class TestEnd:
    def test_the_file_is_whole_when_nobody_has_it_open(self, shell: Shell) -> None:
        """Nothing is left in a write-ahead log: a copy of the one file is a copy of the data."""
        shell.create("ada@example.com")
        assert {file.name for file in shell.data_dir.iterdir()} == {"secret", "watchword.db"}


class TestCheck:
    def test_all_is_well(self, shell: Shell) -> None:
        """Exit 0."""
        shell.create("ada@example.com")
        assert shell.json("db", "check") == {"ok": True, "problems": []}
        assert shell.ok("db", "check").stderr == "all is well\n"

    def test_a_broken_rule_is_told(self, shell: Shell) -> None:
        """Exit 1, and which row breaks which rule."""
        made = shell.create("ada@example.com")
        with closing(sqlite3.connect(shell.data_dir / "watchword.db")) as database, database:
            database.execute("UPDATE users SET floor = version + 1")
        done = shell.run("db", "check")
        assert done.exit_code == 1
        assert f"a user's version below his floor: {made['id']}" in done.stdout.splitlines()
        assert done.stderr.endswith(" found\n")

    def test_a_schema_that_lags_is_told(self, shell: Shell) -> None:
        """Nothing is changed by looking."""
        shell.data_dir.mkdir()
        with closing(sqlite3.connect(shell.data_dir / "watchword.db")):
            pass
        (shell.data_dir / "watchword.db").touch()
        done = shell.run("db", "check")
        assert done.exit_code == 1
        assert done.stdout.startswith("the schema lacks 0001_start")


class TestKeys:
    def test_a_rotation_that_verifiers_can_follow(self, shell: Shell) -> None:
        """The waiting key takes over once it has been public for a minute; the answer says when."""
        shell.create("ada@example.com")
        active, waiting = shell.json("key", "list")
        assert (active["state"], waiting["state"]) == ("active", "next")
        rotation = shell.json("key", "rotate")
        assert (rotation["kid"], rotation["retiring"]) == (waiting["kid"], active["kid"])
        assert rotation["active_at"] > waiting["created_at"]
        assert [key["state"] for key in shell.json("key", "list")] == ["active", "next"]

    def test_a_rotation_at_once(self, shell: Shell) -> None:
        """The old key retires, and a new one waits."""
        shell.create("ada@example.com")
        active, waiting = shell.json("key", "list")
        shell.ok("key", "rotate", "--now")
        states = {key["kid"]: key["state"] for key in shell.json("key", "list")}
        assert (states.pop(active["kid"]), states.pop(waiting["kid"])) == ("retired", "active")
        assert list(states.values()) == ["next"]

    def test_another_algorithm(self, shell: Shell) -> None:
        """A waiting key of that algorithm is made; one this server does not sign with is refused."""
        shell.create("ada@example.com")
        assert shell.json("key", "rotate", "--algorithm", "EdDSA")["algorithm"] == "EdDSA"
        assert (
            shell.refused("key", "rotate", "--algorithm", "none")
            == "none is not an algorithm this server signs with"
        )

    def test_a_compromised_key_is_dead(self, shell: Shell) -> None:
        """It is not published any more; the next one signs."""
        shell.create("ada@example.com")
        active, waiting = shell.json("key", "list")
        assert shell.json("key", "compromise", active["kid"])["state"] == "compromised"
        states = {key["kid"]: key["state"] for key in shell.json("key", "list")}
        assert states[waiting["kid"]] == "active"
        assert shell.refused("key", "compromise", "nonsense") == "there is no such key"
        for begun in ("-h", "-w", "--"):  # a kid is any text of base64url, and no option
            kid = begun + "A" * (43 - len(begun))
            assert shell.refused("key", "compromise", kid) == "there is no such key"
            assert shell.refused("key", "compromise", "--json", kid) == "there is no such key"
            assert shell.refused("key", "compromise", "--", kid) == "there is no such key"

    def test_the_table(self, shell: Shell) -> None:
        """Whole key ids, so that one can be copied into ``compromise``."""
        shell.create("ada@example.com")
        shown = shell.ok("key", "list").stdout
        for key in shell.json("key", "list"):
            assert key["kid"] in shown
            assert not key.keys() & {"sealed", "d"}


class TestSecret:
    def test_another_master_key_is_refused(self, shell: Shell) -> None:
        """A command with the wrong ``SECRET`` must not touch the data."""
        shell.create("ada@example.com")
        shell.settings["WATCHWORD_SECRET"] = "another-secret-of-thirty-two-chars"
        said = shell.refused("user", "list", code=2)
        assert said == "secret: it is not the one this database was made with"

    @pytest.mark.parametrize("mode", [0o640, 0o604])
    def test_attack_a70_a_master_key_that_others_read(self, shell: Shell, mode: int) -> None:
        """It is refused, and the cure is said."""
        shell.create("ada@example.com")
        (shell.data_dir / "secret").chmod(mode)
        assert shell.refused("user", "list", code=2) == "data_dir: secret can be read by others; chmod 600 it"
