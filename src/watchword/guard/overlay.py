"""What a token shows after its user was given, or lost, a role (feed entries of kind ``claims``)."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from watchword.guard.principal import Principal
from watchword.guard.revocations import Overlay
from watchword.protocol.access_token import AccessToken
from watchword.protocol.scope import scope_words

__all__ = ["show"]

_ADMIN: Final = "admin"


def show(token: AccessToken, overlay: Overlay | None) -> Principal:
    """The principal of *token* under *overlay*.

    A full token of a client the overlay names shows the user as he is now. Any other token was made
    to do less than its user may, so there the overlay only takes away.
    """
    if overlay is None:
        return Principal(
            token.sub,
            token.client_id,
            token.sid,
            token.roles,
            token.scope,
            # Exactly these two: "true", 1 or ["admin", …] in another claim is what an attacker hopes for.
            token.admin or _ADMIN in token.roles,
            token.iss,
            token.jti,
            token.exp,
            token.payload,
        )
    claims = token.claims
    if token.client_id in overlay.clients and not any(name in claims for name in _LESS):
        claims.update(overlay.claims)
    else:
        claims = _reduced(claims, overlay.claims)
    named, scope = claims.get("roles"), claims.get("scope")
    roles = tuple(role for role in named if isinstance(role, str)) if isinstance(named, list) else ()
    return Principal(
        token.sub,
        token.client_id,
        token.sid,
        roles,
        scope_words(scope) if isinstance(scope, str) else (),
        claims.get("admin") is True or _ADMIN in roles,
        token.iss,
        token.jti,
        token.exp,
        msgspec.json.encode(claims),
    )


_LESS = ("narrowed", "act", "basic_username")
"""Claims that mark a token as less than its user: narrowed by scope, exchanged, a temporary Basic pair."""


def _reduced(claims: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    found = dict(claims)
    roles = now.get("roles")
    held = roles if isinstance(roles, list) else []
    for name, value in now.items():
        if name not in found:
            continue
        mine = found[name]
        if name == "scope" and isinstance(mine, str):
            words = scope_words(value) if isinstance(value, str) else ()
            found[name] = " ".join(word for word in scope_words(mine) if word in words)
        elif isinstance(mine, list):
            found[name] = [one for one in mine if isinstance(value, list) and one in value]
        elif isinstance(mine, bool):
            found[name] = mine and value is True
        elif mine != value and not (isinstance(mine, str) and mine in held):
            # One word that no longer holds: what is left of it cannot be told, so nothing is.
            del found[name]
    return found
