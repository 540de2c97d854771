"""The key that an API has its tokens encrypted to, as an operator hands it in (RFC 7517)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from watchword.errors import ConfigurationError, InvalidInput, InvalidKey

__all__ = ["encryption_jwk"]

_MOST: Final = 20
"""Keys of a set that are read: checking the point of each costs as much as a signature."""


def encryption_jwk(jwks: Mapping[str, Any] | str | bytes | None) -> str | None:
    """The first key for encryption of a JWK Set, to be kept; ``None`` where none is wanted.

    Raises:
        InvalidInput: the set holds none, a weak one, or a private one, which is the API's alone.
    """
    if jwks is None:
        return None
    found = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if isinstance(found, list) and len(found) > _MOST:
        raise InvalidInput(errors=[("encryption_jwks", f"must not hold more than {_MOST} keys")])
    try:
        from watchword.jose.jwe import parse_keys

        keys = list(parse_keys(jwks).values())
    except (InvalidKey, ConfigurationError) as fault:
        raise InvalidInput(errors=[("encryption_jwks", fault.description)]) from None
    if any(key.private for key in keys):
        raise InvalidInput(errors=[("encryption_jwks", "holds a private key: it belongs to the API alone")])
    return msgspec.json.encode(keys[0].public_jwk()).decode()
