"""Roles, APIs, keys and the audit log."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.stage import ISSUER, Somebody, Stage, call, problem

pytestmark = pytest.mark.anyio

V1 = "/admin/v1"


@pytest.fixture
async def root(stage: Stage) -> Somebody:
    return await stage.administrator()


class TestRoles:
    async def test_a_role_is_made_changed_and_deleted(self, stage: Stage, root: Somebody) -> None:
        """What a role carries is what its users' next tokens say."""
        role = await call(stage, root, "POST", f"{V1}/roles", json={"name": "clerk", "scope": ["pay:read"]})
        assert role == {"name": "clerk", "scope": ["pay:read"], "built_in": False}
        ada = await stage.somebody("clerk")
        assert "pay:read" in (await stage.login(ada)).tokens["scope"].split()
        await call(stage, root, "PUT", f"{V1}/roles/clerk", json={"scope": ["pay:read", "pay:write"]})
        assert {"pay:read", "pay:write"} <= set((await stage.login(ada)).tokens["scope"].split())
        await call(stage, root, "DELETE", f"{V1}/roles/clerk", 204)
        assert (await stage.login(ada)).tokens["user"]["roles"] == ["user"]
        names = [role["name"] for role in (await call(stage, root, "GET", f"{V1}/roles"))["items"]]
        assert sorted(names) == ["admin", "user"]

    async def test_the_built_in_ones_stay(self, stage: Stage, root: Somebody) -> None:
        """409: without ``admin`` nobody could let anybody in again."""
        for name in ("admin", "user"):
            problem(await stage.http.delete(f"{V1}/roles/{name}", headers=root.bearer), 409, "conflict")

    async def test_unknown_ones_are_not_there(self, stage: Stage, root: Somebody) -> None:
        """404."""
        answer = await stage.http.delete(f"{V1}/roles/clerk", headers=root.bearer)
        problem(answer, 404, "not_found")

    @pytest.mark.parametrize(
        "body",
        [
            {"name": "Clerk"},
            {"name": ""},
            {"name": "a b"},
            {"name": "clerk", "scope": ["two words"]},
            {"name": "clerk", "scope": ['"']},
            {"name": "clerk", "scope": "pay"},
            {"name": "clerk", "built_in": True},
            {"scope": []},
        ],
    )
    async def test_a_role_that_no_token_could_carry_is_refused(
        self, stage: Stage, root: Somebody, body: dict[str, Any]
    ) -> None:
        """422, and no role."""
        problem(await stage.http.post(f"{V1}/roles", json=body, headers=root.bearer), 422, "invalid_input")


class TestApis:
    async def test_an_api_is_added_asked_for_and_deleted(self, stage: Stage, root: Somebody) -> None:
        """Its audience can be asked for as long as it is there; it may be a URL."""
        audience = "https://pay.example.com/v1"
        ada = await stage.somebody()
        made = await call(
            stage, root, "POST", f"{V1}/apis", 201, json={"audience": audience, "scope": ["pay"]}
        )
        assert (made["audience"], made["scope"], made["built_in"]) == (audience, ["pay"], False)
        await stage.login(ada, audience=audience)
        answer = await stage.http.post(f"{V1}/apis", json={"audience": audience}, headers=root.bearer)
        problem(answer, 409, "conflict")
        await call(stage, root, "DELETE", f"{V1}/apis/{audience}", 204)
        answer = await stage.post_login(email=ada.email, password="nine-slow-lanterns", audience=audience)
        problem(answer, 422, "invalid_target")

    async def test_the_issuer_and_the_default_one_are_not_to_be_had(
        self, stage: Stage, root: Somebody
    ) -> None:
        """The issuer is no API; the one from the settings stays."""
        answer = await stage.http.post(f"{V1}/apis", json={"audience": ISSUER}, headers=root.bearer)
        problem(answer, 422, "invalid_input")
        problem(await stage.http.delete(f"{V1}/apis/api", headers=root.bearer), 409, "conflict")


class TestKeys:
    async def test_the_list_shows_states_and_no_private_part(self, stage: Stage, root: Somebody) -> None:
        """One active, one next; the feed's keys are not in it."""
        keys = (await call(stage, root, "GET", f"{V1}/keys"))["items"]
        assert sorted(key["state"] for key in keys) == ["active", "next"]
        for key in keys:
            assert not key.keys() & {"sealed", "d", "k", "public_jwk"}

    async def test_a_rotation_says_when_it_acts(self, stage: Stage, root: Somebody) -> None:
        """Not before the key has been public for a minute; ``now`` acts at once; old tokens live on."""
        first = await call(stage, root, "POST", f"{V1}/keys/rotate")
        assert first["active_at"] == "2030-01-01T12:01:00Z"
        stage.clock.forward(minutes=2)
        second = await call(stage, root, "POST", f"{V1}/keys/rotate", json={"now": True})
        assert second["active_at"] == "2030-01-01T12:02:00Z"
        assert second["kid"] != second["retiring"]
        assert (await stage.http.get("/auth/me", headers=root.bearer)).status_code == 200
        await stage.login(root)

    async def test_another_algorithm(self, stage: Stage, root: Somebody) -> None:
        """A key of it is made; one that does not sign tokens here is refused."""
        rotation = await call(
            stage, root, "POST", f"{V1}/keys/rotate", json={"algorithm": "Ed25519", "now": True}
        )
        assert rotation["algorithm"] == "Ed25519"
        await stage.login(root)
        for name in ("none", "HS256", "RSA-OAEP", ""):
            answer = await stage.http.post(f"{V1}/keys/rotate", json={"algorithm": name}, headers=root.bearer)
            problem(answer, 422, "invalid_input")

    async def test_a_compromised_key_s_tokens_die(self, stage: Stage, root: Somebody) -> None:
        """Those of the caller too; the next log-in works, under another key."""
        keys = (await call(stage, root, "GET", f"{V1}/keys"))["items"]
        active = next(key["kid"] for key in keys if key["state"] == "active")
        killed = await call(stage, root, "POST", f"{V1}/keys/{active}/compromise")
        assert (killed["kid"], killed["state"]) == (active, "compromised")
        problem(await stage.http.get("/auth/me", headers=root.bearer), 401, "invalid_token")
        again = await stage.administrator()
        answer = await stage.http.post(f"{V1}/keys/unknown/compromise", headers=again.bearer)
        problem(answer, 404, "not_found")


class TestEvents:
    async def test_newest_first_by_type_and_user(self, stage: Stage, root: Somebody) -> None:
        """Who did what to whom, from where."""
        ada = await stage.newcomer()
        await call(stage, root, "POST", f"{V1}/users/{ada.id}/ban", json={"reason": "spam"})
        page = await call(stage, root, "GET", f"{V1}/events", params={"user_id": ada.id, "limit": 1})
        (event,) = page["items"]
        assert (event["actor"], event["address"], event["at"]) == (
            root.id,
            "192.0.2.1",
            "2030-01-01T12:00:00Z",
        )
        assert "ban" in event["type"]
        assert page["next"] is not None
        older = await call(
            stage, root, "GET", f"{V1}/events", params={"user_id": ada.id, "cursor": page["next"]}
        )
        assert all(found["id"] < event["id"] for found in older["items"])
        only = await call(stage, root, "GET", f"{V1}/events", params={"type": event["type"]})
        assert [found["id"] for found in only["items"]] == [event["id"]]

    async def test_req_s10_no_secret_is_in_it(self, stage: Stage, root: Somebody) -> None:
        """Neither passwords nor tokens, whatever happened."""
        ada = await stage.newcomer()
        await stage.post_login(email=ada.email, password="canary-password")
        await stage.http.post("/auth/token", json={"refresh_token": ada.tokens["refresh_token"]})
        text = str(await call(stage, root, "GET", f"{V1}/events", params={"limit": 200}))
        for secret in ("canary-password", "nine-slow-lanterns", "wwr_", ada.tokens["access_token"]):
            assert secret not in text
