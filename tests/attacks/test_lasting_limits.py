"""S4: what stays for weeks is bounded for days, too, and so is what strangers write by being refused."""

from __future__ import annotations

import pytest

from tests.mailroom import Mailroom, open_mailroom
from tests.server.login.test_recovery import sending
from tests.server.stage import PASSWORD, Stage, ground_of, open_stage

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgres"])
async def ground(request: pytest.FixtureRequest) -> dict[str, str]:
    return await ground_of(request, request.param)


class TestDays:
    async def renamed(self, stage: Stage, bearer: dict[str, str]) -> int:
        """How many changes are let through now."""
        for count in range(1000):
            answer = await stage.http.patch("/auth/me", json={"name": f"Ada {count}"}, headers=bearer)
            if answer.status_code == 429:
                return count
        raise AssertionError("nothing stops it")

    async def test_f_s4_a_user_may_not_go_on_for_days_as_for_a_minute(self, ground: dict[str, str]) -> None:
        """As fast as the minute's limit allows until a tenth of a day's worth is gone, then at a tenth of that rate."""
        async with open_stage(writes_per_user="2", access_token_ttl="24h", **ground) as stage:
            ada = await stage.newcomer()
            changes = []
            for _ in range(190):
                changes.append(await self.renamed(stage, ada.bearer))
                stage.clock.forward(minutes=1)
            assert set(changes[:140]) == {2}
            assert sum(changes) in range(288, 340)
            assert sum(changes[-30:]) in range(5, 8)

    async def test_f_s4_a_network_may_not_register_for_days_as_for_a_minute(self) -> None:
        """Accounts stay; what comes from its neighbours counts, too."""
        async with open_stage(registrations_per_address="2") as stage:
            statuses = []
            for number in range(8):
                async with stage.client(f"2001:db8:0:{number:x}::1") as http:
                    body = {"email": f"new{number}@example.com", "password": PASSWORD}
                    statuses.append((await http.post("/auth/register", json=body)).status_code)
            assert statuses == [201] * 6 + [429] * 2
            async with stage.client("2001:db8:1::1") as elsewhere:
                body = {"email": "else@example.com", "password": PASSWORD}
                assert (await elsewhere.post("/auth/register", json=body)).status_code == 201

    async def test_f_s4_leaving_and_coming_again_brings_few_new_limits(self) -> None:
        """Each account has limits of its own, so a network deletes few a minute."""
        async with open_stage(writes_per_address="100") as stage:
            statuses = []
            for _ in range(4):
                ada = await stage.newcomer(audience=stage.settings.issuer)
                statuses.append((await stage.http.delete("/auth/me", headers=ada.bearer)).status_code)
            assert statuses == [204, 204, 429, 429]


class TestRefusals:
    async def test_f_s4_refusals_are_written_down_to_a_number_and_counted_beyond(self) -> None:
        """A neighbourhood has a share, all together have another; the next one that is written says what is missing."""
        unlimited = {f"login_attempts_per_{each}": "0" for each in ("account", "address")}
        async with open_stage(**unlimited) as stage:
            for number in range(100):
                await stage.post_login(email=f"nobody{number}@example.com", password="wrong")
            assert len(await stage.events("login.failed")) == 60
            for number in range(300):
                async with stage.client(f"198.51.{number % 250}.{number}") as http:
                    body = {"email": "nobody@example.com", "password": "wrong"}
                    await http.post("/auth/login", json=body)
            stage.clock.forward(minutes=1)
            await stage.post_login(email="nobody@example.com", password="wrong")
            told = [event.detail.get("omitted") for event in await stage.events("login.failed")]
            # 180 were written after the first 60: the first of them tells of 40, the newest of the last 120.
            assert [told.index(120), told.index(40)] == [0, 180]

    async def test_f_s4_noise_hides_no_failure_of_a_known_user(self) -> None:
        """What concerns a user has a share of its own."""
        unlimited = {f"login_attempts_per_{each}": "0" for each in ("account", "address")}
        async with open_stage(**unlimited) as stage:
            ada = await stage.somebody()
            for number in range(400):
                async with stage.client(f"198.51.{number % 250}.{number % 250}") as http:
                    body = {"email": "nobody@example.com", "password": "wrong"}
                    await http.post("/auth/login", json=body)
            await stage.post_login(email=ada.email, password="wrong")
            (newest, *_) = await stage.events("login.failed")
            assert newest.user_id == ada.id

    async def test_f_s4_asking_for_links_of_nobody_fills_no_log(self) -> None:
        """From many networks at once: at most so many rows, and the answers are the same."""
        with open_mailroom(Mailroom()) as room:
            async with sending(room) as post:
                for number in range(400):
                    async with post.stage.client(f"198.51.{number % 250}.{number % 250}") as http:
                        email = f"nobody{number}@example.com"
                        answer = await http.post("/auth/password/forgot", json={"email": email})
                        assert answer.status_code == 202
                await post.settled()
                page = await post.stage.services.store.events.list(type="password_reset.refused", limit=1000)
                assert len(page.items) == 240
                assert room.mails == []


class TestPairs:
    async def test_f_s4_replaced_pairs_of_all_sessions_leave_few_entries(
        self, ground: dict[str, str]
    ) -> None:
        """Of 20 sessions with a new pair each few minutes; and a session that ends takes their entries along."""
        async with open_stage(access_token_ttl="1h", **ground) as stage:
            ada = await stage.somebody()
            sessions = [await stage.login(ada) for _ in range(20)]
            for _ in range(6):
                for one in sessions:
                    stage.clock.forward(seconds=3)
                    answer = await stage.http.post("/auth/basic", headers=one.bearer)
                    assert answer.status_code in (200, 429)
            _, entries = await stage.services.store.revocations.since(0, 1000)
            assert len([entry for entry in entries if entry.kind == "token"]) == 32
            for one in sessions[:10]:
                stage.clock.forward(seconds=3)
                answer = await stage.http.post("/auth/logout", headers=one.bearer)
                assert answer.status_code == 204
            _, entries = await stage.services.store.revocations.since(0, 1000)
            assert len([entry for entry in entries if entry.kind == "session"]) == 10
            assert len([entry for entry in entries if entry.kind == "token"]) <= 16
