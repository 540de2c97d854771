"""A PgBouncer that loses prepared statements: refused in one line, by every command and at every start (N16)."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from tests.cli.stage import Shell
from tests.databases import Cluster, dropped, free_port
from tests.mission.stage import start_server

SECRET = "the-master-key-of-a-test-is-no-secret"


@contextmanager
def pgbouncer(cluster: Cluster, mode: str) -> Iterator[str]:
    """The URL of a pooler before *cluster*."""
    binary = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    assert binary, "no pgbouncer: apt-get install pgbouncer"
    to, port = urlsplit(cluster.url), free_port()
    folder = Path(tempfile.mkdtemp(prefix="watchword-pooler-"))
    folder.chmod(0o755)
    user = to.username or "postgres"
    (folder / "users.txt").write_text(f'"{user}" "{to.password or ""}"\n')
    (folder / "pooler.ini").write_text(
        f"[databases]\n* = host={to.hostname} port={to.port} user={user}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = any\nauth_file = {folder / 'users.txt'}\n"
        f"pool_mode = {mode}\ndefault_pool_size = 8\nmax_client_conn = 200\n"
        "ignore_startup_parameters = search_path\n"
    )
    with (folder / "output.log").open("wb") as output:
        child = subprocess.Popen(
            [binary, folder / "pooler.ini"], cwd=folder, stdout=output, stderr=output, **dropped()
        )
    try:
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as visitor:
                if visitor.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert child.poll() is None, (folder / "output.log").read_text()
            assert time.monotonic() < deadline, (folder / "output.log").read_text()
            time.sleep(0.02)
        yield f"postgresql://{user}@127.0.0.1:{port}"
    finally:
        child.send_signal(signal.SIGQUIT)
        child.wait(20)
        shutil.rmtree(folder)


@contextmanager
def database(cluster: Cluster) -> Iterator[str]:
    """A database of its own: what a URL says of a schema does not come through a pooler."""
    name = f"pooled_{free_port()}"

    async def run(sql: str) -> None:
        connection = await asyncpg.connect(cluster.url)
        await connection.execute(sql)
        await connection.close()

    asyncio.run(run(f"CREATE DATABASE {name}"))
    try:
        yield name
    finally:
        asyncio.run(run(f"DROP DATABASE {name} WITH (FORCE)"))


def forgets() -> bool:
    """Whether the pooler here is older than 1.21."""
    binary = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    told = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = told.split()[1].split(".")[:2]
    return (int(major), int(minor)) < (1, 21)


class TestPgBouncer:
    def test_f_n16_transaction_mode_that_loses_statements_is_one_line(
        self, tmp_path: Path, postgres: Cluster
    ) -> None:
        """Again and again, for what an earlier start left in the pool is in the way of the next."""
        shell = Shell(tmp_path)
        with database(postgres) as name, pgbouncer(postgres, "transaction") as pooler:
            shell.settings |= {"WATCHWORD_DATABASE": f"{pooler}/{name}", "WATCHWORD_SECRET": SECRET}
            commands = [("serve", "--port", "0"), ("db", "upgrade"), ("db", "check"), ("user", "list")] * 2
            for command in commands if forgets() else ():
                done = shell.process(*command)
                assert (done.returncode, done.stdout) == (2, ""), (command, done.stderr)
                (line,) = done.stderr.splitlines()
                assert "loses prepared statements" in line
                assert "PgBouncer 1.21" in line
                assert "pool_mode = session" in line

    def test_f_n16_session_mode_serves(self, tmp_path: Path, postgres: Cluster) -> None:
        """The cure that the line names is one."""
        with database(postgres) as name, pgbouncer(postgres, "session") as pooler:
            server = start_server(
                tmp_path,
                WATCHWORD_DATABASE=f"{pooler}/{name}",
                WATCHWORD_SECRET=SECRET,
                WATCHWORD_PASSWORD_HASH="test",
            )
            user = server.newcomer()
            assert server.http.get("/auth/me", headers=user.bearer).status_code == 200
            assert server.manage("db", "check") == {"ok": True, "problems": []}
            assert server.process.stop() == 0
