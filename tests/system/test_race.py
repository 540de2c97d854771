"""One refresh token in many hands at once: one branch lives, whoever comes first (R-03, A26)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.mission.stage import Server, start_server

SIZES = (2, 3, 8, 24, 64)


@pytest.fixture
def server(tmp_path: Path, ground: dict[str, str]) -> Iterator[Server]:
    running = start_server(
        tmp_path / "server",
        WATCHWORD_PASSWORD_HASH="test",
        WATCHWORD_REGISTRATIONS_PER_ADDRESS="0",
        **ground,
    )
    yield running
    assert running.process.stop() == 0, running.process.log.read_text()


def race(server: Server, clients: list[httpx2.Client], refresh_token: str) -> list[httpx2.Response]:
    """Every client presents *refresh_token* at the same moment."""
    gate = threading.Barrier(len(clients))

    def present(http: httpx2.Client) -> httpx2.Response:
        gate.wait(30)
        return http.post("/auth/token", json={"refresh_token": refresh_token})

    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(present, clients))


def run(server: Server, rounds: int) -> None:
    clients = [httpx2.Client(base_url=server.url, timeout=60) for _ in range(max(SIZES))]
    try:
        for number in range(rounds):
            user = server.newcomer()
            answers = race(server, clients[: SIZES[number % len(SIZES)]], user.tokens["refresh_token"])
            assert {answer.status_code for answer in answers} == {200}
            # Whoever was second got the head again, not a head of his own.
            branches = {answer.json()["refresh_token"] for answer in answers}
            assert len(branches) == 1
            (head,) = branches
            assert head != user.tokens["refresh_token"]
            assert server.http.post("/auth/token", json={"refresh_token": head}).status_code == 200
    finally:
        for http in clients:
            http.close()


class TestRace:
    def test_attack_a26_one_branch_lives(self, server: Server) -> None:
        """2 to 64 parallel uses of one refresh token: no 5xx, one successor for all of them, and it is good."""
        run(server, rounds=len(SIZES))

    def test_without_grace_the_second_use_ends_the_session(
        self, tmp_path: Path, ground: dict[str, str]
    ) -> None:
        """Where nothing is forgiven exactly one is answered, and what it was given is dead."""
        server = start_server(
            tmp_path / "strict",
            WATCHWORD_PASSWORD_HASH="test",
            WATCHWORD_REFRESH_REUSE_GRACE="0s",
            **ground,
        )
        clients = [httpx2.Client(base_url=server.url, timeout=60) for _ in range(16)]
        user = server.newcomer()
        answers = race(server, clients, user.tokens["refresh_token"])
        for http in clients:
            http.close()
        assert sorted(answer.status_code for answer in answers) == [200, *[401] * 15]
        (won,) = (answer.json() for answer in answers if answer.status_code == 200)
        assert (
            server.http.post("/auth/token", json={"refresh_token": won["refresh_token"]}).status_code == 401
        )
        assert server.process.stop() == 0

    @pytest.mark.long
    def test_two_hundred_rounds(self, server: Server) -> None:
        """The same, two hundred times."""
        run(server, rounds=200)
