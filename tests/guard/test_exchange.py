"""The exchange: one trade for all who wait, few for a flood, none for a token that still lives."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.guard.stage import run
from watchword import InvalidToken, TemporarilyUnavailable
from watchword.errors import TooManyRequests
from watchword.guard.exchange import Exchange, token_in
from watchword.testing import PretendIssuer


@dataclass
class Desk:
    """The issuer's side: counts who asks, and lets them wait until it is opened."""

    issuer: PretendIssuer = field(default_factory=PretendIssuer)
    asked: list[str] = field(default_factory=list)
    came: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    open: threading.Event = field(default_factory=threading.Event)
    fault: Exception | None = None
    seconds: float = 100.0
    lifetime: float = 100

    def trade(self, kind: str, credential: str) -> str:
        self.asked.append(credential)
        self.came.release()
        assert self.open.wait(30)
        if self.fault is not None:
            raise self.fault
        return self.issuer.token(lifetime=self.lifetime, kind=kind)

    def exchange(self, **options: int) -> Exchange:
        return Exchange(self.trade, monotonic=lambda: self.seconds, **options)


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    made.open.set()
    yield made
    made.open.set()


def at_once(count: int, call: Callable[[int], object]) -> list[object]:
    """What *call* came to in as many threads: a value, or the error it raised."""
    said: list[object] = [None] * count

    def run(number: int) -> None:
        try:
            said[number] = call(number)
        except Exception as fault:
            said[number] = fault

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return said


class TestTrade:
    def test_a_token_is_traded_for_once(self, desk: Desk) -> None:
        """The first use waits, every later one asks nobody; another credential is another."""
        exchange = desk.exchange()
        assert exchange.token("api_key", "a") is None
        token = exchange.wait("api_key", "a")
        assert exchange.token("api_key", "a") == token
        assert exchange.token("api_key", "b") is None
        assert exchange.token("other", "a") is None
        assert desk.asked == ["a"]

    def test_all_who_wait_share_one(self, desk: Desk) -> None:
        """Thirty at once are one question, and hear one answer."""
        exchange = desk.exchange()
        said = at_once(30, lambda _: exchange.wait("api_key", "a"))
        assert len(desk.asked) == 1
        assert len(set(map(str, said))) == 1

    def test_strangers_at_once_have_a_bound(self, desk: Desk) -> None:
        """Beyond it the answer is 503 at once; what was good before has places of its own."""
        exchange = desk.exchange(at_once=3)
        good = exchange.wait("api_key", "good")
        desk.open.clear()
        waiting = [
            threading.Thread(target=lambda n=n: at_once(1, lambda _: exchange.wait("api_key", n)), daemon=True)
            for n in "abc"
        ]  # fmt: skip
        for thread in waiting:
            thread.start()
        for _ in range(4):
            assert desk.came.acquire(timeout=30)
        with pytest.raises(TemporarilyUnavailable, match="too many new"):
            exchange.wait("api_key", "d")
        desk.seconds += 90
        assert exchange.token("api_key", "good") == good  # and its renewal is under way
        assert desk.came.acquire(timeout=30)
        assert desk.asked[4:] == ["good"]
        desk.open.set()
        for thread in waiting:
            thread.join(30)

    def test_no_secret_is_kept(self, desk: Desk) -> None:
        """What is remembered is found by a digest."""
        exchange = desk.exchange()
        exchange.wait("api_key", "the-secret-itself")
        desk.fault = InvalidToken("no")
        with pytest.raises(InvalidToken):
            exchange.wait("api_key", "another-secret")
        kept = repr({name: getattr(exchange, name) for name in ("_young", "_old", "_refused", "_flights")})
        assert "secret" not in kept

    def test_what_is_remembered_has_a_bound(self, desk: Desk) -> None:
        """The oldest are forgotten, good and refused alike."""
        exchange = desk.exchange(maximum=10)
        for number in range(30):
            exchange.wait("api_key", str(number))
        assert len(exchange) <= 10

    def test_what_is_in_use_stays(self, desk: Desk) -> None:
        """However many come once and never again."""
        exchange = desk.exchange(maximum=2)
        token = exchange.wait("api_key", "used")
        for other in ("one", "two", "three"):
            exchange.wait("api_key", other)
            assert exchange.token("api_key", "used") == token

    def test_a_thread_that_cannot_be_had_is_asked_for_again(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A process at its limit refuses meanwhile, and nobody waits for a thread that never ran."""

        def full(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        exchange = desk.exchange()
        with monkeypatch.context() as limit:
            limit.setattr(threading.Thread, "start", full)
            with pytest.raises(TemporarilyUnavailable, match="no thread"):
                exchange.wait("api_key", "one")
        assert exchange.wait("api_key", "one")

    def test_without_a_loop_none_is_imported(self) -> None:
        """A program that waits for its trade pays for no asyncio; a token that tells no times is not renewed."""
        program = (
            "import sys\n"
            "from watchword.guard.exchange import Exchange\n"
            "exchange = Exchange(lambda kind, credential: 'a token')\n"
            "exchange.wait('api_key', 'one')\n"
            "print(exchange.token('api_key', 'one'), 'asyncio' in sys.modules)\n"
        )
        assert run(program) == "a token False"


class TestRenewal:
    def test_near_its_end_it_is_renewed_meanwhile(self, desk: Desk) -> None:
        """The request goes on with the old token; a later one finds the new."""
        exchange = desk.exchange()
        old = exchange.wait("api_key", "a")
        desk.seconds += 60
        assert exchange.token("api_key", "a") == old
        assert len(desk.asked) == 1
        desk.seconds += 30
        assert exchange.token("api_key", "a") == old
        new = exchange.wait("api_key", "a", old)  # shares what is under way
        assert new != old
        assert exchange.token("api_key", "a") == new
        assert len(desk.asked) == 2

    def test_an_issuer_that_is_away_fails_no_request(self, desk: Desk) -> None:
        """The token goes on to its end; the issuer is asked again after a pause, not by each request."""
        exchange = desk.exchange()
        old = exchange.wait("api_key", "a")
        desk.fault = TemporarilyUnavailable("away")
        desk.seconds += 90
        with pytest.raises(TemporarilyUnavailable):
            exchange.wait("api_key", "a", old)
        for _ in range(50):
            assert exchange.token("api_key", "a") == old
        assert len(desk.asked) == 2

    def test_a_dead_token_is_traded_again_once(self, desk: Desk) -> None:
        """All who found it dead share one question; a token made a moment ago is not asked about again."""
        exchange = desk.exchange()
        dead = exchange.wait("api_key", "a")
        assert not exchange.renewed("api_key", "a", dead)
        desk.seconds += 1
        assert exchange.renewed("api_key", "a", dead)
        said = at_once(10, lambda _: exchange.wait("api_key", "a", dead))
        assert len(desk.asked) == 2
        assert dead not in said


class TestRefusal:
    def test_it_is_remembered_for_a_while(self, desk: Desk) -> None:
        """One that comes again and again costs one question in half a minute."""
        exchange = desk.exchange()
        desk.fault = InvalidToken("unknown")
        with pytest.raises(InvalidToken, match="unknown"):
            exchange.wait("api_key", "a")
        for _ in range(20):
            with pytest.raises(InvalidToken, match="unknown"):
                exchange.token("api_key", "a")
        assert len(desk.asked) == 1
        desk.seconds += 31
        desk.fault = None
        assert exchange.token("api_key", "a") is None
        exchange.wait("api_key", "a")

    def test_refusals_have_a_bound(self, desk: Desk) -> None:
        """The newest are remembered; a flood of slips takes no more room than good credentials do."""
        desk.fault = InvalidToken("unknown")
        exchange = desk.exchange(maximum=2)
        for slip in ("one", "two", "three"):
            with pytest.raises(InvalidToken):
                exchange.wait("api_key", slip)
        assert exchange.token("api_key", "one") is None
        with pytest.raises(InvalidToken):
            exchange.token("api_key", "three")

    def test_what_was_good_is_told_as_every_dead_token(self, desk: Desk) -> None:
        """Revoked while it was known: the words of a revoked token, then and later."""
        exchange = desk.exchange()
        dead = exchange.wait("api_key", "a")
        desk.fault = InvalidToken("unknown")
        for ask in (lambda: exchange.wait("api_key", "a", dead), lambda: exchange.token("api_key", "a")):
            with pytest.raises(InvalidToken, match="the token was revoked"):
                ask()

    def test_an_issuer_that_has_enough_of_one_serves_the_others(self, desk: Desk) -> None:
        """Too many made-up credentials are 503 with a wait, each for itself: the next one's first use goes through."""
        exchange = desk.exchange()
        desk.fault = TooManyRequests(retry_after=9)
        for ask in (lambda: exchange.wait("api_key", "a"), lambda: exchange.token("api_key", "a")):
            with pytest.raises(TemporarilyUnavailable) as busy:
                ask()
            assert busy.value.retry_after == 9
        desk.fault = None
        assert exchange.wait("api_key", "b")

    def test_an_issuer_that_is_away_is_not_queued_for(self, desk: Desk) -> None:
        """After a failure nobody asks for a second; then the next does."""
        exchange = desk.exchange()
        desk.fault = OSError("no route")
        for name in "abc":
            with pytest.raises(TemporarilyUnavailable):
                exchange.wait("api_key", name)
        assert desk.asked == ["a"]
        desk.seconds += 1
        desk.fault = None
        assert exchange.wait("api_key", "b")


class TestLoop:
    def test_the_loop_is_never_held_up(self, desk: Desk) -> None:
        """While a trade waits the loop turns; the synchronous way refuses to wait in it."""
        exchange = desk.exchange()
        desk.open.clear()

        async def play() -> str:
            waiting = asyncio.create_task(exchange.wait_async("api_key", "a"))
            assert await asyncio.to_thread(desk.came.acquire, timeout=30)
            with pytest.raises(TemporarilyUnavailable, match="authenticate_async"):
                exchange.wait("api_key", "b")
            desk.open.set()
            return await waiting

        assert asyncio.run(play()) == exchange.token("api_key", "a")

    def test_patience_has_an_end(self, desk: Desk) -> None:
        """In a loop and in a thread; the answer that comes later is there for the next."""
        desk.open.clear()
        exchange = desk.exchange()

        async def play() -> list[object]:
            beside = asyncio.to_thread(exchange.wait, "api_key", "one")
            return await asyncio.gather(exchange.wait_async("api_key", "one"), beside, return_exceptions=True)

        refusals = asyncio.run(play())
        assert [(type(refusal), str(refusal)) for refusal in refusals] == [
            (TemporarilyUnavailable, "the issuer does not answer")
        ] * 2
        desk.open.set()
        assert exchange.wait("api_key", "one")
        assert desk.asked == ["one"]

    def test_one_who_goes_takes_it_from_nobody(self, desk: Desk) -> None:
        """A client that hangs up cancels its own wait alone."""
        exchange = desk.exchange()
        desk.open.clear()

        async def play() -> str:
            first, second = (asyncio.create_task(exchange.wait_async("api_key", "a")) for _ in "ab")
            assert await asyncio.to_thread(desk.came.acquire, timeout=30)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            desk.open.set()
            return await second

        assert asyncio.run(play())
        assert len(desk.asked) == 1


class TestAnswer:
    @pytest.mark.parametrize(
        ("status", "body", "kind", "told"),
        [
            (401, b'{"error": "invalid_grant"}', InvalidToken, "unknown, expired or revoked"),
            (422, b'{"error": "invalid_target"}', InvalidToken, "another audience"),
            (422, b'{"error": "invalid_input"}', InvalidToken, "unknown"),
            (404, b"{}", InvalidToken, "unknown"),
            (429, b"", TooManyRequests, "Too many"),
            (500, b"{}", TemporarilyUnavailable, "answered 500"),
            (302, b"", TemporarilyUnavailable, "answered 302"),
            (401, b"<html>", TemporarilyUnavailable, "."),
            (200, b"[]", TemporarilyUnavailable, "."),
            (200, b'{"access_token": 7}', TemporarilyUnavailable, "without a token"),
        ],
    )
    def test_only_the_issuer_s_word_refuses(
        self, status: int, body: bytes, kind: type[Exception], told: str
    ) -> None:
        """A refusal is the issuer's document; what stands in front of it, or breaks, is no answer."""
        with pytest.raises(kind, match=told):
            token_in(status, body)

    def test_its_token_is_taken(self) -> None:
        """And nothing else of the answer."""
        assert token_in(200, b'{"access_token": "a.b.c", "expires_in": 600}') == "a.b.c"
