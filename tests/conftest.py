"""What every test may rely on."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import databases
from tests.certificates import certificate
from tests.vectors.corpus import MISSING, folder

collect_ignore: list[str] = [] if folder() is not None else ["vectors"]

SLOW = {"bench", "model", "system"}
"""The folders whose tests ``./test`` leaves to ``./test --all``."""


def pytest_configure(config: pytest.Config) -> None:
    """Trust one authority that signs for nobody: those of the whole world are most of what a client costs."""
    folder = Path(tempfile.mkdtemp(prefix="watchword-trust-"))
    config.add_cleanup(lambda: shutil.rmtree(folder))
    os.environ["SSL_CERT_FILE"] = str(certificate(folder, "signs for nobody")[0])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole processes, measurements, the model and what repeats a test on Valkey belong to ``./test --all``."""
    here = Path(__file__).parent
    for item in items:
        in_slow_folder = item.path.is_relative_to(here) and item.path.relative_to(here).parts[0] in SLOW
        if in_slow_folder or "valkey" in item.name:
            item.add_marker(pytest.mark.slow)


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
