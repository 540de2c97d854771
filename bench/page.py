"""The page of figures: what ``--json`` printed stands between two marks, and what people wrote stands around them."""

from __future__ import annotations

import re
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
    """*page* with *figures* between its marks: a table takes the place of its namesake, the others stay.

    Raises:
        ValueError: it has no such marks.
    """
    before, begin, rest = page.partition(_BEGIN)
    former, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError("the page has no marks between which figures could stand")
    sections = {**_sections(former), **_sections(figures)}
    return f"{before}{begin}\n{''.join(sections.values())}{end}{after}"


def _sections(figures: str) -> dict[str, str]:
    """The tables of *figures* by their headings."""
    parts = re.split(r"^(?=## )", figures, flags=re.MULTILINE)
    return {part.partition("\n")[0]: f"{part.rstrip()}\n\n" for part in parts if part.startswith("## ")}
