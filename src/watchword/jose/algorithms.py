"""The allowed algorithms (RFC 7518 3, RFC 8037 3.1, RFC 9864): a closed table. ``none`` has no entry and no switch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from cryptography.hazmat.primitives import hashes

__all__ = ["ALGORITHMS", "ASYMMETRIC", "Algorithm", "algorithm_names"]


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One algorithm: its name, the key type it takes and what it computes.

    Attributes:
        name: the ``alg`` value.
        kty: the only key type it works with.
        hash_name: the hash, as ``hashlib`` calls it; empty for Ed25519.
        curve: the JWK curve of EC and OKP keys.
        size: bytes of one coordinate (EC), of the whole signature (OKP) or of the MAC (oct).
        padding: for RSA: PKCS #1 v1.5 or PSS.
    """

    name: str
    kty: Literal["EC", "RSA", "OKP", "oct"]
    hash_name: str = ""
    curve: str = ""
    size: int = 0
    padding: Literal["", "pkcs1", "pss"] = ""

    @property
    def hash(self) -> hashes.HashAlgorithm:
        """The hash object of ``cryptography``."""
        return _HASHES[self.hash_name]


_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}

ALGORITHMS: Final[dict[str, Algorithm]] = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm("ES256", "EC", "sha256", "P-256", 32),
        Algorithm("ES384", "EC", "sha384", "P-384", 48),
        Algorithm("ES512", "EC", "sha512", "P-521", 66),
        Algorithm("RS256", "RSA", "sha256", padding="pkcs1"),
        Algorithm("RS384", "RSA", "sha384", padding="pkcs1"),
        Algorithm("RS512", "RSA", "sha512", padding="pkcs1"),
        Algorithm("PS256", "RSA", "sha256", padding="pss"),
        Algorithm("PS384", "RSA", "sha384", padding="pss"),
        Algorithm("PS512", "RSA", "sha512", padding="pss"),
        Algorithm("Ed25519", "OKP", curve="Ed25519", size=64),
        Algorithm("EdDSA", "OKP", curve="Ed25519", size=64),
        Algorithm("HS256", "oct", "sha256", size=32),
        Algorithm("HS384", "oct", "sha384", size=48),
        Algorithm("HS512", "oct", "sha512", size=64),
    )
}

ASYMMETRIC: Final = frozenset(name for name, algorithm in ALGORITHMS.items() if algorithm.kty != "oct")
"""The names a public key can verify."""


def algorithm_names(name: str) -> frozenset[str]:
    """The names under which a key of algorithm *name* signs: RFC 9864 gave EdDSA over Ed25519 a second one."""
    return frozenset(("EdDSA", "Ed25519")) if name in ("EdDSA", "Ed25519") else frozenset((name,))
