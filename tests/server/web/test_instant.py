"""Requests that are answered while they are read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.server.wire import Wire, open_wire, parse, rest_of
from watchword.server.policies import WebPolicy
from watchword.server.routes import ROUTES

pytestmark = pytest.mark.anyio

PATHS = [route.path for route in ROUTES if route.instant]
KEYS = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with open_wire() as opened:
        yield opened


class TestInstantAnswers:
    @pytest.mark.parametrize("path", PATHS)
    async def test_every_method_is_answered_without_waiting(self, wire: Wire, path: str) -> None:
        """As on any other route: the body is left out, forbidden or passed over."""
        document = await wire.ask(f"GET {path} HTTP/1.1")
        assert (document.status, document.headers["content-type"]) == (200, "application/json")
        body = b'{"a":1}'
        extra = f"Content-Type: application/json\nContent-Length: {len(body)}"
        assert (await wire.ask(f"GET {path} HTTP/1.1\n{extra}", body)).body == document.body
        assert (await wire.ask(f"HEAD {path} HTTP/1.1")).headers["content-length"] == str(len(document.body))
        assert (await wire.ask(f"OPTIONS {path} HTTP/1.1")).headers["allow"] == "GET, HEAD, OPTIONS"
        refused = await wire.ask(f"POST {path} HTTP/1.1\n{extra}", body)
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        assert (await wire.ask(f"GET {path} HTTP/1.1\nAccept: text/csv")).status == 406

    async def test_they_keep_their_turn(self, wire: Wire) -> None:
        """Behind a request that waits, and with a body that comes late."""
        slow = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
        late = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
        answers = await wire.send(slow + KEYS + slow + KEYS * 300 + late, b"a", b"bc" + slow + LAST)
        kinds = ["keys" if b"kty" in a.body else "slow" if b"sequence" in a.body else "up" for a in answers]
        assert kinds == ["slow", "keys", "slow", *["keys"] * 300, "up", "slow", "up"]
        assert {answer.status for answer in answers} == {200}

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize(
        "more", ["Expect: 100-continue\nContent-Length: 5", "Content-Length: 5", "Transfer-Encoding: chunked"]
    )
    async def test_they_wait_for_no_body(self, path: str, more: str) -> None:
        """Who announces one, and keeps it until it is told to go on, is answered before it comes."""
        async with open_wire(WebPolicy(body=timedelta(seconds=0.3))) as wire:
            assert (await wire.ask(f"GET {path} HTTP/1.1\n{more}")).status == 200

    async def test_a_packet_of_thousands_lets_others_in_between(self, wire: Wire) -> None:
        """Some are answered while they are read; the others wait their turn, and whoever else asks has one, too."""
        reader, writer = await wire.connect()
        other, asking = await wire.connect()
        writer.write(KEYS * 3_000 + LAST)
        asking.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        (said,) = parse(await rest_of(other))
        row = b'watchword_requests_total{method="GET",route="/.well-known/jwks.json",status="200"} '
        assert float(said.body.partition(row)[2].split(b"\n")[0] or 0) < 1_000
        assert [answer.status for answer in parse(await rest_of(reader))] == [200] * 3_001
        for each in (writer, asking):
            each.close()

    async def test_a_broken_one_behind_thousands_costs_none_its_answer(self, wire: Wire) -> None:
        """Little is read ahead of those that are being answered."""
        answers = await wire.send(KEYS * 3_000 + b"GARBAGE\r\n\r\n")
        assert [answer.status for answer in answers].count(200) > 2_900

    async def test_they_are_counted(self, wire: Wire) -> None:
        """In the metrics, by route."""
        for _ in range(3):
            await wire.ask("GET /.well-known/jwks.json HTTP/1.1")
        said = (await wire.ask("GET /metrics HTTP/1.1")).body.decode()
        line = 'watchword_requests_total{method="GET",route="/.well-known/jwks.json",status="200"} 3.0'
        assert line in said
