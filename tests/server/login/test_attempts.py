"""Guessing passwords: how far a stranger comes, and that its owner comes in all the same."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.server.stage import PASSWORD, Somebody, Stage, each_ground, open_stage, problem

pytestmark = pytest.mark.anyio

kind = each_ground


@pytest.fixture
async def proxied(ground: dict[str, str]) -> AsyncIterator[Stage]:
    """A server behind a proxy, so that a test may come from anywhere."""
    async with open_stage(**ground, trusted_proxies="10.0.0.1") as opened:
        yield opened


class Street:
    """Log-ins from addresses of one's choice."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.http = stage.client("10.0.0.1")

    async def login(self, address: str, password: str, **who: str) -> httpx2.Response:
        headers = {"X-Forwarded-For": address}
        return await self.http.post("/auth/login", json={"password": password, **who}, headers=headers)

    async def hammer(self, address: str, times: int, **who: str) -> list[int]:
        return [(await self.login(address, "wrong", **who)).status_code for _ in range(times)]


async def wait_of(answer: Any) -> int:
    problem(answer, 429, "too_many_requests")
    return int(answer.headers["retry-after"])


class TestAccount:
    async def test_attack_a45_a_thousand_guesses_are_ten(self, proxied: Stage) -> None:
        """429 with ``Retry-After`` after the tenth; the owner comes in from where he is known, and from elsewhere."""
        ada, street = await proxied.somebody(), Street(proxied)
        assert (await street.login("203.0.113.5", PASSWORD, email=ada.email)).status_code == 200
        found = await street.hammer("198.51.100.7", 1000, email=ada.email)
        assert found == [401] * 10 + [429] * 990
        for address in ("203.0.113.5", "192.0.2.77"):
            assert (await street.login(address, PASSWORD, email=ada.email)).status_code == 200
        await wait_of(await street.login("198.51.100.7", PASSWORD, email=ada.email))

    async def test_req_p08_each_failure_after_a_wait_costs_a_longer_one(self, proxied: Stage) -> None:
        """``Retry-After`` doubles up to a quarter of an hour, and an attempt comes back each time."""
        ada, street = await proxied.somebody(), Street(proxied)
        await street.hammer("198.51.100.7", 10, email=ada.email)
        waits = []
        for _ in range(11):
            waits.append(await wait_of(await street.login("198.51.100.7", "wrong", email=ada.email)))
            proxied.clock.forward(seconds=waits[-1])
            assert await street.hammer("198.51.100.7", 1, email=ada.email) == [401]
        assert waits[:4] == [6, 12, 24, 48]
        assert waits == sorted(waits)
        assert waits[-2:] == [900, 900]
        proxied.clock.forward(seconds=900)
        assert (await street.login("198.51.100.7", PASSWORD, email=ada.email)).status_code == 200
        assert await street.hammer("198.51.100.7", 11, email=ada.email) == [401] * 10 + [429]

    async def test_req_p08_a_pause_does_not_buy_the_short_waits_back(self, proxied: Stage) -> None:
        """Ten failures a minute, minute after minute, are not to be had."""
        ada, street = await proxied.somebody(), Street(proxied)
        failures = 0
        for _ in range(60):
            failures += (await street.hammer("198.51.100.7", 11, email=ada.email)).count(401)
            proxied.clock.forward(seconds=61)
        assert failures < 200

    async def test_attack_a45_a_burst_tries_no_more_than_a_row(self, proxied: Stage) -> None:
        """Sixty-four wrong passwords at once: ten are told so; a right one after them is not told either."""
        ada, street = await proxied.somebody(), Street(proxied)
        store = proxied.services.store
        found = await store.users.get(ada.id)
        assert found is not None
        assert found.password_digest is not None
        # The cheap hash of the tests would be done before the next guess is looked at.
        slow = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), b"salt", 1000).hex()
        assert await store.users.rehash(ada.id, found.password_digest, f"pbkdf2:sha256:1000$salt${slow}")
        answers = await asyncio.gather(
            *(street.login("198.51.100.7", "wrong", email=ada.email) for _ in range(64))
        )
        statuses = [answer.status_code for answer in answers]
        assert statuses.count(401) == 10
        assert statuses.count(429) == 54
        assert (await street.login("198.51.100.7", PASSWORD, email=ada.email)).status_code == 429

    async def test_many_right_log_ins_at_once_are_no_attack(self, proxied: Stage) -> None:
        """Only failures count."""
        ada, street = await proxied.somebody(), Street(proxied)
        answers = await asyncio.gather(
            *(street.login("198.51.100.7", PASSWORD, email=ada.email) for _ in range(64))
        )
        assert {answer.status_code for answer in answers} <= {200, 503}

    async def test_req_p08_a_hundred_failures_from_everywhere_leave_the_known_networks(
        self, proxied: Stage
    ) -> None:
        """A botnet gets a hundred tries and then waits; the owner comes in where he is logged in, at once."""
        ada, street = await proxied.somebody(), Street(proxied)
        assert (await street.login("203.0.113.5", PASSWORD, email=ada.email)).status_code == 200
        found = [
            status
            for number in range(30)
            for status in await street.hammer(f"198.51.{number}.7", 5, email=ada.email)
        ]
        assert found == [401] * 100 + [429] * 50
        assert await wait_of(await street.login("192.0.2.9", PASSWORD, email=ada.email)) == 60
        assert (await street.login("203.0.113.5", PASSWORD, email=ada.email)).status_code == 200
        assert await street.hammer("192.0.2.9", 1, email=ada.email) == [401]

    async def test_a_known_network_is_known_after_a_restart(self, ground: dict[str, str]) -> None:
        """It stands in the user's sessions, not in memory alone."""
        async with open_stage(**ground, trusted_proxies="10.0.0.1") as stage:
            ada, street = await stage.somebody(), Street(stage)
            await street.login("203.0.113.5", PASSWORD, email=ada.email)
            stage.services.login.attempts.known.__init__()  # type: ignore[misc]
            for number in range(21):
                await street.hammer(f"198.51.{number}.7", 5, email=ada.email)
            await wait_of(await street.login("192.0.2.9", PASSWORD, email=ada.email))
            assert (await street.login("203.0.113.5", PASSWORD, email=ada.email)).status_code == 200

    async def test_req_p09_every_door_to_a_secret_has_the_same_count(self, proxied: Stage) -> None:
        """E-mail, user name, the change of password and of address: one count for one account.

        Where the names are typed, what is told is the count of each; the account's own makes even the right
        password wrong there.
        """
        ada, street = await proxied.somebody(username="ada"), Street(proxied)
        headers = {"X-Forwarded-For": "198.51.100.7"}
        answer = await street.login("198.51.100.7", PASSWORD, email=ada.email)
        ada = Somebody(ada.id, ada.email, answer.json())
        proxied.clock.forward(minutes=5)
        statuses = []
        for number in range(4):
            statuses += await street.hammer("198.51.100.7", 1, email=ada.email)
            statuses += await street.hammer("198.51.100.7", 1, username="ADA")
            for method, path, body in (
                ("POST", "/auth/password", {"current_password": "wrong", "new_password": "seven-blue-doors"}),
                ("PATCH", "/auth/me", {"email": f"n{number}@example.com", "current_password": "wrong"}),
            ):
                answer = await street.http.request(method, path, json=body, headers={**ada.bearer, **headers})
                statuses.append(answer.status_code)
        assert statuses == [401] * 10 + [429] * 2 + [401, 401, 429, 429]
        for who in ({"email": ada.email}, {"username": "ADA"}):
            answer = await street.login("198.51.100.7", PASSWORD, **who)
            problem(answer, 401, "invalid_credentials")
            assert (await proxied.events("login.failed"))[0].detail == {"reason": "held_back"}
        assert (await street.login("203.0.113.5", PASSWORD, username="ada")).status_code == 200

    async def test_a_limit_does_not_tell_which_names_are_one_person(self, proxied: Stage) -> None:
        """After the e-mail is dry, the user name answers as one that nobody has: ten times 401, then the same waits."""
        ada, street = await proxied.somebody(username="ada"), Street(proxied)
        seen: dict[str, list[tuple[int, str | None]]] = {}
        for name in ("ada", "nobody"):
            assert set(await street.hammer("198.51.100.7", 20, email=ada.email)) <= {401, 429}
            seen[name] = []
            for _ in range(30):
                answer = await street.login("198.51.100.7", "wrong", username=name)
                seen[name].append((answer.status_code, answer.headers.get("retry-after")))
                proxied.clock.forward(seconds=1)
        assert seen["ada"] == seen["nobody"]
        assert {status for status, _ in seen["ada"]} == {401, 429}

    async def test_both_names_give_no_more_guesses_than_one(self, proxied: Stage) -> None:
        """A hundred from everywhere by e-mail; after them the right password by user name is wrong for strangers."""
        ada, street = await proxied.somebody(username="ada"), Street(proxied)
        assert (await street.login("203.0.113.5", PASSWORD, email=ada.email)).status_code == 200
        for number in range(20):
            assert await street.hammer(f"198.51.{number}.7", 5, email=ada.email) == [401] * 5
        problem(await street.login("192.0.2.9", PASSWORD, username="ada"), 401, "invalid_credentials")
        assert (await street.login("203.0.113.5", PASSWORD, username="ada")).status_code == 200
        assert (await street.login("192.0.2.9", PASSWORD, username="ada")).status_code == 200


class TestSpraying:
    async def test_attack_a46_a_neighbourhood_sprays_only_so_far(self, proxied: Stage) -> None:
        """Three hundred failures a minute from one /24, two from each address: then it waits, and others do not."""
        ada, street = await proxied.somebody(), Street(proxied)
        statuses = []
        for number in range(1, 161):
            for again in range(2):
                email = f"victim{number}.{again}@example.com"
                statuses += await street.hammer(f"198.51.100.{number}", 1, email=email)
        assert statuses == [401] * 300 + [429] * 20
        await wait_of(await street.login("198.51.100.200", PASSWORD, email=ada.email))
        assert (await street.login("198.51.101.200", PASSWORD, email=ada.email)).status_code == 200

    async def test_attack_a46_the_whole_world_sprays_only_so_far(self, ground: dict[str, str]) -> None:
        """One password on many accounts from as many networks: a limit for all; who is known comes in."""
        async with open_stage(**ground, trusted_proxies="10.0.0.1", login_attempts_per_address="5") as stage:
            ada, bob, street = await stage.somebody(), await stage.somebody(), Street(stage)
            assert (await street.login("203.0.113.5", PASSWORD, email=ada.email)).status_code == 200
            statuses = []
            for number in range(160):
                who = {"email": f"victim{number}@example.com"}
                statuses += await street.hammer(f"198.{18 + number // 250}.{number % 250}.7", 1, **who)
            assert statuses == [401] * 150 + [429] * 10
            await wait_of(await street.login("192.0.2.9", PASSWORD, email=bob.email))
            assert (await street.login("203.0.113.5", PASSWORD, email=ada.email)).status_code == 200
            stage.clock.forward(seconds=5)
            assert (await street.login("192.0.2.9", PASSWORD, email=bob.email)).status_code == 200

    async def test_attack_a46_an_ipv6_host_has_one_count(self, proxied: Stage) -> None:
        """Its /64 is one address, its /48 one neighbourhood."""
        ada, street = await proxied.somebody(), Street(proxied)
        found = []
        for number in range(12):
            found += await street.hammer(f"2001:db8:1:2::{number:x}", 1, email=ada.email)
        assert found == [401] * 10 + [429] * 2
        mapped = await street.hammer("::ffff:198.51.100.7", 10, email="nobody@example.com")
        assert mapped + await street.hammer("198.51.100.7", 1, email="nobody@example.com") == [401] * 10 + [
            429
        ]

    async def test_no_limit_is_no_limit(self, ground: dict[str, str]) -> None:
        """``0`` turns a count off."""
        flags = {"login_attempts_per_account": "0", "login_attempts_per_address": "0"}
        async with open_stage(**ground, **flags) as stage:
            ada = await stage.somebody()
            for _ in range(150):
                problem(await stage.post_login(email=ada.email, password="wrong"), 401, "invalid_credentials")
            await stage.login(ada)


class TestRegistration:
    async def test_attack_a43_asking_who_has_an_account_is_not_free(self, stage: Stage) -> None:
        """Sixty a minute from one address, whether or not they succeed; another address goes on."""
        ada = await stage.somebody()
        body = {"email": ada.email, "password": PASSWORD}
        statuses = [(await stage.http.post("/auth/register", json=body)).status_code for _ in range(61)]
        assert statuses == [409] * 60 + [429]
        async with stage.client("198.51.100.7") as other:
            problem(await other.post("/auth/register", json=body), 409, "email_taken")
        stage.clock.forward(seconds=1)
        problem(await stage.http.post("/auth/register", json=body), 409, "email_taken")
