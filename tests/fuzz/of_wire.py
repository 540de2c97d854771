"""Connections under fuzz: streams of requests whose bodies hold requests, and a second reading that says what is one.

The reading is short and slow, and agrees with the RFC where it goes on: whatever a connection takes for a request
must be one here, in the same order and with the same body.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from watchword.server.policies import WebPolicy
from watchword.server.web.connection import connections
from watchword.server.web.request import Receive, Scope, Send

__all__ = ["Client", "pieces_of", "reading", "stream"]

Seen = tuple[bytes, bytes | None]
"""What a request asks for, and its body; ``None``: it isn't all there."""

_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\Z")
_OFFERS = (
    b"Connection: Upgrade\r\nUpgrade: foo\r\n",
    b"Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\n",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    b"Connection: upgrade\r\nUpgrade: \r\n",
    b"Upgrade: foo\r\n",
    b"Expect: 100-continue\r\n",
    b"X-A: b\r\n",
    b"",
    b"",
)
_ODD = (
    b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Content-Length: 5\r\nContent-Length: 6\r\n",
    b"Content-Length: 1, 1\r\n",
    b"X-A: b\r\n c\r\n",
    b"X-A : b\r\n",
    b"Connection: close\r\n",
    b"Host: y\r\n",
)
_SPLICES = (
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b";", b"0", b"7", b"ff", b"0\r\n\r\n", b"chunked",
    b"close",     b"Upgrade: x\r\nConnection: upgrade\r\n", b"Content-Length: 9\r\n",
    b"Transfer-Encoding: chunked\r\n",     b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT ",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HTTP/1.0", b"\0", b"\xff",
)  # fmt: skip


def stream(chance: random.Random) -> tuple[bytes, bool]:
    """Some requests on one connection, the last of which ends it, and whether nothing in them was changed."""
    parts = [_request(chance, number) for number in range(chance.randint(1, 4))]
    raw = b"".join(parts) + b"GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    if chance.random() < 0.3:
        return raw, True
    for _ in range(chance.randint(1, 4)):
        raw = _mutated(chance, raw)
    return raw, False


def _request(chance: random.Random, number: int) -> bytes:
    offer = chance.choice(_OFFERS)
    if chance.random() < 0.4:
        path = b"/now" if chance.random() < 0.5 else b"/%d" % number
        return b"GET %b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (path, offer)
    body = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n" * chance.randint(0, 3)
    if chance.random() < 0.05:
        body = body * 90 + b" " * chance.randint(0, 5000)
    head = b"POST /%d HTTP/1.1\r\nHost: x\r\n%b" % (number, offer)
    if chance.random() < 0.5:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    chunks = []
    while body:
        size = chance.choice((1, 7, 40, 1000))
        piece, body = body[:size], body[size:]
        chunks.append(b"%x%b\r\n%b\r\n" % (len(piece), chance.choice((b"", b"", b";a=b")), piece))
    trailer = chance.choice((b"", b"", b"X-T: y\r\n", b"Upgrade: x\r\nConnection: upgrade\r\n"))
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks) + b"0\r\n" + trailer + b"\r\n"


def _mutated(chance: random.Random, raw: bytes) -> bytes:
    if not raw:
        return b"\r\n"
    place, kind = chance.randrange(len(raw)), chance.randrange(7)
    if kind == 0:
        return raw[:place] + bytes((chance.randrange(256),)) + raw[place + 1 :]
    if kind == 1:
        return raw[:place] + raw[place + chance.randint(1, 8) :]
    if kind == 2:
        return raw[:place] + chance.choice(_SPLICES) + raw[place:]
    if kind == 3:
        return raw[:place] + raw[place : place + chance.randint(1, 60)] + raw[place:]
    if kind == 4:  # a field more, where fields stand
        line = raw.find(b"\r\n", place)
        return raw if line < 0 else raw[: line + 2] + chance.choice((*_ODD, *_OFFERS)) + raw[line + 2 :]
    if kind == 5:
        return chance.randbytes(chance.randint(1, 200)) + raw if chance.random() < 0.2 else raw[:place]
    return raw.replace(b"HTTP/1.1", chance.choice((b"HTTP/1.0", b"HTTP/2.0", b"http/1.1")), 1)


def pieces_of(chance: random.Random, raw: bytes) -> Iterator[bytes]:
    """*raw* as packets bring it."""
    while raw:
        size = chance.choice((len(raw), len(raw), 4096, 1500, chance.randint(1, 200), 1))
        yield raw[:size]
        raw = raw[size:]


def reading(raw: bytes) -> list[Seen]:
    """The requests at the beginning of *raw*, up to where it is none any more."""
    found: list[Seen] = []
    while True:
        raw = raw.lstrip(b"\r\n")
        head, end, rest = raw.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        parts = [part for part in first.split(b" ") if part]
        if not end or len(parts) != 3 or parts[2] not in (b"HTTP/1.0", b"HTTP/1.1") or parts[0] == b"CONNECT":
            return found
        fields = []
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon or not _TOKEN.match(name) or not _VALUE.match(value):
                return found
            fields.append((name.lower(), value.strip(b" \t")))
        lengths = [value for name, value in fields if name == b"content-length"]
        codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
        if len(lengths) > 1 or (codings and (lengths or codings != [b"chunked"])):
            return found
        body: bytes | None = b""
        if lengths:
            if not lengths[0].isdigit():
                return found
            size = int(lengths[0])
            body, rest = (rest[:size] if len(rest) >= size else None), rest[size:]
        elif codings:
            body, rest = _unchunked(rest)
        found.append((parts[0] + b" " + parts[1], body))
        words = [
            word.strip(b" \t").lower() for n, v in fields if n == b"connection" for word in v.split(b",")
        ]
        if body is None or b"close" in words or parts[2] == b"HTTP/1.0":
            return found
        raw = rest


def _unchunked(raw: bytes) -> tuple[bytes | None, bytes]:
    body = b""
    while True:
        line, end, raw = raw.partition(b"\r\n")
        size = line.partition(b";")[0]
        if not end or not re.match(rb"[0-9A-Fa-f]+\Z", size):
            return None, b""
        length = int(size, 16)
        if not length:
            break
        if raw[length : length + 2] != b"\r\n":
            return None, b""
        body, raw = body + raw[:length], raw[length + 2 :]
    while True:
        line, end, raw = raw.partition(b"\r\n")
        if not end:
            return None, b""
        if not line:
            return body, raw


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    """Say what was asked and what came with it; tell the client's end of it, too."""
    client: Client = scope["state"][str(scope["client"][1])]
    asked = b"%b %b" % (scope["method"].encode(), scope["raw_path"])
    client.seen.append((asked, None))
    place, body = len(client.seen) - 1, b""
    while scope["path"] != "/now" or scope["method"] != "GET":
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        if not message["more_body"]:
            break
    client.seen[place] = (asked, body)
    text = b"%d %b %d" % (client.number, asked, len(body))
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]}
    )
    await send({"type": "http.response.body", "body": text})


CONFIG = uvicorn.Config(
    _app, log_config=None, access_log=False, ws="none", lifespan="off", proxy_headers=False
)
CONFIG.load()
_LONG = timedelta(hours=1)
CONNECTION: Any = connections(WebPolicy(head=_LONG, body=_LONG, idle=_LONG, unread=_LONG), ["/now"])


@dataclass(eq=False)
class Client(asyncio.Transport):
    """One client: what the application saw of it, and what it was answered."""

    number: int
    written: bytearray = field(default_factory=bytearray)
    closed: bool = False
    seen: list[Seen] = field(default_factory=list)
    connection: Any = None

    def __post_init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", self.number), "sockname": ("192.0.2.2", 2)})
        self.connection = CONNECTION(
            config=CONFIG, server_state=ServerState(), app_state={str(self.number): self}
        )
        self.connection.connection_made(self)

    def send(self, piece: bytes) -> None:
        if not self.closed:
            self.connection.data_received(piece)

    def leave(self) -> None:
        self.connection.connection_lost(None)

    def write(self, data: Any) -> None:
        assert not self.closed, "written to a closed connection"
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = write_eof = close

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass
