"""The server that is attacked."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.server.stage import Stage, open_stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A server of its own for each test."""
    async with open_stage() as opened:
        yield opened
