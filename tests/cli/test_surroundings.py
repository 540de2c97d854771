"""Databases that would break later: refused at the start, in one line with the reason and the cure (B47)."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.cli.stage import Shell
from tests.databases import Cache, Cluster
from tests.mission.stage import free_port

SECRET = "the-master-key-of-a-test-is-no-secret"
COMMANDS = (
    ("serve", "--port", "0"),
    ("db", "upgrade"),
    ("user", "list"),
    ("db", "move", "sqlite:///other.db", "{place}"),
)

OLDER = """
CREATE SCHEMA older;
CREATE FUNCTION older.current_setting(name text) RETURNS text LANGUAGE sql AS $$
  SELECT CASE name WHEN 'server_version_num' THEN '130021' ELSE pg_catalog.current_setting(name) END
$$;
"""


@contextmanager
def database(cluster: Cluster, more: str, prepared: str = "") -> Iterator[str]:
    """The URL of a database of its own, made with *more* after its name."""
    name = f"test_{os.getpid()}_{free_port()}"

    async def run(url: str, sql: str) -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    asyncio.run(run(cluster.url, f"CREATE DATABASE {name} TEMPLATE template0 {more}"))
    url = urlsplit(cluster.url)._replace(path=f"/{name}", query="").geturl()
    try:
        if prepared:
            asyncio.run(run(url, prepared))
        yield url
    finally:
        asyncio.run(run(cluster.url, f"DROP DATABASE {name} WITH (FORCE)"))


def weak(shell: Shell, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command by a user whom modes of files bind; the superuser lays down that privilege first."""
    bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else []
    return shell.through(*bound, command=arguments)


class TestPostgres:
    @pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
    def test_f_b47_an_encoding_other_than_utf8_is_refused(
        self, shell: Shell, postgres: Cluster, encoding: str
    ) -> None:
        """Not one command works on it and none leaves a table; each says why, and what to do."""
        shell.create("ada@example.com", "--database", "sqlite:///other.db")
        with database(postgres, f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'") as place:
            shell.settings |= {"WATCHWORD_DATABASE": place, "WATCHWORD_SECRET": SECRET}
            for command in COMMANDS:
                told = shell.refused(*(word.format(place=place) for word in command), code=2)
                assert f"is {encoding}" in told
                assert "ENCODING 'UTF8'" in told
            assert asyncio.run(tables(place)) == 0
            found = json.loads(shell.run("doctor", "--json").stdout)["findings"]
            assert [encoding in one["message"] for one in found if one["check"] == "database"] == [True]

    def test_f_b47_a_version_that_is_too_old_is_refused(self, shell: Shell, postgres: Cluster) -> None:
        """The version is asked before anything else is done."""
        with database(postgres, "", OLDER) as plain:
            place = f"{plain}?search_path=older,pg_catalog"
            shell.settings |= {"WATCHWORD_DATABASE": place, "WATCHWORD_SECRET": SECRET}
            for command in (("serve", "--port", "0"), ("db", "upgrade")):
                assert shell.refused(*command, code=2) == (
                    "database: PostgreSQL 13 is too old: 14 or later is needed"
                )
            assert asyncio.run(tables(plain)) == 0


class TestSqlite:
    @pytest.mark.parametrize("what", ["file", "folder"])
    def test_f_b47_a_read_only_file_or_folder_is_refused(self, shell: Shell, what: str) -> None:
        """The line names which of the two it is."""
        shell.create("ada@example.com")
        file = shell.data_dir / "watchword.db"
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        place, mode = (file, 0o400) if what == "file" else (shell.data_dir, 0o500)
        before = place.stat().st_mode
        place.chmod(mode)
        try:
            done = weak(shell, "serve", "--port", "0")
        finally:
            place.chmod(before & 0o777)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        (line,) = done.stderr.splitlines()
        assert f"the {what} {place} cannot be written" in line

    def test_f_b47_a_folder_where_none_can_be_made(self, shell: Shell, tmp_path: Path) -> None:
        """A data folder in a read-only one: one line."""
        tmp_path.chmod(0o500)
        try:
            done = weak(shell, "serve", "--port", "0")
        finally:
            tmp_path.chmod(0o700)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        (line,) = done.stderr.splitlines()
        assert "data_dir: cannot make" in line


class TestValkey:
    def test_f_b47_the_doctor_warns_of_eviction(self, shell: Shell, valkey: Cache) -> None:
        """Counters that are thrown away are limits that do not hold."""
        from redis import Redis

        url = asyncio.run(valkey.place())
        shell.settings["WATCHWORD_REDIS"] = url
        with Redis.from_url(url.replace("valkey", "redis", 1)) as client:
            for policy, level in (
                ("noeviction", "good"),
                ("allkeys-lru", "unsafe"),
                ("volatile-ttl", "unsafe"),
            ):
                client.config_set("maxmemory-policy", policy)
                try:
                    found = json.loads(shell.run("doctor", "--json").stdout)["findings"]
                finally:
                    client.config_set("maxmemory-policy", "noeviction")
                (counters,) = [one for one in found if one["check"] == "counters"]
                assert counters["level"] == level
                assert (policy in counters["message"]) == (level == "unsafe")


async def tables(place: str) -> int:
    connection = await asyncpg.connect(place)
    try:
        found = await connection.fetchval(
            "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        return int(found)
    finally:
        await connection.close()
