"""Who hears what of the feed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.server.hearing import Hearing
from tests.server.stage import Somebody, Stage, call, each_ground, open_stage, problem
from watchword.errors import ConfigurationError
from watchword.jose import jws
from watchword.server.feed.feed import RevocationFeed
from watchword.server.feed.retained import Kept
from watchword.server.policies import FeedPolicy
from watchword.server.settings import Settings
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio

kind = each_ground

SECRET = "the-secret-that-guards-show-0123456789"
SHOWN = {"Authorization": f"Bearer {SECRET}"}


async def demoted(stage: Stage) -> Somebody:
    """Somebody whose live token says more than he is, and who wrote his e-mail into it."""
    ada = await stage.login(await stage.somebody("admin"))
    root = await stage.administrator()
    await call(stage, root, "PATCH", f"/admin/v1/users/{ada.id}", json={"roles": ["user"]})
    await stage.services.feed.poll()
    return ada


async def fill(stage: Stage, name: str = "token") -> None:
    """Twenty deaths, and a long message of them."""
    over, log = stage.clock.now() + timedelta(minutes=5), stage.services.store.revocations
    for number in range(20):
        await log.revoke_token(f"{name}-{number}-{'x' * 3000}", None, over, Origin())
    await stage.services.feed.poll()


async def feed_of(stage: Stage) -> RevocationFeed:
    """Another node's feed over the same store, for which ten entries are many."""
    feed = replace(stage.services.feed, policy=FeedPolicy(near=10, long=0), _kept=Kept(), _head=None)
    await feed.start()
    return feed


def payload(message: bytes) -> str:
    return jws.parse(message, max_size=10**7).payload.decode()


class TestOpen:
    async def test_a_stranger_does_not_read_what_a_user_is(self, ground: dict[str, str]) -> None:
        """Neither roles nor mapped claims, by none of its doors; whoever shows the secret reads both."""
        async with open_stage(**ground, feed="open", feed_secret=SECRET, claims="mail=email") as stage:
            ada = await demoted(stage)
            for path in ("/revocations", "/revocations?after=1", "/revocations?after=1&nonce=n"):
                message = payload((await stage.http.get(path)).content)
                assert ada.email not in message
                assert "roles" not in message
                whole = payload((await stage.http.get(path, headers=SHOWN)).content)
                assert ada.email in whole
            feed = stage.services.feed
            for shown, told in (([], False), ([SHOWN["Authorization"]], True)):
                frame = await anext(feed.stream(edition=feed.edition(shown)))
                data = frame.split(b"data: ")[1].strip()
                assert (ada.email in payload(data)) == told

    async def test_a_demotion_ends_the_token_there(self, ground: dict[str, str]) -> None:
        """A guard without the secret refuses what it cannot correct; a refresh brings the truth."""
        async with open_stage(**ground, feed="open", feed_secret=SECRET) as stage:
            api = Hearing(stage)
            await api.update()
            ada = await demoted(stage)
            await api.update()
            assert api.refuses(ada.tokens["access_token"])
            refresh = {"refresh_token": ada.tokens["refresh_token"]}
            again = (await stage.http.post("/auth/token", json=refresh)).json()
            assert api.principal(again["access_token"]).roles == ("user",)

    async def test_the_two_are_not_mixed_up_by_a_cache(self, ground: dict[str, str]) -> None:
        """What was asked for with the secret may be kept by nobody else."""
        async with open_stage(**ground, feed="open", feed_secret=SECRET) as stage:
            stranger = await stage.http.get("/revocations")
            guard = await stage.http.get("/revocations", headers=SHOWN)
            assert stranger.headers["cache-control"].startswith("public")
            assert guard.headers["cache-control"].startswith("private")
            assert stranger.headers["vary"] == guard.headers["vary"] == "Authorization, Origin"

    async def test_both_hear_of_a_log_out(self, ground: dict[str, str]) -> None:
        """Kills are for everybody, in both editions, as they happen."""
        async with open_stage(**ground, feed="open", feed_secret=SECRET) as stage:
            feed = stage.services.feed
            streams = [feed.stream(edition=feed.edition(shown)) for shown in ([], [SHOWN["Authorization"]])]
            for stream in streams:
                await anext(stream)
            ada = await stage.newcomer()
            await stage.http.post("/auth/logout", headers=ada.bearer)
            await feed.poll()
            for stream in streams:
                data = (await anext(stream)).split(b"data: ")[1].strip()
                assert ada.session_id in payload(data)
            assert feed.listeners == 2


class TestFarBehind:
    async def test_strangers_at_any_place_share_the_snapshot(self, stage: Stage) -> None:
        """What is long is encoded and signed once; who lacks little still gets little."""
        await fill(stage)
        feed = await feed_of(stage)
        whole = feed.snapshot().body
        assert all(feed.delta(after) is whole for after in (1, 2, 3))
        streams = [feed.stream(after=after) for after in (1, 2, 3)]
        firsts = [[await anext(stream) for _ in range(2)] for stream in streams]
        assert firsts[0] == firsts[1] == firsts[2]
        assert whole[:60_000] in firsts[0][0]
        rest = payload(feed.delta(feed.sequence - 2))
        assert rest.count('"kind":"token"') == 2

    async def test_who_is_past_a_kept_snapshot_does_not_go_back(self, stage: Stage) -> None:
        """Many deaths came within its second: all such askers share what came since it was made."""
        await fill(stage)
        api = Hearing(stage)
        await api.update()
        feed = await feed_of(stage)
        kept, ends = feed.snapshot(), feed.sequence
        await fill(stage, "more")
        await feed.poll()
        assert feed.snapshot() is kept
        assert feed.delta(ends + 1) is feed.delta(ends + 2)
        assert api.known.accept(feed.delta(ends)) == "fresh"
        assert api.known.sequence == feed.sequence

    async def test_a_client_that_does_not_read_holds_one_piece(self, stage: Stage) -> None:
        """A long message leaves in parts, each when the one before has gone; together they are all of it."""
        await fill(stage)
        whole = stage.services.feed.snapshot().body
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/revocations",
            "query_string": b"",
            "headers": [],
            "client": ("127.0.0.1", 1),
            "scheme": "https",
        }
        await stage.app(scope, asyncio.Event().wait, send)
        bodies = [message["body"] for message in sent[1:]]
        assert b"".join(bodies) == whole
        assert max(map(len, bodies)) <= 65_536 < len(whole)
        assert dict(sent[0]["headers"])[b"content-length"] == b"%d" % len(whole)


class TestClosed:
    async def test_nobody_hears_without_the_secret(self, ground: dict[str, str]) -> None:
        """401, for a wrong one too; the metadata and the keys stay public."""
        async with open_stage(**ground, feed="closed", feed_secret=SECRET) as stage:
            for path in ("/revocations", "/revocations?after=1", "/revocations/stream"):
                answer = await stage.http.get(path)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"].startswith("Bearer")
                wrong = await stage.http.get(path, headers={"Authorization": f"Bearer {SECRET}x"})
                problem(wrong, 401, "invalid_token")
            assert (await stage.http.get("/revocations", headers=SHOWN)).status_code == 200
            assert (await stage.http.get("/.well-known/jwks.json")).status_code == 200


class TestSettings:
    def test_auto_is_full_on_loopback_alone(self) -> None:
        """A developer carries no secret about; a server on the net tells strangers little."""
        assert Settings.load({}).feed.form == "full"
        assert Settings.load({"issuer": "https://auth.example.com"}).feed.form == "open"

    @pytest.mark.parametrize(
        "flags",
        [
            {"feed": "closed"},
            {"feed_secret": "short"},
            {"feed_secret": "a secret with spaces in it is no credential"},
            {"feed": "ajar"},
        ],
    )
    def test_what_cannot_be_stops_the_start(self, flags: dict[str, str]) -> None:
        """One line names the setting."""
        with pytest.raises(ConfigurationError, match="feed"):
            Settings.load(flags)
