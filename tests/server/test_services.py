"""What the server does by itself: clearing what is over, a little at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from tests.server.stage import Stage, each_ground, open_stage
from watchword.jose.jwk import KeySet
from watchword.protocol import revocation_list
from watchword.protocol.revocation_list import Entry
from watchword.server.policies import RetentionPolicy

pytestmark = pytest.mark.anyio

kind = each_ground


async def entries(stage: Stage) -> list[Entry]:
    """What the feed's snapshot holds, keys aside."""
    await stage.services.feed.poll()
    text = (await stage.http.get("/revocations")).text
    keys = KeySet.parse(stage.services.keys.feed_jwks())
    feed = revocation_list.parse(text, keys, issuer=stage.settings.issuer)
    return [entry for entry in feed.entries if entry.kind != "key"]


class TestCleanUp:
    async def test_an_ended_session_goes_after_its_retention(self, stage: Stage) -> None:
        """Thirty days it can be asked about; then it is gone, and the user's other sessions are not."""
        ada = await stage.newcomer()
        await stage.http.post("/auth/logout", headers=ada.bearer)
        sessions = stage.services.store.sessions
        stage.clock.forward(days=29)
        await stage.services.tick()
        ended = await sessions.get(ada.session_id)
        assert ended is not None
        assert ended.end_reason == "logged_out"
        again = await stage.login(ada)
        stage.clock.forward(days=2)
        await stage.services.tick()
        assert await sessions.get(ada.session_id) is None
        assert await sessions.get(again.session_id) is not None

    async def test_a_session_that_expired_goes_too(self, ground: dict[str, str]) -> None:
        """Nobody ends a session that is left lying; its retention counts from its expiry."""
        async with open_stage(**ground, session_idle_ttl="7d", session_retention="1d") as stage:
            ada = await stage.newcomer()
            sessions = stage.services.store.sessions
            for days, there in ((7, True), (1, True), (1, False)):
                stage.clock.forward(days=days)
                await stage.services.tick()
                assert (await sessions.get(ada.session_id) is not None) == there, days

    async def test_a_living_session_outlives_every_round(self, stage: Stage) -> None:
        """Whoever goes on refreshing stays in for all of the absolute life."""
        ada = await stage.newcomer()
        token = ada.tokens["refresh_token"]
        for _ in range(8):
            stage.clock.forward(days=20)
            await stage.services.tick()
            answer = await stage.http.post("/auth/token", json={"refresh_token": token})
            assert answer.status_code == 200, answer.text
            token = answer.json()["refresh_token"]

    async def test_an_entry_of_the_feed_goes_with_the_last_token_it_kills(self, stage: Stage) -> None:
        """The list that guards hold stays short: what has expired needs no revocation."""
        ada = await stage.newcomer()
        await stage.http.post("/auth/logout", headers=ada.bearer)
        await stage.services.tick()
        assert [entry.id for entry in await entries(stage)] == [ada.session_id]
        stage.clock.forward(hours=1)
        await stage.services.tick()
        assert await entries(stage) == []

    async def test_the_audit_log_is_kept_as_long_as_was_said(self, ground: dict[str, str]) -> None:
        """Old events go, young ones stay."""
        async with open_stage(**ground, event_retention="10d") as stage:
            await stage.newcomer()
            old = {event.id for event in await stage.events()}
            stage.clock.forward(days=6)
            ada = await stage.newcomer()
            stage.clock.forward(days=5)
            await stage.services.tick()
            left = await stage.events()
            assert old
            assert not old & {event.id for event in left}
            assert {event.user_id for event in left if event.type == "user.created"} == {ada.id}

    async def test_a_round_is_bounded(self, stage: Stage) -> None:
        """A mountain is cleared over many rounds, in small transactions, so that nobody waits for it."""
        for _ in range(20):
            await stage.post_login(email="nobody@example.com", password="nine-slow-lanterns")
            stage.clock.forward(minutes=1)
        policy = RetentionPolicy(timedelta(days=1), timedelta(days=1), batch=3, batches=2)
        services = replace(stage.services, retention=policy)
        stage.clock.forward(days=2)
        left = [len(await stage.events())]
        while left[-1]:
            await services.tick()
            left.append(len(await stage.events()))
        steps = [before - after for before, after in pairwise(left)]
        assert steps[:-1] == [6] * (len(steps) - 1)
        assert len(steps) >= 4
