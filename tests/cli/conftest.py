"""The shell that the tests of the command line type into."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.stage import Shell


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path)
