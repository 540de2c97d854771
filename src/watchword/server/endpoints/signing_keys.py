"""A user's signing keys: handed in, listed, ended."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, structs

from watchword.jose.jwk import Key
from watchword.server.endpoints.keys import KeyBody, KeyView, key_view, proved_terms
from watchword.server.services import Services
from watchword.server.store.records import Session
from watchword.server.web.request import Request
from watchword.server.web.responses import EMPTY, Response, json_response

__all__ = [
    "SigningKeyBody",
    "SigningKeyList",
    "SigningKeyView",
    "create",
    "list_keys",
    "list_of",
    "revoke",
    "signing_key_view",
]


class SigningKeyBody(KeyBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A public key to hand in; the password where a recent log-in does not prove its user."""

    jwk: Annotated[dict[str, Any], Meta(description="The public key (RFC 7517)")]


class SigningKeyView(KeyView, frozen=True, kw_only=True):
    """A key; ``id`` is the ``keyid`` of its signatures."""

    algorithm: str
    thumbprint: str


class SigningKeyList(Struct, frozen=True, kw_only=True):
    """The keys of a user."""

    items: tuple[SigningKeyView, ...]
    next: str | None = None


async def create(services: Services, request: Request) -> Response:
    """``POST /auth/signing-keys``: hand in a key; its user proves himself as for an API key."""
    terms = await proved_terms(services, request)
    body: SigningKeyBody = request.body
    made = await services.signing_keys.create(request.caller.user, body.jwk, terms, request.origin())
    return json_response(signing_key_view(made), 201)


async def list_keys(services: Services, request: Request) -> Response:
    """``GET /auth/signing-keys``: which keys one has."""
    return await list_of(services, request.caller.user.id)


async def list_of(services: Services, user_id: str) -> Response:
    """The answer that lists the keys of one user."""
    found = await services.user_keys.list(user_id, "signing_key")
    return json_response(SigningKeyList(items=tuple(map(signing_key_view, found))))


async def revoke(services: Services, request: Request) -> Response:
    """``DELETE /auth/signing-keys/{id}``: end a key; what it signs is refused at once."""
    await services.user_keys.revoke(
        request.params["id"], "signing_key", "signing_key_revoked", request.origin(), request.caller.user.id
    )
    return EMPTY


def signing_key_view(session: Session) -> SigningKeyView:
    """A key as its user sees it."""
    key = Key.parse(msgspec.json.decode(session.public_key or "{}"))
    return SigningKeyView(
        **structs.asdict(key_view(session)), algorithm=key.algorithm, thumbprint=key.thumbprint()
    )
