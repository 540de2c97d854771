"""Which claims go into an access token, and which an overlay puts in their place (RFC 9068 2.2, 2.2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from watchword.errors import InvalidScope
from watchword.protocol.access_token import ADMIN, signed_audience
from watchword.protocol.scope import format_scope
from watchword.server.policies import AccessTokenPolicy
from watchword.server.store.records import Live, User

__all__ = ["ADMIN", "Claims"]


_PERSONAL: Final = frozenset(("email", "username", "name"))
"""Sources of claims that say who a user is to people, not what he may."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The choice of claims, from the facts an intention has just read."""

    policy: AccessTokenPolicy

    def scope(self, live: Live, asked: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """The scope of a token: what the roles carry, the API knows, the session asked for and *asked* keeps.

        Raises:
            InvalidScope: *asked* goes beyond it; a refresh never widens (RFC 6749 6).
        """
        granted = live.granted
        if live.api_scope:
            granted = tuple(word for word in granted if word in live.api_scope)
        if live.session.scope is not None:
            granted = tuple(word for word in live.session.scope if word in granted)
        if asked is None:
            return granted
        if beyond := [word for word in asked if word not in granted]:
            raise InvalidScope(f"not allowed: {format_scope(beyond)}")
        return asked

    def access_token(
        self,
        live: Live,
        *,
        jti: str,
        now: datetime,
        scope: tuple[str, ...],
        narrowed: bool,
        lifetime: timedelta | None = None,
    ) -> dict[str, Any]:
        """The claims set of one access token, every fact from *live*; *lifetime* instead of the policy's.

        *narrowed* says that *scope* was asked for; what the session or its API makes less is seen here.
        """
        issued_at = int(now.timestamp())
        session, user = live.session, live.user
        less = narrowed or session.scope is not None
        if less and session.kind != "login":
            # A key with a scope does what its scope says; roles would open what nobody meant to open with it.
            user = replace(user, roles=())
        # A token never outlives its session, so the last refresh before the end is a short one.
        expires_at = min(
            issued_at + int((lifetime or self.policy.lifetime).total_seconds()),
            int(session.expires_at.timestamp()),
        )
        audience, mapped = session.audience, self._mapped(user)
        if session.public_key is not None:
            # Whoever knows the key's name gets its token: no plain verifier takes it, and nobody's address is in it.
            audience = tuple(map(signed_audience, audience))
            mapped = {n: value for n, value in mapped.items() if self.policy.claims[n] not in _PERSONAL}
        claims: dict[str, Any] = {
            "iss": self.policy.issuer,
            "sub": user.id,
            "aud": audience[0] if len(audience) == 1 else list(audience),
            "exp": expires_at,
            "iat": issued_at,
            "nbf": issued_at,
            "jti": jti,
            "client_id": session.client_id,
            "sid": session.id,
            "scope": format_scope(scope),
            "roles": list(user.roles),
            "auth_time": int(session.auth_time.timestamp()),
            "amr": list(session.amr),
            "uv": user.version,
            "cv": live.client.version,
        }
        # Marked, so that an overlay, which says what the roles carry, only takes away from it.
        if less or live.api_scope:
            claims["narrowed"] = True
        if session.public_key is not None:
            # Nobody but the holder of that key can do anything with the token (RFC 7800 3.2).
            claims["cnf"] = {"jwk": msgspec.json.decode(session.public_key)}
        claims.update(mapped)
        return claims

    def overlay(self, user: User, granted: tuple[str, ...]) -> dict[str, Any]:
        """What tokens already issued to *user* show from now on: every claim drawn from him, as written now."""
        return {"roles": list(user.roles), "scope": format_scope(granted), **self._mapped(user)}

    def _mapped(self, user: User) -> dict[str, Any]:
        return {name: _source(user, source) for name, source in self.policy.claims.items()}


def _source(user: User, source: str) -> Any:
    match source:
        case "id":
            return user.id
        case "email":
            return user.email
        case "username":
            return user.username
        case "name":
            return user.name
        case "roles":
            return list(user.roles)
        case "role":
            # One word for APIs that know one: the strongest.
            return ADMIN if ADMIN in user.roles else (user.roles[0] if user.roles else None)
        case "admin":
            return ADMIN in user.roles
        case _:
            raise AssertionError(f"settings let an unknown claim source through: {source}")
