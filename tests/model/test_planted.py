"""The model is no ornament: each planted fault is found by it, on every ground that has the code."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.model.planted import FAULTS, Fault
from tests.model.test_model import play, play_overtaken
from tests.server.stage import ground_of

MANY = 600
"""The rarest fault is found by one seed in eighty."""


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
        """By the seed that found it last, or, where the order of steps is another one by now, by one of many.

        The many are tried in memory, where a run is short; what one of them finds there is found here, too.
        """

        def noticed(seed: int, where: str) -> bool:
            found = finding(fault, seed, where, request, tmp_path)
            return found is not None and fault.found in found

        quickest = "sqlite" if "sqlite" in fault.grounds else kind
        assert noticed(fault.seed, kind) or any(
            noticed(seed, quickest) and (kind == quickest or noticed(seed, kind)) for seed in range(MANY)
        ), "nobody noticed"
