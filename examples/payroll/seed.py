"""Fill a payroll with invented people and a year of payments: the same every time.

Run it from the top of the checkout: ``python -m examples.payroll.seed payroll.db``.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from examples.payroll.ledger import Ledger

__all__ = ["seed"]

EMPLOYEES = 240
MONTHS = tuple(f"2025-{month:02}" for month in range(1, 13))
FIRST = ("Al", "Be", "Ca", "Da", "El", "Fa", "Gi", "Ha", "Il", "Jo", "Ka", "Li", "Ma", "No", "Or", "Pe")
LAST = (
    "bran",
    "dor",
    "fen",
    "gar",
    "holt",
    "kel",
    "lund",
    "mar",
    "ning",
    "rell",
    "sen",
    "tov",
    "var",
    "wick",
)
ENDING = ("a", "an", "e", "en", "io", "is", "o", "us")
JOBS = {
    "Warehouse": (("Picker", 240_000), ("Shift lead", 310_000)),
    "Kitchen": (("Cook", 260_000), ("Head cook", 350_000)),
    "Office": (("Clerk", 280_000), ("Accountant", 390_000)),
    "Workshop": (("Mechanic", 300_000), ("Engineer", 460_000)),
}


def seed(ledger: Ledger) -> None:
    """Make the tables, 240 employees, their salaries and twelve payments each."""
    chance = random.Random(2026)
    ledger.create()
    with ledger.transaction() as connection:
        for employee_id in range(1, EMPLOYEES + 1):
            department = chance.choice(sorted(JOBS))
            title, usual = chance.choice(JOBS[department])
            first = chance.choice(FIRST) + chance.choice(ENDING)
            last = (chance.choice(FIRST) + chance.choice(LAST)).capitalize()
            connection.execute(
                "INSERT INTO employees (id, name, title, department) VALUES (?, ?, ?, ?)",
                (employee_id, f"{first} {last}", title, department),
            )
            salaries = {MONTHS[0]: usual + 100 * chance.randrange(-200, 200)}
            if chance.random() < 0.3:
                salaries[MONTHS[6]] = salaries[MONTHS[0]] * 103 // 100
            connection.executemany(
                "INSERT INTO salaries (employee_id, from_month, amount_cents) VALUES (?, ?, ?)",
                [(employee_id, month, amount) for month, amount in salaries.items()],
            )
            amount = 0
            for month in MONTHS:
                amount = salaries.get(month, amount)
                connection.execute(
                    "INSERT INTO payments (employee_id, month, amount_cents, note, issued_by, issued_at) "
                    "VALUES (?, ?, ?, 'Salary', 'seed', ?)",
                    (employee_id, month, amount, f"{month}-28T09:00:00+00:00"),
                )


if __name__ == "__main__":
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "payroll.db")
    if path.exists():
        sys.exit(f"{path} is there already; it was left alone")
    seed(Ledger(path))
    print(f"{path}: {EMPLOYEES} employees, {EMPLOYEES * len(MONTHS)} payments")
