"""Between the members of a JWK and the keys of ``cryptography``, both ways (RFC 7518 6, RFC 8037 2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from watchword.errors import InvalidKey, InvalidToken
from watchword.jose.algorithms import Algorithm
from watchword.jose.encoding import decode_base64url, encode_base64url
from watchword.jose.primitive import CURVES
from watchword.jose.weakness import check_ed25519, check_rsa, check_secret

__all__ = ["generate_members", "load_material"]

MAX_OCTETS: Final = 1024


def load_material(jwk: Mapping[str, Any], algorithm: Algorithm) -> object:
    """The key that *jwk* describes: an object of ``cryptography``, or the bytes of a shared secret.

    Raises:
        InvalidKey: a member is absent, torn or weak, or the members do not belong together.
    """
    try:
        return _LOADERS[algorithm.kty](jwk, algorithm)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm):
        raise InvalidKey(f"the {algorithm.kty} key is malformed") from None


def generate_members(algorithm: Algorithm) -> dict[str, str]:
    """The members of a new private key; RSA gets 2048 bits.

    Raises:
        InvalidKey: *algorithm* is HMAC, whose secrets are drawn and not generated.
    """
    match algorithm.kty:
        case "EC":
            return _ec_jwk(ec.generate_private_key(CURVES[algorithm.curve]), algorithm)
        case "RSA":
            return _rsa_jwk(rsa.generate_private_key(65537, 2048))
        case "OKP":
            return _okp_jwk(ed25519.Ed25519PrivateKey.generate())
        case _:
            raise InvalidKey("a shared secret is given, not generated")


def _ec(jwk: Mapping[str, Any], algorithm: Algorithm) -> object:
    curve, size = CURVES[algorithm.curve], algorithm.size
    x, y = _number(jwk, "x", size), _number(jwk, "y", size)
    public = ec.EllipticCurvePublicNumbers(x, y, curve)
    if "d" not in jwk:
        return public.public_key()
    return ec.EllipticCurvePrivateNumbers(_number(jwk, "d", size), public).private_key()


def _rsa(jwk: Mapping[str, Any], algorithm: Algorithm) -> object:
    n, e = _number(jwk, "n"), _number(jwk, "e")
    check_rsa(n, e)
    public = rsa.RSAPublicNumbers(e, n)
    if "d" not in jwk:
        return public.public_key()
    if "oth" in jwk:
        raise InvalidKey("a key of more than two primes is not supported")
    d, p, q, dp, dq, qi = (_number(jwk, name) for name in ("d", "p", "q", "dp", "dq", "qi"))
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public).private_key()


def _okp(jwk: Mapping[str, Any], algorithm: Algorithm) -> object:
    x = _octets(jwk, "x")
    public = ed25519.Ed25519PublicKey.from_public_bytes(x)
    check_ed25519(x)
    if "d" not in jwk:
        return public
    private = ed25519.Ed25519PrivateKey.from_private_bytes(_octets(jwk, "d"))
    if private.public_key() != public:
        raise InvalidKey("the private and the public part do not belong together")
    return private


def _oct(jwk: Mapping[str, Any], algorithm: Algorithm) -> object:
    secret = _octets(jwk, "k")
    check_secret(secret, algorithm.size)
    return secret


def _octets(jwk: Mapping[str, Any], name: str) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidKey(f"the member {name} is missing")
    try:
        return decode_base64url(value)
    except InvalidToken:
        raise InvalidKey(f"the member {name} is not base64url") from None


def _number(jwk: Mapping[str, Any], name: str, size: int | None = None) -> int:
    raw = _octets(jwk, name)
    if size is not None and len(raw) != size:
        raise InvalidKey(f"the member {name} must have {size} bytes")
    if size is None and raw[0] == 0:
        raise InvalidKey(f"the member {name} begins with a zero byte")
    if len(raw) > MAX_OCTETS:
        raise InvalidKey("the key is too large")
    return int.from_bytes(raw, "big")


def _b64(number: int, size: int | None = None) -> str:
    return encode_base64url(number.to_bytes(size or (number.bit_length() + 7) // 8, "big"))


def _ec_jwk(key: ec.EllipticCurvePrivateKey, algorithm: Algorithm) -> dict[str, str]:
    numbers = key.private_numbers()
    public, size = numbers.public_numbers, algorithm.size
    return {
        "kty": "EC",
        "crv": algorithm.curve,
        "x": _b64(public.x, size),
        "y": _b64(public.y, size),
        "d": _b64(numbers.private_value, size),
    }


def _rsa_jwk(key: rsa.RSAPrivateKey) -> dict[str, str]:
    numbers = key.private_numbers()
    public = numbers.public_numbers
    return {
        "kty": "RSA",
        "n": _b64(public.n),
        "e": _b64(public.e),
        "d": _b64(numbers.d),
        "p": _b64(numbers.p),
        "q": _b64(numbers.q),
        "dp": _b64(numbers.dmp1),
        "dq": _b64(numbers.dmq1),
        "qi": _b64(numbers.iqmp),
    }


def _okp_jwk(key: ed25519.Ed25519PrivateKey) -> dict[str, str]:
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": encode_base64url(key.public_key().public_bytes_raw()),
        "d": encode_base64url(key.private_bytes_raw()),
    }


_LOADERS: Final = {"EC": _ec, "RSA": _rsa, "OKP": _okp, "oct": _oct}
