"""docs/mission.md says what is true."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "mission.md"


def existing() -> set[str]:
    """The name of every test of a row."""
    return {
        name
        for file in HERE.glob("test_*.py")
        for name in re.findall(r"def (test_(?:s\d\d|n\d+)_\w+)", file.read_text("utf-8"))
    }


class TestMissionPage:
    def test_the_page_names_the_existing(self) -> None:
        """Every test it names exists, and every test of a row stands on it, in that row."""
        named = set()
        for row, number, tests in re.findall(
            r"^\| ([SN])(\d+) \|[^|]*\|([^|]*)\|", PAGE.read_text("utf-8"), re.MULTILINE
        ):
            found = re.findall(r"`(test_\w+)`", tests)
            begin = f"test_s{int(number):02}_" if row == "S" else f"test_n{number}_"
            assert all(name.startswith(begin) for name in found), number
            named |= set(found)
        assert named == existing()

    def test_every_row_is_proved_or_open(self) -> None:
        """Seventy-seven rows of the introductions and twelve beyond, each once."""
        page = PAGE.read_text("utf-8")
        for letter, last in (("S", 77), ("N", 12)):
            rows = [int(number) for number in re.findall(rf"^\| {letter}(\d+) \|", page, re.MULTILINE)]
            assert sorted(rows) == list(range(1, last + 1))
