"""A node whose address comes to lead to a hot standby: it says so to everybody, and is back with the primary."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx2
import pytest

from tests import databases
from tests.mission.stage import ADMIN, PASSWORD, Server, User, environment, start_server
from tests.relay import Relay, relay
from tests.system.conftest import SECRET

pytestmark = pytest.mark.slow

HEARTBEAT = 6.0
"""Seconds in which one is due."""


@dataclass
class Pair:
    """A primary, its standby, and an address that leads to one of them."""

    primary: databases.Server
    standby: databases.Server
    between: Relay

    def lead_to(self, server: databases.Server) -> None:
        self.between.target = server.port
        self.between.cut()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.between.port}/postgres"


@pytest.fixture
def pair() -> Iterator[Pair]:
    with databases.server() as primary, databases.standby(primary) as standby, relay(primary.port) as between:
        yield Pair(primary, standby, between)


def settings(pair: Pair, more: str = "") -> dict[str, str]:
    return {
        "WATCHWORD_DATABASE": pair.url + more,
        "WATCHWORD_SECRET": SECRET,
        "WATCHWORD_PASSWORD_HASH": "test",
    }


def answers(node: Server, user: User, admin: User) -> dict[str, httpx2.Response]:
    """What a node says to each kind of question."""
    http = node.http
    return {
        "ready": http.get("/readyz"),
        "me": http.get("/auth/me", headers=user.bearer),
        "sessions": http.get("/auth/sessions", headers=user.bearer),
        "users": http.get("/admin/v1/users", headers=admin.bearer),
        "keys": http.get("/admin/v1/keys", headers=admin.bearer),
        "events": http.get("/admin/v1/events", headers=admin.bearer),
        "login": node.post_login(email=user.email, password=PASSWORD),
        "refresh": http.post("/auth/token", json={"refresh_token": user.tokens["refresh_token"]}),
        "nonce": http.get("/revocations", params={"after": "0", "nonce": "x"}),
    }


def until(node: Server, path: str, status: int) -> None:
    deadline = time.monotonic() + 20
    while node.http.get(path).status_code != status:
        assert time.monotonic() < deadline, path
        time.sleep(0.05)


class TestStandby:
    @pytest.mark.parametrize("more", ["", "?target_session_attrs=any"])
    def test_f_n2_a_standby_gets_503_for_everything(self, pair: Pair, tmp_path: Path, more: str) -> None:
        """Lists, sessions, sign-ins, the log, readiness; also where the URL accepts any server."""
        node = start_server(tmp_path, **settings(pair, more))
        user = node.login(node.register())
        admin = node.login(User("", *ADMIN), audience=node.url)
        wait_for_replay(pair)
        pair.lead_to(pair.standby)
        until(node, "/readyz", 503)
        for _ in range(3):
            for name, answer in answers(node, user, admin).items():
                assert answer.status_code == 503, (name, answer.text)
                assert answer.headers["retry-after"], name
        assert node.http.get("/healthz").status_code == 200
        pair.lead_to(pair.primary)
        until(node, "/readyz", 200)
        told = {name: answer.status_code for name, answer in answers(node, user, admin).items()}
        assert set(told.values()) <= {200, 404}, told
        assert node.process.stop() == 0

    def test_f_n2_no_heartbeat_comes_from_a_standby(self, pair: Pair, tmp_path: Path) -> None:
        """A guard that listens sees the silence, and hears the node again when it is back at the primary."""
        node = start_server(tmp_path, **settings(pair))
        wait_for_replay(pair)
        pair.lead_to(pair.standby)
        until(node, "/readyz", 503)
        said = silence(node, HEARTBEAT)
        assert b"data:" not in said
        pair.lead_to(pair.primary)
        until(node, "/readyz", 200)
        until(node, "/revocations", 200)
        assert b"data:" in silence(node, HEARTBEAT)
        node.process.stop()

    def test_f_n2_a_start_on_a_standby_is_refused(self, pair: Pair, tmp_path: Path) -> None:
        """In one line that says what to name instead; a URL that names both finds the primary."""
        node = start_server(tmp_path / "one", **settings(pair))
        node.process.stop()
        wait_for_replay(pair)
        pair.lead_to(pair.standby)
        for more in ("", "?target_session_attrs=any"):
            done = subprocess.run(
                [sys.executable, "-m", "watchword", "serve", "--port", "0"],
                env=environment(**settings(pair, more)), cwd=tmp_path, capture_output=True, text=True, timeout=30,
            )  # fmt: skip
            assert done.returncode == 2, done.stderr
            assert "is a standby" in done.stderr
            assert len(done.stderr.strip().splitlines()) == 1
        both = f"postgresql://postgres@127.0.0.1:{pair.standby.port},127.0.0.1:{pair.primary.port}/postgres"
        node = start_server(tmp_path / "two", **settings(pair) | {"WATCHWORD_DATABASE": both})
        assert node.process.stop() == 0

    def test_f_n2_a_standby_that_was_promoted_serves(self, pair: Pair, tmp_path: Path) -> None:
        """As soon as it is the primary."""
        node = start_server(tmp_path, **settings(pair))
        user = node.login(node.register())
        wait_for_replay(pair)
        pair.lead_to(pair.standby)
        until(node, "/readyz", 503)
        asyncio.run(execute(pair.standby, "SELECT pg_promote()"))
        until(node, "/readyz", 200)
        assert node.http.get("/auth/me", headers=user.bearer).status_code == 200
        assert node.process.stop() == 0


def silence(node: Server, seconds: float) -> bytes:
    """What a stream brings in some seconds; one that was refused brings nothing."""
    said, deadline = b"", time.monotonic() + seconds
    try:
        with node.http.stream("GET", "/revocations/stream", timeout=seconds, params={"after": "0"}) as answer:
            if answer.status_code != 200:
                return b""
            answer_of = answer.iter_raw()
            next(answer_of)  # what was known before
            for chunk in answer_of:
                said += chunk
                if time.monotonic() > deadline:
                    break
    except (httpx2.TransportError, StopIteration):
        pass
    return said


def wait_for_replay(pair: Pair) -> None:
    """Until the standby has everything the primary has."""

    async def reaches(connection: asyncpg.Connection, question: str) -> None:
        async with asyncio.timeout(20):
            while True:
                if await connection.fetchval(question):
                    return
                await asyncio.sleep(0.05)

    async def wait() -> None:
        primary = await asyncpg.connect(pair.primary.cluster.url)
        standby = await asyncpg.connect(pair.standby.cluster.url)
        try:
            position = await primary.fetchval("SELECT pg_current_wal_insert_lsn()::TEXT")
            await reaches(standby, f"SELECT pg_last_wal_replay_lsn() >= '{position}'::PG_LSN")
        finally:
            await primary.close()
            await standby.close()

    asyncio.run(wait())


async def execute(server: databases.Server, sql: str) -> None:
    connection = await asyncpg.connect(server.cluster.url)
    await connection.execute(sql)
    await connection.close()
