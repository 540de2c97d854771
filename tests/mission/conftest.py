"""One server and one payroll API for the whole mission."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from tests.mission.stage import Server, User, start_payroll, start_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("server"))
    yield running
    running.http.close()
    assert running.process.stop() == 0, running.process.log.read_text()


@pytest.fixture(scope="session")
def payroll(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    process = start_payroll(tmp_path_factory.mktemp("payroll"), server.url)
    with httpx2.Client(base_url=process.url, timeout=30) as client:
        yield client
    process.stop()


@pytest.fixture
def user(server: Server) -> User:
    """Somebody who has just registered and logged in."""
    return server.newcomer()
