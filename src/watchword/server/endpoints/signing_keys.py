"""A user's signing keys: handed in, listed, ended."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from watchword.jose.jwk import Key
from watchword.protocol.scope import format_scope
from watchword.server.endpoints.account import prove
from watchword.server.services import Services
from watchword.server.store.records import Session
from watchword.server.web.discreet import Discreet
from watchword.server.web.request import Request
from watchword.server.web.responses import EMPTY, Response, json_response

__all__ = [
    "SigningKeyBody",
    "SigningKeyList",
    "SigningKeyView",
    "create",
    "list_keys",
    "revoke",
    "signing_key_view",
]


class SigningKeyBody(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A public key to hand in; the password where a recent log-in does not prove its user."""

    name: Annotated[str, Meta(max_length=200, description="What you know it by")]
    jwk: Annotated[dict[str, Any], Meta(description="The public key (RFC 7517)")]
    scope: str | None = None
    audience: str | None = None
    expires_in: Annotated[int, Meta(ge=60, le=10**9, description="Seconds")] | None = None
    current_password: str | None = None


class SigningKeyView(Struct, frozen=True, kw_only=True):
    """A key; ``id`` is the ``keyid`` of its signatures."""

    id: str
    name: str
    algorithm: str
    thumbprint: str
    audience: str
    scope: str | None
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime


class SigningKeyList(Struct, frozen=True, kw_only=True):
    """The keys of a user."""

    items: tuple[SigningKeyView, ...]
    next: str | None = None


async def create(services: Services, request: Request) -> Response:
    """``POST /auth/signing-keys``: hand in a key; its user proves himself as for an API key."""
    body: SigningKeyBody = request.body
    caller = request.caller
    await prove(services, request, body.current_password, lasting=True)
    made = await services.signing_keys.create(
        caller.user,
        body.name,
        body.jwk,
        version=caller.session.version,
        audience=body.audience,
        scope=body.scope,
        lifetime=None if body.expires_in is None else timedelta(seconds=body.expires_in),
        parent=caller.session.id,
        origin=request.origin(),
    )
    return json_response(signing_key_view(made), 201)


async def list_keys(services: Services, request: Request) -> Response:
    """``GET /auth/signing-keys``: which keys one has."""
    found = await services.signing_keys.list(request.caller.user.id)
    return json_response(SigningKeyList(items=tuple(signing_key_view(key) for key in found)))


async def revoke(services: Services, request: Request) -> Response:
    """``DELETE /auth/signing-keys/{id}``: end a key; what it signs is refused at once."""
    await services.signing_keys.revoke(
        request.params["id"], "signing_key_revoked", request.origin(), request.caller.user.id
    )
    return EMPTY


def signing_key_view(session: Session) -> SigningKeyView:
    """A key as its user sees it."""
    key = Key.parse(msgspec.json.decode(session.public_key or "{}"))
    return SigningKeyView(
        id=session.id,
        name=session.device or "",
        algorithm=key.algorithm,
        thumbprint=key.thumbprint(),
        audience=" ".join(session.audience),
        scope=None if session.scope is None else format_scope(session.scope),
        created_at=session.created_at,
        last_used_at=session.last_used_at if session.counter else None,
        expires_at=session.expires_at,
    )
