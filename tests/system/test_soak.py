"""Twenty minutes of everything at once: the process holds no more at their end, the database no more than it must."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.mission.stage import Server, start_server
from tests.system.soak import PEOPLE, Sample, Town, growth

MINUTES = float(os.environ.get("WATCHWORD_SOAK_MINUTES", "20"))
SAMPLES = 100
KEPT = 60
"""Seconds for which events and ended sessions are kept."""

SETTINGS = {
    "WATCHWORD_PASSWORD_HASH": "test",
    "WATCHWORD_REGISTRATIONS_PER_ADDRESS": "0",
    "WATCHWORD_LOGIN_ATTEMPTS_PER_ADDRESS": "0",
    "WATCHWORD_WRITES_PER_USER": "0",
    "WATCHWORD_WRITES_PER_ADDRESS": "0",
    "WATCHWORD_ADMIN_WRITES_PER_USER": "0",
    "WATCHWORD_ACCESS_TOKEN_TTL": "60s",
    "WATCHWORD_EVENT_RETENTION": f"{KEPT}s",
    "WATCHWORD_SESSION_RETENTION": f"{KEPT}s",
    "WATCHWORD_LOG_REQUESTS": "false",
}


@pytest.fixture
def server(tmp_path: Path, database: dict[str, str]) -> Iterator[Server]:
    running = start_server(tmp_path / "server", **SETTINGS, **database)
    yield running
    child = running.process.child
    assert child is not None
    if child.poll() is None:
        assert running.process.stop() == 0, running.process.log.read_text()


class TestSoak:
    @pytest.mark.long
    def test_r_13_nothing_grows(
        self, server: Server, database: dict[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Memory, descriptors and threads are flat once warm; the database is the size of its living rows."""
        place = Place(server.data_dir / "watchword.db", database.get("WATCHWORD_DATABASE"))
        place.settle()
        town, samples = Town(server), list[Sample]()
        idle = town.sample(0)
        with town.awake():
            began = time.monotonic()
            while len(samples) < SAMPLES and town.goes_on(MINUTES * 60 / SAMPLES):
                samples.append(town.sample(began))
                with capsys.disabled():
                    print(f"\n{progress(samples[-1])}, {town.answers} answers, {place}", end="", flush=True)
        assert town.unexpected == []
        assert len(samples) == SAMPLES
        grown, rows = growth(samples), place.rows()
        left = town.sample(0)
        assert server.process.stop() == 0
        before, after = place.megabytes(), place.compact()
        with capsys.disabled():
            print(
                f"\n{town.answers} answers; memory {grown:+.1%} from the middle to the end; at rest {idle} before,"
                f" {left} after; data {before:.2f} MB, of which rows need {after:.2f} MB: {rows}"
            )
        warm = samples[2 * SAMPLES // 5 :]
        assert grown < 0.05
        assert max(sample.threads for sample in warm) == min(sample.threads for sample in warm)
        assert (
            max(sample.descriptors for sample in warm[-20:])
            <= max(sample.descriptors for sample in warm[:20]) + 5
        )
        assert rows["users"] <= PEOPLE + 4
        assert rows["late events"] == rows["late sessions"] == rows["late revocations"] == 0
        assert before <= 2 * after + 5


def progress(sample: Sample) -> str:
    return f"{sample.at / 60:5.1f} min: {sample}, p99 {sample.p99:.0f} ms"


class Place:
    """The database, looked at from beside the server."""

    def __init__(self, file: Path, url: str | None) -> None:
        self.file, self.url = file, url

    def settle(self) -> None:
        """Entries live by the longest life of a token, which falls late; but here nobody has one yet."""
        asyncio.run(
            self._do([f"UPDATE head SET longest_life = {KEPT * 1000}, lower_life = NULL, lower_at = NULL"])
        )

    def __str__(self) -> str:
        entries = self._fetch("SELECT count(*) FROM revocations")
        return f"{entries:.0f} revocations, {self.megabytes():.1f} MB of data"

    def megabytes(self) -> float:
        """All it takes of the disk."""
        if self.url is None:
            return sum(part.stat().st_size for part in self.file.parent.glob("watchword.db*")) / 1e6
        tables = "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        return float(self._fetch(f"{tables} WHERE nspname = current_schema() AND relkind = 'r'")) / 1e6

    def compact(self) -> float:
        """The same, after what is not needed was let go."""
        asyncio.run(self._do(["VACUUM"] if self.url is None else self._vacuums()))
        return self.megabytes()

    def rows(self) -> dict[str, int]:
        """How many there are; *late* are those that should have been cleared up half a minute ago."""
        late = int((time.time() - 30) * 1000)
        counts = {
            "users": "users",
            "sessions": "sessions",
            "events": "events",
            "revocations": "revocations",
            "late events": f"events WHERE at < {late - KEPT * 1000}",
            "late sessions": f"sessions WHERE ended_at < {late - KEPT * 1000}",
            "late revocations": f"revocations WHERE expires_at BETWEEN 1 AND {late}",
        }
        return {name: int(self._fetch(f"SELECT count(*) FROM {what}")) for name, what in counts.items()}

    def _fetch(self, query: str) -> Any:
        if self.url is not None:
            return asyncio.run(self._ask(self.url, query))
        with closing(sqlite3.connect(self.file)) as connection:
            (found,) = connection.execute(query).fetchone()
        return found

    async def _ask(self, url: str, query: str) -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    def _vacuums(self) -> list[str]:
        names = "SELECT string_agg(tablename, ' ') FROM pg_tables WHERE schemaname = current_schema()"
        return [f"VACUUM FULL {table}" for table in str(self._fetch(names)).split()]

    async def _do(self, statements: Sequence[str]) -> None:
        if self.url is None:
            with closing(sqlite3.connect(self.file, isolation_level=None)) as embedded:
                for statement in statements:
                    embedded.execute(statement)
            return
        connection = await asyncpg.connect(self.url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()
