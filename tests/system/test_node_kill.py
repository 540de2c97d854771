"""One of two nodes dies at any moment: what was acknowledged stands, and to ask again has one effect (R-01)."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import asyncpg
import httpx2
import pytest

from tests.mission.stage import PASSWORD, User
from tests.system.restart import Restarts
from tests.system.test_nodes import People, Site, alive, nothing_was_lost, open_site, refuses, until


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    # The operator's token outlives a hundred kills.
    with open_site(tmp_path_factory.mktemp("site"), WATCHWORD_ACCESS_TOKEN_TTL="1h") as opened:
        yield opened


@dataclass
class Stubborn(People):
    """They ask again whenever a node dies on them, until they are answered."""

    operator: User = field(default_factory=lambda: User("", "", ""))
    banned: list[User] = field(default_factory=list)
    answers: int = 0
    asked_again: int = 0
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1_000_000)))

    def live(self) -> None:
        while not self.enough.is_set():
            number = next(self._numbers)
            user = User("", f"stubborn{number}@example.com", PASSWORD)
            body = {"email": user.email, "password": PASSWORD}
            self.done("/auth/register", body, {201, 409})  # 409: it had been done when the node died
            user.tokens = self.done("/auth/login", body, {200}).json()
            for _ in range(4):
                body = {"refresh_token": user.tokens["refresh_token"]}
                user.tokens = self.done("/auth/token", body, {200}).json()
            match number % 3:
                case 0:
                    body = {"refresh_token": user.tokens["refresh_token"]}
                    self.done("/auth/logout", body, {204, 401})  # 401: the same
                    self.ended.append(user)
                case 1:
                    user.id = self.done("/auth/me", None, {200}, user).json()["id"]
                    ban = f"/admin/v1/users/{user.id}/ban"
                    self.done(ban, {"reason": "test"}, {200}, self.operator)
                    self.banned.append(user)
                case _:
                    self.living.append(user)

    def done(
        self, path: str, body: dict[str, str] | None, wanted: set[int], who: User | None = None
    ) -> httpx2.Response:
        """Ask until there is an answer, which is one of the *wanted*."""
        while True:
            try:
                method, headers = "GET" if body is None else "POST", who.bearer if who else {}
                answer = self.front.http.request(method, path, json=body, headers=headers)
            except httpx2.TransportError:
                self.asked_again += 1
                self.enough.wait(0.02)
                continue
            self.answers += 1
            if answer.status_code in wanted:
                return answer
            assert answer.status_code == 503, f"{path}: {answer.status_code} {answer.text}"
            self.enough.wait(0.05)


def kill_nodes(site: Site, rounds: int, seed: int) -> tuple[Stubborn, Restarts]:
    """Kill one node after the other under load; everybody who was answered, and how long the nodes took to return."""
    chance, restarts = random.Random(seed), Restarts()
    operator = site.front.administrator(audience=site.balancer.url)
    with alive(Stubborn(site.front, operator=operator)) as crowd:
        for number in range(rounds):
            enough = crowd.answers + chance.randint(20, 100)
            until(lambda enough=enough: crowd.answers >= enough)  # type: ignore[misc]
            dying = site.nodes[number % 2].process
            assert dying.child is not None
            dying.child.send_signal(signal.SIGKILL)
            dying.child.wait()
            restarts.begin(dying, "/readyz")
    return crowd, restarts


def each_was_done_once(site: Site, crowd: Stubborn) -> None:
    """What had to be asked again: no token was taken for a replay, no session ended twice, nobody is there twice."""
    place = site.nodes[0].process.env["WATCHWORD_DATABASE"]

    async def count(query: str) -> int:
        connection = await asyncpg.connect(place)
        try:
            return int(await connection.fetchval(f"SELECT count(*) FROM ({query}) AS found"))
        finally:
            await connection.close()

    for query in (
        "SELECT 1 FROM events WHERE type IN ('refresh_token_replayed', 'refresh_token_stolen', 'store_rolled_back')",
        "SELECT 1 FROM events WHERE type = 'session.ended' GROUP BY session_id HAVING count(*) > 1",
        "SELECT 1 FROM events WHERE type = 'user.created' GROUP BY user_id HAVING count(*) > 1",
        "SELECT 1 FROM revocations WHERE kind = 'session' GROUP BY id HAVING count(*) > 1",
    ):
        assert asyncio.run(count(query)) == 0, query
    guard = site.guard(0)
    try:
        for user in crowd.banned:
            until(partial(refuses, guard, user.tokens["access_token"]))
            again = {"refresh_token": user.tokens["refresh_token"]}
            assert site.front.http.post("/auth/token", json=again).status_code == 401
    finally:
        guard.close()
    assert site.nodes[0].manage("db", "check") == {"ok": True, "problems": []}


class TestKill:
    def test_r_01_a_node_that_is_killed_takes_nothing_along(self, site: Site) -> None:
        """SIGKILL under load: every answer holds at the other node, and whoever was not answered asks again."""
        crowd, _ = kill_nodes(site, rounds=2, seed=3)
        nothing_was_lost(site, crowd)
        each_was_done_once(site, crowd)

    @pytest.mark.long
    def test_r_01_a_hundred_kills(self, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
        """The same, a hundred times."""
        crowd, restarts = kill_nodes(site, rounds=100, seed=4)
        nothing_was_lost(site, crowd)
        each_was_done_once(site, crowd)
        assert crowd.asked_again > 0
        with capsys.disabled():
            print(f"\n{crowd.answers} answers, {crowd.asked_again} asked again; {restarts}")
