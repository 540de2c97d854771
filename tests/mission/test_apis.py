"""At the API: how a token travels, who is let in, and what a request costs."""

from __future__ import annotations

import json
import sys
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.mission.stage import Server, User, start_payroll, start_server, within
from watchword import Guard
from watchword.errors import InvalidToken

ORDER = {"employee_id": 7, "month": "2026-01", "amount_cents": 250_000}


class TestTransport:
    def test_s27_the_token_travels_in_the_header(self, payroll: httpx2.Client, user: User) -> None:
        """``Authorization: Bearer`` is how, without anything to configure."""
        assert payroll.get("/me", headers=user.bearer).status_code == 404
        assert payroll.get("/me").status_code == 401

    def test_s28_a_token_in_the_url_is_refused(self, payroll: httpx2.Client, user: User) -> None:
        """A query lands in logs and histories: 400, even beside a good header."""
        query = {"access_token": user.tokens["access_token"]}
        for headers in ({}, user.bearer):
            answer = payroll.get("/me", params=query, headers=headers)
            assert answer.status_code == 400
            assert 'error="invalid_request"' in answer.headers["www-authenticate"]

    def test_s30_missing_and_invalid_are_401(self, payroll: httpx2.Client, user: User) -> None:
        """No token: a bare challenge. A bad one: the challenge says so, and the body is a document."""
        missing = payroll.get("/me")
        assert missing.status_code == 401
        assert missing.headers["www-authenticate"].startswith("Bearer")
        assert "error=" not in missing.headers["www-authenticate"]
        bad = payroll.get("/me", headers={"Authorization": "Bearer nonsense"})
        assert bad.status_code == 401
        assert 'error="invalid_token"' in bad.headers["www-authenticate"]
        assert bad.json()["error"] == "invalid_token"

    @pytest.mark.anyio
    async def test_s30_the_simple_body(self, server: Server) -> None:
        """An API may answer with ``error`` and ``message``, as simple clients expect."""
        from watchword.frameworks.asgi import protect

        async def app(scope: object, receive: object, send: object) -> None:
            raise AssertionError("never reached")

        guarded = protect(Guard(server.url, keys=server.jwks()), body="simple")(app)
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=guarded), base_url="http://api"
        ) as client:
            answer = await client.get("/", headers={"Authorization": "Bearer nonsense"})
        assert answer.status_code == 401
        assert answer.json() == {"error": "Unauthorized", "message": "Invalid or expired token"}

    def test_s31_a_public_route_needs_no_token(self, payroll: httpx2.Client) -> None:
        """A route without ``protect`` is open; those with it are not."""
        assert payroll.get("/health").status_code == 200
        assert payroll.get("/employees").status_code == 401

    def test_s32_who_am_i(self, server: Server, user: User) -> None:
        """The profile of the token's owner, under the server's name and under the lesson's."""
        for path in ("/auth/me", "/profile"):
            answer = server.http.get(path, headers=user.bearer)
            assert answer.json()["email"] == user.email


class TestRights:
    def test_s34_users_read_and_administrators_pay(
        self, server: Server, payroll: httpx2.Client, user: User
    ) -> None:
        """A normal user sees his own data and is refused the payment; an administrator edits and pays."""
        root = server.administrator()
        assert payroll.post("/payments", json=ORDER, headers=user.bearer).status_code == 403
        tie = {"user_id": user.id}
        assert payroll.patch("/employees/11", json=tie, headers=root.bearer).status_code == 200
        assert payroll.get("/me", headers=user.bearer).json()["id"] == 11
        assert payroll.patch("/employees/11", json={"name": "Rich"}, headers=user.bearer).status_code == 403
        assert payroll.post("/payments", json=ORDER, headers=root.bearer).status_code == 201

    def test_s26_what_a_client_shows_is_no_right(
        self, server: Server, payroll: httpx2.Client, user: User
    ) -> None:
        """A page may show its payment button by the claim admin; who makes it show the button pays nobody."""
        header, payload, signature = user.tokens["access_token"].split(".")
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        assert claims["admin"] is False
        shown = urlsafe_b64encode(json.dumps({**claims, "admin": True}).encode()).rstrip(b"=").decode()
        edited = {"Authorization": f"Bearer {header}.{shown}.{signature}"}
        assert payroll.post("/payments", json=ORDER, headers=user.bearer).status_code == 403
        assert payroll.post("/payments", json=ORDER, headers=edited).status_code == 401

    def test_s35_the_payload_says_what_is_allowed(self, server: Server) -> None:
        """Roles and scope stand in the token; a log-in may ask for less scope, never for more."""
        user = server.register()
        less = server.login(user, scope="profile")
        principal = Guard(server.url, keys=server.jwks()).verify(less.tokens["access_token"])
        assert set(principal.scope) == {"profile"}
        assert "user" in principal.roles
        beyond = server.post_login(email=user.email, password=user.password, scope="watchword:admin")
        assert beyond.status_code == 422
        assert beyond.json()["error"] == "invalid_scope"

    def test_s35_a_new_role_reaches_a_live_token(
        self, server: Server, payroll: httpx2.Client, user: User
    ) -> None:
        """The same token is refused, then allowed, then refused again, as the role comes and goes."""
        assert payroll.get("/employees", headers=user.bearer).status_code == 403
        server.manage("user", "role", "add", user.email, "admin")
        within(2, payroll, "/employees", user, 200)
        server.manage("user", "role", "remove", user.email, "admin")
        within(2, payroll, "/employees", user, 403)

    def test_s23_a_token_is_for_its_issuer_and_its_api(self, server: Server, tmp_path: Path) -> None:
        """Public keys let several APIs check one issuer's tokens, each its own audience; another issuer's fail."""
        server.manage("api", "create", "reports")
        user = server.login(server.register(), audience="reports")
        token = user.tokens["access_token"]
        assert Guard(server.url, "reports", keys=server.jwks()).verify(token).subject == user.id
        with pytest.raises(InvalidToken):
            Guard(server.url, "api", keys=server.jwks()).verify(token)
        with pytest.raises(InvalidToken):
            Guard("https://other.example.com", "reports", keys=server.jwks()).verify(token)


class TestAlone:
    def test_s24_the_api_goes_on_without_the_server(self, tmp_path: Path) -> None:
        """With the server stopped good tokens pass, revoked ones stay refused."""
        server = start_server(tmp_path / "server")
        api = start_payroll(tmp_path / "api", server.url)
        try:
            with httpx2.Client(base_url=api.url) as payroll:
                good, banned = server.newcomer(), server.newcomer()
                assert payroll.get("/me", headers=banned.bearer).status_code == 404
                server.manage("user", "ban", banned.email, "--reason", "test")
                within(2, payroll, "/me", banned, 401)
                assert server.process.stop() == 0
                assert payroll.get("/me", headers=good.bearer).status_code == 404
                assert payroll.get("/me", headers=banned.bearer).status_code == 401
        finally:
            api.stop()

    def test_s36_each_request_stands_alone(self, server: Server, tmp_path: Path, user: User) -> None:
        """An API that has just started, and has never seen the user, serves the very first request."""
        api = start_payroll(tmp_path / "api", server.url)
        try:
            for _ in range(3):
                with httpx2.Client(base_url=api.url) as fresh:
                    answer = fresh.get("/me", headers=user.bearer)
                    assert answer.status_code == 404
                    assert "set-cookie" not in answer.headers
        finally:
            api.stop()

    def test_s37_a_request_costs_no_query_and_no_connection(self, server: Server, user: User) -> None:
        """A thousand verifications on a live guard open no file and no socket."""
        guard = Guard(server.url)
        try:
            guard.verify(user.tokens["access_token"])
            other = server.newcomer().tokens["access_token"]
            seen: list[str] = []
            watching = True
            here = threading.get_ident()  # the guard listens in a thread of its own, and that one may read

            def hook(event: str, _: object) -> None:
                if (
                    watching
                    and threading.get_ident() == here
                    and event.startswith(("socket.", "open", "sqlite3."))
                ):
                    seen.append(event)

            sys.addaudithook(hook)
            for _ in range(1000):
                guard.verify(user.tokens["access_token"])
                guard.verify(other)
            watching = False
            assert seen == []
        finally:
            guard.close()

    @pytest.mark.anyio
    async def test_s68_protection_is_five_lines(self, server: Server, user: User) -> None:
        """A library instead of code of one's own: five lines are a whole app in which no route is open."""
        source = [
            "from fastapi import Depends, FastAPI",
            "from watchword import Guard",
            "from watchword.frameworks.fastapi import protect",
            f"guard = Guard({server.url!r})",
            "app = FastAPI(dependencies=[Depends(protect(guard))])",
        ]
        names: dict[str, Any] = {}
        exec("\n".join(source), names)
        names["app"].get("/secret")(lambda: "told")
        transport = httpx2.ASGITransport(app=names["app"])
        async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
            assert (await client.get("/secret")).status_code == 401
            assert (await client.get("/secret", headers=user.bearer)).json() == "told"
        names["guard"].close()


class TestLifetimes:
    @pytest.mark.parametrize(("life", "warned"), [("20m", False), ("8h", True)])
    def test_s18_the_life_of_a_token_is_a_setting(self, tmp_path: Path, life: str, warned: bool) -> None:
        """Twenty minutes or eight hours; a working day is allowed and said to be long."""
        server = start_server(tmp_path, WATCHWORD_ACCESS_TOKEN_TTL=life)
        try:
            seconds = {"20m": 1200, "8h": 28_800}[life]
            assert server.newcomer().tokens["expires_in"] == seconds
            assert ("access_token_ttl" in server.process.log.read_text()) is warned
        finally:
            server.process.stop()
