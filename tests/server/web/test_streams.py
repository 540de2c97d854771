"""Streams on connections: they end with them, and they leave room for everybody else."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.server.stage import PASSWORD
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


async def open_stream(wire: Wire, *, fields: bytes = b"", **options: Any) -> asyncio.StreamWriter | int:
    """The connection of a stream that has begun, or the status of its refusal."""
    reader, writer = await wire.connect(**options)
    writer.write(b"GET /revocations/stream HTTP/1.1\r\nHost: x\r\n%b\r\n" % fields)
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    if status == 200:
        return writer
    assert b"retry-after: 5" in head
    writer.close()
    return status


class TestPlaces:
    async def test_f_s13_one_network_takes_only_its_share(self) -> None:
        """Its next connection is told to come back, others get in, and a place that is left is free again."""
        async with open_wire(max_connections_per_network="3") as wire:
            mine = [await wire.connect() for _ in range(3)]
            for _ in range(3):
                (answer,) = await wire.send(LAST)
                assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            (answer,) = await wire.send(LAST, local_addr=("127.0.0.2", 0))
            assert answer.status == 200
            mine.pop()[1].close()
            async with asyncio.timeout(10):
                while (await wire.send(LAST))[0].status == 503:
                    pass
            for _, writer in mine:
                writer.close()

    async def test_f_s13_a_flood_of_refused_connections_holds_nothing(self) -> None:
        """Far beyond the bound they are closed at once, and another network is served."""
        async with open_wire(max_connections_per_network="3") as wire:
            mine = [await wire.connect() for _ in range(200)]
            (answer,) = await wire.send(LAST, local_addr=("127.0.0.2", 0))
            assert answer.status == 200
            ended = 0
            for reader, writer in mine[100:]:
                try:
                    ended += not await reader.read()
                except ConnectionError:
                    ended += 1
                writer.close()
            assert ended == 100
            for _, writer in mine[:100]:
                writer.close()

    async def test_f_s13_behind_a_proxy_clients_are_counted(self) -> None:
        """The proxy's connections are not, and each client has its own streams."""
        async with open_wire(
            trusted_proxies="127.0.0.1", max_connections_per_network="2", max_streams_per_network="2"
        ) as wire:
            found = [
                await open_stream(wire, fields=b"X-Forwarded-For: %b\r\n" % client)
                for client in (b"203.0.113.7", b"203.0.113.7:99", b"203.0.113.7", b"2001:db8::1", b"[2001:db8::2]:1",
                               b"2001:db8::3", b"203.0.113.8")
            ]  # fmt: skip
            assert [isinstance(one, int) for one in found] == [False, False, True, False, False, True, False]
            streams = [one for one in found if not isinstance(one, int)]
            streams[0].close()
            async with asyncio.timeout(10):
                while isinstance(await open_stream(wire, fields=b"X-Forwarded-For: 203.0.113.7\r\n"), int):
                    await speak(wire)
            for writer in streams:
                writer.close()

    async def test_f_s13_one_site_takes_only_its_share(self) -> None:
        """A home or an office has up to 65,536 networks (RFC 6177): together they hold a quarter of the places."""
        async with open_wire(
            trusted_proxies="127.0.0.1", max_connections="40", max_streams_per_network="2"
        ) as wire:

            def of(client: str) -> bytes:
                return f"X-Forwarded-For: {client}\r\n".encode()

            found = [await open_stream(wire, fields=of(f"2001:db8:1:{number:x}::1")) for number in range(12)]
            assert [isinstance(one, int) for one in found] == [False] * 9 + [True] * 3
            for client in ("2001:db8:2:1::1", "203.0.113.7", "203.0.113.8"):
                found.append(await open_stream(wire, fields=of(client)))
                assert not isinstance(found[-1], int)
            streams = [one for one in found if not isinstance(one, int)]
            streams[0].close()
            async with asyncio.timeout(10):
                while isinstance(await open_stream(wire, fields=of("2001:db8:1:ffff::1")), int):
                    await speak(wire)
            for writer in streams:
                writer.close()

    async def test_f_s13_streams_leave_room_for_probes_and_logins(self) -> None:
        """They fill nine tenths of the connections and no more."""
        async with open_wire(max_connections="20") as wire:
            streams = [await open_stream(wire) for _ in range(18)]
            assert not any(isinstance(one, int) for one in streams)
            assert await open_stream(wire) == 503
            ada = await wire.stage.somebody()
            for path in ("/healthz", "/readyz"):
                assert (await wire.ask(f"GET {path} HTTP/1.1")).status == 200
            body = b'{"email":"%b","password":"%b"}' % (ada.email.encode(), PASSWORD.encode())
            answer = await wire.ask(
                f"POST /auth/login HTTP/1.1\nContent-Type: application/json\nContent-Length: {len(body)}",
                body,
            )
            assert answer.status == 200
            for one in streams:
                assert not isinstance(one, int)
                one.close()
