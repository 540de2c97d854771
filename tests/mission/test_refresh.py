"""The long-lived token: how it is given, traded, kept and ended."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import httpx2

from tests.mission.stage import Server, User, start_server
from watchword.jose import jws


def trade(server: Server, refresh_token: str) -> httpx2.Response:
    return server.http.post("/auth/token", json={"refresh_token": refresh_token})


class TestRefreshTokens:
    def test_s45_a_log_in_gives_both_tokens(self, server: Server, user: User) -> None:
        """A short access token and a refresh token of half a year come together, each with its life told."""
        assert 0 < user.tokens["expires_in"] <= 600
        assert user.tokens["refresh_token"].startswith("wwr_")
        assert 0 < user.tokens["refresh_token_expires_in"] <= 180 * 86_400

    def test_s46_the_token_endpoint_trades(self, server: Server, user: User) -> None:
        """``POST /auth/token`` turns a refresh token into a new pair, of the same session."""
        answer = trade(server, user.tokens["refresh_token"])
        assert answer.status_code == 200
        fresh = answer.json()
        assert fresh["session_id"] == user.tokens["session_id"]
        assert fresh["access_token"] != user.tokens["access_token"]
        assert fresh["refresh_token"] != user.tokens["refresh_token"]
        assert answer.headers["cache-control"] == "no-store"
        bearer = {"Authorization": f"Bearer {fresh['access_token']}"}
        assert server.http.get("/auth/me", headers=bearer).status_code == 200

    def test_s47_the_database_gives_no_refresh_token_away(self, server: Server, user: User) -> None:
        """It is persisted, and what is persisted is not the token nor any part of it that would do."""
        with sqlite3.connect(f"file:{server.data_dir / 'watchword.db'}?mode=ro", uri=True) as connection:
            dump = "\n".join(connection.iterdump())
        assert user.tokens["session_id"] in dump
        token = user.tokens["refresh_token"].removeprefix("wwr_")
        assert token not in dump
        assert token[-24:] not in dump

    def test_s47_a_session_outlives_the_server(self, tmp_path: Path) -> None:
        """Stop and start the server: the refresh token from before is still good."""
        first = start_server(tmp_path)
        user = first.newcomer()
        assert first.process.stop() == 0
        first.process.start("/readyz")
        try:
            assert trade(first, user.tokens["refresh_token"]).status_code == 200
        finally:
            first.process.stop()

    def test_s48_an_ended_session_says_so(self, server: Server, user: User) -> None:
        """Its refresh token is refused from then on, and the audit log tells why it ended."""
        server.manage("session", "revoke", user.tokens["session_id"])
        refused = trade(server, user.tokens["refresh_token"])
        assert refused.status_code == 401
        assert refused.json()["error"] == "invalid_grant"
        admin = server.administrator(audience=server.url)
        events = server.http.get("/admin/v1/events", params={"user_id": user.id}, headers=admin.bearer)
        assert "session.ended" in {event["type"] for event in events.json()["items"]}

    def test_s49_a_refresh_token_is_good_once(self, tmp_path: Path) -> None:
        """The second use of a spent token ends the session: its newest tokens die too."""
        strict = start_server(tmp_path, WATCHWORD_REFRESH_REUSE_GRACE="0s")
        try:
            user = strict.newcomer()
            second = trade(strict, user.tokens["refresh_token"]).json()
            assert trade(strict, user.tokens["refresh_token"]).json()["error"] == "invalid_grant"
            assert trade(strict, second["refresh_token"]).status_code == 401
            bearer = {"Authorization": f"Bearer {second['access_token']}"}
            assert strict.http.get("/auth/me", headers=bearer).status_code == 401
        finally:
            strict.process.stop()

    def test_s49_a_lost_answer_is_forgiven(self, server: Server, user: User) -> None:
        """Within the grace the spent token gives the session's current tokens again, and nothing ends."""
        first = trade(server, user.tokens["refresh_token"])
        again = trade(server, user.tokens["refresh_token"])
        assert again.status_code == 200
        assert trade(server, again.json()["refresh_token"]).status_code == 200
        assert first.json()["session_id"] == again.json()["session_id"]

    def test_s61_a_client_needs_nothing_but_the_expiry(self, server: Server, user: User) -> None:
        """The answer says how long the token lives, so that a client never has to open it, nor holds a key."""
        claims = json.loads(jws.parse(user.tokens["access_token"]).payload)
        assert user.tokens["expires_in"] == claims["exp"] - claims["iat"]
