"""Streams on connections: they end with them, and they leave room for everybody else."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.server.wire import Wire, open_wire

pytestmark = pytest.mark.anyio

STREAM = b"GET /revocations/stream HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return ("asyncio", {"use_uvloop": request.param})


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with open_wire() as opened:
        yield opened


async def speak(wire: Wire) -> None:
    """Let the feed write to everybody who listens."""
    out = await wire.stage.newcomer()
    assert (await wire.stage.http.post("/auth/logout", headers=out.bearer)).status_code == 204
    await wire.stage.services.feed.poll()


class TestEnd:
    @pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
    @pytest.mark.parametrize("behind", [0, 1, 3, 200])
    async def test_f_s12_a_stream_ends_with_its_connection(
        self, wire: Wire, behind: int, reset: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Whatever is pipelined behind it, and however its client leaves; nothing is logged."""
        faults: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
        reader, writer = await wire.connect()
        writer.write(STREAM + LAST * behind)
        await reader.readuntil(b"\n\n")
        if behind:
            writer.write(LAST)
        await asyncio.sleep(0)
        feed = wire.stage.services.feed
        assert feed.listeners == 1
        if reset:
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        writer.close()
        async with asyncio.timeout(10):
            while feed.listeners:
                await speak(wire)
        await asyncio.sleep(0.01)
        assert not faults
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
