"""The pages about the command line say what is there."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from watchword.cli.checks import CHECKS

DOCS = Path(__file__).resolve().parents[2] / "docs"


class TestPages:
    def test_the_page_of_commands_is_made_from_them(self) -> None:
        """docs/cli.md is what ``python docs/commands.py`` writes."""
        made = runpy.run_path(str(DOCS / "commands.py"))["page"]()
        assert (DOCS / "cli.md").read_text("utf-8") == made, "run: python docs/commands.py"
        assert "### watchword user role add" in made

    def test_every_check_is_documented(self) -> None:
        """docs/operations.md has a row for each check of the doctor."""
        section = (
            (DOCS / "operations.md").read_text("utf-8").partition("## The doctor")[2].partition("\n## ")[0]
        )
        assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [check.__name__ for check in CHECKS]
