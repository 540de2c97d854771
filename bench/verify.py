"""What it costs to verify an access token: bare ``cryptography``, a guard, PyJWT and joserfc, in turns."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from itertools import cycle
from typing import Any, Final

import jwt as pyjwt
from cryptography.hazmat.primitives import hmac
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt
from joserfc.errors import SecurityWarning

from bench.cost import alternate
from bench.table import Table
from watchword import Guard
from watchword.jose.encoding import decode_base64url
from watchword.jose.jwk import Key
from watchword.protocol import access_token

__all__ = ["measure"]

ISSUER: Final = "https://auth.example.com"
AUDIENCE: Final = "api"
ALGORITHMS: Final = ("ES256", "RS256", "PS256", "EdDSA", "HS256")
GOAL: Final = 12
"""Microseconds that all the checks of a first sight may cost beyond the signature."""

_REQUIRED: Final = ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"]
_TOKENS: Final = 64

Work = Callable[[], object]


def measure(*, rounds: int, seconds: float) -> Table:
    """The table over all algorithms."""
    rows: list[tuple[Any, ...]] = []
    for algorithm in ALGORITHMS:
        cost = alternate(_contenders(algorithm), rounds=rounds, seconds=seconds)
        bare, first, cached = cost["bare"], cost["first sight"], cost["cached"]
        rows.append(
            (
                "Ed25519" if algorithm == "EdDSA" else algorithm,
                bare,
                first,
                first - bare,
                cached,
                cost["PyJWT"],
                cost["joserfc"],
                cost["PyJWT"] / first,
                cost["joserfc"] / first,
            )
        )
    return Table(
        "Verifying an access token",
        ("algorithm", "bare µs", "first sight µs", "over bare µs", "cached µs", "PyJWT µs", "joserfc µs",
         "PyJWT / first sight", "joserfc / first sight"),
        rows,
        (
            "CPU µs a token, medians of alternated turns. *Bare* is the signature alone with everything prepared:"
            " key, DER form, signing input. The others start from the text of the token and check signature, type,"
            " issuer, audience, times and the demanded claims; *first sight* is `Guard.verify` without its cache,"
            " *cached* with it. PyJWT and joserfc are told to demand the same claims.",
            f"Goal: at most {GOAL} µs over bare, and less than PyJWT, for each algorithm.",
        ),
    )  # fmt: skip


def _contenders(algorithm: str) -> dict[str, Work]:
    shared = algorithm == "HS256"
    key = (
        Key.from_secret(b"a shared secret of 32 characters", kid="one") if shared else Key.generate(algorithm)
    )
    now = int(time.time())
    tokens = [access_token.issue(_claims(now, n), key) for n in range(_TOKENS)]
    jwk = key.private_jwk() if key.symmetric else key.public_jwk()
    fresh = Guard(ISSUER, keys={"keys": [jwk]}, cache_size=0)
    cached = Guard(ISSUER, keys={"keys": [jwk]})
    return {
        "bare": _in_turn(_bare(algorithm, key), tokens),
        "first sight": _calls(fresh.verify, tokens),
        "cached": _calls(cached.verify, tokens),
        "PyJWT": _calls(_pyjwt(algorithm, jwk), tokens),
        "joserfc": _calls(_joserfc(algorithm, jwk), tokens),
    }


def _claims(now: int, n: int) -> dict[str, Any]:
    """What a first-party access token of the server says."""
    return {
        "iss": ISSUER,
        "sub": f"usr_{n:022}",
        "aud": [ISSUER, AUDIENCE],
        "exp": now + 86_400,
        "iat": now,
        "nbf": now,
        "jti": f"{n:022}",
        "client_id": "cli_first_party",
        "sid": f"ses_{n:022}",
        "scope": "read write",
        "roles": ["user"],
        "auth_time": now,
        "amr": ["pwd"],
        "uv": now * 1000,
        "cv": 0,
    }


def _calls(verify: Callable[[str], object], tokens: list[str]) -> Work:
    upcoming = cycle(tokens).__next__
    return lambda: verify(upcoming())


def _in_turn(prepare: Callable[[bytes, bytes], Work], tokens: list[str]) -> Work:
    works = []
    for token in tokens:
        signed, _, signature = token.rpartition(".")
        works.append(prepare(decode_base64url(signature), signed.encode()))
    upcoming = cycle(works).__next__
    return lambda: upcoming()()


def _bare(algorithm: str, key: Key) -> Callable[[bytes, bytes], Work]:
    """From signature and signing input to the one call of ``cryptography`` that decides."""
    public: Any = None if key.symmetric else pyjwt.PyJWK(key.public_jwk()).key
    hashed = SHA256()

    def prepare(signature: bytes, message: bytes) -> Work:
        match algorithm:
            case "ES256":
                r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
                der, scheme = encode_dss_signature(r, s), ec.ECDSA(hashed)
                return lambda: public.verify(der, message, scheme)
            case "RS256":
                pkcs1 = padding.PKCS1v15()
                return lambda: public.verify(signature, message, pkcs1, hashed)
            case "PS256":
                pss = padding.PSS(padding.MGF1(hashed), padding.PSS.DIGEST_LENGTH)
                return lambda: public.verify(signature, message, pss, hashed)
            case "EdDSA":
                return lambda: public.verify(signature, message)
            case _:
                secret = decode_base64url(key.private_jwk()["k"])

                def mac() -> None:
                    context = hmac.HMAC(secret, hashed)
                    context.update(message)
                    context.verify(signature)

                return mac

    return prepare


def _pyjwt(algorithm: str, jwk: dict[str, Any]) -> Callable[[str], object]:
    key = pyjwt.PyJWK(jwk)

    def verify(token: str) -> object:
        found = pyjwt.decode_complete(
            token,
            key,
            algorithms=[algorithm],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": _REQUIRED},
        )
        if found["header"].get("typ") != access_token.TYP:
            raise pyjwt.InvalidTokenError
        return found

    return verify


def _joserfc(algorithm: str, jwk: dict[str, Any]) -> Callable[[str], object]:
    # PyJWT does not know the newer name of EdDSA over Ed25519, so all are given the older one.
    warnings.simplefilter("ignore", SecurityWarning)
    key = joserfc_jwk.import_key(jwk)
    options: dict[str, Any] = {name: {"essential": True} for name in _REQUIRED}
    options["iss"]["value"], options["aud"]["value"] = ISSUER, AUDIENCE
    registry = joserfc_jwt.JWTClaimsRegistry(**options)

    def verify(token: str) -> object:
        found = joserfc_jwt.decode(token, key, algorithms=[algorithm])
        if found.header.get("typ") != access_token.TYP:
            raise ValueError
        registry.validate(found.claims)
        return found

    return verify
