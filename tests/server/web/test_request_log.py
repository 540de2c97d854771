"""The line of a request: its two forms are those of every other line, and many are written at a time."""

from __future__ import annotations

import asyncio
import io
import json

import pytest
import structlog

from watchword.server.web.request_log import RequestLog

pytestmark = pytest.mark.anyio

AT = 1_796_120_000.123456
HOSTILE = 'x\r\nfake line\x1b[31m\u202e\u2066\u2028\x00" a=b'


class Kept(io.StringIO):
    """A stream that keeps each write apart."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


class Broken(io.StringIO):
    """A full disk."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def add(log: RequestLog, address: str | None = "192.0.2.1", user: str | None = "usr_1") -> None:
    log.add("00" * 8, "GET", "/auth/sessions/{id}", 404, 1.26, address, user)


async def lines(form: str, *rows: tuple[str | None, str | None]) -> list[str]:
    stream = Kept()
    log = RequestLog(form, stream, wall=lambda: AT)  # type: ignore[arg-type]
    for address, user in rows:
        add(log, address, user)
    await asyncio.sleep(0)
    return "".join(stream.writes).splitlines()


class TestForms:
    @pytest.mark.parametrize("user", ["usr_1", None])
    @pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", None])
    async def test_both_are_those_of_the_other_lines(self, address: str | None, user: str | None) -> None:
        """What structlog makes of the same values."""
        values = {
            "id": "00" * 8,
            "method": "GET",
            "route": "/auth/sessions/{id}",
            "status": 404,
            "ms": 1.3,
            "address": address,
            "user": user,
            "event": "request",
            "level": "info",
            "timestamp": "2026-12-01T10:13:20.123456Z",
        }
        assert await lines("json", (address, user)) == [json.dumps(values)]
        plain = structlog.dev.ConsoleRenderer(colors=False)
        assert await lines("console", (address, user)) == [plain(None, "info", values)]

    @pytest.mark.parametrize("form", ["json", "console"])
    async def test_attack_a59_what_a_stranger_wrote_stays_in_its_line(self, form: str) -> None:
        """Another server may take any text for an address."""
        (line,) = await lines(form, (HOSTILE, None))
        for raw in "\r\x00\x1b\u202e\u2066\u2028":
            assert raw not in line
        if form == "json":
            assert json.loads(line)["address"].startswith("x\\x0d\\x0afake line")

    async def test_colors_change_no_word(self) -> None:
        """A terminal shows what a file would have."""
        stream = Kept()
        add(RequestLog("console", stream, colors=True, wall=lambda: AT))
        await asyncio.sleep(0)
        bare = stream.writes[0]
        for code in (0, 1, 2, 31, 32, 33, 35, 36):
            bare = bare.replace(f"\x1b[{code}m", "")
        assert bare.splitlines() == await lines("console", ("192.0.2.1", "usr_1"))


class TestTogether:
    async def test_lines_of_one_turn_are_one_write(self) -> None:
        """And never more than a pipe takes whole, as other processes write into it, too."""
        stream = Kept()
        log = RequestLog("json", stream, wall=lambda: AT)
        for _ in range(50):
            add(log, "2001:db8:1111:2222:3333:4444:5555:6666", "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV")
        await asyncio.sleep(0)
        assert [text.count("\n") for text in stream.writes] == [12, 12, 12, 12, 2]
        assert all(len(text) <= 4096 and text.endswith("\n") for text in stream.writes)

    async def test_a_log_that_cannot_be_written_ends_no_answer(self) -> None:
        """The request has been answered by then, and the next one is, too."""
        log = RequestLog("json", Broken())
        for _ in range(40):
            add(log)
        await asyncio.sleep(0)
