"""The end of a server beside strangers who come at that very moment: each is answered or turned away, none cut off."""

from __future__ import annotations

import errno
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.mission.stage import Server, start_server
from tests.system.test_nodes import until
from watchword.cli.listener import bind, turn_away

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
STRANGERS = 4
MANY = 200
"""Connections that one of them leaves unread: less than what a process may hold open here."""


@pytest.fixture(params=["1", "2"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server of one process, and of two."""
    running = start_server(tmp_path / "server", WATCHWORD_WORKERS=request.param, WATCHWORD_LOG_FORMAT="json")
    child = running.process.child
    assert child is not None
    try:
        until(lambda: "listening on" in running.process.log.read_text())
        yield running
    finally:
        child.kill()
        child.wait(30)


def knock(server: Server) -> socket.socket:
    """A new connection.

    Raises:
        ConnectionRefusedError: nobody listens.
    """
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout=60)


def read_whole(stranger: socket.socket) -> bytes:
    """Everything until the other side has closed."""
    with stranger:
        pieces = []
        while piece := stranger.recv(4096):
            pieces.append(piece)
        return b"".join(pieces)


def come_and_ask(server: Server, came: threading.Event) -> list[bytes]:
    """Connect and ask, again and again, and only when nobody listens read the answers, each to its end."""
    waiting: list[socket.socket] = []
    while True:
        try:
            stranger = knock(server)
        except ConnectionRefusedError:
            return [read_whole(stranger) for stranger in waiting]
        stranger.sendall(REQUEST)
        waiting.append(stranger)
        if len(waiting) == 50:
            came.set()
        if len(waiting) > MANY:
            waiting.pop(0).close()


class TestDrain:
    def test_r_11_whoever_comes_is_answered_or_turned_away(self, server: Server) -> None:
        """Strangers connect and ask without end while SIGTERM comes: each is answered, whole, or finds nobody there."""
        came = threading.Event()
        child = server.process.child
        assert child is not None
        with ThreadPoolExecutor(STRANGERS) as pool:
            coming = [pool.submit(come_and_ask, server, came) for _ in range(STRANGERS)]
            assert came.wait(60)
            child.send_signal(signal.SIGTERM)
            answers = [answer for one in coming for answer in one.result()]
        assert child.wait(30) == 0, server.process.log.read_text()
        assert len(answers) >= 50
        cut = [
            text for text in answers if not text.startswith(b"HTTP/1.1 200") or not text.endswith(b'"ok"}')
        ]
        assert cut == []
        assert "Traceback" not in server.process.log.read_text()

    @pytest.mark.parametrize("server", ["1"], indirect=True)
    def test_r_11_who_was_let_in_may_ask_once(self, server: Server) -> None:
        """Who has said nothing yet and who is in the middle of a head are answered; who was answered is let go."""
        child = server.process.child
        assert child is not None
        silent, first, second, served = (knock(server) for _ in range(4))
        for one in (second, served):
            one.sendall(REQUEST)
            assert one.recv(4096).startswith(b"HTTP/1.1 200")
        for one in (first, second):
            one.sendall(REQUEST[:10])
        with httpx2.stream("GET", f"{server.url}/revocations/stream") as stream:
            lines = stream.iter_lines()
            assert next(lines)
            child.send_signal(signal.SIGTERM)
            for _ in lines:
                pass  # until it ends: the drain has begun
        assert read_whole(served) == b""
        silent.sendall(REQUEST.replace(b"healthz", b"readyz"))
        for one in (first, second):
            one.sendall(REQUEST[10:])
            assert read_whole(one).startswith(b"HTTP/1.1 200")
        head, _, body = read_whole(silent).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503")
        assert b"\r\nconnection: close" in head.lower()
        assert body == b'{"status":"draining"}'
        assert child.wait(30) == 0, server.process.log.read_text()

    @pytest.mark.parametrize("server", ["1"], indirect=True)
    def test_who_says_nothing_holds_it_up_for_a_moment(self, server: Server) -> None:
        """A connection that a browser opened ahead is closed, in order, while one that has begun to ask may go on."""
        child = server.process.child
        assert child is not None
        halfway, silent = knock(server), knock(server)
        halfway.sendall(REQUEST[:10])
        child.send_signal(signal.SIGTERM)
        assert read_whole(silent) == b""
        halfway.sendall(REQUEST[10:])
        assert read_whole(halfway).startswith(b"HTTP/1.1 200")
        assert child.wait(30) == 0, server.process.log.read_text()


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux lets a program filter what comes for its socket"
)
class TestTurnAway:
    def test_who_is_in_is_accepted_and_nobody_else_gets_in(self) -> None:
        """One connected before, one asked after: the first is there to be accepted, the other is refused, not reset."""
        with bind("127.0.0.1", 0) as listener, socket.socket() as early, socket.socket() as late:
            listener.listen()
            early.connect(listener.getsockname())
            turn_away(listener)
            late.setblocking(False)
            assert late.connect_ex(listener.getsockname()) == errno.EINPROGRESS
            accepted, _ = listener.accept()
            with accepted:
                early.sendall(b"hello")
                assert accepted.recv(16) == b"hello"
            assert select.select([listener], (), (), 0)[0] == []
            listener.close()
            assert select.select((), [late], (), 60)[1] == [late]
            assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
