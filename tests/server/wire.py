"""A server on a socket, in this process: what no client library would send reaches it as it is written."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from tests.server.stage import Stage, open_stage
from watchword.server.policies import WebPolicy
from watchword.server.web.connection import connections


@dataclass(frozen=True)
class Answer:
    """One answer as it stood on the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


def parse(raw: bytes) -> list[Answer]:
    """Every answer in *raw*, by their lengths."""
    found = []
    while raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0))
        if status >= 200:
            found.append(Answer(status, headers, rest[:length]))
        raw = rest[length:] if status >= 200 else rest
    return found


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    """Everything until the end. A reset is an end: a byte may have come to a door that was closed already."""
    raw = b""
    try:
        while chunk := await reader.read(65_536):
            raw += chunk
    except (ConnectionResetError, ssl.SSLError):
        pass
    return raw


@dataclass
class Wire:
    """A listening server."""

    stage: Stage
    port: int

    async def connect(self, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, **options)

    async def send(self, *pieces: bytes, **options: Any) -> list[Answer]:
        """Send *pieces* in turn; every answer until the server closes or has nothing more to say."""
        reader, writer = await self.connect(**options)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(10):
                return parse(await rest_of(reader))
        finally:
            writer.close()

    async def ask(self, head: str, body: bytes = b"") -> Answer:
        """One request whose answer ends the connection."""
        lines = head.strip().replace("\n", "\r\n")
        (answer,) = await self.send(f"{lines}\r\nHost: x\r\nConnection: close\r\n\r\n".encode() + body)
        return answer


@asynccontextmanager
async def open_wire(
    policy: WebPolicy | None = None, *, config: dict[str, Any] | None = None, **flags: str
) -> AsyncIterator[Wire]:
    """A server of these settings on a free port of loopback."""
    async with open_stage(**{"issuer": "http://127.0.0.1:8080", **flags}) as stage:
        web = policy or stage.settings.web
        server = uvicorn.Server(
            uvicorn.Config(
                stage.app,
                port=0,
                http=connections(web, stage.app.instant),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=int(web.idle.total_seconds()),
                **(config or {}),
            )
        )
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup()
        port = server.servers[0].sockets[0].getsockname()[1]
        ticking = asyncio.create_task(server.main_loop())
        try:
            yield Wire(stage, port)
        finally:
            server.should_exit = server.force_exit = True
            stage.services.feed.close()
            ticking.cancel()  # it would look up from its nap in a tenth of a second
            await asyncio.gather(ticking, return_exceptions=True)
            await server.shutdown()
