"""What the command line is tested on: a data folder of its own, and no setting but those a test names."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result

from tests.mission.stage import environment
from watchword.cli.main import cli

PASSWORD = "nine-slow-lanterns"


@dataclass
class Shell:
    """A shell in a folder: commands run in this process, or as processes where that is the point."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def data_dir(self) -> Path:
        return self.folder / "watchword-data"

    @property
    def env(self) -> dict[str, str]:
        return environment(**{"WATCHWORD_PASSWORD_HASH": "test", **self.settings})

    def run(self, *arguments: str, given: str | None = None) -> Result:
        """One command; what it wrote to stdout and stderr, apart."""
        strangers = {name: None for name in os.environ if name.startswith("WATCHWORD_")}
        return CliRunner().invoke(cli, arguments, input=given, env={**strangers, **self.env})

    def ok(self, *arguments: str, given: str | None = None) -> Result:
        """The same for a command that must succeed."""
        done = self.run(*arguments, given=given)
        assert done.exit_code == 0, done.output
        return done

    def json(self, *arguments: str, given: str | None = None) -> Any:
        """What a command that succeeds says with ``--json``: stdout holds that and nothing else."""
        return json.loads(self.ok(*arguments, "--json", given=given).stdout)

    def refused(self, *arguments: str, code: int = 1, given: str | None = None) -> str:
        """The one line of a refusal: on stderr, and nothing on stdout."""
        done = self.run(*arguments, given=given)
        assert (done.exit_code, done.stdout) == (code, ""), done.output
        assert isinstance(done.exception, SystemExit), done.exception
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1 or lines[0].startswith("Usage:"), done.stderr
        return lines[-1].removeprefix("watchword: ")

    def process(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """One command as a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "watchword", *arguments],
            cwd=self.folder,
            env=self.env,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def raw(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """The same; what it wrote, to the byte."""
        return subprocess.run(
            [sys.executable, "-m", "watchword", *arguments],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            timeout=120,
        )

    def through(self, *before: str, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """The same, started by what stands before it."""
        return subprocess.run(
            [*before, sys.executable, "-m", "watchword", *command],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def create(self, email: str, *more: str) -> Any:
        """A user with a password."""
        return self.json("user", "create", email, "--password-stdin", *more, given=PASSWORD + "\n")


def type_into(shell: Shell, answers: Sequence[str], *arguments: str, **settings: str) -> str:
    """What a command writes on a terminal, where somebody types the next of *answers* at each prompt."""
    ours, theirs = pty.openpty()
    env = {**shell.env, "TERM": "xterm-256color", "COLUMNS": "100", **settings}
    child = subprocess.Popen(
        [sys.executable, "-m", "watchword", *arguments],
        cwd=shell.folder,
        env={name: value for name, value in env.items() if value},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said, waiting = b"", list(answers)
    try:
        while chunk := os.read(ours, 65536):
            said += chunk
            if waiting and said.endswith(b": "):
                os.write(ours, waiting.pop(0).encode() + b"\n")
    except OSError:
        pass  # the child closed the terminal
    finally:
        os.close(ours)
        child.wait(timeout=30)
    return said.decode()


def commands(group: click.Command = cli, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command of the tree with its words, groups included."""
    yield path, group
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            assert found is not None, (*path, name)
            yield from commands(found, *path, name)


LEAVES = {" ".join(path): command for path, command in commands() if not isinstance(command, click.Group)}
"""Every command that does something: its words, and what click knows of it."""
