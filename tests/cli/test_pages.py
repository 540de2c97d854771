"""The pages about the command line say what is there."""

from __future__ import annotations

import asyncio
import re
import runpy
from pathlib import Path

from watchword.cli.checks import CHECKS
from watchword.server.app import create_app
from watchword.server.services import open_services
from watchword.server.settings import Settings

DOCS = Path(__file__).resolve().parents[2] / "docs"


class TestPages:
    def test_the_page_of_commands_is_made_from_them(self) -> None:
        """docs/cli.md is what ``python docs/commands.py`` writes."""
        made = runpy.run_path(str(DOCS / "commands.py"))["page"]()
        assert (DOCS / "cli.md").read_text("utf-8") == made, "run: python docs/commands.py"
        assert "### watchword user role add" in made

    def test_every_event_is_documented(self) -> None:
        """docs/operations.md names each type of the audit log that the sources write, and no other."""
        written = set()
        for file in (DOCS.parent / "src").rglob("*.py"):
            written |= set(
                re.findall(
                    r'(?:\.record|events\.add|refusals\.add)\(\s*"([a-z._]+)"', file.read_text("utf-8")
                )
            )
        section = (
            (DOCS / "operations.md").read_text("utf-8").partition("## Audit log")[2].partition("\n## ")[0]
        )
        told = {
            name
            for row in section.splitlines()
            if row.startswith("| `")
            for name in re.findall(r"`([a-z._]+)`", row)
        }
        assert told >= written, "add a row to docs/operations.md"
        unseen = told - written - {"refresh_token_replayed", "refresh_token_stolen", "store_rolled_back"}
        assert not unseen

    def test_every_metric_is_documented(self) -> None:
        """docs/operations.md names each metric that the server has, with its type."""
        settings = Settings.load(
            {"database": "sqlite:///:memory:", "secret": "a-secret-of-more-than-32-letters"}
        )

        async def ask() -> bytes:
            async with open_services(settings, serving=False) as services:
                return create_app(settings, services).observer.metrics()

        served = set(re.findall(r"^# TYPE (\w+) (\w+)$", asyncio.run(ask()).decode(), re.MULTILINE))
        section = (DOCS / "operations.md").read_text("utf-8").partition("## Metrics")[2].partition("\n## ")[0]
        assert set(re.findall(r"^\| `(\w+)` \| (\w+) \|", section, re.MULTILINE)) == served

    def test_every_check_is_documented(self) -> None:
        """docs/operations.md has a row for each check of the doctor."""
        section = (
            (DOCS / "operations.md").read_text("utf-8").partition("## The doctor")[2].partition("\n## ")[0]
        )
        assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [check.__name__ for check in CHECKS]
