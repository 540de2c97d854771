import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

TOP = Path(__file__).resolve().parents[2]


def bench(*arguments: str) -> str:
    """What ``python -m bench`` prints."""
    env = {**os.environ, "PYTHONPATH": str(TOP / "src")}
    done = subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=TOP,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def table(title: str, *arguments: str) -> list[dict[str, Any]]:
    """The rows of one table of a report, by column."""
    report = json.loads(bench(*arguments, "--json"))
    found = next(found for found in report["tables"] if found["title"] == title)
    return [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]


class TestBench:
    def test_verification_is_measured_for_each_algorithm(self) -> None:
        """Everybody verifies the same tokens, or the run fails."""
        rows = table("Verifying an access token", "verify", "--rounds", "1", "--seconds", "0.002")
        assert [row["algorithm"] for row in rows] == ["ES256", "RS256", "PS256", "Ed25519", "HS256"]
        assert all(
            row["bare µs"] > 0 and row["cached µs"] > 0 and row["PyJWT / first sight"] > 0 for row in rows
        )

    def test_each_framework_is_measured_beside_its_usual_library(self) -> None:
        """The same view bare, behind a guard and behind the library; whoever is refused ends the run."""
        rows = table(
            "Protection of a request, by framework", "frameworks", "--rounds", "1", "--seconds", "0.002"
        )
        names = ["FastAPI", "Starlette", "Litestar", "Flask", "Django", "Django REST framework"]
        assert [row["framework"] for row in rows] == names
        assert all(row["bare, µs"] > 0 for row in rows)

    def test_a_start_is_measured(self) -> None:
        """Each figure stands beside its goal."""
        rows = table("Starting", "start", "--rounds", "1")
        assert len(rows) == 7
        assert all((row["clock"] or row["CPU"]) > 0 for row in rows)

    def test_the_server_is_loaded_beside_hello_world(self) -> None:
        """No operation is refused: what is measured is what works."""
        rows = table(
            "The server under load", "server", "--rounds", "1", "--seconds", "0.1", "--connections", "2"
        )
        assert rows[0]["% of hello-world"] == 100
        assert {"POST /auth/token (durable refresh)", "guarded GET, cached token"} < {
            row["operation"] for row in rows
        }
        assert all(row["CPU µs"] > 0 and row["refused"] == 0 for row in rows)

    def test_both_databases_are_measured_with_one_process_and_two(self) -> None:
        """Nobody is refused; what the other database costs stands for itself."""
        arguments = ("stores", "--rounds", "1", "--seconds", "0.1", "--connections", "2")
        rows = table("SQLite and PostgreSQL, one process and two", *arguments)
        assert {(row["database"], row["processes"]) for row in rows} == {
            ("SQLite", 1), ("PostgreSQL", 1), ("SQLite", 2), ("PostgreSQL", 2),
        }  # fmt: skip
        assert len(rows) == 16
        for row in rows:
            assert row["our CPU µs"] > 0
            assert row["refused"] == 0
            assert (row["PostgreSQL's CPU µs"] or 0) > 0 or row["database"] == "SQLite"

    def test_growth_is_measured_over_sizes(self) -> None:
        """Each size is a column."""
        arguments = ("growth", "--sizes", "20,40", "--rounds", "1", "--seconds", "0.1", "--connections", "2")
        rows = table("Growth", *arguments)
        assert {"20 users", "40 users"} < rows[0].keys()
        assert all(row["20 users"] > 0 and row["40 users"] > 0 for row in rows)

    def test_every_death_reaches_every_process(self, tmp_path: Path) -> None:
        """Eight API processes hear of a demotion, a log-out, a ban and a dead key; the distribution is drawn."""
        plot = tmp_path / "reach.svg"
        rows = table("How fast a live token dies", "reach", "--changes", "2", "--plot", str(plot))
        assert [(row["change"], row["n"]) for row in rows] == [
            ("demotion", 16), ("log-out", 16), ("ban", 16), ("compromised key", 8), ("all", 56),
        ]  # fmt: skip
        assert ElementTree.fromstring(plot.read_text("utf-8")).tag.endswith("svg")

    def test_what_one_node_does_reaches_those_who_hear_the_other(self) -> None:
        """The same, over two nodes and their PostgreSQL."""
        rows = table(
            "How fast a live token dies, from node to node", "reach", "--changes", "1", "--nodes", "2"
        )
        assert [(row["change"], row["n"]) for row in rows][-1] == ("all", 32)

    def test_keys_change_without_a_refusal(self) -> None:
        """Four guards refuse no valid token; a key client stands beside them."""
        rows = table("4 rotations of the signing key under load", "rotations", "--rotations", "4")
        assert [row["verifier"] for row in rows][4:] == ["PyJWT with PyJWKClient"]
        assert [(row["first tokens refused"], row["of them refused"]) for row in rows[:4]] == [(0, 0)] * 4
        assert all(row["valid tokens"] > 4 for row in rows)

    def test_a_large_table_is_measured(self) -> None:
        """Every entry is in it; memory and the price of a request stand beside their goals."""
        arguments = ("million", "--entries", "3000", "--rounds", "1", "--seconds", "0.002")
        rows = table("A guard that knows of 3000 dead sessions", *arguments)
        assert [row["goal, at most"] for row in rows] == [150, None, None, None, 0.5]

    def test_every_stream_hears_every_death(self) -> None:
        """Many streams on one server process, each change on each of them."""
        report = json.loads(bench("streams", "--listeners", "30", "--changes", "1", "--json"))
        (found,) = report["tables"]
        assert "90 arrivals" in found["notes"][0]

    @pytest.mark.parametrize(
        "command",
        ["verify", "start", "server", "growth", "page", "reach", "streams", "million", "rotations", "stores"],
    )
    def test_each_command_explains_itself(self, command: str) -> None:
        """``--help`` works."""
        assert "Usage: python -m bench" in bench(command, "--help")

    def test_a_page_takes_figures_between_its_marks(self, tmp_path: Path) -> None:
        """What people wrote around them stays, and so do other tables; a page without marks is left alone."""
        printed, page = tmp_path / "verify.json", tmp_path / "page.md"
        printed.write_text(bench("verify", "--rounds", "1", "--seconds", "0.001", "--json"))
        page.write_text(
            "before\n<!-- figures: python -m bench page -->\nformer figures\n## Verifying an access token\n\nbygone\n\n"
            "## Starting\n\nkept\n<!-- /figures -->\nafter\n"
        )
        bench("page", str(printed), "--write", str(page))
        text = page.read_text()
        assert text.startswith("before\n")
        assert text.endswith("after\n")
        assert "| Ed25519 |" in text
        assert "former figures" not in text
        assert "bygone" not in text
        assert text.index("| Ed25519 |") < text.index("## Starting\n\nkept\n")
        page.write_text("no marks\n")
        with pytest.raises(AssertionError, match="no marks between which"):
            bench("page", str(printed), "--write", str(page))
        assert page.read_text() == "no marks\n"

    def test_a_table_is_printed_for_people(self) -> None:
        """Without ``--json`` the same is a table."""
        assert "first sight" in bench("verify", "--rounds", "1", "--seconds", "0.001")
