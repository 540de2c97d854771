"""Who may read the metrics, and where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.mission.stage import free_port, start_server
from tests.server.stage import open_stage, problem
from watchword.server.app import App

pytestmark = pytest.mark.anyio

TOKEN = "the-token-of-prometheus-is-not-secret"
SERVED = "watchword_feed_listeners 0.0"


class TestPublicPort:
    @pytest.mark.parametrize("place", ["off", "127.0.0.1:9464"])
    async def test_f_s14_no_metrics_for_strangers(self, place: str) -> None:
        """404 whatever is shown, and the detail names the setting."""
        async with open_stage(metrics=place) as stage:
            root = await stage.administrator()
            for headers in (
                {},
                root.bearer,
                {"Authorization": f"Bearer {TOKEN}"},
                {"X-Forwarded-For": "::1"},
            ):
                for path in ("/metrics", "/metrics/", "/METRICS", "/metrics?x=1"):
                    answer = await stage.http.get(path, headers=headers)
                    assert answer.status_code == 404, path
                    assert "watchword_" not in answer.text
            document = problem(await stage.http.get("/metrics"), 404, "not_found")
            assert (
                document["detail"]
                == "no metrics are served here: set METRICS, for instance to 127.0.0.1:9464"
            )

    async def test_f_s14_with_a_token(self) -> None:
        """The token and nothing else opens them: 401 without it, and for what looks like it."""
        async with open_stage(metrics="token", metrics_token=TOKEN) as stage:
            root = await stage.administrator()
            good = {"Authorization": f"Bearer {TOKEN}"}
            assert SERVED in (await stage.http.get("/metrics", headers=good)).text
            problem(await stage.http.get("/metrics"), 401, "unauthorized")
            for value in (f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer x"):
                answer = await stage.http.get("/metrics", headers={"Authorization": value})
                problem(answer, 401, "invalid_token")
            assert (await stage.http.get("/metrics", headers=root.bearer)).status_code == 401
            twice = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer x")]
            assert (await stage.http.get("/metrics", headers=twice)).status_code == 400


def listener_of(app: App) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=app.metrics, client=("192.0.2.9", 4711))
    return httpx2.AsyncClient(transport=transport, base_url="http://metrics.internal:9464")


class TestListener:
    async def test_f_s14_it_serves_the_metrics_and_nothing_else(self) -> None:
        """Plain http from another machine; what the server's own port counted is in it."""
        async with open_stage(metrics="0.0.0.0:9464") as stage, listener_of(stage.app) as http:
            await stage.http.get("/auth/me")
            text = (await http.get("/metrics")).text
            assert 'watchword_requests_total{method="GET",route="/auth/me",status="401"} 1.0' in text
            for path in ("/", "/auth/me", "/admin/v1/users", "/readyz", "/revocations"):
                assert (await http.get(path)).status_code == 404
            assert (await http.post("/auth/login", json={})).status_code == 404

    async def test_f_s14_it_asks_for_the_token_if_there_is_one(self) -> None:
        """Who reaches the port is asked all the same."""
        async with (
            open_stage(metrics="0.0.0.0:9464", metrics_token=TOKEN) as stage,
            listener_of(stage.app) as http,
        ):
            assert (await http.get("/metrics")).status_code == 401
            assert SERVED in (await http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})).text


@pytest.fixture(params=["1", "2"], ids=["one process", "two processes"])
def ports(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, int]]:
    """The port of a server as a process, and that of its metrics."""
    port = free_port()
    server = start_server(
        tmp_path,
        WATCHWORD_METRICS=f"127.0.0.1:{port}",
        WATCHWORD_WORKERS=request.param,
        WATCHWORD_PASSWORD_HASH="test",
    )
    try:
        yield int(server.process.url.rpartition(":")[2]), port
    finally:
        server.http.close()
        assert server.process.stop() == 0


def test_f_s14_a_listener_of_a_process(ports: tuple[int, int]) -> None:
    """By one process or by several the metrics are at their own port, which closes with the server."""
    public, own = ports
    assert httpx2.get(f"http://127.0.0.1:{public}/metrics").status_code == 404
    answer = httpx2.get(f"http://127.0.0.1:{own}/metrics")
    assert answer.status_code == 200
    assert "watchword_worker" in answer.text
    assert httpx2.get(f"http://127.0.0.1:{own}/readyz").status_code == 404
