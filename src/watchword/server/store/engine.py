"""Engines that run intentions, and the doors of the store's topics: what is called, and how it runs.

An intention is a function of ``store.sql``: one transaction, whose first argument is the transaction and whose other
arguments the caller gives. A topic names its intentions, one line each::

    class Users(Topic):
        ban = writes(users.ban, user="user_id")
        get = reads(users.get)

Which process runs an intention, and on which database, is the engine's affair.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from functools import partial
from inspect import signature
from typing import Any, Concatenate, Final, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

from msgspec import UNSET

from watchword.server.store.past import Past
from watchword.server.store.records import (
    Advanced,
    Live,
    NewSession,
    Opened,
    Origin,
    PresentedRefreshToken,
    Refused,
    SessionRules,
)
from watchword.server.store.sql.authority import Locks, authorized
from watchword.server.store.sql.transaction import Transaction

__all__ = ["WRITES", "Engine", "Intention", "Shortcut", "Topic", "reads", "scans", "snapshots", "writes"]

P = ParamSpec("P")
T = TypeVar("T")
Intention = Callable[[Transaction], Coroutine[Any, Any, T]]
Body = Callable[Concatenate[Transaction, P], Coroutine[Any, Any, T]]


class Engine(Protocol):
    """What runs intentions on one database."""

    @property
    def past(self) -> Past:
        """What this process knows of the log, and whether the database contradicts it."""

    @property
    def shortcut(self) -> Shortcut | None:
        """Statements that decide the usual cases of sessions; ``None``: transactions decide them all."""

    @property
    def sweeps(self) -> bool:
        """Whether this process deletes what is over; of the workers on one file only the one that writes does."""

    def now(self) -> datetime:
        """The clock: where nodes share a database, they share its time."""

    async def carry_out(self, door: writes[P, T], /, *args: P.args, **named: P.kwargs) -> T:
        """Run what writes: in a transaction, durable on return, and only if the caller still may (``authorized``).

        Raises:
            TemporarilyUnavailable: the database is away, or isn't the one that was known.
        """

    async def read(self, query: Intention[T]) -> T:
        """Run a look-up by key. What takes several statements may see a later state in the later ones."""

    async def snapshot(self, query: Intention[T]) -> T:
        """Run a look-up whose statements all see one state."""

    async def scan(self, query: Intention[T]) -> T:
        """Run a look-up that walks through many rows: it must not block the loop."""

    def watch(self) -> AsyncIterator[None]:
        """Yield after each commit that may have moved the log; it may yield in vain."""

    async def check(self) -> Sequence[str]:
        """Everything that is broken in the data, one line each."""

    async def close(self) -> None:
        """Finish what was acknowledged and let go."""


class Shortcut(Protocol):
    """One statement in place of a transaction, where a database has one that decides the same."""

    async def advance(
        self, presented: PresentedRefreshToken, client_id: str, rules: SessionRules, origin: Origin
    ) -> Advanced | None:
        """Move a current counter on. ``None``: nothing was done, and the transaction must tell why."""

    async def open(self, new: NewSession, rules: SessionRules, origin: Origin) -> Opened | None:
        """Open a session that nothing stands in the way of. ``None``: as above."""

    async def live(self, session_id: str) -> Live | Refused:
        """Whether a session lives, and its facts."""


class Topic:
    """A topic of the store: its doors, over one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine


class writes(Generic[P, T]):
    """A door to an intention that writes.

    Before it runs for a caller, what it locks is locked together with the caller (``Locks``).

    Args:
        body: the intention. Its argument ``origin``, if it has one, says for whom it is done.
        user: the argument that names the user it acts on; ``new.user_id`` is a member of one.
        session: or the session, whose user is meant.
        roles: how it locks the roles.
        roles_with: the argument without which it doesn't.
        alone: whether it locks many users, or ends what all callers rest on.
        by_anybody: whether it is done although who caused it may do nothing any more.
        anew: whether it is done on a database of another past, which it makes good.
    """

    def __init__(
        self,
        body: Body[P, T],
        *,
        user: str | None = None,
        session: str | None = None,
        roles: Literal["UPDATE", "SHARE"] | None = None,
        roles_with: str | None = None,
        alone: bool = False,
        by_anybody: bool = False,
        anew: bool = False,
    ) -> None:
        self.body = body
        self.anew = anew
        self._alone = alone
        self._roles: Final = roles
        self._places = {name: place for place, name in enumerate([*signature(body).parameters][1:])}
        self._paths = {
            name: path.split(".")
            for name, path in (("user", user), ("session", session), ("roles_with", roles_with))
            if path is not None
        }
        self._has_origin = "origin" in self._places and not by_anybody

    def __set_name__(self, owner: type[Topic], name: str) -> None:
        self.topic, self.name = owner.__name__, name
        WRITES[self.topic, name] = self

    @overload
    def __get__(self, topic: None, owner: type[Topic]) -> writes[P, T]: ...

    @overload
    def __get__(self, topic: Topic, owner: type[Topic]) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, topic: Topic | None, owner: type[Topic]) -> Any:
        return self if topic is None else partial(topic.engine.carry_out, self)

    def bind(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> Intention[T]:
        """The intention with its arguments, preceded by the check of the caller, if there is one."""
        body = self.body

        def act(tx: Transaction) -> Coroutine[Any, Any, T]:
            return body(tx, *args, **named)

        origin = self._argument(["origin"], args, named) if self._has_origin else None
        if origin is None or origin.authority is None:
            return act
        return authorized(act, origin, **self._locks(args, named))

    def _locks(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> Locks:
        found = {name: self._argument(path, args, named) for name, path in self._paths.items()}
        return Locks(
            user_id=found.get("user"),
            session_id=found.get("session"),
            roles=None if found.get("roles_with") is UNSET else self._roles,
            alone=self._alone,
        )

    def _argument(self, path: Sequence[str], args: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        place = self._places[path[0]]
        value = args[place] if place < len(args) else named.get(path[0])
        for member in path[1:]:
            value = getattr(value, member)
        return value


WRITES: Final[dict[tuple[str, str], writes[Any, Any]]] = {}
"""Every door that writes, by its topic and name: what a process that only reads may ask for."""


class _Query(Generic[P, T]):
    """A door to an intention that only reads."""

    run: str

    def __init__(self, body: Body[P, T]) -> None:
        self.body = body

    @overload
    def __get__(self, topic: None, owner: type[Topic]) -> _Query[P, T]: ...

    @overload
    def __get__(self, topic: Topic, owner: type[Topic]) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, topic: Topic | None, owner: type[Topic]) -> Any:
        if topic is None:
            return self
        run, body = getattr(topic.engine, self.run), self.body

        async def ask(*args: P.args, **named: P.kwargs) -> T:
            found: T = await run(lambda tx: body(tx, *args, **named))
            return found

        return ask


class reads(_Query[P, T]):
    """A door to a look-up by key (``Engine.read``)."""

    run = "read"


class snapshots(_Query[P, T]):
    """A door to a look-up whose statements see one state (``Engine.snapshot``)."""

    run = "snapshot"


class scans(_Query[P, T]):
    """A door to a look-up that walks through many rows (``Engine.scan``)."""

    run = "scan"
