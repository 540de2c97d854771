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


@dataclass(slots=True)
class Process:
    """A Python process of ours; its address is the same whenever it is started again."""

    module: Sequence[str]
    settings: Mapping[str, str]
    folder: Path
    address: str = ""
    _child: subprocess.Popen[str] | None = None

    def start(self, *arguments: str) -> None:
        """Begin, and come back when it listens.

        Raises:
            WatchwordError: it does not come up.
        """
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
        if path := inherited.get("PYTHONPATH"):
            # The children run in another folder.
            inherited["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))
        with (self.folder / "output.log").open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
                [sys.executable, "-m", *self.module, *arguments],
                cwd=self.folder,
                env={**inherited, **self.settings, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._child.stdout is not None
        for line in self._child.stdout:
            if line.startswith(_PREFIX):
                self.address = line.removeprefix(_PREFIX).strip()
                return
        raise WatchwordError(f"a process of the demo did not start: {self._child.args!r}")

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._child is not None:
            self._child.kill()
            self._reap(self._child)

    def stop(self) -> None:
        """End it as an operator does."""
        if self._child is not None:
            self._child.terminate()
            self._reap(self._child)

    def _reap(self, child: subprocess.Popen[str]) -> None:
        try:
            child.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()
        self._child = None


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: a server and two processes of one API."""

    _server: Process
    _payrolls: tuple[Process, Process]

    @property
    def server(self) -> str:
        """The server's address."""
        return self._server.address

    @property
    def payrolls(self) -> tuple[str, str]:
        """The addresses of the API's processes."""
        first, second = self._payrolls
        return first.address, second.address

    def kill_server(self) -> None:
        """End the server as a power cut does."""
        self._server.kill()

    def start_server(self) -> None:
        """Start it again, where it was.

        Raises:
            WatchwordError: it does not come up.
        """
        self._server.start("--port", self._server.address.rpartition(":")[2])


@contextmanager
def start(folder: Path) -> Iterator[Cast]:
    """Start a server in *folder* and two payrolls that trust it, all on free loopback ports; end them afterwards.

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
        server = Process(("watchword", "serve", "--data-dir", str(folder / "data")), settings, folder)
        stack.callback(server.stop)
        server.start("--port", "0")
        module = ("watchword.demo.payroll", server.address)
        payrolls = Process(module, {}, folder), Process(module, {}, folder)
        for payroll in payrolls:
            stack.callback(payroll.stop)
            payroll.start()
        yield Cast(server, payrolls)
