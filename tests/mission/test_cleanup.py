"""What is over goes by itself."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tests.mission.stage import Server, start_server


def kept(server: Server, table: str, column: str) -> set[str]:
    """What a table holds, looked at from outside."""
    with closing(sqlite3.connect(f"file:{server.data_dir}/watchword.db?mode=ro", uri=True)) as database:
        return {str(value) for (value,) in database.execute(f"SELECT {column} FROM {table}")}


class TestCleanUp:
    def test_s50_what_is_over_goes_by_itself(self, tmp_path: Path) -> None:
        """No daily job: the running server deletes ended sessions and old events; living sessions stay."""
        server = start_server(
            tmp_path,
            WATCHWORD_SESSION_RETENTION="1s",
            WATCHWORD_EVENT_RETENTION="1s",
            WATCHWORD_PASSWORD_HASH="test",
        )
        try:
            leaving, staying = server.newcomer(), server.newcomer()
            sessions = {user.id: str(user.tokens["session_id"]) for user in (leaving, staying)}
            assert set(sessions.values()) <= kept(server, "sessions", "id")
            assert "user.created" in kept(server, "events", "type")
            assert server.http.post("/auth/logout", headers=leaving.bearer).status_code == 204
            deadline = time.monotonic() + 30
            while sessions[leaving.id] in kept(server, "sessions", "id") or kept(server, "events", "type"):
                assert time.monotonic() < deadline
                assert server.http.get("/healthz").status_code == 200
            assert sessions[staying.id] in kept(server, "sessions", "id")
            body = {"refresh_token": staying.tokens["refresh_token"]}
            assert server.http.post("/auth/token", json=body).status_code == 200
        finally:
            server.http.close()
            assert server.process.stop() == 0
