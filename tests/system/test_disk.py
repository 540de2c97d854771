"""A disk that is full, a file that somebody else holds: writes wait, everything else goes on (R-08, R-28)."""

from __future__ import annotations

import resource
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from tests.mission.stage import Server, User, start_server
from watchword import Guard


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = start_server(
        tmp_path / "server", WATCHWORD_PASSWORD_HASH="test", WATCHWORD_LOG_REQUESTS="false"
    )
    yield running
    assert running.process.stop() == 0, running.process.log.read_text()


def limit_files(server: Server, size: int) -> None:
    """From now on the server writes no file beyond *size* bytes: the disk is full for it alone."""
    assert server.process.child is not None
    _, hard = resource.prlimit(server.process.child.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.child.pid, resource.RLIMIT_FSIZE, (size, hard))


def refresh(server: Server, user: User) -> httpx2.Response:
    answer = server.http.post("/auth/token", json={"refresh_token": user.tokens["refresh_token"]})
    if answer.status_code == 200:
        user.tokens = answer.json()
    return answer


def reads_go_on(server: Server, user: User) -> None:
    """What needs no write is answered as ever."""
    assert server.http.get("/.well-known/jwks.json").status_code == 200
    assert server.http.get("/.well-known/oauth-authorization-server").status_code == 200
    assert server.http.get("/revocations").status_code == 200
    assert server.http.get("/auth/me", headers=user.bearer).status_code == 200


class TestFullDisk:
    def test_writes_are_503_reads_go_on_and_it_heals_by_itself(self, server: Server) -> None:
        """With no room left a write is refused and changes nothing; with room again it works, without a restart."""
        user = server.newcomer()
        guard = Guard(server.url, keys=server.jwks())
        limit_files(server, 4096)
        for _ in range(3):
            answer = refresh(server, user)
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["error"] == "temporarily_unavailable"
            reads_go_on(server, user)
        body = {"email": "late@example.com", "password": user.password}
        assert server.http.post("/auth/register", json=body).status_code == 503
        assert guard.verify(user.tokens["access_token"]).subject == user.id
        limit_files(server, resource.RLIM_INFINITY)
        assert refresh(server, user).status_code == 200
        assert server.http.post("/auth/register", json=body).status_code == 201
        assert server.manage("db", "check") == {"ok": True, "problems": []}


class TestHeldFile:
    def test_a_writer_beside_us_is_waited_for(self, server: Server) -> None:
        """Another process that writes for a moment costs a moment, and no request."""
        user = server.newcomer()
        with closing(sqlite3.connect(server.data_dir / "watchword.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answers: list[int] = []
            waiting = threading.Thread(target=lambda: answers.append(refresh(server, user).status_code))
            waiting.start()
            reads_go_on(server, user)
            assert answers == []
            other.execute("ROLLBACK")
            waiting.join(30)
        assert answers == [200]

    def test_one_that_does_not_let_go_is_503(self, server: Server) -> None:
        """Who holds the file for good makes writes fail in bounded time, and they work when he is gone."""
        user = server.newcomer()
        with closing(sqlite3.connect(server.data_dir / "watchword.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            answer = refresh(server, user)
            assert answer.status_code == 503
            assert "retry-after" in answer.headers
            assert time.monotonic() - began < 20
            reads_go_on(server, user)
            other.execute("ROLLBACK")
        assert refresh(server, user).status_code == 200
