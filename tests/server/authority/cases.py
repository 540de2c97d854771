"""What the tests of authority are generated from: a request for every route that writes, and every way to end it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from tests.server.stage import ISSUER, PASSWORD, Somebody, Stage
from watchword.jose.jwk import Key
from watchword.server.routes import ROUTES
from watchword.server.store.records import Origin
from watchword.server.web.route import Route

__all__ = ["ENDS", "WRITING", "Scene", "asked", "name_of", "scene", "send", "state_of"]

OTHER: Final = "eight-cold-teapots"
_ADMIN: Final = "/admin/v1"
_JWK: Final = Key.generate("ES256").public_jwk()
_ENCRYPTION: Final = {"keys": [{**Key.generate("ES256").public_jwk(), "use": "enc", "alg": "ECDH-ES"}]}


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


WRITING: Final = tuple(route for route in ROUTES if route.auth != "none" and route.method != "GET")
"""Every route that writes for somebody. A new one is in the walk by itself."""


@dataclass(frozen=True)
class Scene:
    """A caller at one server, an administrator at another, and what is there to act on."""

    here: Stage
    there: Stage
    caller: Somebody
    elsewhere: Somebody
    """The caller in another session."""
    root: Somebody
    bob: Somebody
    keys: Mapping[str, str]
    kid: str


async def scene(here: Stage, there: Stage, route: Route) -> Scene:
    """Everybody is signed in; the caller may do what *route* does."""
    roles = ("admin",) if route.auth == "admin" else ()
    somebody = await here.somebody(*roles)
    caller = await here.login(somebody, audience=ISSUER)
    elsewhere = await here.login(somebody, audience=ISSUER)
    root, bob = await there.administrator(), await there.newcomer(audience=ISSUER)
    keys = {}
    for owner, person in (("own", elsewhere), ("bob", bob)):
        for kind, body in (("api-keys", {}), ("signing-keys", {"jwk": _JWK})):
            made = await here.http.post(f"/auth/{kind}", json={"name": "x", **body}, headers=person.bearer)
            assert made.status_code == 201, made.text
            keys[f"{owner} {kind}"] = made.json()["id"]
    for role in ("spare", "spare2"):
        await here.services.store.roles.set(role, (), Origin())
    await here.services.store.apis.add("https://spare.example.com", (), Origin())
    if route.path.endswith("/unban"):
        await here.services.users.ban(bob.id, None, None, Origin())
    (active,) = [key for key in await here.services.keys.list() if key.state == "active"]
    return Scene(here, there, caller, elsewhere, root, bob, keys, active.kid)


def asked(scene: Scene, route: Route) -> tuple[str, dict[str, Any] | None]:
    """Path and body of a request that would be granted. A route that is not known here fails the walk."""
    bob, key = scene.bob.id, scene.keys
    known: dict[str, tuple[Mapping[str, str], dict[str, Any] | None]] = {
        "PATCH /auth/me": ({}, {"email": "eve@example.com", "username": "eve", "current_password": PASSWORD}),
        "DELETE /auth/me": ({}, {}),
        "DELETE /auth/sessions/{id}": ({"id": scene.elsewhere.session_id}, None),
        "POST /auth/api-keys": ({}, {"name": "Eve"}),
        "DELETE /auth/api-keys/{id}": ({"id": key["own api-keys"]}, None),
        "POST /auth/signing-keys": ({}, {"name": "Eve", "jwk": _JWK}),
        "DELETE /auth/signing-keys/{id}": ({"id": key["own signing-keys"]}, None),
        "POST /auth/password": ({}, {"current_password": PASSWORD, "new_password": "three-red-kites-rest"}),
        f"POST {_ADMIN}/users": ({}, {"email": "eve@example.com", "password": OTHER, "roles": ["admin"]}),
        f"PATCH {_ADMIN}/users/{{id}}": ({"id": bob}, {"email": "eve@example.com", "roles": ["admin"]}),
        f"DELETE {_ADMIN}/users/{{id}}": ({"id": bob}, None),
        f"POST {_ADMIN}/users/{{id}}/ban": ({"id": bob}, {"reason": "revenge"}),
        f"POST {_ADMIN}/users/{{id}}/unban": ({"id": bob}, None),
        f"DELETE {_ADMIN}/users/{{id}}/sessions": ({"id": bob}, None),
        f"DELETE {_ADMIN}/users/{{id}}/api-keys/{{key}}": ({"id": bob, "key": key["bob api-keys"]}, None),
        f"DELETE {_ADMIN}/users/{{id}}/signing-keys/{{key}}": (
            {"id": bob, "key": key["bob signing-keys"]},
            None,
        ),
        f"DELETE {_ADMIN}/sessions/{{id}}": ({"id": scene.bob.session_id}, None),
        f"POST {_ADMIN}/roles": ({}, {"name": "backdoor", "scope": ["all"]}),
        f"PUT {_ADMIN}/roles/{{name}}": ({"name": "spare"}, {"scope": ["all"]}),
        f"DELETE {_ADMIN}/roles/{{name}}": ({"name": "spare2"}, None),
        f"POST {_ADMIN}/apis": ({}, {"audience": "https://eve.example.com"}),
        f"PATCH {_ADMIN}/apis/{{audience:path}}": (
            {"audience": "https://spare.example.com"},
            {"encryption_jwks": _ENCRYPTION},
        ),
        f"DELETE {_ADMIN}/apis/{{audience:path}}": ({"audience": "https://spare.example.com"}, None),
        f"POST {_ADMIN}/keys/rotate": ({}, {}),
        f"POST {_ADMIN}/keys/{{kid}}/compromise": ({"kid": scene.kid}, None),
        f"POST {_ADMIN}/tokens/revoke": ({}, {"token": scene.bob.tokens["access_token"]}),
        f"POST {_ADMIN}/tokens/revoke-all": ({}, None),
    }
    names, body = known[name_of(route)]
    path = route.path.replace(":path", "")
    return path.format(**names), body


async def send(
    scene: Scene, route: Route, halfway: Callable[[], Awaitable[object]] | None = None
) -> httpx2.Response:
    """Make the request; *halfway* happens when its head was read and a part of its body."""
    path, body = asked(scene, route)
    if body is None:
        return await scene.here.http.request(route.method, path, headers=scene.caller.bearer)
    text = json.dumps(body).encode()

    async def parts() -> AsyncIterator[bytes]:
        yield text[:1]
        if halfway is not None:
            await halfway()
        yield text[1:]

    headers = {**scene.caller.bearer, "Content-Type": "application/json"}
    return await scene.here.http.request(route.method, path, headers=headers, content=parts())


async def state_of(stage: Stage) -> Any:
    """Everything that a write may change, the audit log and the feed's head among it."""
    store = stage.services.store
    users = (await store.users.list(limit=500)).items
    sessions = [
        session
        for user in users
        for kind in ("login", "api_key", "signing_key")
        for session in await store.sessions.list(user.id, kind)  # type: ignore[arg-type]
    ]
    events = (await store.events.list(limit=500)).items
    keys = [(key.kid, key.state, key.active_at) for key in await store.keys.list()]
    return (
        users,
        sessions,
        await store.roles.list(),
        await store.apis.list(),
        keys,
        events,
        (await store.revocations.head()),
    )


async def _call(scene: Scene, who: Somebody, method: str, path: str, **more: Any) -> None:
    answer = await scene.there.http.request(method, path, headers=who.bearer, **more)
    assert answer.status_code in (200, 204), answer.text


async def _reset(scene: Scene) -> None:
    link = await scene.there.services.recovery.link(scene.caller.id, Origin())
    body = {"token": link.partition("token=")[2], "password": OTHER}
    answer = await scene.there.http.post("/auth/password/reset", json=body)
    assert answer.status_code == 204


async def _expire(scene: Scene) -> None:
    for stage in {id(stage.clock): stage for stage in (scene.here, scene.there)}.values():
        stage.clock.forward(minutes=10)


_PASSWORDS: Final = {"current_password": PASSWORD, "new_password": OTHER}

ENDS: Final[Mapping[str, Callable[[Scene], Awaitable[None]]]] = {
    "ban": lambda s: _call(s, s.root, "POST", f"{_ADMIN}/users/{s.caller.id}/ban", json={}),
    "deletion": lambda s: _call(s, s.root, "DELETE", f"{_ADMIN}/users/{s.caller.id}"),
    "demotion": lambda s: _call(
        s, s.root, "PATCH", f"{_ADMIN}/users/{s.caller.id}", json={"roles": ["user"]}
    ),
    "password change": lambda s: _call(s, s.elsewhere, "POST", "/auth/password", json=_PASSWORDS),
    "password reset": _reset,
    "logout": lambda s: _call(s, s.caller, "POST", "/auth/logout"),
    "logout everywhere": lambda s: _call(s, s.elsewhere, "POST", "/auth/logout", json={"everywhere": True}),
    "session end": lambda s: _call(s, s.elsewhere, "DELETE", f"/auth/sessions/{s.caller.session_id}"),
    "sessions end": lambda s: _call(s, s.root, "DELETE", f"{_ADMIN}/users/{s.caller.id}/sessions"),
    "token revoked": lambda s: _call(
        s, s.root, "POST", f"{_ADMIN}/tokens/revoke", json={"token": s.caller.tokens["access_token"]}
    ),
    "all tokens revoked": lambda s: _call(s, s.root, "POST", f"{_ADMIN}/tokens/revoke-all"),
    "key compromised": lambda s: _call(s, s.root, "POST", f"{_ADMIN}/keys/{s.kid}/compromise"),
    "expiry": _expire,
}
"""What may happen to a caller, who is an administrator in the case of a demotion."""
