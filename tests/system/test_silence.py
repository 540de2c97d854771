"""A node whose database goes silent without a farewell: answers in seconds, an end in seconds, and quick recovery."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.databases import Cluster
from tests.mission.stage import Server, start_server
from tests.relay import Relay, relay
from tests.system.conftest import SECRET

pytestmark = pytest.mark.slow

TIMEOUT = 1
AT_MOST = 2 * TIMEOUT + 2
DRAIN_AT_MOST = 15.0
"""Seconds: the time to drain and five, as docs/postgresql.md says."""


@pytest.fixture
def place(postgres: Cluster) -> str:
    return asyncio.run(postgres.place())


@pytest.fixture
def between(place: str) -> Iterator[Relay]:
    port = urlsplit(place).port
    assert port is not None
    with relay(port) as opened:
        yield opened


def start(folder: Path, url: str, **more: str) -> Server:
    node = start_server(
        folder,
        WATCHWORD_DATABASE=url,
        WATCHWORD_SECRET=SECRET,
        WATCHWORD_PASSWORD_HASH="test",
        WATCHWORD_DATABASE_TIMEOUT=f"{TIMEOUT}s",
        WATCHWORD_REGISTRATIONS_PER_ADDRESS="0",
        **more,
    )
    deadline = time.monotonic() + 20
    while b"listening on" not in node.process.log.read_bytes():  # all of several answer
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return node


def ask(node: Server, headers: dict[str, str]) -> tuple[int, str, float]:
    began = time.monotonic()
    answer = httpx2.get(node.url + "/auth/me", headers=headers, timeout=60)
    return answer.status_code, answer.headers.get("retry-after", ""), time.monotonic() - began


class TestSilence:
    @pytest.mark.parametrize("workers", ["1", "2"])
    def test_f_n6_answers_come_in_seconds_and_so_does_recovery(
        self, place: str, between: Relay, tmp_path: Path, workers: str
    ) -> None:
        """Twice: 503 with ``Retry-After`` while it is silent, 200 as soon as the path is back."""
        node = start(tmp_path, between.lead(place), WATCHWORD_WORKERS=workers)
        user = node.login(node.register())
        for _ in range(2):
            between.forwarding.clear()
            with ThreadPoolExecutor(16) as pool:
                for status, again, took in pool.map(lambda _: ask(node, user.bearer), range(48)):
                    assert (status, bool(again)) == (503, True)
                    assert took < AT_MOST
            between.forwarding.set()
            back = time.monotonic()
            while ask(node, user.bearer)[0] != 200:
                assert time.monotonic() - back < 5
        assert node.process.stop() == 0

    @pytest.mark.parametrize("workers", ["1", "2"])
    @pytest.mark.parametrize("signals", [1, 2])
    def test_f_n6_the_end_comes_though_the_database_is_silent(
        self, place: str, between: Relay, tmp_path: Path, workers: str, signals: int
    ) -> None:
        """Within the time to drain and five seconds; at once after a second signal."""
        node = start(tmp_path, between.lead(place), WATCHWORD_WORKERS=workers)
        user = node.login(node.register())
        child = node.process.child
        assert child is not None
        between.forwarding.clear()
        with ThreadPoolExecutor(12) as pool:
            waiting = [pool.submit(ask, node, user.bearer) for _ in range(12)]
            time.sleep(0.3)
            began = time.monotonic()
            for _ in range(signals):
                child.send_signal(signal.SIGTERM)
                time.sleep(0.3)
            child.wait(30)
            took = time.monotonic() - began
            for one in waiting:
                one.exception()
        assert took < (DRAIN_AT_MOST if signals == 1 else 4)
