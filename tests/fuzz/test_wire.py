"""Byte streams against connections: none of a body's bytes becomes a request, and no answer goes astray."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable, Iterator

import pytest

from tests.fuzz.of_wire import Client, pieces_of, reading, stream
from tests.server.wire import Answer, parse

pytestmark = pytest.mark.anyio

COUNT = int(os.environ.get("WATCHWORD_FUZZ_STREAMS", "1000000"))
"""Streams of the long lane."""


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


async def settle(client: Client) -> None:
    """Until nothing happens any more."""
    before, still = (-1, -1, False), 0
    while still < 6:
        await asyncio.sleep(0)
        now = (len(client.written), len(client.seen), client.closed)
        before, still = now, still + 1 if now == before else 0


def check(client: Client, answers: list[Answer], raw: bytes, whole: bool) -> None:
    """*client* sent *raw*: what was seen of it, and what it was answered."""
    expected = reading(raw)
    assert len(client.seen) <= len(expected), "the end of one request was read as another"
    for (asked, body), (target, sent) in zip(client.seen, expected, strict=False):
        assert asked == _of(target), "another request was seen than was sent"
        assert body is None or body == (b"" if asked == b"GET /now" else sent), "a body was lost"
    good = [answer.body for answer in answers if answer.status == 200]
    told = [b"%d %b %d" % (client.number, asked, len(body or b"")) for asked, body in client.seen]
    assert good == told[: len(good)], "an answer went astray"
    rest = [answer.status for answer in answers[len(good) :]]
    assert len(rest) <= 1, "one request was answered twice"
    assert client.closed or len(good) == sum(body is not None for _, body in client.seen), (
        "one was left waiting"
    )
    if whole:
        assert len(good) == len(expected), "a good request was not answered"
        assert client.closed


def _of(target: bytes) -> bytes:
    method, _, path = target.partition(b" ")
    return method + b" " + path.partition(b"#")[0].partition(b"?")[0]


async def fuzz(seed: int, count: int) -> None:
    """Send *count* streams, each beside another client whose answers must be its own."""
    chance = random.Random(seed)
    for number in range(count):
        raw, whole = stream(chance)
        client, other = Client(2 * number + 1), Client(2 * number + 2)
        watching = b"GET /w HTTP/1.1\r\nHost: x\r\n\r\n"
        asked = 0
        try:
            for piece in pieces_of(chance, raw):
                client.send(piece)
                if chance.random() < 0.3:
                    other.send(watching)
                    asked += 1
                    await asyncio.sleep(0)
            await settle(client)
            check(client, parse(bytes(client.written)), raw, whole)
            theirs = parse(bytes(other.written))
            assert [answer.body for answer in theirs] == [b"%d GET /w 0" % other.number] * asked, (
                "answers crossed"
            )
        except Exception as fault:
            raise AssertionError(f"seed {seed}, stream {number}: {raw[:1000]!r}") from fault
        client.leave()
        other.leave()


class TestStreams:
    async def test_f_s1_a_few_thousand_streams(self) -> None:
        """Whole and broken, in packets of any size: no request of nobody, none unanswered, none answered to another."""
        await fuzz(20_261, 3_000)


@pytest.mark.long
class TestLong:
    async def test_f_s1_a_million_streams(
        self, capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
    ) -> None:
        """The same from fresh seeds; ``WATCHWORD_FUZZ_STREAMS`` says how many."""
        seed, step = random.SystemRandom().randrange(2**32), max(COUNT // 100, 1)
        for part in range(0, COUNT, step):
            await fuzz(seed + part, min(step, COUNT - part))
            with capsys.disabled():
                print(f"\r{part + step} of {COUNT} streams, seed {seed}", end="", flush=True)
        record_property("streams", f"{COUNT}, seed {seed}")
