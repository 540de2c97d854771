"""A backup made under load, and what it brings back (R-19, R-20)."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.mission.stage import Server, start_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = start_server(
        tmp_path / "server", WATCHWORD_PASSWORD_HASH="test", WATCHWORD_REGISTRATIONS_PER_ADDRESS="0"
    )
    yield running
    assert running.process.stop() == 0, running.process.log.read_text()


@contextmanager
def writers(server: Server, count: int) -> Iterator[list[int]]:
    """Threads that refresh one session each, as fast as they are answered; yields what they were answered."""
    statuses: list[int] = []
    done = threading.Event()

    def refresh() -> None:
        tokens = server.newcomer().tokens
        with httpx2.Client(base_url=server.url, timeout=30) as http:
            while not done.is_set():
                answer = http.post("/auth/token", json={"refresh_token": tokens["refresh_token"]})
                statuses.append(answer.status_code)
                tokens = answer.json()

    threads = [threading.Thread(target=refresh) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        while len(statuses) < 100:
            done.wait(0.01)
        yield statuses
    finally:
        done.set()
        for thread in threads:
            thread.join(60)


class TestBackup:
    def test_it_is_whole_although_everybody_writes(self, server: Server, tmp_path: Path) -> None:
        """A copy made under load passes every rule of the data, is its owner's alone, and nobody was refused."""
        user = server.register()
        target = tmp_path / "copy.db"
        with writers(server, 4) as statuses:
            report = server.manage("db", "backup", str(target))
        assert report == {"file": str(target), "bytes": target.stat().st_size, "problems": []}
        assert set(statuses) == {200}
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        assert list(tmp_path.glob("*copy.db*")) == [target]
        kept = server.manage("user", "show", user.email, "--database", f"sqlite:///{target}")
        assert kept["id"] == user.id

    def test_it_overwrites_nothing(self, server: Server, tmp_path: Path) -> None:
        """A file that is there stays as it is, and so does a folder that is not."""
        target = tmp_path / "precious.db"
        target.write_text("precious")
        assert server.cli("db", "backup", str(target)).returncode == 2
        assert target.read_text() == "precious"
        assert server.cli("db", "backup", str(tmp_path / "nowhere" / "copy.db")).returncode == 2
