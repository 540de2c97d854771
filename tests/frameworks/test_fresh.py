"""How fresh a route wants its news: what it asks for, what it does without an answer, and each ``on_stale``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from tests.guard.stage import PretendIssuer, kill, mint, pretend_issuer, serving, until
from watchword import Guard, InvalidToken, TemporarilyUnavailable
from watchword.frameworks.asgi import protect
from watchword.frameworks.protection import Protection

pytestmark = pytest.mark.anyio

ROUTES: dict[str, dict[str, Any]] = {
    "/open": {},
    "/payslip": {"fresh": 30},
    "/payments": {"fresh": 0},
    "/staff": {"role": "user"},
    "/rota": {"role": "user", "fresh": 300},
}


@pytest.fixture
def issuer() -> Iterator[PretendIssuer]:
    with pretend_issuer() as found:
        yield found


class Api:
    """An application whose routes want news of different freshness, and a clock that runs ahead on demand."""

    def __init__(self, issuer: PretendIssuer, on_stale: Any = "accept") -> None:
        self.ahead = 0.0
        self.guard = Guard(issuer.url, on_stale=on_stale, clock=lambda: time.time() + self.ahead)
        self.apps = {path: protect(self.guard, **wants)(_hello) for path, wants in ROUTES.items()}
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self), base_url="http://api")
        self.bearer = {"Authorization": f"Bearer {mint(time.time(), issuer=issuer.url)}"}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.apps[scope["path"]](scope, receive, send)

    async def get(self, path: str) -> int:
        return (await self.http.get(path, headers=self.bearer)).status_code


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


@asynccontextmanager
async def api(issuer: PretendIssuer, **options: Any) -> AsyncIterator[Api]:
    """An API that is live and on the stream."""
    found = Api(issuer, **options)
    assert await found.get("/open") == 200
    until(lambda: issuer.listeners)
    yield found
    await found.http.aclose()
    found.guard.close()


class TestFresh:
    async def test_zero_asks_each_time_and_thirty_only_when_old(self, issuer: PretendIssuer) -> None:
        """A payment asks the issuer; a read does once the news is thirty seconds old; other routes never."""
        async with api(issuer) as payroll:
            for path in ("/open", "/staff", "/payslip"):
                assert await payroll.get(path) == 200
            assert issuer.questions == 0
            for asked in (1, 2):
                assert await payroll.get("/payments") == 200
                assert issuer.questions == asked
            issuer.questions = 0
        async with api(issuer) as payroll:
            payroll.ahead = 31
            assert await payroll.get("/open") == 200
            assert issuer.questions == 0
            for _ in range(2):
                assert await payroll.get("/payslip") == 200
            assert issuer.questions == 1

    async def test_a_payment_hears_what_a_read_has_not_heard_yet(self, issuer: PretendIssuer) -> None:
        """The event was lost on the way: the read goes on within its bound, the payment is refused."""
        async with api(issuer) as payroll:
            issuer.log.append(kill(1, "session", "ses_1"))
            assert await payroll.get("/payslip") == 200
            assert await payroll.get("/payments") == 401
            assert await payroll.get("/payslip") == 401

    async def test_n02_with_the_network_cut_reads_go_on_and_payments_refuse(self) -> None:
        """Within the bound; the payment's refusal says why; past the bound reads and roles refuse, too."""
        issuer = PretendIssuer()
        with serving(issuer):
            payroll = Api(issuer)
            assert await payroll.get("/payments") == 200
        for path in ("/open", "/payslip", "/staff"):
            assert await payroll.get(path) == 200
        refusal = await payroll.http.get("/payments", headers=payroll.bearer)
        assert (refusal.status_code, refusal.json()["error"]) == (503, "temporarily_unavailable")
        assert "the issuer did not answer" in refusal.json()["detail"]
        assert int(refusal.headers["retry-after"]) > 0
        payroll.ahead = 31
        assert [await payroll.get(path) for path in ("/open", "/payslip", "/staff")] == [200, 503, 200]
        payroll.ahead = 61
        assert [await payroll.get(path) for path in ("/open", "/payslip", "/staff")] == [200, 503, 503]
        await payroll.http.aclose()
        payroll.guard.close()

    async def test_a_role_keeps_the_guard_s_own_limit(self, issuer: PretendIssuer) -> None:
        """A larger ``fresh`` does not loosen what holds for every role: the issuer is asked."""
        async with api(issuer) as payroll:
            payroll.ahead = 61
            assert await payroll.get("/rota") == 200
            assert issuer.questions == 1

    async def test_a_bad_token_makes_nobody_ask(self, issuer: PretendIssuer) -> None:
        """A stranger cannot have the issuer asked."""
        async with api(issuer) as payroll:
            for bearer in ({}, {"Authorization": "Bearer junk"}):
                assert (await payroll.http.get("/payments", headers=bearer)).status_code == 401
            assert issuer.questions == 0

    async def test_other_requests_do_not_wait_for_the_answer(self, issuer: PretendIssuer) -> None:
        """The event loop is free while a payment waits."""
        async with api(issuer) as payroll:
            issuer.answering.clear()
            payment = asyncio.create_task(payroll.get("/payments"))
            await asyncio.to_thread(until, lambda: issuer.questions)
            assert await payroll.get("/open") == 200
            assert not payment.done()
            issuer.answering.set()
            assert await payment == 200

    async def test_a_caller_who_leaves_does_not_take_the_answer_along(self, issuer: PretendIssuer) -> None:
        """Two payments share a question; one is cancelled, the other is answered."""
        async with api(issuer) as payroll:
            issuer.answering.clear()
            first = asyncio.create_task(payroll.get("/payments"))
            second = asyncio.create_task(payroll.get("/payments"))
            await asyncio.to_thread(until, lambda: issuer.questions)
            first.cancel()
            issuer.answering.set()
            assert await second == 200


class TestOnStale:
    @pytest.mark.parametrize(
        ("on_stale", "open_status"), [("accept", 200), ("reject", 503), ("introspect", 503)]
    )
    async def test_without_the_issuer(self, on_stale: str, open_status: int) -> None:
        """``accept`` goes on, the others refuse; a route that names a role refuses under every one."""
        issuer = PretendIssuer()
        with serving(issuer):
            payroll = Api(issuer, on_stale)
            assert await payroll.get("/open") == 200
        payroll.ahead = 61
        assert await payroll.get("/open") == open_status
        assert await payroll.get("/staff") == 503
        await payroll.http.aclose()
        payroll.guard.close()

    async def test_introspect_asks_before_it_refuses(self, issuer: PretendIssuer) -> None:
        """Silence on the stream alone refuses nobody; one answer serves until the news is old again."""
        async with api(issuer, on_stale="introspect") as payroll:
            payroll.ahead = 61
            for path in ("/open", "/staff", "/open"):
                assert await payroll.get(path) == 200
            assert issuer.questions == 1

    async def test_introspect_hears_of_the_kill_it_missed(self, issuer: PretendIssuer) -> None:
        """What the answer brings counts for the very request that asked."""
        async with api(issuer, on_stale="introspect") as payroll:
            issuer.log.append(kill(1, "session", "ses_1"))
            payroll.ahead = 61
            assert await payroll.get("/open") == 401

    async def test_the_guard_s_own_words(self, issuer: PretendIssuer) -> None:
        """``authenticate_async`` asks; ``verify`` and ``authenticate`` never do."""
        async with api(issuer, on_stale="introspect") as payroll:
            payroll.ahead = 61
            header = payroll.bearer["Authorization"]
            for word in (payroll.guard.authenticate, lambda header: payroll.guard.verify(header[7:])):
                with pytest.raises(TemporarilyUnavailable):
                    word(header)
            assert issuer.questions == 0
            assert (await payroll.guard.authenticate_async(header)).subject == "usr_ada"
            assert payroll.guard.authenticate(header).subject == "usr_ada"
            with pytest.raises(InvalidToken):
                payroll.guard.verify("junk")


class TestSynchronousFace:
    async def test_it_asks_in_its_own_thread(self, issuer: PretendIssuer) -> None:
        """WSGI frameworks wait where they stand; the decision is the same."""
        guard = Guard(issuer.url)
        pay = Protection.parse(guard, fresh=0)
        header = f"Bearer {mint(time.time(), issuer=issuer.url)}"
        assert pay.authorize(header) is not None
        assert issuer.questions == 1
        issuer.log.append(kill(1, "session", "ses_1"))
        with pytest.raises(InvalidToken):
            pay.authorize(header)
        guard.close()
