"""PostgreSQL through asyncpg: the same intentions, any number of nodes.

An intention is one transaction under READ COMMITTED that first locks what it decides about, in the
order the intentions share; what it reads after that is what stands when it commits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, ParamSpec, Self, TypeVar

import asyncpg

from watchword.errors import ConfigurationError, TemporarilyUnavailable
from watchword.server.store.copying import TABLES
from watchword.server.store.engine import Intention, writes
from watchword.server.store.past import PAST, Past
from watchword.server.store.position import Position
from watchword.server.store.postgres import schema
from watchword.server.store.postgres.connection import (
    FAULTS,
    PostgresConnection,
    is_away,
    is_collision,
    unreachable,
)
from watchword.server.store.postgres.connector import Connector, part
from watchword.server.store.postgres.news import DatabaseClock, News
from watchword.server.store.postgres.pool import Pool, Use
from watchword.server.store.postgres.sessions import PostgresShortcut
from watchword.server.store.sql import invariants
from watchword.server.store.sql.transaction import Overlay, Transaction

__all__ = ["PostgresEngine"]

P = ParamSpec("P")
T = TypeVar("T")

_ATTEMPTS: Final = 5


@dataclass(slots=True)
class PostgresEngine:
    """Intentions on a PostgreSQL database that several nodes share."""

    connector: Connector
    pool: Pool
    news: News
    now: Callable[[], datetime]
    overlay: Overlay
    longest_log: int
    past: Past
    shared_clock: bool
    shortcut: PostgresShortcut = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.shortcut = PostgresShortcut(self)

    @classmethod
    async def open(
        cls,
        connector: Connector,
        now: Callable[[], datetime] | None,
        overlay: Overlay,
        longest_log: int,
        *,
        upgrade: bool,
    ) -> Self:
        """Connect, check the database, bring the schema up to date, listen."""
        clock = DatabaseClock()
        try:
            connection = await connector.open()
            try:
                await connector.examine(connection)
                await clock.measure(connection)
                if await schema.pending(connection):
                    if not upgrade:
                        raise ConfigurationError("database: it lacks migrations; run `watchword db upgrade`")
                    await schema.upgrade(connector, (now or clock.now)())
                await connector.examine_rights(connection, [*(table.name for table in TABLES), "nodes"])
            finally:
                await part(connection)
        except FAULTS as broken:
            raise unreachable(broken) from None
        past = Past()
        pool = Pool(lambda: _open_checked(connector, past), connector.timeout)
        news = News(connector.open, clock.measure, answered=pool.trust)
        past.alarm = news.wake
        news.start()
        return cls(connector, pool, news, now or clock.now, overlay, longest_log, past, now is None)

    @property
    def sweeps(self) -> bool:
        """True: nodes take turns by a lock."""
        return True

    async def carry_out(self, door: writes[P, T], /, *args: P.args, **named: P.kwargs) -> T:
        """Run what writes; it is durable when this returns.

        Raises:
            TemporarilyUnavailable: the database is away, or not the one that was known. What it was told last may
                have been carried out.
        """
        return await self.write(door.bind(args, named), anew=door.anew)

    async def write(self, intention: Intention[T], *, anew: bool = False) -> T:
        """The same for any intention; *anew*: also on a database of another past."""

        async def work(connection: asyncpg.Connection) -> T:
            await connection.execute(self.connector.begin())
            try:
                if not anew:
                    self.past.require()
                outcome = await intention(self._transaction(connection))
            except Exception as fault:
                await _undo(connection, fault)
                raise
            if await connection.execute("COMMIT") != "COMMIT":
                raise TemporarilyUnavailable("the database undid the change", retry_after=1)
            return outcome

        return await self._until_alone("write", work)

    async def read(self, query: Intention[T]) -> T:
        """Answer a look-up, each of its statements for itself.

        Raises:
            TemporarilyUnavailable: as ``write``.
        """
        return await self._until_alone("read", lambda connection: query(self._transaction(connection)))

    async def write_alone(self, statement: Intention[T]) -> T:
        """Carry out one statement that writes, commits by itself and waits for no lock.

        Raises:
            TemporarilyUnavailable: as ``write``.
        """

        async def work(connection: asyncpg.Connection) -> T:
            self.past.require()
            return await statement(self._transaction(connection))

        return await self._until_alone("read", work)

    async def settle(self, intention: Intention[T]) -> T:
        """Carry out one statement that commits by itself and may wait for a lock.

        Raises:
            TemporarilyUnavailable: as ``write``.
        """
        return await self._until_alone("write", lambda connection: intention(self._transaction(connection)))

    async def _until_alone(self, use: Use, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        for _ in range(_ATTEMPTS):
            try:
                return await self._run(use, work)
            except asyncpg.PostgresError as lost:
                if not is_collision(lost):
                    raise
        raise TemporarilyUnavailable("The database is busy. Please retry.", retry_after=1)

    async def snapshot(self, query: Intention[T]) -> T:
        """Answer from one state of the database."""

        async def look(connection: asyncpg.Connection) -> T:
            await connection.execute(self.connector.begin(scan=True))
            patient = PostgresConnection(connection, self.connector.scan_timeout)
            try:
                outcome = await query(self._over(patient))
            except Exception as fault:
                await _undo(connection, fault)
                raise
            await connection.execute("COMMIT")
            return outcome

        return await self._run("scan", look)

    async def scan(self, query: Intention[T]) -> T:
        """The same: here nothing keeps the loop."""
        return await self.snapshot(query)

    def watch(self) -> AsyncIterator[None]:
        """After each commit of any node that moved the log."""
        return self.news.watch()

    async def check(self) -> Sequence[str]:
        """Everything that is broken in the data, one line each."""
        return await self.scan(invariants.broken)

    async def close(self) -> None:
        """End every connection, those at work after they have finished."""
        await self.news.close()
        await self.pool.close()

    async def _run(self, use: Use, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        try:
            return await self.pool.run(use, work)
        except Exception as error:
            if is_away(error) and not is_collision(error):
                raise TemporarilyUnavailable(
                    "the database cannot be used right now", retry_after=1
                ) from error
            raise

    def _transaction(self, connection: asyncpg.Connection) -> Transaction:
        return self._over(PostgresConnection(connection))

    def _over(self, connection: PostgresConnection) -> Transaction:
        return Transaction(connection, self.now(), self.overlay, self.longest_log, self.shared_clock)


async def _open_checked(connector: Connector, past: Past) -> asyncpg.Connection:
    """A new connection, after comparing its database with the one that was known: it may lead to another by now."""
    connection = await connector.open()
    try:
        known = past.known
        if known.mark:
            row = await connection.fetchrow(PAST.replace("?", "$1"), known.sequence)
            past.check(known, Position(*row[:3]), *row[3:])
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _undo(connection: asyncpg.Connection, fault: Exception) -> None:
    """Roll back, where there is somebody to say it to: a connection that stayed silent once is not asked again."""
    if not isinstance(fault, TimeoutError) and not connection.is_closed():
        await connection.execute("ROLLBACK")
