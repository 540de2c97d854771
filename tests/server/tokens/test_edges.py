"""The ends of the tokens' room: a feed that has not begun or is over, cursors that are none, sessions just ended."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any, cast

import msgspec
import pytest

from tests.server.feed.test_feed import ahead_of, event, feed_of
from tests.server.stage import Stage, each_ground, open_stage
from watchword.errors import InvalidToken, TemporarilyUnavailable
from watchword.jose import jws
from watchword.protocol.revocation_list import Entry
from watchword.server.feed.retained import Kept
from watchword.server.store.intentions.revocations import Revocations
from watchword.server.store.position import Position
from watchword.server.store.records import Origin
from watchword.server.store.sql.transaction import Transaction
from watchword.server.tokens.issuance import AccessTokenSet, TokenSet

pytestmark = pytest.mark.anyio

kind = each_ground


class TestFeed:
    async def test_before_it_was_read_it_says_nothing(self, stage: Stage) -> None:
        """An empty list would say that nobody was revoked."""
        feed = feed_of(stage)
        for ask in (feed.snapshot, lambda: feed.delta(1)):
            with pytest.raises(TemporarilyUnavailable, match="not been read yet"):
                ask()
        with pytest.raises(TemporarilyUnavailable, match="not been read yet"):
            await anext(feed.stream(feed.cursors.mint(Position(1, 1, 1), "0")))

    async def test_when_it_is_over_a_stream_ends_at_once(self, stage: Stage) -> None:
        """A listener that comes while the server ends goes to another one."""
        feed = feed_of(stage)
        await feed.start()
        feed.close()
        async with asyncio.timeout(10):
            assert [frame async for frame in feed.stream()] == []

    @pytest.mark.parametrize("cursor", ["a.b.c", "-1.2.3", "1.²." + "0" * 24, "1.2", "1.2.é"])
    async def test_a_cursor_that_is_none_gets_the_whole(self, stage: Stage, cursor: str) -> None:
        """And is the end of nothing."""
        feed = stage.services.feed
        data = (await event(feed.stream(cursor, after=feed.sequence)))["data"]
        assert b'"after":0' in jws.parse(data, max_size=10**7).payload

    async def test_who_listens_is_told_the_whole_when_an_epoch_begins(self, stage: Stage) -> None:
        """What he knew of the old one is no place in the new."""
        feed = feed_of(stage)
        await feed.start()
        stream = feed.stream()
        first = await event(stream)
        epoch = feed.epoch
        await event(feed.stream(ahead_of(feed)))
        second = await event(stream)
        assert [int(one["id"].split(".")[0]) for one in (first, second)] == [epoch, epoch + 1]
        assert b'"after":0' in jws.parse(second["data"], max_size=10**7).payload

    async def test_a_log_that_went_back_under_it_begins_an_epoch(self, stage: Stage) -> None:
        """A backup was put back beside the running server: all that died since would live again otherwise."""
        feed, engine = stage.services.feed, stage.services.store.engine  # type: ignore[attr-defined]
        await stage.services.store.revocations.revoke_token(
            "token-1", None, stage.clock.now() + timedelta(minutes=5), Origin()
        )
        await feed.poll()
        epoch, sequence = feed.epoch, feed.sequence

        async def go_back(tx: Transaction) -> None:
            await tx.run("DELETE FROM revocations WHERE sequence = ?", sequence)
            await tx.run("UPDATE head SET sequence = ?", sequence - 1)

        await engine.write(go_back)
        await feed.poll()
        assert feed.epoch > epoch
        assert len(await stage.events("epoch.opened")) == 1

    async def test_f_n1_a_busy_log_begins_an_epoch_too(self, stage: Stage) -> None:
        """People sign out all the while: the log has moved on whenever the epoch is about to begin."""
        busy = BusyLog(stage.services.store.revocations, stage.clock.now() + timedelta(minutes=5))
        feed = feed_of(stage, log=cast("Revocations", busy))
        await feed.start()
        epoch = feed.epoch
        async with asyncio.timeout(20):
            await feed.went_back(epoch)
        assert feed.epoch > epoch
        assert len(await stage.events("epoch.opened")) == 1

    async def test_f_s13_many_questions_share_a_reading(self, stage: Stage) -> None:
        """Strangers may ask, and each reading keeps the news waiting; each answer is as new as its question."""
        log = CountedLog(stage.services.store.revocations)
        feed = feed_of(stage, log=cast("Revocations", log))
        await feed.start()
        before, log.readings = feed.sequence, 0
        early = [asyncio.create_task(feed.answer(before, f"early-{number}")) for number in range(50)]
        await asyncio.sleep(0)
        over = stage.clock.now() + timedelta(minutes=5)
        await stage.services.store.revocations.revoke_token("token-1", None, over, Origin())
        late = [asyncio.create_task(feed.answer(before, f"late-{number}")) for number in range(50)]
        for one in (*early, *late):
            await one
        assert log.readings <= 4
        for number, one in enumerate(late):
            message = jws.parse(one.result(), max_size=10**7).payload
            assert b"token-1" in message
            assert f'"nonce":"late-{number}"'.encode() in message

    async def test_f_s13_who_leaves_takes_no_answer_from_others(self, stage: Stage) -> None:
        """They wait for one reading; one of them hangs up."""
        feed = feed_of(stage)
        await feed.start()
        first, second = [asyncio.create_task(feed.answer(0, name)) for name in ("one", "two")]
        await asyncio.sleep(0)
        first.cancel()
        assert b'"nonce":"two"' in jws.parse(await second, max_size=10**7).payload

    async def test_strangers_at_many_places_take_no_memory(self, stage: Stage) -> None:
        """Answers are kept for some of them, and right for all."""
        over, log = stage.clock.now() + timedelta(minutes=5), stage.services.store.revocations
        for number in range(80):
            await log.revoke_token(f"token-{number}", None, over, Origin())
        feed = feed_of(stage, near=100)
        await feed.start()
        places = range(feed.sequence - 79, feed.sequence)
        once = [feed.delta(after) for after in places]
        again = [feed.delta(after) for after in places]
        assert sum(one is other for one, other in zip(once, again, strict=True)) == 64
        for after, message in zip(places, again, strict=True):
            assert f'"after":{after},'.encode() in jws.parse(message, max_size=10**7).payload


class BusyLog:
    """A log that moves on before whatever is written to it."""

    def __init__(self, log: Revocations, over: datetime) -> None:
        self._log, self._over = log, over
        self._written = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def open_epoch(self, *asked: Any, **more: Any) -> bool:
        self._written += 1
        await self._log.revoke_token(f"token-{self._written}", None, self._over, Origin())
        return await self._log.open_epoch(*asked, **more)


class CountedLog:
    """A log that counts how often it is read."""

    def __init__(self, log: Revocations) -> None:
        self._log = log
        self.readings = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def read(self, *asked: Any) -> Any:
        self.readings += 1
        return await self._log.read(*asked)


class TestKept:
    def entry(self, sequence: int, **members: Any) -> Entry:
        return Entry(sequence=sequence, at=100, exp=200, **members)

    def test_what_is_known_is_passed_over(self) -> None:
        """The log is read page by page, and a page may begin with what the last one ended with."""
        kept = Kept()
        entries = [self.entry(1, kind="session", id="ses_1"), self.entry(2, kind="token", id="token-1")]
        kept.add(entries, 0)
        kept.add([*entries, self.entry(3, kind="session", id="ses_2")], 0)
        assert [entry.sequence for entry in kept.past(0)] == [1, 2, 3]

    def test_a_token_is_forgotten_by_both_clocks(self) -> None:
        """Then it is of no list any more."""
        kept = Kept()
        kept.add([self.entry(1, kind="token", id="token-1"), self.entry(2, kind="session", id="ses_1")], 0)
        for now, monotonic in ((150, 500), (500, 50)):
            kept.forget(now, monotonic)
            assert kept.tokens == {"token-1"}
        kept.forget(500, 500)
        assert (kept.tokens, len(kept), kept.forgotten) == (set(), 0, 2)


class TestEnded:
    async def test_a_narrower_refresh_of_an_ended_session(self, stage: Stage) -> None:
        """It is refused as every other, and the scope is not looked at."""
        ada = await stage.newcomer()
        await stage.http.post("/auth/logout", headers=ada.bearer)
        for scope in ("profile", "more than there is"):
            members = {"refresh_token": ada.tokens["refresh_token"], "scope": scope}
            answer = await stage.http.post("/auth/token", json=members)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_grant")

    async def test_a_pair_for_a_session_that_just_ended(self, stage: Stage) -> None:
        """Its access token was still good when the request came in."""
        ada = await stage.newcomer()
        await stage.services.store.sessions.end(ada.session_id, "logout", Origin())
        with pytest.raises(InvalidToken, match="revoked"):
            await stage.services.basic_sessions.give(ada.session_id, Origin())

    @pytest.mark.parametrize("change", ["!", "=", "é", " "])
    async def test_a_refresh_token_with_a_letter_of_no_alphabet(self, stage: Stage, change: str) -> None:
        """Of the right length and beginning."""
        ada = await stage.newcomer()
        presented = ada.tokens["refresh_token"][:-1] + change
        answer = await stage.http.post("/auth/token", json={"refresh_token": presented})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_grant")


class TestClaims:
    async def test_roles_under_another_name(self, ground: dict[str, str]) -> None:
        """For an API that looks for them elsewhere."""
        async with open_stage(claims="groups=roles", **ground) as stage:
            root = await stage.login(await stage.somebody("admin"))
            claims = msgspec.json.decode(jws.parse(root.tokens["access_token"], max_size=10**5).payload)
            assert claims["groups"] == claims["roles"]
            assert "admin" in claims["groups"]

    @pytest.mark.parametrize("kind", [TokenSet, AccessTokenSet])
    def test_a_set_of_tokens_shows_none(self, kind: type) -> None:
        """Logs and tracebacks hold what is printed."""
        names = {"refresh_token": "rt-secret", "refresh_token_expires_in": 9} if kind is TokenSet else {}
        made = kind(access_token="at-secret", expires_in=9, scope="profile", session_id="ses_1", **names)
        assert repr(made) == str(made) == f"{kind.__name__}(session_id='ses_1', scope='profile')"
