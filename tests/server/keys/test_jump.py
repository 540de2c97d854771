"""A wall clock that jumps ahead takes no key from those who still need it (N16)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.server.stage import Stage, call, ground_of, open_stage

pytestmark = pytest.mark.anyio
V1 = "/admin/v1"


@pytest.fixture(params=("sqlite", "postgres"))
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    async with open_stage(**await ground_of(request, request.param)) as opened:
        yield opened


async def published(stage: Stage) -> set[str]:
    document = (await stage.http.get("/.well-known/jwks.json")).json()
    return {key["kid"] for key in document["keys"]}


class TestJump:
    async def test_f_n16_a_key_that_retired_a_moment_ago_survives_a_jump(self, stage: Stage) -> None:
        """One reading a year ahead, then a minute of them: its tokens are good when the clock is back."""
        root = await stage.administrator()
        rotation = await call(stage, root, "POST", f"{V1}/keys/rotate", json={"now": True})
        for readings in (1, 60):
            before = stage.clock.at
            stage.clock.at += timedelta(days=1)
            for _ in range(readings):
                await stage.services.keys.tick()
                stage.clock.forward(seconds=1)
            stage.clock.at = before
            await stage.services.keys.tick()
            assert rotation["retiring"] in await published(stage)
            answer = await stage.http.get("/auth/me", headers=root.bearer)
            assert answer.status_code == 200, answer.text

    async def test_f_n16_it_goes_when_it_has_rested(self, stage: Stage) -> None:
        """By both clocks; a wall clock that was set back makes it stay longer."""
        root = await stage.administrator()
        rotation = await call(stage, root, "POST", f"{V1}/keys/rotate", json={"now": True})
        stage.clock.at -= timedelta(hours=1)
        stage.clock.forward(minutes=30)
        await stage.services.keys.tick()
        assert rotation["retiring"] in await published(stage)
        stage.clock.forward(hours=1)
        await stage.services.keys.tick()
        assert rotation["retiring"] not in await published(stage)
