"""What every test may rely on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests import databases
from tests.vectors.corpus import MISSING, folder

collect_ignore: list[str] = [] if folder() is not None else ["vectors"]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Asynchronous tests run on asyncio, as the server does."""
    return ("asyncio", {})


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what was left out: other people's vectors are not in this tree."""
    if collect_ignore:
        terminalreporter.write_line(f"watchword: {MISSING}")


@pytest.fixture(scope="session")
def valkey() -> Iterator[databases.Cache]:
    """A real Valkey, started when the first test asks."""
    with databases.valkey() as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[databases.Cluster]:
    """A real PostgreSQL, started when the first test asks."""
    with databases.cluster() as running:
        yield running
