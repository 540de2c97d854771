"""What an earlier version left behind: its database, and the credentials that its users still hold."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from tests.server.stage import Somebody, Stage, open_stage

DATA = Path(__file__).parent / "data"
VERSION = "6d34b72"
"""The newest version before databases had to survive an upgrade in tests."""


@dataclass
class Story:
    """The credentials of one kept database; ``make.py`` says how they came to be."""

    kept: dict[str, Any]

    def person(self, name: str) -> Somebody:
        """Somebody with the tokens of their first sign-in."""
        return Somebody(**self.kept[name])

    def bearer(self, name: str) -> dict[str, str]:
        """The header of a token set that was handed out."""
        return {"Authorization": f"Bearer {self.kept[name]['access_token']}"}

    async def refresh(self, stage: Stage, token: str) -> httpx2.Response:
        return await stage.http.post("/auth/token", json={"refresh_token": token})


def load_story(dialect: str) -> Story:
    """The credentials that belong to the database of this dialect."""
    return Story(json.loads((DATA / f"{VERSION}.{dialect}.json").read_text()))


async def restore(dialect: str, place: str) -> None:
    """Put the kept database at *place*: a file's path or a PostgreSQL URL of an empty schema."""
    dump = (DATA / f"{VERSION}.{dialect}.sql").read_text()
    if dialect == "sqlite":
        connection = sqlite3.connect(place)
        connection.executescript(dump)
        connection.close()
        return
    remote = await asyncpg.connect(place)
    try:
        await remote.execute(dump)
    finally:
        await remote.close()


@asynccontextmanager
async def upgraded(dialect: str, place: str, **settings: str) -> AsyncIterator[tuple[Stage, Story]]:
    """This version's server on the kept database, five minutes after the earlier one stopped."""
    story = load_story(dialect)
    await restore(dialect, place)
    url = f"sqlite:///{place}" if dialect == "sqlite" else place
    async with open_stage(database=url, secret=story.kept["secret"], **settings) as stage:
        stage.clock.forward(minutes=5)
        assert stage.clock.at > datetime.fromisoformat(story.kept["at"])
        yield stage, story
