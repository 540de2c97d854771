"""What the system refuses, and output that lacks our signs: one line, or all of it, and never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.stage import Shell
from tests.cli.test_surroundings import weak

COMMANDS = (("doctor",), ("user", "list"), ("db", "check"), ("db", "upgrade"), ("serve", "--port", "0"))
ENCODINGS = ("cp1252", "ascii", "latin-1", "koi8-r")


class TestFolders:
    def test_f_b49_an_unreadable_data_folder_is_one_line(self, shell: Shell) -> None:
        """Whatever is asked: the line names the place."""
        shell.create("ada@example.com")
        shell.data_dir.chmod(0)
        try:
            for command in COMMANDS:
                done = weak(shell, *command)
                assert (done.returncode in (1, 2), done.stdout) == (True, ""), done.stderr
                (line,) = done.stderr.splitlines()
                assert line.endswith("Permission denied")
        finally:
            shell.data_dir.chmod(0o700)

    def test_f_b49_a_deleted_current_folder_is_one_line(self, shell: Shell, tmp_path: Path) -> None:
        """The shell still stands in it."""
        gone = tmp_path / "gone"
        gone.mkdir()
        script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
        for command in COMMANDS:
            gone.mkdir(exist_ok=True)
            done = shell.through("sh", "-c", script, "sh", str(gone), command=command)
            assert (done.returncode, done.stdout) == (1, ""), done.stderr
            assert done.stderr.splitlines() == [
                "watchword: the folder this shell is in does not exist any more; change to another one"
            ]

    @pytest.mark.parametrize("folder", ["x" * 300, "file/below"])
    def test_f_b49_a_folder_that_cannot_be_is_one_line(self, shell: Shell, folder: str) -> None:
        """Its name is too long, or a file is in the way."""
        (shell.folder / "file").touch()
        shell.settings["WATCHWORD_DATA_DIR"] = folder
        for command in COMMANDS[1:]:
            done = shell.run(*command)
            assert (done.exit_code in (1, 2), done.stdout) == (True, ""), done.output
            assert len(done.stderr.splitlines()) == 1


class TestEncodings:
    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_f_b50_the_doctor_is_whole_and_json_is_ascii(self, shell: Shell, encoding: str) -> None:
        """Each line is there; what the encoding lacks is spelled, and JSON means what it meant."""
        name = "Zo\u00eb \u2603 \u0141 \U0001f511"
        shell.create("zoe@example.com", "--name", name)
        whole = shell.process("doctor", "--all").stdout.splitlines()
        shell.settings["PYTHONIOENCODING"] = encoding
        done = shell.raw("doctor", "--all")
        assert b"Traceback" not in done.stderr
        lines = done.stdout.decode(encoding).splitlines()
        assert [line.split()[:2] for line in lines] == [line.split()[:2] for line in whole]
        assert any("->" in line for line in lines)
        told = shell.raw("user", "list", "--json").stdout.decode("ascii")
        assert json.loads(told)[0]["name"] == name
        shown = shell.raw("user", "show", "zoe@example.com")
        assert shown.returncode == 0
        assert r"\u2603" in shown.stdout.decode(encoding)

    @pytest.mark.slow
    @pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
    def test_f_b50_the_demo_is_whole(self, shell: Shell, encoding: str) -> None:
        """It plays to its end and says so."""
        shell.settings["PYTHONIOENCODING"] = encoding
        done = shell.raw("demo")
        assert done.returncode == 0, done.stderr
        assert "All as it should be" in done.stdout.decode(encoding)
        assert b"Traceback" not in done.stdout + done.stderr
