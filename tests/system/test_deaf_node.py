"""A node that hears nothing any more: its guards learn of a ban elsewhere within a few heartbeats all the same."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.databases import Cluster
from tests.mission.stage import Server, start_server
from tests.relay import Relay, relay
from tests.system.balancer import Balancer
from tests.system.conftest import SECRET
from watchword import Guard
from watchword.errors import InvalidToken

pytestmark = pytest.mark.slow

HEARTBEAT = 5
AT_MOST = 4 * HEARTBEAT
"""Seconds: two heartbeats until a silent stream is left, and two for new connections, some of which fail."""


@dataclass
class Site:
    """Two nodes behind a balancer; the first one's way to the database can be cut."""

    balancer: Balancer
    deaf: Server
    well: Server
    between: Relay


@pytest.fixture
def site(postgres: Cluster, tmp_path: Path) -> Iterator[Site]:
    place = asyncio.run(postgres.place())
    database_port = urlsplit(place).port
    assert database_port is not None
    with Balancer() as balancer, relay(database_port) as between:

        def start(name: str, database: str) -> Server:
            return start_server(
                tmp_path / name,
                WATCHWORD_DATABASE=database,
                WATCHWORD_SECRET=SECRET,
                WATCHWORD_ISSUER=balancer.url,
                WATCHWORD_PASSWORD_HASH="test",
                WATCHWORD_REGISTRATIONS_PER_ADDRESS="0",
            )

        with ThreadPoolExecutor() as pool:
            deaf, well = pool.map(start, ("deaf", "well"), (between.lead(place), place))
        balancer.backends = [_port(deaf)]
        yield Site(balancer, deaf, well, between)
        for node in (deaf, well):
            assert node.process.child is not None
            node.process.child.send_signal(signal.SIGCONT)
            node.process.child.kill()
            node.process.child.wait(10)


def _port(server: Server) -> int:
    port = urlsplit(server.url).port
    assert port is not None
    return port


def heard(site: Site, guard: Guard, token: str) -> float:
    """End the session of *token* at the node that is well; seconds until the guard refuses it."""
    states = set()
    answer = httpx2.post(
        site.well.url + "/auth/logout", headers={"Authorization": f"Bearer {token}"}, timeout=30
    )
    assert answer.status_code == 204, answer.text
    began = time.monotonic()
    while time.monotonic() - began < 90:
        states.add(guard.health()["state"])
        try:
            guard.verify(token)
        except InvalidToken:
            assert states == {"live", "late"} or time.monotonic() - began < 2 * HEARTBEAT
            return time.monotonic() - began
        time.sleep(0.05)
    raise AssertionError("the guard never heard of it")


class TestDeafNode:
    @pytest.mark.parametrize("how", ["silent database", "refusing database", "stopped process"])
    def test_f_n4_a_ban_at_another_node_is_heard_in_time(self, site: Site, how: str) -> None:
        """The guard was on the node that went deaf; the balancer goes on sending every other connection there."""
        user = site.well.register()
        token = site.well.login(user).tokens["access_token"]
        guard = Guard(site.balancer.url)
        guard.verify(token)
        site.balancer.backends = [_port(site.deaf), _port(site.well)]
        if how == "silent database":
            site.between.forwarding.clear()
        elif how == "refusing database":
            site.between.close()
        else:
            assert site.deaf.process.child is not None
            site.deaf.process.child.send_signal(signal.SIGSTOP)
        try:
            assert heard(site, guard, token) < AT_MOST
        finally:
            site.between.forwarding.set()
            guard.close()
