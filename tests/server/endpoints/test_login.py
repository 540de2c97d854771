"""Log-in, refresh and log-out over JSON."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.stage import ISSUER, PASSWORD, Stage, each_ground, problem
from watchword.protocol import access_token

pytestmark = pytest.mark.anyio
kind = each_ground


class TestLogin:
    async def test_the_answer_is_a_token_set_and_the_user(self, stage: Stage) -> None:
        """Every member of the contract, not to be stored."""
        ada = await stage.somebody(name="Ada", username="ada")
        answer = await stage.post_login(email=ada.email, password=PASSWORD, device="laptop")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/json"
        body = answer.json()
        assert body.keys() == {
            "access_token",
            "token_type",
            "expires_in",
            "refresh_token",
            "refresh_token_expires_in",
            "scope",
            "session_id",
            "user",
        }
        assert (body["token_type"], body["expires_in"]) == ("Bearer", 600)
        assert body["refresh_token"].startswith("wwr_")
        assert body["session_id"].startswith("ses_")
        user = body["user"]
        assert (user["id"], user["email"], user["name"], user["username"], user["roles"]) == (
            ada.id,
            ada.email,
            "Ada",
            "ada",
            ["user"],
        )
        assert user["last_login_at"] == "2030-01-01T12:00:00Z"

    async def test_sessions_that_begin_together_have_ids_that_lie_together(self, stage: Stage) -> None:
        """Time, then chance: a batch of log-ins writes one place of the index, and no two ids are the same."""
        ada = await stage.somebody()
        ids = [(await stage.login(ada)).session_id for _ in range(5)]
        stage.clock.forward(seconds=1)
        later = (await stage.login(ada)).session_id
        assert {one[:12] for one in ids} == {ids[0][:12]}
        assert len(set(ids)) == 5
        assert later[:12] != ids[0][:12]
        assert later[:9] == ids[0][:9]

    async def test_the_token_serves_the_api_and_the_issuer(self, stage: Stage) -> None:
        """``aud`` is ``[ISSUER, AUDIENCE]``; an audience that was asked for stands alone."""

        async def audience(**members: str) -> tuple[str, ...]:
            token = (await stage.newcomer(**members)).tokens["access_token"]
            return access_token.verify(
                token,
                stage.services.keys.keyset,
                issuer=ISSUER,
                audience=members.get("audience", ISSUER),
                algorithms=("ES256",),
                now=stage.clock.now().timestamp(),
            ).aud

        assert await audience() == (ISSUER, "api")
        assert await audience(audience=ISSUER) == (ISSUER,)
        assert await audience(audience="api") == ("api",)

    async def test_a_user_name_will_do(self, stage: Stage) -> None:
        """``username`` in place of ``email``, without case."""
        await stage.somebody(username="Grace")
        assert (await stage.post_login(username="grace", password=PASSWORD)).status_code == 200

    @pytest.mark.parametrize("members", [{}, {"email": "a@example.com", "username": "a"}])
    async def test_one_of_e_mail_and_user_name_must_come(self, stage: Stage, members: dict[str, str]) -> None:
        """None is too few, both are too many."""
        document = problem(await stage.post_login(password=PASSWORD, **members), 422, "invalid_input")
        assert [fault["field"] for fault in document["errors"]] == ["email"]

    @pytest.mark.parametrize("password", ["", " ", "x", "\0", "x" * 5000, "n\u00e4chste"])
    async def test_what_a_password_looks_like_is_never_said(self, stage: Stage, password: str) -> None:
        """A password nobody may have is wrong, not malformed."""
        ada = await stage.somebody()
        problem(await stage.post_login(email=ada.email, password=password), 401, "invalid_credentials")

    async def test_a_banned_user_learns_it_with_the_right_password_alone(self, stage: Stage) -> None:
        """403 for the owner, 401 for everybody else."""
        ada, root = await stage.somebody(), await stage.administrator()
        await stage.http.post(f"/admin/v1/users/{ada.id}/ban", headers=root.bearer)
        problem(await stage.post_login(email=ada.email, password=PASSWORD), 403, "account_disabled")
        problem(await stage.post_login(email=ada.email, password="wrong"), 401, "invalid_credentials")

    async def test_unknown_audience_and_scope_beyond_the_roles(self, stage: Stage) -> None:
        """422, and only for somebody whose password was right."""
        ada = await stage.somebody()
        for members, error in (
            ({"audience": "nobody"}, "invalid_target"),
            ({"scope": "payroll:pay"}, "invalid_scope"),
        ):
            problem(await stage.post_login(email=ada.email, password=PASSWORD, **members), 422, error)
            problem(
                await stage.post_login(email=ada.email, password="wrong", **members),
                401,
                "invalid_credentials",
            )

    async def test_too_many_failures_wait(self, stage: Stage) -> None:
        """The eleventh failure of an account is 429 with ``Retry-After``; time gives attempts back."""
        ada = await stage.somebody()
        for _ in range(10):
            problem(await stage.post_login(email=ada.email, password="wrong"), 401, "invalid_credentials")
        answer = await stage.post_login(email=ada.email, password=PASSWORD)
        problem(answer, 429, "too_many_requests")
        stage.clock.forward(seconds=int(answer.headers["retry-after"]))
        assert (await stage.post_login(email=ada.email, password=PASSWORD)).status_code == 200

    async def test_the_owner_elsewhere_is_not_locked_out(self, stage: Stage) -> None:
        """Who hammers an account from one address does not close it for another."""
        ada = await stage.somebody()
        async with stage.client("198.51.100.7") as stranger:
            for _ in range(20):
                await stranger.post("/auth/login", json={"email": ada.email, "password": "wrong"})
        assert (await stage.post_login(email=ada.email, password=PASSWORD)).status_code == 200

    async def test_success_and_failure_are_in_the_audit_log(self, stage: Stage) -> None:
        """With the address, and without the password."""
        ada = await stage.somebody()
        await stage.post_login(email=ada.email, password="a-wrong-password")
        await stage.login(ada)
        (failed,) = await stage.events("login.failed")
        assert (failed.user_id, failed.address) == (ada.id, "192.0.2.1")
        assert all("a-wrong-password" not in str(event) for event in await stage.events())


class TestToken:
    async def refresh(self, stage: Stage, tokens: dict[str, Any], **members: str) -> Any:
        return await stage.http.post(
            "/auth/token", json={"refresh_token": tokens["refresh_token"], **members}
        )

    async def test_the_answer_is_the_log_in_s_without_the_user(self, stage: Stage) -> None:
        """A new access token, the successor, the same session; not to be stored."""
        ada = await stage.newcomer()
        answer = await self.refresh(stage, ada.tokens)
        body = answer.json()
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert body.keys() == ada.tokens.keys() - {"user"}
        assert body["session_id"] == ada.session_id
        assert body["refresh_token"] != ada.tokens["refresh_token"]
        assert body["access_token"] != ada.tokens["access_token"]

    async def test_a_replay_past_the_grace_ends_the_session(self, stage: Stage) -> None:
        """401 invalid_grant, for the thief and for the owner."""
        ada = await stage.newcomer()
        first = (await self.refresh(stage, ada.tokens)).json()
        stage.clock.forward(seconds=11)
        problem(await self.refresh(stage, ada.tokens), 401, "invalid_grant")
        problem(await self.refresh(stage, first), 401, "invalid_grant")
        answer = await stage.http.get(
            "/auth/me", headers={"Authorization": f"Bearer {first['access_token']}"}
        )
        problem(answer, 401, "invalid_token")

    @pytest.mark.parametrize("text", ["", "x", "wwr_", "wwr_AAAA", "wwr_" + "A" * 200, "é", "\0"])
    async def test_what_is_no_refresh_token_is_an_invalid_grant(self, stage: Stage, text: str) -> None:
        """Whatever it looks like."""
        problem(await self.refresh(stage, {"refresh_token": text}), 401, "invalid_grant")

    async def test_a_scope_beyond_the_session_s_costs_nothing(self, stage: Stage) -> None:
        """422, and the token is still whole."""
        ada = await stage.newcomer()
        problem(await self.refresh(stage, ada.tokens, scope="payroll:pay"), 422, "invalid_scope")
        assert (await self.refresh(stage, ada.tokens)).status_code == 200

    async def test_a_replay_is_one_whatever_scope_it_asks_for(self, stage: Stage) -> None:
        """Within the grace 422 as ever; past it the session ends, and nobody learns what it may have."""
        ada = await stage.newcomer()
        first = (await self.refresh(stage, ada.tokens)).json()
        problem(await self.refresh(stage, ada.tokens, scope="payroll:pay"), 422, "invalid_scope")
        stage.clock.forward(seconds=11)
        problem(await self.refresh(stage, ada.tokens, scope="payroll:pay"), 401, "invalid_grant")
        problem(await self.refresh(stage, first), 401, "invalid_grant")
        assert len(await stage.events("refresh_token_replayed")) == 1

    async def test_a_narrower_scope_narrows_this_token_alone(self, stage: Stage) -> None:
        """A refresh never widens and never shrinks the grant (RFC 6749 6)."""
        root = await stage.administrator()
        await stage.http.put("/admin/v1/roles/user", json={"scope": ["a", "b"]}, headers=root.bearer)
        ada = await stage.newcomer()
        assert set(ada.tokens["scope"].split()) == {"a", "b"}
        narrow = (await self.refresh(stage, ada.tokens, scope="a")).json()
        assert narrow["scope"] == "a"
        assert set((await self.refresh(stage, narrow)).json()["scope"].split()) == {"a", "b"}


class TestLogout:
    async def test_the_session_s_tokens_die_at_once(self, stage: Stage) -> None:
        """204, then the access token and the refresh token are refused."""
        ada = await stage.newcomer()
        answer = await stage.http.post("/auth/logout", headers=ada.bearer)
        assert (answer.status_code, answer.content) == (204, b"")
        problem(await stage.http.get("/auth/me", headers=ada.bearer), 401, "invalid_token")
        again = await stage.http.post("/auth/token", json={"refresh_token": ada.tokens["refresh_token"]})
        problem(again, 401, "invalid_grant")

    async def test_a_refresh_token_says_who_as_well(self, stage: Stage) -> None:
        """No access token is needed to leave, and to leave twice is no fault."""
        ada = await stage.newcomer()
        stage.clock.forward(hours=1)
        body = {"refresh_token": ada.tokens["refresh_token"]}
        for _ in range(2):
            assert (await stage.http.post("/auth/logout", json=body)).status_code == 204
        problem(await stage.http.post("/auth/token", json=body), 401, "invalid_grant")

    async def test_an_old_refresh_token_ends_its_own_session_alone(self, stage: Stage) -> None:
        """Spent, it is a replay and in the audit log; of a session that is over, it does nothing."""
        ada = await stage.newcomer()
        other = await stage.login(ada)
        old = {"refresh_token": ada.tokens["refresh_token"], "everywhere": True}
        assert (await stage.http.post("/auth/token", json={"refresh_token": old["refresh_token"]})).is_success
        stage.clock.forward(seconds=11)
        for _ in range(2):
            assert (await stage.http.post("/auth/logout", json=old)).status_code == 204
            assert (await stage.http.get("/auth/me", headers=other.bearer)).status_code == 200
        problem(await stage.http.get("/auth/me", headers=ada.bearer), 401, "invalid_token")
        (event,) = await stage.events("refresh_token_replayed")
        assert event.session_id == ada.session_id

    async def test_a_good_refresh_token_ends_all_sessions(self, stage: Stage) -> None:
        """With ``everywhere``, as the access token does."""
        ada = await stage.newcomer()
        other = await stage.login(ada)
        body = {"refresh_token": ada.tokens["refresh_token"], "everywhere": True}
        assert (await stage.http.post("/auth/logout", json=body)).status_code == 204
        problem(await stage.http.get("/auth/me", headers=other.bearer), 401, "invalid_token")

    async def test_a_forged_refresh_token_logs_nobody_out(self, stage: Stage) -> None:
        """A MAC that does not hold is refused."""
        ada = await stage.newcomer()
        token = ada.tokens["refresh_token"]
        forged = token[:-3] + ("AAA" if not token.endswith("AAA") else "BBB")
        answer = await stage.http.post("/auth/logout", json={"refresh_token": forged})
        problem(answer, 401, "invalid_grant")
        assert (await stage.http.get("/auth/me", headers=ada.bearer)).status_code == 200

    async def test_one_session_ends_or_all(self, stage: Stage) -> None:
        """``everywhere`` takes the other devices along; without it they stay."""
        ada = await stage.newcomer()
        other, third = await stage.login(ada), await stage.login(ada)
        await stage.http.post("/auth/logout", json={"everywhere": False}, headers=ada.bearer)
        assert (await stage.http.get("/auth/me", headers=other.bearer)).status_code == 200
        await stage.http.post("/auth/logout", json={"everywhere": True}, headers=other.bearer)
        problem(await stage.http.get("/auth/me", headers=third.bearer), 401, "invalid_token")

    async def test_without_credentials_the_challenge_is_bare(self, stage: Stage) -> None:
        """401 without an error code (RFC 6750 3.1)."""
        answer = await stage.http.post("/auth/logout")
        problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
