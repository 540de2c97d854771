"""``python -m bench``."""

from __future__ import annotations

from bench.main import cli

cli(prog_name="python -m bench")
