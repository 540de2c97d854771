"""Every door of the server and every key that must not open it: the route table times the ways a token can be wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from tests.server.stage import ISSUER, PASSWORD, Somebody, Stage, open_stage, problem
from tests.server.test_routes import call, name_of, path_of
from watchword.jose import jws
from watchword.jose.encoding import decode_base64url
from watchword.jose.jwk import Key
from watchword.protocol import access_token
from watchword.server.routes import ROUTES

pytestmark = pytest.mark.anyio

GUARDED = [route for route in ROUTES if route.auth != "none"]
ADMIN = [route for route in ROUTES if route.auth == "admin"]
OWN = [route for route in ROUTES if route.auth == "first-party"]


async def opens(stage: Stage, somebody: Somebody) -> bool:
    return (await stage.http.get("/auth/me", headers=somebody.bearer)).status_code == 200


async def forged(stage: Stage, somebody: Somebody, *, typ: str = access_token.TYP, **members: Any) -> str:
    """A token signed with the server's own key that says something else; ``None`` leaves a claim out."""
    live: Any = await stage.services.store.sessions.live(somebody.session_id)
    key = await stage.services.keys.signing_key(live.kid)
    claims = {**payload(somebody.tokens["access_token"]), **members}
    kept = {name: value for name, value in claims.items() if value is not None}
    return f"Bearer {jws.sign(msgspec.json.encode(kept), key, typ=typ)}"


def payload(token: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(decode_base64url(token.split(".")[1]))
    return found


@dataclass
class Scene:
    """An administrator with a token that opens every door, and the one who will take it from him."""

    stage: Stage
    victim: Somebody
    root: Somebody

    async def admin(self, method: str, path: str, **more: Any) -> None:
        answer = await self.stage.http.request(method, f"/admin/v1/{path}", headers=self.root.bearer, **more)
        assert answer.status_code < 300, answer.text


async def ended(scene: Scene) -> None:
    await scene.stage.http.post("/auth/logout", headers=scene.victim.bearer)


async def ended_by_another(scene: Scene) -> None:
    await scene.admin("DELETE", f"sessions/{scene.victim.session_id}")


async def ended_everywhere(scene: Scene) -> None:
    other = await scene.stage.login(scene.victim)
    await scene.stage.http.post("/auth/logout", json={"everywhere": True}, headers=other.bearer)


async def banned(scene: Scene) -> None:
    await scene.admin("POST", f"users/{scene.victim.id}/ban")


async def banned_and_unbanned(scene: Scene) -> None:
    await scene.admin("POST", f"users/{scene.victim.id}/ban")
    await scene.admin("POST", f"users/{scene.victim.id}/unban")


async def deleted(scene: Scene) -> None:
    await scene.admin("DELETE", f"users/{scene.victim.id}")


async def another_password(scene: Scene) -> None:
    other = await scene.stage.login(scene.victim)
    body = {"current_password": PASSWORD, "new_password": "seven-blue-harbours"}
    await scene.stage.http.post("/auth/password", json=body, headers=other.bearer)


async def session_replayed(scene: Scene) -> None:
    body = {"refresh_token": scene.victim.tokens["refresh_token"]}
    await scene.stage.http.post("/auth/token", json=body)
    scene.stage.clock.forward(seconds=11)
    await scene.stage.http.post("/auth/token", json=body)


async def expired(scene: Scene) -> None:
    scene.stage.clock.forward(minutes=10)


DEATHS: list[Callable[[Scene], Awaitable[None]]] = [
    ended,
    ended_by_another,
    ended_everywhere,
    banned,
    banned_and_unbanned,
    deleted,
    another_password,
    session_replayed,
    expired,
]


class TestNobody:
    async def test_attack_a24_req_a04_without_credentials_the_challenge_is_bare(self, stage: Stage) -> None:
        """401 on every guarded route, before the body is looked at (RFC 6750 3.1)."""
        for route in GUARDED:
            answer = await call(stage, route)
            problem(answer, 401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer", name_of(route)

    async def test_attack_a22_req_a06_a_token_in_the_url_is_refused(self, stage: Stage) -> None:
        """400, however the name is spelt, with or without the same token in the header; nothing is done."""
        root = await stage.administrator()
        spellings = ("access_token", "access%5Ftoken", "%61ccess_token", "x=1&access_token", "x;access_token")
        for route in GUARDED:
            for name in spellings:
                for headers in ({}, root.bearer):
                    url = f"{path_of(route)}?{name}={root.tokens['access_token']}"
                    answer = await stage.http.request(route.method, url, headers=headers)
                    problem(answer, 400, "invalid_request")
        assert await opens(stage, root)

    async def test_attack_a22_a_token_in_a_form_beside_the_header_is_refused(self, stage: Stage) -> None:
        """No route reads a token from a body."""
        root = await stage.administrator()
        form = {"access_token": root.tokens["access_token"]}
        for route in GUARDED:
            if route.body is not None:
                for headers in ({}, root.bearer):
                    answer = await stage.http.request(
                        route.method, path_of(route), data=form, headers=headers
                    )
                    assert answer.status_code == (415 if headers else 401), name_of(route)

    async def test_attack_a23_req_a05_two_credentials_are_none(self, stage: Stage) -> None:
        """Twice is a bad request, another form a bad token: the same rule as at every guard."""
        root = await stage.administrator()
        token = root.tokens["access_token"]
        twice = [[f"Bearer {token}"] * 2, [f"Bearer {token}, Bearer {token}"], [f"Bearer {token},Basic YTpi"]]
        other = (
            f"Bearer \t{token}|Bearer\t{token}|Bearer {token} x|Bearer {token},|Bearer={token}|Token {token}"
        )
        for route in GUARDED:
            for values in twice:
                headers = [("Authorization", value) for value in values]
                answer = await stage.http.request(route.method, path_of(route), headers=headers)
                problem(answer, 400, "invalid_request")
            for value in [*other.split("|"), "Bearer", token, "", "Basic YTpi"]:
                answer = await call(stage, route, Authorization=value)
                problem(answer, 401, "invalid_token")
                assert answer.headers["www-authenticate"].startswith("Bearer error="), name_of(route)

    async def test_req_a07_the_scheme_has_no_case(self, stage: Stage) -> None:
        """``bearer`` and ``BEARER`` are ``Bearer`` (RFC 9110 11.1)."""
        root = await stage.administrator()
        for scheme in ("bearer", "BEARER", "bEaReR"):
            headers = {"Authorization": f"{scheme} {root.tokens['access_token']}"}
            assert (await stage.http.get("/auth/me", headers=headers)).status_code == 200


class TestDeath:
    @pytest.mark.parametrize("death", DEATHS)
    async def test_attack_a28_a55_a_dead_token_opens_nothing(
        self, stage: Stage, death: Callable[[Scene], Awaitable[None]]
    ) -> None:
        """401 at once on every guarded route, whichever way it died; and its refresh token is dead, too."""
        scene = Scene(stage, await stage.administrator(), await stage.administrator())
        assert await opens(stage, scene.victim)
        await death(scene)
        for route in GUARDED:
            answer = await call(stage, route, **scene.victim.bearer)
            problem(answer, 401, "invalid_token")
            assert answer.headers["www-authenticate"].startswith("Bearer error="), name_of(route)
        answer = await stage.http.post("/auth/logout", headers=scene.victim.bearer)
        problem(answer, 401, "invalid_token")
        body = {"refresh_token": scene.victim.tokens["refresh_token"]}
        refreshed = await stage.http.post("/auth/token", json=body)
        if death is expired:
            assert refreshed.status_code == 200
        else:
            problem(refreshed, 401, "invalid_grant")

    async def test_attack_a28_a_rotation_ends_nothing(self, stage: Stage) -> None:
        """Another signing key is no log-out: the old token lives to its end, the refresh token gives a new one."""
        root = await stage.administrator()
        await stage.http.post("/admin/v1/keys/rotate", json={"now": True}, headers=root.bearer)
        assert await opens(stage, root)
        body = {"refresh_token": root.tokens["refresh_token"]}
        root.tokens = (await stage.http.post("/auth/token", json=body)).json()
        assert await opens(stage, root)

    async def test_attack_a28_a_compromised_key_opens_nothing(self, stage: Stage) -> None:
        """Its tokens are dead at once on every guarded route; a refresh gives one of another key."""
        root = await stage.administrator()
        for key in await stage.services.keys.list():
            if key.purpose == "token" and key.state == "active":
                await stage.http.post(f"/admin/v1/keys/{key.kid}/compromise", headers=root.bearer)
        for route in GUARDED:
            problem(await call(stage, route, **root.bearer), 401, "invalid_token")
        body = {"refresh_token": root.tokens["refresh_token"]}
        root.tokens = (await stage.http.post("/auth/token", json=body)).json()
        assert await opens(stage, root)


class TestForeign:
    async def test_attack_a55_req_a02_a_token_of_another_kind_opens_nothing(self, stage: Stage) -> None:
        """Edited, of another issuer, another type, signed by a stranger, a refresh token: 401 on every route."""
        root, bob = await stage.administrator(), await stage.newcomer()
        head, body, mac = root.tokens["access_token"].split(".")
        stranger = Key.generate("ES256")
        claims = msgspec.json.encode(payload(root.tokens["access_token"]))
        wrong = {
            "edited": f"Bearer {head}.{body[:-2]}AA.{mac}",
            "unsigned": f"Bearer {head}.{body}.",
            "of a stranger": f"Bearer {jws.sign(claims, stranger, typ='at+jwt')}",
            "refresh token": f"Bearer {root.tokens['refresh_token']}",
            "ID token": await forged(stage, root, typ="JWT"),
            "log-out token": await forged(stage, root, typ="logout+jwt"),
            "expired": await forged(stage, root, exp=1_000_000_000),
            "without end": await forged(stage, root, exp=None),
            "another issuer's": await forged(stage, root, iss="https://evil.example"),
            "an API's": await forged(stage, root, aud="api"),
            "nobody's session": await forged(stage, root, sid="ses_nowhere"),
            "no session": await forged(stage, root, sid=None),
            "another's session": await forged(stage, root, sid=bob.session_id),
            "another's name": await forged(stage, bob, sub=root.id),
        }
        async with open_stage(issuer="https://other.example.com") as other:
            twin = await other.login(await other.somebody("admin"), audience="https://other.example.com")
            wrong["another server's"] = twin.bearer["Authorization"]
        async with open_stage() as other:
            twin = await other.login(await other.somebody("admin"), audience=ISSUER)
            wrong["a namesake's"] = twin.bearer["Authorization"]
        assert await opens(stage, root)
        for name, authorization in wrong.items():
            for route in GUARDED:
                answer = await call(stage, route, Authorization=authorization)
                assert answer.status_code == 401, (name, name_of(route))
                problem(answer, 401, "invalid_token")

    async def test_attack_a55_only_administrators_administer(self, stage: Stage) -> None:
        """403 for a user, for a token that an API has seen, for a narrowed one, for a lost role."""
        root = await stage.administrator()
        demoted = await stage.administrator()
        body = {"roles": ["user"]}
        await stage.http.patch(f"/admin/v1/users/{demoted.id}", json=body, headers=root.bearer)
        await stage.http.put("/admin/v1/roles/admin", json={"scope": ["a", "b"]}, headers=root.bearer)
        narrow = {"refresh_token": (await stage.administrator()).tokens["refresh_token"], "scope": "a"}
        narrowed = (await stage.http.post("/auth/token", json=narrow)).json()
        wrong = {
            "narrowed": f"Bearer {narrowed['access_token']}",
            "a user's": (await stage.newcomer(audience=ISSUER)).bearer["Authorization"],
            "seen by an API": (await stage.login(root)).bearer["Authorization"],
            "demoted": demoted.bearer["Authorization"],
            "a claim alone": await forged(
                stage, await stage.newcomer(audience=ISSUER), roles=["admin"], admin=True
            ),
        }
        for name, authorization in wrong.items():
            for route in ADMIN:
                answer = await call(stage, route, Authorization=authorization)
                assert answer.status_code == 403, (name, name_of(route))
                problem(answer, 403, "insufficient_scope")
                assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]

    async def test_attack_a54_what_is_another_s_is_not_there(self, stage: Stage) -> None:
        """Another user's id on every own route that takes one: 404, as for an id that nobody has, and he keeps it."""
        ada, eve = await stage.newcomer(), await stage.newcomer()
        taking = [route for route in OWN if "{" in route.path]
        assert taking
        for route in taking:
            for theirs in (ada.session_id, ada.id, ada.tokens["access_token"]):
                path = route.path.replace("{id}", theirs)
                answer = await stage.http.request(route.method, path, headers=eve.bearer)
                nowhere = await stage.http.request(
                    route.method, route.path.replace("{id}", "ses_nowhere"), headers=eve.bearer
                )
                problem(answer, 404, "not_found")
                assert answer.content == nowhere.content
        assert await opens(stage, ada)
        assert await opens(stage, eve)

    async def test_the_keys_that_do_open(self, stage: Stage) -> None:
        """The same walk with good tokens: no door refuses who he is, so the refusals above are for the tokens."""
        for route in GUARDED:
            root = await stage.administrator()
            answer = await call(stage, route, **root.bearer)
            assert answer.status_code not in (401, 403), name_of(route)
