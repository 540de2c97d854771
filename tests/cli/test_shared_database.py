"""The command line on a database that nodes share: the same commands, over the network."""

from __future__ import annotations

import asyncio
import json

import asyncpg
import pytest

from tests.cli.stage import Shell
from tests.databases import Cluster

SECRET = "the-master-key-of-a-test-is-no-secret"
AWAY = "postgresql://watchword:geheim@127.0.0.1:1/watchword"


@pytest.fixture
def place(postgres: Cluster) -> str:
    return asyncio.run(postgres.place())


@pytest.fixture
def shared(shell: Shell, place: str) -> Shell:
    """A shell whose settings name a PostgreSQL."""
    shell.settings |= {"WATCHWORD_DATABASE": place, "WATCHWORD_SECRET": SECRET}
    return shell


def execute(place: str, sql: str) -> None:
    async def act() -> None:
        connection = await asyncpg.connect(place)
        await connection.execute(sql)
        await connection.close()

    asyncio.run(act())


class TestSharedDatabase:
    def test_the_schema_is_made_and_checked(self, shared: Shell) -> None:
        """``db upgrade`` names its steps, ``db check`` what is missing or broken; no folder is made for either."""
        found = shared.run("db", "check")
        assert found.exit_code == 1
        assert found.stdout.startswith("the schema lacks 0001_start\n")
        assert shared.json("db", "upgrade")["applied"][0] == "0001_start"
        assert shared.json("db", "upgrade") == {"applied": []}
        assert shared.json("db", "check") == {"ok": True, "problems": []}
        assert not shared.data_dir.exists()

    def test_people_are_managed(self, shared: Shell) -> None:
        """What one shell does, the next one finds."""
        shared.create("root@example.com", "--role", "admin")
        user = shared.create("ada@example.com", "--role", "admin")
        assert shared.json("user", "show", "ada@example.com")["id"] == user["id"]
        assert shared.json("user", "ban", "ada@example.com")["banned"]
        assert shared.json("db", "check")["ok"]

    def test_broken_rules_are_found(self, shared: Shell, place: str) -> None:
        """As in a file: exit 1, a line each."""
        shared.create("ada@example.com")
        execute(place, "UPDATE users SET version = 1, floor = 2")
        problems = json.loads(shared.run("db", "check", "--json").stdout)["problems"]
        assert [problem.partition(":")[0] for problem in problems] == ["a user's version below his floor"]

    def test_the_doctor_looks_at_it(self, shared: Shell, place: str) -> None:
        """What is missing in the schema, whether there is an administrator, whether it answers."""
        shared.settings["WATCHWORD_PASSWORD_HASH"] = "standard"

        def said() -> dict[str, str]:
            answer = json.loads(shared.run("doctor", "--json").stdout)
            return {one["check"]: one["message"] for one in answer["findings"] if one["level"] != "good"}

        assert said()["database"].startswith("the schema lacks 0001_start")
        shared.ok("db", "upgrade")
        assert "administrator" in said()
        shared.create("root@example.com", "--role", "admin")
        assert not {"database", "administrator"} & said().keys()
        shared.settings["WATCHWORD_DATABASE"] = AWAY
        assert said()["database"].startswith("the database: cannot open it")

    def test_one_line_where_it_is_away(self, shell: Shell) -> None:
        """Without the password."""
        shell.settings |= {"WATCHWORD_DATABASE": AWAY, "WATCHWORD_SECRET": SECRET}
        for command in (("db", "check"), ("db", "upgrade"), ("user", "list")):
            line = shell.refused(*command, code=2)
            assert line.startswith("database: cannot open it: ")
            assert "geheim" not in line

    def test_the_master_key_must_be_given(self, shell: Shell) -> None:
        """One that is drawn at the first start would be another one at each node."""
        shell.settings["WATCHWORD_DATABASE"] = AWAY
        assert shell.refused("serve", code=2).startswith("secret: ")

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            (AWAY, "postgresql://watchword:(hidden)@127.0.0.1:1/watchword"),
            ("postgresql://w:geh:eim%40geheim@h/name", "postgresql://w:(hidden)@h/name"),
            ("postgresql://w:geheim@a,b:1/name", "postgresql://w:(hidden)@a,b:1/name"),
            ("postgresql://w@h/name?password=geheim&a=b", "postgresql://w@h/name?password=(hidden)&a=b"),
            ("postgresql://w@h/name?sslpassword=geheim", "postgresql://w@h/name?sslpassword=(hidden)"),
            ("postgresql://w@h/name", "postgresql://w@h/name"),
        ],
    )
    def test_its_password_is_never_shown(self, shell: Shell, url: str, shown: str) -> None:
        """``--print-config`` shows where the data is, not how to get in."""
        shell.settings |= {"WATCHWORD_DATABASE": url, "WATCHWORD_SECRET": SECRET}
        table = shell.json("serve", "--print-config")
        assert shown in json.dumps(table)
        assert "geheim" not in json.dumps(table)

    def test_a_move_does_not_show_it(self, shell: Shell, place: str) -> None:
        """Nor is it shown where the data is now."""
        shell.settings["WATCHWORD_SECRET"] = SECRET
        shell.create("ada@example.com")
        target = f"{place}&password=geheim"
        done = shell.ok("db", "move", f"sqlite:///{shell.data_dir / 'watchword.db'}", target)
        assert f"--database {place}&password=(hidden) and" in done.stderr
        assert "geheim" not in done.output
        line = shell.refused("db", "move", "postgresql://w:ge/heim@h/name", target, code=2)
        assert line.startswith("Error: FROM must be postgresql://")
        assert "heim" not in line
