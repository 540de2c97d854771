"""From one file to a shared database and back, without anybody logging in again."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.databases import Cluster
from tests.guard.stage import until
from tests.mission.stage import Server, User, environment, start_server
from watchword import Guard
from watchword.errors import InvalidToken
from watchword.server.store.copying import TABLES

ISSUER = "http://auth.localhost"
SECRET = "the-master-key-of-a-test-is-no-secret"


def serve(folder: Path, database: str, **settings: str) -> Server:
    values = {"WATCHWORD_PASSWORD_HASH": "test", "WATCHWORD_REGISTRATIONS_PER_ADDRESS": "0", **settings}
    return start_server(folder, WATCHWORD_DATABASE=database, WATCHWORD_SECRET=SECRET, **values)


def refresh(server: Server, user: User) -> int:
    answer = server.http.post("/auth/token", json={"refresh_token": user.tokens["refresh_token"]})
    if answer.status_code == 200:
        user.tokens = answer.json()
    return answer.status_code


def contents(file: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, but for the numbers that the database gave itself."""
    found = {}
    with closing(sqlite3.connect(file)) as connection:
        for table in TABLES:
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")]
            kept = [f'"{name}"' for name in names if not (table.numbered and name == table.order)]
            rows = connection.execute(f"SELECT {', '.join(kept)} FROM {table.name} ORDER BY {table.order}")
            found[table.name] = rows.fetchall()
    return found


class TestTables:
    def test_none_is_forgotten(self, tmp_path: Path) -> None:
        """Each table of the schema travels, but for what belongs to the place itself."""
        upgrade = [
            sys.executable,
            "-m",
            "watchword",
            "db",
            "upgrade",
            "--database",
            f"sqlite:///{tmp_path / 'a.db'}",
        ]
        subprocess.run(upgrade, env=environment(), check=True, capture_output=True)
        with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
            names = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
            assert {name for (name,) in names} - {"schema_migrations", "nodes"} == {
                table.name for table in TABLES
            }


class TestMove:
    def test_there_and_back(self, tmp_path: Path, postgres: Cluster) -> None:
        """Every row arrives; sessions and API keys go on at the other place and, back again, at the first."""
        shared = asyncio.run(postgres.place())
        first, last = f"sqlite:///{tmp_path / 'first.db'}", f"sqlite:///{tmp_path / 'last.db'}"
        server = serve(tmp_path / "server", first, WATCHWORD_ISSUER=ISSUER)
        user, banned = server.newcomer(), server.newcomer(name="Zo\u00eb")
        key = server.http.post(
            "/auth/api-keys", json={"name": "deploy", "current_password": user.password}, headers=user.bearer
        ).json()["key"]
        server.manage("user", "ban", banned.email, "--reason", "test")
        assert server.process.stop() == 0
        before = contents(tmp_path / "first.db")
        assert server.manage("db", "move", first, shared)["rows"] == sum(map(len, before.values()))
        moved = serve(tmp_path / "moved", shared, WATCHWORD_ISSUER=ISSUER)
        assert refresh(moved, user) == 200
        assert moved.http.get("/auth/me", headers=user.bearer).json()["email"] == user.email
        assert moved.http.post("/auth/token", json={"api_key": key}).status_code == 200
        assert refresh(moved, banned) == 401
        assert moved.process.stop() == 0
        moved.manage("db", "move", shared, last)
        again = serve(tmp_path / "again", last, WATCHWORD_ISSUER=ISSUER)
        assert refresh(again, user) == 200
        assert again.process.stop() == 0
        assert again.manage("db", "check") == {"ok": True, "problems": []}
        assert contents(tmp_path / "last.db")["users"] == before["users"]

    def test_a_full_place_is_left_alone(self, tmp_path: Path, postgres: Cluster) -> None:
        """A file that is there, and a database with users, refuse."""
        shared = asyncio.run(postgres.place())
        first = f"sqlite:///{tmp_path / 'first.db'}"
        server = serve(tmp_path / "server", first)
        server.newcomer()
        assert server.process.stop() == 0
        server.manage("db", "move", first, shared)
        for target in (shared, first):
            done = server.cli("db", "move", first, target)
            assert done.returncode == 2
            assert "overwritten" in done.stderr

    def test_a_source_that_is_written_to_stops_it(self, tmp_path: Path) -> None:
        """While a server goes on writing nothing is moved: what it wrote would be lost."""
        first, second = f"sqlite:///{tmp_path / 'first.db'}", tmp_path / "second.db"
        server = serve(tmp_path / "server", first)
        user = server.newcomer()
        with closing(sqlite3.connect(tmp_path / "first.db", isolation_level=None)) as connection:
            # One of an earlier version does not say that it is there.
            connection.execute("CREATE TRIGGER silent AFTER INSERT ON nodes BEGIN DELETE FROM nodes; END")
            connection.execute("DELETE FROM nodes")
        statuses: list[int] = []

        async def meanwhile() -> None:
            from watchword.errors import Conflict
            from watchword.server.store import open as opening

            def write(done: int, total: int) -> None:
                statuses.append(refresh(server, user))

            with pytest.raises(Conflict):
                await opening.move_all(tmp_path / "first.db", second, progress=write, at_rest=True)

        asyncio.run(meanwhile())
        assert set(statuses) == {200}
        assert not second.exists()
        assert server.process.stop() == 0

    @pytest.mark.parametrize("kind", ["sqlite", "postgres"])
    def test_f_n16_a_server_that_idles_stops_it(self, tmp_path: Path, postgres: Cluster, kind: str) -> None:
        """What it would write later is written nowhere else, so nothing is moved until it has ended."""
        first = f"sqlite:///{tmp_path / 'first.db'}" if kind == "sqlite" else asyncio.run(postgres.place())
        second = tmp_path / "second.db"
        server = serve(tmp_path / "server", first)
        user = server.newcomer()
        until(lambda: server.manage("db", "check")["ok"])
        done = server.cli("db", "move", first, f"sqlite:///{second}")
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        assert "a server runs on the database that is left" in line
        assert not second.exists()
        assert refresh(server, user) == 200
        assert server.process.stop() == 0
        server.manage("db", "move", first, f"sqlite:///{second}")
        assert second.exists()


class TestSharedBackup:
    def test_out_of_it_and_into_it(self, tmp_path: Path, postgres: Cluster) -> None:
        """A backup of a shared database is one file; restored beside the running server it opens a new epoch."""
        shared = asyncio.run(postgres.place())
        server = serve(tmp_path / "server", shared)
        kept, ended = server.newcomer(), server.newcomer()
        guard = Guard(server.url)
        guard.verify(ended.tokens["access_token"])
        copy = tmp_path / "copy.db"
        assert server.manage("db", "backup", str(copy))["problems"] == []
        server.http.post("/auth/logout", headers=ended.bearer)
        done = server.manage("db", "restore", str(copy))
        try:
            until(lambda: guard.health()["epoch"] == done["epoch"])
            for user in (kept, ended):
                assert refresh(server, user) == 401
                with pytest.raises(InvalidToken):
                    guard.verify(user.tokens["access_token"])
            assert guard.verify(server.login(kept).tokens["access_token"]).subject == kept.id
        finally:
            guard.close()
        assert server.manage("db", "check") == {"ok": True, "problems": []}
        assert Path(done["replaced"]).is_file()
        assert server.process.stop() == 0
