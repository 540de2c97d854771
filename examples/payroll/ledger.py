"""The payroll's own data: employees, what they earn, what they were paid. Amounts are whole cents."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["Ledger", "Payment"]

SCHEMA = """
CREATE TABLE employees (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    title TEXT NOT NULL,
    department TEXT NOT NULL,
    user_id TEXT UNIQUE
);
CREATE TABLE salaries (
    employee_id INTEGER NOT NULL REFERENCES employees (id),
    from_month TEXT NOT NULL,
    amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
    PRIMARY KEY (employee_id, from_month)
) WITHOUT ROWID;
CREATE TABLE payments (
    id INTEGER PRIMARY KEY,
    employee_id INTEGER NOT NULL REFERENCES employees (id),
    month TEXT NOT NULL,
    amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
    note TEXT NOT NULL,
    issued_by TEXT NOT NULL,
    issued_at TEXT NOT NULL
);
CREATE INDEX payments_of ON payments (employee_id, id);
"""

EMPLOYEE = """
SELECT e.id, e.name, e.title, e.department, e.user_id, s.amount_cents AS salary_cents
FROM employees e
LEFT JOIN salaries s ON s.employee_id = e.id AND s.from_month = (
    SELECT max(from_month) FROM salaries WHERE employee_id = e.id AND from_month <= strftime('%Y-%m', 'now'))
"""


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment as an administrator orders it."""

    employee_id: int
    month: str
    amount_cents: int
    note: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """The payroll's SQLite file. Every method is one transaction on a connection of its own."""

    path: Path

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection that commits at the end and is closed in any case."""
        connection = sqlite3.connect(self.path, timeout=5)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            with connection:
                yield connection
        finally:
            connection.close()

    def create(self) -> None:
        """Make the file and its tables."""
        with self.transaction() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(SCHEMA)

    def employees(self, department: str | None = None) -> list[dict[str, Any]]:
        """Everybody, or one department, by name."""
        with self.transaction() as connection:
            rows = connection.execute(
                EMPLOYEE + "WHERE ?1 IS NULL OR e.department = ?1 ORDER BY e.name, e.id", (department,)
            )
            return [dict(row) for row in rows]

    def employee(self, employee_id: int) -> dict[str, Any] | None:
        """One employee by number."""
        with self.transaction() as connection:
            row = connection.execute(EMPLOYEE + "WHERE e.id = ?", (employee_id,)).fetchone()
            return dict(row) if row else None

    def employee_of(self, user_id: str) -> dict[str, Any] | None:
        """The employee that a user of the authorization server is."""
        with self.transaction() as connection:
            row = connection.execute(EMPLOYEE + "WHERE e.user_id = ?", (user_id,)).fetchone()
            return dict(row) if row else None

    def edit(self, employee_id: int, changes: dict[str, str]) -> dict[str, Any] | None:
        """Change name, title, department or user of an employee.

        Raises:
            ValueError: the user is another employee already.
        """
        with self.transaction() as connection:
            for column in ("name", "title", "department", "user_id"):
                if column in changes:
                    try:
                        connection.execute(
                            f"UPDATE employees SET {column} = ? WHERE id = ?", (changes[column], employee_id)
                        )
                    except sqlite3.IntegrityError:
                        raise ValueError("this user is another employee") from None
        return self.employee(employee_id)

    def payments(self, employee_id: int) -> list[dict[str, Any]]:
        """What one employee was paid, the newest first."""
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT * FROM payments WHERE employee_id = ? ORDER BY id DESC", (employee_id,)
            )
            return [dict(row) for row in rows]

    def pay(self, payment: Payment, issued_by: str) -> dict[str, Any] | None:
        """Record a payment; None when there is no such employee."""
        issued_at = datetime.now(UTC).isoformat(timespec="seconds")
        with self.transaction() as connection:
            try:
                row = connection.execute(
                    "INSERT INTO payments (employee_id, month, amount_cents, note, issued_by, issued_at) "
                    "VALUES (?, ?, ?, ?, ?, ?) RETURNING *",
                    (
                        payment.employee_id,
                        payment.month,
                        payment.amount_cents,
                        payment.note,
                        issued_by,
                        issued_at,
                    ),
                ).fetchone()
            except sqlite3.IntegrityError:
                return None
            return dict(row)
