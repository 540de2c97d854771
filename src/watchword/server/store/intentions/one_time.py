"""Secrets that can be used once: the set-up link."""

from __future__ import annotations

from watchword.server.store.engine import Topic, reads, writes
from watchword.server.store.sql import one_time

__all__ = ["OneTime"]


class OneTime(Topic):
    """Secrets that can be used once."""

    add = writes(one_time.add)
    """Keep the digest of a secret handed out; an older one of the same purpose and subject is void."""
    get = reads(one_time.get)
    """Whether it could be spent now."""
    spend = writes(one_time.spend)
    """Spend it and add *user*, both or neither; ``None`` for all callers but one.

    Raises:
        EmailTaken, UsernameTaken, InvalidInput: as for ``Users.add``; it is not spent.
    """
