"""A store: its topics over one engine, and counters for all who share it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, get_type_hints

from watchword.server.ephemeral.counters import Counters
from watchword.server.store.engine import Engine, Topic
from watchword.server.store.intentions.apis import Apis
from watchword.server.store.intentions.clients import Clients
from watchword.server.store.intentions.email_changes import EmailChanges
from watchword.server.store.intentions.events import Events
from watchword.server.store.intentions.keys import Keys
from watchword.server.store.intentions.meta import Meta
from watchword.server.store.intentions.one_time import OneTime
from watchword.server.store.intentions.password_resets import PasswordResets
from watchword.server.store.intentions.revocations import Revocations
from watchword.server.store.intentions.roles import Roles
from watchword.server.store.intentions.sessions import Sessions
from watchword.server.store.intentions.users import Users
from watchword.server.store.sql import revocations as log

__all__ = ["Store"]


class Store:
    """Everything that is kept, by topic.

    Args:
        engine: runs the intentions of all topics.
        counters: counters of attempts, for all who share the store. They may be lost, and are no part of its data.
    """

    users: Users
    sessions: Sessions
    clients: Clients
    roles: Roles
    apis: Apis
    keys: Keys
    events: Events
    revocations: Revocations
    one_time: OneTime
    password_resets: PasswordResets
    email_changes: EmailChanges
    meta: Meta

    def __init__(self, engine: Engine, counters: Counters) -> None:
        self.engine = engine
        self.counters = counters
        for name, topic in TOPICS.items():
            setattr(self, name, topic(engine))

    def now(self) -> datetime:
        """The clock of the store: where nodes share a database, they share its time."""
        return self.engine.now()

    async def ready(self) -> None:
        """Prove that reading works.

        Raises:
            TemporarilyUnavailable: it does not.
        """
        await self.engine.read(log.ready)

    async def check(self) -> Sequence[str]:
        """Everything that is broken in the data, one line each; empty if all is well."""
        return await self.engine.check()

    async def close(self) -> None:
        """Finish what was acknowledged and let go."""
        await self.engine.close()


TOPICS: Final[dict[str, type[Topic]]] = get_type_hints(Store)
"""The topics by the names under which a store has them."""
