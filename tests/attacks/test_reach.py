"""What dies at the server dies at every API, and what lives goes on: real processes, and a key that changes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx2
import pytest

from tests.mission.stage import Process, Server, User, start_payroll, start_server

BOUND = 2.0
"""Seconds within which a dead token is refused by an API that hears the feed."""


@dataclass
class Site:
    """One server and two APIs."""

    server: Server
    apis: list[httpx2.Client]
    root: User

    def admin(self, path: str, **body: object) -> None:
        answer = self.server.http.post(f"/admin/v1/{path}", json=body, headers=self.root.bearer)
        assert answer.status_code == 200, answer.text

    def let_in(self, user: User) -> list[bool]:
        """Whether each API knows who *user* is; he is on no payroll, and that is another matter."""
        statuses = [api.get("/me", headers=user.bearer).status_code for api in self.apis]
        assert set(statuses) <= {401, 404}
        return [status == 404 for status in statuses]

    def refused_everywhere(self, user: User, since: float) -> float:
        """Seconds until the last API refuses *user*."""
        while any(self.let_in(user)):
            assert time.monotonic() - since < BOUND
        return time.monotonic() - since


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    server = start_server(
        tmp_path_factory.mktemp("server"),
        WATCHWORD_PASSWORD_HASH="test",
        WATCHWORD_REGISTRATIONS_PER_ADDRESS="0",
    )
    processes: list[Process] = [
        start_payroll(tmp_path_factory.mktemp(f"payroll{number}"), server.url) for number in range(2)
    ]
    apis = [httpx2.Client(base_url=process.url, timeout=30) for process in processes]
    yield Site(server, apis, server.administrator(audience=server.url))
    for closing in (*apis, server.http):
        closing.close()
    for process in (*processes, server.process):
        process.stop()


def kill(site: Site, times: int) -> list[float]:
    """End so many log-ins in turn by log-out, ban and an administrator; the seconds each took to reach both APIs."""
    witness = site.server.newcomer()
    found = []
    for number in range(times):
        user = site.server.newcomer()
        assert all(site.let_in(user))
        since = time.monotonic()
        match number % 3:
            case 0:
                answer = site.server.http.post("/auth/logout", headers=user.bearer)
                assert answer.status_code == 204
            case 1:
                site.admin(f"users/{user.id}/ban")
            case 2:
                path = f"/admin/v1/users/{user.id}/sessions"
                assert site.server.http.delete(path, headers=site.root.bearer).status_code == 200
        found.append(site.refused_everywhere(user, since))
        if number % 50 == 49:
            site.root = site.server.administrator(audience=site.server.url)
            witness = site.server.newcomer()
        assert all(site.let_in(witness))
    return found


def rotate(site: Site, times: int) -> int:
    """Change the key so often while people log in, refresh and work; how many requests all that took."""
    done = False

    def work() -> int:
        served = 0
        user = site.server.newcomer()
        while not done:
            body = {"refresh_token": user.tokens["refresh_token"]}
            with httpx2.Client(base_url=site.server.url, timeout=30) as http:
                answer = http.post("/auth/token", json=body)
            assert answer.status_code == 200, answer.text
            old, user.tokens = User(user.id, "", "", user.tokens), answer.json()
            for somebody in (user, old):
                assert all(site.let_in(somebody))
                served += len(site.apis)
        return served

    with ThreadPoolExecutor(3) as pool:
        workers = [pool.submit(work) for _ in range(3)]
        try:
            for number in range(times):
                if number % 20 == 19:
                    site.root = site.server.administrator(audience=site.server.url)
                site.admin("keys/rotate", now=True)
        finally:
            done = True
        return sum(worker.result(60) for worker in workers)


class TestReach:
    def test_attack_a29_a_dead_token_is_dead_at_every_api(self, site: Site) -> None:
        """Log-out, ban, ended by an administrator: refused by two other processes within the bound; others go on."""
        assert len(kill(site, 9)) == 9

    @pytest.mark.long
    def test_attack_a29_a_thousand_times(self, site: Site) -> None:
        """The same a thousand times."""
        assert len(kill(site, 1000)) == 1000

    def test_attack_a68_a_key_changes_under_load(self, site: Site) -> None:
        """No good token is refused, of the old key or the new, although the keys change one upon the other."""
        assert rotate(site, 3) > 0

    @pytest.mark.long
    def test_attack_a68_a_hundred_times(self, site: Site) -> None:
        """The same a hundred times."""
        assert rotate(site, 100) > 1000
