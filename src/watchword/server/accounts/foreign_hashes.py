"""Password hashes that other programs made, verified as they are and replaced at the next log-in (ASVS 11.4).

The forms: bcrypt; PBKDF2 and scrypt as Django, Werkzeug and the PHC strings of passlib write them;
bcrypt over SHA-256 (Django, passlib); Firebase's scrypt and Keycloak's PBKDF2 as the import writes
them. A cost above the bound is refused unread: a stored string must not be able to stall a server.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from binascii import Error as BinasciiError
from collections.abc import Callable, Mapping
from typing import Final

__all__ = ["is_foreign", "verify_foreign"]

MAX_ITERATIONS: Final = 5_000_000
MAX_SCRYPT_MEMORY: Final = 256 * 1024 * 1024
MAX_BCRYPT_COST: Final = 16
_SIZES: Final = (20, 24, 32, 48, 64)
"""Bytes a digest may have; a torn one is no shorter digest of the same password."""

_PREFIXES: Final = (
    "$2a$", "$2b$", "$2y$", "bcrypt$", "bcrypt_sha256$", "$bcrypt-sha256$",
    "pbkdf2_sha256$", "pbkdf2_sha1$", "pbkdf2:", "$pbkdf2$", "$pbkdf2-sha256$", "$pbkdf2-sha512$",
    "scrypt$", "scrypt:", "$scrypt$", "$firebase-scrypt$",
)  # fmt: skip


def is_foreign(digest: str) -> bool:
    """Whether *digest* is of a form verified here."""
    return digest.startswith(_PREFIXES)


def verify_foreign(digest: str, password: str) -> bool:
    """Whether *password* made *digest*; a broken or too costly string is False, never an exception."""
    raw = password.encode()
    for pattern, check in _FORMS.items():
        if match := pattern.fullmatch(digest):
            try:
                return check(match.groupdict(), raw)
            except (ValueError, BinasciiError, OverflowError, MemoryError):
                return False
    return False


def _bcrypt(parts: Mapping[str, str], password: bytes) -> bool:
    # bcrypt reads 72 bytes; two longer passwords with one beginning must not be one password.
    return len(password) <= 72 and _bcrypt_core(parts["bcrypt"], password)


def _bcrypt_sha256_django(parts: Mapping[str, str], password: bytes) -> bool:
    return _bcrypt_core(parts["bcrypt"], hashlib.sha256(password).hexdigest().encode())


def _bcrypt_sha256_passlib(parts: Mapping[str, str], password: bytes) -> bool:
    if parts["version"] == "2":
        inner = hmac.digest(parts["salt"].encode(), password, "sha256")
    else:
        inner = hashlib.sha256(password).digest()
    rebuilt = f"${parts['type']}${int(parts['cost']):02d}${parts['salt']}{parts['digest']}"
    return _bcrypt_core(rebuilt, b64encode(inner))


def _bcrypt_core(digest: str, password: bytes) -> bool:
    import bcrypt  # only for accounts that came from elsewhere

    if int(digest[4:6]) > MAX_BCRYPT_COST:
        return False
    return bcrypt.checkpw(password, digest.replace("$2y$", "$2b$", 1).encode())


def _pbkdf2(hash_name: str, iterations: int, salt: bytes, expected: bytes, password: bytes) -> bool:
    if not 0 < iterations <= MAX_ITERATIONS or len(expected) not in _SIZES:
        return False
    return hmac.compare_digest(
        hashlib.pbkdf2_hmac(hash_name, password, salt, iterations, len(expected)), expected
    )


def _pbkdf2_django(parts: Mapping[str, str], password: bytes) -> bool:
    return _pbkdf2(
        parts["hash"],
        int(parts["iterations"]),
        parts["salt"].encode(),
        b64decode(parts["digest"], validate=True),
        password,
    )


def _pbkdf2_werkzeug(parts: Mapping[str, str], password: bytes) -> bool:
    return _pbkdf2(
        parts["hash"],
        int(parts["iterations"]),
        parts["salt"].encode(),
        bytes.fromhex(parts["digest"]),
        password,
    )


def _pbkdf2_phc(parts: Mapping[str, str], password: bytes) -> bool:
    name = parts["hash"] or "sha1"
    return _pbkdf2(name, int(parts["iterations"]), _ab64(parts["salt"]), _ab64(parts["digest"]), password)


def _scrypt(n: int, r: int, p: int, salt: bytes, expected: bytes, password: bytes) -> bool:
    if not _scrypt_fits(n, r, p) or len(expected) not in _SIZES:
        return False
    made = hashlib.scrypt(
        password, salt=salt, n=n, r=r, p=p, dklen=len(expected), maxmem=2 * MAX_SCRYPT_MEMORY
    )
    return hmac.compare_digest(made, expected)


def _scrypt_fits(n: int, r: int, p: int) -> bool:
    return n > 1 and r > 0 and 0 < p <= 16 and 128 * n * r * p <= MAX_SCRYPT_MEMORY


def _scrypt_django(parts: Mapping[str, str], password: bytes) -> bool:
    return _scrypt(
        int(parts["n"]), int(parts["r"]), int(parts["p"]), parts["salt"].encode(),
        b64decode(parts["digest"], validate=True), password,
    )  # fmt: skip


def _scrypt_werkzeug(parts: Mapping[str, str], password: bytes) -> bool:
    return _scrypt(
        int(parts["n"]),
        int(parts["r"]),
        int(parts["p"]),
        parts["salt"].encode(),
        bytes.fromhex(parts["digest"]),
        password,
    )


def _scrypt_phc(parts: Mapping[str, str], password: bytes) -> bool:
    if int(parts["ln"]) > 30:
        return False
    return _scrypt(
        1 << int(parts["ln"]),
        int(parts["r"]),
        int(parts["p"]),
        _ab64(parts["salt"]),
        _ab64(parts["digest"]),
        password,
    )


def _firebase(parts: Mapping[str, str], password: bytes) -> bool:
    """Firebase encrypts the project's signer key under a key that scrypt draws from the password."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    n, r = 1 << min(int(parts["ln"]), 30), int(parts["r"])
    if not _scrypt_fits(n, r, 1):
        return False
    salt = b64decode(parts["salt"]) + b64decode(parts["separator"])
    drawn = hashlib.scrypt(password, salt=salt, n=n, r=r, p=1, dklen=64, maxmem=2 * MAX_SCRYPT_MEMORY)
    encryptor = Cipher(algorithms.AES(drawn[:32]), modes.CTR(bytes(16))).encryptor()
    made = encryptor.update(b64decode(parts["signer"])) + encryptor.finalize()
    return hmac.compare_digest(made, b64decode(parts["digest"]))


def _ab64(text: str) -> bytes:
    """The base64 of PHC strings: no padding; passlib writes ``.`` for ``+``."""
    return b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)


_B64 = r"[A-Za-z0-9+/=_-]+"
_AB64 = r"[A-Za-z0-9+/.]+"
_BCRYPT = r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}"
_NUMBER = r"\d{1,9}"
_SALT = r"[^$]{1,256}"

_FORMS: Final[Mapping[re.Pattern[str], Callable[[Mapping[str, str], bytes], bool]]] = {
    re.compile(rf"(?:bcrypt\$)?(?P<bcrypt>{_BCRYPT})"): _bcrypt,
    re.compile(rf"bcrypt_sha256\$(?P<bcrypt>{_BCRYPT})"): _bcrypt_sha256_django,
    re.compile(
        r"\$bcrypt-sha256\$v=(?P<version>2),t=(?P<type>2b),r=(?P<cost>\d\d?)"
        r"\$(?P<salt>[./A-Za-z0-9]{22})\$(?P<digest>[./A-Za-z0-9]{31})"
    ): _bcrypt_sha256_passlib,
    re.compile(
        rf"pbkdf2_(?P<hash>sha256|sha1)\$(?P<iterations>{_NUMBER})\$(?P<salt>{_SALT})\$(?P<digest>{_B64})"
    ): _pbkdf2_django,
    re.compile(
        rf"pbkdf2:(?P<hash>sha1|sha256|sha512):(?P<iterations>{_NUMBER})\$(?P<salt>{_SALT})\$(?P<digest>[0-9a-f]+)"
    ): _pbkdf2_werkzeug,
    re.compile(
        rf"\$pbkdf2(?:-(?P<hash>sha256|sha512))?\$(?:i=)?(?P<iterations>{_NUMBER})(?:,l=\d+)?"
        rf"\$(?P<salt>{_AB64})\$(?P<digest>{_AB64})"
    ): _pbkdf2_phc,
    re.compile(
        rf"scrypt\$(?P<n>{_NUMBER})\$(?P<salt>{_SALT})\$(?P<r>{_NUMBER})\$(?P<p>{_NUMBER})\$(?P<digest>{_B64})"
    ): _scrypt_django,
    re.compile(
        rf"scrypt:(?P<n>{_NUMBER}):(?P<r>{_NUMBER}):(?P<p>{_NUMBER})\$(?P<salt>{_SALT})\$(?P<digest>[0-9a-f]+)"
    ): _scrypt_werkzeug,
    re.compile(
        rf"\$scrypt\$ln=(?P<ln>\d\d?),r=(?P<r>{_NUMBER}),p=(?P<p>{_NUMBER})\$(?P<salt>{_AB64})\$(?P<digest>{_AB64})"
    ): _scrypt_phc,
    re.compile(
        rf"\$firebase-scrypt\$ln=(?P<ln>\d\d?),r=(?P<r>{_NUMBER}),ss=(?P<separator>{_B64}),sk=(?P<signer>{_B64})"
        rf"\$(?P<salt>{_B64})\$(?P<digest>{_B64})"
    ): _firebase,
}
