"""A database of an earlier version under this one: sessions, keys and revocations survive the upgrade."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.endpoints.test_signing_keys import claims_of
from tests.server.hearing import Hearing
from tests.server.stage import PASSWORD, Stage, call, problem
from tests.upgrade.story import Story, upgraded
from watchword.protocol.metadata import REVOCATIONS_JWKS

pytestmark = pytest.mark.anyio
Upgraded = tuple[Stage, Story]


@pytest.fixture(params=("sqlite", "postgres"))
async def after(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Upgraded]:
    """This version's server on the database that the earlier version left."""
    dialect: str = request.param
    if dialect == "sqlite":
        place = str(tmp_path / "watchword.db")
    else:
        place = await request.getfixturevalue("postgres").place()
    async with upgraded(dialect, place) as opened:
        yield opened


class TestSessions:
    async def test_everybody_can_go_on(self, after: Upgraded) -> None:
        """An access token opens, a refresh token renews its session, a password signs in."""
        stage, story = after
        ada = story.person("ada")
        assert (await call(stage, ada, "GET", "/auth/me"))["name"] == "Ada Lovelace"
        renewed = await story.refresh(stage, ada.tokens["refresh_token"])
        assert renewed.status_code == 200, renewed.text
        assert renewed.json()["session_id"] == ada.session_id
        again = await story.refresh(stage, renewed.json()["refresh_token"])
        assert again.status_code == 200
        assert (await stage.post_login(email=ada.email, password=PASSWORD)).status_code == 200

    async def test_a_rotated_refresh_token_goes_on_and_its_predecessor_is_a_replay(
        self, after: Upgraded
    ) -> None:
        """The counter survives: the newest renews, the one before it ends the session once the grace is over."""
        stage, story = after
        renewed = await story.refresh(stage, story.kept["renewed"]["refresh_token"])
        assert renewed.status_code == 200, renewed.text
        problem(await story.refresh(stage, story.kept["spent"]["refresh_token"]), 401, "invalid_grant")
        problem(await story.refresh(stage, renewed.json()["refresh_token"]), 401, "invalid_grant")
        assert await stage.events("refresh_token_replayed")

    async def test_what_had_ended_stays_ended(self, after: Upgraded) -> None:
        """A logged-out session and a banned user's tokens are refused as before."""
        stage, story = after
        problem(await story.refresh(stage, story.kept["ended"]["refresh_token"]), 401, "invalid_grant")
        for bearer in (story.bearer("ended"), story.person("bob").bearer):
            problem(await stage.http.get("/auth/me", headers=bearer), 401, "invalid_token")
        bob = story.person("bob")
        problem(await stage.post_login(email=bob.email, password=PASSWORD), 403, "account_disabled")

    async def test_an_administrator_administers_and_a_new_role_counts(self, after: Upgraded) -> None:
        """A token for the issuer only still opens the admin API; the role given before the upgrade is there."""
        stage, story = after
        eve = await call(stage, story.person("root"), "GET", f"/admin/v1/users/{story.person('eve').id}")
        assert eve["roles"] == ["user", "admin"] or eve["roles"] == ["admin", "user"]


class TestKeys:
    async def test_keys_of_programs_are_traded(self, after: Upgraded) -> None:
        """An API key and a signing key of the earlier version give a token; they end with a ban."""
        stage, story = after
        trades = (
            {"api_key": story.kept["api_key"]["key"]},
            {"signing_key": story.kept["signing_key"]["id"]},
        )
        for trade in trades:
            answer = await stage.http.post("/auth/token", json=trade)
            assert answer.status_code == 200, answer.text
            assert claims_of(answer.json()["access_token"])["sub"] == story.person("ada").id
        root = story.person("root")
        await call(stage, root, "POST", f"/admin/v1/users/{story.person('ada').id}/ban")
        for trade in trades:
            problem(await stage.http.post("/auth/token", json=trade), 401, "invalid_grant")

    async def test_published_keys_stay_published(self, after: Upgraded) -> None:
        """Guards that cached the key set go on: every key of before is still in it."""
        stage, story = after
        now = (await stage.http.get("/.well-known/jwks.json")).json()["keys"]
        assert {key["kid"] for key in story.kept["jwks"]["keys"]} <= {key["kid"] for key in now}


class TestFeed:
    async def test_revocations_of_before_are_still_published(self, after: Upgraded) -> None:
        """A guard that starts after the upgrade refuses what was revoked before it, and nothing else."""
        stage, story = after
        api = Hearing(stage)
        assert await api.update()
        assert api.refuses(story.kept["ended"]["access_token"])
        assert api.refuses(story.person("bob").tokens["access_token"])
        assert not api.refuses(story.person("ada").tokens["access_token"])

    async def test_a_guard_goes_on_from_what_it_knew(self, after: Upgraded) -> None:
        """The earlier server's message is accepted, and this server's next ones follow it without a new epoch."""
        stage, story = after
        api = Hearing(stage)
        api.known.set_feed_keys(story.kept["metadata"][REVOCATIONS_JWKS]["keys"])
        assert api.known.accept(story.kept["revocations"].encode()) == "fresh"
        epoch = api.known.epoch
        assert await api.update() == "fresh"
        await call(stage, story.person("root"), "POST", f"/admin/v1/users/{story.person('ada').id}/ban")
        await api.update()
        assert api.refuses(story.person("ada").tokens["access_token"])
        assert api.known.epoch == epoch
        assert not await stage.events("epoch.opened")
