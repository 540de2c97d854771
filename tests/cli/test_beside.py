"""Commands beside a running server: they change the store, and what it serves changes with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.stage import PASSWORD, Shell
from tests.mission.stage import Server, User, start_server, within
from watchword.jose import jws


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("beside"), WATCHWORD_PASSWORD_HASH="test")
    yield running
    running.http.close()
    assert running.process.stop() == 0


@pytest.fixture
def shell(server: Server, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell that has the server's own settings."""
    monkeypatch.chdir(server.process.folder)
    return Shell(
        server.process.folder, {n: v for n, v in server.process.env.items() if n.startswith("WATCHWORD_")}
    )


def me(server: Server, user: User) -> int:
    return server.http.get("/auth/me", headers=user.bearer).status_code


def events(server: Server) -> list[dict[str, Any]]:
    root = server.administrator(audience=server.url)
    return list(server.http.get("/admin/v1/events", headers=root.bearer).json()["items"])


class TestUser:
    def test_a_ban_kills_the_live_token(self, server: Server, shell: Shell) -> None:
        """The next request is refused; the audit log says that it was the command line."""
        user = server.newcomer()
        assert me(server, user) == 200
        shell.json("user", "ban", user.email, "--reason", "left us")
        assert me(server, user) == 401
        assert (
            server.post_login(email=user.email, password=user.password).json()["error"] == "account_disabled"
        )
        event = next(event for event in events(server) if event["type"] == "user.banned")
        assert (event["actor"], event["user_id"]) == ("command-line", user.id)
        shell.json("user", "unban", user.email)
        assert me(server, user) == 401, "what died stays dead"
        assert me(server, server.login(user)) == 200

    def test_a_ban_that_ends(self, server: Server, shell: Shell) -> None:
        """The ban stands until its moment, and then the user logs in again without being unbanned."""
        user = server.newcomer()
        assert shell.json("user", "ban", user.email, "--until", "1s")["banned"] is True
        deadline = time.monotonic() + 20
        while server.post_login(email=user.email, password=user.password).status_code != 200:
            assert time.monotonic() < deadline

    def test_a_new_password_ends_all_sessions(self, server: Server, shell: Shell) -> None:
        """The old one is worthless at once, and so are the tokens."""
        user = server.newcomer()
        shell.json("user", "set-password", user.email, "--password-stdin", given="another-green-lantern\n")
        assert me(server, user) == 401
        assert server.post_login(email=user.email, password=user.password).status_code == 401
        assert server.post_login(email=user.email, password="another-green-lantern").status_code == 200

    def test_somebody_made_here_logs_in_there(self, server: Server, shell: Shell) -> None:
        """And one deleted here is gone there."""
        made = shell.json("user", "create", "cli@example.com", "--password-stdin", given=f"{PASSWORD}\n")
        user = server.login(User(made["id"], made["email"], PASSWORD))
        assert me(server, user) == 200
        shell.json("user", "delete", "cli@example.com", "--yes")
        assert me(server, user) == 401

    def test_a_role_reaches_the_next_token(self, server: Server, shell: Shell) -> None:
        """Role and scope given here stand in what is issued there."""
        user = server.register()
        shell.json("role", "set", "cashier", "--scope", "till:open")
        shell.json("user", "role", "add", user.email, "cashier")
        tokens = server.login(user).tokens
        assert "till:open" in tokens["scope"].split()
        assert "cashier" in tokens["user"]["roles"]


class TestSession:
    def test_who_is_in_and_out_again(self, server: Server, shell: Shell) -> None:
        """One session by its id, or all of a user; the tokens die with them."""
        user = server.login(server.register(), device="phone")
        other = server.login(User(user.id, user.email, user.password), device="laptop")
        listed = shell.json("session", "list", user.email)
        assert {session["device"] for session in listed} == {"phone", "laptop"}
        assert "phone" in shell.ok("session", "list", user.email).stdout
        session_id = str(user.tokens["session_id"])
        assert shell.json("session", "revoke", session_id) == {"ended": 1}
        assert (me(server, user), me(server, other)) == (401, 200)
        assert shell.json("session", "revoke", "--user", user.email) == {"ended": 1}
        assert me(server, other) == 401
        assert shell.json("session", "list", user.email) == []
        assert shell.json("session", "revoke", "--user", user.email) == {"ended": 0}
        assert shell.refused("session", "revoke", session_id) == "there is no such session"


class TestKey:
    def test_a_rotation_reaches_the_server(self, server: Server, shell: Shell) -> None:
        """The next token is signed by the key that waited; the one before stays good."""
        user = server.newcomer()
        waiting = next(key["kid"] for key in shell.json("key", "list") if key["state"] == "next")
        shell.json("key", "rotate", "--now")
        assert me(server, user) == 200
        fresh = server.newcomer()
        assert me(server, fresh) == 200
        assert jws.parse(fresh.tokens["access_token"]).kid == waiting
        shell.json("key", "compromise", waiting)
        within(5, server.http, "/auth/me", fresh, 401)
        assert waiting not in {key["kid"] for key in server.jwks()["keys"]}


class TestDatabase:
    def test_looking_does_not_disturb(self, server: Server, shell: Shell) -> None:
        """``db check``, ``db upgrade`` and ``user export`` while requests are served."""
        user = server.newcomer()
        assert shell.json("db", "check") == {"ok": True, "problems": []}
        assert shell.json("db", "upgrade") == {"applied": []}
        assert user.email in shell.ok("user", "export").stdout
        assert me(server, user) == 200
