"""The page of figures: what ``--json`` printed stands between two marks, and what people wrote stands around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench.table import Report

__all__ = ["figures_of", "page_with"]

_BEGIN: Final = "<!-- figures: python -m bench page -->\n"
_END: Final = "<!-- /figures -->\n"


def figures_of(reports: Sequence[Report]) -> str:
    """Every table, under the command and the conditions it was taken with."""
    parts = []
    for report in reports:
        taken = f"`{report.command}`, {report.taken_at}, {report.conditions}."
        for table in report.tables:
            head, _, rest = table.markdown().partition("\n")
            parts.append(f"{head}\n\n{taken}\n{rest}")
    return "\n".join(parts)


def page_with(figures: str, page: str) -> str:
    """*page* with *figures* between its marks.

    Raises:
        ValueError: it has no such marks.
    """
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError("the page has no marks between which figures could stand")
    return f"{before}{begin}\n{figures}\n{end}{after}"
