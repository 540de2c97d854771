"""A database that is lent again is as it was: else a test would find what another one left."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.databases import Cluster
from tests.places import TABLES, lent
from tests.server.stage import open_stage
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio


@pytest.fixture
def cluster(postgres: Cluster) -> Cluster:
    """The same server, with nothing to lend yet."""
    return Cluster(postgres.url)


async def everything(place: str) -> dict[str, Any]:
    """Every row, and the number that each sequence gives next."""
    connection = await asyncpg.connect(place)
    try:
        tables = [row[0] for row in await connection.fetch(TABLES)]
        found = {table: await connection.fetchval(f"SELECT jsonb_agg(t) FROM {table} t") for table in tables}
        numbers = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = current_schema()"
        return found | {row[0]: row[1] for row in await connection.fetch(numbers)}
    finally:
        await connection.close()


async def execute(place: str, sql: str) -> None:
    connection = await asyncpg.connect(place)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


class TestLent:
    async def test_it_is_what_it_was(self, cluster: Cluster) -> None:
        """Users, sessions, kills, roles, keys and counted attempts are gone, and numbers begin at one."""
        async with lent(cluster) as first:
            before = await everything(first)
            async with open_stage(database=first) as stage:
                ada = await stage.newcomer()
                await stage.post_login(email=ada.email, password="wrong")
                await stage.services.users.ban(ada.id, None, None, Origin())
            await execute(first, "UPDATE head SET epoch = epoch + 7; DELETE FROM roles")
            spent = await everything(first)
        async with lent(cluster) as again:
            assert again == first
            assert await everything(again) == before
        assert {name for name in before if spent[name] != before[name]} >= {
            "users", "sessions", "events", "revocations", "signing_keys", "counters", "head", "roles", "meta",
            "users_n_seq", "sessions_n_seq", "events_id_seq",
        }  # fmt: skip

    async def test_two_at_once_are_two(self, cluster: Cluster) -> None:
        """Nobody shares."""
        async with lent(cluster):
            pass
        async with lent(cluster) as one, lent(cluster) as other:
            assert one != other

    @pytest.mark.parametrize(
        "change",
        [
            "ALTER TABLE sessions ADD COLUMN more TEXT",
            "ALTER TABLE users ALTER COLUMN email DROP NOT NULL",
            "ALTER TABLE users DISABLE TRIGGER ALL",
            "DROP INDEX revocations_by_end",
            "CREATE TABLE more ()",
            "CREATE OR REPLACE FUNCTION microseconds_now() RETURNS BIGINT LANGUAGE sql AS 'SELECT 1::bigint'",
            "DELETE FROM schema_migrations; DROP TABLE counters",
        ],
    )
    async def test_a_schema_that_was_touched_is_not_lent_again(self, cluster: Cluster, change: str) -> None:
        """Whoever changes it keeps it."""
        async with lent(cluster) as first:
            await execute(first, change)
        async with lent(cluster) as another:
            assert another != first

    async def test_what_somebody_holds_is_not_lent_again(self, cluster: Cluster) -> None:
        """A transaction that a test left open."""
        async with lent(cluster) as first:
            forgotten = await asyncpg.connect(first)
            await forgotten.execute("BEGIN; UPDATE head SET epoch = epoch")
        try:
            async with lent(cluster) as another:
                assert another != first
        finally:
            await forgotten.close()
