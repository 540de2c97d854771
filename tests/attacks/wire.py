"""Requests over bare sockets, so that who sends many of them, or waits for them, costs the machine little."""

from __future__ import annotations

import asyncio
from typing import Final

__all__ = ["Line", "request"]

_HEAD_END: Final = b"\r\n\r\n"


def request(
    method: str, path: str, body: bytes = b"", *, kind: str = "application/json", **fields: str | bytes
) -> bytes:
    """The bytes of a request; an underscore in a field's name stands for a hyphen."""
    lines = [f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n".encode()]
    if body:
        lines.append(f"Content-Type: {kind}\r\n".encode())
    for name, value in fields.items():
        raw = value.encode("latin-1") if isinstance(value, str) else value
        lines.append(name.replace("_", "-").encode() + b": " + raw + b"\r\n")
    return b"".join((*lines, b"\r\n", body))


class Line(asyncio.Protocol):
    """One connection that is kept alive; it carries one request at a time."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.transport: asyncio.Transport | None = None
        self._gathered = bytearray()
        self._waiting: asyncio.Future[tuple[int, bytes, float]] | None = None

    async def ask(self, raw: bytes) -> tuple[int, bytes, float]:
        """Send *raw*; the answer's status, body, and the seconds of its ``Retry-After``."""
        loop = asyncio.get_running_loop()
        if self.transport is None:
            await loop.create_connection(lambda: self, "127.0.0.1", self.port)
        assert self.transport is not None
        self._waiting = loop.create_future()
        self.transport.write(raw)
        return await self._waiting

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, fault: Exception | None) -> None:
        self.transport = None
        self._gathered.clear()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result((0, b"", 1.0))

    def data_received(self, data: bytes) -> None:
        self._gathered += data
        end = self._gathered.find(_HEAD_END)
        if end < 0:
            return
        head = bytes(self._gathered[:end]).lower()
        length = int(_field(head, b"content-length") or 0)
        start = end + len(_HEAD_END)
        if len(self._gathered) < start + length or self._waiting is None or self._waiting.done():
            return
        body = bytes(self._gathered[start : start + length])
        self._gathered.clear()
        if _field(head, b"connection") == b"close" and self.transport is not None:
            self.transport.close()
            self.transport = None
        self._waiting.set_result((int(head[9:12]), body, float(_field(head, b"retry-after") or 1)))


def _field(head: bytes, name: bytes) -> bytes:
    _, found, rest = head.partition(b"\r\n" + name + b":")
    return rest.partition(b"\r\n")[0].strip() if found else b""


class Refusing(asyncio.Protocol):
    """A server that says 429 to everything and does nothing else."""

    ANSWER: Final = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self.transport, asyncio.Transport)
        self.transport.write(self.ANSWER)
