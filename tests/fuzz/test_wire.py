"""Byte streams against connections: none of a body's bytes becomes a request, and no answer goes astray."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from tests.fuzz.of_wire import Client, pieces_of, reading, stream
from tests.server.wire import Answer, parse

pytestmark = pytest.mark.anyio

COUNT = int(os.environ.get("WATCHWORD_FUZZ_STREAMS", "1000000"))
"""Streams of the long lane."""
TOGETHER = 50
"""Streams that are sent at once, packet by packet."""


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


async def settle(clients: Sequence[Client]) -> None:
    """Until nothing happens any more on any of them."""
    before, still = -1, 0
    while still < 6:
        await asyncio.sleep(0)
        now = sum(len(client.written) + len(client.seen) + client.closed for client in clients)
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


@dataclass
class Pair:
    """A client that sends a stream, and another whose answers must be its own."""

    seed: int
    raw: bytes = field(init=False)
    whole: bool = field(init=False)
    asked: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.raw, self.whole = stream(self.chance)
        self.client, self.other = Client(2 * self.seed + 1), Client(2 * self.seed + 2)
        self.pieces = pieces_of(self.chance, self.raw)

    def go_on(self) -> bool:
        """Send the next packet, if there is one; between two of them the other client asks now and then."""
        piece = next(self.pieces, None)
        if piece is None:
            return False
        self.client.send(piece)
        if self.chance.random() < 0.3:
            self.other.send(b"GET /w HTTP/1.1\r\nHost: x\r\n\r\n")
            self.asked += 1
        return True

    def check(self) -> None:
        """What both were answered, and that they are done."""
        check(self.client, parse(bytes(self.client.written)), self.raw, self.whole)
        theirs = [answer.body for answer in parse(bytes(self.other.written))]
        assert theirs == [b"%d GET /w 0" % self.other.number] * self.asked, "answers crossed"
        self.client.leave()
        self.other.leave()


async def fuzz(seed: int, count: int) -> None:
    """Send *count* streams, some at a time on one event loop, each beside a client that watches."""
    for begin in range(0, count, TOGETHER):
        pairs = [Pair(seed + number) for number in range(begin, min(begin + TOGETHER, count))]
        sending, chance = list(pairs), random.Random(seed + begin)
        while sending:
            chance.shuffle(sending)
            sending = [pair for pair in sending if pair.go_on()]
            if chance.random() < 0.5:
                await asyncio.sleep(0)
        everybody = [client for pair in pairs for client in (pair.client, pair.other)]
        await settle(everybody)
        for pair in pairs:
            try:
                pair.check()
            except Exception as fault:
                raise AssertionError(f"seed {pair.seed}: {pair.raw[:1000]!r}") from fault


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
