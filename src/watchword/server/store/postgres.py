"""The shared store: PostgreSQL through asyncpg, the same intentions, any number of nodes.

An intention is one transaction under READ COMMITTED that first locks what it decides about, in the
order the intentions share; what it reads after that is what stands when it commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self, TypeVar

import asyncpg

from watchword.errors import ConfigurationError, TemporarilyUnavailable
from watchword.server.store import postgres_schema
from watchword.server.store.intentions import (
    Intention,
    SqlApis,
    SqlClients,
    SqlMeta,
    SqlOneTime,
    SqlPasswordResets,
    SqlRoles,
    SqlSessions,
    SqlUsers,
)
from watchword.server.store.log import SqlEvents, SqlKeys, SqlRevocations
from watchword.server.store.postgres_connection import (
    CONNECTING,
    FAULTS,
    PATIENCE,
    PostgresConnection,
    connect,
    is_away,
    is_collision,
    unreachable,
)
from watchword.server.store.postgres_counters import PostgresCounters
from watchword.server.store.postgres_news import DatabaseClock, News
from watchword.server.store.postgres_sessions import PostgresShortcut
from watchword.server.store.sql import invariants
from watchword.server.store.sql.transaction import LONGEST_LOG, Overlay, Transaction, join

__all__ = ["PostgresStore"]

T = TypeVar("T")

_CONNECTIONS: Final = 10
_ATTEMPTS: Final = 5


@dataclass(slots=True)
class PostgresStore:
    """A store in a PostgreSQL database that several nodes share; use ``open``."""

    users: SqlUsers
    sessions: SqlSessions
    clients: SqlClients
    roles: SqlRoles
    apis: SqlApis
    keys: SqlKeys
    events: SqlEvents
    revocations: SqlRevocations
    one_time: SqlOneTime
    password_resets: SqlPasswordResets
    meta: SqlMeta
    counters: PostgresCounters
    engine: Engine

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        now: Callable[[], datetime] | None = None,
        overlay: Overlay = lambda user, granted: {"roles": list(user.roles), "scope": join(granted)},
        upgrade: bool = True,
        longest_log: int = LONGEST_LOG,
        monotonic: Callable[[], float] | None = None,
    ) -> Self:
        """Open the database at *url* (``postgresql://user:password@host/name``).

        Args:
            url: as libpq reads it.
            now: the clock; without, the database's own, so that all nodes have one.
            overlay: what issued tokens show after a change of their user's roles.
            upgrade: apply missing migrations; without, a database that lacks some is refused.
            longest_log: entries of the log beyond which one that kills everything takes their place.
            monotonic: the clock of the counters; without, the database's own.

        Raises:
            ConfigurationError: the database cannot be reached or is of another version.
        """
        engine = await Engine.open(url, now, overlay, longest_log, upgrade=upgrade)
        return cls(
            users=SqlUsers(engine),
            sessions=SqlSessions(engine, PostgresShortcut(engine)),
            clients=SqlClients(engine),
            roles=SqlRoles(engine),
            apis=SqlApis(engine),
            keys=SqlKeys(engine),
            events=SqlEvents(engine),
            revocations=SqlRevocations(engine),
            one_time=SqlOneTime(engine),
            password_resets=SqlPasswordResets(engine),
            meta=SqlMeta(engine),
            counters=PostgresCounters(engine, monotonic),
            engine=engine,
        )

    def now(self) -> datetime:
        """The time all nodes share."""
        return self.engine.now()

    async def ready(self) -> None:
        """Prove that reading works."""
        await self.engine.read(lambda tx: tx.one("SELECT 1 FROM head"))

    async def check(self) -> Sequence[str]:
        """Every broken rule of the data, one line each; empty when all is well."""
        return await self.engine.scan(invariants.broken)

    async def close(self) -> None:
        """Finish what is under way and let go."""
        await self.engine.close()


@dataclass(slots=True)
class Engine:
    """The pool under the protocols; a connection that broke is replaced when the next one is asked for."""

    pool: asyncpg.Pool
    news: News
    now: Callable[[], datetime]
    overlay: Overlay
    longest_log: int
    _closed: bool = False

    @classmethod
    async def open(
        cls,
        url: str,
        now: Callable[[], datetime] | None,
        overlay: Overlay,
        longest_log: int,
        *,
        upgrade: bool,
    ) -> Self:
        """Connect, bring the schema up to date, listen."""
        clock = DatabaseClock()
        try:
            connection = await connect(url)
            try:
                await clock.measure(connection)
                if upgrade:
                    await postgres_schema.apply(connection, (now or clock.now)())
                elif await postgres_schema.pending(connection):
                    raise ConfigurationError("database: it lacks migrations; run `watchword db upgrade`")
            finally:
                await connection.close()
            pool = await asyncpg.create_pool(
                url, min_size=0, max_size=_CONNECTIONS, reset=_leave_as_it_is, **CONNECTING
            )
        except FAULTS as broken:
            raise unreachable(broken) from None
        news = News(lambda: connect(url), clock.measure)
        news.start()
        return cls(pool, news, now or clock.now, overlay, longest_log)

    async def write(self, intention: Intention[T]) -> T:
        """Carry out an intention; it is durable when this returns.

        Raises:
            TemporarilyUnavailable: the database is away. What it was told last may have been carried out.
        """

        async def carry_out(connection: asyncpg.pool.PoolConnectionProxy) -> T:
            async with connection.transaction():
                return await intention(self._transaction(connection))

        return await self._until_alone(carry_out)

    async def read(self, query: Intention[T]) -> T:
        """Answer a look-up, each of its statements for itself.

        Raises:
            TemporarilyUnavailable: as ``write``.
        """
        return await self._until_alone(lambda connection: query(self._transaction(connection)))

    async def _until_alone(self, work: Callable[[asyncpg.pool.PoolConnectionProxy], Awaitable[T]]) -> T:
        for _ in range(_ATTEMPTS):
            try:
                async with self._connection() as connection:
                    return await work(connection)
            except asyncpg.PostgresError as lost:
                if not is_collision(lost):
                    raise
        raise TemporarilyUnavailable("others were faster, again and again", retry_after=1)

    async def snapshot(self, query: Intention[T]) -> T:
        """Answer from one state of the database."""
        async with (
            self._connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await query(self._transaction(connection))

    async def scan(self, query: Intention[T]) -> T:
        """The same: here nothing keeps the loop."""
        return await self.snapshot(query)

    def watch(self) -> AsyncIterator[None]:
        """After each commit of any node that moved the log."""
        return self.news.watch()

    async def close(self) -> None:
        """End every connection, those at work after they have finished."""
        self._closed = True
        await self.news.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await self.pool.close()
        except TimeoutError:
            self.pool.terminate()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        if self._closed:
            raise TemporarilyUnavailable("the store is closed")
        try:
            async with self.pool.acquire(timeout=PATIENCE) as connection:
                yield connection
        except Exception as error:
            if is_away(error):
                raise TemporarilyUnavailable(
                    "the database cannot be used right now", retry_after=1
                ) from error
            raise

    def _transaction(self, connection: asyncpg.pool.PoolConnectionProxy) -> Transaction:
        return Transaction(PostgresConnection(connection), self.now(), self.overlay, self.longest_log)


async def _leave_as_it_is(connection: object) -> None:
    """No session state is ever set, so none is reset: it would cost a round trip each time."""
