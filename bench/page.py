"""The page of figures: what ``--json`` printed, under the conditions it was taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench.table import Report

__all__ = ["page_of"]

_HEAD: Final = """# Benchmarks

How fast this is, and how to see it for yourself. Every figure stands beside a floor or a rival that was measured in
the same run, in turns: absolute figures move by half from machine to machine and with whatever else a machine does,
so trust the ratios, and CPU time more than requests a second. Nothing here is asserted by a test.

Each section is one command; `--json` prints it for a program, and `python -m bench page FILE...` makes this page of
what was printed. It needs Linux, two cores and the development environment (`./test` makes it).
"""


def page_of(reports: Sequence[Report]) -> str:
    """The whole page."""
    parts = [_HEAD]
    for report in reports:
        taken = f"`{report.command}`, {report.taken_at}, {report.conditions}."
        for table in report.tables:
            head, _, rest = table.markdown().partition("\n")
            parts.append(f"{head}\n\n{taken}\n{rest}")
    return "\n".join(parts)
