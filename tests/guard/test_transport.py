"""HTTP as a guard speaks it: answers that come too slowly, streams that bring nothing, and a feed of one's own."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from tests.guard.stage import PretendIssuer, pretend_issuer
from watchword import Guard, TemporarilyUnavailable
from watchword.guard.feed import Feed
from watchword.guard.issuer import Issuer
from watchword.guard.transport import Transport
from watchword.protocol.api_key import ApiKey
from watchword.testing.ear import Ear

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@pytest.fixture
def issuer() -> Iterator[PretendIssuer]:
    with pretend_issuer() as found:
        yield found


class TestBounds:
    def test_an_answer_has_its_time(self, issuer: PretendIssuer) -> None:
        """Byte after byte keeps a connection alive, and nobody waiting."""
        with pytest.raises(TemporarilyUnavailable, match="answers too slowly"):
            Transport(patience=0).get(issuer.url + "/.well-known/jwks.json", limit=10_000)

    @pytest.mark.parametrize(
        ("said", "told"),
        [
            (b": I live\n\n", "nothing of worth"),
            (b"data: no name\n\n", "nothing of worth"),
            (b"event: revocations\ndata: \xff\n\n", "no UTF-8"),
            (b"event: revocations\ndata: half an event\n", "nothing of worth"),
            (b"event: revocations\ndata: " + b"x" * 100 + b"\n\n", "an event of more than 50 bytes"),
        ],
    )
    def test_a_stream_says_something_in_its_time_and_size(
        self, issuer: PretendIssuer, said: bytes, told: str
    ) -> None:
        """Comments, events of other names and events without an end are no news."""
        issuer.raw["/stream"] = STREAM + said
        events = Transport(patience=0).events(issuer.url + "/stream", limit=50, last_id=None)
        with pytest.raises(TemporarilyUnavailable, match=told):
            list(events)

    def test_what_is_no_news_is_passed_over(self, issuer: PretendIssuer) -> None:
        """What follows it in the same piece is heard."""
        issuer.raw["/stream"] = STREAM + b": I live\n\nevent: revocations\nretry: 5\nid: 7\ndata: news\n\n"
        events = Transport().events(issuer.url + "/stream", limit=500, last_id=None)
        assert list(events) == [("7", "news")]

    @pytest.mark.parametrize(
        "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", b"220 SMTP\r\n"]
    )
    def test_a_trade_that_breaks_off_is_no_refusal(self, issuer: PretendIssuer, answer: bytes) -> None:
        """503, not 401: the key may be good."""
        issuer.raw["/auth/token"] = answer
        guard = Guard(issuer.url)
        guard.refresh()
        with pytest.raises(TemporarilyUnavailable, match="/auth/token"):
            guard.authenticate(f"Bearer {ApiKey(bytes(16), bytes(16)).text()}")
        guard.close()


class TestFeed:
    @pytest.mark.parametrize("kind", [Issuer, Ear])
    def test_whoever_tells_a_guard_has_all_that_it_asks(self, kind: type) -> None:
        """The issuer over HTTP and the one of a test are asked in the same words."""
        asked = {name: member for name, member in vars(Feed).items() if not name.startswith("_")}
        assert {"view", "confirm", "exchange"} <= asked.keys()
        for name, member in asked.items():
            if inspect.isfunction(member):
                given = inspect.signature(getattr(kind, name)).parameters
                assert list(given) == list(inspect.signature(member).parameters), name
            else:
                assert isinstance(getattr(kind, name), property), name
