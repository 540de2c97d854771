"""Writes the settings into docs/configuration.md: ``python docs/configuration.py``; a test holds the page to it."""

from __future__ import annotations

from pathlib import Path

from watchword.server.knobs import ROWS

PAGE = Path(__file__).resolve().parent / "configuration.md"
BEGIN = "<!-- settings: python docs/configuration.py -->\n"
END = "<!-- /settings -->\n"


def page(former: str) -> str:
    """The page whose text is *former*, with the table of today's settings."""
    before, _, rest = former.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


def table() -> str:
    """A line for each setting: its name, its default, what it does."""
    lines = ["| name | default | what it does |", "|---|---|---|"]
    lines += [f"| `{row.name}` | {f'`{row.default}`' if row.default else '–'} | {row.help} |" for row in ROWS]
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
