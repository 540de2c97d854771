"""Roles, APIs, keys and the audit log, for administrators."""

from __future__ import annotations

from watchword.errors import InvalidInput, InvalidKey, InvalidScope, NotFound
from watchword.protocol.scope import format_scope, parse_scope
from watchword.server.admin.encryption import encryption_jwk
from watchword.server.admin.views import (
    ApiBody,
    ApiChangeBody,
    ApiList,
    EventList,
    KeyList,
    RoleBody,
    RoleList,
    RotateBody,
    RotationView,
    ScopeBody,
    api_view,
    event_view,
    key_view,
    role_view,
)
from watchword.server.services import Services
from watchword.server.web.paging import page_of
from watchword.server.web.request import Request
from watchword.server.web.responses import EMPTY, Response, json_response

__all__ = [
    "add_api",
    "add_role",
    "change_api",
    "compromise_key",
    "delete_api",
    "delete_role",
    "list_apis",
    "list_events",
    "list_keys",
    "list_roles",
    "rotate_keys",
    "set_role",
]


async def list_roles(services: Services, request: Request) -> Response:
    """``GET /admin/v1/roles``: all roles."""
    return json_response(RoleList(items=tuple(role_view(role) for role in await services.store.roles.list())))


async def add_role(services: Services, request: Request) -> Response:
    """``POST /admin/v1/roles``: make or change a role."""
    body: RoleBody = request.body
    role = await services.store.roles.set(body.name, _scope(body.scope), request.origin())
    return json_response(role_view(role))


async def set_role(services: Services, request: Request) -> Response:
    """``PUT /admin/v1/roles/{name}``: say which scope a role may carry."""
    body: ScopeBody = request.body
    if await services.store.roles.get(request.params["name"]) is None:
        raise NotFound("there is no such role")
    role = await services.store.roles.set(request.params["name"], _scope(body.scope), request.origin())
    return json_response(role_view(role))


async def delete_role(services: Services, request: Request) -> Response:
    """``DELETE /admin/v1/roles/{name}``: delete a role and take it from everybody."""
    if not await services.store.roles.delete(request.params["name"], request.origin()):
        raise NotFound("there is no such role")
    return EMPTY


async def list_apis(services: Services, request: Request) -> Response:
    """``GET /admin/v1/apis``: all protected APIs."""
    return json_response(ApiList(items=tuple(api_view(api) for api in await services.store.apis.list())))


async def add_api(services: Services, request: Request) -> Response:
    """``POST /admin/v1/apis``: add a protected API."""
    body: ApiBody = request.body
    if body.audience == services.introspection.policy.issuer:
        raise InvalidInput(errors=[("audience", "is the issuer; it needs no entry")])
    added = await services.store.apis.add(
        body.audience,
        _scope(body.scope),
        request.origin(),
        encryption_jwk=encryption_jwk(body.encryption_jwks),
    )
    return json_response(api_view(added), 201)


async def change_api(services: Services, request: Request) -> Response:
    """``PATCH /admin/v1/apis/{audience}``: encrypt the tokens that are issued for it alone, or no more."""
    body: ApiChangeBody = request.body
    changed = await services.store.apis.set_encryption(
        request.params["audience"], encryption_jwk(body.encryption_jwks), request.origin()
    )
    if changed is None:
        raise NotFound("there is no such API")
    return json_response(api_view(changed))


async def delete_api(services: Services, request: Request) -> Response:
    """``DELETE /admin/v1/apis/{audience}``: its sessions end, its tokens die, and there are no new ones."""
    if not await services.store.apis.delete(request.params["audience"], request.origin()):
        raise NotFound("there is no such API")
    return EMPTY


async def list_keys(services: Services, request: Request) -> Response:
    """``GET /admin/v1/keys``: the signing keys and their states; ``purpose=feed`` for those of the feed."""
    purpose = request.query.get("purpose", "token")
    if purpose not in ("token", "feed"):
        raise InvalidInput(errors=[("purpose", "must be token or feed")])
    keys = await services.keys.list("feed" if purpose == "feed" else "token")
    return json_response(KeyList(items=tuple(key_view(key) for key in keys)))


async def rotate_keys(services: Services, request: Request) -> Response:
    """``POST /admin/v1/keys/rotate``: let the waiting key take over, and say when it does."""
    body: RotateBody = request.body or RotateBody()
    issuer = services.introspection.policy.issuer
    if body.audience not in (None, issuer) and await services.store.apis.get(body.audience) is None:
        raise InvalidInput(errors=[("audience", "there is no such API")])
    try:
        rotation = await services.keys.rotate(
            purpose=body.purpose,
            audience=body.audience,
            algorithm=body.algorithm,
            immediately=body.now,
            origin=request.origin(),
        )
    except InvalidKey as fault:
        raise InvalidInput(errors=[("algorithm", fault.description)]) from None
    return json_response(
        RotationView(
            kid=rotation.kid,
            algorithm=rotation.algorithm,
            active_at=rotation.active_at,
            retiring=rotation.retiring,
        )
    )


async def compromise_key(services: Services, request: Request) -> Response:
    """``POST /admin/v1/keys/{kid}/compromise``: kill a key and every token under it."""
    return json_response(key_view(await services.keys.compromise(request.params["kid"], request.origin())))


async def list_events(services: Services, request: Request) -> Response:
    """``GET /admin/v1/events``: the audit log, newest first."""
    cursor, limit = page_of(request)
    query = request.query
    page = await services.store.events.list(
        type=query.get("type"), user_id=query.get("user_id"), cursor=cursor, limit=limit
    )
    return json_response(EventList(items=tuple(event_view(event) for event in page.items), next=page.next))


def _scope(words: tuple[str, ...]) -> tuple[str, ...]:
    if any(" " in word for word in words):
        raise InvalidInput(errors=[("scope", "takes one word an item")])
    try:
        return parse_scope(format_scope(words))
    except InvalidScope as fault:
        raise InvalidInput(errors=[("scope", fault.description)]) from None
