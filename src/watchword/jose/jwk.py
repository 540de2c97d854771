"""Keys and key sets (RFC 7517, 7518 6, 7638, 8037): checked once, when they are loaded.

A key has exactly one algorithm, and that never comes from a token. What is weak or is not what it
says is refused here, so that nothing later has to think of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Self

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from watchword.errors import InvalidKey, InvalidToken
from watchword.jose.algorithms import ALGORITHMS, Algorithm, algorithm_names
from watchword.jose.encoding import decode_base64url, encode_base64url, parse_json_object
from watchword.jose.primitive import CURVES, Signer, hmac_signer, hmac_verifier, signer, verifier
from watchword.jose.weakness import check_rsa, check_secret

__all__ = ["Key", "KeySet"]

_THUMBPRINT_MEMBERS: Final = {
    "EC": ("crv", "kty", "x", "y"),
    "RSA": ("e", "kty", "n"),
    "OKP": ("crv", "kty", "x"),
    "oct": ("k", "kty"),
}
_PRIVATE_MEMBERS: Final = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))
_ONLY: Final = {
    ("EC", "P-256"): "ES256",
    ("EC", "P-384"): "ES384",
    ("EC", "P-521"): "ES512",
    ("OKP", "Ed25519"): "EdDSA",
}
_DEFAULT: Final = {"RSA": "RS256", "oct": "HS256"}


class Key:
    """One key with one algorithm.

    Attributes:
        kid: its name in a set; the RFC 7638 thumbprint unless the JWK said another.
        algorithm: the one ``alg`` it signs with.
        algorithms: the names of that algorithm (Ed25519 has two, RFC 9864).
        symmetric: whether whoever verifies can also sign.
        private: whether it can sign.
        verify: ``(signature, message) -> bool``.
    """

    __slots__ = (
        "_jwk",
        "_sign",
        "algorithm",
        "algorithms",
        "headers",
        "kid",
        "private",
        "symmetric",
        "verify",
    )

    def __init__(
        self, jwk: Mapping[str, Any], algorithm: Algorithm, material: object, *, kid: str | None
    ) -> None:
        """Use ``parse``, ``generate`` or ``from_secret``."""
        self._jwk = {name: value for name, value in jwk.items() if name in _MEMBERS}
        self.algorithm = algorithm.name
        self.algorithms = algorithm_names(algorithm.name)
        self.symmetric = algorithm.kty == "oct"
        self.private = self.symmetric or "d" in self._jwk
        self.kid = kid or self.thumbprint()
        self.headers: dict[str, str] = {}
        """Encoded JWS headers by type, made once."""
        if isinstance(material, bytes):
            self.verify = hmac_verifier(algorithm, material)
            self._sign: Signer | None = hmac_signer(algorithm, material)
        else:
            public = material.public_key() if self.private else material  # type: ignore[attr-defined]
            self.verify = verifier(algorithm, public)
            self._sign = signer(algorithm, material) if self.private else None

    def __repr__(self) -> str:
        return f"Key(kid={self.kid!r}, algorithm={self.algorithm!r})"

    def __reduce__(self) -> Any:
        raise TypeError("a key is not pickled")

    @classmethod
    def generate(cls, algorithm: str, *, kid: str | None = None) -> Self:
        """Make a new private key; RSA gets 2048 bits.

        Raises:
            InvalidKey: the algorithm is unknown, or HMAC, whose secrets are drawn and not generated.
        """
        found = _algorithm(algorithm)
        match found.kty:
            case "EC":
                jwk = _ec_jwk(ec.generate_private_key(CURVES[found.curve]), found)
            case "RSA":
                jwk = _rsa_jwk(rsa.generate_private_key(65537, 2048))
            case "OKP":
                jwk = _okp_jwk(ed25519.Ed25519PrivateKey.generate())
            case "oct":
                raise InvalidKey("a shared secret is given, not generated")
        return cls.parse({**jwk, "alg": algorithm, **({"kid": kid} if kid else {})})

    @classmethod
    def from_secret(cls, secret: bytes | str, *, kid: str | None = None, algorithm: str = "HS256") -> Self:
        """Take a shared secret as an HMAC key (RFC 7518 3.2).

        Raises:
            InvalidKey: it is shorter than the hash, or is a public key, which everybody knows.
        """
        raw = secret.encode() if isinstance(secret, str) else secret
        return cls.parse(
            {"kty": "oct", "k": encode_base64url(raw), "alg": algorithm, **({"kid": kid} if kid else {})}
        )

    @classmethod
    def parse(cls, jwk: Mapping[str, Any], *, algorithm: str | None = None) -> Self:
        """Load a JWK (RFC 7517 4).

        Args:
            jwk: the members.
            algorithm: the one algorithm, where the JWK names none. Without either, an EC or OKP key
                has its only one, RSA means RS256 and oct means HS256.

        Raises:
            InvalidKey: it is weak, torn, for encryption, or of another algorithm than *algorithm*.
        """
        if not isinstance(jwk, Mapping):
            raise InvalidKey("a JWK is a JSON object")
        found = _choose(jwk, algorithm)
        kid = jwk.get("kid")
        if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= 256):
            raise InvalidKey("kid must be a text of 1 to 256 characters")
        _check_use(jwk)
        try:
            material = _MATERIAL[found.kty](jwk, found)
        except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm):
            raise InvalidKey(f"the {found.kty} key is malformed") from None
        return cls(jwk, found, material, kid=kid)

    def sign(self, message: bytes) -> bytes:
        """Sign *message*.

        Raises:
            InvalidKey: this is a public key.
        """
        if self._sign is None:
            raise InvalidKey("a public key does not sign")
        return self._sign(message)

    def thumbprint(self) -> str:
        """The SHA-256 thumbprint (RFC 7638 3)."""
        members = {name: self._jwk[name] for name in _THUMBPRINT_MEMBERS[self._jwk["kty"]]}
        return encode_base64url(hashlib.sha256(msgspec.json.encode(members, order="sorted")).digest())

    def public_jwk(self) -> dict[str, Any]:
        """The JWK to publish, without any private member (RFC 7517 9.2).

        Raises:
            InvalidKey: a shared secret has no public part.
        """
        if self.symmetric:
            raise InvalidKey("a shared secret has no public part")
        jwk = {name: value for name, value in self._jwk.items() if name not in _PRIVATE_MEMBERS}
        return {**jwk, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def private_jwk(self) -> dict[str, Any]:
        """The whole JWK, to be sealed.

        Raises:
            InvalidKey: this is a public key.
        """
        if not self.private:
            raise InvalidKey("this key has no private part")
        return {**self._jwk, "kid": self.kid, "alg": self.algorithm, "use": "sig"}


class KeySet:
    """An immutable set of keys by ``kid`` (RFC 7517 5)."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Iterable[Key]) -> None:
        """Take *keys* in order.

        Raises:
            InvalidKey: two have one ``kid``, or shared secrets and public keys are mixed.
        """
        found: dict[str, Key] = {}
        for key in keys:
            if key.kid in found:
                raise InvalidKey("two keys of the set have one kid")
            found[key.kid] = key
        if len({key.symmetric for key in found.values()}) > 1:
            raise InvalidKey("the set mixes shared secrets and public keys")
        self._keys = found

    @classmethod
    def parse(cls, jwks: Mapping[str, Any] | str | bytes) -> Self:
        """Load a JWK Set; keys of a type or curve unknown here, or for encryption, are passed over (RFC 7517 5).

        Raises:
            InvalidKey: the set or one of its keys must not be used.
        """
        if isinstance(jwks, str | bytes):
            raw = jwks.encode("utf-8", "surrogatepass") if isinstance(jwks, str) else jwks
            jwks = parse_json_object(raw, error=InvalidKey)
        keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
        if not isinstance(keys, list | tuple):
            raise InvalidKey("a JWK Set is an object with an array of keys")
        return cls(Key.parse(jwk) for jwk in keys if _is_ours(jwk))

    def get(self, kid: str) -> Key | None:
        """The key of this name."""
        return self._keys.get(kid)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys.values())

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, kid: object) -> bool:
        return kid in self._keys

    def __repr__(self) -> str:
        return f"KeySet({list(self._keys.values())!r})"

    def public_jwks(self) -> dict[str, Any]:
        """The set to publish; shared secrets are left out."""
        return {"keys": [key.public_jwk() for key in self if not key.symmetric]}


def _choose(jwk: Mapping[str, Any], asked: str | None) -> Algorithm:
    kty, named = jwk.get("kty"), jwk.get("alg")
    if not isinstance(kty, str) or kty not in _THUMBPRINT_MEMBERS:
        raise InvalidKey("the key type is not known")
    if named is not None and not isinstance(named, str):
        raise InvalidKey("alg must be a text")
    if named is not None and asked is not None and asked not in algorithm_names(named):
        raise InvalidKey(f"the key is for {named}")
    name = named or asked or _DEFAULT.get(kty) or _ONLY.get((kty, str(jwk.get("crv"))))
    if name is None:
        raise InvalidKey("the curve is not known")
    found = _algorithm(name)
    if found.kty != kty or (found.curve and jwk.get("crv") != found.curve):
        raise InvalidKey(f"the key cannot be used for {name}")
    return found


def _algorithm(name: str) -> Algorithm:
    found = ALGORITHMS.get(name)
    if found is None:
        raise InvalidKey("the algorithm is not allowed")
    return found


def _check_use(jwk: Mapping[str, Any]) -> None:
    if jwk.get("use", "sig") != "sig":
        raise InvalidKey("the key is not for signatures")
    operations = jwk.get("key_ops")
    if operations is None:
        return
    if not isinstance(operations, list) or len(operations) != len({str(op) for op in operations}):
        raise InvalidKey("key_ops must be an array of distinct texts")
    if not {"sign", "verify"} & {op for op in operations if isinstance(op, str)}:
        raise InvalidKey("the key is not for signatures")


def _is_ours(jwk: object) -> bool:
    if not isinstance(jwk, Mapping):
        raise InvalidKey("a JWK is a JSON object")
    if jwk.get("use") == "enc":
        return False
    kty = jwk.get("kty")
    return kty in ("RSA", "oct") or (kty, jwk.get("crv")) in _ONLY


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
    if len(raw) > 1024:
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


_MATERIAL: Final = {"EC": _ec, "RSA": _rsa, "OKP": _okp, "oct": _oct}
_MEMBERS: Final = frozenset(("kty", "crv", "x", "y", "n", "e")) | _PRIVATE_MEMBERS
