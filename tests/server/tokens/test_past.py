"""A log that was rolled back and went on: its length says nothing, so positions have marks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.server.feed.test_feed import event, log_out, token
from tests.server.hearing import Hearing
from tests.server.stage import Backup, Stage, each_ground, open_stage
from watchword.errors import TemporarilyUnavailable
from watchword.jose import jws
from watchword.server.services import open_services
from watchword.server.store import backup as copies
from watchword.server.store.open import move_all, open_store
from watchword.server.store.records import Origin
from watchword.server.store.workers.server import Desk, bind_desk

pytestmark = pytest.mark.anyio

kind = each_ground
_numbers = count()


@pytest.fixture
def backup(lasting: dict[str, str], tmp_path: Path) -> Backup:
    return Backup(lasting, tmp_path / "copy.db")


def quietly(done: int, total: int) -> None:
    """No progress is shown."""


async def copy(backup: Backup) -> None:
    """What a standby would have, or an older file."""
    if isinstance(backup.place, Path):
        backup.copy.touch(mode=0o600)
        copies.copy(backup.place, backup.copy, quietly)
    else:
        await backup.make()


async def roll_back(backup: Backup) -> None:
    """Put the copy in the place of the data, beneath whoever serves it."""
    if isinstance(backup.place, Path):
        copies.overwrite(backup.copy, backup.place, quietly)
    else:
        await move_all(backup.copy, backup.place, progress=quietly, at_rest=False, replace=True)


async def write_elsewhere(stage: Stage, place: Path | str, entries: int) -> None:
    """Another process, which has not seen what was lost, writes to the log."""
    other = await open_store(place, now=stage.clock.now, upgrade=False)
    try:
        for number in range(entries):
            over = stage.clock.now() + timedelta(minutes=5)
            await other.revocations.revoke_token(f"elsewhere-{number}", None, over, Origin())
    finally:
        await other.close()


async def lose(stage: Stage, entries: int) -> None:
    """Entries that a rolled-back log does not have."""
    for _ in range(entries):
        over = stage.clock.now() + timedelta(minutes=5)
        await stage.services.store.revocations.revoke_token(f"lost-{next(_numbers)}", None, over, Origin())


def payload(message: bytes | str) -> dict[str, Any]:
    """What a message says."""
    found: dict[str, Any] = msgspec.json.decode(jws.parse(message, max_size=10**7).payload)
    return found


@asynccontextmanager
async def rolled_back(backup: Backup, *, lost: int, written: int) -> AsyncIterator[tuple[Stage, Hearing]]:
    """A server whose log lost entries that it and a guard know, and was written to since by somebody else."""
    async with open_stage(**backup.settings) as stage:
        api = Hearing(stage)
        await stage.newcomer()
        await lose(stage, 2)
        await copy(backup)
        await lose(stage, lost)
        await api.update()
        await roll_back(backup)
        await write_elsewhere(stage, backup.place, written)
        yield stage, api


class TestNode:
    @pytest.mark.parametrize("lost", [1, 7, 20])
    async def test_f_n1_a_log_that_overtakes_after_a_roll_back_begins_an_epoch(
        self, backup: Backup, lost: int
    ) -> None:
        """Longer than what was known, and another one all the same: a ban after it reaches old guards and new ones."""
        async with rolled_back(backup, lost=lost, written=lost + 3) as (stage, api):
            epoch = stage.services.feed.epoch
            await stage.services.feed.poll()
            assert stage.services.feed.epoch > epoch
            assert [event.type for event in await stage.events("epoch.opened")] == ["epoch.opened"]
            ada = await stage.newcomer()
            new = Hearing(stage)
            for guard in (api, new):
                await guard.update()
                assert not guard.refuses(token(ada))
            await stage.services.users.ban(ada.id, "thief", None, Origin())
            for guard in (api, new):
                await guard.update()
                assert guard.refuses(token(ada))
            assert await stage.services.store.check() == []

    async def test_f_n1_a_log_of_the_same_length_is_another_one_too(self, backup: Backup) -> None:
        """As many entries were written as were lost."""
        async with rolled_back(backup, lost=4, written=4) as (stage, _):
            epoch, sequence = stage.services.feed.epoch, stage.services.feed.sequence
            await stage.services.feed.poll()
            assert stage.services.feed.epoch > epoch
            assert stage.services.feed.sequence > sequence

    async def test_f_n1_a_log_that_only_grew_begins_nothing(self, stage: Stage) -> None:
        """Another node writes, and its entries fold: the position that was known isn't an entry any more."""
        feed, users = stage.services.feed, stage.services.store.users
        ada = await stage.newcomer()
        epoch = feed.epoch
        for _ in range(5):
            await users.log_out_everywhere(ada.id, "logout", Origin())
            await feed.poll()
            await users.log_out_everywhere(ada.id, "logout", Origin())
            await users.log_out_everywhere(ada.id, "logout", Origin())
        await feed.poll()
        await stage.services.store.revocations.brake(Origin())
        await feed.poll()
        assert feed.epoch == epoch

    async def test_f_n1_nothing_is_written_to_another_past(self, backup: Backup) -> None:
        """A new connection compares before it writes: until the epoch is opened a login is told to come again."""
        async with rolled_back(backup, lost=3, written=9) as (stage, _):
            await stage.services.feed.log.head()
            await renew_connections(stage, backup)
            ada = await stage.services.store.users.list()
            refused = await stage.post_login(email=ada.items[0].email, password="nine-slow-lanterns")
            assert (refused.status_code, refused.json()["error"]) == (503, "temporarily_unavailable")
            await stage.services.feed.poll()
            answer = await stage.post_login(email=ada.items[0].email, password="nine-slow-lanterns")
            assert answer.status_code == 200


async def renew_connections(stage: Stage, backup: Backup) -> None:
    """What a failover does to a node: every connection ends."""
    if isinstance(backup.place, Path):
        return  # each batch of writes looks at the file anew
    pool = stage.services.store.engine.pool  # type: ignore[attr-defined]
    for connection in list(pool._idle):
        await connection.close()


class TestSubscriber:
    async def test_f_n1_a_cursor_of_another_past_opens_an_epoch(self, backup: Backup) -> None:
        """The server was restarted after the roll-back, and its log is longer already: the cursor's mark proves it."""
        async with open_stage(**backup.settings) as stage:
            await lose(stage, 2)
            await copy(backup)
            await lose(stage, 3)
            await stage.services.feed.poll()
            cursor = stage.services.feed.cursor
        await roll_back(backup)
        async with open_stage(**backup.settings) as stage:
            await write_elsewhere(stage, backup.place, 9)
            epoch = stage.services.feed.epoch
            first = await event(stage.services.feed.stream(cursor))
            assert stage.services.feed.epoch > epoch
            assert payload(first["data"])["after"] == 0

    async def test_f_n1_a_cursor_that_is_of_this_log_resumes_and_opens_nothing(self, stage: Stage) -> None:
        """Also one that this node has never been at, because it was down."""
        feed = stage.services.feed
        cursors = []
        for _ in range(3):
            await lose(stage, 1)
            await feed.poll()
            cursors.append((feed.sequence, feed.cursor))
        await feed.start()
        feed._kept._marks.clear()
        epoch = feed.epoch
        for sequence, cursor in cursors:
            assert payload((await event(feed.stream(cursor)))["data"])["after"] in (sequence, 0)
        assert feed.epoch == epoch

    async def test_f_n1_another_mark_gets_the_whole_and_proves_nothing(self, stage: Stage) -> None:
        """Anybody may ask for what came after a position: it is answered, and never believed."""
        feed = stage.services.feed
        await lose(stage, 5)
        await feed.poll()
        known, epoch = payload(feed.snapshot().body), feed.epoch
        ask = {"after": str(known["sequence"])}
        for mark, after in ((known["mark"], known["sequence"]), ("0" * 16, 0), ("", 0), ("é", 0)):
            answer = await stage.http.get("/revocations", params={**ask, "mark": mark})
            assert payload(answer.content)["after"] == after, mark
            # An answer made for one asker is short: its marks say that everything has to be asked for.
            short = payload(
                (await stage.http.get("/revocations", params={**ask, "mark": mark, "nonce": "n"})).content
            )
            assert (short["after_mark"], "entries" in short) == (known["mark"], False)
        assert (
            payload((await stage.http.get("/revocations", params=ask)).content)["after"] == known["sequence"]
        )
        assert feed.epoch == epoch

    async def test_f_n1_every_message_names_the_marks_of_both_ends(self, stage: Stage) -> None:
        """A delta's beginning bears the mark that the message before it ended with."""
        feed = stage.services.feed
        await feed.poll()
        stream = feed.stream()
        messages = [payload((await event(stream))["data"])]
        for _ in range(3):
            await log_out(stage, await stage.newcomer())
            await feed.poll()
            messages.append(payload((await event(stream))["data"]))
        for before, after in pairwise(messages):
            assert (after["after"], after["after_mark"]) == (before["sequence"], before["mark"])
        assert len({message["mark"] for message in messages}) == len(messages)


async def test_f_n1_of_two_nodes_that_find_another_past_one_acts(backup: Backup) -> None:
    """The epoch is opened once, whoever looks first."""
    async with rolled_back(backup, lost=3, written=8) as (stage, _), open_stage(**backup.settings) as other:
        await asyncio.gather(stage.services.feed.poll(), other.services.feed.poll())
        await asyncio.gather(stage.services.feed.poll(), other.services.feed.poll())
        assert stage.services.feed.epoch == other.services.feed.epoch
        assert len(await stage.events("epoch.opened")) == 1


async def test_f_n1_a_node_of_the_version_before_marks_what_it_writes(backup: Backup) -> None:
    """It knows no marks: the database gives them."""
    async with open_stage(**backup.settings) as stage:
        await stage.services.feed.poll()
        epoch = stage.services.feed.epoch
        old = (
            "UPDATE head SET sequence = sequence + 1",
            "INSERT INTO revocations (sequence, kind, id, owner, body, expires_at)"
            " SELECT sequence, 'token', 'old-node', NULL,"
            ' \'{"sequence":\' || sequence || \',"kind":"token","id":"old-node"}\', 0 FROM head',
        )
        if isinstance(backup.place, Path):
            import sqlite3

            with sqlite3.connect(backup.place) as database:
                for statement in old:
                    database.execute(statement)
            database.close()
        else:
            connection = await asyncpg.connect(str(backup.place))
            for statement in old:
                await connection.execute(statement)
            await connection.close()
        before = stage.services.feed.sequence
        await stage.services.feed.poll()
        assert (stage.services.feed.epoch, stage.services.feed.sequence) == (epoch, before + 1)
        message = payload(stage.services.feed.delta(before))
        assert len({message["mark"], message["after_mark"], ""}) == 3


async def test_f_n1_entries_that_the_feed_had_not_read_are_missed_too(tmp_path: Path) -> None:
    """The process that writes to a file knows a position that its feed does not."""
    backup = Backup({"database": f"sqlite:///{tmp_path / 'watchword.db'}"}, tmp_path / "copy.db")
    async with open_stage(**backup.settings) as stage:
        await lose(stage, 2)
        await stage.services.feed.poll()
        await copy(backup)
        await lose(stage, 3)
        await roll_back(backup)
        await write_elsewhere(stage, backup.place, 5)
        epoch = stage.services.feed.epoch
        with pytest.raises(TemporarilyUnavailable, match="rolled back"):
            await lose(stage, 1)
        await stage.services.feed.poll()
        assert stage.services.feed.epoch > epoch
        await lose(stage, 1)


async def test_f_n1_another_file_under_the_name_of_the_database(tmp_path: Path) -> None:
    """Somebody moves an older file there beneath a running server: it reads that one, and begins an epoch in it."""
    backup = Backup({"database": f"sqlite:///{tmp_path / 'watchword.db'}"}, tmp_path / "copy.db")
    async with open_stage(**backup.settings) as stage:
        api, ada = Hearing(stage), await stage.newcomer()
        await lose(stage, 2)
        await copy(backup)
        await lose(stage, 3)
        await api.update()
        assert isinstance(backup.place, Path)
        for suffix in ("-wal", "-shm"):
            backup.place.with_name(backup.place.name + suffix).unlink(missing_ok=True)
        backup.copy.replace(backup.place)
        await write_elsewhere(stage, backup.place, 9)
        epoch = stage.services.feed.epoch
        with pytest.raises(TemporarilyUnavailable, match="rolled back"):
            await lose(stage, 1)
        await stage.services.feed.poll()
        assert stage.services.feed.epoch > epoch
        await api.update()
        assert api.refuses(token(ada))
        other = await open_store(backup.place, now=stage.clock.now, upgrade=False)
        bob = await stage.newcomer()
        await other.users.ban(bob.id, None, None, Origin())
        await other.close()
        await api.update()
        assert api.refuses(token(bob))


async def test_f_n1_a_process_that_hands_in_its_writing_notices_too(tmp_path: Path) -> None:
    """One process writes and another reads for itself: either may find another past, and one epoch begins."""
    backup = Backup({"database": f"sqlite:///{tmp_path / 'watchword.db'}"}, tmp_path / "copy.db")
    async with open_stage(**backup.settings) as stage:
        listener, path = bind_desk(tmp_path)
        with listener:
            async with (
                Desk.open(stage.services.store, listener, patience=5),
                open_services(
                    stage.settings, now=stage.clock.now, monotonic=stage.clock.monotonic, hand_to=path
                ) as other,
            ):
                await lose(stage, 2)
                await copy(backup)
                await lose(stage, 3)
                await other.feed.poll()
                await roll_back(backup)
                await write_elsewhere(stage, backup.place, 9)
                epoch, over = other.feed.epoch, stage.clock.now() + timedelta(minutes=5)
                with pytest.raises(TemporarilyUnavailable, match="rolled back"):
                    await other.store.revocations.revoke_token("handed", None, over, Origin())
                await other.feed.poll()
                await stage.services.feed.poll()
                assert other.feed.epoch == stage.services.feed.epoch > epoch
                assert len(await stage.events("epoch.opened")) == 1
                await other.store.revocations.revoke_token("handed", None, over, Origin())
