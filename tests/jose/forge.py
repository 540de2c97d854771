"""Keys made once, and tokens with any header and any payload under a good signature.

Most rules can only be seen to hold on a token whose signature is right: what is refused then is refused for the rule.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from watchword.jose.algorithms import ALGORITHMS
from watchword.jose.encoding import encode_base64url
from watchword.jose.jwk import Key, KeySet

ISSUER = "https://auth.example.com"
NOW = 1_900_000_000
SECRET = bytes(range(100, 164))


@cache
def private(algorithm: str) -> Key:
    """A private key of *algorithm*, the same each time."""
    if ALGORITHMS[algorithm].kty == "oct":
        return Key.from_secret(SECRET, algorithm=algorithm)
    return Key.generate(algorithm)


@cache
def public(*algorithms: str) -> KeySet:
    """The set that verifies what the private keys of *algorithms* sign."""
    keys = [private(name) for name in algorithms]
    return KeySet(key if key.symmetric else Key.parse(key.public_jwk()) for key in keys)


def text(members: Any) -> bytes:
    """JSON as another issuer might write it; bytes stay as they are."""
    return members if isinstance(members, bytes) else json.dumps(members).encode()


def token(header: Any, payload: Any = b"{}", key: Key | None = None, signature: bytes | None = None) -> str:
    """A compact JWS of exactly this header and payload, signed with *key* or bearing *signature*."""
    signed = f"{encode_base64url(text(header))}.{encode_base64url(text(payload))}"
    made = (key or private("ES256")).sign(signed.encode()) if signature is None else signature
    return f"{signed}.{encode_base64url(made)}"


def header(key: Key | None = None, **more: Any) -> dict[str, Any]:
    """The header of an access token; ``name=None`` leaves a parameter out."""
    signer = key or private("ES256")
    found = {"alg": signer.algorithm, "typ": "at+jwt", "kid": signer.kid, **more}
    return {name: value for name, value in found.items() if value is not None}


def claims(**more: Any) -> dict[str, Any]:
    """The claims of a good access token; ``name=None`` leaves one out."""
    found = {
        "iss": ISSUER,
        "sub": "usr_ada",
        "aud": "api",
        "exp": NOW + 600,
        "iat": NOW,
        "jti": "tok_1",
        "client_id": "cli_first_party",
        **more,
    }
    return {name: value for name, value in found.items() if value is not None}
