"""A user's API keys: made, listed, ended."""

from __future__ import annotations

from msgspec import Struct, structs

from watchword.server.endpoints.keys import KeyBody, KeyView, key_view, proved_terms
from watchword.server.services import Services
from watchword.server.user_keys.api_keys import NewKey
from watchword.server.web.discreet import Discreet
from watchword.server.web.request import Request
from watchword.server.web.responses import EMPTY, Response, json_response

__all__ = [
    "ApiKeyBody",
    "ApiKeyList",
    "NewApiKeyView",
    "create",
    "list_keys",
    "list_of",
    "new_api_key_view",
    "revoke",
]


class ApiKeyBody(KeyBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to make; the password where a recent log-in does not prove its user."""


class NewApiKeyView(Discreet, KeyView, frozen=True, kw_only=True):
    """A key that was just made, with its text: shown this once."""

    key: str


class ApiKeyList(Struct, frozen=True, kw_only=True):
    """The keys of a user."""

    items: tuple[KeyView, ...]
    next: str | None = None


async def create(services: Services, request: Request) -> Response:
    """``POST /auth/api-keys``: make a key, for a user who has just proved himself."""
    terms = await proved_terms(services, request)
    made = await services.api_keys.create(request.caller.user, terms, request.origin())
    return json_response(new_api_key_view(made), 201)


async def list_keys(services: Services, request: Request) -> Response:
    """``GET /auth/api-keys``: which keys one has."""
    return await list_of(services, request.caller.user.id)


async def list_of(services: Services, user_id: str) -> Response:
    """The answer that lists the keys of one user."""
    found = await services.user_keys.list(user_id, "api_key")
    return json_response(ApiKeyList(items=tuple(map(key_view, found))))


async def revoke(services: Services, request: Request) -> Response:
    """``DELETE /auth/api-keys/{id}``: end a key; its access tokens die at once."""
    await services.user_keys.revoke(
        request.params["id"], "api_key", "api_key_revoked", request.origin(), request.caller.user.id
    )
    return EMPTY


def new_api_key_view(made: NewKey) -> NewApiKeyView:
    """A key as its user sees it, this once with its text."""
    return NewApiKeyView(**structs.asdict(key_view(made.session)), key=made.text)
