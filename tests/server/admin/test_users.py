"""Users, for administrators."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.stage import PASSWORD, Somebody, Stage, call, problem
from watchword.protocol import access_token

pytestmark = pytest.mark.anyio

USERS = "/admin/v1/users"


@pytest.fixture
async def root(stage: Stage) -> Somebody:
    return await stage.administrator()


class TestList:
    async def test_pages_follow_one_another(self, stage: Stage, root: Somebody) -> None:
        """Every user once, in order of creation, in pages of the asked size."""
        made = [await stage.somebody() for _ in range(5)]
        found: list[str] = []
        query: dict[str, Any] = {"limit": 2}
        while True:
            page = await call(stage, root, "GET", USERS, params=query)
            assert len(page["items"]) <= 2
            found += [user["id"] for user in page["items"]]
            if page["next"] is None:
                break
            query["cursor"] = page["next"]
        assert found == [root.id, *(user.id for user in made)]

    async def test_q_searches_without_case(self, stage: Stage, root: Somebody) -> None:
        """In e-mail, user name and name; its wildcards are letters."""
        ada = await stage.somebody(name="Ada Lovelace", username="countess")
        for q in ("LOVELACE", "countess", ada.email[:6]):
            page = await call(stage, root, "GET", USERS, params={"q": q})
            assert ada.id in [user["id"] for user in page["items"]]
        for q in ("%", "_", "' OR '1'='1", "\\"):
            assert (await call(stage, root, "GET", USERS, params={"q": q}))["items"] == []

    @pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "", "1e1", "٣", "9" * 5000])
    async def test_a_limit_has_bounds(self, stage: Stage, root: Somebody, limit: str) -> None:
        """1 to 200, else 422."""
        answer = await stage.http.get(USERS, params={"limit": limit}, headers=root.bearer)
        problem(answer, 422, "invalid_input")

    @pytest.mark.parametrize("cursor", ["x", "", "'", "AAAA", "9" * 400, "\x00", "é"])
    async def test_a_cursor_that_is_none_of_ours_breaks_nothing(
        self, stage: Stage, root: Somebody, cursor: str
    ) -> None:
        """It is refused or finds a page, never 500."""
        for path in (USERS, "/admin/v1/events"):
            answer = await stage.http.get(path, params={"cursor": cursor}, headers=root.bearer)
            assert answer.status_code in (200, 400, 422), answer.text


class TestLife:
    async def test_a_user_is_made_read_changed_and_deleted(self, stage: Stage, root: Somebody) -> None:
        """Actions answer with the object, deletion with nothing."""
        body = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada", "roles": ["user", "admin"]}
        made = await call(stage, root, "POST", USERS, 201, json=body)
        assert (made["roles"], made["banned"], made["ban_reason"]) == (["user", "admin"], False, None)
        path = f"{USERS}/{made['id']}"
        assert await call(stage, root, "GET", path) == made
        changed = await call(stage, root, "PATCH", path, json={"roles": ["user"], "name": None})
        assert (changed["roles"], changed["name"], changed["email"]) == (["user"], None, "ada@example.com")
        await call(stage, root, "DELETE", path, 204)
        for method in ("GET", "DELETE"):
            problem(await stage.http.request(method, path, headers=root.bearer), 404, "not_found")

    async def test_without_a_password_nobody_logs_in(self, stage: Stage, root: Somebody) -> None:
        """Not with an empty one either."""
        await call(stage, root, "POST", USERS, 201, json={"email": "ada@example.com"})
        problem(await stage.post_login(email="ada@example.com", password=""), 401, "invalid_credentials")

    async def test_an_unknown_role_is_refused(self, stage: Stage, root: Somebody) -> None:
        """422, at creation and at change."""
        body = {"email": "ada@example.com", "roles": ["emperor"]}
        answer = await stage.http.post(USERS, json=body, headers=root.bearer)
        problem(answer, 422, "invalid_input")
        answer = await stage.http.patch(
            f"{USERS}/{root.id}", json={"roles": ["emperor"]}, headers=root.bearer
        )
        problem(answer, 422, "invalid_input")

    async def test_a_lost_role_shuts_the_door_at_once(self, stage: Stage, root: Somebody) -> None:
        """The token that says ``admin`` no longer administers when its user is none."""
        other = await stage.administrator()
        await call(stage, root, "PATCH", f"{USERS}/{other.id}", json={"roles": ["user"]})
        problem(await stage.http.get(USERS, headers=other.bearer), 403, "insufficient_scope")


class TestPages:
    @pytest.mark.parametrize("limit", ["0", "201", "0" * 5 + "1" + "9" * 30, "-1", "x"])
    async def test_a_limit_beyond_the_most_is_refused(self, stage: Stage, root: Somebody, limit: str) -> None:
        """422, however the number is written."""
        answer = await stage.http.get(USERS, params={"limit": limit}, headers=root.bearer)
        problem(answer, 422, "invalid_input")


class TestBan:
    async def test_tokens_die_and_stay_dead(self, stage: Stage, root: Somebody) -> None:
        """Access and refresh token are refused at once, and after the ban is lifted still."""
        ada = await stage.newcomer()
        path = f"{USERS}/{ada.id}"
        banned = await call(stage, root, "POST", f"{path}/ban", json={"reason": "spam"})
        assert (banned["banned"], banned["ban_reason"], banned["banned_until"]) == (True, "spam", None)
        problem(await stage.http.get("/auth/me", headers=ada.bearer), 401, "invalid_token")
        freed = await call(stage, root, "POST", f"{path}/unban")
        assert (freed["banned"], freed["ban_reason"]) == (False, None)
        problem(await stage.http.get("/auth/me", headers=ada.bearer), 401, "invalid_token")
        answer = await stage.http.post("/auth/token", json={"refresh_token": ada.tokens["refresh_token"]})
        problem(answer, 401, "invalid_grant")
        await stage.login(ada)

    async def test_a_ban_may_end_by_itself(self, stage: Stage, root: Somebody) -> None:
        """After ``until`` the user logs in again."""
        ada = await stage.somebody()
        body = {"until": "2030-01-02T14:00:00+02:00"}
        banned = await call(stage, root, "POST", f"{USERS}/{ada.id}/ban", json=body)
        assert banned["banned_until"] == "2030-01-02T12:00:00Z"
        problem(await stage.post_login(email=ada.email, password=PASSWORD), 403, "account_disabled")
        stage.clock.forward(days=1, seconds=1)
        await stage.login(ada)

    @pytest.mark.parametrize(
        "body",
        [
            {"until": "2029-01-01T00:00:00Z"},
            {"until": "2031-01-01T00:00:00"},
            {"until": "tomorrow"},
            {"until": "9999-12-31T23:59:59-23:59"},
            {"until": 1},
            {"reason": "x" * 501},
        ],
    )
    async def test_a_ban_that_makes_no_sense_is_refused(
        self, stage: Stage, root: Somebody, body: dict[str, Any]
    ) -> None:
        """The past, a time without a zone, a text that is none, an endless reason."""
        ada = await stage.somebody()
        answer = await stage.http.post(f"{USERS}/{ada.id}/ban", json=body, headers=root.bearer)
        problem(answer, 422, "invalid_input")
        await stage.login(ada)

    async def test_nobody_bans_who_is_not_there(self, stage: Stage, root: Somebody) -> None:
        """404 for each action on an unknown user."""
        for action in ("ban", "unban"):
            answer = await stage.http.post(f"{USERS}/usr_none/{action}", headers=root.bearer)
            problem(answer, 404, "not_found")


class TestSessions:
    async def test_an_administrator_ends_one_or_all(self, stage: Stage, root: Somebody) -> None:
        """The ended session's tokens die, the count says how many."""
        ada = await stage.newcomer(device="laptop")
        other, third = await stage.login(ada), await stage.login(ada)
        page = await call(stage, root, "GET", f"{USERS}/{ada.id}/sessions")
        assert {session["id"] for session in page["items"]} == {
            ada.session_id,
            other.session_id,
            third.session_id,
        }
        answer = await stage.http.delete(f"/admin/v1/sessions/{ada.session_id}", headers=root.bearer)
        assert answer.status_code == 204
        problem(await stage.http.get("/auth/me", headers=ada.bearer), 401, "invalid_token")
        assert (await stage.http.get("/auth/me", headers=other.bearer)).status_code == 200
        assert await call(stage, root, "DELETE", f"{USERS}/{ada.id}/sessions") == {"ended": 2}
        problem(await stage.http.get("/auth/me", headers=third.bearer), 401, "invalid_token")
        answer = await stage.http.delete(f"/admin/v1/sessions/{ada.session_id}", headers=root.bearer)
        problem(answer, 404, "not_found")


class TestDoor:
    async def test_a_token_some_api_has_seen_does_not_administer(self, stage: Stage, root: Somebody) -> None:
        """Only an ``aud`` that is the issuer alone enters, whoever the user is."""
        for members in ({}, {"audience": "api"}):
            wide = await stage.login(root, **members)
            answer = await stage.http.get(USERS, headers=wide.bearer)
            assert answer.status_code in (401, 403)
            assert (await stage.http.get("/auth/me", headers=wide.bearer)).status_code == (
                401 if members else 200
            )

    async def test_a_narrowed_token_does_not_administer(self, stage: Stage, root: Somebody) -> None:
        """A token that was made to do less than its user does not do the most."""
        await call(stage, root, "PUT", "/admin/v1/roles/admin", json={"scope": ["a", "b"]})
        narrow = await stage.login(root, audience="https://auth.example.com", scope="a")
        problem(await stage.http.get(USERS, headers=narrow.bearer), 403, "insufficient_scope")

    async def test_a_token_signed_by_us_for_another_purpose_does_not_enter(
        self, stage: Stage, root: Somebody
    ) -> None:
        """Same key, but no session behind it: 401."""
        kid = stage.services.keys.jwks()["keys"][0]["kid"]
        key = await stage.services.keys.signing_key(kid)
        now = int(stage.clock.now().timestamp())
        claims = {
            "iss": "https://auth.example.com",
            "sub": root.id,
            "aud": "https://auth.example.com",
            "exp": now + 60,
            "iat": now,
            "jti": "made-up",
            "client_id": "cli_first_party",
            "roles": ["admin"],
            "scope": "",
        }
        for sid in ({}, {"sid": "ses_AAAAAAAAAAAAAAAAAAAAAA"}):
            token = access_token.issue({**claims, **sid}, key)
            answer = await stage.http.get(USERS, headers={"Authorization": f"Bearer {token}"})
            problem(answer, 401, "invalid_token")
