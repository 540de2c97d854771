"""From a request to a route and back: faults, cross-origin calls, bodies, log lines."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog

from tests.server.stage import ISSUER, PASSWORD, Stage, open_stage, problem
from watchword.server.policies import WebPolicy
from watchword.server.web.dispatch import Dispatcher
from watchword.server.web.observe import Observer, make_logger
from watchword.server.web.request import Request
from watchword.server.web.request_log import RequestLog
from watchword.server.web.responses import Response, json_response
from watchword.server.web.route import Route

pytestmark = pytest.mark.anyio

FRIEND = "https://app.example.com"


@pytest.fixture
async def friendly() -> AsyncIterator[Stage]:
    """A server that knows one origin."""
    async with open_stage(cors_origins=FRIEND) as opened:
        yield opened


async def broken(services: Any, request: Request) -> Response:
    raise RuntimeError("canary: SELECT password FROM users")


async def echo(services: Any, request: Request) -> Response:
    return json_response({"address": request.address})


class TestFaults:
    async def test_a_fault_is_told_to_the_log_alone(self, capsys: pytest.CaptureFixture[str]) -> None:
        """500 with the request's name and nothing of the fault; the log has both."""
        routes = (Route("GET", "/broken", broken, "A fault"),)
        observer = Observer(make_logger("json"), RequestLog("json", sys.stderr))
        app = Dispatcher(routes, None, WebPolicy(), observer, True, token_bytes=bytes)
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=ISSUER) as http:
            answer = await http.get("/broken")
        await asyncio.sleep(0)
        document = problem(answer, 500, "server_error")
        name = answer.headers["x-request-id"]
        assert name == "00" * 8
        assert name in document["detail"]
        assert "canary" not in answer.text
        fault, line = (json.loads(text) for text in capsys.readouterr().err.strip().split("\n"))
        assert (fault["event"], fault["id"], fault["kind"]) == ("fault", name, "RuntimeError")
        assert "canary" in fault["exception"]
        assert (line["event"], line["id"], line["status"]) == ("request", name, 500)

    async def test_attack_a59_a_fault_does_not_repeat_the_path(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A stranger wrote the path, and it may hold a token: the log has its route."""
        routes = (Route("GET", "/broken/{name}", broken, "A fault"),)
        app = Dispatcher(
            routes, None, WebPolicy(), Observer(make_logger("json"), RequestLog("json", sys.stderr)), True
        )
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=ISSUER) as http:
            problem(await http.get("/broken/wwr_token%0d%0a%1b%5b31m"), 500, "server_error")
        await asyncio.sleep(0)
        said = capsys.readouterr().err
        assert "wwr_token" not in said
        assert [json.loads(line)["route"] for line in said.splitlines()] == ["/broken/{name}"] * 2

    async def test_a_database_that_fails_is_503(self, tmp_path: Path) -> None:
        """With ``Retry-After`` and without a word of SQL; what needs no database goes on."""
        async with open_stage(database=f"sqlite:///{tmp_path}/watchword.db") as stage:
            ada = await stage.newcomer()
            with closing(sqlite3.connect(tmp_path / "watchword.db")) as other:
                other.execute("DROP TABLE sessions")
            for answer in (
                await stage.http.get("/auth/me", headers=ada.bearer),
                await stage.http.post("/auth/token", json={"refresh_token": ada.tokens["refresh_token"]}),
            ):
                problem(answer, 503, "temporarily_unavailable")
                assert answer.headers["retry-after"] == "1"
                assert "sessions" not in answer.text
            assert (await stage.http.get("/.well-known/jwks.json")).status_code == 200

    async def test_a_request_s_name_is_ours(self, stage: Stage) -> None:
        """Each has another, and a client's own is not taken: it would write into our log."""
        names = {
            (await stage.http.get("/healthz", headers={"X-Request-ID": "canary"})).headers["x-request-id"]
            for _ in range(3)
        }
        assert len(names) == 3
        assert "canary" not in names


class TestCors:
    async def test_a_known_origin_may_call_with_a_token_and_without_cookies(self, friendly: Stage) -> None:
        """Preflight and answer name it; credentials of the browser are never allowed along."""
        headers = {
            "Origin": FRIEND,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        }
        preflight = await friendly.http.options("/auth/login", headers=headers)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == FRIEND
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert "authorization" in preflight.headers["access-control-allow-headers"]
        assert "Origin" in preflight.headers["vary"]
        answer = await friendly.http.post("/auth/login", json={"password": "x"}, headers={"Origin": FRIEND})
        assert answer.status_code == 422
        assert answer.headers["access-control-allow-origin"] == FRIEND
        for found in (preflight, answer):
            assert "access-control-allow-credentials" not in found.headers

    @pytest.mark.parametrize(
        "origin",
        [
            "null",
            "https://evil.example",
            "https://app.example.com.evil.example",
            "https://evilapp.example.com",
            "https://sub.app.example.com",
            "http://app.example.com",
            "https://app.example.com:444",
            "HTTPS://APP.EXAMPLE.COM",
            "https://app.example.com/",
            "*",
            "",
        ],
    )
    async def test_attack_a66_no_other_origin_is_let_in(self, friendly: Stage, origin: str) -> None:
        """Not reflected, neither in the preflight nor in the answer."""
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        for method in ("OPTIONS", "POST"):
            answer = await friendly.http.request(method, "/auth/login", headers=headers)
            assert "access-control-allow-origin" not in answer.headers

    @pytest.mark.parametrize("path", ["/", "/docs", "/setup", "/static/watchword.css"])
    async def test_attack_a66_pages_are_for_nobody_else(self, friendly: Stage, path: str) -> None:
        """Not even for a known origin."""
        headers = {"Origin": FRIEND, "Access-Control-Request-Method": "GET"}
        for method in ("OPTIONS", "GET"):
            answer = await friendly.http.request(method, path, headers=headers)
            assert "access-control-allow-origin" not in answer.headers

    async def test_public_documents_are_for_everybody(self, stage: Stage) -> None:
        """Key set, metadata and feed carry nothing that is anybody's."""
        for path in ("/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/revocations"):
            answer = await stage.http.get(path, headers={"Origin": "https://anybody.example"})
            assert answer.headers["access-control-allow-origin"] == "*"

    async def test_a_preflight_for_a_patterned_path(self, friendly: Stage) -> None:
        """Each method of a path answers for itself."""
        headers = {"Origin": FRIEND, "Access-Control-Request-Method": "DELETE"}
        answer = await friendly.http.options("/auth/sessions/ses_x", headers=headers)
        assert answer.headers["access-control-allow-methods"] == "DELETE"


class TestAddress:
    async def last_address(self, stage: Stage, peer: str, *fields: str) -> str | None:
        """The address of a failed log-in, as the audit log has it."""
        async with stage.client(peer) as http:
            headers = [("X-Forwarded-For", field) for field in fields] + [
                ("Content-Type", "application/json")
            ]
            content = b'{"email": "a@example.com", "password": "x"}'
            await http.post("/auth/login", content=content, headers=headers)
        address: str | None = (await stage.events("login.failed"))[0].address
        return address

    async def test_attack_a47_a_stranger_s_word_is_not_believed(self, stage: Stage) -> None:
        """Without trusted proxies the field is ignored."""
        assert await self.last_address(stage, "192.0.2.1", "203.0.113.9") == "192.0.2.1"

    @pytest.mark.parametrize(
        ("peer", "fields", "address"),
        [
            ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", ["1.1.1.1", "203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", ["2001:db8::7"], "2001:db8::7"),
            ("10.0.0.1", ["garbage, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", ["203.0.113.9, garbage"], "10.0.0.1"),
            ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", [], "10.0.0.1"),
            ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ],
    )
    async def test_a_trusted_proxy_s_word_is(self, peer: str, fields: list[str], address: str) -> None:
        """From the right, past the proxies, to the first address that is none."""
        async with open_stage(trusted_proxies="10.0.0.0/8") as stage:
            assert await self.last_address(stage, peer, *fields) == address

    async def test_attack_a46_one_address_sprays_only_so_far(self) -> None:
        """A hundred failures from one address stop the next, whatever account; another address goes on."""
        async with open_stage(trusted_proxies="10.0.0.0/8", login_attempts_per_address="20") as stage:
            ada = await stage.somebody()
            async with stage.client("10.0.0.1") as http:
                for number in range(20):
                    body = {"email": f"victim{number}@example.com", "password": "x"}
                    headers = {"X-Forwarded-For": f"198.51.100.{number}, 203.0.113.9"}
                    problem(
                        await http.post("/auth/login", json=body, headers=headers), 401, "invalid_credentials"
                    )
                body = {"email": ada.email, "password": PASSWORD}
                sprayer = {"X-Forwarded-For": "203.0.113.9"}
                answer = await http.post("/auth/login", json=body, headers=sprayer)
                assert int(problem(answer, 429, "too_many_requests")["status"]) == 429
                other = {"X-Forwarded-For": "203.0.113.10"}
                assert (await http.post("/auth/login", json=body, headers=other)).status_code == 200


class TestConfidential:
    @pytest.mark.parametrize(
        ("peer", "fields", "status"),
        [
            ("127.0.0.1", {}, 200),
            ("127.0.0.9", {}, 200),
            ("::1", {}, 200),
            ("::ffff:127.0.0.1", {}, 200),
            ("192.0.2.1", {}, 403),
            ("192.0.2.1", {"X-Forwarded-Proto": "https"}, 403),
            ("192.0.2.1", {"X-Forwarded-For": "127.0.0.1"}, 403),
            ("10.0.0.1", {}, 200),
            ("10.0.0.1", {"X-Forwarded-Proto": "https"}, 200),
            ("10.0.0.1", {"X-Forwarded-Proto": "http"}, 403),
            ("10.0.0.1", {"X-Forwarded-Proto": "https, HTTP"}, 403),
        ],
    )
    async def test_req_o22_plain_http_is_for_this_machine_and_trusted_proxies(
        self, peer: str, fields: dict[str, str], status: int
    ) -> None:
        """A password or token that others could read on the way is not taken, whoever says that it was safe."""
        async with open_stage(trusted_proxies="10.0.0.0/8") as stage:
            ada = await stage.newcomer()
            async with stage.client(peer, base_url="http://auth.example.com") as http:
                answer = await http.get("/auth/me", headers={**ada.bearer, **fields})
                assert answer.status_code == status, answer.text
                if status == 403:
                    problem(answer, 403, "access_denied")
                for probe in ("/healthz", "/readyz"):
                    assert (await http.get(probe, headers=fields)).status_code == 200
            async with stage.client(peer) as https:
                if status == 200 or peer == "192.0.2.1":
                    assert (await https.get("/auth/me", headers={**ada.bearer})).status_code == 200

    async def test_an_issuer_on_this_machine_needs_no_tls_at_its_proxy(self) -> None:
        """A developer's proxy on loopback says ``http``, and that is right."""
        here = "http://localhost:8080"
        async with (
            open_stage(issuer=here, trusted_proxies="127.0.0.1") as stage,
            stage.client("127.0.0.1", base_url=here) as http,
        ):
            assert (await http.get("/", headers={"X-Forwarded-Proto": "http"})).status_code == 200


class TestAccept:
    @pytest.mark.parametrize(
        ("accept", "status"),
        [
            (None, 200),
            ("*/*", 200),
            ("*", 200),
            ("", 406),
            ("application/json", 200),
            ("APPLICATION/JSON; charset=utf-8", 200),
            ("application/*;q=0.1", 200),
            ("text/html, */*;q=0.8", 200),
            ("text/html", 406),
            ("application/jsonp", 406),
            ("application/json;q=0", 406),
            ("application/json;q=0.0, */*", 406),
            ("*/*;q=0, application/json", 200),
            ("application/json;q=x", 200),
            pytest.param(",".join(["text/html"] * 200), 200, id="too long to be read"),
        ],
    )
    async def test_req_s16_a_form_that_nobody_wants_is_not_sent(
        self, stage: Stage, accept: str | None, status: int
    ) -> None:
        """406 where ``Accept`` leaves nothing; a refusal is a problem document in any case."""
        ada = await stage.newcomer()
        headers = dict(ada.bearer)
        if accept is not None:
            headers["Accept"] = accept
        answer = await stage.http.get("/auth/me", headers=headers)
        assert answer.status_code == status, answer.text
        if status == 406:
            problem(answer, 406, "not_acceptable")

    async def test_what_is_no_json_comes_as_it_is(self, stage: Stage) -> None:
        """Pages, the feed and counters have one form; 204 has none."""
        ada = await stage.newcomer()
        headers = {**ada.bearer, "Accept": "application/json"}
        for path in ("/", "/docs", "/metrics", "/revocations", "/static/watchword.css"):
            assert (await stage.http.get(path, headers=headers)).status_code == 200
        headers["Accept"] = "text/html"
        assert (await stage.http.post("/auth/logout", headers=headers)).status_code == 204


class TestBody:
    async def send(self, stage: Stage, chunks: int, *, announce: int | None = None) -> tuple[int, int]:
        """A chunked log-in that never ends by itself: the status, and how many chunks were read."""
        read, statuses = 0, []

        async def receive() -> dict[str, Any]:
            nonlocal read
            read += 1
            if read > chunks:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": b"x" * 1024, "more_body": True}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        headers = [(b"content-type", b"application/json")]
        if announce is not None:
            headers.append((b"content-length", str(announce).encode()))
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/auth/login",
            "scheme": "https",
            "query_string": b"",
            "headers": headers,
            "client": ("192.0.2.1", 1),
        }
        await stage.app(scope, receive, send)
        return statuses[0], read

    async def test_attack_a63_a_body_without_end_is_left_at_the_limit(self, stage: Stage) -> None:
        """413 after 64 KiB; the rest is never read."""
        assert await self.send(stage, 10_000) == (413, 65)

    async def test_attack_a63_an_announced_flood_is_not_read_at_all(self, stage: Stage) -> None:
        """413 by its ``Content-Length`` alone."""
        assert await self.send(stage, 10_000, announce=100_000_000) == (413, 0)

    async def test_a_body_that_breaks_off(self, stage: Stage) -> None:
        """400, and no fault."""
        assert (await self.send(stage, 3))[0] == 400

    async def test_attack_a48_a_password_of_a_megabyte_is_not_hashed(self, stage: Stage) -> None:
        """413 at log-in and at registration."""
        for path in ("/auth/login", "/auth/register"):
            answer = await stage.http.post(path, json={"email": "a@example.com", "password": "x" * 1_000_000})
            problem(answer, 413, "content_too_large")

    async def test_attack_a63_a_compressed_body_is_refused(self, stage: Stage) -> None:
        """415: nothing is ever unpacked."""
        for coding in ("gzip", "br", "deflate", "gzip, identity"):
            headers = {"Content-Type": "application/json", "Content-Encoding": coding}
            answer = await stage.http.post("/auth/login", content=b"{}", headers=headers)
            problem(answer, 415, "unsupported_media_type")

    async def test_a_charset_in_the_media_type_is_no_fault(self, stage: Stage) -> None:
        """``application/json; charset=utf-8`` is what many clients send."""
        ada = await stage.somebody()
        content = json.dumps({"email": ada.email, "password": PASSWORD})
        for media_type in ("application/json; charset=utf-8", "Application/JSON"):
            answer = await stage.http.post(
                "/auth/login", content=content, headers={"Content-Type": media_type}
            )
            assert answer.status_code == 200


class TestLog:
    async def test_attack_a59_a_stranger_s_text_is_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Line breaks, escapes and right-to-left marks come out escaped, in both forms."""
        hostile = 'x\r\nfake line\x1b[31m\u202e\u2066\u2028\x00"'
        for form in ("json", "console"):
            make_logger(form).info("said", text=hostile)
            text = capsys.readouterr().err
            assert text.count("\n") == 1
            for raw in ("\r", "\x00", "\x1b", "\u202e", "\u2066", "\u2028"):
                assert raw not in text

    async def test_a_line_without_colors_is_that_of_the_library(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The same columns, order and quotes, with and without a traceback."""
        logger = make_logger("console")
        values = {
            "zone": "b c",
            "number": 1,
            "none": None,
            "equal": "a=b",
            "empty": "",
            "list": ["x"],
            "quoted": "'",
        }
        logger.info("a request", **values)
        try:
            raise ValueError("a fault")
        except ValueError as fault:
            logger.error("an event whose name is longer than its column is", exc_info=fault)
        plain = structlog.dev.ConsoleRenderer(colors=False)
        first, *second = capsys.readouterr().err.splitlines()
        told = {"timestamp": first.split(" ", 1)[0], "level": "info", "event": "a request", **values}
        assert first == plain(None, "info", told)
        assert second[0].endswith(" [error    ] an event whose name is longer than its column is")
        assert second[1] == "Traceback (most recent call last):"
        assert second[-1] == "ValueError: a fault"

    async def test_a_request_is_a_line_without_secrets(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Route, status, time and who; no path, no query, no token, no password."""
        async with open_stage(log_requests="true") as stage:
            ada = await stage.newcomer()
            await asyncio.sleep(0)
            capsys.readouterr()
            await stage.http.delete("/auth/sessions/ses_canary?x=canary", headers=ada.bearer)
            await stage.post_login(email=ada.email, password="canary")
            await stage.http.get("/canary?token=canary", headers={"User-Agent": "canary"})
        text = capsys.readouterr().err
        ended, login, nowhere = (json.loads(line) for line in text.strip().split("\n"))
        assert (ended["route"], ended["status"], ended["user"]) == ("/auth/sessions/{id}", 404, ada.id)
        assert (login["route"], login["status"], login["address"]) == ("/auth/login", 401, "192.0.2.1")
        assert nowhere["status"] == 404
        assert "canary" not in text
        assert ada.tokens["access_token"] not in text
