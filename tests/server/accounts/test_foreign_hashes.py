"""Hashes made by other programs, each written here by the public recipe of its program."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import bcrypt
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from watchword.server.accounts.foreign_hashes import can_verify, is_foreign, verify_foreign

PASSWORD = "correct hörse battery"
RAW = PASSWORD.encode()
SALT = b"0123456789abcdef"


def ab64(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=").replace("+", ".")


def pbkdf2(name: str, iterations: int = 1000) -> bytes:
    return hashlib.pbkdf2_hmac(name, RAW, SALT, iterations)


def scrypt(size: int = 32) -> bytes:
    return hashlib.scrypt(RAW, salt=SALT, n=1024, r=8, p=1, dklen=size)


def firebase() -> str:
    signer, separator = bytes(range(32)), b"\x00\x01"
    drawn = hashlib.scrypt(RAW, salt=SALT + separator, n=1 << 10, r=8, p=1, dklen=64)
    encryptor = Cipher(algorithms.AES(drawn[:32]), modes.CTR(bytes(16))).encryptor()
    digest = encryptor.update(signer) + encryptor.finalize()
    b64 = lambda data: b64encode(data).decode()  # noqa: E731
    return f"$firebase-scrypt$ln=10,r=8,ss={b64(separator)},sk={b64(signer)}${b64(SALT)}${b64(digest)}"


def passlib_bcrypt_sha256() -> str:
    import hmac

    made = bcrypt.gensalt(4).decode()
    salt = made.rsplit("$", 1)[1]
    inner = b64encode(hmac.digest(salt.encode(), RAW, "sha256"))
    return f"$bcrypt-sha256$v=2,t=2b,r=4${salt}${bcrypt.hashpw(inner, made.encode()).decode()[-31:]}"


FORMS = {
    "bcrypt": bcrypt.hashpw(RAW, bcrypt.gensalt(4)).decode(),
    "bcrypt 2y": bcrypt.hashpw(RAW, bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$"),
    "django bcrypt": "bcrypt$" + bcrypt.hashpw(RAW, bcrypt.gensalt(4)).decode(),
    "django bcrypt_sha256": "bcrypt_sha256$"
    + bcrypt.hashpw(hashlib.sha256(RAW).hexdigest().encode(), bcrypt.gensalt(4)).decode(),
    "passlib bcrypt-sha256": passlib_bcrypt_sha256(),
    "django pbkdf2": f"pbkdf2_sha256$1000${SALT.decode()}${b64encode(pbkdf2('sha256')).decode()}",
    "django pbkdf2 sha1": f"pbkdf2_sha1$1000${SALT.decode()}${b64encode(pbkdf2('sha1')).decode()}",
    "werkzeug pbkdf2": f"pbkdf2:sha256:1000${SALT.decode()}${pbkdf2('sha256').hex()}",
    "passlib pbkdf2": f"$pbkdf2-sha512$1000${ab64(SALT)}${ab64(pbkdf2('sha512'))}",
    "phc pbkdf2": f"$pbkdf2-sha256$i=1000,l=32${ab64(SALT)}${ab64(pbkdf2('sha256'))}",
    "django scrypt": f"scrypt$1024${SALT.decode()}$8$1${b64encode(scrypt(64)).decode()}",
    "werkzeug scrypt": f"scrypt:1024:8:1${SALT.decode()}${scrypt(64).hex()}",
    "phc scrypt": f"$scrypt$ln=10,r=8,p=1${ab64(SALT)}${ab64(scrypt())}",
    "firebase": firebase(),
}


class TestVerify:
    @pytest.mark.parametrize("digest", FORMS.values(), ids=FORMS.keys())
    def test_the_password_that_made_it(self, digest):
        """A hash of each form verifies with its password and with no other."""
        assert is_foreign(digest)
        assert verify_foreign(digest, PASSWORD)
        assert not verify_foreign(digest, PASSWORD + "x")
        assert not verify_foreign(digest, "")

    @pytest.mark.parametrize("digest", FORMS.values(), ids=FORMS.keys())
    def test_a_torn_string_is_no_match(self, digest):
        """A hash cut short or changed at its end answers False, never an exception."""
        for text in (digest[:-1], digest[: len(digest) // 2], digest + "$", digest.replace("$", "")):
            assert not verify_foreign(text, PASSWORD)

    def test_attack_a50_bcrypt_does_not_truncate(self):
        """Two passwords that agree in 72 bytes are two passwords."""
        long = "x" * 72
        digest = bcrypt.hashpw(long.encode(), bcrypt.gensalt(4)).decode()
        assert verify_foreign(digest, long)
        assert not verify_foreign(digest, long + "y")

    @pytest.mark.parametrize(
        "digest",
        [
            f"pbkdf2_sha256$900000000${SALT.decode()}${b64encode(pbkdf2('sha256')).decode()}",
            f"$scrypt$ln=29,r=8,p=1${ab64(SALT)}${ab64(scrypt())}",
            "$2b$31$" + "a" * 53,
        ],
    )
    def test_a_cost_beyond_the_bound_is_refused_unread(self, digest):
        """A stored string cannot make the server work for minutes."""
        assert not verify_foreign(digest, PASSWORD)


PUBLISHED = {
    "django pbkdf2": ("lètmein", "pbkdf2_sha256$12000$seasalt$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s="),
    "django scrypt": (
        "lètmein",
        "scrypt$16384$seasalt$8$1$Qj3+9PPyRjSJIebHnG81TMjsqtaIGxNQG/aEB/NYafTJ7tibgfYz71m0ldQESkXFRkdVCBhhY8mx7rQwite/Pw==",
    ),
    "passlib pbkdf2": (
        "password",
        "$pbkdf2-sha256$6400$0ZrzXitFSGltTQnBWOsdAw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M",
    ),
    "passlib bcrypt-sha256 2": (
        "password",
        "$bcrypt-sha256$v=2,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2",
    ),
    "passlib bcrypt-sha256 1": (
        "password",
        "$bcrypt-sha256$2a,12$LrmaIX5x4TRtAwEfwJZa1.$2ehnw6LvuIUTM0iz4iz9hTxv21B6KFO",
    ),
    "passlib scrypt": (
        "password",
        "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
    ),
    "bcrypt": ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    "argon2i": (
        "password",
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
    ),
    "django argon2": (
        "password",
        "argon2$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
    ),
    "firebase": (
        "user1password",
        "$firebase-scrypt$ln=14,r=8,ss=Bw=="
        ",sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="
        "$42xEC+ixf3L2lw=="
        "$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==",
    ),
}
"""Passwords and hashes that the programs' own documents and tests print."""


class TestPublished:
    @pytest.mark.parametrize("name", PUBLISHED)
    def test_what_the_program_s_own_documents_print(self, name):
        """The recipe is the program's, not our reading of it: its printed example verifies."""
        password, digest = PUBLISHED[name]
        assert can_verify(digest)
        assert verify_foreign(digest, password)
        assert not verify_foreign(digest, password + "x")


class TestCanVerify:
    @pytest.mark.parametrize("digest", FORMS.values(), ids=FORMS.keys())
    def test_a_whole_hash_and_no_torn_one(self, digest):
        """An import takes what somebody can log in with, and says so of the rest before it is too late."""
        assert can_verify(digest)
        assert not can_verify(digest[:-1])
        assert not can_verify(digest + "\n")

    @pytest.mark.parametrize(
        "digest",
        [
            "",
            "password",
            "5f4dcc3b5aa765d61d8327deb882cf99",
            "$2b$03$" + "a" * 53,
            "$2b$17$" + "a" * 53,
            "$argon2id$v=19$m=1048576,t=1,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
            "$argon2id$v=19$m=65536,t=500,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
            f"$scrypt$ln=0,r=8,p=1${ab64(SALT)}${ab64(scrypt())}",
            f"$scrypt$ln=14,r=8,p=99${ab64(SALT)}${ab64(scrypt())}",
            f"scrypt:1000:8:1${SALT.decode()}${scrypt(64).hex()}",
            f"pbkdf2_sha256$0${SALT.decode()}${b64encode(pbkdf2('sha256')).decode()}",
            f"pbkdf2_sha256$5000001${SALT.decode()}${b64encode(pbkdf2('sha256')).decode()}",
            f"pbkdf2_md5$1000${SALT.decode()}${b64encode(pbkdf2('md5')).decode()}",
        ],
    )
    def test_what_nobody_could_log_in_with(self, digest):
        """Plain text, MD5, and costs beyond the bounds, from below and from above."""
        assert not can_verify(digest)
        assert not verify_foreign(digest, PASSWORD)
