"""The shared store: PostgreSQL through asyncpg, the same intentions, any number of nodes.

An intention is one transaction under READ COMMITTED that first locks what it decides about, in the
order the intentions share; what it reads after that is what stands when it commits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self, TypeVar, Unpack

import asyncpg

from watchword.errors import ConfigurationError, TemporarilyUnavailable
from watchword.server.store.copying import TABLES
from watchword.server.store.intentions import (
    Intention,
    SqlApis,
    SqlClients,
    SqlRoles,
    SqlSessions,
    SqlUsers,
)
from watchword.server.store.links import SqlEmailChanges, SqlOneTime, SqlPasswordResets
from watchword.server.store.log import SqlEvents, SqlKeys, SqlRevocations
from watchword.server.store.meta import SqlMeta
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
from watchword.server.store.postgres.connector import TIMEOUT, Connector, part
from watchword.server.store.postgres.counters import PostgresCounters
from watchword.server.store.postgres.news import DatabaseClock, News
from watchword.server.store.postgres.pool import Pool, Use
from watchword.server.store.postgres.sessions import PostgresShortcut
from watchword.server.store.records import Origin
from watchword.server.store.sql import invariants, revocations
from watchword.server.store.sql.authority import Locks, authorized
from watchword.server.store.sql.transaction import LONGEST_LOG, Overlay, Transaction, join

__all__ = ["PostgresStore"]

T = TypeVar("T")

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
    email_changes: SqlEmailChanges
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
        patience: float = TIMEOUT,
    ) -> Self:
        """Open the database at *url* (``postgresql://user:password@host/name``).

        Args:
            url: as libpq reads it.
            now: the clock; without, the database's own, so that all nodes have one.
            overlay: what issued tokens show after a change of their user's roles.
            upgrade: apply missing migrations; without, a database that lacks some is refused.
            longest_log: entries of the log beyond which one that kills everything takes their place.
            monotonic: the clock of the counters; without, the database's own.
            patience: seconds to wait for a connection, and for the answer to a statement.

        Raises:
            ConfigurationError: the database cannot be reached or is of another version.
        """
        engine = await Engine.open(Connector(url, patience), now, overlay, longest_log, upgrade=upgrade)
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
            email_changes=SqlEmailChanges(engine),
            meta=SqlMeta(engine),
            counters=PostgresCounters(engine, monotonic),
            engine=engine,
        )

    def now(self) -> datetime:
        """The time all nodes share."""
        return self.engine.now()

    async def ready(self) -> None:
        """Prove that reading works."""
        await self.engine.read(revocations.ready)

    async def check(self) -> Sequence[str]:
        """Every broken rule of the data, one line each; empty when all is well."""
        return await self.engine.scan(invariants.broken)

    async def close(self) -> None:
        """Finish what is under way and let go."""
        await self.engine.close()


@dataclass(slots=True)
class Engine:
    """The pool under the protocols."""

    connector: Connector
    pool: Pool
    news: News
    now: Callable[[], datetime]
    overlay: Overlay
    longest_log: int
    past: Past
    shared_clock: bool

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

    async def write(self, intention: Intention[T], origin: Origin | None, **locks: Unpack[Locks]) -> T:
        """Carry out an intention for the caller in *origin*; it is durable when this returns.

        Raises:
            TemporarilyUnavailable: the database is away, or not the one that was known. What it was told last may
                have been carried out.
        """

        work = authorized(intention, origin, **locks)

        def carry_out(tx: Transaction) -> Coroutine[Any, Any, T]:
            self.past.require()
            return work(tx)

        return await self.write_anew(carry_out)

    async def write_anew(self, intention: Intention[T]) -> T:
        """The same for the intention that begins a new epoch.

        Raises:
            TemporarilyUnavailable: the database is away.
        """

        async def carry_out(connection: asyncpg.Connection) -> T:
            await connection.execute(self.connector.begin())
            try:
                outcome = await intention(self._transaction(connection))
            except Exception as fault:
                await _undo(connection, fault)
                raise
            if await connection.execute("COMMIT") != "COMMIT":
                raise TemporarilyUnavailable("the database undid the change", retry_after=1)
            return outcome

        return await self._until_alone("write", carry_out)

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

        def carry_out(connection: asyncpg.Connection) -> Coroutine[Any, Any, T]:
            self.past.require()
            return statement(self._transaction(connection))

        return await self._until_alone("read", carry_out)

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
