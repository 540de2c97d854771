"""Guesses at accounts whose hashes came from elsewhere and cost seconds: who makes them pays, nobody else (S7)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2
import pytest

from tests.server.stage import GROUNDS, PASSWORD, Stage, ground_of, open_stage, problem
from watchword.server.accounts.transfer import TransferService
from watchword.server.accounts.user_file import Row
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio


def pbkdf2(rounds: int) -> str:
    """A hash of Django's that nobody has the password of."""
    return f"pbkdf2_sha256${rounds}$seasalt${base64.b64encode(bytes(32)).decode()}"


async def move_in(stage: Stage, digest: str, count: int) -> list[str]:
    """Users of another program."""
    emails = [f"moved{number}@example.com" for number in range(count)]
    rows = [Row(n, {"email": email, "password_hash": digest}) for n, email in enumerate(emails)]
    report = await TransferService(stage.services.users, stage.services.store.roles).bring_in(
        rows, origin=Origin()
    )
    assert report.added == count
    return emails


@dataclass
class Crowd:
    """Log-ins under way, and the order in which they were answered."""

    stage: Stage
    order: list[str] = field(default_factory=list)

    async def login(self, who: str, address: str, email: str, password: str = PASSWORD) -> httpx2.Response:
        async with self.stage.client(address) as http:
            answer = await http.post("/auth/login", json={"email": email, "password": password})
        self.order.append(who)
        return answer

    def flood(self, count: int, email: str) -> list[asyncio.Task[httpx2.Response]]:
        """Guesses of one network at once."""
        return [
            asyncio.create_task(self.login("flood", "192.0.2.66", email.format(n), "wrong"))
            for n in range(count)
        ]


async def until(holds: Callable[[], bool]) -> None:
    """Let the others go on until it holds."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - what is waited for is inside the server
            await asyncio.sleep(0)


async def begun(stage: Stage, count: int) -> None:
    """Until so many computations are asked for."""
    await until(lambda: stage.services.passwords.waiting >= count)


class TestForeign:
    @pytest.mark.parametrize(
        "digest",
        [
            pbkdf2(600_000),
            "$2b$12$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "$argon2i$v=19$m=65536,t=6,p=8$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
            "$argon2id$v=19$m=65536,t=6,p=8$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
        ],
        ids=["pbkdf2", "bcrypt", "argon2i", "argon2id of other settings"],
    )
    async def test_f_s7_our_own_hashes_wait_for_no_foreign_one(self, digest: str) -> None:
        """Guesses that take half a second each are under way; logins by our own hash are answered before any."""
        async with open_stage(password_hash="standard", login_attempts_per_address="0") as stage:
            ada = await stage.somebody()
            await move_in(stage, digest, 3)
            crowd = Crowd(stage)
            flood = crowd.flood(3, "moved{}@example.com")
            await begun(stage, 3)
            for _ in range(3):
                assert (await crowd.login("ada", "198.51.100.1", ada.email)).status_code == 200
            assert crowd.order[:3] == ["ada"] * 3
            assert {answer.status_code for answer in await asyncio.gather(*flood)} == {401}

    async def test_f_s7_their_owners_take_turns_with_a_guesser(self) -> None:
        """Whoever has such a hash waits for one guess, not for all of them."""
        async with open_stage(password_hash="standard", login_attempts_per_address="0") as stage:
            await move_in(stage, pbkdf2(100_000), 20)
            crowd = Crowd(stage)
            flood = crowd.flood(9, "moved{}@example.com")
            await begun(stage, 9)
            answer = await crowd.login("owner", "198.51.100.1", "moved19@example.com", "a typing error")
            assert answer.status_code == 401
            assert len(crowd.order) <= 4
            await asyncio.gather(*flood)

    @pytest.mark.parametrize("kind", GROUNDS)
    async def test_f_s7_a_guess_is_charged_by_its_cost(
        self, kind: str, request: pytest.FixtureRequest
    ) -> None:
        """A network has a hundred guesses at our own hashes a minute, and ten at hashes that cost ten times as much."""
        ground = await ground_of(request, kind)
        async with open_stage(**{**ground, "login_attempts_per_address": "100"}) as stage:
            emails = await move_in(stage, pbkdf2(20_000), 12)
            statuses = [
                (await stage.post_login(email=email, password="wrong")).status_code for email in emails
            ]
            assert statuses == [401] * 10 + [429] * 2
            async with stage.client("198.51.100.1") as http:
                for number in range(11):
                    body = {"email": f"nobody{number}@example.com", "password": "wrong"}
                    assert (await http.post("/auth/login", json=body)).status_code == 401

    async def test_f_s7_it_is_charged_wherever_a_password_is_asked_for(self) -> None:
        """With a session in hand, too: changing the password, an address, deleting the account."""
        async with open_stage(login_attempts_per_account="0") as stage:
            ada = await stage.login(await stage.somebody())
            user = await stage.services.store.users.get(ada.id)
            assert user is not None
            assert user.password_digest is not None
            await stage.services.store.users.rehash(ada.id, user.password_digest, pbkdf2(20_000))
            body = {"current_password": "wrong", "new_password": "eight-green-windows"}
            answers = []
            for number in range(11):
                async with stage.client("203.0.113.9") as http:
                    path = ("/auth/password", "/auth/me")[number % 2]
                    method = ("POST", "PATCH")[number % 2]
                    asked = body if number % 2 == 0 else {"username": "adaada", "current_password": "wrong"}
                    answers.append(await http.request(method, path, json=asked, headers=ada.bearer))
            assert [answer.status_code for answer in answers[:5]] == [401] * 5
            problem(answers[-1], 429, "too_many_requests")
