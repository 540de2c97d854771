"""A plan past these machines: what 10^8 users, 10^4 API processes and 10^5 refreshes a second would need.

Nothing of that size was run. What one request, row, entry or stream costs is measured (``bench.inputs``), how the
feed fans out is simulated (``bench.fanout``), the rest is arithmetic over assumptions that stand here by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bench.fanout import Heard, commits, poll, push
from bench.inputs import Inputs
from bench.table import Cell, Table, number

__all__ = ["Plan", "fan_out"]

USERS: Final = 10**8
PROCESSES: Final = 10**4
REFRESHES: Final = 10**5
"""A second."""

SESSIONS_A_USER: Final = 2
LOGIN_EVERY: Final = 30 * 86_400
"""Seconds between two log-ins of one user."""
PEAK: Final = 4
"""The busiest second beside the mean one."""
EVENTS_A_LOGIN: Final = 2.2
"""It opens a session, which ends; a fifth is tried with a wrong password before."""
CORES: Final = 16
"""Of one machine."""
BUSY: Final = 0.5
"""A core is planned to be busy for that share of its time."""
TOKEN_LIFE: Final = 600
"""``ACCESS_TOKEN_TTL``."""
KEPT: Final = TOKEN_LIFE + 300
"""How long the feed keeps an entry."""
SESSION_RETENTION: Final = 30 * 86_400
EVENT_RETENTION: Final = 365 * 86_400

PRIMARY: Final = 20_000
"""Durable transactions of one row that one PostgreSQL primary takes a second."""
COMMIT: Final = 0.002
"""Seconds that a commit takes with a standby that is waited for, and the log's head row is held."""
PAGE: Final = 8192
CHECKPOINT: Final = 900
"""Seconds between two checkpoints, after each of which the first change of a page writes it whole."""
RECORD: Final = 150
"""Bytes of PostgreSQL's log around the new version of a row."""
LINK: Final = 1.25e9
"""Bytes a second of a network card of 10 Gbit/s."""

NODES: Final = 20
RELAYS: Final = 100
EDGES: Final = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """The arithmetic; *churn* is the share of users who log out, are banned or demoted in a day."""

    inputs: Inputs
    churn: float
    users: int = USERS
    processes: int = PROCESSES
    refreshes: int = REFRESHES

    @property
    def logins(self) -> float:
        """A second at the peak."""
        return self.users / LOGIN_EVERY * PEAK

    @property
    def entries(self) -> float:
        """New ones of the feed a second, at the peak."""
        return self.users * self.churn / 86_400 * PEAK

    @property
    def rows(self) -> dict[str, float]:
        """How many rows each table has."""
        return {
            "users": self.users,
            "sessions": self.users * (SESSIONS_A_USER + SESSION_RETENTION / LOGIN_EVERY),
            "events": self.logins / PEAK * EVENTS_A_LOGIN * EVENT_RETENTION,
            "revocations": self.entries * KEPT,
        }

    def gigabytes(self, table: str) -> float:
        """What they weigh."""
        return self.rows[table] * self.inputs.rows[table] / 1e9

    @property
    def log_bytes(self) -> float:
        """Bytes a second that PostgreSQL writes ahead for refreshes, whole pages after a checkpoint included."""
        pages = self.gigabytes("sessions") * 1e9 / PAGE
        changes = self.refreshes * CHECKPOINT
        whole = pages * -math.expm1(-changes / pages) * PAGE / CHECKPOINT
        return self.refreshes * (self.inputs.rows["sessions"] + RECORD) + whole

    @property
    def node_cores(self) -> float:
        """Cores of all nodes, without hashing and without the feed."""
        spent = self.refreshes * self.inputs.refresh + self.logins * self.inputs.login
        return spent / 1e6 / BUSY

    @property
    def password_cores(self) -> float:
        """Cores that hash."""
        return self.logins * self.inputs.password / 1e6 / BUSY

    @property
    def hearing(self) -> float:
        """The share of a core that a guard needs for the feed when every entry comes alone."""
        return self.entries * (self.inputs.hear + self.inputs.merge) / 1e6

    def stream_cores(self, messages: float) -> float:
        """Cores for so many messages a second on all streams together."""
        return messages * self.inputs.send / 1e6 / BUSY

    def stream_bytes(self, messages: float, listeners: float) -> float:
        """Bytes a second for so many messages to so many listeners, each of whom hears every entry."""
        return messages * self.inputs.message + listeners * self.entries * self.inputs.entry

    def tables(self, ways: Mapping[str, Heard]) -> list[Table]:
        """What was measured, what follows, how the feed fans out and what is at its end first."""
        return [self._inputs(), self._sizes(), self._ways(ways), self._limits(ways)]

    def _inputs(self) -> Table:
        found = self.inputs
        rows: list[tuple[Cell, ...]] = [
            ("refresh, durable", found.refresh, "CPU µs", "load on SQLite"),
            ("log-in beside its hash", found.login, "CPU µs", "load on SQLite"),
            ("guarded request, remembered token", found.guarded, "CPU µs", "load on an ASGI application"),
            ("Argon2id, 19 MiB x 2", found.password, "CPU µs", "five in a row"),
            *((f"row of {name}", size, "bytes", "a filled SQLite file") for name, size in found.rows.items()),
            ("written ahead for a refresh", found.log, "bytes", "SQLite, one refresh a commit"),
            ("message of the feed", found.message, "bytes", "signed, no entry"),
            ("entry of a message", found.entry, "bytes", "signed, a thousand entries"),
            ("entry in a guard", found.memory, "bytes", "resident memory"),
            ("entry merged by a guard", found.merge, "CPU µs", "a snapshot, from text to table"),
            ("message verified by a guard", found.hear, "CPU µs", "no entry"),
            ("message on one stream", found.send, "CPU µs", "streams against one stream"),
        ]
        return Table("A plan past this machine: inputs", ("what", "measured", "unit", "how"), rows)

    def _sizes(self) -> Table:
        rows: list[tuple[Cell, ...]] = [
            (f"rows of {name}", round(count), "rows", self.gigabytes(name))
            for name, count in self.rows.items()
        ]
        rows += [
            ("refreshes", self.refreshes, "a second", None),
            ("log-ins", self.logins, "a second", None),
            ("new entries of the feed", self.entries, "a second", None),
            ("written ahead by PostgreSQL", self.log_bytes / 1e6, "MB a second", None),
            ("cores of nodes, half busy", self.node_cores, "cores", None),
            ("cores that hash passwords", self.password_cores, "cores", None),
            ("table in each guard", self.rows["revocations"] * self.inputs.memory / 1e6, "MB", None),
            ("the feed in each guard, a message an entry", self.hearing * 100, "% of a core", None),
        ]
        return Table(
            "A plan past this machine: what is needed",
            ("what", "needed", "unit", "GB"),
            rows,
            (
                f"{number(self.users)} users, {number(self.processes)} API processes,"
                f" {number(self.refreshes)} refreshes a second;"
                f" {self.churn:.1%} of the users log out, are banned or changed in a day; peak {PEAK} times the mean.",
            ),
        )

    def _ways(self, ways: Mapping[str, Heard]) -> Table:
        rows: list[tuple[Cell, ...]] = []
        for name, way in ways.items():
            messages = way.messages / way.seconds
            # What the nodes themselves send to: the guards, the relays or the edges.
            listeners = {"direct": self.processes, "relays": RELAYS, "cache": EDGES}[name.split(",")[0]]
            rows.append(
                (
                    name, way.quantile(0.5), way.quantile(0.99), way.quantile(1), messages,
                    self.stream_cores(messages), self.stream_bytes(messages, listeners) / 1e6,
                    way.busiest * 100,
                )
            )  # fmt: skip
        snapshot = self.rows["revocations"] * self.inputs.entry * self.processes
        return Table(
            "A plan past this machine: the feed's fan-out, simulated",
            ("way", "p50 ms", "p99 ms", "max ms", "messages/s", "cores", "MB/s", "busiest sender, %"),
            rows,
            (
                "Messages, cores and MB/s are those of the server's own nodes. To fetch the whole snapshot each second"
                f" would be {snapshot / 1e9:.0f} GB/s over all guards, so a cache has to serve what came since.",
            ),
        )

    def _limits(self, ways: Mapping[str, Heard]) -> Table:
        direct = next(way for name, way in ways.items() if name.startswith("direct"))
        messages = direct.messages / direct.seconds
        machine = f"a machine of {CORES} cores"
        needs: list[tuple[str, float, str, float, str]] = [
            ("cores of nodes", self.node_cores, machine, CORES, "more nodes"),
            ("cores that hash passwords", self.password_cores, machine, CORES, "more nodes"),
            ("cores for direct streams", self.stream_cores(messages), machine, CORES, "relays"),
            ("durable refreshes/s", self.refreshes, "one PostgreSQL primary", PRIMARY, "users over several"),
            (
                "MB/s of direct streams", self.stream_bytes(messages, self.processes) / 1e6,
                "a card of 10 Gbit/s", LINK / 1e6, "relays",
            ),
            ("MB/s written ahead", self.log_bytes / 1e6, "a card of 10 Gbit/s", LINK / 1e6, "users over several"),
            ("revocations/s", self.entries, "the log's head row", 1 / COMMIT, "one commit for many"),
        ]  # fmt: skip
        rows = [(name, need, unit, gives, need / gives, then) for name, need, unit, gives, then in needs]
        return Table(
            "A plan past this machine: what is at its end first",
            ("what", "needed", "from", "which gives", "of them", "then"),
            sorted(rows, key=lambda row: -row[4]),
        )


def fan_out(plan: Plan, entries: int) -> dict[str, Heard]:
    """The ways from a commit to every guard, with the same commits for all."""
    committed = commits(entries, plan.entries, seed=1)
    send, listeners = plan.inputs.send / 1e6, plan.processes
    return {
        f"direct, {NODES} nodes": push((NODES,), listeners, committed, send=send, seed=2),
        f"relays, 2 nodes, {RELAYS}": push((2, RELAYS), listeners, committed, send=send, seed=3),
        f"cache, {EDGES} edges, 1 s": poll(EDGES, listeners, committed, period=1, life=1, seed=4),
    }
