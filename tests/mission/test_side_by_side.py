"""What a thief of one request has, by what its owner came with: a shared secret, a pair, a token, a signature."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import Any

import httpx2

from tests.mission.stage import Server, User
from tests.mission.test_credentials import CREDENTIALS
from watchword.protocol.basic import format_basic


class BasicApi:
    """An API as introductions have it: Basic, with a secret that it shares with each user."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        given = environ.get("HTTP_AUTHORIZATION", "")
        good = any(compare_digest(given, basic(name, secret)) for name, secret in self._secrets.items())
        start_response("200 OK" if good else "401 Unauthorized", [])
        return [b""]


def basic(name: str, secret: str) -> str:
    return f"Basic {format_basic(name, secret)}"


def heard(server: Server, payroll: httpx2.Client, user: User, name: str) -> dict[str, str]:
    """The fields of one ``GET /me`` with the credential of that name."""
    request = payroll.build_request("GET", "/me")
    CREDENTIALS[name](server, user)(request)
    return dict(request.headers)


class TestSideBySide:
    def test_s60_what_a_thief_of_one_request_has(
        self, server: Server, payroll: httpx2.Client, user: User
    ) -> None:
        """By the secret all and for good, by pair and token until they are taken back, by a signature nothing."""
        kept = {
            name: heard(server, payroll, user, name) for name in ("bearer", "temporary Basic", "signature")
        }
        secret = {"Authorization": basic(user.email, user.password)}
        door = httpx2.Client(
            transport=httpx2.WSGITransport(BasicApi({user.email: user.password})), base_url="http://basic"
        )

        def tries(path: str) -> dict[str, int]:
            found = {name: payroll.get(path, headers=fields).status_code for name, fields in kept.items()}
            return {"secret": door.get(path, headers=secret).status_code, **found}

        with door:
            # his own request, let in and not on the payroll; the thief, who sends the same; the thief, with another
            assert tries("/me") == {"secret": 200, "bearer": 404, "temporary Basic": 404, "signature": 404}
            assert tries("/me") == {"secret": 200, "bearer": 404, "temporary Basic": 404, "signature": 401}
            assert tries("/me?x=1") == {
                "secret": 200,
                "bearer": 404,
                "temporary Basic": 404,
                "signature": 401,
            }
            server.manage("user", "ban", user.email)
            dead = {"secret": 200, "bearer": 401, "temporary Basic": 401, "signature": 401}
            deadline = time.monotonic() + 2
            while (found := tries("/me")) != dead:
                assert time.monotonic() < deadline, found

    def test_s60_what_stands_in_what_a_thief_heard(
        self, server: Server, payroll: httpx2.Client, user: User
    ) -> None:
        """The account's password in none of them, and the server takes none of them for its owner's word."""
        for name in CREDENTIALS:
            fields = heard(server, payroll, user, name)
            assert user.password not in str(fields), name
            body = {"current_password": "guessed-guessed", "new_password": "seven-loud-lanterns"}
            sent = {field: value for field, value in fields.items() if field in ("authorization", "cookie")}
            assert server.http.post("/auth/password", json=body, headers=sent).status_code in (401, 403), name
