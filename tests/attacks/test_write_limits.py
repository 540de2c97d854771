"""S4, S8: whatever a caller writes has a limit, for each user and each network, in every route that writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx2
import pytest

from tests.server.stage import PASSWORD, Somebody, Stage, open_stage
from watchword.server.aliases import TUTORIALS
from watchword.server.routes import ROUTES
from watchword.server.store.records import Origin
from watchword.server.web.route import Route

pytestmark = pytest.mark.anyio

WRITING: Final = [route for route in ROUTES if route.method not in ("GET", "HEAD")]
JWK: Final = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
SMALL: Final = {
    "writes_per_user": "12",
    "writes_per_address": "60",
    "admin_writes_per_user": "12",
    "sign_ins_per_user": "4",
    "registrations_per_address": "4",
    "password_resets_per_address": "4",
    "login_attempts_per_account": "0",
}
OWN_END: Final = ("/auth/logout", "/admin/v1/tokens/revoke-all")
"""Whoever calls these signs in again each time."""
Ask = Callable[[], Awaitable[httpx2.Response]]


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


async def ask_for(stage: Stage, route: Route, user: Somebody, admin: Somebody) -> Ask:
    """The request by which a limit of *route* is used up: one that is good, as far as it can be repeated."""
    path = route.path
    for part in ("id", "key", "kid", "name", "audience:path"):
        path = path.replace(f"{{{part}}}", "x")
    body: dict[str, Any] | None = None
    who = {"first-party": user.bearer, "admin": admin.bearer}.get(route.auth, {})
    match path:
        case "/auth/login":
            body = {"email": user.email, "password": PASSWORD}
        case "/auth/token":
            body = {"refresh_token": user.tokens["refresh_token"]}
        case "/auth/basic":
            who = user.bearer
        case "/auth/register":
            body = {"email": user.email, "password": PASSWORD}
        case "/auth/password/forgot":
            body = {"email": user.email}
        case "/auth/password/reset":
            body = {"token": "none", "password": PASSWORD}
        case "/auth/password":
            body = {"current_password": PASSWORD, "new_password": PASSWORD}
        case "/auth/api-keys":
            body = {"name": "a key"}
        case "/auth/signing-keys":
            body = {"name": "a key", "jwk": JWK}
        case "/auth/email/confirm":
            body = {"token": "none"}
        case "/setup" | "/forgot" | "/reset" | "/confirm-email":
            return lambda: stage.http.post(path, data={"token": "none", "email": user.email, "password": "x"})
        case "/auth/me" if route.method == "DELETE":
            body = {"current_password": "wrong"}
        case "/admin/v1/tokens/revoke-all":

            async def revoke_all() -> httpx2.Response:
                again = await stage.login(admin, audience=stage.settings.issuer)
                return await stage.http.post(path, headers=again.bearer)

            return revoke_all
        case "/auth/logout":

            async def log_out() -> httpx2.Response:
                # Each needs a session of its own; the clock moves, so that the sign-ins are not what is limited.
                stage.clock.forward(milliseconds=1)
                again = await stage.login(user)
                return await stage.http.post("/auth/logout", headers=again.bearer)

            return log_out
    return lambda: stage.http.request(route.method, path, json=body or {}, headers=who)


class TestRoutes:
    @pytest.mark.parametrize("route", WRITING, ids=name_of)
    async def test_f_s4_each_route_that_writes_has_a_limit_that_acts(self, route: Route) -> None:
        """429 with Retry-After after at most 40 requests; a route without a limit fails here."""
        assert route.limit is not None
        flags = {**SMALL, "sign_ins_per_user": "0"} if route.path in OWN_END else SMALL
        async with open_stage(
            **flags, smtp_host="127.0.0.1", mail_from="a@example.com", smtp_security="none"
        ) as stage:
            ask = await ask_for(stage, route, await stage.newcomer(), await stage.administrator())
            statuses = []
            for _ in range(40):
                answer = await ask()
                statuses.append(answer.status_code)
                if answer.status_code == 429:
                    break
            assert statuses[-1] == 429, statuses
            assert len(statuses) > 1
            assert route.form or int(answer.headers["retry-after"]) >= 1
            assert route.form or 429 in route.statuses

    async def test_f_s4_an_alias_has_the_limit_of_its_route(self) -> None:
        """Older names of an endpoint take from the same counts."""
        async with open_stage(**SMALL) as stage:
            ada = await stage.somebody(username="ada")
            logins = [alias for alias in TUTORIALS if alias.target == "/auth/login"]
            statuses = []
            for number in range(9):
                alias = logins[number % len(logins)]
                members = {ours: old for old, ours in alias.members.items()}
                named = {"username": "ada"} if members else {"email": ada.email}
                body = {
                    members.get(name, name): value for name, value in {**named, "password": PASSWORD}.items()
                }
                statuses.append((await stage.http.post(alias.path, json=body)).status_code)
            assert statuses.count(429) >= 2


class TestCounts:
    async def test_f_s4_one_user_does_not_use_up_what_others_have(self) -> None:
        """A user who is refused leaves others of the same network their own; time gives them theirs back."""
        async with open_stage(writes_per_user="6") as stage:
            ada, bob = await stage.newcomer(), await stage.newcomer()
            for _ in range(6):
                answer = await stage.http.patch("/auth/me", json={"name": "Ada"}, headers=ada.bearer)
                assert answer.status_code == 200
            answer = await stage.http.patch("/auth/me", json={"name": "Ada"}, headers=ada.bearer)
            assert answer.status_code == 429
            answer = await stage.http.patch("/auth/me", json={"name": "Bob"}, headers=bob.bearer)
            assert answer.status_code == 200
            stage.clock.forward(seconds=60)
            answer = await stage.http.patch("/auth/me", json={"name": "Ada"}, headers=ada.bearer)
            assert answer.status_code == 200

    async def test_f_s4_a_network_has_a_limit_whoever_its_users_are(self) -> None:
        """Ten users behind one address share what it has; another address has its own."""
        async with open_stage(writes_per_address="20") as stage:
            people = [await stage.newcomer() for _ in range(10)]
            statuses = [
                (await stage.http.patch("/auth/me", json={"name": "N"}, headers=one.bearer)).status_code
                for one in people * 3
            ]
            assert statuses == [200] * 20 + [429] * 10
            async with stage.client("198.51.100.1") as elsewhere:
                answer = await elsewhere.patch("/auth/me", json={"name": "N"}, headers=people[0].bearer)
            assert answer.status_code == 200

    async def test_f_s4_a_stolen_token_cannot_keep_its_owner_from_ending_it(self) -> None:
        """Whoever holds a token and floods with it leaves the password and the log-out of the user alone."""
        async with open_stage(writes_per_user="12") as stage:
            ada = await stage.newcomer()
            own = await stage.login(ada, audience=stage.settings.issuer)
            wrong = {"current_password": "wrong", "new_password": "eight-green-windows"}
            for _ in range(30):
                await stage.http.delete("/auth/sessions/x", headers=ada.bearer)
                await stage.http.post("/auth/api-keys", json={"name": "n"}, headers=ada.bearer)
            for _ in range(5):
                await stage.http.post("/auth/password", json=wrong, headers=ada.bearer)
            answer = await stage.http.delete("/auth/sessions/x", headers=own.bearer)
            assert answer.status_code == 429
            right = {"current_password": PASSWORD, "new_password": "eight-green-windows"}
            answer = await stage.http.post("/auth/password", json=right, headers=own.bearer)
            assert answer.status_code == 204
            assert (await stage.http.get("/auth/me", headers=ada.bearer)).status_code == 401

    async def test_f_s4_a_refresh_by_the_current_token_is_never_limited(self) -> None:
        """Hundreds in a minute, each with the newest token; no count of anybody's is asked."""
        async with open_stage(writes_per_user="4") as stage:
            ada = await stage.newcomer()
            text = ada.tokens["refresh_token"]
            for _ in range(300):
                answer = await stage.http.post("/auth/token", json={"refresh_token": text})
                assert answer.status_code == 200
                text = answer.json()["refresh_token"]

    async def test_f_s4_repeats_within_the_grace_are_limited(self) -> None:
        """Each is a row of the audit log: a spent token that is shown again and again is soon 429, the next is good."""
        async with open_stage(sign_ins_per_user="6") as stage:
            ada = await stage.newcomer()
            spent = {"refresh_token": ada.tokens["refresh_token"]}
            current = (await stage.http.post("/auth/token", json=spent)).json()
            statuses = [(await stage.http.post("/auth/token", json=spent)).status_code for _ in range(50)]
            assert statuses == [200] * 7 + [429] * 43
            assert len(await stage.events("refresh_token.repeated")) == 7
            answer = await stage.http.post("/auth/token", json={"refresh_token": current["refresh_token"]})
            assert answer.status_code == 200

    async def test_f_s4_a_sign_in_beyond_the_limit_costs_no_hash(self) -> None:
        """Where the owner comes from, it is refused before the password is looked at, and is no guess either."""
        async with open_stage(sign_ins_per_user="6", login_attempts_per_account="3") as stage:
            ada = await stage.newcomer()
            for _ in range(20):
                last = await stage.post_login(email=ada.email, password=PASSWORD)
            assert last.status_code == 429
            wrong = [await stage.post_login(email=ada.email, password="wrong") for _ in range(20)]
            assert [answer.status_code for answer in wrong] == [429] * 20
            assert await stage.events("login.failed") == []
            # Elsewhere a stranger learns nothing of it.
            async with stage.client("198.51.100.1") as elsewhere:
                body = {"email": ada.email, "password": "wrong"}
                assert (await elsewhere.post("/auth/login", json=body)).status_code == 401

    async def test_f_s4_refused_keys_of_one_user_leave_few_events(self) -> None:
        """However many of their keys are over, what is written of their use is bounded for the user."""
        async with open_stage(login_attempts_per_address="5") as stage:
            ada = await stage.login(await stage.somebody(), audience=stage.settings.issuer)
            keys = []
            for number in range(4):
                answer = await stage.http.post(
                    "/auth/api-keys", json={"name": str(number)}, headers=ada.bearer
                )
                keys.append(answer.json())
                await stage.http.delete(f"/auth/api-keys/{keys[-1]['id']}", headers=ada.bearer)
            for key in keys * 5:
                answer = await stage.http.post("/auth/token", json={"api_key": key["key"]})
                assert answer.status_code == 401
            assert len(await stage.events("api_key.refused")) <= 5


class TestEntries:
    async def entries(self, stage: Stage) -> list[Any]:
        _, found = await stage.services.store.revocations.since(0, 10_000)
        return [entry for entry in found if entry.kind in ("session", "user", "token", "issuer")]

    @pytest.mark.parametrize("kind", ["api-keys", "signing-keys"])
    async def test_f_s4_a_key_that_was_never_traded_leaves_no_entry(self, kind: str) -> None:
        """No guard can have seen a token of it; one that was traded leaves one."""
        async with open_stage() as stage:
            ada = await stage.login(await stage.somebody(), audience=stage.settings.issuer)
            body = {"name": "a key", "jwk": JWK} if kind == "signing-keys" else {"name": "a key"}

            async def make() -> dict[str, Any]:
                answer = await stage.http.post(f"/auth/{kind}", json=body, headers=ada.bearer)
                assert answer.status_code == 201, answer.text
                made: dict[str, Any] = answer.json()
                return made

            made = await make()
            await stage.http.delete(f"/auth/{kind}/{made['id']}", headers=ada.bearer)
            assert await self.entries(stage) == []
            made = await make()
            traded = {"api_key": made["key"]} if kind == "api-keys" else {"signing_key": made["id"]}
            assert (await stage.http.post("/auth/token", json=traded)).status_code == 200
            await stage.http.delete(f"/auth/{kind}/{made['id']}", headers=ada.bearer)
            assert [entry.id for entry in await self.entries(stage)] == [made["id"]]


class TestOracles:
    @pytest.mark.parametrize("member", ["email", "username"])
    async def test_f_s8_asking_whether_an_account_exists_is_charged_as_a_registration(
        self, member: str
    ) -> None:
        """By PATCH, too: the questions of one user are counted, and those of one network with its registrations."""
        async with open_stage(registrations_per_address="5") as stage:
            victim = await stage.somebody(username="victim")
            ada = await stage.login(await stage.somebody(), audience=stage.settings.issuer)
            taken = victim.email if member == "email" else "victim"
            body = {member: taken, "current_password": PASSWORD}
            statuses = [
                (await stage.http.patch("/auth/me", json=body, headers=ada.bearer)).status_code
                for _ in range(12)
            ]
            assert statuses[5:] == [429] * 7
            # From elsewhere the user has none left either, and from here nobody registers.
            async with stage.client("198.51.100.1") as elsewhere:
                answer = await elsewhere.patch("/auth/me", json=body, headers=ada.bearer)
                assert answer.status_code == 429
            new = {"email": "new@example.com", "password": PASSWORD}
            assert (await stage.http.post("/auth/register", json=new)).status_code == 429
            # A change that asks nothing of others costs none of it.
            answer = await stage.http.patch("/auth/me", json={"name": "Ada"}, headers=ada.bearer)
            assert answer.status_code == 200


class TestOthers:
    async def test_f_s4_a_token_thief_leaves_the_owner_the_end_of_the_session(self) -> None:
        """Whoever floods the removals from one network keeps nobody from them who comes from another one."""
        async with open_stage(**SMALL) as stage:
            ada = await stage.newcomer()
            stolen = await stage.login(ada)
            async with stage.client("198.51.100.9") as thief:
                for path in ("sessions", "api-keys", "signing-keys"):
                    statuses = [
                        (await thief.delete(f"/auth/{path}/x", headers=stolen.bearer)).status_code
                        for _ in range(30)
                    ]
                    assert 429 in statuses or path != "sessions"
            answer = await stage.http.delete(f"/auth/sessions/{stolen.session_id}", headers=ada.bearer)
            assert answer.status_code == 204

    async def test_f_s7_a_banned_user_s_right_password_is_limited_as_every_other(self) -> None:
        """403, and then 429: each costs a hash."""
        async with open_stage(**SMALL) as stage:
            ada = await stage.somebody()
            await stage.services.users.ban(ada.id, "test", None, Origin())
            statuses = [
                (await stage.post_login(email=ada.email, password=PASSWORD)).status_code for _ in range(10)
            ]
            assert set(statuses) == {403, 429}
            assert statuses[0] == 403
            assert statuses[-1] == 429
