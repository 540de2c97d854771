"""Floods against a server in a process of its own: its memory stays where it was, and others are served."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.mission.stage import PASSWORD, Server, start_server

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
HASH = 19 * MIB
"""Memory of one Argon2 computation; a process does one at a time."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    limits = {f"WATCHWORD_LOGIN_ATTEMPTS_PER_{each}": "0" for each in ("ACCOUNT", "ADDRESS")}
    running = start_server(tmp_path_factory.mktemp("server"), **limits)
    yield running
    running.http.close()
    assert running.process.stop() == 0, running.process.log.read_text()


def memory(server: Server, what: str = "VmRSS") -> int:
    """What the process occupies, or (``VmHWM``) ever occupied."""
    assert server.process.child is not None
    status = Path(f"/proc/{server.process.child.pid}/status").read_text("ascii")
    found = re.search(rf"{what}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


READER = """
import json, sys, threading, time, httpx2
done, waits = threading.Event(), []
threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
with httpx2.Client(base_url=sys.argv[1], timeout=60) as http:
    while not done.wait(0.005):
        started = time.perf_counter()
        assert http.get("/.well-known/jwks.json").status_code == 200
        waits.append(time.perf_counter() - started)
        if len(waits) == 1:
            print("reading", flush=True)
print(json.dumps(waits))
"""
"""Whoever reads the key set does it in a process of his own: he waits for the server, not for the flood's sender."""


async def flood(server: Server, logins: int) -> tuple[list[httpx2.Response], list[float]]:
    """So many log-ins at once, and how long a reader of the key set waited each time meanwhile."""
    email = server.register().email
    pipe = asyncio.subprocess.PIPE
    reader = await asyncio.create_subprocess_exec(
        sys.executable, "-c", READER, server.url, stdin=pipe, stdout=pipe
    )
    assert reader.stdout is not None
    assert await reader.stdout.readline() == b"reading\n"
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx2.AsyncClient(base_url=server.url, timeout=60, limits=limits) as http:
        body = {"email": email, "password": PASSWORD}
        answers = await asyncio.gather(*(http.post("/auth/login", json=body) for _ in range(logins)))
    said, _ = await reader.communicate(b"enough")
    assert reader.returncode == 0
    return answers, json.loads(said)


class TestLogins:
    async def check(self, server: Server, logins: int) -> list[float]:
        await flood(server, 2)
        before = memory(server)
        answers, waits = await flood(server, logins)
        for answer in answers:
            assert answer.status_code in (200, 503), answer.text
            if answer.status_code == 503:
                assert int(answer.headers["retry-after"]) >= 1
        assert any(answer.status_code == 200 for answer in answers)
        assert memory(server, "VmHWM") < before * 1.1 + HASH + logins * 32_768
        return waits

    async def test_attack_a49_a_hundred_and_fifty_at_once_are_bounded(self, server: Server) -> None:
        """One hash at a time, a short queue, 503 for the rest; the key set is served meanwhile."""
        await self.check(server, 150)

    @pytest.mark.long
    async def test_attack_a49_five_hundred_at_once(self, server: Server) -> None:
        """The same for five hundred, and the key set comes within a tenth of a second in 99 of 100 cases."""
        waits = await self.check(server, 500)
        assert statistics.quantiles(waits, n=100)[98] < 0.1, statistics.quantiles(waits, n=20)


class TestBytes:
    @pytest.fixture
    async def flat(self, server: Server) -> AsyncIterator[None]:
        """Ten mebibytes are the most that an attack may cost."""
        await self.pour(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"", 0)
        before = memory(server)
        yield
        assert memory(server, "VmRSS") < before + 10 * MIB

    async def pour(self, server: Server, head: bytes, piece: bytes, times: int) -> bytes:
        """Send *head*, and *piece* so often, or until the server has had enough; what it said."""
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        said = asyncio.ensure_future(reader.read(65_536))
        try:
            writer.write(head)
            for _ in range(times):
                writer.write(piece)
                await writer.drain()
            return await asyncio.wait_for(said, 30)
        except ConnectionError:
            return b""
        finally:
            said.cancel()
            writer.close()

    @pytest.mark.usefixtures("flat")
    async def test_attack_a63_a_hundred_megabytes_of_body(self, server: Server) -> None:
        """413, announced or in chunks without end; no bomb is unpacked, a hundred thousand fields are not kept."""
        head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        block = b"x" * 65_536
        long = head + b"Content-Length: 104857600\r\n\r\n"
        said = await self.pour(server, long, block, 1600)
        assert said.startswith(b"HTTP/1.1 413")
        said = await self.pour(
            server, head + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + block + b"\r\n", 1600
        )
        assert said.startswith(b"HTTP/1.1 413")
        packed = head + b"Content-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n" + b"\x1f\x8b" + b"\0" * 998
        assert (await self.pour(server, packed, b"", 0)).startswith(b"HTTP/1.1 415")
        form = b"&".join(b"a%d=1" % number for number in range(100_000))
        head = b"POST /setup HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        said = await self.pour(server, head + b"Content-Length: %d\r\n\r\n" % len(form), form, 1)
        assert said.startswith(b"HTTP/1.1 413")

    @pytest.mark.usefixtures("flat")
    async def test_attack_a21_ten_megabytes_of_head(self, server: Server) -> None:
        """431, or the connection is gone; ``serve`` has the bound without being told."""
        head = b"GET /auth/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        said = await self.pour(server, head, b"a" * 65_536, 160)
        assert said == b"" or said.startswith(b"HTTP/1.1 431")
        said = await self.pour(server, head, b"a" * 40_000, 1)
        assert said.startswith(b"HTTP/1.1 431")

    @pytest.mark.usefixtures("flat")
    async def test_attack_a63_ten_thousand_brackets(self, server: Server) -> None:
        """A deep document is refused without a stack."""
        for opening in (b"[", b'{"a":'):
            body = b'{"password":' + opening * 10_000
            answer = await asyncio.to_thread(
                server.http.post, "/auth/login", content=body, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 400

    @pytest.mark.usefixtures("flat")
    async def test_attack_a20_hundreds_of_hostile_tokens(self, server: Server) -> None:
        """Deep, long, of unknown keys: 401 each, and nothing is kept of them."""
        import base64

        def part(raw: bytes) -> str:
            return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

        deep = part(b'{"alg":"ES256","typ":"at+jwt","x":' + b"[" * 3000)
        user = await asyncio.to_thread(server.newcomer)
        for number in range(300):
            kid = part(b'{"alg":"ES256","typ":"at+jwt","kid":"%d"}' % number)
            header = deep if number % 10 == 0 else kid
            value = f"Bearer {header}.{part(b'{}')}.{'A' * 86}"
            answer = await asyncio.to_thread(server.http.get, "/auth/me", headers={"Authorization": value})
            assert answer.status_code == 401
        answer = await asyncio.to_thread(server.http.get, "/auth/me", headers=user.bearer)
        assert answer.status_code == 200


class TestIdle:
    async def test_attack_a64_hundreds_of_idle_connections(self, server: Server) -> None:
        """They cost next to nothing while they are let be, and others are served."""
        before: Any = memory(server)
        port = int(server.url.rpartition(":")[2])
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(400)]
        for number, (_, writer) in enumerate(held):
            writer.write(b"GET /healthz HTTP/1.1\r\n" if number % 2 else b"")
        answer = await asyncio.to_thread(server.http.get, "/readyz")
        assert answer.status_code == 200
        assert memory(server) < before + 25 * MIB
        for _, writer in held:
            writer.close()
