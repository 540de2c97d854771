"""Framing on the wire: no byte of a body is ever read as a request, whatever form of HTTP it comes in."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tests.server.stage import PASSWORD, open_stage
from tests.server.wire import Answer, Wire, open_wire, parse, rest_of

pytestmark = pytest.mark.anyio

TOP = Path(__file__).resolve().parents[3]
OFFERS = (
    b"Connection: Upgrade\r\nUpgrade: foo\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZQ==\r\nsec-websocket-version: 8\r\n",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    b"HTTP2-Settings: AAMAAABk\r\nUpgrade: h2c\r\nConnection: HTTP2-Settings, Upgrade\r\n",
    b"Connection: keep-alive\r\nConnection: UPGRADE\r\nUpgrade: WebSocket, h2c, foo/1.1\r\n",
    b"Connection: keep-alive, Upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n",
    b"CONNECTION:\tuPgRaDe\t\r\nUPGRADE:\tfoo \r\n",
    b"Upgrade: TLS/1.0\r\nConnection: Upgrade\r\nExpect: something\r\n",
    b"Connection: upgrade\r\nUpgrade:\r\n",
    b"Connection: upgrade\r\nUpgrade: \r\n",
    b"Connection: upgrade\r\n",
    b"Upgrade: websocket\r\n",
    b"Connection: \r\nUpgrade: websocket\r\n",
    b"Connection: xupgrade, upgrade\r\nUpgrade: h2c\r\n",
    b"",
)
"""Offers to change the protocol, as clients and proxies write them; the last asks for nothing."""

HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
"""What an attacker puts into a body: answered, it would be an answer too many."""
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
LOGIN = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
SMALL, LARGE = HIDDEN * 2, b" " * 4000 + HIDDEN * 300
"""A body in the same read as its head, and one that goes on past the piece of a read that is parsed at once."""


def by_length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def by_chunks(body: bytes) -> bytes:
    pieces = [body[start : start + 1000] for start in range(0, len(body), 1000)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


def splits(raw: bytes) -> Iterator[tuple[bytes, ...]]:
    """*raw* as one packet, as two that part at each edge of ours, and as many."""
    edge = raw.index(b"\r\n\r\n")
    yield (raw,)
    for place in sorted({20, edge, edge + 1, edge + 4, edge + 5, edge + 4 + len(HIDDEN), 4095, 4096, 4097}):
        if place < len(raw):
            yield raw[:place], raw[place:]
    yield tuple(raw[start : start + 1024] for start in range(0, len(raw), 1024))


async def exchange(port: int, pieces: tuple[bytes, ...]) -> list[Answer]:
    """Every answer to *pieces*, which arrive as so many reads."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(0.003)
            writer.write(piece)
        async with asyncio.timeout(10):
            return parse(await rest_of(reader))
    finally:
        writer.close()


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with open_wire() as opened:
        yield opened


class TestOffer:
    @pytest.mark.parametrize("framed", [by_length, by_chunks])
    @pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
    async def test_f_s1_a_body_behind_an_upgrade_is_a_body(self, wire: Wire, framed, body) -> None:  # type: ignore[no-untyped-def]
        """However it is offered and wherever the packets part: one answer per request, none to the body."""

        async def check(offer: bytes, pieces: tuple[bytes, ...]) -> None:
            answers = await exchange(wire.port, pieces)
            assert [answer.status for answer in answers] == [400, 200], (offer, pieces)
            assert json.loads(answers[0].body)["error"] == "malformed_content", (offer, pieces)
            assert b"ok" in answers[1].body

        for offer in OFFERS:
            raw = LOGIN + offer + framed(body)
            await asyncio.gather(*(check(offer, pieces) for pieces in splits(raw + LAST)))

    async def test_f_s1_an_offer_changes_no_answer(self, wire: Wire) -> None:
        """Logins, reads and HTTP/1.0 are answered as if nothing had been offered; requests may follow each other."""
        for offer in OFFERS:
            ada = await wire.stage.newcomer()
            body = json.dumps({"email": ada.email, "password": PASSWORD}).encode()
            bearer = b"Authorization: Bearer %b\r\n" % ada.tokens["access_token"].encode()
            me = b"GET /auth/me HTTP/1.1\r\nHost: x\r\n" + bearer
            login = LOGIN + offer + by_length(body)
            for pieces in (
                (me + offer + b"\r\n" + login + me + offer + b"\r\n" + LAST,),
                (login, me + offer + b"\r\n" + LAST),
            ):
                answers = await exchange(wire.port, pieces)
                assert {answer.status for answer in answers} == {200}, (offer, answers)
                assert len(answers) == (4 if len(pieces) == 1 else 3)
                assert "access_token" in json.loads(answers[-3].body)
            old = me.replace(b"/1.1", b"/1.0").replace(b"Host: x\r\n", b"") + offer
            (answer,) = await exchange(wire.port, (old + by_length(HIDDEN) + LAST,))
            assert (answer.status, answer.headers["connection"]) == (200, "close")


class TestRefused:
    @pytest.mark.parametrize(
        "head",
        [
            b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN),
            b"CONNECT /healthz HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"PRI * HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n",
            b"GET /healthz HTTP/0.9\r\n\r\n",
            b"DESCRIBE /healthz RTSP/1.0\r\n\r\n",
            b"SOURCE /healthz ICE/1.0\r\n\r\n",
            b"NONSENSE /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
            b"get /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
            LOGIN + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            LOGIN
            + b"Content-Length: 5\r\nConnection: upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            LOGIN + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            LOGIN + b"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
            LOGIN + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            LOGIN + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
            LOGIN + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
            LOGIN + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            LOGIN.replace(b"/1.1", b"/1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            LOGIN + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345",
            LOGIN + b"Content-Length: 5, 5\r\n\r\n12345",
            LOGIN + b"Content-Length: 5 5\r\n\r\n12345",
            LOGIN + b"Content-Length: -5\r\n\r\n",
            LOGIN + b"Content-Length:\r\n\r\n",
            LOGIN + b"Content-Length : 5\r\n\r\n12345",
            LOGIN + b"X-A: b\r\n Content-Length: 5\r\n\r\n",
            LOGIN + b"X-A:\r\n\tb\r\n\r\n",
            LOGIN + b"X-A: b\rContent-Length: 5\r\n\r\n",
            LOGIN + b"X-A: b\nContent-Length: 5\r\n\r\n",
            LOGIN + b"X-A: b\n\n",
            LOGIN + b"Transfer-Encoding: chunked\r\n\r\n5 \r\n12345\r\n0\r\n\r\n",
            LOGIN + b"Transfer-Encoding: chunked\r\n\r\n5\n12345\n0\n\n",
            LOGIN + b'Transfer-Encoding: chunked\r\n\r\n5;a="\n"\r\n12345\r\n0\r\n\r\n',
            LOGIN + b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n",
        ],
    )
    async def test_f_s1_what_has_no_certain_end_is_refused(self, wire: Wire, head: bytes) -> None:
        """One answer at most, 400, and the connection is closed: what follows is read by nobody."""
        for pieces in splits(head + HIDDEN * 3 + LAST):
            answers = await exchange(wire.port, pieces)
            assert [answer.status for answer in answers] == [400], (pieces, answers)
            assert answers[0].headers["connection"] == "close"

    async def test_f_s1_behind_a_last_request_nothing_is_read(self, wire: Wire) -> None:
        """``Connection: close`` and HTTP/1.0 end the connection, so a body without a length is no request."""
        ada = await wire.stage.newcomer()
        out = b"POST /auth/logout HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n\r\n"
        out %= ada.tokens["access_token"].encode()
        for first in (
            LAST,
            b"POST /auth/login HTTP/1.0\r\n\r\n",
            LAST[:-2] + b"Upgrade: x\r\nConnection: upgrade\r\n\r\n",
        ):
            for pieces in splits(first + out):
                assert len(await exchange(wire.port, pieces)) == 1
        assert (await wire.stage.http.get("/auth/me", headers=ada.bearer)).status_code == 200


class TestChunks:
    async def test_f_s1_a_trailer_is_no_field_of_the_head(self, wire: Wire) -> None:
        """Not even of a request that waits for its turn while its trailers are read."""
        ada = await wire.stage.newcomer()
        for field in (
            b"Authorization: Bearer %b" % ada.tokens["access_token"].encode(),
            b"Upgrade: x\r\nConnection: upgrade",
        ):
            me = (
                b"GET /auth/me HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n%b\r\n\r\n"
                % field
            )
            login = LOGIN + by_length(b"{}")
            for before, raw in (([], me + LAST), ([422], login + me + LAST)):
                for pieces in splits(raw):
                    answers = await exchange(wire.port, pieces)
                    assert [answer.status for answer in answers] == [*before, 401, 200]

    async def test_f_s1_extensions_and_trailers_have_a_bound(self, wire: Wire) -> None:
        """Small chunks are read; megabytes of extensions or trailers end the connection."""
        start = LOGIN + b"Transfer-Encoding: chunked\r\n\r\n"
        small = b"1;a=b\r\n{\r\n" + b"1\r\n \r\n" * 9_000 + b"1\r\n}\r\n0\r\nX-A: b\r\n\r\n"
        first, last = await exchange(wire.port, (start + small + LAST,))
        assert (first.status, last.status) == (422, 200)
        for filler in (
            b"1;" + b"a" * 3_000_000,
            b"0\r\nX-A: " + b"b" * 3_000_000,
            b"0\r\n" + b"X-A: b\r\n" * 300_000,
        ):
            reader, writer = await wire.connect()
            end = asyncio.ensure_future(rest_of(reader))
            try:
                writer.write(start + filler)
                await writer.drain()
            except ConnectionError:
                pass
            async with asyncio.timeout(10):
                answers = parse(await end)  # the answer may be lost where bytes still come in
            writer.close()
            assert [answer.status for answer in answers] in ([], [400])


@asynccontextmanager
async def listening(app: Any, http: Any) -> AsyncIterator[int]:
    """*app* under plain uvicorn, on this port."""
    config = uvicorn.Config(app, port=0, http=http, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    ticking = asyncio.create_task(server.main_loop())
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        await server.shutdown()


async def api(scope: Any, receive: Any, send: Any) -> None:
    """An API of somebody's, which says how long the body was."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    text = b"%b %d" % (scope["path"].encode(), size)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]}
    )
    await send({"type": "http.response.body", "body": text})


class TestElsewhere:
    @pytest.mark.parametrize("http", [H11Protocol, HttpToolsProtocol])
    async def test_f_s1_the_application_trusts_no_other_server_s_framing(
        self, http: type[asyncio.Protocol]
    ) -> None:
        """Under uvicorn's own connections a body behind an upgrade is refused, and nothing behind it is answered."""
        async with open_stage(issuer="http://127.0.0.1:8080") as stage, listening(stage.app, http) as port:
            for offer in OFFERS:
                for framed in (by_length, by_chunks):
                    raw = LOGIN + offer + framed(SMALL)
                    for pieces in splits(raw):
                        reader, writer = await asyncio.open_connection("127.0.0.1", port)
                        for piece in pieces:
                            writer.write(piece)
                            await asyncio.sleep(0.003)
                        writer.write(LAST)
                        async with asyncio.timeout(10):
                            answers = parse(await rest_of(reader))
                        writer.close()
                        assert answers[0].status == 400, (offer, pieces)
                        assert len(answers) <= 2, (offer, pieces)
                        if len(answers) == 2:
                            assert answers[0].headers.get("connection") != "close"
                            assert json.loads(answers[0].body)["error"] == "malformed_content"

    async def test_f_s1_an_api_is_safe_as_the_documentation_runs_it(self) -> None:
        """``--http h11``: every body reaches the API whole, and none is answered."""
        async with listening(api, "h11") as port:

            async def check(offer: bytes, body: bytes, pieces: tuple[bytes, ...]) -> None:
                answers = await exchange(port, pieces)
                assert [answer.body for answer in answers] == [
                    b"/auth/login %d" % len(body),
                    b"/healthz 0",
                ], offer

            for offer in OFFERS:
                for body in (SMALL, LARGE):
                    for framed in (by_length, by_chunks):
                        raw = LOGIN + offer + framed(body) + LAST
                        await asyncio.gather(*(check(offer, body, pieces) for pieces in splits(raw)))

    def test_f_s1_every_uvicorn_that_we_show_is_run_so(self) -> None:
        """Documentation, examples and the demo."""
        shown = [
            (path, line)
            for folder, pattern in ((TOP, "*.md"), (TOP / "docs", "*.md"), (TOP / "examples", "**/*"))
            for path in folder.glob(pattern)
            if path.suffix in (".md", ".py")
            for line in path.read_text().splitlines()
            if re.search(r"uvicorn [\w.]+:\w+", line)
        ]
        assert len(shown) >= 6
        assert [path for path, line in shown if "--http h11" not in line] == []
        assert 'http="h11"' in (TOP / "src/watchword/demo/payroll.py").read_text()
