"""A store that hands its writing to another process: what it says when nobody is there."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.server.store.conformance import Clock
from watchword.errors import ConfigurationError, ServerError, TemporarilyUnavailable, WatchwordError
from watchword.server.store.sqlite.engine import SqliteEngine
from watchword.server.store.sqlite.open import open_sqlite
from watchword.server.store.store import Store
from watchword.server.store.workers.client import open_remote
from watchword.server.store.workers.server import Desk, bind_desk

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def divided(folder: Path) -> AsyncIterator[Store]:
    """A store that reads, with somebody at the desk who writes."""
    now, file = Clock().now, folder / "store.db"
    writing = await open_sqlite(file, now=now)
    listener, path = bind_desk(folder)
    store = open_remote(file, path, now=now, overlay=lambda user, granted: {})
    try:
        with listener:
            async with Desk.open(writing, listener, patience=0):
                yield store
    finally:
        await store.close()
        await writing.close()


class TestRemote:
    async def test_who_writes_cleans_up(self, tmp_path: Path) -> None:
        """Of the processes on one file the others would only do it again."""
        async with divided(tmp_path) as store:
            reading: Any = store.engine
            assert not store.engine.sweeps
            assert not reading.local.sweeps
        writing = await open_sqlite(tmp_path / "store.db", now=Clock().now)
        assert writing.engine.sweeps
        await writing.close()

    async def test_while_the_writer_is_away_it_reads(self, tmp_path: Path) -> None:
        """What would write is to come again; when somebody is at the desk once more, it is written."""
        now, file = Clock().now, tmp_path / "store.db"
        writing = await open_sqlite(file, now=now)
        listener, path = bind_desk(tmp_path)
        store = open_remote(file, path, now=now, overlay=lambda user, granted: {})
        try:
            async with Desk.open(writing, listener, patience=0):
                assert await store.meta.put_new("name", "first") == "first"
            listener.close()
            with pytest.raises(TemporarilyUnavailable):
                await store.meta.put_new("other", "lost")
            assert await store.meta.get("name") == "first"
            assert await store.meta.get("other") is None
            listener, _ = bind_desk(tmp_path)
            async with Desk.open(writing, listener, patience=0):
                assert await store.meta.put_new("other", "second") == "second"
            assert await store.meta.get("other") == "second"
        finally:
            await store.close()
            await writing.close()
            listener.close()

    async def test_what_nobody_foresaw_is_told_without_its_words(self, tmp_path: Path) -> None:
        """The other side learns that it was a fault of the server; the line goes on."""
        async with divided(tmp_path) as store:
            with pytest.raises(ServerError) as fault:
                await store.events.sweep(Clock().now(), 2**63)
            assert "int" not in str(fault.value)
            assert await store.meta.put_new("name", "first") == "first"

    async def test_closed_it_asks_nobody(self, tmp_path: Path) -> None:
        """Whoever comes later is told to come again."""
        async with divided(tmp_path) as store:
            await store.close()
            with pytest.raises(TemporarilyUnavailable, match="closed"):
                await store.meta.put_new("name", "lost")

    async def test_where_a_system_does_not_say_who_speaks(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The file's mode has said it."""
        monkeypatch.delattr(socket, "SO_PEERCRED")
        async with divided(tmp_path) as store:
            assert await store.meta.put_new("name", "first") == "first"

    async def test_what_it_reads_with_never_writes(self, tmp_path: Path) -> None:
        """And a file that is none is refused before anybody asks."""
        async with divided(tmp_path) as store:
            reading: Any = store.engine
            with pytest.raises(ServerError, match="only reads"):
                await Store(reading.local, store.counters).meta.put_new("name", "lost")
            assert await store.meta.get("name") is None
        for place in (tmp_path, tmp_path / "nowhere" / "store.db"):
            with pytest.raises(ConfigurationError, match="cannot open"):
                SqliteEngine.reading(place, Clock().now, lambda user, granted: {})


class TestDesk:
    def test_it_is_for_its_owner_alone(self, tmp_path: Path) -> None:
        """Nobody else may knock."""
        listener, path = bind_desk(tmp_path)
        with listener:
            assert path.stat().st_mode & 0o777 == 0o600

    def test_two_servers_do_not_share_one(self, tmp_path: Path) -> None:
        """The second is refused and the first goes on; a desk that was left behind is taken over."""
        listener, path = bind_desk(tmp_path)
        with listener:
            with pytest.raises(WatchwordError, match="another server"):
                bind_desk(tmp_path)
            assert path.is_socket()
        again, _ = bind_desk(tmp_path)
        again.close()

    def test_a_folder_whose_name_is_too_long(self, tmp_path: Path) -> None:
        """A socket's path has about a hundred characters: the start is refused by the name of the setting."""
        folder = tmp_path / ("long" * 30)
        folder.mkdir()
        with pytest.raises(ConfigurationError, match="data_dir"):
            bind_desk(folder)
