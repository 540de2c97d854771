"""A user's API keys: made, listed, ended."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct, structs

from watchword.protocol.scope import format_scope
from watchword.server.endpoints.account import prove
from watchword.server.login.api_keys import NewKey
from watchword.server.services import Services
from watchword.server.store.records import Session
from watchword.server.web.discreet import Discreet
from watchword.server.web.request import Request
from watchword.server.web.responses import EMPTY, Response, json_response

__all__ = [
    "ApiKeyBody",
    "ApiKeyList",
    "ApiKeyView",
    "NewApiKeyView",
    "api_key_view",
    "create",
    "list_keys",
    "new_api_key_view",
    "revoke",
]


class ApiKeyBody(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to make; the password where a recent log-in does not prove its user."""

    name: Annotated[str, Meta(max_length=200, description="What you know it by")]
    scope: str | None = None
    audience: str | None = None
    expires_in: Annotated[int, Meta(ge=60, le=10**9, description="Seconds")] | None = None
    current_password: str | None = None


class ApiKeyView(Struct, frozen=True, kw_only=True):
    """A key without its secret; ``scope`` is ``null`` where it may do all that its user's roles carry."""

    id: str
    name: str
    audience: str
    scope: str | None
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime


class NewApiKeyView(Discreet, ApiKeyView, frozen=True, kw_only=True):
    """A key that was just made, with its text: shown this once."""

    key: str


class ApiKeyList(Struct, frozen=True, kw_only=True):
    """The keys of a user."""

    items: tuple[ApiKeyView, ...]
    next: str | None = None


async def create(services: Services, request: Request) -> Response:
    """``POST /auth/api-keys``: make a key; its user has just logged in for this server alone, or says his password."""
    body: ApiKeyBody = request.body
    caller = request.caller
    await prove(services, request, body.current_password, lasting=True)
    made = await services.api_keys.create(
        caller.user,
        body.name,
        version=caller.session.version,
        audience=body.audience,
        scope=body.scope,
        lifetime=None if body.expires_in is None else timedelta(seconds=body.expires_in),
        parent=caller.session.id,
        origin=request.origin(),
    )
    return json_response(new_api_key_view(made), 201)


async def list_keys(services: Services, request: Request) -> Response:
    """``GET /auth/api-keys``: which keys one has."""
    found = await services.api_keys.list(request.caller.user.id)
    return json_response(ApiKeyList(items=tuple(api_key_view(key) for key in found)))


async def revoke(services: Services, request: Request) -> Response:
    """``DELETE /auth/api-keys/{id}``: end a key; its access tokens die at once."""
    await services.api_keys.revoke(
        request.params["id"], "api_key_revoked", request.origin(), request.caller.user.id
    )
    return EMPTY


def api_key_view(key: Session) -> ApiKeyView:
    """A key as its user sees it."""
    return ApiKeyView(
        id=key.id,
        name=key.device or "",
        audience=" ".join(key.audience),
        scope=None if key.scope is None else format_scope(key.scope),
        created_at=key.created_at,
        last_used_at=key.last_used_at if key.counter else None,
        expires_at=key.expires_at,
    )


def new_api_key_view(made: NewKey) -> NewApiKeyView:
    """The same with its text."""
    return NewApiKeyView(**structs.asdict(api_key_view(made.session)), key=made.text)
