"""The server that the tests of the faces speak to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.server.stage import Stage, open_stage


@pytest.fixture
def kind() -> str:
    """Which database it stands on; a module that takes ``each_database`` in its place runs on every one."""
    return "sqlite"


@pytest.fixture
async def database(kind: str, request: pytest.FixtureRequest) -> str:
    """Where an empty database lies."""
    if kind == "sqlite":
        return "sqlite:///:memory:"
    place: str = await request.getfixturevalue("postgres").place()
    return place


@pytest.fixture
async def stage(database: str) -> AsyncIterator[Stage]:
    """A server of its own for each test."""
    async with open_stage(database=database) as opened:
        yield opened
