"""When the snapshot is written, and what is left behind when it cannot be."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.guard.stage import PretendIssuer, pretend_issuer, until
from watchword import ConfigurationError, Guard
from watchword.guard.keeper import Keeper
from watchword.guard.knowledge import Knowledge
from watchword.guard.snapshot import SnapshotFile


@pytest.fixture
def issuer() -> Iterator[PretendIssuer]:
    with pretend_issuer() as found:
        yield found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "guard.snapshot"


class TestWhen:
    def test_what_heard_nothing_writes_nothing(self, issuer: PretendIssuer, path: Path) -> None:
        """An empty file would take the place of one that knew something."""
        Guard(issuer.url, snapshot=path).close()
        assert not path.exists()

    def test_an_answer_without_news_is_no_reason(self, issuer: PretendIssuer, path: Path) -> None:
        """A disk is not written for every heartbeat."""
        guard = Guard(issuer.url, snapshot=path)
        guard.refresh()
        path.unlink()
        guard.confirm()
        until(path.exists)  # what was heard before the thread began
        path.unlink()
        for _ in range(50):
            guard.confirm()
        assert not path.exists()
        issuer.revoke("session", "ses_1")
        until(path.exists)
        guard.close()

    def test_one_thread_writes(self, issuer: PretendIssuer, path: Path) -> None:
        """However often it is begun."""
        known = Knowledge(issuer.url, clock=time.time, monotonic=time.monotonic)
        keeper = Keeper(SnapshotFile(path, issuer.url), known, note=print)
        before = set(threading.enumerate())
        for _ in range(3):
            keeper.start()
        assert [thread.name for thread in set(threading.enumerate()) - before] == ["watchword-guard-keeper"]
        keeper.close()


class TestFile:
    def test_a_message_of_another_issuer_stops_the_start(self, issuer: PretendIssuer, path: Path) -> None:
        """Whatever the first line says."""
        guard = Guard(issuer.url, snapshot=path)
        guard.refresh()
        guard.close()
        head, body = path.read_text().splitlines()
        kept = msgspec.json.decode(body)
        kept["message"]["iss"] = "https://b.example"
        path.write_text(f"{head}\n{msgspec.json.encode(kept).decode()}\n")
        with pytest.raises(ConfigurationError, match=r"belongs to https://b\.example"):
            Guard(issuer.url, snapshot=path)

    def test_a_write_that_fails_leaves_nothing_behind(self, issuer: PretendIssuer, path: Path) -> None:
        """No half file in the folder for every try."""
        guard = Guard(issuer.url, snapshot=path)
        path.mkdir()
        guard.refresh()
        assert "cannot be written" in guard.health()["error"]
        assert {found.name for found in path.parent.iterdir()} == {path.name, f"{path.name}.lock"}
        path.rmdir()
        guard.refresh()
        assert path.is_file()
        guard.close()

    def test_a_system_without_such_locks_keeps_it_all_the_same(
        self, issuer: PretendIssuer, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The replacement itself is whole or not at all."""
        monkeypatch.setitem(sys.modules, "fcntl", None)
        guard = Guard(issuer.url, snapshot=path)
        guard.refresh()
        guard.close()
        assert [found.name for found in path.parent.iterdir()] == [path.name]
        second = Guard(issuer.url, snapshot=path)
        assert second.health()["kids"]
        second.close()
