"""What an operator hands over from elsewhere: users, hashes of other programs, settings, key sets, tokens to read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import islice

import click

from tests.fuzz.parser import Parser, scratch, utf8
from tests.jose.forge import NOW, SECRET, claims, header, private, text, token
from watchword.cli.moment import parse_until
from watchword.cli.reading import read_token
from watchword.cli.trust import Trust, load_keys
from watchword.errors import InvalidInput, WatchwordError
from watchword.server.accounts.address import normalise_email
from watchword.server.accounts.foreign_hashes import can_verify, is_foreign, verify_foreign
from watchword.server.accounts.passwords import PasswordService
from watchword.server.accounts.transfer import members_of
from watchword.server.accounts.user_file import FirebaseHash, read_rows
from watchword.server.policies import PasswordPolicy
from watchword.server.settings import Settings

__all__ = ["OPERATOR"]

PASSWORDS = PasswordService(PasswordPolicy(memory=8, passes=1))
EC, MAC = private("ES256"), private("HS256")
TOKEN = token(header(EC), claims(), key=EC)
MANY = token(header(EC), text(dict.fromkeys(map(str, range(1000)), 1))[:-1] + b',"7":1}', key=EC)
"""As many claims as would be slow to read by comparing each with each; one of them comes twice."""
SHARED = token(header(MAC), claims(Sub="x", Exp=1, password="x", admin="false"), key=MAC)
TRUSTS = (None, Trust(jwks=(EC.public_jwk(), private("RS256").public_jwk())), Trust(secret=SECRET))
FIREBASE = FirebaseHash(signer_key="lSrfV15cpx95/sZS", salt_separator="Bw==", rounds=8, mem_cost=14)
HASHES = (
    b"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    b"bcrypt_sha256$$2b$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    b"$bcrypt-sha256$v=2,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2",
    b"$bcrypt-sha256$2a,12$LrmaIX5x4TRtAwEfwJZa1.$2ehnw6LvuIUTM0iz4iz9hTxv21B6KFO",
    b"pbkdf2_sha256$12000$seasalt$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s=",
    b"pbkdf2:sha256:1000$seasalt$" + b"ab" * 32,
    b"$pbkdf2-sha256$6400$0ZrzXitFSGltTQnBWOsdAw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M",
    b"scrypt$16384$seasalt$8$1$" + b"Q" * 86 + b"==",
    b"scrypt:32768:8:1$seasalt$" + b"ab" * 64,
    b"$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
    b"argon2$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
    b"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
    b"$firebase-scrypt$ln=14,r=8,ss=Bw==,sk=jxspr8Ki0RYycVU8$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS",
)
COSTLY = tuple(
    form % (b"9" * digits) for digits in (8, 9) for form in (
        b"pbkdf2_sha256$%b$seasalt$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s=",
        b"$argon2id$v=19$m=%b,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
        b"scrypt$2$seasalt$%b$1$" + b"Q" * 86 + b"==",
    )
)  # fmt: skip
CHEAP = (
    "$2b$04$%s",
    "pbkdf2_sha256$1$%s", "pbkdf2:sha512:1$%s", "$pbkdf2$i=1$%s", "scrypt:2:1:1$%s",
    "$scrypt$ln=1,r=1,p=1$%s",
    "$argon2id$v=19$m=8,t=1,p=1$%s", "$argon2i$m=8,t=1,p=1$%s", "$firebase-scrypt$ln=1,r=1,ss=%s",
)  # fmt: skip
"""Beginnings that cost next to nothing, so that what follows is computed with."""
USER = {
    "email": "ada@example.com", "name": "Ada", "username": "ada", "roles": ["user"], "email_verified": True,
    "password_hash": HASHES[0].decode(), "banned": True, "ban_reason": "x", "banned_until": "2030-01-01T00:00:00Z",
}  # fmt: skip
CSV = (
    b"email,name,username,roles,password_hash,email_verified,banned,ban_reason,banned_until\n"
    b'ada@example.com,"Lovelace, ""Ada""",ada,"user admin",,yes,no,,\nbob@example.com,Bob,,,,,,,\n'
)
KEYCLOAK = {
    "username": "ada", "email": "ada@example.com", "firstName": "Ada", "enabled": True, "credentials": [
        {
            "type": "password",
            "secretData": json.dumps({"value": "A" * 43 + "=", "salt": "c2FsdHlzYWx0"}),
            "credentialData": json.dumps({"hashIterations": 27500, "algorithm": "pbkdf2-sha256"}),
        },
        {
            "type": "password",
            "secretData": json.dumps({"value": "A" * 43 + "=", "salt": "c2FsdHlzYWx0"}),
            "credentialData": json.dumps({"hashIterations": 5, "algorithm": "argon2", "additionalParameters":
                {"type": ["id"], "memory": ["7168"], "parallelism": ["1"]}}),
        },
    ],
}  # fmt: skip
FIREBASE_USER = {
    "localId": "a", "email": "ada@example.com", "displayName": "Ada", "emailVerified": True, "disabled": False,
    "passwordHash": "lSrfV15cpx95_sZS", "salt": "42xEC-ixf3L2lw==",
}  # fmt: skip
SETTINGS = (
    b"database=postgresql://ada:s%40t@db.example.com:5432,[::1]/watchword?sslmode=require", b"database=sqlite:////a/b.db",
    b"redis=valkey://:secret@[::1]:6379/0", b"trusted_proxies=10.0.0.0/8, fd00::/8,127.0.0.1", b"access_token_ttl=10m",
    b"cors_origins=https://app.example.com,http://localhost:3000", b"claims=userId=id,role=role,admin=admin",
    b"issuer=https://auth.example.com:8443/x", b"secret=cGZJ3w9Jq2fK8xYb1mVtR6sLhN4dQeAuZoTpWkCg", b"port=8080",
    b"mail_from=Ada <no-reply@example.com>", b"cookie_name=app", b"cookie_origins=https://app.example.com",
    b"cookie_domain=example.com", b"host=::1", b"smtp_port=587", b"key_rotation=never", b"log_requests=yes",
)  # fmt: skip


_ROWS = 100


def _users(suffix: str, given: bytes, firebase: FirebaseHash | None = None) -> object:
    """The first users of a file as far as they are taken; at least one must be.

    A file is read row by row and may have millions: what is bounded is what a few of them cost.
    """
    found, fault = [], InvalidInput("no user")
    for row in islice(read_rows(scratch(f"users.{suffix}", given), firebase=firebase), _ROWS):
        try:
            members = members_of(row.members)
            found.append((normalise_email(members["email"]), row.line))
        except InvalidInput as refused:
            fault = refused
    if not found:
        raise fault
    return found


def _hash(given: str) -> object:
    """A stored hash as an import looks at it, and as a log-in does after it verified: without computing it."""
    if not can_verify(given):
        raise InvalidInput("is of no known form, torn, or costs too much to verify")
    return is_foreign(given), PASSWORDS.needs_rehash(given)


def _cheap(given: str) -> object:
    number, tail = ord(given[:1] or "\0"), given[1:]
    return verify_foreign(CHEAP[number % len(CHEAP)] % tail, "password")


def _setting(given: str) -> object:
    name, _, value = given.partition("=")
    return Settings.load(flags={name: value}).shown()


def _toml(given: bytes) -> object:
    path = scratch("watchword.toml", given)
    return Settings.load(folder=path.parent)


def _inspect(given: str) -> object:
    """A token read aloud for a person, with a key set, a secret or nothing."""
    return read_token(given, TRUSTS[len(given) % len(TRUSTS)], NOW)


def _trust(given: bytes) -> object:
    return load_keys(str(scratch("keys.json", given))).check(TOKEN, header(EC))


def _until(given: str) -> object:
    try:
        return parse_until(given, datetime.fromtimestamp(NOW, UTC))
    except click.UsageError as refused:  # the command line's word for it
        raise WatchwordError(refused.message) from None


def _line(member: object) -> bytes:
    return json.dumps(member, ensure_ascii=False).encode()


OPERATOR: dict[str, Parser] = {
    "users as CSV": Parser(
        lambda given: _users("csv", given), (CSV, b"\xef\xbb\xbfemail\r\na@example.com\r\n"), 5
    ),
    "users as JSON lines": Parser(
        lambda given: _users("jsonl", given), (_line(USER) + b"\n" + _line({"email": "bob@example.com"}),), 5
    ),
    "users of Firebase": Parser(
        lambda given: _users("json", given, FIREBASE),
        (_line({"users": [FIREBASE_USER, {"localId": "b"}]}),),
        2,
    ),
    "users of Keycloak": Parser(
        lambda given: _users("json", given),
        (_line({"realm": "x", "users": [KEYCLOAK]}), _line([KEYCLOAK])),
        2,
    ),
    "a stored hash": Parser(utf8(_hash), HASHES + COSTLY, 5),
    "a foreign hash that is cheap": Parser(
        utf8(_cheap),
        (
            b"\x00CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            b"\x01seasalt$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s=",
            b"\x02seasalt$" + b"ab" * 64,
            b"\x03c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbft",
            b"\x04seasalt$" + b"ab" * 64,
            b"\x05c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
            b"\x06c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
            b"\x07c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
            b"\x08Bw==,sk=jxspr8Ki0RYycVU8$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS",
        ),
        90,
    ),
    "a setting": Parser(utf8(_setting), SETTINGS, 5),
    "watchword.toml": Parser(
        _toml,
        (
            b'port = 8080\ntrusted_proxies = ["10.0.0.0/8"]\n[claims]\nuserId = "id"',
            b'host = """::1"""\nport=0x1f90',
        ),
        2,
    ),
    "a token to inspect": Parser(
        utf8(_inspect),
        (
            TOKEN.encode(),
            b"Bearer " + SHARED.encode(),
            MANY.encode(),
            text(header()),
            b"e30=.e30.",
            b"a.b.c.d.e",
        ),
        90,
    ),
    "a key set to inspect with": Parser(
        _trust, (text({"keys": [EC.public_jwk(), MAC.private_jwk()]}), text(EC.public_jwk())), 5
    ),
    "parse_until": Parser(
        utf8(_until), (b"7d", b"2040-12-31T00:00:00Z", b"9999-12-31T23:59:59-23:59", b"20401231T000000+01"), 5
    ),
}
