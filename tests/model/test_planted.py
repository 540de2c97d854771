"""The model is no ornament: each planted fault is found by it, on every ground that has the code."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.model.planted import FAULTS, Fault
from tests.model.test_model import FEW, play, play_overtaken
from tests.server.stage import ground_of


def finding(fault: Fault, seed: int, kind: str, request: pytest.FixtureRequest, folder: Path) -> str | None:
    """What the model says of a run with the fault, ``None`` where nothing came of it."""
    with pytest.MonkeyPatch.context() as patch:
        fault.plant(patch)
        try:
            if not fault.overtaken:
                asyncio.run(play(seed, lambda: ground_of(request, kind)))
            elif kind == "sqlite":
                asyncio.run(play_overtaken(seed, folder))
            else:
                asyncio.run(play_overtaken(seed, folder, lambda: ground_of(request, kind)))
        except AssertionError as found:
            return str(found)
    return None


class TestPlanted:
    @pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
    @pytest.mark.parametrize(
        ("fault", "kind"),
        [pytest.param(fault, kind, id=f"{fault}-{kind}") for fault in FAULTS for kind in fault.grounds],
    )
    def test_a_planted_fault_is_found(
        self, fault: Fault, kind: str, request: pytest.FixtureRequest, tmp_path: Path
    ) -> None:
        """By the seed that found it last, or, where the order of steps is another one by now, by one of many."""
        for seed in (fault.seed, *range(FEW)):
            found = finding(fault, seed, kind, request, tmp_path)
            if found is not None and fault.found in found:
                return
        raise AssertionError("nobody noticed")
