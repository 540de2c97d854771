"""Who is calling, as a verified access token says it (RFC 9068 2.2)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["Principal"]

_ADMIN: Final = "admin"


class Principal:
    """The caller of one request: the claims of his token, corrected by what the feed has said since.

    ``(issuer, subject)`` is who he is; every other fact may change between two requests.

    Attributes:
        subject: ``sub``: ``usr_…`` or ``cli_…``.
        client_id: the client he came through.
        session_id: ``sid``; ``None`` when the token belongs to no session.
        roles: his roles, in the order of the token.
        scope: what the token allows, in the order of the token.
        is_admin: whether ``roles`` holds ``admin``, or the claim ``admin`` is the boolean ``true``.
        issuer: ``iss``.
        jti: the token's own identifier.
    """

    __slots__ = (
        "_claims",
        "_exp",
        "client_id",
        "is_admin",
        "issuer",
        "jti",
        "roles",
        "scope",
        "session_id",
        "subject",
    )

    def __init__(self, claims: dict[str, Any], *, roles: tuple[str, ...], scope: tuple[str, ...]) -> None:
        """Take the *claims* of a verified access token; *roles* and *scope* are theirs, typed."""
        self._claims = claims
        self._exp: float = claims["exp"]
        self.subject: str = claims["sub"]
        self.client_id: str = claims["client_id"]
        self.session_id: str | None = claims.get("sid")
        self.issuer: str = claims["iss"]
        self.jti: str = claims["jti"]
        self.roles = roles
        self.scope = scope
        # Exactly these two: "true", 1 or ["admin", …] in another claim is what an attacker hopes for.
        self.is_admin: bool = _ADMIN in roles or claims.get("admin") is True

    @property
    def claims(self) -> dict[str, Any]:
        """Every claim: a copy, because the principal of a cached token is shared by its requests."""
        return {name: _copy(value) for name, value in self._claims.items()}

    @property
    def expires_at(self) -> datetime:
        """When the token ends."""
        return datetime.fromtimestamp(min(self._exp, _LAST), UTC)

    def has_scope(self, *words: str) -> bool:
        """Whether the token's scope holds all of *words*."""
        return all(word in self.scope for word in words)

    def has_role(self, *names: str) -> bool:
        """Whether he has at least one of the roles *names*."""
        return any(name in self.roles for name in names)

    def __repr__(self) -> str:
        return f"Principal(subject={self.subject!r}, client_id={self.client_id!r}, roles={self.roles!r})"


_LAST: Final = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


def _copy(value: Any) -> Any:
    if type(value) is list:
        return [_copy(one) for one in value]
    if type(value) is dict:
        return {name: _copy(one) for name, one in value.items()}
    return value
