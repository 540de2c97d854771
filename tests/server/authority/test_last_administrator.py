"""S11: somebody can always sign in and administer the server."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

from tests.server.stage import ISSUER, Somebody, Stage, open_stage, problem
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio

V1 = "/admin/v1/users"
LEAVING: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "demotion": ("PATCH", "", {"roles": ["user"]}),
    "ban": ("POST", "/ban", {}),
    "timed ban": ("POST", "/ban", {"until": "2030-01-01T13:00:00Z"}),
    "deletion": ("DELETE", "", None),
}


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def leave(stage: Stage, root: Somebody, way: str, who: Somebody) -> Any:
    method, path, body = LEAVING[way]
    return await stage.http.request(method, f"{V1}/{who.id}{path}", json=body, headers=root.bearer)


class TestLastAdministrator:
    @pytest.mark.parametrize("way", LEAVING)
    async def test_f_s11_the_last_administrator_stays(self, stage: Stage, way: str) -> None:
        """Not by the admin API and not by ``DELETE /auth/me``; with a second one it is done."""
        root = await stage.administrator()
        told = problem(await leave(stage, root, way, root), 409, "last_administrator")
        assert "watchword user create EMAIL --role admin" in told["detail"]
        problem(await stage.http.delete("/auth/me", headers=root.bearer), 409, "last_administrator")
        assert (await stage.http.get(V1, headers=root.bearer)).status_code == 200
        await stage.somebody("admin")
        assert (await leave(stage, root, way, root)).is_success

    @pytest.mark.parametrize("other", ["banned", "banned for a while", "without a password"])
    async def test_f_s11_only_those_who_can_sign_in_count(self, stage: Stage, other: str) -> None:
        """A second administrator who can't sign in does not let the first one go; they themselves may go."""
        root = await stage.administrator()
        users = stage.services.users
        if other == "without a password":
            idle = await users.create("idle@example.com", None, roles=("admin",), origin=Origin())
        else:
            idle = await users.create(
                "idle@example.com", "nine-slow-lanterns", roles=("admin",), origin=Origin()
            )
            until = stage.clock.now() + timedelta(hours=1) if other.endswith("while") else None
            await users.ban(idle.id, None, until, Origin())
        for way in LEAVING:
            problem(await leave(stage, root, way, root), 409, "last_administrator")
        assert (await leave(stage, root, "deletion", Somebody(idle.id, idle.email))).is_success

    async def test_f_s11_a_ban_that_is_over_counts_no_more(self, stage: Stage) -> None:
        """Then the banned administrator can sign in again."""
        root, other = await stage.administrator(), await stage.somebody("admin")
        ban = {"until": "2030-01-01T12:05:00Z"}
        path = f"{V1}/{other.id}/ban"
        assert (await stage.http.post(path, json=ban, headers=root.bearer)).is_success
        problem(await leave(stage, root, "demotion", root), 409, "last_administrator")
        stage.clock.forward(minutes=6)
        assert (await leave(stage, root, "demotion", root)).is_success

    @pytest.mark.parametrize("way", LEAVING)
    async def test_f_s11_two_who_remove_each_other_leave_one(
        self, ground: dict[str, str], kind: str, way: str
    ) -> None:
        """At two nodes at the same moment: one is refused, one administrator is left, and neither gets a 500."""
        async with AsyncExitStack() as opened:
            first = await opened.enter_async_context(open_stage(**ground))
            second = await opened.enter_async_context(open_stage(**ground)) if kind == "postgres" else first
            ada, bob = await first.administrator(), await second.administrator()
            answers = await asyncio.gather(leave(first, ada, way, bob), leave(second, bob, way, ada))
            assert sorted(answer.is_success for answer in answers) == [False, True]
            assert {answer.status_code for answer in answers} <= {200, 204, 401, 403}
            (left,) = [who for who, a in zip((bob, ada), answers, strict=True) if not a.is_success]
            again = await first.login(left, audience=ISSUER)
            problem(await leave(first, again, way, again), 409, "last_administrator")

    async def test_f_s11_two_commands_at_once_leave_one(self, stage: Stage) -> None:
        """The operator's two demotions at the same moment: one is refused."""
        ada, bob = await stage.somebody("admin"), await stage.somebody("admin")
        demote = stage.services.users.update
        outcomes = await asyncio.gather(
            *(demote(who.id, roles=("user",), origin=Origin()) for who in (ada, bob)), return_exceptions=True
        )
        assert sum(isinstance(outcome, Exception) for outcome in outcomes) == 1
        assert await stage.services.store.users.count(role="admin") == 1
