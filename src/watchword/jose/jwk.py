"""Keys and key sets (RFC 7517, 7518 6, 7638, 8037): checked once, when they are loaded.

A key has exactly one algorithm, and that never comes from a token. What is weak or is not what it
says is refused here, so that nothing later has to think of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Self

import msgspec

from watchword.errors import InvalidKey
from watchword.jose.algorithms import ALGORITHMS, Algorithm, algorithm_names
from watchword.jose.encoding import encode_base64url, parse_json_object, without_mark
from watchword.jose.header import MAX_KID, Header
from watchword.jose.material import generate_members, load_material
from watchword.jose.primitive import Signer, hmac_signer, hmac_verifier, signer, verifier

__all__ = ["Key", "KeySet", "keys_in"]

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
_MAX_HEADERS: Final = 64
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
        members = _MEMBERS[algorithm.kty]
        self._jwk = {name: value for name, value in jwk.items() if name in members}
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
        jwk = generate_members(_algorithm(algorithm))
        return cls.parse({**jwk, "alg": algorithm, **({"kid": kid} if kid else {})})

    @classmethod
    def from_secret(cls, secret: bytes | str, *, kid: str | None = None, algorithm: str = "HS256") -> Self:
        """Take a shared secret as an HMAC key (RFC 7518 3.2).

        Raises:
            InvalidKey: it is shorter than the hash, or is a public key, which everybody knows.
        """
        try:
            raw = secret.encode() if isinstance(secret, str) else secret
        except UnicodeEncodeError:
            raise InvalidKey("the secret is no Unicode text") from None
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
        if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID):
            raise InvalidKey(f"kid must be a text of 1 to {MAX_KID} characters")
        _check_use(jwk)
        return cls(jwk, found, load_material(jwk, found), kid=kid)

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
    """An immutable set of keys by ``kid`` (RFC 7517 5).

    Attributes:
        headers: encoded headers that a signature of this set has covered, so that they are parsed once,
            each with the key that made it.
    """

    __slots__ = ("_keys", "headers")

    def __init__(self, keys: Iterable[Key], *, mixed: bool = False) -> None:
        """Take *keys* in order.

        Args:
            keys: each of another ``kid``.
            mixed: shared secrets and public keys may stand side by side: for one who shares a secret with
                the issuer and knows which key is which.

        Raises:
            InvalidKey: two have one ``kid``, or shared secrets and public keys are mixed.
        """
        found: dict[str, Key] = {}
        for key in keys:
            if key.kid in found:
                raise InvalidKey("two keys of the set have one kid")
            found[key.kid] = key
        if not mixed and len({key.symmetric for key in found.values()}) > 1:
            raise InvalidKey("the set mixes shared secrets and public keys")
        self._keys = found
        self.headers: dict[bytes, tuple[Header, Key]] = {}

    @classmethod
    def parse(cls, jwks: Mapping[str, Any] | str | bytes) -> Self:
        """Load a JWK Set; keys of a type or curve unknown here, or for encryption, are passed over (RFC 7517 5).

        Raises:
            InvalidKey: the set or one of its keys must not be used.
        """
        return cls(Key.parse(jwk) for jwk in keys_in(jwks) if _is_ours(jwk))

    def get(self, kid: str) -> Key | None:
        """The key of this name."""
        return self._keys.get(kid)

    def remember(self, encoded: bytes, header: Header, key: Key) -> None:
        """Keep *header*, whose signature *key* verified, under its base64url; bounded, and only what copies flat."""
        if len(self.headers) < _MAX_HEADERS and header.flat:
            self.headers[encoded] = header, key

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


def keys_in(jwks: Mapping[str, Any] | str | bytes) -> Sequence[Any]:
    """What stands in the array of a JWK Set, of whatever kind (RFC 7517 5).

    Raises:
        InvalidKey: it is no set.
    """
    if isinstance(jwks, str | bytes):
        raw = jwks.encode("utf-8", "surrogatepass") if isinstance(jwks, str) else jwks
        jwks = parse_json_object(without_mark(raw), error=InvalidKey)
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list | tuple):
        raise InvalidKey("a JWK Set is an object with an array of keys")
    return keys


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
    """Whether a member of a set is a key for signatures of a kind known here; an issuer may publish others, too."""
    if not isinstance(jwk, Mapping):
        raise InvalidKey("a JWK is a JSON object")
    kty, crv, alg, operations = jwk.get("kty"), jwk.get("crv"), jwk.get("alg"), jwk.get("key_ops")
    if jwk.get("use") == "enc" or (isinstance(alg, str) and alg not in ALGORITHMS):
        return False
    if isinstance(operations, list) and not any(name in operations for name in ("sign", "verify")):
        return False
    return kty in ("RSA", "oct") or any((kty, crv) == pair for pair in _ONLY)


_MEMBERS: Final = {
    "EC": frozenset(("kty", "crv", "x", "y", "d")),
    "RSA": frozenset(("kty", "n", "e", "d", "p", "q", "dp", "dq", "qi")),
    "OKP": frozenset(("kty", "crv", "x", "d")),
    "oct": frozenset(("kty", "k")),
}
"""What is kept of a JWK, by key type; whatever else it says is not ours to publish."""
