"""Several servers on one database: what one does, all of them know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.server.hearing import Hearing
from tests.server.stage import GROUNDS, Stage, call, open_stage, problem
from watchword.errors import ConfigurationError

pytestmark = pytest.mark.anyio

V1 = "/admin/v1"
Nodes = tuple[Stage, Stage]


@pytest.fixture(params=GROUNDS[1:])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def nodes(ground: dict[str, str]) -> AsyncIterator[Nodes]:
    """Two servers that began at the same moment, on an empty database."""
    async with AsyncExitStack() as opened:
        first, second = await asyncio.gather(
            *(opened.enter_async_context(open_stage(**ground)) for _ in range(2))
        )
        yield first, second


async def jwks(node: Stage) -> Any:
    return (await node.http.get("/.well-known/jwks.json")).json()


class TestNodes:
    async def test_nodes_that_start_together_make_one_set_of_keys(self, nodes: Nodes) -> None:
        """The schema is made once, the keys are the same, and each verifies what the other signed."""
        first, second = nodes
        assert await jwks(first) == await jwks(second)
        ada = await first.newcomer()
        assert (await second.http.get("/auth/me", headers=ada.bearer)).json()["id"] == ada.id

    async def test_a_session_goes_on_at_any_node(self, nodes: Nodes) -> None:
        """Log-in here, refresh there, log-out here: no balancer need remember anybody."""
        first, second = nodes
        ada = await first.newcomer()
        answer = await second.http.post("/auth/token", json={"refresh_token": ada.tokens["refresh_token"]})
        assert answer.status_code == 200
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        assert (await first.http.post("/auth/logout", headers=bearer)).status_code == 204
        problem(await second.http.get("/auth/me", headers=bearer), 401, "invalid_token")

    async def test_a_race_over_both_nodes_leaves_one_branch(self, nodes: Nodes) -> None:
        """R-03: many uses of one refresh token at two nodes, one successor for all of them."""
        for crowd in (2, 8, 32):
            ada = await nodes[0].newcomer()
            body = {"refresh_token": ada.tokens["refresh_token"]}
            answers = await asyncio.gather(
                *(nodes[n % 2].http.post("/auth/token", json=body) for n in range(crowd))
            )
            assert {answer.status_code for answer in answers} == {200}
            (head,) = {answer.json()["refresh_token"] for answer in answers}
            assert head != ada.tokens["refresh_token"]

    async def test_a_ban_is_on_the_stream_of_the_other_node(self, nodes: Nodes) -> None:
        """The commit wakes it: nobody there asked for anything."""
        first, second = nodes
        ada, root = await first.newcomer(), await first.administrator()
        api = Hearing(second)
        await api.update()
        jobs = asyncio.create_task(second.services.run_jobs())
        stream = second.services.feed.stream()
        try:
            await anext(stream)
            assert not api.refuses(ada.tokens["access_token"])
            await call(first, root, "POST", f"{V1}/users/{ada.id}/ban")
            async with asyncio.timeout(10):
                while not api.refuses(ada.tokens["access_token"]):
                    api.known.accept((await anext(stream)).partition(b"data: ")[2].strip())
        finally:
            await stream.aclose()  # type: ignore[attr-defined]
            jobs.cancel()
            await asyncio.gather(jobs, return_exceptions=True)

    async def test_a_killed_key_is_dead_at_the_other_node(self, nodes: Nodes) -> None:
        """It signs with the new one at once, and its guards refuse the old one with their next message."""
        first, second = nodes
        api = Hearing(second)
        ada, root = await second.newcomer(), await first.administrator()
        await api.update()
        keys = (await call(first, root, "GET", f"{V1}/keys", params={"purpose": "token"}))["items"]
        (active,) = [key["kid"] for key in keys if key["state"] == "active"]
        await call(first, root, "POST", f"{V1}/keys/{active}/compromise")
        await api.update()
        assert api.refuses(ada.tokens["access_token"])
        fresh = await second.login(ada)
        await api.update()
        assert not api.refuses(fresh.tokens["access_token"])
        assert await jwks(first) == await jwks(second)

    async def test_a_rotation_that_was_announced_is_carried_out_by_whoever_lives(
        self, ground: dict[str, str]
    ) -> None:
        """The node that was told when is gone; the other one does it."""
        async with open_stage(**ground) as survivor:
            async with open_stage(**ground) as first:
                root = await first.administrator()
                rotation = await call(first, root, "POST", f"{V1}/keys/rotate")
            survivor.clock.forward(seconds=61)
            await survivor.services.tick()
            active = [key.kid for key in await survivor.services.keys.list() if key.state == "active"]
            assert rotation["kid"] in active

    async def test_another_master_key_is_not_let_in(self, ground: dict[str, str]) -> None:
        """A node that could not open the keys refuses to start."""
        async with open_stage(**ground):
            with pytest.raises(ConfigurationError, match="secret"):
                async with open_stage(**ground, secret="another-master-key-of-another-node"):
                    raise AssertionError
