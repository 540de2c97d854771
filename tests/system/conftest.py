"""What the processes of these tests stand on."""

from __future__ import annotations

import asyncio

import pytest

SECRET = "the-master-key-of-a-test-is-no-secret"


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings of an empty database, one of each kind."""
    if request.param == "sqlite":
        return {}
    place = asyncio.run(request.getfixturevalue("postgres").place())
    return {"WATCHWORD_DATABASE": place, "WATCHWORD_SECRET": SECRET}
