"""``Expect: 100-continue``: a client that was told no may keep its body, so its connection is not used again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.server.stage import PASSWORD
from tests.server.wire import Wire, open_wire, parse, rest_of

pytestmark = pytest.mark.anyio

WAITS = b"Expect: 100-continue\r\n"
JSON = b"Content-Type: application/json\r\n"


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with open_wire() as opened:
        yield opened


class TestWaiting:
    @pytest.mark.parametrize(
        ("target", "fields", "status"),
        [
            (b"POST /nothing", JSON, 404),
            (b"PUT /auth/login", JSON, 405),
            (b"POST /auth/login", JSON + b"Accept: text/html\r\n", 406),
            (b"PATCH /auth/me", JSON, 401),
            (b"POST /api/v1/login", JSON + b"Accept: text/html\r\n", 406),
            (b"GET /healthz", b"", 200),
            (b"OPTIONS /auth/login", b"", 204),
            (
                b"POST /auth/login",
                JSON + b"Connection: upgrade\r\nUpgrade: h2c\r\nAccept: text/html\r\n",
                406,
            ),
        ],
    )
    @pytest.mark.parametrize("framed", [b"Content-Length: 34\r\n", b"Transfer-Encoding: chunked\r\n"])
    async def test_f_s1_an_answer_in_place_of_100_is_the_last(
        self, wire: Wire, target: bytes, fields: bytes, status: int, framed: bytes
    ) -> None:
        """Proxies give such a connection to the next client, whose request would be read as the body."""
        raw = target + b" HTTP/1.1\r\nHost: x\r\n" + fields + framed + WAITS + b"\r\n"
        answers = await wire.send(raw)
        assert [(answer.status, answer.headers.get("connection")) for answer in answers] == [
            (status, "close")
        ]

    async def test_f_s1_a_declared_length_too_large_is_the_last(self, wire: Wire) -> None:
        raw = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n" + JSON + WAITS + b"\r\n"
        (answer,) = await wire.send(raw)
        assert (answer.status, answer.headers["connection"]) == (413, "close")

    async def test_a_body_that_comes_keeps_the_connection(self, wire: Wire) -> None:
        """Whether it waited for 100 or came along at once, and whether or not anybody read it."""
        ada = await wire.stage.newcomer()
        body = json.dumps({"email": ada.email, "password": PASSWORD}).encode()
        login = b"POST /auth/login HTTP/1.1\r\nHost: x\r\n" + JSON + WAITS
        login += b"Content-Length: %d\r\n\r\n" % len(body)
        last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        reader, writer = await wire.connect()
        writer.write(login)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body + login + body + login.replace(b"/auth/login", b"/nothing") + body + last)
        answers = parse(await rest_of(reader))
        writer.close()
        assert [answer.status for answer in answers] == [200, 200, 404, 200]
        assert ["connection" in answer.headers for answer in answers] == [False, False, False, True]
