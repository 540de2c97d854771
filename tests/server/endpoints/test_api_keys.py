"""API keys at the server: who gets one, what it is traded for, and what ends it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.stage import PASSWORD, Somebody, Stage, call, each_ground, open_stage, problem
from watchword import Guard, InvalidToken
from watchword.protocol import access_token
from watchword.protocol.api_key import ApiKey, parse_api_key
from watchword.server.store.records import Live, Origin

pytestmark = pytest.mark.anyio
kind = each_ground


async def make(stage: Stage, somebody: Somebody, status: int = 201, **members: Any) -> Any:
    body = {"name": "deploy", "current_password": PASSWORD, **members}
    answer = await stage.http.post("/auth/api-keys", json=body, headers=somebody.bearer)
    assert answer.status_code == status, answer.text
    return answer.json()


async def trade(stage: Stage, key: str, status: int = 200, address: str = "192.0.2.1", **members: Any) -> Any:
    async with stage.client(address) as client:
        answer = await client.post("/auth/token", json={"api_key": key, **members})
    assert answer.status_code == status, answer.text
    return answer.json()


async def guard_of(stage: Stage, audience: str = "api") -> Guard:
    jwks = (await stage.http.get("/.well-known/jwks.json")).json()
    return Guard(
        stage.settings.issuer, audience, keys=jwks, clock=lambda: stage.clock.at.timestamp(), leeway=0
    )


async def live_of(stage: Stage, session_id: str) -> Live:
    live = await stage.services.store.sessions.live(session_id)
    assert isinstance(live, Live)
    return live


async def dead_sessions(stage: Stage) -> set[str]:
    _, entries = await stage.services.store.revocations.since(0, 1000)
    return {entry.id for entry in entries if entry.kind == "session"}


class TestCreate:
    async def test_its_text_is_shown_once(self, stage: Stage) -> None:
        """201 with the key; the list has all but the text, and so has the audit log."""
        ada = await stage.newcomer()
        body = {"name": "deploy", "current_password": PASSWORD}
        answer = await stage.http.post("/auth/api-keys", json=body, headers=ada.bearer)
        assert answer.status_code == 201
        assert answer.headers["cache-control"] == "no-store"
        made = answer.json()
        assert parse_api_key(made["key"]).session_id == made["id"]
        assert (made["name"], made["audience"], made["scope"]) == ("deploy", "api", None)
        assert made["last_used_at"] is None
        assert made["expires_at"] == "2030-04-01T12:00:00Z"
        listed = await call(stage, ada, "GET", "/auth/api-keys")
        assert listed == {"items": [{k: v for k, v in made.items() if k != "key"}], "next": None}
        (event,) = await stage.events("api_key.created")
        assert (event.user_id, event.session_id) == (ada.id, made["id"])
        assert made["key"] not in repr(await stage.events())

    async def test_it_is_no_device(self, stage: Stage) -> None:
        """It is not among the sessions, and logging a device out does not end it."""
        ada = await stage.newcomer()
        made = await make(stage, ada)
        sessions = await call(stage, ada, "GET", "/auth/sessions")
        assert [one["id"] for one in sessions["items"]] == [ada.session_id]
        await call(stage, ada, "DELETE", f"/auth/sessions/{made['id']}", 404)
        await call(stage, ada, "POST", "/auth/logout", 204)
        await trade(stage, made["key"])

    async def test_a_log_in_of_long_ago_says_its_password(self, stage: Stage) -> None:
        """A token found lying about makes no key; nor does one narrowed by scope (ASVS 7.5.1)."""
        ada = await stage.newcomer(audience=stage.settings.issuer)
        await make(stage, ada, current_password=None)
        stage.clock.forward(minutes=16)
        ada = Somebody(ada.id, ada.email, await self.refreshed(stage, ada))
        await make(stage, ada, 401, current_password=None)
        await make(stage, ada, 401, current_password="wrong-wrong-wrong")
        await make(stage, ada)
        bob = await stage.newcomer(audience=stage.settings.issuer, scope="profile")
        await make(stage, bob, 401, current_password=None)
        await make(stage, bob)

    async def test_attack_what_an_api_has_seen_makes_no_key(self, stage: Stage) -> None:
        """The API to which a token is shown could make itself a key for another API, good for months: 401."""
        await stage.services.store.apis.add("payroll", (), Origin())
        ada = await stage.newcomer()
        for audience in ("api", "payroll"):
            refused = await make(stage, ada, 401, current_password=None, audience=audience)
            assert refused["error"] == "invalid_credentials"
            assert "current_password" in refused["detail"]
        assert not await stage.events("session.refused")
        assert (await call(stage, ada, "GET", "/auth/api-keys"))["items"] == []
        await make(stage, ada, audience="payroll")

    async def test_a_key_makes_no_key(self, stage: Stage) -> None:
        """What it is traded for opens nothing here: no key, no pair, no account, no administration."""
        root = await stage.login(await stage.somebody("admin"))
        token = (await trade(stage, (await make(stage, root))["key"]))["access_token"]
        holder = Somebody(root.id, root.email, {"access_token": token})
        for method, path in (
            ("POST", "/auth/api-keys"), ("GET", "/auth/api-keys"), ("GET", "/auth/me"), ("POST", "/auth/basic"),
            ("POST", "/auth/logout"), ("DELETE", "/auth/me"), ("GET", "/admin/v1/users"),
        ):  # fmt: skip
            problem(await stage.http.request(method, path, headers=holder.bearer), 401, "invalid_token")

    async def test_not_even_a_token_for_this_server_opens_it(self, stage: Stage) -> None:
        """What counts is whose session it is: a token of a key's is refused here whatever audience it bears."""
        ada = await stage.newcomer()
        token = (await trade(stage, (await make(stage, ada))["key"]))["access_token"]
        claims = (await guard_of(stage)).verify(token).claims
        key = await stage.services.keys.signing_key((await live_of(stage, claims["sid"])).kid)
        for audience in (stage.settings.issuer, [stage.settings.issuer, "api"]):
            forged = access_token.issue({**claims, "aud": audience}, key)
            answer = await stage.http.get("/auth/me", headers={"Authorization": f"Bearer {forged}"})
            assert problem(answer, 401, "invalid_token")["detail"] == "a key is for APIs"

    async def test_none_is_for_this_server(self, stage: Stage) -> None:
        """The issuer is no audience of a key, nor is one that is not there: 422."""
        ada = await stage.newcomer()
        for audience in (stage.settings.issuer, "nowhere"):
            fault = await make(stage, ada, 422, audience=audience)
            assert fault["error"] == "invalid_target"

    @pytest.mark.parametrize(
        ("members", "error"),
        [
            ({"scope": "profile pay"}, "invalid_scope"),
            ({"name": ""}, "invalid_input"),
            ({"name": "a\nb"}, "invalid_input"),
            ({"name": "x" * 201}, "invalid_input"),
            ({"expires_in": 59}, "invalid_input"),
            ({"expires_in": 365 * 86_400 + 1}, "invalid_input"),
            ({"expires_in": "1d"}, "invalid_input"),
            ({"roles": ["admin"]}, "invalid_input"),
        ],
    )
    async def test_what_may_not_be_is_said(self, stage: Stage, members: Any, error: str) -> None:
        """Beyond the roles, beyond the longest life, a name that is none: 422, and no key is made."""
        ada = await stage.newcomer()
        fault = await make(stage, ada, 422, **members)
        assert fault["error"] == error
        assert (await call(stage, ada, "GET", "/auth/api-keys"))["items"] == []

    async def test_its_life_and_number_are_settings(self, ground: dict[str, str]) -> None:
        """``API_KEY_TTL``, ``API_KEY_MAX_TTL``, ``MAX_API_KEYS_PER_USER``: one too many is 409, and evicts nobody."""
        async with open_stage(
            api_key_ttl="1d", api_key_max_ttl="2d", max_api_keys_per_user="2", **ground
        ) as stage:
            ada = await stage.newcomer()
            first = await make(stage, ada)
            assert first["expires_at"] == "2030-01-02T12:00:00Z"
            assert (await make(stage, ada, 422, expires_in=2 * 86_400 + 1))["errors"][0][
                "field"
            ] == "expires_in"
            await make(stage, ada, expires_in=2 * 86_400)
            assert (await make(stage, ada, 409))["error"] == "conflict"
            await call(stage, ada, "DELETE", f"/auth/api-keys/{first['id']}", 204)
            await make(stage, ada)

    async def refreshed(self, stage: Stage, somebody: Somebody) -> Any:
        body = {"refresh_token": somebody.tokens["refresh_token"]}
        return (await stage.http.post("/auth/token", json=body)).json()


class TestExchange:
    async def test_a_key_for_a_short_token(self, stage: Stage) -> None:
        """The same user, for the API alone, ten minutes; and no refresh token."""
        ada = await stage.newcomer()
        made = await make(stage, ada)
        given = await trade(stage, made["key"])
        assert set(given) == {"access_token", "token_type", "expires_in", "scope", "session_id"}
        assert (given["token_type"], given["expires_in"]) == ("Bearer", 600)
        assert given["session_id"] == made["id"]
        principal = (await guard_of(stage)).verify(given["access_token"])
        assert (principal.subject, principal.session_id) == (ada.id, made["id"])
        assert principal.roles == ("user",)
        assert (principal.claims["aud"], principal.claims["amr"]) == ("api", ["api_key"])
        (listed,) = (await call(stage, ada, "GET", "/auth/api-keys"))["items"]
        assert listed["last_used_at"] == "2030-01-01T12:00:00Z"

    async def test_its_scope_is_a_bound(self, stage: Stage) -> None:
        """It is less of it on demand, never more; what the roles lost is lost; and it carries no role."""
        await stage.services.store.roles.set("clerk", ("see", "pay"), Origin())
        ada = await stage.login(await stage.somebody("clerk"))
        key = (await make(stage, ada, scope="see pay"))["key"]
        guard = await guard_of(stage)
        given = await trade(stage, key)
        assert given["scope"] == "see pay"
        assert guard.verify(given["access_token"]).roles == ()
        assert (await trade(stage, key, scope="see"))["scope"] == "see"
        assert (await trade(stage, key, 422, scope="see profile"))["error"] == "invalid_scope"
        await stage.services.store.roles.set("clerk", ("see",), Origin())
        assert (await trade(stage, key))["scope"] == "see"

    async def test_an_admin_s_key_with_a_scope_is_no_admin(self, ground: dict[str, str]) -> None:
        """Neither by role nor by a claim drawn from roles; without a scope it is all that its user is."""
        async with open_stage(claims="admin=admin,role=role,who=email", **ground) as stage:
            root = await stage.login(await stage.somebody("admin"))
            guard = await guard_of(stage)
            scoped = await trade(stage, (await make(stage, root, scope="profile"))["key"])
            principal = guard.verify(scoped["access_token"])
            assert not principal.is_admin
            assert (principal.claims["admin"], principal.claims["role"]) == (False, None)
            assert principal.claims["who"] == root.email
            whole = (await make(stage, root))["key"]
            assert guard.verify((await trade(stage, whole))["access_token"]).is_admin
            narrow = await trade(stage, whole, scope="profile")
            assert not guard.verify(narrow["access_token"]).is_admin

    async def test_it_is_for_its_api(self, stage: Stage) -> None:
        """Another audience is refused by name; the guard of another API refuses its token."""
        await stage.services.store.apis.add("reports", (), Origin())
        ada = await stage.newcomer()
        key = (await make(stage, ada, audience="reports"))["key"]
        assert (await trade(stage, key, 422, audience="api"))["error"] == "invalid_target"
        token = (await trade(stage, key, audience="reports"))["access_token"]
        assert (await guard_of(stage, "reports")).verify(token).subject == ada.id
        with pytest.raises(InvalidToken, match="audience"):
            (await guard_of(stage)).verify(token)

    async def test_its_token_ends_with_it(self, stage: Stage) -> None:
        """A key with a minute left gives a token of a minute; after that it is over."""
        ada = await stage.newcomer()
        key = (await make(stage, ada, expires_in=660))["key"]
        stage.clock.forward(minutes=10)
        assert (await trade(stage, key))["expires_in"] == 60
        stage.clock.forward(minutes=1)
        await trade(stage, key, 401)

    async def test_every_refusal_is_the_same(self, stage: Stage) -> None:
        """Unknown, mistyped, of a wrong secret, revoked, expired, its user banned: one answer, word for word."""
        ada, bob = await stage.newcomer(), await stage.newcomer()
        revoked, expired = await make(stage, ada), await make(stage, ada, expires_in=60)
        banned = await make(stage, bob)
        await call(stage, ada, "DELETE", f"/auth/api-keys/{revoked['id']}", 204)
        await stage.services.users.ban(bob.id, None, None, Origin())
        stage.clock.forward(minutes=1)
        good = parse_api_key((await make(stage, ada))["key"])
        texts = [
            ApiKey(bytes(16), bytes(16)).text(),
            ApiKey(good.session, bytes(16)).text(),
            good.text()[:-1] + "?",
            "", "wwr_x", revoked["key"], expired["key"], banned["key"],
        ]  # fmt: skip
        answers = [await trade(stage, text, 401) for text in texts]
        assert all(answer == answers[0] for answer in answers)
        assert answers[0]["error"] == "invalid_grant"

    async def test_one_secret_is_asked_for(self, stage: Stage) -> None:
        """A refresh token and a key, or neither, or an audience without a key: 422."""
        for body in ({}, {"refresh_token": "a", "api_key": "b"}, {"refresh_token": "a", "audience": "api"}):
            problem(await stage.http.post("/auth/token", json=body), 422, "invalid_input")

    async def test_no_refresh_token_can_be_made_of_it(self, stage: Stage) -> None:
        """The text of one, with the key's session and secret under a wrong MAC, is refused."""
        key = parse_api_key((await make(stage, await stage.newcomer()))["key"])
        forged = stage.services.refresh_tokens.codec.__class__({1: bytes(32)}).mint(
            1, key.session_id, 0, key.secret
        )
        answer = await stage.http.post("/auth/token", json={"refresh_token": forged})
        problem(answer, 401, "invalid_grant")


class TestEnd:
    async def test_revoked_its_tokens_die_at_once(self, stage: Stage) -> None:
        """The feed names its session; nobody else's is touched; a second time there is nothing to revoke."""
        ada, bob = await stage.newcomer(), await stage.newcomer()
        made = await make(stage, ada)
        await trade(stage, made["key"])
        await call(stage, bob, "DELETE", f"/auth/api-keys/{made['id']}", 404)
        await call(stage, ada, "DELETE", f"/auth/api-keys/{ada.session_id}", 404)
        await call(stage, ada, "DELETE", f"/auth/api-keys/{made['id']}", 204)
        assert await dead_sessions(stage) == {made["id"]}
        await call(stage, ada, "DELETE", f"/auth/api-keys/{made['id']}", 404)
        await trade(stage, made["key"], 401)

    @pytest.mark.parametrize("end", ["everywhere", "password", "api"])
    async def test_what_ends_sessions_ends_it(self, stage: Stage, end: str) -> None:
        """Log-out everywhere, another password, a deleted API."""
        await stage.services.store.apis.add("reports", (), Origin())
        ada = await stage.newcomer()
        key = (await make(stage, ada, audience="reports"))["key"]
        await trade(stage, key)
        if end == "everywhere":
            await call(stage, ada, "POST", "/auth/logout", 204, json={"everywhere": True})
        elif end == "password":
            words = {"current_password": PASSWORD, "new_password": PASSWORD}
            await call(stage, ada, "POST", "/auth/password", 204, json=words)
        else:
            await stage.services.store.apis.delete("reports", Origin())
        await trade(stage, key, 401)

    async def test_an_administrator_sees_and_ends_it(self, stage: Stage) -> None:
        """By user and key; by its session's id, too."""
        root, ada = await stage.administrator(), await stage.newcomer()
        first, second = await make(stage, ada), await make(stage, ada)
        keys = f"/admin/v1/users/{ada.id}/api-keys"
        assert len((await call(stage, root, "GET", keys))["items"]) == 2
        await call(stage, root, "DELETE", f"/admin/v1/users/{root.id}/api-keys/{first['id']}", 404)
        await call(stage, root, "DELETE", f"{keys}/{first['id']}", 204)
        await call(stage, root, "DELETE", f"/admin/v1/sessions/{second['id']}", 204)
        assert (await call(stage, root, "GET", keys))["items"] == []
        await call(stage, root, "GET", "/admin/v1/users/usr_nobody/api-keys", 404)
        for made in (first, second):
            await trade(stage, made["key"], 401)


class TestGuesses:
    async def test_made_up_keys_are_counted_by_address(self, ground: dict[str, str]) -> None:
        """Beyond the limit 429 with a wait, for that address; a good key from there is traded all the same."""
        async with open_stage(login_attempts_per_address="5", **ground) as stage:
            key = (await make(stage, await stage.newcomer()))["key"]
            for number in range(5):
                await trade(stage, ApiKey(bytes([number]) * 16, bytes(16)).text(), 401)
            wrong = ApiKey(b"x" * 16, bytes(16)).text()
            answer = await stage.http.post("/auth/token", json={"api_key": wrong})
            problem(answer, 429, "too_many_requests")
            assert int(answer.headers["retry-after"]) > 0
            await trade(stage, key)
            await trade(stage, wrong, 401, "198.51.100.9")

    async def test_a_slip_of_the_pen_costs_nothing(self, ground: dict[str, str]) -> None:
        """A text whose checksum is wrong is no guess: it is refused unread and not counted."""
        async with open_stage(login_attempts_per_address="5", **ground) as stage:
            for _ in range(20):
                await trade(stage, "wwk_" + "0" * 49, 401)

    async def test_a_key_that_is_over_is_told_so_and_written_down(self, ground: dict[str, str]) -> None:
        """Its holder hears 401 however often he comes, never 429; the log says so, and not without end."""
        async with open_stage(login_attempts_per_address="5", **ground) as stage:
            ada = await stage.newcomer()
            made = await make(stage, ada)
            await call(stage, ada, "DELETE", f"/auth/api-keys/{made['id']}", 204)
            for _ in range(20):
                await trade(stage, made["key"], 401)
            events = await stage.events("api_key.refused")
            assert len(events) == 5
            assert (events[0].user_id, events[0].session_id) == (ada.id, made["id"])
            assert events[0].detail == {"reason": "ended"}
            assert made["key"] not in repr(events)
