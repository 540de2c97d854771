"""The model: real intentions, a simulated scheduler, an oracle that knows no versions (feed document, section 10).

A seed that fails is printed with the command that plays it again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.model.ear import Ear
from tests.model.world import World
from tests.server.stage import GROUNDS, ISSUER, SECRET, Backup, Clock, ground_of
from watchword.server.services import Services, open_services
from watchword.server.settings import Settings
from watchword.server.store.backup import overwrite
from watchword.server.store.open import open_store
from watchword.server.store.records import Origin

FEW = 50
PARTS = 4
SHARED = 10
"""Seeds of each ground that nodes share, where a step costs a way to the database and back."""
MANY = 10_000
RESTORES = 8
SEED = os.environ.get("WATCHWORD_MODEL_SEED")


@asynccontextmanager
async def serving(random: Random, clock: Clock, ground: dict[str, str]) -> AsyncIterator[Services]:
    """A server whose every random byte comes from the seed."""
    settings = Settings.load(
        {
            "issuer": ISSUER,
            "secret": SECRET,
            "feed": "full",
            "password_hash": "test",
            "claims": "admin=admin",
            "max_sessions_per_user": "3",
            "login_attempts_per_account": "0",
            **ground,
        }
    )
    async with open_services(
        settings, now=clock.now, monotonic=clock.monotonic, token_bytes=random.randbytes
    ) as services:
        yield services


def guards_of(random: Random, clock: Clock) -> list[Ear]:
    """Two with the right time, one that is perhaps an hour off."""
    return [Ear(clock, 0), Ear(clock, 0), Ear(clock, random.choice((0, -3600, 3600)))]


def cast(world: World, act: str) -> None:
    """Put the actors of one act on the stage: two log-ins at least, and what may cross them."""
    random, start = world.random, world.scheduler.start

    def somebody() -> Any:
        return random.choice(world.people)

    def later(
        pick: Callable[[], Any], do: Callable[[Any], Coroutine[Any, Any, None]]
    ) -> Coroutine[Any, Any, None]:
        async def wait() -> None:
            for _ in range(random.randrange(6)):
                await world.scheduler.pause()
            chosen = pick()
            if chosen is not None:
                await do(chosen)

        return wait()

    def session() -> Any:
        return random.choice(world.held) if world.held else None

    for number in range(random.randint(2, 4)):
        start(f"{act} log-in {number}", world.log_in(somebody(), narrowed=random.random() < 0.3))
    menu: list[Callable[[], Coroutine[Any, Any, None]]] = [
        lambda: later(session, world.refresh),
        lambda: later(session, world.refresh),
        lambda: later(session, world.three_tabs),
        lambda: later(somebody, world.change_roles),
        lambda: later(somebody, world.change_roles),
        lambda: later(somebody, world.ban),
        lambda: later(somebody, world.change_password),
        lambda: later(session, world.log_out),
        lambda: later(somebody, world.log_out_everywhere),
        world.revoke_token,
        world.brake,
        world.client,
        world.rotate,
        world.compromise,
    ]
    for number, make in enumerate(random.choices(menu, k=random.randint(4, 9))):
        start(f"{act} actor {number}", make())
    if random.random() < 0.2:
        start(f"{act} clock", world.set_clock())
    start(f"{act} network", world.network(random.randint(15, 30)))


Ground = Callable[[], Coroutine[Any, Any, dict[str, str]]]
"""Makes an empty database, and says how it is named in the settings."""


async def memory() -> dict[str, str]:
    return {"database": "sqlite:///:memory:"}


async def play(seed: int, ground: Ground = memory) -> World:
    """One run."""
    random, clock = Random(seed), Clock()
    async with serving(random, clock, await ground()) as services:
        world = World(random, clock, guards_of(random, clock))
        world.open(services)
        await world.populate(random.randint(1, 2))
        for act in ("first", "second"):
            cast(world, act)
            await world.scheduler.run()
        await world.check_all_heard()
        await world.check_data()
    return world


async def play_restore(seed: int, folder: Path, ground: Ground | None = None) -> World:
    """One run of which a copy is made and put back: announced or not, sessions kept or not."""
    random, clock = Random(seed), Clock()
    settings = {"database": f"sqlite:///{folder / f'{seed}.db'}"} if ground is None else await ground()
    backup = Backup(settings, folder / f"{seed}.copy")
    guards = guards_of(random, clock)
    async with serving(random, clock, settings) as services:
        world = World(random, clock, guards)
        world.open(services)
        await world.populate(1)
        cast(world, "first")
        await world.scheduler.run()
        await backup.make()
        clock.forward(minutes=random.choice((1, 4)))
        cast(world, "second")
        await world.scheduler.run()
        await world.check_all_heard()
        cursor = services.feed.cursor
    await backup.put_back()
    async with serving(random, clock, settings) as services:
        world.open(services)
        if random.random() < 0.5:
            await services.feed.restored(keep_sessions=random.random() < 0.5)
        else:
            world.oracle.unnoticed = True
            stream = services.feed.stream(cursor)
            await anext(stream)
            await stream.aclose()  # type: ignore[attr-defined]
        await world.poll()
        cast(world, "third")
        await world.scheduler.run()
        await world.check_all_heard()
        await world.check_data()
    return world


async def play_overtaken(seed: int, folder: Path, ground: Ground | None = None) -> World:
    """One run in which the log loses its end beneath a running server, and overtakes before anybody looks."""
    random, clock = Random(seed), Clock()
    settings = {"database": f"sqlite:///{folder / f'{seed}.db'}"} if ground is None else await ground()
    backup = Backup(settings, folder / f"{seed}.copy")
    async with serving(random, clock, settings) as services:
        world = World(random, clock, guards_of(random, clock))
        world.open(services)
        await world.populate(1)
        cast(world, "first")
        await world.scheduler.run()
        await backup.make()
        cast(world, "second")
        await world.scheduler.run()
        await world.check_all_heard()
        known = services.feed.sequence
        await roll_back(backup)
        await overtake(backup.place, clock, known + random.randint(0, 3))
        world.oracle.unnoticed = True
        await world.poll()
        assert not world.oracle.unnoticed, "a log of another past was taken for the one that was known"
        cast(world, "third")
        await world.scheduler.run()
        await world.check_all_heard()
        await world.check_data()
    return world


async def roll_back(backup: Backup) -> None:
    """What a failover to a standby that lags does: other contents under the same address."""
    if isinstance(backup.place, Path):
        overwrite(backup.copy, backup.place, lambda done, total: None)
    else:
        await backup.put_back()


async def overtake(place: Path | str, clock: Clock, sequence: int) -> None:
    """Another node writes to the log until it is as long as that, or longer."""
    other = await open_store(place, now=clock.now, upgrade=False)
    try:
        written = 0
        while not written or (await other.revocations.head()).sequence < sequence:
            over = clock.now() + timedelta(minutes=5)
            await other.revocations.revoke_token(f"elsewhere-{written}", None, over, Origin())
            written += 1
    finally:
        await other.close()


def replayed(seed: int, run: Coroutine[Any, Any, World]) -> World:
    """Run it; a failure says how to see it again."""
    try:
        return asyncio.run(run)
    except BaseException as fault:
        fault.add_note(f"WATCHWORD_MODEL_SEED={seed} ./test tests/model")
        raise


def seeds(count: int, part: int = 0) -> range:
    """Those of this run: the one asked for, or *count* of them."""
    return range(part * count, (part + 1) * count) if SEED is None else range(int(SEED), int(SEED) + 1)


class TestModel:
    @pytest.mark.parametrize("part", range(PARTS))
    def test_no_token_outlives_its_death(self, part: int) -> None:
        """Log-ins, refreshes, changes and kills in every order the seeds make, before guards that hear anyhow."""
        refused = accepted = 0
        for seed in seeds(FEW, part):
            world = replayed(seed, play(seed))
            refused, accepted = refused + world.refused, accepted + world.accepted
        # Both must have come up, or nothing was tried.
        assert SEED is not None or (refused > 100 and accepted > 10)

    def test_a_restored_backup_pardons_nobody(self, tmp_path: Path) -> None:
        """Put back with a word or without, under the same guards."""
        for seed in seeds(RESTORES):
            replayed(seed, play_restore(seed, tmp_path))

    def test_f_n1_a_log_that_was_rolled_back_overtakes_and_is_noticed(self, tmp_path: Path) -> None:
        """Before anybody looks it is longer than what was known."""
        for seed in seeds(RESTORES):
            replayed(seed, play_overtaken(seed, tmp_path))

    @pytest.mark.parametrize("kind", GROUNDS[1:])
    def test_nodes_share_what_it_stands_on(
        self, kind: str, request: pytest.FixtureRequest, tmp_path: Path
    ) -> None:
        """The same on PostgreSQL, which decides by locks where SQLite has one writer, and with Valkey beside it."""

        def ground() -> Coroutine[Any, Any, dict[str, str]]:
            return ground_of(request, kind)

        for seed in seeds(SHARED, GROUNDS.index(kind)):
            replayed(seed, play(seed, ground))
        for seed in seeds(2, GROUNDS.index(kind)):
            replayed(seed, play_restore(seed, tmp_path, ground))
            replayed(seed, play_overtaken(seed + 100, tmp_path, ground))

    @pytest.mark.parametrize("kind", GROUNDS)
    def test_a_seed_plays_the_same_again(self, kind: str, request: pytest.FixtureRequest) -> None:
        """What a failing seed did, it does again."""
        one, other = (replayed(7, play(7, lambda: ground_of(request, kind))) for _ in range(2))
        assert [(h.kind, h.spared, h.roles) for h in one.oracle.happened] == [
            (h.kind, h.spared, h.roles) for h in other.oracle.happened
        ]
        assert [token.jti for token in one.oracle.tokens] == [token.jti for token in other.oracle.tokens]

    @pytest.mark.long
    def test_ten_thousand_seeds(self, tmp_path: Path) -> None:
        """The same, for longer."""
        for seed in seeds(MANY):
            replayed(seed, play(seed))
            if seed % 20 == 0:
                replayed(seed, play_restore(seed, tmp_path))
                replayed(seed, play_overtaken(seed + MANY, tmp_path))

    @pytest.mark.long
    @pytest.mark.parametrize("kind", GROUNDS[1:])
    def test_two_hundred_seeds_of_nodes(self, kind: str, request: pytest.FixtureRequest) -> None:
        """The same, on what nodes share."""
        for seed in seeds(200):
            replayed(seed, play(seed, lambda: ground_of(request, kind)))
