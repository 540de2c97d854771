"""Nodes of one database say with which settings they serve: one that differs says so, and the doctor too (N16)."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.cli.stage import Shell
from tests.server.stage import SECRET, Stage, open_stage

pytestmark = pytest.mark.anyio


@pytest.fixture(params=("sqlite", "postgres"))
async def ground(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """A database that two servers can open."""
    if request.param == "sqlite":
        return {"database": f"sqlite:///{tmp_path / 'watchword.db'}"}
    return {"database": await request.getfixturevalue("postgres").place()}


@pytest.fixture
async def opened(ground: dict[str, str]) -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def start(opened: AsyncExitStack, ground: dict[str, str], **settings: str) -> Stage:
    """A node that has had its first second."""
    stage = await opened.enter_async_context(open_stage(**ground, **settings))
    await stage.services.tick()
    return stage


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and "same settings" in record.getMessage()
    ]


class TestNodes:
    @pytest.mark.parametrize(
        ("changed", "told"),
        [
            ({"access_token_ttl": "5m"}, ["ACCESS_TOKEN_TTL (5m here, 10m there)"]),
            (
                {"refresh_token_ttl": "90d", "session_idle_ttl": "7d"},
                ["REFRESH_TOKEN_TTL (90d here, 180d there)", "SESSION_IDLE_TTL (7d here, 30d there)"],
            ),
            ({"feed_secret": "x" * 40}, ["FEED_SECRET"]),
            ({"registration": "closed", "cookies": "false"}, ["REGISTRATION (closed", "COOKIES (false"]),
        ],
        ids=lambda value: ",".join(value) if isinstance(value, Mapping) else "",
    )
    async def test_f_n16_a_node_that_differs_says_so_once(
        self,
        opened: AsyncExitStack,
        ground: dict[str, str],
        caplog: pytest.LogCaptureFixture,
        changed: dict[str, str],
        told: list[str],
    ) -> None:
        """It starts all the same, for a rolling restart is how settings change; secrets are named, not shown."""
        await start(opened, ground)
        await start(opened, ground)
        assert warnings(caplog) == []
        second = await start(opened, ground, **changed)
        (line,) = warnings(caplog)
        assert all(part in line for part in told)
        assert line.count(" here, ") == sum(" " in part for part in told)
        assert "x" * 40 not in line
        for _ in range(100):
            second.clock.forward(seconds=1)
            await second.services.tick()
        assert len(warnings(caplog)) == 1
        await second.newcomer()

    async def test_f_n16_what_each_may_have_for_itself_is_no_difference(
        self, opened: AsyncExitStack, ground: dict[str, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Where it listens and logs, what it can take, whom it believes."""
        await start(opened, ground)
        own = {"port": "9999", "log_format": "json", "trusted_proxies": "10.0.0.1", "max_connections": "77"}
        await start(opened, ground, **own)
        assert warnings(caplog) == []

    async def test_f_n16_who_left_does_not_count(
        self, ground: dict[str, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """At once if it said so, within a minute if it was killed."""
        async with AsyncExitStack() as first:
            await start(first, ground, access_token_ttl="5m")
        async with AsyncExitStack() as second:
            killed = await start(second, ground)
            assert warnings(caplog) == []
            assert killed.services.presence is not None
            killed.services.presence._next = None  # it says nothing when it goes
        async with AsyncExitStack() as third:
            stage = await third.enter_async_context(open_stage(**ground, access_token_ttl="5m"))
            stage.clock.forward(minutes=2)
            await stage.services.tick()
            assert warnings(caplog) == []

    async def test_f_n16_the_doctor_names_the_difference(
        self, opened: AsyncExitStack, ground: dict[str, str], tmp_path: Path
    ) -> None:
        """Between two nodes it is unsafe; with this shell alone it is advice."""
        from datetime import UTC, datetime

        shell = Shell(tmp_path)
        shell.settings |= {"WATCHWORD_SECRET": SECRET, "WATCHWORD_ISSUER": "https://auth.example.com"}
        shell.settings |= {f"WATCHWORD_{name.upper()}": value for name, value in ground.items()}

        async def node(**settings: str) -> None:
            stage = await opened.enter_async_context(open_stage(**ground, **settings))
            stage.clock.at = datetime.now(UTC)
            await stage.services.tick()

        def found() -> dict[str, str]:
            told = shell.process("doctor", "--json").stdout
            return next((one for one in json.loads(told)["findings"] if one["check"] == "nodes"), {})

        assert found() == {}
        await node(access_token_ttl="5m", password_hash="test")
        assert found()["level"] == "advice"
        assert "ACCESS_TOKEN_TTL (10m here, 5m there)" in found()["message"]
        await node(password_hash="test")
        assert found()["level"] == "unsafe"
        assert "ACCESS_TOKEN_TTL" in found()["message"]
