"""A store that hands its writing to another process: what it says when nobody is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchword.errors import ConfigurationError, TemporarilyUnavailable, WatchwordError
from watchword.server.store.conformance import Clock
from watchword.server.store.desk import Desk, bind_desk
from watchword.server.store.remote import RemoteStore
from watchword.server.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio


class TestRemoteStore:
    async def test_while_the_writer_is_away_it_reads(self, tmp_path: Path) -> None:
        """What would write is to come again; when somebody is at the desk once more, it is written."""
        now, file = Clock().now, tmp_path / "store.db"
        writing = await SqliteStore.open(file, now=now)
        listener, path = bind_desk(tmp_path)
        store = RemoteStore.open(file, path, now=now, overlay=lambda user, granted: {})
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
