"""What the processes of these tests stand on."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.stage import GROUNDS, ground_of

SECRET = "the-master-key-of-a-test-is-no-secret"


@pytest.fixture(params=GROUNDS)
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings of an empty database on every ground."""
    if request.param == "sqlite":
        return {}
    ground = asyncio.run(ground_of(request, request.param))
    return {"WATCHWORD_SECRET": SECRET} | {f"WATCHWORD_{name.upper()}": text for name, text in ground.items()}
