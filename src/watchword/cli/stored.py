"""The doctor's checks of the database: can it be used, who serves from it, how old is its newest backup."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from watchword.cli.advice import Advice
from watchword.cli.facts import Facts
from watchword.cli.moment import distance
from watchword.server import presence

__all__ = ["backup", "database", "nodes"]

_OLD_BACKUP: Final = timedelta(days=7)


def database(facts: Facts) -> Advice:
    """Whether the database can be opened, and writes as it should."""
    found = facts.database
    if found is None:
        return Advice("advice", "there is no database yet", "watchword serve")
    if found.fault is not None:
        return Advice("unsafe", f"the database: {found.fault}", "watchword db check, or a backup")
    if found.pending:
        return Advice("advice", f"the schema lacks {', '.join(found.pending)}", "watchword db upgrade")
    if found.journal != "wal":
        return Advice(
            "slow",
            f"the journal of the database is {found.journal}: readers and the writer wait for each other",
            "put the data folder on a local disk",
        )
    return Advice("good", "the database writes ahead (WAL) and waits for the disk (FULL)")


def nodes(facts: Facts) -> Advice | None:
    """Whether all who serve from the database have the same settings, and those that stand here."""
    running = facts.database.nodes if facts.database else ()
    if not running:
        return None
    if between := presence.differences(running[0], running[1:], here="at one", there="at another"):
        return Advice(
            "unsafe",
            f"nodes on this database differ in {', '.join(between)}",
            "give all nodes the same settings",
        )
    ours = presence.agreed(facts.settings)
    if changed := presence.differences(ours, running):
        return Advice(
            "advice",
            f"the server that runs has other settings than stand here: {', '.join(changed)}",
            "restart it, or run the doctor with its settings",
        )
    return Advice("good", f"{len(running)} running, with these settings")


def backup(facts: Facts) -> Advice | None:
    """How old the newest backup is; one made by other means than ours is not known, and nothing is said."""
    made_at = facts.database.backed_up_at if facts.database else None
    if made_at is None:
        return None
    age = (facts.now - made_at).total_seconds()
    if facts.now - made_at > _OLD_BACKUP:
        return Advice("advice", f"the last backup is {distance(age)} old", "watchword db backup FILE")
    return Advice("good", f"the last backup is {distance(age)} old")
