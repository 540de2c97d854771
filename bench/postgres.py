"""A PostgreSQL for a measurement: as its makers set it, so that a commit waits for the disk.

``python -m bench.postgres FILE`` runs one with the people of a SQLite file in it, and prints its URL, until its input
ends.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import databases
from watchword.server.store.open import move_all

__all__ = ["Database", "durable"]


@dataclass(frozen=True, slots=True)
class Database:
    """A cluster that runs."""

    pid: int
    cluster: databases.Cluster

    def with_people_of(self, file: Path) -> str:
        """The URL of a fresh place with everything that stands in the SQLite *file*."""

        async def fill() -> str:
            url = await self.cluster.place()
            await move_all(file, url, progress=lambda done, total: None, at_rest=True)
            return url

        return asyncio.run(fill())


@contextmanager
def durable() -> Iterator[Database]:
    """One of our own, until the block ends."""
    with databases.server("max_connections=100") as server:
        assert server.child is not None
        yield Database(server.child.pid, server.cluster)


if __name__ == "__main__":
    with durable() as database:
        print(database.with_people_of(Path(sys.argv[1])), flush=True)
        sys.stdin.read()
