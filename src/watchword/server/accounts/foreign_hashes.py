"""Password hashes that other programs made, verified as they are and replaced at the next log-in (ASVS 11.4).

The forms: bcrypt; PBKDF2 and scrypt as Django, Werkzeug and the PHC strings of passlib write them;
bcrypt over SHA-256 (Django, passlib); Argon2 of any kind; Firebase's scrypt and Keycloak's PBKDF2 as
the import writes them. A cost above the bound is refused unread: a stored string must not be able to
stall a server.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Final

__all__ = ["can_verify", "is_foreign", "seconds_of", "verify_foreign"]

MAX_ITERATIONS: Final = 5_000_000
MAX_MEMORY: Final = 256 * 1024 * 1024
"""Bytes that one scrypt or Argon2 may take."""
MAX_ARGON2_WORK: Final = 2 * 1024 * 1024
"""KiB of Argon2, times its passes."""
MAX_BCRYPT_COST: Final = 16
_PBKDF2_ROUND: Final = 0.4e-6
_ARGON2_KIB: Final = 0.6e-6
_SCRYPT_BYTE: Final = 3e-9
_BCRYPT_ROUND: Final = 55e-6
"""Seconds of a round, of a KiB in one pass, of a byte, and of one of the 2^cost rounds."""
_SIZES: Final = (20, 24, 32, 48, 64)
"""Bytes a digest may have; a torn one is no shorter digest of the same password."""

Parts = Mapping[str, str]
Check = Callable[[bytes], bool]
"""Whether these bytes are the password. A form makes one of a string, or raises ``ValueError`` where it cannot."""

_PREFIXES: Final = (
    "$2a$", "$2b$", "$2y$", "bcrypt$", "bcrypt_sha256$", "$bcrypt-sha256$",
    "pbkdf2_sha256$", "pbkdf2_sha1$", "pbkdf2:", "$pbkdf2$", "$pbkdf2-sha256$", "$pbkdf2-sha512$",
    "scrypt$", "scrypt:", "$scrypt$", "$firebase-scrypt$", "$argon2i$", "$argon2d$", "argon2$",
)  # fmt: skip


def is_foreign(digest: str) -> bool:
    """Whether *digest* is not of the form this server writes, and is one verified here."""
    return digest.startswith(_PREFIXES)


def can_verify(digest: str) -> bool:
    """Whether some password could match *digest*: it is whole, of a known form and within the bounds of cost."""
    return _prepare(digest) is not None


def verify_foreign(digest: str, password: str) -> bool:
    """Whether *password* made *digest*; a broken or too costly string is False, never an exception."""
    check = _prepare(digest)
    try:
        return check is not None and check(password.encode())
    except (ValueError, MemoryError):
        return False


def seconds_of(digest: str) -> float:
    """Seconds that a check of a foreign *digest* takes on a processor of these years, within a factor of two or so."""
    for pattern in _FORMS:
        if match := pattern.fullmatch(digest):
            return _seconds(match.groupdict())
    return 0.0


def _seconds(parts: Parts) -> float:
    if "iterations" in parts:
        return int(parts["iterations"]) * _PBKDF2_ROUND
    if "memory" in parts:
        return int(parts["memory"]) * int(parts["passes"]) * _ARGON2_KIB
    if "r" in parts:
        n = int(parts["n"]) if "n" in parts else 2 ** int(parts["ln"])
        return 128 * n * int(parts["r"]) * int(parts.get("p", 1)) * _SCRYPT_BYTE
    return float(2 ** int(parts["bcrypt"][4:6] if "bcrypt" in parts else parts["cost"])) * _BCRYPT_ROUND


def _prepare(digest: str) -> Check | None:
    for pattern, form in _FORMS.items():
        if match := pattern.fullmatch(digest):
            try:
                return form(match.groupdict())
            except (ValueError, OverflowError):
                return None
    return None


def _bcrypt(parts: Parts) -> Check:
    core = _bcrypt_core(parts["bcrypt"])
    # bcrypt reads 72 bytes; two longer passwords with one beginning must not be one password.
    return lambda password: len(password) <= 72 and core(password)


def _bcrypt_sha256_django(parts: Parts) -> Check:
    core = _bcrypt_core(parts["bcrypt"])
    return lambda password: core(hashlib.sha256(password).hexdigest().encode())


def _bcrypt_sha256_passlib(parts: Parts) -> Check:
    core = _bcrypt_core(f"${parts['type']}${int(parts['cost']):02d}${parts['salt']}{parts['digest']}")
    key = parts["salt"].encode()
    return lambda password: core(b64encode(hmac.digest(key, password, "sha256")))


def _bcrypt_sha256_passlib_1(parts: Parts) -> Check:
    core = _bcrypt_core(f"${parts['type']}${int(parts['cost']):02d}${parts['salt']}{parts['digest']}")
    return lambda password: core(b64encode(hashlib.sha256(password).digest()))


def _bcrypt_core(digest: str) -> Check:
    if not 4 <= int(digest[4:6]) <= MAX_BCRYPT_COST:
        raise ValueError("cost")
    encoded = digest.replace("$2y$", "$2b$", 1).encode()

    def check(password: bytes) -> bool:
        import bcrypt  # only for accounts that came from elsewhere

        return bcrypt.checkpw(password, encoded)

    return check


def _pbkdf2(name: str, iterations: int, salt: bytes, expected: bytes) -> Check:
    # Each block of the digest takes all the rounds.
    blocks = -(-len(expected) // hashlib.new(name).digest_size)
    if not 0 < iterations * blocks <= MAX_ITERATIONS or len(expected) not in _SIZES:
        raise ValueError("cost or size")
    return lambda password: hmac.compare_digest(
        hashlib.pbkdf2_hmac(name, password, salt, iterations, len(expected)), expected
    )


def _pbkdf2_django(parts: Parts) -> Check:
    digest = b64decode(parts["digest"], validate=True)
    return _pbkdf2(parts["hash"], int(parts["iterations"]), parts["salt"].encode(), digest)


def _pbkdf2_werkzeug(parts: Parts) -> Check:
    digest = bytes.fromhex(parts["digest"])
    return _pbkdf2(parts["hash"], int(parts["iterations"]), parts["salt"].encode(), digest)


def _pbkdf2_phc(parts: Parts) -> Check:
    salt, digest = _ab64(parts["salt"]), _ab64(parts["digest"])
    return _pbkdf2(parts["hash"] or "sha1", int(parts["iterations"]), salt, digest)


def _scrypt(n: int, r: int, p: int, salt: bytes, expected: bytes) -> Check:
    _check_scrypt(n, r, p)
    if len(expected) not in _SIZES:
        raise ValueError("size")
    return lambda password: hmac.compare_digest(_draw(password, salt, n, r, p, len(expected)), expected)


def _check_scrypt(n: int, r: int, p: int) -> None:
    if n < 2 or n & (n - 1) or r < 1 or not 0 < p <= 16 or 128 * n * r * p > MAX_MEMORY:
        raise ValueError("cost")


def _draw(password: bytes, salt: bytes, n: int, r: int, p: int, size: int) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, dklen=size, maxmem=2 * MAX_MEMORY)


def _scrypt_django(parts: Parts) -> Check:
    digest = b64decode(parts["digest"], validate=True)
    return _scrypt(int(parts["n"]), int(parts["r"]), int(parts["p"]), parts["salt"].encode(), digest)


def _scrypt_werkzeug(parts: Parts) -> Check:
    digest = bytes.fromhex(parts["digest"])
    return _scrypt(int(parts["n"]), int(parts["r"]), int(parts["p"]), parts["salt"].encode(), digest)


def _scrypt_phc(parts: Parts) -> Check:
    salt, digest = _ab64(parts["salt"]), _ab64(parts["digest"])
    return _scrypt(1 << int(parts["ln"]), int(parts["r"]), int(parts["p"]), salt, digest)


def _argon2(parts: Parts) -> Check:
    memory, passes, lanes = int(parts["memory"]), int(parts["passes"]), int(parts["lanes"])
    if memory * 1024 > MAX_MEMORY or memory * passes > MAX_ARGON2_WORK or not 0 < lanes <= 64:
        raise ValueError("cost")
    salt, expected = _ab64(parts["salt"]), _ab64(parts["digest"])
    if len(salt) < 8 or len(expected) < 16:
        raise ValueError("size")
    version = int(parts["version"] or 16)

    def check(password: bytes) -> bool:
        from argon2.low_level import Type, core, ffi

        out, given = ffi.new("uint8_t[]", len(expected)), ffi.new("uint8_t[]", password)
        context = ffi.new(
            "argon2_context *",
            {
                "version": version, "out": out, "outlen": len(expected), "pwd": given, "pwdlen": len(password),
                "salt": ffi.from_buffer("uint8_t[]", salt), "saltlen": len(salt), "secret": ffi.NULL, "secretlen": 0,
                "ad": ffi.NULL, "adlen": 0, "t_cost": passes, "m_cost": memory, "lanes": lanes,
                # One thread, however many lanes: a check must not take every processor from the rest.
                "threads": 1, "allocate_cbk": ffi.NULL, "free_cbk": ffi.NULL, "flags": 0,
            },
        )  # fmt: skip
        if core(context, Type[parts["kind"].upper()].value) != 0:  # ARGON2_OK
            return False
        return hmac.compare_digest(bytes(ffi.buffer(out, len(expected))), expected)

    return check


def _firebase(parts: Parts) -> Check:
    """Firebase encrypts the project's signer key under a key that scrypt draws from the password."""
    n, r = 1 << int(parts["ln"]), int(parts["r"])
    _check_scrypt(n, r, 1)
    salt = b64decode(parts["salt"], validate=True) + b64decode(parts["separator"], validate=True)
    signer, expected = b64decode(parts["signer"], validate=True), b64decode(parts["digest"], validate=True)
    if len(expected) != len(signer):
        raise ValueError("size")

    def check(password: bytes) -> bool:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        key = _draw(password, salt, n, r, 1, 64)[:32]
        encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
        return hmac.compare_digest(encryptor.update(signer) + encryptor.finalize(), expected)

    return check


def _ab64(text: str) -> bytes:
    """The base64 of PHC strings: no padding; passlib writes ``.`` for ``+``."""
    return b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)


_B64 = r"[A-Za-z0-9+/=]+"
_AB64 = r"[A-Za-z0-9+/.]+"
_BCRYPT = r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}"
_BCRYPT_PARTS = r"(?P<salt>[./A-Za-z0-9]{22})\$(?P<digest>[./A-Za-z0-9]{31})"
_NUMBER = r"\d{1,9}"
_SALT = r"[^$]{1,256}"

_FORMS: Final[Mapping[re.Pattern[str], Callable[[Parts], Check]]] = {
    re.compile(rf"(?:bcrypt\$)?(?P<bcrypt>{_BCRYPT})", re.ASCII): _bcrypt,
    re.compile(rf"bcrypt_sha256\$(?P<bcrypt>{_BCRYPT})", re.ASCII): _bcrypt_sha256_django,
    re.compile(
        rf"\$bcrypt-sha256\$v=2,t=(?P<type>2[ab]),r=(?P<cost>\d\d?)\${_BCRYPT_PARTS}", re.ASCII
    ): _bcrypt_sha256_passlib,
    re.compile(
        rf"\$bcrypt-sha256\$(?P<type>2[ab]),(?P<cost>\d\d?)\${_BCRYPT_PARTS}", re.ASCII
    ): _bcrypt_sha256_passlib_1,
    re.compile(
        rf"pbkdf2_(?P<hash>sha256|sha1)\$(?P<iterations>{_NUMBER})\$(?P<salt>{_SALT})\$(?P<digest>{_B64})",
        re.ASCII,
    ): _pbkdf2_django,
    re.compile(
        rf"pbkdf2:(?P<hash>sha1|sha256|sha512):(?P<iterations>{_NUMBER})\$(?P<salt>{_SALT})\$(?P<digest>[0-9a-f]+)",
        re.ASCII,
    ): _pbkdf2_werkzeug,
    re.compile(
        rf"\$pbkdf2(?:-(?P<hash>sha256|sha512))?\$(?:i=)?(?P<iterations>{_NUMBER})(?:,l=\d+)?"
        rf"\$(?P<salt>{_AB64})\$(?P<digest>{_AB64})",
        re.ASCII,
    ): _pbkdf2_phc,
    re.compile(
        rf"scrypt\$(?P<n>{_NUMBER})\$(?P<salt>{_SALT})\$(?P<r>{_NUMBER})\$(?P<p>{_NUMBER})\$(?P<digest>{_B64})",
        re.ASCII,
    ): _scrypt_django,
    re.compile(
        rf"scrypt:(?P<n>{_NUMBER}):(?P<r>{_NUMBER}):(?P<p>{_NUMBER})\$(?P<salt>{_SALT})\$(?P<digest>[0-9a-f]+)",
        re.ASCII,
    ): _scrypt_werkzeug,
    re.compile(
        rf"\$scrypt\$ln=(?P<ln>[12]?\d),r=(?P<r>{_NUMBER}),p=(?P<p>{_NUMBER})\$(?P<salt>{_AB64})\$(?P<digest>{_AB64})",
        re.ASCII,
    ): _scrypt_phc,
    re.compile(
        rf"(?:argon2)?\$argon2(?P<kind>id|i|d)\$(?:v=(?P<version>16|19)\$)?m=(?P<memory>{_NUMBER}),t=(?P<passes>{_NUMBER})"
        rf",p=(?P<lanes>\d\d?)\$(?P<salt>{_AB64})\$(?P<digest>{_AB64})",
        re.ASCII,
    ): _argon2,
    re.compile(
        rf"\$firebase-scrypt\$ln=(?P<ln>[12]?\d),r=(?P<r>{_NUMBER}),ss=(?P<separator>{_B64}),sk=(?P<signer>{_B64})"
        rf"\$(?P<salt>{_B64})\$(?P<digest>{_B64})",
        re.ASCII,
    ): _firebase,
}
