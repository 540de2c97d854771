"""What the processes of these tests stand on."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.stage import GROUNDS, ground_of

SECRET = "the-master-key-of-a-test-is-no-secret"


@pytest.fixture(params=GROUNDS)
def ground(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings of an empty database on every ground: for what is decided by a race."""
    return _settings(request)


@pytest.fixture(params=GROUNDS[:2])
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    """The same on each kind of database: for what a Valkey beside it could not change."""
    return _settings(request)


def _settings(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "sqlite":
        return {}
    found = asyncio.run(ground_of(request, request.param))
    return {"WATCHWORD_SECRET": SECRET} | {f"WATCHWORD_{name.upper()}": text for name, text in found.items()}
