"""What a guard exports of itself, and the age of its news on an API's answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.guard.stage import ISSUER, TOKEN_KEY, PretendIssuer, mint, pretend_issuer, until
from watchword import Guard
from watchword.frameworks import staleness
from watchword.frameworks.asgi import protect


@pytest.fixture
def issuer() -> Iterator[PretendIssuer]:
    with pretend_issuer() as found:
        yield found


def samples(guard: Guard) -> dict[str, float]:
    """What Prometheus reads, by name and state."""
    found = {}
    for family in text_string_to_metric_families(guard.metrics()):
        for sample in family.samples:
            assert (sample.labels["issuer"], sample.labels["audience"]) == (guard.issuer, guard.audience)
            name = sample.name.removeprefix("watchword_guard_")
            found[name + sample.labels.get("state", "")] = sample.value
    return found


class TestMetrics:
    def test_state_age_and_cursor_are_exported(self, issuer: PretendIssuer) -> None:
        """Cold, then live; the cursor and the table move with the feed, the age is in seconds."""
        shift = [0.0]
        guard = Guard(issuer.url, clock=lambda: time.time() + shift[0])
        before = samples(guard)
        assert (before["statecold"], before["statelive"]) == (1, 0)
        assert "staleness_seconds" not in before
        guard.verify(mint(time.time(), issuer=issuer.url))
        issuer.revoke("session", "ses_7")
        until(lambda: samples(guard)["sequence"] == 1)
        now = samples(guard)
        assert (now["statecold"], now["statelive"]) == (0, 1)
        assert (now["entries"], now["epoch"], now["cached_tokens"], now["alarms_total"]) == (1, 1, 1, 0)
        assert now["staleness_seconds"] < 60
        guard.close()
        shift[0] = 100
        assert samples(guard)["statestale"] == 1
        assert samples(guard)["staleness_seconds"] >= 100

    def test_an_offline_guard_is_offline(self) -> None:
        """It has no news that could be old; a label is escaped."""
        guard = Guard(ISSUER, 'a "quoted\\" API', keys={"keys": [TOKEN_KEY.public_jwk()]})
        assert samples(guard)["stateoffline"] == 1
        assert "staleness_seconds" not in samples(guard)
        assert guard.staleness() is None


class TestStalenessHeader:
    @pytest.mark.anyio
    async def test_every_answer_says_how_old_the_news_is(self, issuer: PretendIssuer) -> None:
        """Refusals, too; nothing is said before anything was heard."""
        shift = [0.0]
        guard = Guard(issuer.url, clock=lambda: time.time() + shift[0])
        app = staleness.asgi(guard)(_either(_hello, protect(guard, optional=True)(_hello)))
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://api") as http:
            assert "watchword-staleness" not in (await http.get("/public")).headers
            guard.refresh()
            for bearer, status in (({}, 200), ({"Authorization": "Bearer junk"}, 401)):
                answer = await http.get("/", headers=bearer)
                assert answer.status_code == status
                assert 0 <= float(answer.headers["watchword-staleness"]) < 10
            guard.close()
            shift[0] = 50
            assert float((await http.get("/")).headers["watchword-staleness"]) >= 50

    def test_the_same_over_wsgi(self, issuer: PretendIssuer) -> None:
        """One more field, nothing else changed."""
        guard = Guard(issuer.url)
        guard.refresh()
        app = staleness.wsgi(guard)(_hello_wsgi)
        with httpx2.Client(transport=httpx2.WSGITransport(app=app), base_url="http://api") as http:
            answer = http.get("/")
        assert (answer.status_code, answer.text, answer.headers["x-api"]) == (200, "hello", "1")
        assert 0 <= float(answer.headers["watchword-staleness"]) < 10
        guard.close()


def _either(public: Any, guarded: Any) -> Any:
    async def route(scope: Any, receive: Any, send: Any) -> None:
        await (public if scope["path"] == "/public" else guarded)(scope, receive, send)

    return route


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def _hello_wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("X-Api", "1")])
    return [b"hello"]
