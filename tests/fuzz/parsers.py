"""Every reader of a stranger's text, with good inputs to spoil."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from tests.fuzz.of_guard import GUARD
from tests.fuzz.of_operator import OPERATOR
from tests.fuzz.of_server import SERVER
from tests.fuzz.parser import Parser, latin
from tests.jose.forge import ISSUER, NOW, claims, header, private, public, text, token
from watchword import Guard
from watchword.jose import jws
from watchword.jose.encoding import decode_base64url, parse_json
from watchword.jose.jwe import EncryptionKey, decrypt, encrypt
from watchword.jose.jwk import Key, KeySet
from watchword.protocol import access_token, revocation_list
from watchword.protocol.api_key import ApiKey, parse_api_key
from watchword.protocol.basic import parse_basic
from watchword.protocol.challenge import holds_token, parse_authorization
from watchword.protocol.metadata import check_issuer_url
from watchword.protocol.revocation_list import Entry, RevocationList
from watchword.protocol.scope import parse_scope
from watchword.protocol.signature import RequestSigner, parse_signature
from watchword.server.tokens.refresh_token import RefreshTokenCodec, session_id

MAC, EC, BOX = private("HS256"), private("ES256"), EncryptionKey.generate()
HEADER = {"alg": "HS256", "typ": "at+jwt", "kid": MAC.kid}
CLAIMS = claims(
    aud=["api", "x"], nbf=NOW, sid="ses_1", scope="a b", roles=["user"], uv=1, cv=2, act={"sub": "usr_b"}
)
TOKEN = token(HEADER, CLAIMS, key=MAC)
OTHER = token(header(), claims(), key=EC)
FEED = RevocationList(
    iss=ISSUER, epoch=1, after=0, sequence=1, iat=NOW, kids=(EC.kid,),
    entries=(Entry(sequence=1, kind="user", id="usr_a", below=3, claims={"roles": []}, at=NOW, exp=NOW + 9),),
)  # fmt: skip
CODEC = RefreshTokenCodec({1: bytes(32), 2: bytes(range(32))})
REFRESH = CODEC.mint(1, session_id(bytes(16)), 7, bytes(range(16)))
NAMED = CODEC.mint(1, session_id(bytes(16)), 7, bytes(range(16)), "0123456789abcdef")
API_KEY = ApiKey(bytes(range(16)), bytes(range(16))).text()
SIGNED = RequestSigner(private("EdDSA"), "ses_1", now=lambda: NOW, token_bytes=bytes).sign(
    "GET", "https://api.example.com/me"
)
OFFLINE = Guard(ISSUER, keys=public("HS256"), clock=lambda: NOW)
LONG = b'a=(%s);created=1;keyid="k";nonce="12345678";tag="watchword"'
"""A signature with as much in it as is read, to be filled."""
JWKS = json.dumps({"keys": [private(name).public_jwk() for name in ("ES256", "EdDSA", "RS256")]}).encode()


def _verify(given: bytes) -> object:
    return access_token.verify(
        given, public("HS256"), issuer=ISSUER, audience="api", algorithms=["HS256"], now=NOW, leeway=30
    )


def _signed(header_or_not: bool) -> Callable[[bytes], object]:
    """Spoil what stands under a good signature: the reader behind it."""

    def call(given: bytes) -> object:
        made = token(given, text(CLAIMS), key=MAC) if header_or_not else token(HEADER, given, key=MAC)
        return OFFLINE.verify(made)

    return call


def _feed(given: bytes) -> object:
    return revocation_list.parse(given, public("ES256"), issuer=ISSUER)


def _feed_payload(given: bytes) -> object:
    made = token(header(typ=revocation_list.TYP), given, key=EC)
    return revocation_list.parse(made, public("ES256"), issuer=ISSUER)


def _jwk(given: bytes) -> object:
    """A JWK from JSON as the standard library reads it, which lets more through than ours."""
    try:
        members: Any = json.loads(given)
    except (ValueError, RecursionError):
        members = given
    return Key.parse(members)


def _box(given: bytes) -> object:
    try:
        members: Any = json.loads(given)
    except (ValueError, RecursionError):
        members = given
    return EncryptionKey.parse(members)


PARSERS: dict[str, Parser] = {
    "decode_base64url": Parser(decode_base64url, tuple(part.encode() for part in TOKEN.split(".")), 10),
    "parse_json": Parser(
        parse_json, (text(HEADER), text(CLAIMS), JWKS, b'[1.5e3,-0,"\\u00e9",null,{"a":[[]]}]'), 10
    ),
    "jws.parse": Parser(jws.parse, (TOKEN.encode(), OTHER.encode()), 5),
    "jws.parse of a text": Parser(latin(jws.parse), (TOKEN.encode(), OTHER.encode()), 5),
    "access_token.verify": Parser(_verify, (TOKEN.encode(), OTHER.encode()), 3),
    "a signed header": Parser(_signed(True), (text(HEADER),), 5),
    "signed claims": Parser(_signed(False), (text(CLAIMS), text(claims())), 10),
    "Guard.authenticate": Parser(
        OFFLINE.authenticate,
        (b"Bearer " + TOKEN.encode(), b"Basic " + b64encode(b"usr:" + TOKEN.encode())),
        3,
    ),
    "jwe.decrypt": Parser(
        latin(lambda given: decrypt(given, {BOX.kid: BOX})), (encrypt(TOKEN, BOX, typ="at+jwt").encode(),), 1
    ),
    "EncryptionKey.parse": Parser(_box, (text(BOX.private_jwk()), text(BOX.public_jwk())), 3),
    "parse_authorization": Parser(
        lambda given: parse_authorization([given]),
        (b"Bearer " + TOKEN.encode(), b"Basic YTpi", b"DPoP x.y.z"),
        10,
    ),
    "parse_basic": Parser(
        latin(parse_basic), (b64encode("ada:grün".encode()), b64encode(b"a:" + b"x" * 300)), 3
    ),
    "holds_token": Parser(holds_token, (b"a=1&b=%20", b"access_token=x", b"%61ccess_token=x;c"), 50),
    "revocation_list.parse": Parser(_feed, (revocation_list.sign(FEED, EC).encode(),), 1),
    "a signed message": Parser(
        _feed_payload, (decode_base64url(revocation_list.sign(FEED, EC).split(".")[1]),), 10
    ),
    "KeySet.parse": Parser(KeySet.parse, (JWKS,), 2),
    "Key.parse": Parser(
        _jwk,
        (text(EC.public_jwk()), text(private("EdDSA").public_jwk()), text(MAC.private_jwk())),
        5,
    ),
    "refresh token": Parser(latin(CODEC.parse), (REFRESH.encode(), NAMED.encode()), 3),
    "parse_api_key": Parser(
        latin(parse_api_key), (API_KEY.encode(), ApiKey(bytes(16), bytes(16)).text().encode()), 3
    ),
    "parse_signature": Parser(
        lambda given: parse_signature([given.decode("latin-1")], [SIGNED["Signature"]]),
        (
            SIGNED["Signature-Input"].encode(),
            b'a=("@method";req "x";key="y");created=1;tag="watchword", b=?1',
        ),
        5,
    ),
    "both fields of a signature": Parser(
        lambda given: parse_signature(*([part.decode("latin-1")] for part in given.partition(b"\n")[::2])),
        (
            "\n".join(SIGNED[name] for name in ("Signature-Input", "Signature")).encode(),
            LONG % b"" + b";a" * 980 + b"\na=(" + b" a" * 1000 + b")",
            LONG % (b" 1" * 980) + b"\na=:AA==:",
            LONG % b'"@method"' + b"\na=:AA==:;a=" + b";a" * 1000,
        ),
        3,
    ),
    "parse_scope": Parser(latin(parse_scope), (b"a b c", b"salaries:read payments:write"), 10),
    "check_issuer_url": Parser(
        latin(check_issuer_url),
        (b"https://auth.example.com", b"http://[::1]:8000", b"https://a.example:8443/x"),
        5,
    ),
    **GUARD,
    **SERVER,
    **OPERATOR,
}
