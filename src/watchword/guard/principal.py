"""Who is calling, as a verified access token says it (RFC 9068 2.2)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

__all__ = ["Principal"]


class Principal(msgspec.Struct, frozen=True, eq=False, gc=False):
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

    subject: str
    client_id: str
    session_id: str | None
    roles: tuple[str, ...]
    scope: tuple[str, ...]
    is_admin: bool
    issuer: str
    jti: str
    _exp: float
    _payload: bytes

    @property
    def claims(self) -> dict[str, Any]:
        """Every claim: a copy, because the principal of a cached token is shared by its requests."""
        claims: dict[str, Any] = _decode(self._payload)
        return claims

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


_decode: Final = msgspec.json.Decoder().decode
_LAST: Final = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
