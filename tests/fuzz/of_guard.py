"""What reaches a guard: requests by every way a framework has, and whatever its issuer, or who poses as it, says."""

from __future__ import annotations

from io import BytesIO

from tests.fuzz.parser import Parser, at_once, fields, latin, scratch, utf8
from tests.jose.forge import ISSUER, NOW, claims, header, private, public, text, token
from watchword import Guard
from watchword.guard.event_stream import read_events
from watchword.guard.exchange import token_in
from watchword.guard.issuer import Issuer
from watchword.guard.keeper import Keeper
from watchword.guard.knowledge import Knowledge
from watchword.guard.request import EnvironRequest, PlainRequest, ScopeRequest
from watchword.guard.signed import key_in
from watchword.guard.snapshot import Kept, SnapshotFile
from watchword.guard.transport import Transport
from watchword.jose.encoding import decode_base64url
from watchword.jose.jwe import EncryptionKey, parse_keys
from watchword.protocol import revocation_list
from watchword.protocol.cookie import check_origin, cookie_values
from watchword.protocol.metadata import REVOCATIONS_JWKS
from watchword.protocol.revocation_list import Entry, RevocationList
from watchword.protocol.signature import Lines, Message, RequestSigner, parse_signature, verify_request

__all__ = ["GUARD"]

EC, MAC, ED, BOX = private("ES256"), private("HS256"), private("EdDSA"), EncryptionKey.generate()
URL = "https://api.example.com/pay?x=1"
BODY = b'{"amount":1}'
TOKEN = token(header(MAC), claims(), key=MAC)
COOKIES = Guard(
    ISSUER,
    keys=public("HS256"),
    clock=lambda: NOW,
    cookie="access",
    cookie_origins=["https://app.example.com"],
)
COOKIE = b"cookie: a=b; __Host-access=" + TOKEN.encode() + b'; c="d;e"'
FEED = RevocationList(
    iss=ISSUER, epoch=1, after=0, sequence=3, iat=NOW, kids=(EC.kid,), base=1, longest_life=900,
    feed_keys=(EC.public_jwk(),), nonce="abc",
    entries=(
        Entry(sequence=1, kind="user", id="usr_a", below=3, excepted="ses_1", at=NOW, exp=NOW + 9),
        Entry(sequence=2, kind="claims", id="usr_b", below=3, claims={"roles": ["user"]}, clients=("c",), at=NOW),
        Entry(sequence=3, kind="key", keys=(EC.public_jwk(), ED.public_jwk())),
    ),
)  # fmt: skip
SIGNED_FEED = revocation_list.sign(FEED, EC)
METADATA = text(
    {"issuer": ISSUER, REVOCATIONS_JWKS: {"keys": [EC.public_jwk()]}, "jwks_uri": f"{ISSUER}/keys"}
)
KEYS = text({"keys": [EC.public_jwk(), ED.public_jwk()]})
BOXES = text(
    {"keys": [BOX.private_jwk(), private("RS256").public_jwk(), {"kty": "oct", "k": "AA", "use": "enc"}]}
)
SIGNATURE = RequestSigner(ED, "key_1", now=lambda: NOW, token_bytes=bytes).sign(
    "POST", URL, [("content-type", "application/json")], BODY
)
SIGNED = "\n".join(f"{name}: {value}" for name, value in SIGNATURE.items()).encode()
EVENT = b"id: 1.2.ab\nevent: revocations\ndata: " + SIGNED_FEED.encode() + b"\n\n"
SNAPSHOT = SnapshotFile(scratch("snapshot", b""), ISSUER)


def _knowledge() -> Knowledge:
    found = Knowledge(ISSUER, roots=None, clock=lambda: NOW, monotonic=lambda: 1.0)
    found.set_feed_keys([EC.public_jwk()])
    return found


def _plain(given: bytes) -> PlainRequest:
    pairs = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields(given))
    return PlainRequest("POST", URL, pairs)


def _scope(given: bytes) -> object:
    """A request of ASGI whose first line is its path as it was sent."""
    path, _, rest = given.partition(b"\n")
    scope = {"type": "http", "method": "POST", "raw_path": path, "path": "/a b", "headers": fields(rest)}
    request = ScopeRequest(scope, BytesIO(BODY), _body)
    at_once(request.receive())
    return request.path, request.handshake, COOKIES.authenticate(None, request)


async def _body(source: BytesIO, limit: int) -> bytes:
    return source.read(limit)


def _environ(given: bytes) -> object:
    """A request of WSGI with these lines for variables."""
    environ = {
        name.decode("latin-1").upper(): value.decode("latin-1") for name, value in fields(given)
    }  # fmt: skip
    request = EnvironRequest({"wsgi.input": BytesIO(BODY), "REQUEST_METHOD": "POST", **environ})
    return request.path, request.handshake, request.body(), COOKIES.authenticate(None, request)


def _signed(given: bytes) -> object:
    """A signed request with these fields."""
    lines = _plain(given).fields
    values = {
        wanted: [v for name, v in lines if name == wanted] for wanted in ("signature-input", "signature")
    }
    claimed = parse_signature(values["signature-input"], values["signature"])
    if claimed is not None:
        verify_request(Message("POST", URL, Lines(lines)), claimed, ED, BODY)
    return claimed


def _message(given: bytes) -> object:
    """A signed message of the feed that says this."""
    knowledge = _knowledge()
    outcome = knowledge.accept(token(header(typ=revocation_list.TYP), given, key=EC))
    return outcome, knowledge.sweep(), knowledge.export()


def _snapshot(given: bytes) -> object:
    scratch("snapshot", given)
    knowledge = _knowledge()
    Keeper(SNAPSHOT, knowledge, note=print, monotonic=lambda: 1.0).restore()
    return knowledge.export()


def _good_snapshot() -> bytes:
    SNAPSHOT.write(Kept(message=FEED, keys=(EC.public_jwk(),), retired_feed_kids=("old",)))
    return SNAPSHOT.path.read_bytes()


class _Told(Transport):
    """The network, as it is where somebody else answers: metadata, keys and the feed, a line each."""

    def __init__(self, given: bytes) -> None:
        super().__init__()
        self.metadata, _, rest = given.partition(b"\n")
        self.keys, _, self.feed = rest.partition(b"\n")

    def get(
        self,
        url: str,
        *,
        limit: int,
        accept: str = "",
        secret: str | None = None,
        timeout: float | None = None,
    ) -> bytes:
        if accept == "application/jwt":
            return self.feed
        return self.metadata if "authorization-server" in url else self.keys


def _issuer(given: bytes) -> object:
    knowledge, told = Knowledge(ISSUER, roots=None, clock=lambda: NOW, monotonic=lambda: 1.0), _Told(given)
    Issuer(ISSUER, knowledge=knowledge, transport=told, prompt=told, max_staleness=60).refresh()
    return knowledge.view


def _token_in(given: bytes) -> object:
    status, _, body = given.partition(b" ")
    return token_in({b"200": 200, b"400": 400, b"401": 401, b"429": 429}.get(status, 500), body)


GUARD: dict[str, Parser] = {
    "jwe.parse_keys": Parser(parse_keys, (BOXES, text({"keys": [BOX.public_jwk()]})), 1),
    "cookie_values": Parser(
        latin(lambda given: cookie_values([given, "a=b"], "access")),
        (COOKIE, b"access=1; access=2", b" access = ; a;=;;"),
        90,
    ),
    "check_origin": Parser(
        utf8(check_origin), (b"https://app.example.com", b"http://[::1]:8000", b"https://a.example:8443"), 5
    ),
    "a request with a cookie": Parser(
        lambda given: COOKIES.authenticate(None, _plain(given)),
        (
            COOKIE + b"\nsec-fetch-site: same-origin",
            COOKIE + b"\norigin: https://app.example.com\nx-csrf: 1",
            COOKIE + b"\nx-csrf: 1",
        ),
        5,
    ),
    "a request of ASGI": Parser(
        _scope, (b"/a%20b\n" + COOKIE + b"\nx-csrf: 1\ncontent-length: 12", b"/%ff\xff\n" + COOKIE), 5
    ),
    "a request of WSGI": Parser(
        _environ,
        (
            b"SCRIPT_NAME: /a\nPATH_INFO: /b c\nREQUEST_URI: /a/b%20c?x\nCONTENT_LENGTH: 12\nHTTP_X_CSRF: 1\nHTTP_"
            + COOKIE,
        ),
        2,
    ),
    "a signed request": Parser(_signed, (b"content-type: application/json\n" + SIGNED,), 2),
    "key_in": Parser(
        lambda given: key_in(token(header(MAC), given, key=MAC)),
        (text(claims(cnf={"jwk": ED.public_jwk()})), text(claims(cnf={"jwk": EC.public_jwk()}))),
        10,
    ),
    "token_in": Parser(
        _token_in,
        (
            b'200 {"access_token":"a.b.c","expires_in":60}',
            b'400 {"error":"invalid_target"}',
            b"401 {}",
            b"429 ",
        ),
        3,
    ),
    "a stream of events": Parser(
        lambda given: [*read_events(BytesIO(given).read1, limit=100_000, patience=60)],
        (EVENT, EVENT * 3 + b": ping\r\n\r\n", b"data: a\ndata: b\nevent: revocations\n\nevent: x\ndata\n\n"),
        50,
    ),
    "a message in the feed": Parser(_message, (decode_base64url(SIGNED_FEED.split(".")[1]),), 10),
    "the snapshot file": Parser(
        _snapshot,
        (_good_snapshot(), _good_snapshot().replace(b'"message":{', b'"message":{"x":' + b"[" * 3000)),
        5,
    ),
    "what an issuer answers": Parser(
        _issuer,
        (b"\n".join((METADATA, KEYS, SIGNED_FEED.encode())), b"\n".join((METADATA, b'{"keys":[]}', b""))),
        2,
    ),
}
