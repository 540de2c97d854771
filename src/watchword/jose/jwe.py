"""Encrypted tokens: JSON Web Encryption around a signed token, compact serialization only (RFC 7516 3.1, RFC 7519 5.2).

A closed table here too: one key one algorithm, which never comes from the token; no compression, no
password, no RSA1_5. What the header may say is decided by our own strict reader; the cryptography is joserfc's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, Self

import msgspec

from watchword.errors import ConfigurationError, InvalidKey, InvalidToken
from watchword.jose.algorithms import ALGORITHMS
from watchword.jose.encoding import ALPHABET, decode_part, encode_base64url
from watchword.jose.header import MAX_KID, is_type, parse_header
from watchword.jose.jwk import keys_in
from watchword.jose.material import generate_members, load_material

try:
    from joserfc.jwe import decrypt_compact, encrypt_compact
    from joserfc.jwk import ECKey, RSAKey
except ModuleNotFoundError as missing:
    raise ConfigurationError("encrypted tokens take a package: pip install 'watchword[jwe]'") from missing

__all__ = ["ENCRYPTION", "EncryptionKey", "decrypt", "encrypt", "parse_keys"]

ENCRYPTION: Final = "A256GCM"
"""The one content encryption (RFC 7518 5.3)."""
MAX_SIZE: Final = 8192
NESTED: Final = ("jwt", "at+jwt")
"""What ``cty`` says of a signed token inside (RFC 7519 5.2, RFC 9068 2.1)."""

_ALGORITHMS: Final = {"EC": ("ECDH-ES+A256KW", "ECDH-ES"), "RSA": ("RSA-OAEP-256",)}
"""By key type, the one of a key that names none first (RFC 7518 4.3, 4.6)."""
_CURVES: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_PUBLIC: Final = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}
_PRIVATE: Final = {"EC": ("d",), "RSA": ("d", "p", "q", "dp", "dq", "qi")}
_OPERATIONS: Final = frozenset(("encrypt", "decrypt", "wrapKey", "unwrapKey", "deriveKey", "deriveBits"))
_FORM: Final = "the token is not a compact JWE"


class EncryptionKey:
    """One key for encryption with one algorithm (RFC 7517, RFC 7518 4).

    Attributes:
        kid: its name; the RFC 7638 thumbprint unless the JWK said another.
        algorithm: the one ``alg`` it is used with.
        private: whether it decrypts.
    """

    __slots__ = ("_jwk", "_key", "algorithm", "kid", "private")

    def __init__(self, jwk: Mapping[str, str], algorithm: str, kid: str | None) -> None:
        """Use ``parse`` or ``generate``."""
        self._jwk = jwk
        self._key = (ECKey if jwk["kty"] == "EC" else RSAKey).import_key(dict(jwk))
        self.algorithm = algorithm
        self.private = "d" in jwk
        self.kid = kid or _thumbprint(jwk)

    def __repr__(self) -> str:
        return f"EncryptionKey(kid={self.kid!r}, algorithm={self.algorithm!r})"

    def __reduce__(self) -> Any:
        raise TypeError("a key is not pickled")

    @classmethod
    def generate(cls) -> Self:
        """Make a new private key, on P-256."""
        return cls.parse(generate_members(ALGORITHMS["ES256"]))

    @classmethod
    def parse(cls, jwk: Mapping[str, Any]) -> Self:
        """Load a JWK (RFC 7517 4).

        Raises:
            InvalidKey: it is weak, torn, for signatures, or of another algorithm.
        """
        if not isinstance(jwk, Mapping):
            raise InvalidKey("a JWK is a JSON object")
        kty, crv, kid = jwk.get("kty"), jwk.get("crv"), jwk.get("kid")
        if not isinstance(kty, str) or (kty == "EC" and not isinstance(crv, str)):
            raise InvalidKey("the key type is not known")
        if kty not in _ALGORITHMS or (kty == "EC" and crv not in _CURVES):
            raise InvalidKey("a key for encryption is RSA, or EC on P-256, P-384 or P-521")
        algorithm = jwk.get("alg", _ALGORITHMS[kty][0])
        if algorithm not in _ALGORITHMS[kty]:
            raise InvalidKey(f"alg must be {' or '.join(_ALGORITHMS[kty])}")
        if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID):
            raise InvalidKey(f"kid must be a text of 1 to {MAX_KID} characters")
        if not _is_for_encryption(jwk):
            raise InvalidKey("the key is not for encryption")
        load_material(jwk, ALGORITHMS[_CURVES[str(crv)] if kty == "EC" else "RS256"])
        members = _PUBLIC[kty] + (_PRIVATE[kty] if "d" in jwk else ())
        return cls({name: jwk[name] for name in members}, algorithm, kid)

    def public_jwk(self) -> dict[str, str]:
        """The JWK that others encrypt to, without any private member."""
        jwk = {name: self._jwk[name] for name in _PUBLIC[self._jwk["kty"]]}
        return {**jwk, "kid": self.kid, "alg": self.algorithm, "use": "enc"}

    def private_jwk(self) -> dict[str, str]:
        """The whole JWK.

        Raises:
            InvalidKey: this is a public key.
        """
        if not self.private:
            raise InvalidKey("this key has no private part")
        return {**self._jwk, "kid": self.kid, "alg": self.algorithm, "use": "enc"}


def parse_keys(jwks: Mapping[str, Any] | str | bytes) -> dict[str, EncryptionKey]:
    """The keys for encryption of a JWK Set by ``kid``, in their order; others are passed over (RFC 7517 5).

    Raises:
        InvalidKey: the set holds none, or one that must not be used.
    """
    found: dict[str, EncryptionKey] = {}
    for key in _parsed(keys_in(jwks)):
        if key.kid in found:
            raise InvalidKey("two keys of the set have one kid")
        found[key.kid] = key
    if not found:
        raise InvalidKey("the set holds no key for encryption")
    return found


def encrypt(token: str, key: EncryptionKey, *, typ: str) -> str:
    """Encrypt a signed *token* to *key* (RFC 7516 5.1); outside it says what it is, too (RFC 8725 3.11)."""
    header = {"alg": key.algorithm, "enc": ENCRYPTION, "typ": typ, "cty": "JWT", "kid": key.kid}
    return encrypt_compact(header, token, key._key, [key.algorithm, ENCRYPTION])


def decrypt(
    token: str,
    keys: Mapping[str, EncryptionKey],
    *,
    cty: Collection[str] | None = NESTED,
    max_size: int = MAX_SIZE,
) -> bytes:
    """What is inside an encrypted token; who encrypted it, nobody knows (RFC 7516 5.2).

    Args:
        token: the compact serialization.
        keys: private keys by ``kid``; nothing in the token supplies one.
        cty: what must be inside, as media types; ``None`` takes any.
        max_size: characters above which nothing is read.

    Raises:
        InvalidToken: for every text that was not encrypted to one of *keys*.
    """
    if len(token) > max_size:
        raise InvalidToken("the token is too long")
    try:
        raw = token.encode("ascii")
    except UnicodeEncodeError:
        raise InvalidToken(_FORM) from None
    if raw.translate(None, ALPHABET) != b"....":
        raise InvalidToken(_FORM)
    encoded, *parts = raw.split(b".")
    for part in parts:
        decode_part(part)  # one text, one meaning: joserfc also reads what is not canonical
    header = parse_header(encoded)
    key = _key(header.kid, keys)
    if header.alg != key.algorithm or header.members.get("enc") != ENCRYPTION:
        raise InvalidToken("the algorithm is not the one of the key")
    if "zip" in header.members:
        raise InvalidToken("a compressed token is not supported")
    inside = header.members.get("cty")
    if cty is not None and not (isinstance(inside, str) and any(is_type(inside, one) for one in cty)):
        raise InvalidToken("there is no signed token inside")
    try:
        return decrypt_compact(raw, key._key, [key.algorithm, ENCRYPTION]).plaintext or b""
    except Exception:  # whatever joserfc stumbles over in a stranger's bytes, the token is bad
        raise InvalidToken("the token cannot be decrypted") from None


def _key(kid: str | None, keys: Mapping[str, EncryptionKey]) -> EncryptionKey:
    if kid is None and len(keys) == 1:
        return next(iter(keys.values()))
    found = keys.get(kid or "")
    if found is None:
        raise InvalidToken("the token is encrypted to a key that is not known here")
    return found


def _parsed(keys: Iterable[Any]) -> Iterable[EncryptionKey]:
    for jwk in keys:
        if not isinstance(jwk, Mapping):
            raise InvalidKey("a JWK is a JSON object")
        if (
            jwk.get("use", "enc") == "enc"
            and jwk.get("alg") not in tuple(ALGORITHMS)
            and jwk.get("kty") != "oct"
        ):
            yield EncryptionKey.parse(jwk)


def _is_for_encryption(jwk: Mapping[str, Any]) -> bool:
    operations = jwk.get("key_ops")
    if operations is not None and not isinstance(operations, list):
        return False
    fitting = operations is None or any(isinstance(op, str) and op in _OPERATIONS for op in operations)
    return jwk.get("use", "enc") == "enc" and fitting


def _thumbprint(jwk: Mapping[str, str]) -> str:
    members = {name: jwk[name] for name in _PUBLIC[jwk["kty"]]}
    return encode_base64url(hashlib.sha256(msgspec.json.encode(members, order="sorted")).digest())
