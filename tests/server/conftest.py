"""The server that the tests of the faces speak to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.places import lent
from tests.server.stage import Stage, ground_of, open_stage


@pytest.fixture
def kind() -> str:
    """What it stands on; a module that takes ``each_ground`` in its place runs on every one."""
    return "sqlite"


@pytest.fixture
async def ground(kind: str, request: pytest.FixtureRequest) -> AsyncIterator[dict[str, str]]:
    """The settings of an empty database."""
    if kind == "sqlite":
        yield await ground_of(request, kind)
        return
    async with lent(request.getfixturevalue("postgres")) as place:
        yield await ground_of(request, kind, place)


@pytest.fixture
def lasting(kind: str, ground: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The same, of one that outlives its server."""
    return {"database": f"sqlite:///{tmp_path / 'watchword.db'}"} if kind == "sqlite" else ground


@pytest.fixture
async def stage(ground: dict[str, str]) -> AsyncIterator[Stage]:
    """A server of its own for each test."""
    async with open_stage(**ground) as opened:
        yield opened
