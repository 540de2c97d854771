"""The keys a token is held against: a key set from a file or URL, or a shared secret from a file."""

from __future__ import annotations

import hmac
import json
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from watchword.cli.finding import Finding
from watchword.errors import InvalidKey, InvalidToken, WatchwordError

__all__ = ["Trust", "load_keys", "load_secret"]

_LARGEST: Final = 1_048_576
_TIMEOUT: Final = 10


@dataclass(frozen=True, slots=True)
class Trust:
    """Keys somebody vouches for."""

    jwks: tuple[Mapping[str, Any], ...] = ()
    secret: bytes | None = field(default=None, repr=False)

    def check(self, token: str, header: Mapping[str, Any]) -> tuple[Finding, bool]:
        """What these keys say of the signature of *token*, and whether it holds."""
        from watchword.jose import jws

        try:
            parsed = jws.parse(token)
        except InvalidToken:
            return _bad("the signature cannot be checked: the token is malformed"), False
        if self.secret is not None:
            return _check_secret(self.secret, parsed)
        return _check_keys(self.jwks, parsed)


def load_keys(source: str) -> Trust:
    """Read a JWK Set, or one JWK, from a file or an https URL.

    Raises:
        WatchwordError: it cannot be read, or is none.
    """
    raw = _fetch(source) if "://" in source else _read(Path(source))
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise WatchwordError("jwks: it is not JSON") from None
    keys = found.get("keys", [found]) if isinstance(found, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) and "kty" in key for key in keys):
        raise WatchwordError("jwks: it is no JWK Set")
    return Trust(jwks=tuple(keys))


def load_secret(path: Path) -> Trust:
    """Read a shared secret; a byte order mark and line ends behind it are not part of it, as in a setting.

    Raises:
        WatchwordError: it cannot be read or is empty.
    """
    from watchword.jose.encoding import without_mark

    secret = without_mark(_read(path)).rstrip(b"\r\n")
    if not secret:
        raise WatchwordError("secret: the file is empty")
    return Trust(secret=secret)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError as broken:
        raise WatchwordError(f"{path}: {broken.strerror}") from None


def _fetch(url: str) -> bytes:
    """The one thing that leaves the machine, and only when a URL was given: never the token."""
    from http.client import HTTPException
    from urllib.error import URLError
    from urllib.parse import urlsplit
    from urllib.request import Request, urlopen

    from watchword.protocol.metadata import is_loopback

    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise WatchwordError("jwks: the URL must be https beyond this machine")
    try:
        request = Request(url, headers={"Accept": "application/json"})  # noqa: S310 - the scheme was checked
        with urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
            found: bytes = answer.read(_LARGEST)
            return found
    except (URLError, HTTPException, OSError, ValueError) as broken:
        raise WatchwordError(f"jwks: cannot fetch it: {getattr(broken, 'reason', broken)}") from None


def _check_keys(jwks: tuple[Mapping[str, Any], ...], parsed: Any) -> tuple[Finding, bool]:
    from watchword.jose.algorithms import algorithm_names
    from watchword.jose.jwk import Key

    candidates = [jwk for jwk in jwks if parsed.kid is None or jwk.get("kid", parsed.kid) == parsed.kid]
    if not candidates:
        return _bad(f"the key set has no key {parsed.kid}: it is another issuer's, or older"), False
    faults = []
    for jwk in candidates:
        if isinstance(jwk.get("alg"), str) and parsed.alg not in algorithm_names(jwk["alg"]):
            faults.append(f"the key is for {jwk['alg']}, the token says {parsed.alg}")
            continue
        try:
            key = Key.parse(jwk, algorithm=parsed.alg)
        except InvalidKey as fault:
            faults.append(f"the key cannot be used: {fault.description}")
            continue
        if key.verify(parsed.signature, parsed.signing_input):
            return Finding("good", "signature", f"the signature verifies ({parsed.alg}, key {key.kid})"), True
        faults.append(_FORGED)
    return _bad(_FORGED if _FORGED in faults else faults[0]), False


_FORGED: Final = "the signature does not verify: the token was edited, or another key signed it"


def _check_secret(secret: bytes, parsed: Any) -> tuple[Finding, bool]:
    from watchword.jose.algorithms import ALGORITHMS
    from watchword.jose.weakness import check_secret

    algorithm = ALGORITHMS.get(parsed.alg)
    if algorithm is None or algorithm.kty != "oct":
        return _bad(f"the token says {parsed.alg}, which a shared secret cannot check: give --jwks"), False
    for form, candidate in _forms(secret):
        digest = hmac.digest(candidate, parsed.signing_input, algorithm.hash_name)
        if not hmac.compare_digest(digest, parsed.signature):
            continue
        try:
            check_secret(candidate, algorithm.size)
        except InvalidKey as fault:
            return _bad(
                f"the signature matches, and anybody can find this secret: {fault.description}"
            ), False
        return Finding("good", "signature", f"the signature verifies ({parsed.alg}, the secret{form})"), True
    return _bad(_FORGED), False


def _forms(secret: bytes) -> Iterator[tuple[str, bytes]]:
    """The secret as it stands, and as the bytes it may be the base64 of."""
    yield "", secret
    padded = secret + b"=" * (-len(secret) % 4)
    for decode in (urlsafe_b64decode, b64decode):
        try:
            yield " decoded from base64", decode(padded)
        except ValueError:
            continue


def _bad(message: str) -> Finding:
    return Finding("error", "signature", message)
