"""A clock that was ahead for a while: what was issued then stays revoked when its time comes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.server.feed.test_feed import token
from tests.server.hearing import Hearing
from tests.server.stage import Stage, each_ground, open_stage
from tests.server.tokens.test_past import payload
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio

kind = each_ground


async def go_by(stage: Stage, minutes: int) -> None:
    """Time passes, by both clocks, while the server does what it does each second."""
    for _ in range(minutes):
        stage.clock.forward(minutes=1)
        await stage.services.feed.poll()
        await stage.services.tick()


class TestAhead:
    @pytest.mark.parametrize("how", ["log out", "ban"])
    async def test_f_n8_a_token_from_the_future_stays_revoked(self, stage: Stage, how: str) -> None:
        """Revoked after the clock was set right; an hour later it would be valid, and an API starts just then."""
        stage.clock.at += timedelta(hours=1)
        ada = await stage.newcomer()
        stage.clock.at -= timedelta(hours=1)
        if how == "ban":
            await stage.services.users.ban(ada.id, "thief", None, Origin())
        else:
            await stage.services.store.sessions.end(ada.session_id, "logout", Origin())
        await go_by(stage, 61)
        api = Hearing(stage)
        await api.update()
        assert api.refuses(token(ada))

    async def test_f_n8_a_ban_after_a_ban_that_was_over_counts(self, stage: Stage) -> None:
        """By a clock that was set back the first one still stands; who came in since is thrown out all the same."""
        ada, until = await stage.somebody(), stage.clock.now() + timedelta(days=1)
        await stage.services.users.ban(ada.id, "a day off", until, Origin())
        stage.clock.forward(days=1, seconds=1)
        ada = await stage.login(ada)
        api = Hearing(stage)
        await api.update()
        assert not api.refuses(token(ada))
        stage.clock.at -= timedelta(seconds=2)
        await stage.services.users.ban(ada.id, "for ever", None, Origin())
        await api.update()
        assert api.refuses(token(ada))
        session = await stage.services.store.sessions.get(ada.session_id)
        assert session is not None
        assert session.end_reason == "banned"

    async def test_f_n8_nothing_is_issued_before_the_newest_entry(self, stage: Stage) -> None:
        """Loudly: an alarm in the log, an event, a gauge; revoking everything ends it."""
        bob = await stage.newcomer()
        stage.clock.at += timedelta(hours=1)
        ahead = stage.clock.at.timestamp()
        await stage.services.store.sessions.end(bob.session_id, "logout", Origin())
        stage.clock.at -= timedelta(hours=1)
        ada = await stage.newcomer()
        for _ in range(2):
            ada.tokens |= (
                await stage.http.post("/auth/token", json={"refresh_token": ada.tokens["refresh_token"]})
            ).json()
            assert payload(token(ada))["iat"] >= ahead
        await stage.services.feed.poll()
        for _ in range(2):
            await stage.services.tick()
        (told,) = await stage.events("clock.behind")
        assert told.detail == {"seconds": 3600}
        assert "watchword_clock_behind_seconds 3600.0" in (await stage.http.get("/metrics")).text
        await stage.services.withdrawal.everything(Origin())
        await stage.services.feed.poll()
        assert "watchword_clock_behind_seconds 0.0" in (await stage.http.get("/metrics")).text
        fresh = await stage.newcomer()
        api = Hearing(stage)
        await api.update()
        assert payload(token(fresh))["iat"] == int(stage.clock.at.timestamp())
        assert not api.refuses(token(fresh))
        stage.clock.forward(hours=1)
        await api.update()
        assert api.refuses(token(ada))


class TestEviction:
    async def test_f_n12_no_login_revokes_its_own_token(self, ground: dict[str, str]) -> None:
        """Forty sessions of one user, each of which ends the one before: every login's token is good."""
        async with open_stage(max_sessions_per_user="1", **ground) as stage:
            ada, api = await stage.somebody(), Hearing(stage)
            for _ in range(40):
                newest = await stage.login(ada)
                await api.update()
                assert not api.refuses(token(newest))
