"""The schema, step by step: numbered SQL files, each applied once, in order. Both dialects count alike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from importlib.resources import files
from typing import Literal

from watchword.errors import ConfigurationError

__all__ = ["SIGN", "TABLE", "Applied", "Migration", "known", "missing"]

TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_migrations"
    " (number INTEGER PRIMARY KEY, word TEXT NOT NULL, applied_at BIGINT NOT NULL)"
)


SIGN = "UPDATE schema_migrations SET digest = {} WHERE number = {} AND digest = ''"
"""Notes what a step did; its column is made by one of the steps."""

Applied = Mapping[int, tuple[str, str]]
"""The steps that a database has had: number -> word and digest. The digest is empty where it was never noted."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its number, the word in its file name and its SQL."""

    number: int
    word: str
    sql: str

    @property
    def digest(self) -> str:
        """A digest of what it does; comments and the breaking of lines are not part of that."""
        bare = re.sub(r"--[^\n]*", "", self.sql)
        return blake2b(" ".join(bare.split()).encode(), digest_size=16).hexdigest()


def known(dialect: Literal["sqlite", "postgres"]) -> Sequence[Migration]:
    """Every step this program knows, in order."""
    found = []
    for file in files("watchword.server.store").joinpath("migrations", dialect).iterdir():
        number, _, rest = file.name.partition("_")
        if number.isdigit() and rest.endswith(".sql"):
            found.append(Migration(int(number), rest.removesuffix(".sql"), file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda step: step.number)


def missing(dialect: Literal["sqlite", "postgres"], applied: Applied) -> Sequence[Migration]:
    """The steps a database lacks that has had those *applied*.

    Raises:
        ConfigurationError: it has steps this program does not know, or that did something else: it belongs to a
            newer one, or to another.
    """
    steps = known(dialect)
    if set(applied) - {step.number for step in steps}:
        raise ConfigurationError("database: it was made by a newer version of this program")
    for step in steps:
        word, digest = applied.get(step.number, (step.word, ""))
        if word != step.word or digest not in ("", step.digest):
            raise ConfigurationError(
                f"database: its step {step.number:04d}_{word} is not the one of this program; another build of "
                "Watchword made it. Run that build, or restore a backup"
            )
    return [step for step in steps if step.number not in applied]
