"""Two nodes on one PostgreSQL, behind a balancer, as real processes: restarts on either side of them lose nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import httpx2
import pytest

from tests import databases
from tests.mission.stage import PASSWORD, Server, User, start_server
from tests.system.balancer import Balancer
from tests.system.conftest import SECRET
from watchword import Guard
from watchword.errors import InvalidToken

CROWD = 6

Crowd = TypeVar("Crowd", bound="People")


@dataclass
class Site:
    """Everything that is there: the database, two nodes, and the address that people know."""

    database: databases.Server
    balancer: Balancer
    nodes: list[Server]
    front: Server
    """Whichever node the balancer chooses."""

    def guard(self, node: int) -> Guard:
        """An API that hears of this node alone."""
        self.balancer.backends = [port(self.nodes[node])]
        try:
            guard = Guard(self.balancer.url)
            guard.refresh()
            return guard
        finally:
            self.balancer.backends = [port(server) for server in self.nodes]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site")) as opened:
        yield opened


@contextmanager
def open_site(folder: Path, **more: str) -> Iterator[Site]:
    """All of it, until the block ends."""
    with databases.server() as database, Balancer() as balancer:
        settings = {
            "WATCHWORD_DATABASE": asyncio.run(database.cluster.place()),
            "WATCHWORD_SECRET": SECRET,
            "WATCHWORD_ISSUER": balancer.url,
            "WATCHWORD_PASSWORD_HASH": "test",
            "WATCHWORD_REGISTRATIONS_PER_ADDRESS": "0",
            "WATCHWORD_REFRESH_REUSE_GRACE": "5m",
            **more,
        }
        with ThreadPoolExecutor() as pool:
            nodes = list(pool.map(lambda name: start_server(folder / name, **settings), ("one", "two")))
        balancer.backends = [port(node) for node in nodes]
        http = httpx2.Client(base_url=balancer.url, timeout=30, headers={"Connection": "close"})
        yield Site(database, balancer, nodes, Server(nodes[0].process, http))
        for node in nodes:
            assert node.process.stop() == 0, node.process.log.read_text()


def port(server: Server) -> int:
    found = urlsplit(server.url).port
    assert found is not None
    return found


@dataclass
class People:
    """Some who register, refresh and log out through the balancer for as long as they are let."""

    front: Server
    statuses: dict[int, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    ended: list[User] = field(default_factory=list)
    """Whose log-out was acknowledged, with the access token they had."""
    living: list[User] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)

    def live(self) -> None:
        while not self.enough.is_set():
            user = self.front.register()
            answer = self.ask("/auth/login", {"email": user.email, "password": PASSWORD})
            user.tokens = answer.json()
            for _ in range(3):
                token = {"refresh_token": user.tokens["refresh_token"]}
                user.tokens = self.ask("/auth/token", token).json()
            if len(self.ended) % 2:
                self.living.append(user)
            else:
                self.ask("/auth/logout", {"refresh_token": user.tokens["refresh_token"]})
                self.ended.append(user)

    def ask(self, path: str, body: dict[str, str]) -> httpx2.Response:
        """Ask until it is done; a refusal that is not "come again" is a fault."""
        while True:
            answer = self.front.http.post(path, json=body)
            self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
            if answer.status_code != 503:
                if answer.status_code not in (200, 204):
                    self.faults.append(f"{path}: {answer.text}")
                return answer
            assert int(answer.headers["retry-after"]) >= 1
            self.enough.wait(0.05)


@contextmanager
def people(site: Site) -> Iterator[People]:
    """They live while the block does what it does."""
    with alive(People(Patient(site.front.process, site.front.http))) as crowd:
        yield crowd


@contextmanager
def alive(crowd: Crowd) -> Iterator[Crowd]:
    """The same, whoever they are."""
    threads = ThreadPoolExecutor(CROWD)
    lives = [threads.submit(crowd.live) for _ in range(CROWD)]
    try:
        yield crowd
    finally:
        crowd.enough.set()
        threads.shutdown()
    for life in lives:
        life.result()


class Patient(Server):
    """Registers again where the answer was "come again": the account may be there then."""

    def register(self, **members: str) -> User:
        while True:
            try:
                return super().register(**members)
            except AssertionError as refused:
                if "temporarily_unavailable" not in str(refused):
                    raise


def nothing_was_lost(site: Site, crowd: People) -> None:
    """Who left is out at every API, who stayed can go on."""
    assert crowd.faults == []
    assert crowd.ended
    guard = site.guard(1)
    try:
        for user in crowd.ended:
            until(partial(refuses, guard, user.tokens["access_token"]))
            again = {"refresh_token": user.tokens["refresh_token"]}
            assert site.front.http.post("/auth/token", json=again).status_code == 401
        for user in crowd.living:
            again = {"refresh_token": user.tokens["refresh_token"]}
            assert site.front.http.post("/auth/token", json=again).status_code == 200
    finally:
        guard.close()


def restart_nodes(site: Site, rounds: int) -> People:
    with people(site) as crowd:
        for number in range(rounds):
            going = site.nodes[number % 2]  # the balancer is not told: whom it sends is answered or refused
            assert going.process.stop() == 0, going.process.log.read_text()
            going.process.start("/readyz")
    return crowd


def restart_database(site: Site, rounds: int) -> People:
    with people(site) as crowd:
        for _ in range(rounds):
            site.database.stop()
            jwks = site.front.jwks()
            assert jwks["keys"]
            assert site.front.http.get("/revocations").status_code == 200
            site.database.start()
            until(lambda: site.front.http.get("/readyz").status_code == 200)
    return crowd


def until(holds: Callable[[], bool]) -> None:
    """It holds, before long."""
    waiting = threading.Event()
    for _ in range(1000):
        if holds():
            return
        waiting.wait(0.02)
    raise AssertionError("it never held")


def refuses(guard: Guard, token: str) -> bool:
    """Whether an API turns this token down."""
    try:
        guard.verify(token)
    except InvalidToken:
        return True
    return False


class TestNodes:
    def test_a_ban_at_one_node_reaches_the_guard_of_the_other(self, site: Site) -> None:
        """The guard listens to the second node; the operator speaks to the first."""
        one, two = site.nodes
        operator = one.administrator(audience=site.balancer.url)
        user = two.newcomer()
        guard = site.guard(1)
        try:
            assert guard.verify(user.tokens["access_token"]).subject == user.id
            banned = one.http.post(f"/admin/v1/users/{user.id}/ban", headers=operator.bearer)
            assert banned.status_code == 200

            until(partial(refuses, guard, user.tokens["access_token"]))
        finally:
            guard.close()

    def test_a_command_beside_the_nodes_speaks_to_both(self, site: Site) -> None:
        """``user ban`` changes the database, and the nodes hear of it."""
        user = site.front.newcomer()
        assert site.nodes[0].manage("user", "ban", user.email)["banned"]
        for node in site.nodes:
            assert node.http.get("/auth/me", headers=user.bearer).status_code == 401
        assert site.nodes[0].manage("db", "check") == {"ok": True, "problems": []}
        assert site.nodes[0].manage("db", "upgrade") == {"applied": []}

    def test_r_12_a_rolling_restart_fails_nobody(self, site: Site) -> None:
        """One node after the other is ended and begun again under load, and the balancer not told: no request fails."""
        crowd = restart_nodes(site, rounds=2)
        assert set(crowd.statuses) <= {200, 204}
        nothing_was_lost(site, crowd)

    def test_r_05_a_restart_of_the_database_is_503_and_then_nothing(self, site: Site) -> None:
        """Keys and the snapshot are served meanwhile; nothing acknowledged is lost, nobody restarts a node."""
        crowd = restart_database(site, rounds=2)
        assert set(crowd.statuses) <= {200, 204, 503}
        nothing_was_lost(site, crowd)

    @pytest.mark.long
    def test_r_12_twenty_rolling_restarts(self, site: Site) -> None:
        """The same, twenty times."""
        crowd = restart_nodes(site, rounds=20)
        assert set(crowd.statuses) <= {200, 204}
        nothing_was_lost(site, crowd)

    @pytest.mark.long
    def test_r_05_twenty_restarts_of_the_database(self, site: Site) -> None:
        """The same, twenty times."""
        crowd = restart_database(site, rounds=20)
        assert set(crowd.statuses) <= {200, 204, 503}
        nothing_was_lost(site, crowd)
