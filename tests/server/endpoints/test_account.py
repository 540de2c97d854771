"""A user's own account."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.stage import ISSUER, PASSWORD, Stage, call, each_ground, open_stage, problem

pytestmark = pytest.mark.anyio
kind = each_ground

ANOTHER = "seven-blue-harbours"


def fields(document: dict[str, Any]) -> list[str]:
    return sorted(fault["field"] for fault in document["errors"])


class TestRegister:
    async def test_an_account_is_made(self, stage: Stage) -> None:
        """201 with the user, who can log in; the password is in no answer."""
        body = {"email": "Ada@Example.com", "password": PASSWORD, "name": "Ada", "username": "ada"}
        answer = await stage.http.post("/auth/register", json=body)
        assert answer.status_code == 201
        user = answer.json()["user"]
        assert user["id"].startswith("usr_")
        assert (user["roles"], user["email_verified"], user["created_at"]) == (
            ["user"],
            False,
            "2030-01-01T12:00:00Z",
        )
        assert PASSWORD not in answer.text
        assert (await stage.post_login(email="ada@example.com", password=PASSWORD)).status_code == 200

    async def test_a_taken_address_or_name_is_a_conflict(self, stage: Stage) -> None:
        """409 with a code for each."""
        await stage.http.post(
            "/auth/register", json={"email": "a@example.com", "password": PASSWORD, "username": "ada"}
        )
        for members, error in (
            ({"email": "A@EXAMPLE.com"}, "email_taken"),
            ({"email": "b@example.com", "username": "ADA"}, "username_taken"),
        ):
            answer = await stage.http.post("/auth/register", json={"password": PASSWORD, **members})
            problem(answer, 409, error)

    @pytest.mark.parametrize(
        ("members", "field"),
        [
            ({"email": "no-address"}, "email"),
            ({"email": 7}, "email"),
            ({"password": "short"}, "password"),
            ({"password": None}, "password"),
            ({"password": "password1"}, "password"),
            ({"name": ""}, "name"),
            ({"name": "a\nb"}, "name"),
            ({"username": "a@b"}, "username"),
        ],
    )
    async def test_a_wrong_member_is_named(self, stage: Stage, members: dict[str, Any], field: str) -> None:
        """422 with the member's name and what is wrong with it."""
        body = {"email": "a@example.com", "password": PASSWORD, **members}
        document = problem(await stage.http.post("/auth/register", json=body), 422, "invalid_input")
        assert fields(document) == [field]

    async def test_missing_members_are_named(self, stage: Stage) -> None:
        """A body without a password is told so."""
        document = problem(
            await stage.http.post("/auth/register", json={"email": "a@example.com"}), 422, "invalid_input"
        )
        assert fields(document) == ["password"]

    async def test_asking_is_not_free(self, stage: Stage) -> None:
        """409 tells that an address has an account, so every attempt counts against the caller's address."""
        await stage.http.post("/auth/register", json={"email": "a@example.com", "password": PASSWORD})
        statuses = [
            (
                await stage.http.post("/auth/register", json={"email": "a@example.com", "password": PASSWORD})
            ).status_code
            for _ in range(60)
        ]
        assert statuses == [409] * 59 + [429]

    async def test_registration_can_be_closed(self, ground: dict[str, str]) -> None:
        """403, whatever the body says."""
        async with open_stage(**ground, registration="closed") as stage:
            answer = await stage.http.post(
                "/auth/register", json={"email": "a@example.com", "password": PASSWORD}
            )
            problem(answer, 403, "access_denied")


class TestMe:
    async def test_one_sees_oneself(self, stage: Stage) -> None:
        """The user without digests, versions or ban details; not to be stored."""
        ada = await stage.newcomer()
        answer = await stage.http.get("/auth/me", headers=ada.bearer)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json().keys() == {
            "id",
            "email",
            "username",
            "name",
            "roles",
            "email_verified",
            "created_at",
            "last_login_at",
        }

    async def test_what_is_left_out_stays(self, stage: Stage) -> None:
        """PATCH changes what it names; ``null`` clears."""
        ada = await stage.newcomer(audience=ISSUER)

        async def patch(**members: Any) -> dict[str, Any]:
            answer = await stage.http.patch("/auth/me", json=members, headers=ada.bearer)
            assert answer.status_code == 200, answer.text
            body: dict[str, Any] = answer.json()
            return body

        assert (await patch(name="Ada", username="ada"))["name"] == "Ada"
        assert (await patch(username="lovelace"))["name"] == "Ada"
        assert (await patch(name=None))["name"] is None
        assert (await patch())["username"] == "lovelace"

    async def test_req_p18_a_new_address_needs_a_recent_log_in(self, stage: Stage) -> None:
        """A quarter of an hour after it the current password must come along: a found token is not enough."""
        ada = await stage.newcomer(audience=ISSUER)
        answer = await stage.http.patch("/auth/me", json={"email": "mid@example.com"}, headers=ada.bearer)
        assert answer.json()["email"] == "mid@example.com"
        stage.clock.forward(minutes=16)
        fresh = await stage.http.post("/auth/token", json={"refresh_token": ada.tokens["refresh_token"]})
        ada.tokens = fresh.json()
        body = {"email": "new@example.com"}
        for proof in ({}, {"current_password": "wrong"}):
            answer = await stage.http.patch("/auth/me", json={**body, **proof}, headers=ada.bearer)
            problem(answer, 401, "invalid_credentials")
        answer = await stage.http.patch(
            "/auth/me", json={**body, "current_password": PASSWORD}, headers=ada.bearer
        )
        assert answer.json()["email"] == "new@example.com"
        assert (await stage.post_login(email="new@example.com", password=PASSWORD)).status_code == 200

    async def test_whoever_leaves_is_gone(self, stage: Stage) -> None:
        """204; neither tokens nor password work any more, and the address is free."""
        ada = await stage.newcomer(audience=ISSUER)
        assert (await stage.http.delete("/auth/me", headers=ada.bearer)).status_code == 204
        problem(await stage.http.get("/auth/me", headers=ada.bearer), 401, "invalid_token")
        problem(await stage.post_login(email=ada.email, password=PASSWORD), 401, "invalid_credentials")
        answer = await stage.http.post("/auth/register", json={"email": ada.email, "password": PASSWORD})
        assert answer.status_code == 201

    @pytest.mark.parametrize("minutes", [0, 16])
    async def test_leaving_needs_more_than_a_found_token(self, stage: Stage, minutes: int) -> None:
        """An old log-in, or a token narrowed by scope, deletes nothing and moves no address without the password."""
        ada = await stage.newcomer()
        body = {"refresh_token": ada.tokens["refresh_token"]}
        stage.clock.forward(minutes=minutes)
        if not minutes:
            root = await stage.administrator()
            role = {"name": "user", "scope": ["read", "write"]}
            await call(stage, root, "POST", "/admin/v1/roles", json=role)
            body["scope"] = "read"
        ada.tokens = (await stage.http.post("/auth/token", json=body)).json()
        for proof in ({}, {"current_password": "wrong"}):
            answer = await stage.http.request("DELETE", "/auth/me", json=proof, headers=ada.bearer)
            problem(answer, 401, "invalid_credentials")
            answer = await stage.http.patch(
                "/auth/me", json={"email": "new@example.com", **proof}, headers=ada.bearer
            )
            problem(answer, 401, "invalid_credentials")
        problem(await stage.http.delete("/auth/me", headers=ada.bearer), 401, "invalid_credentials")
        proof = {"current_password": PASSWORD}
        answer = await stage.http.request("DELETE", "/auth/me", json=proof, headers=ada.bearer)
        assert answer.status_code == 204


class TestSessions:
    async def test_one_sees_where_one_is_logged_in(self, stage: Stage) -> None:
        """Device, address, times, and which one asks."""
        ada = await stage.newcomer(device="laptop")
        stage.clock.forward(minutes=1)
        phone = await stage.login(ada, device="phone")
        body = (await stage.http.get("/auth/sessions", headers=phone.bearer)).json()
        assert body["next"] is None
        newer, older = body["items"]
        assert (newer["device"], newer["current"], newer["address"]) == ("phone", True, "192.0.2.1")
        assert (older["device"], older["current"], older["id"]) == ("laptop", False, ada.session_id)
        assert older["created_at"] == "2030-01-01T12:00:00Z"
        assert older["last_used_at"] < newer["last_used_at"]

    async def test_one_device_is_logged_out(self, stage: Stage) -> None:
        """204; that session's tokens die, the others live; a second time there is none."""
        ada = await stage.newcomer()
        other = await stage.login(ada)
        path = f"/auth/sessions/{other.session_id}"
        assert (await stage.http.delete(path, headers=ada.bearer)).status_code == 204
        problem(await stage.http.get("/auth/me", headers=other.bearer), 401, "invalid_token")
        problem(await stage.http.delete(path, headers=ada.bearer), 404, "not_found")
        assert (await stage.http.get("/auth/me", headers=ada.bearer)).status_code == 200

    async def test_attack_a54_another_s_session_is_not_there(self, stage: Stage) -> None:
        """404, word for word as for one that never was."""
        ada, eve = await stage.newcomer(), await stage.newcomer()
        answers = [
            await stage.http.delete(f"/auth/sessions/{name}", headers=eve.bearer)
            for name in (ada.session_id, "ses_AAAAAAAAAAAAAAAAAAAAAA")
        ]
        assert answers[0].json() == answers[1].json() == problem(answers[0], 404, "not_found")
        assert (await stage.http.get("/auth/me", headers=ada.bearer)).status_code == 200


class TestPassword:
    async def change(self, stage: Stage, bearer: dict[str, str], current: str, new: str = ANOTHER) -> Any:
        body = {"current_password": current, "new_password": new}
        return await stage.http.post("/auth/password", json=body, headers=bearer)

    async def test_the_other_sessions_end(self, stage: Stage) -> None:
        """204; the old password is wrong, the caller's session lives on, the others are over."""
        ada = await stage.newcomer()
        other = await stage.login(ada)
        assert (await self.change(stage, ada.bearer, PASSWORD)).status_code == 204
        problem(await stage.http.get("/auth/me", headers=other.bearer), 401, "invalid_token")
        problem(await stage.post_login(email=ada.email, password=PASSWORD), 401, "invalid_credentials")
        assert (await stage.post_login(email=ada.email, password=ANOTHER)).status_code == 200
        answer = await stage.http.post("/auth/token", json={"refresh_token": ada.tokens["refresh_token"]})
        assert answer.status_code == 200

    async def test_the_current_password_must_be_right(self, stage: Stage) -> None:
        """401, and after ten tries 429: this door checks a secret too (ASVS 6.3.4)."""
        ada = await stage.newcomer()
        for _ in range(10):
            problem(await self.change(stage, ada.bearer, "wrong"), 401, "invalid_credentials")
        problem(await self.change(stage, ada.bearer, PASSWORD), 429, "too_many_requests")

    async def test_a_weak_new_password_is_refused(self, stage: Stage) -> None:
        """422, by the name of its member."""
        ada = await stage.newcomer()
        document = problem(await self.change(stage, ada.bearer, PASSWORD, "short"), 422, "invalid_input")
        assert fields(document) == ["new_password"]
