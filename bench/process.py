"""The processes a measurement starts: each on core 0, in a folder of its own, gone when the block ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from bench.cost import pin

__all__ = [
    "ADMIN",
    "TOP",
    "Process",
    "environment",
    "free_port",
    "start",
    "started_server",
    "wait_until_ready",
]

TOP: Final = Path(__file__).resolve().parents[1]
_PATIENCE: Final = 60.0

SETTINGS: Final = {
    "WATCHWORD_LOG_REQUESTS": "false",
    "WATCHWORD_REGISTRATIONS_PER_ADDRESS": "0",
    "WATCHWORD_LOGIN_ATTEMPTS_PER_ADDRESS": "0",
    "WATCHWORD_WRITES_PER_USER": "0",
    "WATCHWORD_WRITES_PER_ADDRESS": "0",
    "WATCHWORD_ADMIN_WRITES_PER_USER": "0",
}
"""A server as it is measured: no line a request, as no rival writes one, and no limit for the load client."""


ADMIN: Final = {"ADMIN_EMAIL": "root@example.com", "ADMIN_PASSWORD": "thirteen-green-anchors"}
"""Settings of a server that begins with an administrator."""


@dataclass(frozen=True, slots=True)
class Process:
    """A child that listens on ``port``."""

    name: str
    pid: int
    port: int
    seconds: float
    """From its start to its first answer."""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"


def environment(**more: str) -> dict[str, str]:
    """This environment without settings of ours but *more*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
    return {**kept, "PYTHONPATH": os.pathsep.join((str(TOP / "src"), str(TOP))), **more}


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def start(
    name: str,
    arguments: Sequence[str],
    *,
    port: int,
    ready: str,
    folder: Path,
    env: Mapping[str, str],
    python: str = sys.executable,
) -> Iterator[Process]:
    """Run *python* with *arguments* until the block ends; begins when *ready* answers."""
    log = folder / f"{port}.log"
    began = time.perf_counter()
    with log.open("wb") as output:
        child = subprocess.Popen(
            [python, *arguments],
            cwd=folder,
            env=env,
            stdout=output,
            stderr=output,
            preexec_fn=_on_core_0,
        )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}{ready}", child, log)
        yield Process(name, child.pid, port, time.perf_counter() - began)
    finally:
        child.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=15)
        if child.poll() is None:
            child.kill()
            child.wait()


@contextmanager
def started_server(
    name: str = "watchword", folder: Path | None = None, port: int | None = None, **settings: str
) -> Iterator[Process]:
    """An authorization server on a durable SQLite file; its folder goes with it unless one is given."""
    port = port or free_port()
    values = {**SETTINGS, **{f"WATCHWORD_{name}": value for name, value in settings.items()}}
    with TemporaryDirectory(prefix="watchword-bench-") as own:
        where = folder or Path(own)
        env = environment(**values, WATCHWORD_PORT=str(port), WATCHWORD_DATA_DIR=str(where / "data"))
        with start(
            name, ["-m", "watchword", "serve"], port=port, ready="/readyz", folder=where, env=env
        ) as process:
            yield process


def wait_until_ready(url: str, child: subprocess.Popen[bytes], log: Path) -> None:
    """Ask until there is an answer.

    Raises:
        RuntimeError: the child ended, or is silent for too long; with the end of its log.
    """
    until = time.perf_counter() + _PATIENCE
    while True:
        try:
            urlopen(url, timeout=5).close()
            return
        except HTTPError:
            return  # an answer is an answer
        except (URLError, ConnectionError, TimeoutError):
            pass
        if child.poll() is not None or time.perf_counter() > until:
            raise RuntimeError(f"{url} does not answer: {log.read_text()[-600:]}")
        time.sleep(0.005)


def _on_core_0() -> None:
    pin(0, 0)
