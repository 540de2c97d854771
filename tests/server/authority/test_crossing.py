"""S5: administrators who act on each other at the same moment wait in one order, and nobody gets a 500."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest

from tests.server.stage import ISSUER, Somebody, Stage, open_stage

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

V1 = "/admin/v1"


@pytest.fixture
def kind() -> str:
    return "postgres"


class TestCrossing:
    async def test_f_s5_administrators_who_cross_each_other_get_no_fault(
        self, ground: dict[str, str]
    ) -> None:
        """Roles, bans, sessions, keys and tokens pulled about at two nodes: each is answered, the store is sound."""
        chance = random.Random(5)
        async with AsyncExitStack() as opened:
            nodes = [await opened.enter_async_context(open_stage(**ground)) for _ in range(2)]
            await nodes[0].somebody("admin")  # who stays one
            for _ in range(4):
                admins = [await node.administrator() for node in nodes for _ in range(3)]
                bob = await nodes[0].newcomer(audience=ISSUER)
                asked = [
                    self.ask(chance, chance.choice(nodes), chance.choice(admins), admins, bob)
                    for _ in range(30)
                ]
                answers = await asyncio.gather(*asked)
                # Of two rotations at once one is told to ask again.
                faults = [
                    a for a in answers if a.status_code >= 500 and not a.request.url.path.endswith("/rotate")
                ]
                assert [(a.request.method, a.request.url.path, a.text) for a in faults] == []
                assert {answer.status_code for answer in answers} <= {200, 204, 401, 403, 404, 409, 422, 503}
            assert await nodes[0].services.store.check() == []
            assert await nodes[0].services.store.users.count(role="admin") >= 1

    async def ask(
        self, chance: random.Random, node: Stage, who: Somebody, admins: list[Somebody], bob: Somebody
    ) -> httpx2.Response:
        other = chance.choice(admins)
        method, path, body = chance.choice(
            (
                ("POST", f"{V1}/users/{other.id}/ban", {}),
                ("POST", f"{V1}/users/{other.id}/unban", None),
                ("PATCH", f"{V1}/users/{other.id}", {"roles": ["user"]}),
                ("PATCH", f"{V1}/users/{other.id}", {"roles": ["user", "admin"]}),
                ("PUT", f"{V1}/roles/admin", {"scope": chance.choice([["a"], ["b"], []])}),
                ("PUT", f"{V1}/roles/user", {"scope": chance.choice([["a"], ["b"], []])}),
                ("DELETE", f"{V1}/users/{bob.id}/sessions", None),
                ("PATCH", f"{V1}/users/{bob.id}", {"name": "Bob"}),
                ("POST", f"{V1}/tokens/revoke", {"token": other.tokens["access_token"]}),
                ("POST", f"{V1}/keys/rotate", {}),
                ("PATCH", "/auth/me", {"name": "Root"}),
                ("DELETE", f"/auth/sessions/{who.session_id}", None),
            )
        )
        more: dict[str, Any] = {} if body is None else {"json": body}
        return await node.http.request(method, path, headers=who.bearer, **more)
