"""An older database file that is put back while the server is down: only its guards know that there was more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.guard.stage import until
from tests.mission.stage import Server, User, start_server
from watchword import Guard
from watchword.errors import InvalidToken, TemporarilyUnavailable

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = start_server(
        tmp_path / "server", WATCHWORD_PASSWORD_HASH="test", WATCHWORD_REGISTRATIONS_PER_ADDRESS="0"
    )
    yield running
    assert running.process.stop() == 0, running.process.log.read_text()


def refuses(guard: Guard, user: User) -> bool:
    try:
        guard.verify(user.tokens["access_token"])
    except (InvalidToken, TemporarilyUnavailable):
        return True
    return False


def go_back(server: Server, to: Path) -> None:
    """Stop the server, put the file *to* in the place of its database, and start it."""
    assert server.process.stop() == 0
    database = server.data_dir / "watchword.db"
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    shutil.copy(to, database)
    server.process.start("/readyz")


def begins_anew(server: Server, epoch: int) -> None:
    """A new epoch is there soon, in which nobody who was banned since the copy is let in."""
    with_news = Guard(server.url)

    def heard() -> bool:
        with suppress(TemporarilyUnavailable):  # for a moment the keys are those of another past
            with_news.refresh()
        return bool(with_news.health()["epoch"] > epoch)

    until(heard, 30)
    with_news.close()


class TestPutBack:
    @pytest.mark.parametrize("meanwhile", ["nothing", "another feed key"])
    def test_f_n1_a_guard_that_goes_on_proves_it(
        self, server: Server, tmp_path: Path, meanwhile: str
    ) -> None:
        """It shows its cursor even where it refuses what the server says, under a key that it outlived, too."""
        user, guard, old = server.newcomer(), Guard(server.url), tmp_path / "old.db"
        assert not refuses(guard, user)
        server.manage("db", "backup", str(old))
        if meanwhile == "another feed key":
            server.manage("key", "rotate", "--feed", "--now")
        server.manage("user", "ban", user.email)
        until(lambda: refuses(guard, user))
        epoch = guard.health()["epoch"]
        go_back(server, old)
        begins_anew(server, epoch)
        until(lambda: guard.health()["epoch"] > epoch, 30)
        guard.close()

    def test_f_n1_a_guard_that_starts_from_its_file_proves_it(self, server: Server, tmp_path: Path) -> None:
        """The file keeps the cursor: an API that was restarted as well would otherwise know of nothing."""
        user, old, file = server.newcomer(), tmp_path / "old.db", tmp_path / "snapshot"
        guard = Guard(server.url, snapshot=file)
        assert not refuses(guard, user)
        server.manage("db", "backup", str(old))
        server.manage("user", "ban", user.email)
        until(lambda: refuses(guard, user))
        epoch = guard.health()["epoch"]
        guard.close()
        go_back(server, old)
        again = Guard(server.url, snapshot=file)
        assert refuses(again, user)
        begins_anew(server, epoch)
        again.close()
