"""Files that another user of the machine puts where ours are about to be made."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.stage import Shell
from watchword.errors import ConfigurationError
from watchword.guard.snapshot import Kept, SnapshotFile
from watchword.protocol.revocation_list import RevocationList

ISSUER = "https://auth.example.com"
CONTENT = b"precious"
CREATE = ("user", "create", "eve@example.com", "--password-stdin")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell with a database, in a folder where others may write."""
    monkeypatch.chdir(tmp_path)
    shell = Shell(tmp_path)
    shell.create("ada@example.com")
    return shell


def symlink(place: Path, victim: Path) -> None:
    place.symlink_to(victim)


def dangling(place: Path, victim: Path) -> None:
    place.symlink_to(victim.with_name("not-there"))


def hard_link(place: Path, victim: Path) -> None:
    place.hardlink_to(victim)


def fifo(place: Path, victim: Path) -> None:
    os.mkfifo(place)


def open_file(place: Path, victim: Path) -> None:
    place.touch()
    place.chmod(0o666)


PLANTED = (symlink, dangling, hard_link, fifo, open_file)
Plant = Callable[[Path, Path], None]


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file that isn't ours to write."""
    file = tmp_path / "victim"
    file.write_bytes(CONTENT)
    return file


def untouched(victim: Path) -> bool:
    return victim.read_bytes() == CONTENT and not victim.with_name("not-there").exists()


class TestCommands:
    @pytest.mark.parametrize("command", ["backup", "move"])
    @pytest.mark.parametrize("plant", PLANTED)
    def test_f_s10_a_name_that_can_be_foreseen(
        self, shell: Shell, victim: Path, command: str, plant: Plant
    ) -> None:
        """Under the old name of the unfinished file lies something else: the copy is ours and that is as it was."""
        planted = shell.folder / ".copy.db.part"
        plant(planted, victim)
        before = planted.lstat()
        arguments = ("backup", "copy.db")
        if command == "move":
            arguments = ("move", "sqlite:///watchword-data/watchword.db", "sqlite:///copy.db")
        shell.ok("db", *arguments)
        made = (shell.folder / "copy.db").lstat()
        assert (stat.S_ISREG(made.st_mode), stat.S_IMODE(made.st_mode), made.st_nlink) == (True, 0o600, 1)
        assert (planted.lstat().st_ino, planted.lstat().st_mode) == (before.st_ino, before.st_mode)
        assert untouched(victim)
        assert {path.name for path in shell.folder.iterdir()} == {
            "copy.db", planted.name, "victim", "watchword-data",
        }  # fmt: skip

    @pytest.mark.parametrize("command", ["backup", "move"])
    @pytest.mark.parametrize("plant", PLANTED)
    def test_f_s10_the_target_itself(self, shell: Shell, victim: Path, command: str, plant: Plant) -> None:
        """Whatever is there is there already, a link that leads nowhere too, and nothing is written through it."""
        plant(shell.folder / "copy.db", victim)
        arguments = ("backup", "copy.db")
        if command == "move":
            arguments = ("move", "sqlite:///watchword-data/watchword.db", "sqlite:///copy.db")
        assert "is there already" in shell.refused("db", *arguments, code=2)
        assert untouched(victim)

    @pytest.mark.parametrize("plant", PLANTED)
    def test_f_s10_a_restore(self, shell: Shell, victim: Path, plant: Plant) -> None:
        """The copy that becomes the database is made under a name of its own and is for its owner only."""
        shell.ok("db", "backup", "copy.db")
        plant(shell.data_dir / ".watchword.db.restore", victim)
        shell.ok("db", "restore", "copy.db")
        assert untouched(victim)
        for file in shell.data_dir.glob("watchword.db*"):
            assert stat.S_IMODE(file.lstat().st_mode) == 0o600
        assert [user["email"] for user in shell.json("user", "list")] == ["ada@example.com"]


class TestDataFolder:
    def test_f_s10_a_new_folder_that_everybody_may_write_to(self, shell: Shell) -> None:
        """No key is made where somebody else could put another in its place."""
        folder = shell.folder / "shared"
        folder.mkdir()
        folder.chmod(0o777)
        said = shell.refused(*CREATE, "--data-dir", "shared", code=2, given="x\n")
        assert said == "data_dir: everybody may write to shared; chmod o-w it"
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize("plant", [dangling, fifo, open_file])
    def test_f_s10_the_key_s_own_name(self, shell: Shell, victim: Path, plant: Plant) -> None:
        """A link that leads nowhere, a FIFO and a file that others may read are no master key, and nothing waits."""
        folder = shell.folder / "other"
        folder.mkdir(mode=0o700)
        plant(folder / "secret", victim)
        assert shell.refused(*CREATE, "--data-dir", "other", code=2, given="x\n").startswith("data_dir: ")
        assert untouched(victim)


class TestSnapshot:
    KEPT = Kept(
        message=RevocationList(iss=ISSUER, epoch=1, after=0, sequence=1, iat=1.0, kids=(), entries=())
    )

    @pytest.mark.parametrize("plant", [symlink, dangling])
    def test_f_s10_a_lock_that_is_a_link(self, tmp_path: Path, victim: Path, plant: Plant) -> None:
        """The guard makes and locks nothing through a link."""
        plant(tmp_path / "snapshot.lock", victim)
        with pytest.raises(OSError, match="snapshot"):
            SnapshotFile(tmp_path / "snapshot", ISSUER).write(self.KEPT)
        assert untouched(victim)

    def test_f_s10_a_lock_that_is_no_file(self, tmp_path: Path, victim: Path) -> None:
        """A FIFO in its place is refused, not waited for."""
        fifo(tmp_path / "snapshot.lock", victim)
        with pytest.raises(OSError, match="not a file of ours"):
            SnapshotFile(tmp_path / "snapshot", ISSUER).write(self.KEPT)

    @pytest.mark.parametrize("plant", PLANTED)
    def test_f_s10_a_snapshot_in_the_place_of_ours(self, tmp_path: Path, victim: Path, plant: Plant) -> None:
        """It is replaced and not written through; until then it is refused, or there is none."""
        file = SnapshotFile(tmp_path / "snapshot", ISSUER)
        plant(file.path, victim)
        if plant is dangling:
            assert file.read() is None
        else:
            with pytest.raises(ConfigurationError):
                file.read()
        assert file.write(self.KEPT)
        assert stat.S_IMODE(file.path.lstat().st_mode) == 0o600
        assert file.read() is not None
        assert untouched(victim)
