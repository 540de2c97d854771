"""The demo's processes: started as a user would start them, and ended whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from watchword.errors import WatchwordError

__all__ = ["ADMIN", "Cast", "start"]

ADMIN: Final = ("ada@example.com", "seven-quiet-herons")
_PREFIX: Final = "listening on "
_PATIENCE: Final = 10


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: the addresses of the server and of two processes of one API."""

    server: str
    payrolls: tuple[str, str]


@contextmanager
def start(folder: Path) -> Iterator[Cast]:
    """Start a server in *folder* and two payrolls that trust it, all on free loopback ports.

    Raises:
        WatchwordError: one of them does not come up.
    """
    settings = {
        "WATCHWORD_ADMIN_EMAIL": ADMIN[0],
        "WATCHWORD_ADMIN_PASSWORD": ADMIN[1],
        "WATCHWORD_CLAIMS": "userId=id,role=role,admin=admin",
        # A spent refresh token has no second chance here: the story replays one and does not wait.
        "WATCHWORD_REFRESH_REUSE_GRACE": "0s",
        "WATCHWORD_LOG_REQUESTS": "false",
    }
    with ExitStack() as stack:
        serve = ["watchword", "serve", "--port", "0", "--data-dir", str(folder / "data")]
        server = _address(stack.enter_context(_process(serve, settings, folder)))
        payroll = ["watchword.demo.payroll", server]
        children = [stack.enter_context(_process(payroll, {}, folder)) for _ in range(2)]
        first, second = (_address(child) for child in children)
        yield Cast(server, (first, second))


@contextmanager
def _process(
    module: Sequence[str], settings: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[str]]:
    """A Python process of ours, ended when the story is over."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
    if path := environment.get("PYTHONPATH"):
        # The children run in another folder.
        environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))
    with (folder / "output.log").open("ab") as log:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
            [sys.executable, "-m", *module],
            cwd=folder,
            env={**environment, **settings, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()


def _address(child: subprocess.Popen[str]) -> str:
    """Where *child* listens; it says so when it does."""
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith(_PREFIX):
            return line.removeprefix(_PREFIX).strip()
    raise WatchwordError(f"a process of the demo did not start: {child.args!r}")
