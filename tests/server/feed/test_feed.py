"""The feed under what happens to servers: backups put back, slow listeners, a log that cannot be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.server.hearing import Hearing
from tests.server.stage import (
    ISSUER,
    PASSWORD,
    Backup,
    Somebody,
    Stage,
    call,
    each_ground,
    open_stage,
    problem,
)
from watchword.errors import InvalidToken, TemporarilyUnavailable
from watchword.jose import jws
from watchword.server.feed.cursor import CursorCodec
from watchword.server.feed.feed import RevocationFeed
from watchword.server.policies import FeedPolicy
from watchword.server.store.intentions.revocations import Revocations
from watchword.server.store.open import open_store
from watchword.server.store.position import Position
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio

kind = each_ground


def token(somebody: Somebody) -> str:
    return str(somebody.tokens["access_token"])


async def log_out(stage: Stage, somebody: Somebody) -> None:
    assert (await stage.http.post("/auth/logout", headers=somebody.bearer)).status_code == 204


async def event(stream: AsyncIterator[bytes]) -> dict[str, str]:
    """The next event of a stream, put together from its pieces."""
    text = b""
    async with asyncio.timeout(10):
        while not text.endswith(b"\n\n"):
            text += await anext(stream)
    return dict(line.split(": ", 1) for line in text.decode().strip().split("\n"))


def feed_of(stage: Stage, *, log: Revocations | None = None, **policy: object) -> RevocationFeed:
    """Another node's feed over the same store."""
    services = stage.services
    return RevocationFeed(
        log or services.store.revocations,
        services.keys,
        ISSUER,
        FeedPolicy(**policy),  # type: ignore[arg-type]
        stage.clock.now,
        stage.clock.monotonic,
        CursorCodec(b"k" * 32),
    )


def ahead_of(feed: RevocationFeed) -> str:
    """A cursor of the feed's own that lies beyond its log."""
    return feed.cursors.mint(Position(feed.epoch, feed.sequence + 5, 1), feed.instance)


async def _refresh_for_ever(stage: Stage, somebody: Somebody) -> None:
    """Commits, one after another, that revoke nothing."""
    spent = somebody.tokens["refresh_token"]
    while True:
        answer = await stage.http.post("/auth/token", json={"refresh_token": spent})
        spent = answer.json()["refresh_token"]


@pytest.fixture
def backup(lasting: dict[str, str], tmp_path: Path) -> Backup:
    return Backup(lasting, tmp_path / "copy.db")


class TestRolledBack:
    async def before(self, backup: Backup) -> tuple[Stage, Hearing, Somebody, Somebody, Somebody, str]:
        """A backup; then an hour in which one is banned, one logs out, one goes on; the cursor of a guard."""
        async with open_stage(**backup.settings) as stage:
            api = Hearing(stage)
            banned, out, on = [await stage.newcomer() for _ in range(3)]
            await backup.make()
            stage.clock.forward(hours=1)
            on.tokens |= (
                await stage.http.post("/auth/token", json={"refresh_token": on.tokens["refresh_token"]})
            ).json()
            await stage.services.users.ban(banned.id, "thief", None, Origin())
            await log_out(stage, await stage.login(out))
            await api.update()
            stream = stage.services.feed.stream()
            cursor = (await event(stream))["id"]
            await stream.aclose()  # type: ignore[attr-defined]
        await backup.put_back()
        return stage, api, banned, out, on, cursor

    async def test_a_cursor_from_the_future_opens_an_epoch(self, backup: Backup) -> None:
        """A backup was put back and nobody said so: the first guard that comes back proves it, and all is dead."""
        then, api, banned, out, on, cursor = await self.before(backup)
        epoch = api.known.epoch
        async with open_stage(**backup.settings) as stage:
            api.stage = stage
            stage.clock.at = then.clock.at
            await event(stage.services.feed.stream(cursor))
            assert stage.services.feed.epoch > epoch
            assert await api.update() == "fresh"
            assert (api.known.epoch, api.known.alarms) == (stage.services.feed.epoch, 0)
            assert api.refuses(token(on))
            for one in (banned, out, on):
                answer = await stage.http.post(
                    "/auth/token", json={"refresh_token": one.tokens["refresh_token"]}
                )
                problem(answer, 401, "invalid_grant")
            again = await stage.login(out)
            await api.update()
            assert not api.refuses(token(again))
            assert await stage.services.store.check() == []

    async def test_a_refresh_token_from_the_future_opens_one_too(self, backup: Backup) -> None:
        """Its counter is ahead of its row: the store is from before it was spent."""
        then, _api, _banned, out, on, _ = await self.before(backup)
        async with open_stage(**backup.settings) as stage:
            stage.clock.at = then.clock.at
            epoch = stage.services.feed.epoch
            answer = await stage.http.post("/auth/token", json={"refresh_token": on.tokens["refresh_token"]})
            problem(answer, 401, "invalid_grant")
            assert stage.services.feed.epoch > epoch
            refresh = {"refresh_token": out.tokens["refresh_token"]}
            problem(await stage.http.post("/auth/token", json=refresh), 401, "invalid_grant")
            assert [event.type for event in await stage.events("epoch.opened")] == ["epoch.opened"]

    async def test_an_announced_restore_may_keep_sessions(self, backup: Backup) -> None:
        """Access tokens die; a refresh token lives on, unless it was spent after the backup."""
        then, api, _banned, out, on, _ = await self.before(backup)
        async with open_stage(**backup.settings) as stage:
            api.stage = stage
            stage.clock.at = then.clock.at
            await stage.services.feed.restored(keep_sessions=True)
            epoch = stage.services.feed.epoch
            kept = await stage.http.post("/auth/token", json={"refresh_token": out.tokens["refresh_token"]})
            assert kept.status_code == 200
            answer = await stage.http.post("/auth/token", json={"refresh_token": on.tokens["refresh_token"]})
            problem(answer, 401, "invalid_grant")
            assert stage.services.feed.epoch == epoch
            again = await stage.http.post("/auth/token", json={"refresh_token": kept.json()["refresh_token"]})
            assert again.status_code == 200

    async def test_keys_killed_since_the_backup_stay_dead(self, backup: Backup) -> None:
        """The backup holds a key that was stolen and killed after it: it does not come back."""
        async with open_stage(**backup.settings) as stage:
            ada = await stage.newcomer()
            stolen = jws.parse(token(ada)).kid
            assert stolen is not None
            await backup.make()
            await stage.services.keys.compromise(stolen, Origin())
        await backup.put_back()
        async with open_stage(**backup.settings) as stage:
            api = Hearing(stage)
            await stage.services.feed.restored(keep_sessions=False)
            await api.update()
            assert stolen not in api.known.kids
            new = await stage.login(ada)
            assert jws.parse(token(new)).kid != stolen
            assert not api.refuses(token(new))

    async def test_a_cursor_of_now_opens_nothing(self, stage: Stage) -> None:
        """Neither does one that nobody but us could have made and that is none of ours."""
        epoch, sequence = stage.services.feed.epoch, stage.services.feed.sequence
        forged = CursorCodec(b"another key of thirty-two bytes!").mint(
            Position(epoch, sequence + 1, 1), stage.services.feed.instance
        )
        for cursor in ((await event(stage.services.feed.stream()))["id"], forged, "", "1.2.3", "1.2.3.4"):
            await event(stage.services.feed.stream(cursor))
            assert stage.services.feed.epoch == epoch

    async def test_of_two_nodes_that_notice_one_acts(self, stage: Stage) -> None:
        """The epoch is opened once."""
        others = [feed_of(stage) for _ in range(2)]
        for feed in others:
            await feed.start()
        ahead = ahead_of(others[0])
        await asyncio.gather(*(event(feed.stream(ahead)) for feed in others))
        assert len(await stage.events("epoch.opened")) == 1
        assert len({feed.epoch for feed in others}) == 1


class TestListeners:
    async def test_all_get_the_same_bytes(self, stage: Stage) -> None:
        """A message is encoded and signed once, whatever the number of streams."""
        streams = [stage.services.feed.stream() for _ in range(50)]
        first = [await anext(stream) for stream in streams]
        ada = await stage.newcomer()
        await log_out(stage, ada)
        await stage.services.feed.poll()
        second = [await anext(stream) for stream in streams]
        assert {bytes(one) for one in first} != {bytes(one) for one in second}
        for frames in (first, second):
            assert len({id(frame) for frame in frames}) == 1
        assert stage.services.feed.listeners == 50
        for stream in streams:
            await stream.aclose()  # type: ignore[attr-defined]
        assert stage.services.feed.listeners == 0

    async def test_a_slow_one_is_dropped_and_comes_back(self, stage: Stage) -> None:
        """It is never buffered without bound; its cursor brings it what it missed."""
        feed = feed_of(stage, queue=3)
        await feed.start()
        slow, quick = feed.stream(), feed.stream()
        cursor = (await event(slow))["id"]
        await event(quick)
        missed = [await stage.newcomer() for _ in range(5)]
        for one in missed:
            await log_out(stage, one)
            await feed.poll()
            await event(quick)
        assert feed.listeners == 1
        with pytest.raises(StopAsyncIteration):
            await anext(slow)
        api = Hearing(stage)
        await api.update()
        assert all(api.refuses(token(one)) for one in missed)
        message = jws.parse((await event(feed.stream(cursor)))["data"], max_size=10**7).payload
        assert all(one.session_id.encode() in message for one in missed)

    async def test_after_spares_the_whole(self, stage: Stage) -> None:
        """Who has fetched the snapshot begins the stream behind it."""
        await log_out(stage, await stage.newcomer())
        await stage.services.feed.poll()
        at = stage.services.feed.sequence
        frame = await event(stage.services.feed.stream(after=at))
        assert b'"entries"' not in jws.parse(frame["data"], max_size=10**7).payload


class TestSilence:
    async def test_heartbeats_go_on_and_stop_with_the_log(self, backup: Backup) -> None:
        """A node that cannot read the log says nothing, so that guards see the silence."""
        async with open_stage(**backup.settings) as stage:
            api = Hearing(stage)
            await api.update()
            other = await open_store(backup.place, now=stage.clock.now)
            feed = feed_of(stage, log=other.revocations, heartbeat=timedelta(milliseconds=10))
            await feed.start()
            stream = feed.stream()
            await event(stream)
            running = asyncio.create_task(feed.run())
            stage.clock.forward(seconds=5)
            while api.known.iat < stage.clock.now().timestamp():
                assert api.known.accept((await event(stream))["data"]) == "fresh"
            await other.close()
            beat = asyncio.ensure_future(anext(stream))
            while (await asyncio.wait({beat}, timeout=0.3))[0]:
                beat = asyncio.ensure_future(anext(stream))
            assert feed.listeners == 1
            with pytest.raises(TemporarilyUnavailable):
                await feed.poll()
            running.cancel()
            feed.close()
            with pytest.raises(StopAsyncIteration):
                await beat

    async def test_a_round_that_breaks_ends_neither_the_feed_nor_the_other_jobs(self, stage: Stage) -> None:
        """Whatever went wrong is logged; the next round comes."""
        told, rounds = asyncio.Event(), {"feed": 0, "tick": 0}

        def clock(of: str) -> datetime:
            rounds[of] += 1
            if rounds["feed"] > 2 and rounds["tick"] > 1:
                told.set()
            if rounds[of] == (2 if of == "feed" else 1):
                raise ValueError("a clock that broke")
            return stage.clock.now()

        policy = FeedPolicy(heartbeat=timedelta(milliseconds=10))
        feed = replace(feed_of(stage), policy=policy, now=lambda: clock("feed"))
        await feed.start()
        services = replace(stage.services, feed=feed, now=lambda: clock("tick"), presence=None)
        jobs = asyncio.create_task(services.run_jobs())
        async with asyncio.timeout(20):
            await asyncio.wait({jobs, asyncio.ensure_future(told.wait())}, return_when="FIRST_COMPLETED")
        assert told.is_set()
        jobs.cancel()
        await asyncio.gather(jobs, return_exceptions=True)

    async def test_a_busy_store_does_not_put_heartbeats_off(self, backup: Backup) -> None:
        """Commits that revoke nothing come faster than heartbeats are due; they come all the same."""
        async with open_stage(**backup.settings) as stage:
            ada = await stage.newcomer()
            feed = feed_of(stage, heartbeat=timedelta(milliseconds=300))
            await feed.start()
            stream = feed.stream()
            await event(stream)
            running = asyncio.create_task(feed.run())
            writing = asyncio.create_task(_refresh_for_ever(stage, ada))
            for _ in range(2):
                beat = jws.parse((await event(stream))["data"], max_size=10**7).payload
                assert b'"entries"' not in beat
            assert not writing.done()
            writing.cancel()
            running.cancel()
            feed.close()

    async def test_a_snapshot_is_no_younger_than_its_reading(self, stage: Stage) -> None:
        """Its time is the one before the head was read; asking again does not make it newer."""
        api = Hearing(stage)
        await api.update()
        heard = api.known.iat
        stage.clock.forward(seconds=5)
        answer = await stage.http.get("/revocations")
        api.known.accept(answer.content)
        assert api.known.iat == heard
        await stage.services.feed.poll()
        api.known.accept((await stage.http.get("/revocations")).content)
        assert api.known.iat == stage.clock.now().timestamp()


class TestLongLog:
    async def test_it_is_read_to_its_end(self, stage: Stage) -> None:
        """Page by page, and nothing between two pages is lost."""
        people = [await stage.newcomer() for _ in range(9)]
        for one in people:
            await log_out(stage, one)
        feed = feed_of(stage, page=2)
        await feed.start()
        message = jws.parse(feed.snapshot().body, max_size=10**7).payload
        assert all(one.session_id.encode() in message for one in people)

    async def test_the_brake_clears_it(self, stage: Stage) -> None:
        """One entry that kills everything is all that is sent."""
        for _ in range(5):
            await log_out(stage, await stage.newcomer())
        await stage.services.feed.poll()
        long = len(stage.services.feed.snapshot().body)
        await stage.services.store.revocations.brake(Origin())
        await stage.services.feed.poll()
        assert len(stage.services.feed.snapshot().body) < long

    async def test_an_entry_outlives_a_clock_that_was_set_ahead(self, stage: Stage) -> None:
        """The wall clock says that its time is over; the other one, which nobody sets, has to agree."""
        ada = await stage.newcomer()
        await log_out(stage, ada)
        await stage.services.feed.poll()
        stage.clock.at += timedelta(hours=1)
        await stage.services.feed.poll()
        await stage.services.store.revocations.sweep(100, stage.services.feed.forgotten)
        stage.clock.at -= timedelta(hours=1)
        api = Hearing(stage)
        await api.update()
        assert api.refuses(token(ada))
        stage.clock.forward(hours=1)
        await stage.services.feed.poll()
        assert await stage.services.store.revocations.sweep(100, stage.services.feed.forgotten) == 1

    async def test_a_log_out_under_a_clock_an_hour_ahead_still_says_so(self, stage: Stage) -> None:
        """The server believes the token over; an API with the right time does not, and must hear of it."""
        ada = await stage.newcomer()
        right = stage.clock.at
        stage.clock.at += timedelta(hours=1)
        answer = await stage.http.post("/auth/logout", json={"refresh_token": ada.tokens["refresh_token"]})
        assert answer.status_code == 204
        api = Hearing(stage)
        await stage.services.feed.poll()
        stage.clock.at = right
        await api.update()
        assert api.refuses(token(ada))


class TestLongSnapshot:
    async def test_it_is_kept_for_a_second_and_a_stream_goes_on_where_it_ends(self, stage: Stage) -> None:
        """Whoever begins with it misses nothing: what came since follows at once, without a gap."""
        feed = feed_of(stage, long=3)
        await feed.start()
        first, second, third = [await stage.newcomer() for _ in range(3)]
        for one in (first, second):
            await log_out(stage, one)
        await feed.poll()
        kept = feed.snapshot()
        await log_out(stage, third)
        await feed.poll()
        assert feed.snapshot() is kept
        api = Hearing(stage)
        await api.update()
        fresh = Hearing(stage)
        fresh.known.set_feed_keys(stage.services.keys.feed_jwks()["keys"])
        fresh.known.add_keys(stage.services.keys.jwks()["keys"])
        stream = feed.stream()
        for _ in range(2):
            assert fresh.known.accept((await event(stream))["data"]) == "fresh"
        assert fresh.refuses(token(third))
        stage.clock.forward(seconds=1)
        assert feed.snapshot() is not kept

    async def test_a_killed_key_is_in_it_at_once(self, stage: Stage) -> None:
        """Keys, base and epoch stand in its head: it is never kept when they move."""
        feed = feed_of(stage, long=0)
        await feed.start()
        ada = await stage.newcomer()
        stolen = str(jws.parse(token(ada)).kid)
        feed.snapshot()
        await stage.services.keys.compromise(stolen, Origin())
        await feed.poll()
        assert f'"{stolen}"'.encode() not in jws.parse(feed.snapshot().body, max_size=10**7).payload


class TestForgery:
    async def test_attack_a30_nothing_but_the_feed_s_key_signs_it(self, stage: Stage) -> None:
        """Neither a token key nor a message cut or changed anywhere."""
        api = Hearing(stage)
        await api.update()
        message = stage.services.feed.snapshot().body
        head, payload, _signature = message.split(b".")
        ada = await stage.newcomer()
        key = await stage.services.keys.signing_key(str(jws.parse(token(ada)).kid))
        forged = jws.sign(jws.parse(message, max_size=10**7).payload, key, typ="watchword-revocations+jwt")
        for torn in (message[:-4], message[: len(message) // 2], payload, head + b"." + payload, forged):
            with pytest.raises(InvalidToken):
                api.known.accept(torn)
        assert not api.refuses(token(ada))


class TestAdministrator:
    async def test_a_password_change_spares_its_own_session(self, stage: Stage) -> None:
        """Everywhere else he is out; here both tokens go on."""
        ada = await stage.somebody()
        here, there = await stage.login(ada), await stage.login(ada)
        api = Hearing(stage)
        body = {"current_password": PASSWORD, "new_password": "seven-quick-lanterns"}
        await call(stage, here, "POST", "/auth/password", 204, json=body)
        await api.update()
        assert (api.refuses(token(here)), api.refuses(token(there))) == (False, True)
        assert (await stage.http.get("/auth/me", headers=here.bearer)).status_code == 200
        problem(await stage.http.get("/auth/me", headers=there.bearer), 401, "invalid_token")
