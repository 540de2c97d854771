"""Counters that nodes share: one limit for all, and one in each when they are away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from tests import databases
from tests.databases import Cache, Cluster, Valkey, valkey_server
from tests.server.stage import PASSWORD, Stage, open_stage, problem
from watchword.errors import ConfigurationError
from watchword.server.ephemeral.counters import Count, Limit
from watchword.server.ephemeral.redis import RedisCounters
from watchword.server.settings import Settings
from watchword.server.store.postgres.open import open_postgres

pytestmark = pytest.mark.anyio

NOBODY = "valkey://:geheim@127.0.0.1:9"


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """One that the test may stop."""
    with valkey_server() as own:
        yield own


@asynccontextmanager
async def two_nodes(**flags: str) -> AsyncIterator[tuple[Stage, Stage]]:
    async with open_stage(**flags) as one, open_stage(**flags) as other:
        yield one, other


async def hammer(
    stage: Stage, times: int, email: str = "ada@example.com", password: str = "wrong"
) -> list[int]:
    return [(await stage.post_login(email=email, password=password)).status_code for _ in range(times)]


def gauge(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("watchword_counters_away ")).split()[1]


class TestTogether:
    @pytest.mark.parametrize("kind", ["postgres", "postgres+valkey"])
    async def test_attack_a45_two_nodes_are_one_limit(
        self, kind: str, request: pytest.FixtureRequest
    ) -> None:
        """Ten failures in all, wherever they are tried; the owner proves himself at one, and both forget them."""
        flags = {"database": await request.getfixturevalue("postgres").place()}
        if "valkey" in kind:
            flags["redis"] = await request.getfixturevalue("valkey").place()
        email = f"{kind.replace('+', '-')}@example.com"
        async with two_nodes(**flags) as (one, other):
            assert await hammer(one, 6, email) + await hammer(other, 6, email) == [401] * 10 + [429] * 2
            answer = await one.post_login(email=email, password="wrong")
            problem(answer, 429, "too_many_requests")
            assert int(answer.headers["retry-after"]) == 6
            ada = await one.somebody()
            assert await hammer(one, 5, ada.email) == [401] * 5
            await other.login(ada)
            assert await hammer(one, 11, ada.email) == [401] * 10 + [429]
            assert await hammer(other, 1, ada.email, PASSWORD) == [429]

    async def test_f_n3_two_databases_share_no_counter(self, valkey: Cache) -> None:
        """Under one secret and in one Valkey, as a staging copy may be: guesses at one don't lock the other."""
        async with two_nodes(redis=await valkey.place()) as (one, other):
            assert await hammer(one, 11, "two@example.com") == [401] * 10 + [429]
            assert await hammer(other, 1, "two@example.com") == [401]

    async def test_attack_a45_a_burst_over_two_nodes_tries_no_more_than_a_row(
        self, postgres: Cluster, valkey: Cache
    ) -> None:
        """Sixty-four at once: ten are told that they were wrong."""
        for more in ({}, {"redis": await valkey.place()}):
            async with two_nodes(database=await postgres.place(), **more) as nodes:
                answers = await asyncio.gather(
                    *(nodes[n % 2].post_login(email="burst@example.com", password="wrong") for n in range(64))
                )
                assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 54

    async def test_attack_a43_registrations_are_counted_together(
        self, postgres: Cluster, valkey: Cache
    ) -> None:
        """Sixty a minute from one address, over all nodes."""
        async with two_nodes(database=await postgres.place(), redis=await valkey.place()) as (one, other):
            ada = await one.somebody()
            body = {"email": ada.email, "password": PASSWORD}
            statuses = [
                (await (one, other)[number % 2].http.post("/auth/register", json=body)).status_code
                for number in range(62)
            ]
            assert statuses == [409] * 60 + [429] * 2

    async def test_servers_with_one_valkey_never_meet(self, valkey: Cache) -> None:
        """Names are digests under a key of each server's own, and nobody's name or address stands there."""
        place = await valkey.place()
        async with (
            open_stage(redis=place) as one,
            open_stage(redis=place, secret="k" * 8 + "another-master-key-of-a-test") as other,
        ):
            assert await hammer(one, 11, "seen@example.com") == [401] * 10 + [429]
            assert await hammer(other, 1, "seen@example.com") == [401]
        from redis.asyncio import Redis

        async with Redis.from_url(place.replace("valkey:", "redis:")) as reader:
            keys = [key async for key in reader.scan_iter("*")]
            assert keys
            assert all(key.startswith(b"{watchword}") and len(key) == 27 for key in keys)
            assert not any(b"seen" in key or b"192.0.2" in key for key in keys)
            assert -1 not in [await reader.pttl(key) for key in keys]

    async def test_a_good_log_in_is_one_command(self, own_valkey: Valkey) -> None:
        """No more round trips than that, whatever it counts."""
        from redis.asyncio import Redis

        async with (
            open_stage(redis=own_valkey.url) as stage,
            Redis.from_url(own_valkey.url.replace("valkey:", "redis:")) as reader,
        ):
            ada = await stage.newcomer()
            before = (await reader.info("commandstats"))["cmdstat_evalsha"]["calls"]
            await stage.login(ada)
            after = (await reader.info("commandstats"))["cmdstat_evalsha"]["calls"]
            assert after - before == 1

    async def test_clean_up_takes_what_says_nothing(self, postgres: Cluster) -> None:
        """Once a bucket is full again, its row goes; the others stay."""
        place = await postgres.place()
        store = await open_postgres(place)
        async with open_stage(database=place) as stage:
            await hammer(stage, 11)
            stage.clock.forward(seconds=90)
            await stage.services.tick()
            rows = await store.engine.read(lambda tx: tx.all("SELECT count(*), min(strikes) FROM counters"))
            # of the name, and of what stands for an account, what ran dry and what is counted for a month
            assert rows == [(4, 0)]
            stage.clock.forward(days=31)
            await stage.services.tick()
            assert await store.engine.read(lambda tx: tx.all("SELECT * FROM counters")) == []
        await store.close()


class TestAway:
    async def test_nobody_is_refused_and_nobody_is_unlimited(self, own_valkey: Valkey) -> None:
        """The failures before it went are still counted here; log-ins go on; it is told once, and when it is back."""
        async with open_stage(redis=own_valkey.url) as stage:
            ada, bob = await stage.somebody(), await stage.somebody()
            assert await hammer(stage, 5, ada.email) == [401] * 5
            own_valkey.stop()
            assert await hammer(stage, 7, ada.email) == [401] * 5 + [429] * 2
            await stage.login(bob)
            assert await stage.http.post(
                "/auth/register", json={"email": "new@example.com", "password": PASSWORD}
            )
            assert (await stage.http.get("/readyz")).json()["counters"] == "away"
            assert gauge((await stage.http.get("/metrics")).text) == "1.0"
            assert len(await stage.events("counters.away")) == 1
            own_valkey.start()
            stage.clock.forward(seconds=2)
            await stage.services.tick()
            assert (await stage.http.get("/readyz")).json()["counters"] == "ok"
            assert gauge((await stage.http.get("/metrics")).text) == "0.0"
            assert len(await stage.events("counters.back")) == 1
            assert await hammer(stage, 11, bob.email) == [401] * 10 + [429]

    async def test_it_need_not_be_there_at_the_start(self) -> None:
        """The server starts, limits, and lets people in."""
        async with open_stage(redis=NOBODY) as stage:
            ada = await stage.newcomer()
            assert await hammer(stage, 11, ada.email) == [401] * 10 + [429]

    async def test_one_that_says_nothing_is_away(self) -> None:
        """Somebody listens and never answers: people wait for him once, and not longer than a second."""
        silent = await asyncio.start_server(lambda reader, writer: reader.read(), "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        async with silent, open_stage(redis=f"redis://127.0.0.1:{port}") as stage:
            ada = await stage.newcomer()
            assert stage.services.counters_away
            async with asyncio.timeout(5):
                assert await hammer(stage, 11, ada.email) == [401] * 10 + [429]
            silent.close()

    async def test_a_database_that_is_away_is_503_as_before(self) -> None:
        """Its counters do not hide it."""
        with databases.server() as own:
            async with open_stage(database=await own.cluster.place()) as stage:
                ada = await stage.newcomer()
                own.stop()
                problem(
                    await stage.post_login(email=ada.email, password=PASSWORD), 503, "temporarily_unavailable"
                )

    async def test_no_secret_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        """Neither by a log line nor by what objects say of themselves."""
        async with open_stage(redis=NOBODY) as stage:
            await stage.newcomer()
            assert stage.services.counters_away
            told = repr(stage.services) + repr(stage.settings) + repr(stage.settings.shown()) + caplog.text
        assert "shared counters are away" in caplog.text
        assert "geheim" not in told


class TestSetting:
    @pytest.mark.parametrize("url", [
        "valkey://cache.internal", "valkeys://u:p@cache.internal:6380/2", "redis://127.0.0.1:6379/0",
        "rediss://:p@[::1]:6379", "unix:///run/valkey/valkey.sock",
    ])  # fmt: skip
    async def test_every_form_is_read_by_the_driver(self, url: str) -> None:
        """Valkey's name, Redis' name, with TLS, a socket."""
        redis = Settings.load({"redis": url}).redis
        assert redis is not None
        await RedisCounters.open(redis, str.encode).close()

    @pytest.mark.parametrize(
        "url", ["http://:geheim@cache", "valkey://:geheim@cache:port", "valkey://:geheim@[cache"]
    )
    async def test_what_is_refused_is_not_quoted(self, url: str) -> None:
        """A password may stand in it."""
        with pytest.raises(ConfigurationError, match="redis: must") as refused:
            Settings.load({"redis": url})
        assert "geheim" not in str(refused.value)

    async def test_a_limit_never_runs_to_zero_spacing(self) -> None:
        """The largest limit there is still counts."""
        limit = Limit.of("huge", 30_000_000, timedelta(minutes=1))
        assert limit.spacing == 2
        assert Count(limit, "x").name == "huge x"
