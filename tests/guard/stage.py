"""What the guard is tested on: an issuer that signs what a test tells it to, and clocks that stand still."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from watchword import Guard
from watchword.jose.jwk import Key
from watchword.protocol import access_token, revocation_list
from watchword.protocol.metadata import METADATA_PATH
from watchword.protocol.revocation_list import Entry, RevocationList

ISSUER = "https://auth.example.com"
TOKEN_KEY = Key.generate("ES256")
OTHER_KEY = Key.generate("ES256")
FEED_KEY = Key.generate("ES256")
NEXT_FEED_KEY = Key.generate("ES256")
LIFE = 600


@dataclass
class Clock:
    """Both kinds of time; they move apart when a test says so."""

    wall: float = 1_900_000_000.0
    steady: float = 5_000.0

    def time(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def forward(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


def claims(now: float, *, issuer: str = ISSUER, **more: Any) -> dict[str, Any]:
    """The claims of a first-party token; ``name=None`` leaves one out."""
    found = {
        "iss": issuer,
        "sub": "usr_ada",
        "aud": [issuer, "api"],
        "exp": int(now) + LIFE,
        "iat": int(now),
        "jti": "token-1",
        "client_id": "cli_first_party",
        "sid": "ses_1",
        "scope": "read write",
        "roles": ["user"],
        "uv": 10,
        "cv": 10,
        **more,
    }
    return {name: value for name, value in found.items() if value is not None}


def mint(now: float, key: Key = TOKEN_KEY, **more: Any) -> str:
    """A signed token."""
    return access_token.issue(claims(now, **more), key)


def offline(clock: Clock, **options: Any) -> Guard:
    """A guard that has the token key."""
    keys = {"keys": [TOKEN_KEY.public_jwk()]}
    return Guard(ISSUER, keys=options.pop("keys", keys), clock=clock.time, **options)


def kill(sequence: int, kind: Any, id: str = "", **members: Any) -> Entry:
    """An entry of the log."""
    return Entry(sequence=sequence, kind=kind, id=id, **members)


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass
class PretendIssuer:
    """An issuer over HTTP on loopback: metadata, keys, snapshot, delta and stream, counted by path."""

    url: str = ""
    path: str = ""
    """What of ``url`` comes after the host."""
    now: Callable[[], float] = time.time
    epoch: int = 1
    log: list[Entry] = field(default_factory=list)
    token_keys: list[Key] = field(default_factory=lambda: [TOKEN_KEY])
    kids: tuple[str, ...] = (TOKEN_KEY.kid,)
    feed_key: Key = FEED_KEY
    feed_keys: list[Key] = field(default_factory=lambda: [FEED_KEY])
    metadata: dict[str, Any] = field(default_factory=dict)
    snapshot: str | None = None
    """A snapshot to answer with instead of the true one."""
    redirect: str | None = None
    streaming: bool = True
    answering: threading.Event = field(default_factory=_set)
    """Cleared, it keeps those waiting who ask with a nonce."""
    questions: int = 0
    interval: float = 0
    """Seconds between heartbeats, as its messages state them."""
    near: int = 1000
    """How many entries a question is answered with."""
    down: set[str] = field(default_factory=set)
    """Paths that answer 503."""
    raw: dict[str, bytes] = field(default_factory=dict)
    """Paths that answer with these bytes and hang up; every other answers a POST with nothing."""
    asked: Counter[str] = field(default_factory=Counter)
    listeners: list[queue.Queue[str | None]] = field(default_factory=list)
    began: list[int] = field(default_factory=list)
    """Where each stream was asked to begin."""
    resumed: list[str | None] = field(default_factory=list)

    @property
    def sequence(self) -> int:
        return self.log[-1].sequence if self.log else 0

    def message(self, after: int = 0, **members: Any) -> str:
        """A signed message of what stands in the log past *after*."""
        found = {
            "iss": self.url,
            "epoch": self.epoch,
            "after": after,
            "sequence": self.sequence,
            "iat": self.now(),
            "kids": self.kids,
            "longest_life": 3600,
            "interval": self.interval,
            "entries": tuple(entry for entry in self.log if entry.sequence > after),
            **members,
        }
        return revocation_list.sign(RevocationList(**found), self.feed_key)

    def revoke(self, kind: Any, id: str = "", **members: Any) -> None:
        """Write an entry and tell every listener."""
        before = self.sequence
        self.log.append(kill(before + 1, kind, id, **members))
        self.tell(self.message(before))

    def beat(self) -> None:
        """A heartbeat."""
        self.tell(self.message(self.sequence))

    def tell(self, message: str) -> None:
        """Send *message* as it is."""
        for listener in list(self.listeners):
            listener.put(message)

    def hang_up(self) -> None:
        """End every stream."""
        for listener in list(self.listeners):
            listener.put(None)


def _handler(issuer: PretendIssuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            path = path.removeprefix(issuer.path)
            issuer.asked[path] += 1
            if path in issuer.down:
                self.send_error(503)
                return
            if path in issuer.raw:
                self.wfile.write(issuer.raw[path])
                self.close_connection = True
                return
            if issuer.redirect is not None:
                self.send_response(302)
                self.send_header("Location", issuer.redirect)
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif path in (METADATA_PATH, METADATA_PATH + issuer.path):
                feed = {"keys": [key.public_jwk() for key in issuer.feed_keys]}
                document = {"issuer": issuer.url, "watchword_revocations_jwks": feed, **issuer.metadata}
                self.answer(json.dumps(document).encode())
            elif path == "/.well-known/jwks.json":
                keys = [key.public_jwk() for key in issuer.token_keys]
                self.answer(json.dumps({"keys": keys}).encode())
            elif path == "/revocations":
                asked = dict(parse_qsl(query))
                nonce = asked.get("nonce", "")
                issuer.questions += bool(nonce)
                if nonce and not issuer.answering.wait(10):
                    return
                after = int(asked.get("after", 0))
                if nonce and issuer.sequence - after > issuer.near:
                    after = issuer.sequence
                message = issuer.message(after, nonce=nonce)
                self.answer((issuer.snapshot or message).encode())
            elif path == "/revocations/stream" and issuer.streaming:
                self.stream(int(dict(parse_qsl(query)).get("after", 0)))
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.wfile.write(issuer.raw.get(self.path, b""))
            self.close_connection = True

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def stream(self, after: int) -> None:
            issuer.began.append(after)
            issuer.resumed.append(self.headers.get("Last-Event-ID"))
            mine: queue.Queue[str | None] = queue.Queue()
            mine.put(issuer.message(after))
            issuer.listeners.append(mine)
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            try:
                while (message := mine.get()) is not None:
                    frame = f": comment\nid: {issuer.sequence}.x\nevent: revocations\ndata: {message}\n\n"
                    self.wfile.write(frame.encode())
                    self.wfile.flush()
            except OSError:
                pass  # the guard hung up
            finally:
                issuer.listeners.remove(mine)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def pretend_issuer(**options: Any) -> Iterator[PretendIssuer]:
    """An issuer that listens until the block ends."""
    issuer = PretendIssuer(**options)
    with serving(issuer):
        yield issuer


@contextmanager
def serving(issuer: PretendIssuer, port: int = 0) -> Iterator[None]:
    """*issuer* listens on *port* until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(issuer))
    server.daemon_threads = True
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}{issuer.path}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        issuer.hang_up()
        server.server_close()
        thread.join()


def run(program: str) -> str:
    """What *program* prints in an interpreter of its own."""
    top = Path(__file__).resolve().parents[2]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(top / "src"), str(top)))}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def until(condition: Callable[[], object], seconds: float = 15) -> None:
    """Come back when *condition* holds; a change that travels arrives within a bound, not at an instant."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        pause.wait(0.005)
