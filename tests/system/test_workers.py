"""``serve --workers 2``: two processes behind one port, of which either may die, and their parent."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.mission.stage import PASSWORD, Server, environment, free_port, start_server
from tests.system.conftest import SECRET
from tests.system.test_nodes import refuses, until
from watchword import Guard

QUICK = {
    "WATCHWORD_WORKERS": "2",
    "WATCHWORD_PASSWORD_HASH": "test",
    "WATCHWORD_REGISTRATIONS_PER_ADDRESS": "0",
    "WATCHWORD_LOG_FORMAT": "json",
    "WATCHWORD_METRICS": "public",
}


@pytest.fixture
def settings(database: dict[str, str]) -> dict[str, str]:
    return {**database, **QUICK}


@contextmanager
def crew(folder: Path, settings: dict[str, str]) -> Iterator[Server]:
    """Two that answer."""
    running = start_server(folder, **settings)
    child = running.process.child
    assert child is not None
    try:
        until(lambda: "listening on" in running.process.log.read_text())
        yield running
        assert child.poll() is not None or running.process.stop() == 0, running.process.log.read_text()
    finally:
        child.kill()
        child.wait(30)


@pytest.fixture
def server(tmp_path: Path, settings: dict[str, str]) -> Iterator[Server]:
    """Two that the test may end."""
    with crew(tmp_path / "server", settings) as running:
        yield running


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def lasting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two that go on."""
    database = {}
    if request.param == "postgres":
        place = asyncio.run(request.getfixturevalue("postgres").place())
        database = {"WATCHWORD_DATABASE": place, "WATCHWORD_SECRET": SECRET}
    with crew(tmp_path_factory.mktemp("server"), {**database, **QUICK}) as running:
        yield running


def events(log: Path, event: str) -> list[dict[str, Any]]:
    """What the log tells of one kind of event, in order."""
    whole = log.read_text().rpartition("\n")[0]  # the last line may be half written
    lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def begun(log: Path) -> list[tuple[int, int]]:
    """Number and process id of every worker there ever was, in order."""
    return [(line["worker"], line["pid"]) for line in events(log, "worker begins")]


def has_begun(log: Path, many: int) -> bool:
    """Whether there were as many workers by now."""
    return len(begun(log)) == many


def who_answers(url: str) -> int:
    """The number of the worker that takes a new connection."""
    text = httpx2.get(f"{url}/metrics").text
    found = re.search(r"^watchword_worker (\d)", text, re.MULTILINE)
    assert found is not None
    return int(found[1])


def seen(url: str, wanted: set[int]) -> Callable[[], bool]:
    """Whether each of *wanted* has answered by now; asks one more time with each call."""
    numbers: set[int] = set()

    def ask() -> bool:
        numbers.add(who_answers(url))
        return wanted <= numbers

    return ask


def is_gone(pid: int) -> bool:
    """Whether there is no such process, not even a dead one that nobody took note of."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def refuses_to_connect(url: str) -> bool:
    """Whether nobody listens any more."""
    address = urlsplit(url)
    with socket.socket() as visitor:
        return visitor.connect_ex((address.hostname, address.port)) != 0


class TestWorkers:
    def test_both_answer_at_one_port(self, lasting: Server) -> None:
        """Some connections are taken by the one, some by the other; the parent spoke once."""
        until(seen(lasting.url, {1, 2}))
        assert [number for number, _ in begun(lasting.process.log)][:2] == [1, 2]
        assert lasting.process.log.read_text().count("listening on") == 1

    def test_attack_a45_both_have_one_limit(self, lasting: Server) -> None:
        """Failures on new connections, whoever takes them: ten are told so, and the few that come back meanwhile."""

        def guess(password: str) -> int:
            body = {"email": "counted@example.com", "password": password}
            return httpx2.post(f"{lasting.url}/auth/login", json=body).status_code

        until(seen(lasting.url, {1, 2}))
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(guess, [f"wrong {number}" for number in range(48)]))
        assert set(statuses) == {401, 429}
        assert 10 <= statuses.count(401) < 16  # a count of its own for each would be twenty

    def test_what_one_does_the_other_knows(self, lasting: Server) -> None:
        """A log-in, refreshes and a ban on new connections, whoever takes them; the guards of both hear of the ban."""
        operator = lasting.administrator(audience=lasting.url)
        user = lasting.newcomer()
        guards = [Guard(lasting.url) for _ in range(4)]
        try:
            for guard in guards:
                guard.refresh()
                assert guard.verify(user.tokens["access_token"]).subject == user.id
            for _ in range(6):
                token = {"refresh_token": user.tokens["refresh_token"]}
                answer = httpx2.post(f"{lasting.url}/auth/token", json=token)
                assert answer.status_code == 200, answer.text
                user.tokens = answer.json()
            banned = lasting.http.post(f"/admin/v1/users/{user.id}/ban", headers=operator.bearer)
            assert banned.status_code == 200
            for guard in guards:
                until(partial(refuses, guard, user.tokens["access_token"]))
        finally:
            for guard in guards:
                guard.close()

    def test_either_trades_an_api_key(self, lasting: Server) -> None:
        """Made by the one, traded by both, ended by either: one row, whoever writes."""
        user = lasting.newcomer()
        body = {"name": "deploy", "current_password": user.password}
        made = httpx2.post(f"{lasting.url}/auth/api-keys", json=body, headers=user.bearer).json()

        def trade() -> int:
            return httpx2.post(f"{lasting.url}/auth/token", json={"api_key": made["key"]}).status_code

        assert {trade() for _ in range(12)} == {200}
        (listed,) = httpx2.get(f"{lasting.url}/auth/api-keys", headers=user.bearer).json()["items"]
        assert listed["last_used_at"] is not None
        ended = httpx2.delete(f"{lasting.url}/auth/api-keys/{made['id']}", headers=user.bearer)
        assert ended.status_code == 204
        assert {trade() for _ in range(12)} == {401}

    def test_one_that_is_killed_is_replaced(self, lasting: Server) -> None:
        """Nobody is refused meanwhile, and before long there are two again; the second time it takes twice as long."""
        user = lasting.newcomer()
        for _ in range(2):
            before = begun(lasting.process.log)
            number, pid = before[-1]
            os.kill(pid, signal.SIGKILL)
            until(partial(is_gone, pid))
            token = {"refresh_token": user.tokens["refresh_token"]}
            refreshed = httpx2.post(f"{lasting.url}/auth/token", json=token)
            assert refreshed.status_code == 200
            user.tokens = refreshed.json()
            until(partial(has_begun, lasting.process.log, len(before) + 1))
            assert begun(lasting.process.log)[-1][0] == number
            until(seen(lasting.url, {1, 2}))
        assert [death["pause"] for death in events(lasting.process.log, "worker died")] == [0.1, 0.2]
        assert lasting.process.log.read_text().count("listening on") == 1

    def test_the_first_that_is_killed_makes_no_second_administrator(
        self, tmp_path: Path, settings: dict[str, str]
    ) -> None:
        """The link is printed once and stays good: whoever takes the place of the first does not begin anew."""
        log = tmp_path / "errors"
        with log.open("w") as errors:
            child = subprocess.Popen(
                [sys.executable, "-m", "watchword", "serve", "--port", "0"],
                cwd=tmp_path, env=environment(**settings), stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip
        try:
            assert child.stdout is not None
            link, url = (child.stdout.readline().rsplit(" ", 1)[1].strip() for _ in range(2))
            assert link.startswith(f"{url}/setup?token=")
            (number, pid), _ = begun(log)
            os.kill(pid, signal.SIGKILL)
            until(partial(has_begun, log, 3))
            assert begun(log)[2][0] == number == 1
            until(seen(url, {1, 2}))
            form = {"token": link.partition("token=")[2], "email": "root@example.com", "password": PASSWORD}
            assert httpx2.post(f"{url}/setup", data=form).status_code == 200
            child.send_signal(signal.SIGINT)
            rest, _ = child.communicate(timeout=30)
            assert (child.returncode, rest) == (0, "")
        finally:
            child.kill()
            child.wait(30)

    def test_an_end_in_order(self, server: Server) -> None:
        """Everybody gets SIGTERM, as a service manager sends it: requests are finished, streams end, nobody is left."""
        user = server.newcomer()
        body = json.dumps({"refresh_token": user.tokens["refresh_token"]}).encode()
        pids = [pid for _, pid in begun(server.process.log)]
        child = server.process.child
        assert child is not None
        address = urlsplit(server.url)
        with (
            httpx2.stream("GET", f"{server.url}/revocations/stream") as stream,
            socket.create_connection((address.hostname, address.port), timeout=30) as slow,
        ):
            assert stream.status_code == 200
            slow.sendall(
                b"POST /auth/token HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % (address.netloc.encode(), len(body))
            )
            assert slow.recv(4096).startswith(b"HTTP/1.1 100")
            for pid in (*pids, child.pid):
                os.kill(pid, signal.SIGTERM)
            until(partial(refuses_to_connect, server.url))
            slow.sendall(body)
            assert slow.recv(4096).startswith(b"HTTP/1.1 200")
        assert child.wait(30) == 0, server.process.log.read_text()
        assert all(map(is_gone, pids))
        assert "Traceback" not in server.process.log.read_text()

    def test_without_a_parent_they_end(self, server: Server) -> None:
        """The parent was killed: nobody goes on at the port who could not be stopped."""
        pids = [pid for _, pid in begun(server.process.log)]
        child = server.process.child
        assert child is not None
        child.kill()
        child.wait(30)
        until(lambda: all(map(is_gone, pids)))

    def test_who_cannot_begin_says_so_once(self, tmp_path: Path) -> None:
        """The database is away: one line and an exit code, not one of each worker, again and again."""
        away = {
            "WATCHWORD_DATABASE": f"postgresql://nobody@127.0.0.1:{free_port()}/none",
            "WATCHWORD_SECRET": SECRET,
            **QUICK,
        }
        done = subprocess.run(
            [sys.executable, "-m", "watchword", "serve", "--port", "0"],
            cwd=tmp_path, env=environment(**away), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        told = [line for line in done.stderr.splitlines() if line.startswith("watchword:")]
        assert (done.returncode, done.stdout, len(told)) == (2, "", 1), done.stderr
        assert told[0].startswith("watchword: database:")
