"""``watchword demo``: the whole story as a user plays it, and what it says when the story goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.mission.stage import environment

STEPS = [
    "register", "login", "read", "payment_refused", "payment", "edited_token", "expired_token", "missing_token",
    "refresh", "replayed_refresh_token", "logout", "demotion", "ban", "banned_login", "key_rotation",
    "server_killed", "server_back",
]  # fmt: skip


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "watchword", "demo", "--json"],
        cwd=folder,
        env=environment(TMPDIR=str(folder)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_payroll(pid: int) -> bool:
    return b"watchword.demo.payroll" in Path(f"/proc/{pid}/cmdline").read_bytes()


class TestDemo:
    def test_every_step_behaves(self, tmp_path: Path) -> None:
        """One object a step, each ok, with the status it ended with; exit 0, and nothing is left behind."""
        demo = start(tmp_path)
        output, talk = demo.communicate(timeout=120)
        steps: list[dict[str, Any]] = [json.loads(line) for line in output.splitlines()]
        assert demo.returncode == 0, (steps, talk)
        assert [step["step"] for step in steps] == STEPS
        assert all(list(step) == ["step", "ok", "status", "ms"] and step["ok"] is True for step in steps)
        status = {step["step"]: step["status"] for step in steps}
        assert status["payment_refused"] == 403
        assert status["payment"] == 201
        assert status["edited_token"] == status["replayed_refresh_token"] == status["ban"] == 401
        assert all(step["ms"] > 0 for step in steps)
        assert list(tmp_path.iterdir()) == []

    def test_a_step_that_misbehaves_ends_it_with_1(self, tmp_path: Path) -> None:
        """The API's processes die under the story: it says at which step, and goes no further."""
        demo = start(tmp_path)
        assert demo.stdout is not None
        first = json.loads(demo.stdout.readline())
        for child in filter(is_payroll, children(demo.pid)):
            os.kill(child, signal.SIGKILL)
        output, talk = demo.communicate(timeout=120)
        last = [first, *map(json.loads, output.splitlines())][-1]
        assert demo.returncode == 1
        assert last["ok"] is False
        assert last["step"] in STEPS[:-1]
        assert last["step"] in talk
        assert list(tmp_path.iterdir()) == []
