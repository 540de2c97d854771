"""What a migration did is noted: a database of another build is refused, one of an earlier version is not (N16)."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from tests.upgrade.story import upgraded
from watchword.errors import ConfigurationError
from watchword.server.store import open as opening
from watchword.server.store.migrations import known

pytestmark = pytest.mark.anyio
Execute = Callable[[str], Awaitable[list[tuple[object, ...]]]]


@pytest.fixture(params=("sqlite", "postgres"))
def dialect(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def place(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    if dialect == "sqlite":
        return tmp_path / "watchword.db"
    url: str = await request.getfixturevalue("postgres").place()
    return url


async def execute(place: Path | str, sql: str) -> list[tuple[object, ...]]:
    if isinstance(place, Path):
        with closing(sqlite3.connect(place, isolation_level=None)) as file:
            return file.execute(sql).fetchall()
    connection = await asyncpg.connect(place)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "change", ["word = 'other'", "digest = '00112233445566778899aabbccddeeff'"], ids=["word", "digest"]
)
async def test_f_n16_a_step_that_did_something_else_is_refused(place: Path | str, change: str) -> None:
    """By every way in, in one line that names it; nothing is changed."""
    await (await opening.open_store(place)).close()
    await execute(place, f"UPDATE schema_migrations SET {change} WHERE number = 5")
    before = await execute(place, "SELECT number, word, digest FROM schema_migrations ORDER BY number")
    for attempt in (
        lambda: opening.open_store(place),
        lambda: opening.open_store(place, upgrade=False),
        lambda: opening.pending(place),
        lambda: opening.move_all(place, Path("never.db"), progress=lambda done, total: None, at_rest=True),
    ):
        with pytest.raises(
            ConfigurationError, match=r"its step 0005_\w+ is not the one of this program"
        ) as told:
            await attempt()
        assert "\n" not in str(told.value)
    assert (
        await execute(place, "SELECT number, word, digest FROM schema_migrations ORDER BY number") == before
    )


async def test_f_n16_an_earlier_version_s_database_is_taken_and_noted(
    dialect: str, place: Path | str
) -> None:
    """It noted nothing; from the upgrade on each step has its digest."""
    async with upgraded(dialect, str(place)):
        pass
    noted = await execute(place, "SELECT number, word, digest FROM schema_migrations ORDER BY number")
    assert noted == [(step.number, step.word, step.digest) for step in known(dialect)]  # type: ignore[arg-type]


async def test_f_n16_comments_are_no_part_of_a_step(dialect: str) -> None:
    """Nor is where its lines break; what it does is."""
    (step, *_) = known(dialect)  # type: ignore[arg-type]
    other = type(step)(step.number, step.word, "-- another remark\n\n" + step.sql.replace("\n", "\n\n"))
    assert other.digest == step.digest
    assert type(step)(step.number, step.word, step.sql + "DROP TABLE users;").digest != step.digest
