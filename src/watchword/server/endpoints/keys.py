"""What the keys of a user have in common, of whatever kind: their terms as they are asked for, how they are shown."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from watchword.protocol.scope import format_scope
from watchword.server.endpoints.account import prove
from watchword.server.endpoints.views import Audience, Password, ScopeText
from watchword.server.services import Services
from watchword.server.store.records import Session
from watchword.server.user_keys.keys import KeyTerms
from watchword.server.web.discreet import Discreet
from watchword.server.web.request import Request

__all__ = ["KeyBody", "KeyView", "key_view", "proved_terms"]


class KeyBody(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to make; the password where a recent log-in does not prove its user."""

    name: Annotated[str, Meta(max_length=200, description="What you know it by")]
    scope: ScopeText | None = None
    audience: Audience | None = None
    expires_in: Annotated[int, Meta(ge=60, le=10**9, description="Seconds")] | None = None
    current_password: Password | None = None


class KeyView(Struct, frozen=True, kw_only=True):
    """A key without its secret; ``scope`` is ``null`` where it may do all that its user's roles carry."""

    id: str
    name: str
    audience: str
    scope: str | None
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime


async def proved_terms(services: Services, request: Request) -> KeyTerms:
    """What the caller asks for, once they have proven who they are.

    Raises:
        InvalidCredentials, TooManyRequests, TemporarilyUnavailable: as ``prove``.
    """
    body: KeyBody = request.body
    await prove(services, request, body.current_password)
    session = request.caller.session
    return KeyTerms(
        name=body.name,
        version=session.version,
        audience=body.audience,
        scope=body.scope,
        lifetime=None if body.expires_in is None else timedelta(seconds=body.expires_in),
        parent=session.id,
    )


def key_view(key: Session) -> KeyView:
    """A key as its user sees it."""
    return KeyView(
        id=key.id,
        name=key.device or "",
        audience=" ".join(key.audience),
        scope=None if key.scope is None else format_scope(key.scope),
        created_at=key.created_at,
        last_used_at=key.last_used_at if key.counter else None,
        expires_at=key.expires_at,
    )
