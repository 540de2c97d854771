"""Two databases under one ``SECRET``: what one of them signed proves nothing about the other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.server.feed.test_feed import event
from tests.server.stage import PASSWORD, Backup, Stage, each_ground, open_stage, problem
from tests.server.tokens.test_past import payload, quietly
from watchword.server.restoration import restore
from watchword.server.store.open import move_all
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio

kind = each_ground


@pytest.fixture
def backup(lasting: dict[str, str], tmp_path: Path) -> Backup:
    return Backup(lasting, tmp_path / "copy.db")


async def refresh(stage: Stage, token: str, status: int = 200) -> str:
    """The successor of a refresh token; empty if it is refused."""
    answer = await stage.http.post("/auth/token", json={"refresh_token": token})
    assert answer.status_code == status, answer.text
    return str(answer.json()["refresh_token"]) if status == 200 else ""


class TestStaging:
    """A server made from a backup, under the same secret and another issuer."""

    async def test_f_n3_its_cursor_opens_no_epoch(self, backup: Backup) -> None:
        """Sent without credentials, ahead of production's log: it gets everything, and everybody stays signed in."""
        async with open_stage(**backup.settings) as stage:
            ada = await stage.newcomer()
            await backup.make()
            async with open_stage(
                database=f"sqlite:///{backup.copy}", issuer="https://staging.test"
            ) as staging:
                for number in range(9):
                    over = stage.clock.now() + timedelta(minutes=5)
                    await staging.services.store.revocations.revoke_token(str(number), None, over, Origin())
                await staging.services.feed.poll()
                cursor = staging.services.feed.cursor
            feed = stage.services.feed
            await feed.poll()
            epoch = feed.epoch
            assert payload((await event(feed.stream(cursor)))["data"])["after"] == 0
            assert (feed.epoch, await stage.events("epoch.opened")) == (epoch, [])
            assert (await stage.http.get("/auth/me", headers=ada.bearer)).status_code == 200
            await refresh(stage, ada.tokens["refresh_token"])

    async def test_f_n3_its_refresh_token_ends_no_session(self, backup: Backup) -> None:
        """It is ahead of production's row, and refused; production's own token goes on."""
        async with open_stage(**backup.settings) as stage:
            ada = await stage.newcomer()
            await backup.make()
            async with open_stage(
                database=f"sqlite:///{backup.copy}", issuer="https://staging.test"
            ) as staging:
                theirs = await refresh(staging, await refresh(staging, ada.tokens["refresh_token"]))
            epoch = stage.services.feed.epoch
            await refresh(stage, theirs, 401)
            await stage.services.feed.poll()
            assert (stage.services.feed.epoch, await stage.events("epoch.opened")) == (epoch, [])
            await refresh(stage, ada.tokens["refresh_token"])

    async def test_f_n3_attempts_are_counted_apart(
        self, request: pytest.FixtureRequest, kind: str, tmp_path: Path
    ) -> None:
        """Both count in one Valkey: what fails at one locks nobody out at the other."""
        redis = await request.getfixturevalue("valkey").place()
        one, two = (f"sqlite:///{tmp_path / name}" for name in ("one.db", "two.db"))
        async with (
            open_stage(database=one, redis=redis) as stage,
            open_stage(database=two, redis=redis) as other,
        ):
            await stage.services.users.create("ada@example.com", PASSWORD, roles=("user",), origin=Origin())
            wrong = {"email": "ada@example.com", "password": "wrong-slow-lanterns"}
            statuses = {(await other.post_login(**wrong)).status_code for _ in range(30)}
            assert statuses == {401, 429}
            assert (await stage.post_login(email="ada@example.com", password=PASSWORD)).status_code == 200


class TestRefreshToken:
    async def test_f_n3_one_of_the_older_form_goes_on(self, stage: Stage) -> None:
        """An upgrade ends nobody's session."""
        ada = await stage.newcomer()
        codec = stage.services.refresh_tokens.codec
        token = codec.parse(ada.tokens["refresh_token"])
        old = codec.mint(token.epoch, token.session_id, token.counter, token.secret)
        assert len(old) < len(ada.tokens["refresh_token"])
        assert len(await refresh(stage, old)) == len(ada.tokens["refresh_token"])

    async def test_f_n3_one_of_the_older_form_proves_nothing(self, stage: Stage) -> None:
        """It doesn't say which database issued it: ahead of its row it is refused, and its session goes on."""
        ada = await stage.newcomer()
        codec = stage.services.refresh_tokens.codec
        token = codec.parse(ada.tokens["refresh_token"])
        epoch = stage.services.feed.epoch
        for ahead in ((token.epoch, token.counter + 3), (token.epoch + 1, token.counter)):
            await refresh(stage, codec.mint(ahead[0], token.session_id, ahead[1], token.secret), 401)
        await stage.services.feed.poll()
        assert stage.services.feed.epoch == epoch
        await refresh(stage, ada.tokens["refresh_token"])

    async def test_f_n3_the_instance_is_under_the_mac(self, stage: Stage) -> None:
        """Nobody writes another one into a token."""
        ada = await stage.newcomer()
        codec = stage.services.refresh_tokens.codec
        token = codec.parse(ada.tokens["refresh_token"])
        assert token.instance == stage.services.feed.instance
        text = codec.mint(token.epoch, token.session_id, 0, token.secret, "00" * 8)
        forged = ada.tokens["refresh_token"][:-22] + text[-22:]
        await refresh(stage, forged, 401)
        assert replace(token, instance="") != token


class TestAnotherInstance:
    @pytest.mark.parametrize("keep", [True, False])
    async def test_f_n3_a_restore_makes_one_and_may_keep_sessions(
        self, backup: Backup, tmp_path: Path, keep: bool
    ) -> None:
        """Beside a running server; a cursor of before proves nothing about what stands now."""
        async with open_stage(**backup.settings, data_dir=str(tmp_path)) as stage:
            ada = await stage.newcomer()
            await backup.make()
            feed = stage.services.feed
            await feed.poll()
            instance, cursor = feed.instance, feed.cursor
            await restore(
                stage.settings,
                backup.copy,
                keep_sessions=keep,
                origin=Origin(),
                progress=quietly,
                now=stage.clock.now,
            )
            await feed.poll()
            assert feed.instance != instance
            epoch = feed.epoch
            await event(feed.stream(cursor))
            assert feed.epoch == epoch
            token = await refresh(stage, ada.tokens["refresh_token"], 200 if keep else 401)
            if keep:
                await refresh(stage, token)

    async def test_f_n3_a_move_makes_one_and_keeps_sessions(self, backup: Backup, tmp_path: Path) -> None:
        """What is left behind is another database from then on."""
        async with open_stage(**backup.settings) as stage:
            ada = await stage.newcomer()
            left = stage.services.feed.instance
        new = tmp_path / "moved.db"
        await move_all(backup.place, new, progress=quietly, at_rest=True)
        async with open_stage(database=f"sqlite:///{new}") as stage:
            assert stage.services.feed.instance != left
            token = await refresh(stage, await refresh(stage, ada.tokens["refresh_token"]))
        async with open_stage(**backup.settings) as stage:
            assert stage.services.feed.instance == left
            await refresh(stage, token, 401)
            assert await stage.events("epoch.opened") == []
            await refresh(stage, ada.tokens["refresh_token"])

    async def test_f_n3_another_issuer_makes_one(self, backup: Backup) -> None:
        """The same issuer again makes none."""
        names = []
        for issuer in ("https://one.test", "https://one.test", "https://two.test"):
            async with open_stage(**backup.settings, issuer=issuer) as stage:
                names.append(stage.services.feed.instance)
        assert names[0] == names[1] != names[2]

    async def test_f_n3_a_forged_cursor_is_refused_as_before(self, stage: Stage) -> None:
        """One of a database that never was gets everything."""
        feed = stage.services.feed
        other = feed.cursors.mint(feed._known.position._replace(sequence=feed.sequence + 9), "ff" * 8)
        assert payload((await event(feed.stream(other)))["data"])["after"] == 0
        problem(await stage.http.get("/revocations", params={"after": "x"}), 400, "invalid_request")
