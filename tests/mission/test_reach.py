"""A live token is taken back: on real processes, with the server there, gone, and back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.guard.stage import until
from tests.mission.stage import Process, Server, User, start_payroll, start_server, within

ORDER = {"employee_id": 7, "month": "2026-01", "amount_cents": 250_000}


def status(payroll: httpx2.Client, method: str, path: str, user: User) -> int:
    body = ORDER if method == "POST" else None
    return payroll.request(method, path, json=body, headers=user.bearer).status_code


class TestTakingBack:
    def test_s52_a_stolen_token_is_of_no_use_once_it_is_noticed(
        self, server: Server, payroll: httpx2.Client, user: User
    ) -> None:
        """It lives for minutes; when the owner logs out, the thief's copy is dead at the API, refresh included."""
        thief = User(user.id, user.email, "", dict(user.tokens))
        assert user.tokens["expires_in"] <= 600
        assert status(payroll, "GET", "/me", thief) == 404
        assert server.http.post("/auth/logout", headers=user.bearer).status_code == 204
        within(2, payroll, "/me", thief, 401)
        body = {"refresh_token": thief.tokens["refresh_token"]}
        assert server.http.post("/auth/token", json=body).status_code == 401

    def test_n1_no_request_asks_and_every_process_hears(
        self, server: Server, payroll: httpx2.Client, tmp_path: Path, user: User
    ) -> None:
        """A second process of the API: a hundred requests cost the server none, and one ban reaches both."""
        second = start_payroll(tmp_path, server.url)
        try:
            with httpx2.Client(base_url=second.url, timeout=30) as other:
                assert [status(api, "GET", "/me", user) for api in (payroll, other)] == [404, 404]
                before = asked(server)
                for api in (payroll, other):
                    assert {status(api, "GET", "/me", user) for _ in range(50)} == {404}
                assert asked(server) == before
                server.manage("user", "ban", user.email)
                for api in (payroll, other):
                    within(2, api, "/me", user, 401)
        finally:
            second.stop()

    def test_n8_a_remembered_token_is_refused_for_good(
        self, server: Server, payroll: httpx2.Client, user: User
    ) -> None:
        """Verified and remembered fifty times; after its first refusal no request is let in again."""
        assert {status(payroll, "GET", "/me", user) for _ in range(50)} == {404}
        server.http.post("/auth/logout", headers=user.bearer)
        within(2, payroll, "/me", user, 401)
        assert {status(payroll, "GET", "/me", user) for _ in range(50)} == {401}


def asked(server: Server) -> float:
    """Requests that the server has answered, but for those that count or probe it and the feed."""
    metrics = server.http.get("/metrics").text
    return sum(
        float(line.rpartition(" ")[2])
        for line in metrics.splitlines()
        if line.startswith("watchword_requests_total{")
        and "/metrics" not in line
        and "/revocations" not in line
    )


@dataclass
class Outage:
    """A server that was killed, and an API that goes on."""

    server: Server
    api: Process
    good: User
    banned: User
    root: User

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.api.url, timeout=30)


@pytest.fixture(scope="class")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outage]:
    tmp_path = tmp_path_factory.mktemp("outage")
    server = start_server(tmp_path / "server")
    api = start_payroll(tmp_path / "api", server.url, PAYROLL_SNAPSHOT=str(tmp_path / "guard.snapshot"))
    good, banned, root = server.newcomer(), server.newcomer(), server.administrator()
    with httpx2.Client(base_url=api.url, timeout=30) as http:
        assert [status(http, "GET", "/me", user) for user in (good, banned)] == [404, 404]
        assert status(http, "POST", "/payments", root) == 201
        server.manage("user", "ban", banned.email)
        within(2, http, "/me", banned, 401)
    until(lambda: banned.id in (tmp_path / "guard.snapshot").read_text())
    assert server.process.child is not None
    os.kill(server.process.child.pid, signal.SIGKILL)
    server.process.child.wait()
    yield Outage(server, api, good, banned, root)
    api.stop()
    if server.process.child.poll() is None:  # a test has started it again
        server.process.stop()
    server.http.close()


class TestOutage:
    def test_n2_reads_go_on_and_payments_refuse_with_the_reason(self, outage: Outage) -> None:
        """A payment wants fresh news, which nobody can give; everything else goes on."""
        with outage.client() as http:
            assert status(http, "GET", "/me", outage.good) == 404
            assert status(http, "GET", "/employees", outage.root) == 200
            refusal = http.post("/payments", json=ORDER, headers=outage.root.bearer)
        assert refusal.status_code == 503
        assert "the issuer did not answer" in refusal.json()["detail"]
        assert refusal.headers["retry-after"]

    def test_n10_an_api_that_restarts_without_its_server_forgets_nobody(self, outage: Outage) -> None:
        """Three restarts from the snapshot: the good token passes, the banned one never; then the server is back."""
        for restart in range(4):
            with outage.client() as http:
                assert [status(http, "GET", "/me", outage.good) for _ in range(20)] == [404] * 20
                assert [status(http, "GET", "/me", outage.banned) for _ in range(20)] == [401] * 20
            if restart < 3:
                outage.api.stop()
                outage.api.start("/health")
        outage.server.process.start("/readyz")
        after = outage.server.newcomer()
        with outage.client() as http:
            assert status(http, "GET", "/me", after) == 404
            outage.server.http.post("/auth/logout", headers=after.bearer)
            within(10, http, "/me", after, 401)
            assert status(http, "GET", "/me", outage.banned) == 401
            assert status(http, "POST", "/payments", outage.root) == 201
