"""A backup made under load, and what it brings back (R-19, R-20)."""

from __future__ import annotations

import asyncio
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guard.stage import until
from tests.mission.stage import Server, User, start_server
from tests.system.writing import writers
from watchword import Guard
from watchword.errors import InvalidToken, TemporarilyUnavailable
from watchword.server.parsing import parse_database
from watchword.server.restoration import back_up

REFUSALS = (InvalidToken, TemporarilyUnavailable)
"""What a guard says to a dead token after a restore: the second while it has the new epoch and not yet its keys."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = start_server(
        tmp_path / "server", WATCHWORD_PASSWORD_HASH="test", WATCHWORD_REGISTRATIONS_PER_ADDRESS="0"
    )
    yield running
    assert running.process.stop() == 0, running.process.log.read_text()


class TestBackup:
    def test_it_is_whole_although_everybody_writes(self, server: Server, tmp_path: Path) -> None:
        """A copy made under load passes every rule of the data, is its owner's alone, and nobody was refused."""
        user = server.register()
        target = tmp_path / "copy.db"

        def make() -> None:
            target.unlink(missing_ok=True)
            report = server.manage("db", "backup", str(target))
            assert report == {"file": str(target), "bytes": target.stat().st_size, "problems": []}

        with writers(server) as writing:
            writing.under_load(make)
        assert set(writing.statuses) == {200}
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


class TestBackupUnderLoad:
    def test_r_19_r_20_what_was_copied_under_load_is_whole_and_wakes_nobody(
        self, tmp_path: Path, database: dict[str, str]
    ) -> None:
        """A hundred writes a second and more while it is made: the copy restores, and whoever was out stays out."""
        server = start_server(
            tmp_path / "server",
            WATCHWORD_PASSWORD_HASH="test",
            WATCHWORD_REGISTRATIONS_PER_ADDRESS="0",
            **database,
        )
        kept, left_after = server.newcomer(), server.newcomer()
        copy = tmp_path / "copy.db"
        guard = Guard(server.url)
        guard.verify(kept.tokens["access_token"])
        place = parse_database(
            database.get("WATCHWORD_DATABASE", f"sqlite:///{server.data_dir}/watchword.db")
        )
        left_before: list[User] = []
        with writers(server) as writing:

            def make() -> None:
                copy.unlink(missing_ok=True)
                left_before[:] = writing.left
                assert asyncio.run(back_up(place, copy, progress=writing.go_on)) == []

            writing.under_load(make)
            assert len(left_before) < len(writing.left)
        assert set(writing.statuses) == {200}
        server.http.post("/auth/logout", headers=left_after.bearer)
        done = server.manage("db", "restore", str(copy), "--keep-sessions")
        left = [*writing.left, left_after]
        try:
            until(lambda: guard.health()["epoch"] == done["epoch"])
            for user in (*left, kept):
                assert server.http.get("/auth/me", headers=user.bearer).status_code == 401
                with pytest.raises(REFUSALS):
                    guard.verify(user.tokens["access_token"])
            assert refreshed(server, left_before) == {401}
            # Whose log-out came after the copy is asked for: his session is there, for sessions were kept.
            assert refreshed(server, [kept, left_after]) == {200}
            assert server.manage("db", "check") == {"ok": True, "problems": []}
            done = server.manage("db", "restore", str(copy))
            until(lambda: guard.health()["epoch"] == done["epoch"])
            assert refreshed(server, [*left, kept]) == {401}
            assert server.manage("db", "check") == {"ok": True, "problems": []}
        finally:
            guard.close()
        assert server.process.stop() == 0, server.process.log.read_text()


def refreshed(server: Server, users: list[User]) -> set[int]:
    """What each of them is answered who refreshes."""
    bodies = [{"refresh_token": user.tokens["refresh_token"]} for user in users]
    return {server.http.post("/auth/token", json=body).status_code for body in bodies}


class TestRestoreUnderLoad:
    @pytest.mark.long
    def test_twenty_times_beside_writers(self, tmp_path: Path, database: dict[str, str]) -> None:
        """Who refreshes while the data is put back was answered before, is refused after, or told to come again."""
        quick = {"WATCHWORD_PASSWORD_HASH": "test", "WATCHWORD_REGISTRATIONS_PER_ADDRESS": "0"}
        server = start_server(tmp_path / "server", **quick, **database)
        for number in range(20):
            copy = tmp_path / f"{number}.db"
            with writers(server) as writing:
                server.manage("db", "backup", str(copy))
                server.manage("db", "restore", str(copy), "--keep-sessions")
            assert set(writing.statuses) <= {200, 401, 503}, server.process.log.read_text()[-5000:]
            assert server.manage("db", "check") == {"ok": True, "problems": []}
        assert server.process.stop() == 0, server.process.log.read_text()


class TestRestore:
    def test_what_died_since_stays_dead(self, server: Server, tmp_path: Path) -> None:
        """Beside a running server and its guard: revoked tokens stay revoked, ended sessions ended, new ones work."""
        ended, banned, late = server.newcomer(), server.newcomer(), server.register()
        guard = Guard(server.url)
        guard.verify(ended.tokens["access_token"])
        copy = tmp_path / "copy.db"
        server.manage("db", "backup", str(copy))
        server.http.post("/auth/logout", headers=ended.bearer)
        server.manage("user", "ban", banned.email)
        server.manage("user", "delete", late.email, "--yes")
        done = server.manage("db", "restore", str(copy))
        assert Path(done["replaced"]).is_file()
        try:
            # The ban came after the backup, and whoever knew of it must not forget.
            until(lambda: guard.health()["epoch"] == done["epoch"])
            for user in (ended, banned):
                assert server.http.get("/auth/me", headers=user.bearer).status_code == 401
                body = {"refresh_token": user.tokens["refresh_token"]}
                assert server.http.post("/auth/token", json=body).status_code == 401
                with pytest.raises(REFUSALS):
                    guard.verify(user.tokens["access_token"])
            # The restored data is the data now: who was deleted is there, and everybody may log in.
            assert guard.verify(server.login(late).tokens["access_token"]).subject == late.id
        finally:
            guard.close()
        assert server.manage("db", "check") == {"ok": True, "problems": []}

    def test_sessions_may_be_kept(self, server: Server, tmp_path: Path) -> None:
        """With --keep-sessions a refresh token of the backup's time still trades; access tokens die all the same."""
        user = server.newcomer()
        copy = tmp_path / "copy.db"
        server.manage("db", "backup", str(copy))
        server.manage("db", "restore", str(copy), "--keep-sessions")
        until(lambda: server.http.get("/auth/me", headers=user.bearer).status_code == 401)
        answer = server.http.post("/auth/token", json={"refresh_token": user.tokens["refresh_token"]})
        assert answer.status_code == 200, answer.text

    def test_a_folder_without_data_is_filled(self, server: Server, tmp_path: Path) -> None:
        """On a new machine the copy and the master key are all it takes."""
        user = server.register()
        copy = tmp_path / "copy.db"
        server.manage("db", "backup", str(copy))
        fresh = tmp_path / "fresh"
        fresh.mkdir(mode=0o700)
        shutil.copy2(server.data_dir / "secret", fresh / "secret")
        done = server.manage("db", "restore", str(copy), "--data-dir", str(fresh))
        assert done["replaced"] is None
        assert server.manage("user", "show", user.email, "--data-dir", str(fresh))["id"] == user.id

    def test_a_broken_data_file_is_replaced_and_kept(self, server: Server, tmp_path: Path) -> None:
        """What cannot be read any more is moved aside, and the backup stands in its place."""
        user = server.register()
        copy = tmp_path / "copy.db"
        server.manage("db", "backup", str(copy))
        broken = tmp_path / "broken"
        broken.mkdir(mode=0o700)
        shutil.copy2(server.data_dir / "secret", broken / "secret")
        (broken / "watchword.db").write_bytes(b"no database any more" * 1000)
        done = server.manage("db", "restore", str(copy), "--data-dir", str(broken))
        assert Path(done["replaced"]).read_bytes().startswith(b"no database any more")
        assert server.manage("user", "show", user.email, "--data-dir", str(broken))["id"] == user.id

    @pytest.mark.parametrize("text", [b"", b"not a database at all, only words" * 200])
    def test_what_is_no_backup_changes_nothing(self, server: Server, tmp_path: Path, text: bytes) -> None:
        """A file of another kind is refused with a line that says so, and everybody stays logged in."""
        user = server.newcomer()
        (tmp_path / "words.db").write_bytes(text)
        done = server.cli("db", "restore", str(tmp_path / "words.db"))
        assert done.returncode == 2
        assert "words.db" in done.stderr
        assert server.http.get("/auth/me", headers=user.bearer).status_code == 200
        assert sorted(p.name for p in server.data_dir.iterdir() if "restore" in p.name) == []

    def test_another_master_key_changes_nothing(self, server: Server, tmp_path: Path) -> None:
        """A backup of another installation cannot be opened here, and is refused before anything is replaced."""
        other = start_server(tmp_path / "other")
        assert other.process.stop() == 0
        copy = tmp_path / "copy.db"
        other.manage("db", "backup", str(copy))
        user = server.newcomer()
        done = server.cli("db", "restore", str(copy))
        assert done.returncode == 2
        assert "secret" in done.stderr
        assert server.http.get("/auth/me", headers=user.bearer).status_code == 200
