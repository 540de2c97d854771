"""Connections as bytes: what is no HTTP, what is too much of it, and who takes too long."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest

from tests.server.stage import PASSWORD, Stage
from tests.server.wire import Wire, open_wire, parse, rest_of
from watchword.server.policies import WebPolicy
from watchword.server.web.dispatch import Dispatcher
from watchword.server.web.request import Request
from watchword.server.web.responses import Response
from watchword.server.web.route import Route

pytestmark = pytest.mark.anyio

SHORT = WebPolicy(
    head=timedelta(seconds=0.3),
    body=timedelta(seconds=0.3),
    unread=timedelta(seconds=0.3),
    idle=timedelta(seconds=1),
    connections=1_500,
)
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
KEYS = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n\r\n"
LOGIN = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with open_wire() as opened:
        yield opened


@pytest.fixture
async def hasty() -> AsyncIterator[Wire]:
    """A server whose clients get a third of a second."""
    async with open_wire(SHORT) as opened:
        yield opened


class TestForm:
    @pytest.mark.parametrize(
        "raw",
        [
            b"GARBAGE\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"GET /healthz\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A : b\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: b\0c\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n folded: b\r\n\r\n",
            LOGIN + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            LOGIN + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
            LOGIN + b"Content-Length: 2, 2\r\n\r\n{}",
            LOGIN + b"Content-Length: +2\r\n\r\n{}",
            LOGIN + b"Content-Length: 2_0\r\n\r\n{}",
            LOGIN + b"Content-Length: -1\r\n\r\n",
            LOGIN + b"Content-Length: 0x2\r\n\r\n{}",
            LOGIN + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            LOGIN + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            LOGIN + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            LOGIN + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
            LOGIN + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n",
        ],
    )
    async def test_attack_a23_a_request_that_two_readers_could_read_apart_is_none(
        self, wire: Wire, raw: bytes
    ) -> None:
        """400 as a problem document, the connection closed, and nothing after it is taken for a request."""
        answers = await wire.send(raw + LAST)
        assert [answer.status for answer in answers] == [400]
        (answer,) = answers
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["connection"] == "close"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert json.loads(answer.body)["error"] == "invalid_request"

    @pytest.mark.parametrize(
        ("raw", "status"),
        [
            (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n", 404),
            (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n", 400),
            (b"GET http:// HTTP/1.1\r\nHost: x\r\n", 400),
            (b"GET ?x HTTP/1.1\r\nHost: x\r\n", 400),
            (b"GET /\xff HTTP/1.1\r\nHost: x\r\n", 400),
            (b"PRI * HTTP/2.0\r\nHost: x\r\n", 400),
            (b"GET /auth/me?%zz=%%% HTTP/1.1\r\nHost: x\r\n", 401),
            (b"GET /auth/me HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n", 401),
            (b"GET /auth/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n", 401),
            (b"GET /auth/me HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: \xff\r\nOrigin: \xff\r\n", 401),
            (b"POST /setup HTTP/1.1\r\nHost: x\r\nOrigin: http://[\r\nContent-Length: 0\r\n", 415),
            (LOGIN + b"Content-Type: text/plain\r\nContent-Length: 2\r\n", 400),
            (LOGIN + b"Content-Length: 99999999999999999999\r\n", 400),
        ],
    )
    async def test_attack_a56_an_odd_request_is_refused_by_name(
        self, wire: Wire, raw: bytes, status: int
    ) -> None:
        """A 4xx as a problem document, never 500 and never silence."""
        (answer,) = await wire.send(raw + b"Connection: close\r\n\r\n{}")
        assert answer.status == status
        assert answer.headers["content-type"] == "application/problem+json"

    async def test_pipelined_requests_are_answered_in_turn(self, wire: Wire) -> None:
        """And a broken one among them gets no answer out of turn."""
        found = await wire.send(KEYS + LAST)
        assert [answer.status for answer in found] == [200, 200]
        assert (b"keys" in found[0].body, b"ok" in found[1].body) == (True, True)
        found = await wire.send(KEYS + b"GARBAGE\r\n\r\n")
        assert [answer.status for answer in found] in ([], [200], [200, 400])

    async def test_req_s16_an_absolute_or_encoded_address_is_the_same_route(self, wire: Wire) -> None:
        """Decoded once: what is encoded twice is something else."""
        for path, status in (
            ("http://evil.example/auth/me", 401),
            ("/auth/m%65", 401),
            ("/%61dmin/v1/users", 401),
            ("/auth%2Fme", 401),
            ("/auth/m%2565", 404),
            ("/auth/me%00", 404),
            ("/auth/me;x", 404),
            ("/auth//me", 404),
            ("/auth/./me", 404),
            ("/x/../auth/me", 404),
            ("/auth/me%20", 404),
            ("/auth/me#x", 401),
        ):
            answer = await wire.ask(f"GET {path} HTTP/1.1")
            assert answer.status == status, (path, answer.status)


class TestAnswer:
    async def test_it_is_on_the_wire_what_it_is_in_asgi(self, wire: Wire) -> None:
        """The one write of a whole answer loses no field and adds the date alone."""
        for method, path in (
            ("GET", "/healthz"), ("HEAD", "/healthz"), ("GET", "/canary"), ("OPTIONS", "/auth/me"),
            ("GET", "/auth/me"), ("POST", "/auth/logout"), ("GET", "/.well-known/jwks.json"),
        ):  # fmt: skip
            sent = await wire.ask(
                f"{method} {path} HTTP/1.1\nOrigin: https://app.example.com\nContent-Length: 0"
            )
            told = await wire.stage.http.request(
                method, path, headers={"Origin": "https://app.example.com", "Content-Length": "0"}
            )
            assert (sent.status, sent.body) == (told.status_code, told.content)
            assert sent.headers.pop("date").endswith(" GMT")
            assert sent.headers.pop("connection") == "close"
            assert len(sent.headers.pop("x-request-id")) == len(told.headers.pop("x-request-id")) == 16
            assert sent.headers == dict(told.headers)

    async def test_a_connection_goes_on_until_one_of_the_two_ends_it(self, wire: Wire) -> None:
        """HTTP/1.1 stays, HTTP/1.0 and ``Connection: close`` end with their answer, which says so."""
        old = b"GET /healthz HTTP/1.0\r\n\r\n"
        for last in (LAST, old):
            first, second, end = await wire.send(GET, GET, last)
            assert "connection" not in first.headers
            assert "connection" not in second.headers
            assert end.headers["connection"] == "close"

    async def test_a_text_with_a_line_break_makes_no_field(self, stage: Stage) -> None:
        """Whatever an endpoint puts into a field, it is one field or a fault (response splitting)."""

        async def split(services: object, request: Request) -> Response:
            return Response(204, media_type="", headers={"X-Name": "a\r\nSet-Cookie: b=c"})

        routes = [Route("GET", "/split", split, "")]
        app = Dispatcher(routes, None, WebPolicy(), stage.app.observer, https=False)
        with pytest.raises(ValueError, match="control character"):
            await httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://x").get("/split")

    async def test_names_of_requests_do_not_come_again(self, wire: Wire) -> None:
        """They are drawn many at a time, and each is given once."""
        answers = await wire.send(*[GET] * 200, LAST)
        assert len({answer.headers["x-request-id"] for answer in answers}) == 201


class TestSize:
    @pytest.mark.parametrize("size", [40_000, 1_000_000, 10_000_000])
    async def test_attack_a21_a_head_beyond_32_kib_is_431(self, wire: Wire, size: int) -> None:
        """However it comes: one long field, many short ones, a long address, one piece or thousands."""
        token = b"a" * size
        for head in (
            b"GET /auth/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + b"\r\n\r\n",
            b"GET /auth/me HTTP/1.1\r\nHost: x\r\n" + b"X-Field: y\r\n" * (size // 12) + b"\r\n",
            b"GET /" + token + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        ):
            reader, writer = await wire.connect()
            try:
                for start in range(0, len(head), 50_000):
                    writer.write(head[start : start + 50_000])
                    await writer.drain()
            except ConnectionError:
                pass
            try:
                raw = await reader.read()
            except ConnectionError:
                raw = b""  # the answer may be lost where bytes still come in
            writer.close()
            for answer in parse(raw):
                assert answer.status == 431
                assert json.loads(answer.body)["error"] == "header_fields_too_large"
            assert raw or size > 1_000_000

    @pytest.mark.parametrize(
        "before", [KEYS * 1_000, LOGIN + b"Content-Length: 40000\r\n\r\n" + b"x" * 40_000]
    )
    async def test_what_comes_before_a_head_is_not_its_size(self, wire: Wire, before: bytes) -> None:
        """Requests, and a body, that were read together with the beginning of the next one."""
        reader, writer = await wire.connect()
        writer.write(before + LAST[:30])
        raw = await reader.readuntil(b"\r\n\r\n")
        writer.write(LAST[30:])
        answers = parse(raw + await rest_of(reader))
        writer.close()
        assert len(answers) == before.count(b"HTTP/1.1") + 1
        assert {answer.status for answer in answers[:-1]} in ({200}, {400})
        assert answers[-1].status == 200

    async def test_attack_a21_a_head_is_measured_behind_others_too(self, wire: Wire) -> None:
        """It came with the end of another request: whole, in two pieces, or without an end."""
        field = b"GET /auth/me HTTP/1.1\r\nHost: x\r\nX-A: "
        for pieces in (
            (KEYS + field + b"a" * 40_000 + b"\r\n\r\n",),
            (KEYS + field + b"a" * 40_000, b"a\r\n\r\n"),
            (KEYS + field + b"a" * 40_000, b"a" * 40_000),
        ):
            reader, writer = await wire.connect()
            writer.write(pieces[0])
            raw = await reader.readuntil(b"}]}")
            for piece in pieces[1:]:
                writer.write(piece)
            answers = parse(raw + await rest_of(reader))
            writer.close()
            assert [answer.status for answer in answers] == [200, 431]

    async def test_attack_a21_a_token_of_30_kib_is_refused_as_a_token(self, wire: Wire) -> None:
        """It fits into a head, and is no token."""
        answer = await wire.ask(f"GET /auth/me HTTP/1.1\nAuthorization: Bearer {'a' * 30_000}")
        assert answer.status == 401
        assert json.loads(answer.body)["error"] == "invalid_token"

    async def test_a_large_body_behind_a_small_head_is_the_body_s_business(self, wire: Wire) -> None:
        """413, not 431."""
        body = b"x" * 70_000
        answer = await wire.ask(
            f"POST /auth/login HTTP/1.1\nContent-Type: application/json\nContent-Length: {len(body)}", body
        )
        assert answer.status == 413

    async def test_one_connection_too_many_is_told_to_come_back(self) -> None:
        """503 with ``Retry-After``, and those who are in are served."""
        async with open_wire(WebPolicy(connections=2)) as wire:
            first, other = await wire.connect(), await wire.connect()
            (answer,) = await wire.send(LAST)
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            first[1].write(LAST)
            (answer,) = parse(await first[0].read())
            assert answer.status == 200
            for _, writer in (first, other):
                writer.close()


class TestTime:
    async def test_attack_a64_a_head_in_drops_ends(self, hasty: Wire) -> None:
        """408 by the deadline, however often a byte comes."""

        async def drip(piece: bytes) -> list[int]:
            reader, writer = await hasty.connect()
            end = asyncio.ensure_future(rest_of(reader))
            writer.write(b"GET /healthz HTTP/1.1\r\n")
            while not end.done():
                writer.write(piece)
                await asyncio.wait([end], timeout=0.02)
            writer.close()
            return [answer.status for answer in parse(await end)]

        async with asyncio.timeout(5):
            assert await drip(b"X-A: b\r\n") == [408]
            assert await drip(b"X") == [408]

    async def test_attack_a64_who_says_nothing_is_let_go(self, hasty: Wire) -> None:
        """Neither silence nor line breaks hold a connection."""
        for piece in (b"", b"\r\n"):
            reader, writer = await hasty.connect()
            end = asyncio.ensure_future(rest_of(reader))
            async with asyncio.timeout(5):
                while not end.done():
                    writer.write(piece)
                    await asyncio.wait([end], timeout=0.02)
            assert await end == b""
            writer.close()

    async def test_attack_a64_a_body_in_drops_ends(self, hasty: Wire) -> None:
        """408, for an endpoint and for an alias of it; a body that nobody reads ends, too."""
        for path in (b"/auth/login", b"/api/users-sessions", b"/healthz"):
            head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            reader, writer = await hasty.connect()
            end = asyncio.ensure_future(rest_of(reader))
            writer.write(head + b"Content-Length: 5000\r\n\r\n{")
            async with asyncio.timeout(5):
                while not end.done():
                    writer.write(b" ")
                    await asyncio.wait([end], timeout=0.02)
            writer.close()
            assert [answer.status for answer in parse(await end)] == [405 if path == b"/healthz" else 408]

    async def test_attack_a64_a_pause_between_requests_is_short(self, hasty: Wire) -> None:
        """A connection that was useful is kept for a second request, and then closed."""
        reader, writer = await hasty.connect()
        for _ in range(2):
            writer.write(GET)
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()

    async def test_attack_a64_who_does_not_read_is_let_go(self, hasty: Wire) -> None:
        """A client that asks and asks and takes nothing loses its connection; nothing piles up for it."""
        _, writer = await hasty.connect(limit=1024)

        async def ask() -> None:
            while True:
                writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
                await writer.drain()

        async with asyncio.timeout(10):
            with pytest.raises(ConnectionError):
                await ask()
        writer.close()

    async def test_attack_a64_a_thousand_idle_connections_starve_nobody(self, hasty: Wire) -> None:
        """Others are served meanwhile, and then all are closed."""
        idle = [await hasty.connect() for _ in range(450)]
        (answer,) = await hasty.send(LAST)
        assert answer.status == 200
        async with asyncio.timeout(10):
            assert {await reader.read() for reader, _ in idle} == {b""}
        for _, writer in idle:
            writer.close()

    async def test_a_listener_of_the_feed_is_not_idle(self, hasty: Wire) -> None:
        """A stream stays open past every deadline."""
        reader, writer = await hasty.connect()
        writer.write(b"GET /revocations/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        end = asyncio.ensure_future(reader.read(1_000_000))
        await asyncio.wait([end], timeout=0.05)
        for _ in range(20):
            if end.done():
                assert end.result() != b""
                end = asyncio.ensure_future(reader.read(1_000_000))
            await asyncio.wait([end], timeout=0.05)
        assert not reader.at_eof()
        end.cancel()
        writer.close()

    async def test_a_slow_answer_is_not_the_client_s_fault(self, hasty: Wire) -> None:
        """Deadlines are for bytes that a client owes; a log-in that waits for its hash owes none."""
        ada = await hasty.stage.somebody()
        body = json.dumps({"email": ada.email, "password": PASSWORD}).encode()
        head = LOGIN + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        (answer,) = await hasty.send(head, body)
        assert answer.status == 200
