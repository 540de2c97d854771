"""The schema, step by step: numbered SQL files, each applied once, in order. Both dialects count alike."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from watchword.errors import ConfigurationError

__all__ = ["TABLE", "Migration", "known", "missing"]

TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_migrations"
    " (number INTEGER PRIMARY KEY, word TEXT NOT NULL, applied_at BIGINT NOT NULL)"
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its number, the word in its file name and its SQL."""

    number: int
    word: str
    sql: str


def known(dialect: Literal["sqlite", "postgres"]) -> Sequence[Migration]:
    """Every step this program knows, in order."""
    found = []
    for file in files("watchword.server.store").joinpath("migrations", dialect).iterdir():
        number, _, rest = file.name.partition("_")
        if number.isdigit() and rest.endswith(".sql"):
            found.append(Migration(int(number), rest.removesuffix(".sql"), file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda step: step.number)


def missing(dialect: Literal["sqlite", "postgres"], applied: Collection[int]) -> Sequence[Migration]:
    """The steps a database lacks that has had those *applied*.

    Raises:
        ConfigurationError: it has steps this program does not know: it belongs to a newer one.
    """
    steps = known(dialect)
    if set(applied) - {step.number for step in steps}:
        raise ConfigurationError("database: it was made by a newer version of this program")
    return [step for step in steps if step.number not in applied]
