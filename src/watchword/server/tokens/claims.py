"""Which claims go into an access token, and which an overlay puts in their place (RFC 9068 2.2, 2.2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from watchword.errors import InvalidScope
from watchword.protocol.access_token import ADMIN, signed_audience
from watchword.protocol.scope import format_scope
from watchword.server.policies import AccessTokenPolicy
from watchword.server.store.records import TokenFacts, TokenSubject, User

__all__ = ["ADMIN", "Claims"]


_PERSONAL: Final = frozenset(("email", "username", "name"))
"""Sources of claims that say who a user is to people, not what he may."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The choice of claims, from the facts an intention has just read."""

    policy: AccessTokenPolicy

    def scope(self, facts: TokenFacts, asked: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """The scope of a token: what the roles carry, the API knows, the session asked for and *asked* keeps.

        Raises:
            InvalidScope: *asked* goes beyond it; a refresh never widens (RFC 6749 6).
        """
        granted = facts.granted
        if facts.api_scope:
            granted = tuple(word for word in granted if word in facts.api_scope)
        if facts.session is not None and facts.session.scope is not None:
            granted = tuple(word for word in facts.session.scope if word in granted)
        if asked is None:
            return granted
        if beyond := [word for word in asked if word not in granted]:
            raise InvalidScope(f"not allowed: {format_scope(beyond)}")
        return asked

    def access_token(
        self,
        facts: TokenFacts,
        *,
        jti: str,
        now_ms: int,
        scope: tuple[str, ...],
        narrowed: bool,
        lifetime: timedelta | None = None,
    ) -> dict[str, Any]:
        """The claims set of one access token (RFC 9068 2.2).

        Args:
            facts: what it vouches for.
            jti: its name.
            now_ms: when it is issued, in milliseconds since the epoch.
            scope: its scope.
            narrowed: whether *scope* was asked for; what the session or its API makes less is seen here.
            lifetime: instead of the policy's.
        """
        issued_at = now_ms // 1000
        expires_at = issued_at + int((lifetime or self.policy.lifetime).total_seconds())
        subject, session, audience = facts.subject, facts.session, facts.audience
        less = narrowed
        if session is not None:
            less = narrowed or session.scope is not None
            # A token never outlives its session, so the last refresh before the end is a short one.
            expires_at = min(expires_at, session.expires_at // 1000)
            if less and session.kind != "login":
                # A key with a scope does what its scope says; roles would open what nobody meant to open with it.
                subject = replace(subject, roles=())
        mapped = self._mapped(subject)
        bound = None if session is None else session.public_key
        if bound is not None:
            # Whoever knows the key's name gets its token: no plain verifier takes it, and nobody's address is in it.
            audience = tuple(map(signed_audience, audience))
            mapped = {n: value for n, value in mapped.items() if self.policy.claims[n] not in _PERSONAL}
        claims: dict[str, Any] = {
            "iss": self.policy.issuer,
            "sub": subject.id,
            "aud": audience[0] if len(audience) == 1 else list(audience),
            "exp": expires_at,
            "iat": issued_at,
            "nbf": issued_at,
            "jti": jti,
            "client_id": facts.client_id,
        }
        if session is not None:
            claims["sid"] = session.id
        claims["scope"] = format_scope(scope)
        claims["roles"] = list(subject.roles)
        if session is not None:
            claims["auth_time"] = session.auth_time // 1000
            claims["amr"] = list(session.amr)
        claims["uv"] = subject.version
        claims["cv"] = facts.client_version
        # Marked, so that an overlay, which says what the roles carry, only takes away from it.
        if less or facts.api_scope:
            claims["narrowed"] = True
        if bound is not None:
            # Nobody but the holder of that key can do anything with the token (RFC 7800 3.2).
            claims["cnf"] = {"jwk": msgspec.json.decode(bound)}
        claims.update(mapped)
        return claims

    def overlay(self, user: User, granted: tuple[str, ...]) -> dict[str, Any]:
        """What tokens already issued to *user* show from now on: every claim drawn from him, as written now."""
        return {"roles": list(user.roles), "scope": format_scope(granted), **self._mapped(user)}

    def _mapped(self, user: User | TokenSubject) -> dict[str, Any]:
        return {name: _source(user, source) for name, source in self.policy.claims.items()}


def _source(user: User | TokenSubject, source: str) -> Any:
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
