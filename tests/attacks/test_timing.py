"""What the time of an answer tells: nothing about who has an account."""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import argon2
import httpx2
import pytest

from tests.mailroom import Mailroom, open_mailroom
from tests.mission.stage import Server, start_server
from tests.server.stage import PASSWORD, Stage, open_stage

PAIRS = 500


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """Every Argon2 computation that is done from now on: memory, passes, lanes."""
    done: list[tuple[int, int, int]] = []
    real = argon2.low_level.verify_secret

    def verify_secret(digest: bytes, secret: bytes, kind: argon2.Type) -> bool:
        settings = argon2.extract_parameters(digest.decode())
        done.append((settings.memory_cost, settings.time_cost, settings.parallelism))
        return real(digest, secret, kind)

    monkeypatch.setattr("argon2._password_hasher.verify_secret", verify_secret)
    return done


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with open_stage(password_hash="standard") as opened:
        yield opened


@pytest.mark.anyio
class TestWork:
    async def test_attack_a44_every_refusal_costs_one_hash(
        self, stage: Stage, work: list[tuple[int, int, int]]
    ) -> None:
        """Unknown, known, banned, without a password, an impossible password or name: one and the same computation."""
        ada, banned, root = await stage.somebody(), await stage.somebody(), await stage.administrator()
        for path, body in (
            (f"/admin/v1/users/{banned.id}/ban", {}),
            ("/admin/v1/users", {"email": "empty@example.com"}),
        ):
            answer = await stage.http.post(path, json=body, headers=root.bearer)
            assert answer.status_code < 300
        work.clear()
        tries: list[dict[str, str]] = [
            {"email": email, "password": password}
            for email in (
                ada.email,
                banned.email,
                "empty@example.com",
                "nobody@example.com",
                "\0",
                "x" * 9000,
            )
            for password in ("wrong", "", "x" * 5000, "nul\0", "é")
        ]
        for body in tries:
            answer = await stage.http.post("/auth/login", json=body)
            assert answer.status_code == 401
            assert work == [(19_456, 2, 1)], body
            work.clear()

    async def test_attack_a48_a_flood_of_bytes_costs_none(
        self, stage: Stage, work: list[tuple[int, int, int]]
    ) -> None:
        """A megabyte of password is refused before anything is hashed."""
        for path in ("/auth/login", "/auth/register"):
            for size in (1_000_000, 10_000_000):
                body = {"email": "a@example.com", "password": "x" * size}
                assert (await stage.http.post(path, json=body)).status_code == 413
        assert work == []

    async def test_a_refused_attempt_costs_none(self, stage: Stage, work: list[tuple[int, int, int]]) -> None:
        """Beyond the limit an attacker does not keep our processor busy, known or unknown."""
        ada = await stage.somebody()
        for email in (ada.email, "nobody@example.com"):
            for _ in range(10):
                await stage.post_login(email=email, password="wrong")
            work.clear()
            assert (await stage.post_login(email=email, password=PASSWORD)).status_code == 429
            assert work == []


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    limits = {f"WATCHWORD_LOGIN_ATTEMPTS_PER_{each}": "0" for each in ("ACCOUNT", "ADDRESS")}
    running = start_server(tmp_path / "server", WATCHWORD_LOG_REQUESTS="false", **limits)
    yield running
    running.http.close()
    running.process.stop()


@pytest.fixture
def posting(tmp_path: Path) -> Iterator[Server]:
    """A server that sends a mail for each known address, however many are asked for."""
    with open_mailroom(Mailroom()) as room:
        settings = {f"WATCHWORD_{name.upper()}": value for name, value in room.settings.items()}
        limits = {f"WATCHWORD_PASSWORD_RESETS_PER_{each}": "0" for each in ("ACCOUNT", "ADDRESS")}
        running = start_server(tmp_path / "server", WATCHWORD_LOG_REQUESTS="false", **settings, **limits)
        yield running
        running.http.close()
        running.process.stop()


@pytest.mark.long
class TestTime:
    """500 pairs, known and unknown in turn: medians within 5 %, and no better than a guess to tell them apart."""

    def test_attack_a44_the_median_tells_nothing(self, server: Server) -> None:
        """Of log-ins with a wrong password."""
        self.alternate(server, "/auth/login", 401, password="wrong-password")

    def test_attack_a44_r_27_a_request_for_a_link_tells_nothing(self, posting: Server) -> None:
        """Though for each known address a link is kept and a mail goes out, meanwhile."""
        self.alternate(posting, "/auth/password/forgot", 202)

    def alternate(self, server: Server, path: str, status: int, **members: str) -> None:
        users = [server.register() for _ in range(20)]
        known, unknown = [], []
        for number in range(-10, PAIRS):
            for times, email in (
                (known, users[number % len(users)].email),
                (unknown, f"nobody{number % len(users)}.{number // len(users) % 9}@example.com"),
            ):
                spent = self.spent(server.http, path, status, {"email": email, **members})
                if number >= 0:
                    times.append(spent)
        medians = statistics.median(known), statistics.median(unknown)
        assert abs(medians[0] - medians[1]) < 0.05 * min(medians), medians
        assert abs(area(known, unknown) - 0.5) < 0.1

    def spent(self, http: httpx2.Client, path: str, status: int, body: dict[str, str]) -> float:
        started = time.perf_counter()
        answer = http.post(path, json=body)
        spent = time.perf_counter() - started
        assert answer.status_code == status, answer.text
        return spent


def area(first: list[float], second: list[float]) -> float:
    """How often one of *first* is above one of *second*: a half where a classifier learns nothing (ROC AUC)."""
    return sum((a > b) + (a == b) / 2 for a in first for b in second) / (len(first) * len(second))
