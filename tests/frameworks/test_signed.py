"""Signed requests through every face: one table of what passes and of all that does not (RFC 9421, X-14, X-15)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from tests.frameworks.contract import (
    MISSING,
    NO_ROLE,
    REVOKED,
    Let,
    Refuse,
    insufficient,
    invalid_request,
    invalid_token,
    problem,
)
from tests.frameworks.faces import FACES, load
from tests.frameworks.wire import Fields, Request
from tests.protocol.signed import Draft
from watchword.guard.request import MAX_BODY
from watchword.jose.jwk import Key
from watchword.protocol.signature import RequestSigner
from watchword.testing import PretendIssuer

GET = Draft()
POST = Draft("POST", body=b'{"amount": 1}')
REFUSED = invalid_token("the signature does not verify")
UNKNOWN = invalid_token("the credentials are unknown, expired or revoked")
TOO_LARGE = Refuse(
    413,
    None,
    problem(
        413,
        "content_too_large",
        "The body is too large",
        f"the body of a signed request has at most {MAX_BODY} bytes",
    ),
)

Change = Callable[[Request], Request]
Before = Callable[[PretendIssuer], object]


def asks(method: str, path: str, query: str = "") -> Change:
    """On the way, the request becomes another."""
    return lambda request: replace(request, method=method, path=path, query=query)


def body(content: bytes) -> Change:
    return lambda request: replace(request, body=content)


def says(name: str, value: str) -> Change:
    """A field that was there, or was not, is this one now."""

    def change(request: Request) -> Request:
        kept = tuple((other, old) for other, old in request.fields if other != name)
        return replace(request, fields=(*kept, (name, value)))

    return change


def lacks(name: str) -> Change:
    return lambda request: replace(request, fields=tuple(f for f in request.fields if f[0] != name))


def twice(*names: str) -> Change:
    """Fields that come a second time."""

    def change(request: Request) -> Request:
        more = tuple(f for f in request.fields if f[0] in names)
        return replace(request, fields=(*request.fields, *more))

    return change


@dataclass(frozen=True)
class Case:
    """A draft that is signed, what happens to it, and what comes of it."""

    name: str
    expect: Let | Refuse
    draft: Draft = GET
    on_the_way: Change = lambda request: request
    before: Before = lambda issuer: None
    key: Key | None = None
    """Who signs, if not the holder of the key."""
    keyid: str = "ses_signing"


CASES = [
    Case("GET", Let()),
    Case("with a query", Let(), Draft(target="/me?a=1&b=%20&c=x+y")),
    Case("POST with a body", Let(), POST),
    Case("POST without one", Let(), Draft("POST")),
    Case("parts in place of the target", Let(), GET.but(covered=("@method", "@authority", "@path", "@query"))),
    Case("more than is asked", Let(), POST.but(
        covered=("@scheme", "content-digest", "@path", "@target-uri", "@method", "content-type"))),
    Case("alg is named", Let(), GET.but(parameters={"alg": "ed25519"})),
    Case("expires later", Let(), GET.but(parameters={"expires": 1_900_000_030})),
    Case("another Host", Let(), on_the_way=says("Host", "evil.example.com")),
    Case("somebody else's signature beside it", Let(),
         on_the_way=lambda r: replace(r, fields=_beside(r.fields))),
    # the request is another than was signed
    Case("another method", REFUSED, GET, asks("POST", "/me")),
    Case("another path", REFUSED, GET, asks("GET", "/later")),
    Case("another query", REFUSED, Draft(target="/me?to=ada"), asks("GET", "/me", "to=eve")),
    Case("a query more", REFUSED, GET, asks("GET", "/me", "admin=1")),
    Case("a query less", REFUSED, Draft(target="/me?dry=1"), asks("GET", "/me")),
    Case("another body", REFUSED, POST, body(b'{"amount": 9}')),
    Case("a body of none", invalid_token("the signature must cover content-digest"), Draft("POST"), body(b"{}")),
    Case("another digest", REFUSED, POST, says("Content-Digest", POST.but(body=b"other").digest)),
    Case("no digest", REFUSED, POST, lacks("Content-Digest")),
    Case("another type", REFUSED, POST, says("Content-Type", "text/plain")),
    Case("for another API", REFUSED, GET.but(origin="https://other.example.com")),
    Case("for the Host it names", REFUSED, GET.but(origin="https://evil.example.com"),
         says("Host", "evil.example.com")),
    Case("by http", REFUSED, GET.but(origin="http://api.example.com")),
    # what it must cover
    Case("the method is not covered", invalid_token("the signature must cover @method and @target-uri"),
         GET.but(covered=("@target-uri",))),
    Case("the target is not covered", invalid_token("the signature must cover @method and @target-uri"),
         GET.but(covered=("@method", "@path"))),
    Case("the query is not covered", invalid_token("the signature must cover @method and @target-uri"),
         GET.but(covered=("@method", "@authority", "@path"))),
    Case("the digest is not covered", invalid_token("the signature must cover content-digest"),
         POST.but(covered=("@method", "@target-uri", "content-type"))),
    Case("the type is not covered", invalid_token("the signature must cover content-type"),
         POST.but(covered=("@method", "@target-uri", "content-digest"))),
    Case("a component struck out", REFUSED, GET.but(covered=("@method", "@target-uri", "@scheme")),
         lambda r: says("Signature-Input", _input(r).replace(' "@scheme"', ""))(r)),
    # who signed, and how
    Case("another key", REFUSED, key=Key.generate("Ed25519")),
    Case("another algorithm", REFUSED, key=Key.generate("ES256")),
    Case("alg says another", REFUSED, GET.but(parameters={"alg": "hmac-sha256"})),
    Case("an unknown key", UNKNOWN, keyid="ses_nobody"),
    # of now, and once
    Case("signed long ago", invalid_token("the signature has expired"), before=lambda i: i.clock.advance(91)),
    Case("signed a minute ago", Let(), before=lambda i: i.clock.advance(89)),
    Case("signed in the future", invalid_token("the signature was created in the future"),
         GET.but(parameters={"created": 1_900_000_031})),
    Case("has expired", invalid_token("the signature has expired"),
         GET.but(parameters={"created": 1_899_999_960, "expires": 1_899_999_969})),
    Case("without created", invalid_token("the signature has no created"), GET.but(parameters={"created": None})),
    Case("without a nonce", invalid_token("the signature has no nonce"), GET.but(parameters={"nonce": None})),
    Case("a nonce that is none", invalid_token("the nonce must have 8 to 128 characters"),
         GET.but(parameters={"nonce": "1"})),
    Case("without keyid", invalid_token("the signature has no keyid"), GET.but(parameters={"keyid": None})),
    # how it is written
    Case("not for a guard", MISSING, GET.but(parameters={"tag": "other"})),
    Case("no tag", MISSING, GET.but(parameters={"tag": None})),
    Case("both fields twice", invalid_request("credentials came twice"),
         on_the_way=twice("Signature-Input", "Signature")),
    Case("two of them", invalid_request("credentials came twice"),
         on_the_way=lambda r: replace(r, fields=tuple(
             (n, f"{v}, b{v[3:]}" if n.startswith("Signature") else v) for n, v in r.fields))),
    Case("and a header", invalid_request("credentials came twice: a signature and another"),
         on_the_way=says("Authorization", "Bearer x")),
    Case("not for a guard, and a header", invalid_token("the token is not a compact JWS"),
         GET.but(parameters={"tag": "other"}), on_the_way=says("Authorization", "Bearer x")),
    Case("no Signature", invalid_token("the Signature fields are malformed"), on_the_way=lacks("Signature")),
    Case("no Signature-Input", MISSING, on_the_way=lacks("Signature-Input")),
    Case("nonsense", MISSING, on_the_way=says("Signature-Input", "sig=(")),
    Case("nonsense for a guard", invalid_token("the Signature fields are malformed"),
         on_the_way=lambda r: says("Signature-Input", _input(r) + ", sig=(")(r)),
    Case("as long as never", invalid_token("the Signature fields are too long"),
         on_the_way=lambda r: says("Signature-Input", _input(r) + ";a" * 1000)(r)),
    # what kills every credential
    Case("banned", UNKNOWN, before=lambda i: i.revoke(subject="usr_ada")),
    Case("its key is ended", UNKNOWN, before=lambda i: i.revoke(session_id="ses_signing")),
    # what the route asks
    Case("a role he has not", NO_ROLE, Draft(target="/admin")),
    Case("a scope he has not", insufficient("the token lacks the scope this takes", "pay"), Draft(target="/pay")),
    Case("a public route, a bad signature", REFUSED, Draft(target="/open"), asks("GET", "/open", "x=1")),
    Case("a public route", Let(), Draft(target="/open")),
    Case("fresh", Let(), Draft(target="/fresh")),
    # no larger than is read before the view
    Case("a large body", TOO_LARGE, Draft("POST", body=b"1" * (MAX_BODY + 1))),
]  # fmt: skip


def _input(request: Request) -> str:
    return next(value for name, value in request.fields if name == "Signature-Input")


def _beside(fields: Fields) -> Fields:
    theirs = {"Signature-Input": 'proxy=("@method");keyid="p"', "Signature": "proxy=:AAAA:"}
    return tuple((name, f"{theirs[name]}, {value}" if name in theirs else value) for name, value in fields)


def signed(face: str, case: Case, issuer: PretendIssuer, signer: RequestSigner) -> Request:
    """The request of *case* as it arrives at *face*."""
    prefix = "/rest" if face.startswith("rest") else ""
    draft = case.draft.but(target=prefix + case.draft.target)
    fields = draft.sign(case.key or signer.key, case.keyid, issuer.clock.time())
    path, _, query = case.draft.target.partition("?")
    request = Request(draft.method, path, tuple(fields.items()), query, draft.body)
    return case.on_the_way(request)


CELLS = [
    (face, case)
    for face in FACES
    for case in CASES
    if not (case.name == "another path" and face in ("wsgi", "rest_framework", "rest_framework-asgi"))
]


class TestSigned:
    @pytest.mark.parametrize(("face", "case"), CELLS, ids=[f"{face}-{case.name}" for face, case in CELLS])
    def test_req_x14_the_same_answer_everywhere(
        self, face: str, case: Case, watchword_issuer: PretendIssuer
    ) -> None:
        """Every face verifies the whole request, body included, and refuses every other one alike."""
        guard, send = load(face)
        watchword_issuer.take_over(guard)
        signer = watchword_issuer.signer("usr_ada")
        request = signed(face, case, watchword_issuer, signer)
        case.before(watchword_issuer)
        case.expect.check(send(request), request.method)

    @pytest.mark.parametrize("face", FACES)
    def test_a_request_is_answered_once(self, face: str, watchword_issuer: PretendIssuer) -> None:
        """The very same bytes a second time are a replay; another nonce is another request."""
        guard, send = load(face)
        watchword_issuer.take_over(guard)
        signer = watchword_issuer.signer("usr_ada")
        first = signed(face, CASES[0], watchword_issuer, signer)
        Let().check(send(first), "GET")
        invalid_token("this request came before").check(send(first), "GET")
        watchword_issuer.clock.advance(1)
        Let().check(send(signed(face, CASES[0], watchword_issuer, signer)), "GET")

    @pytest.mark.parametrize("face", FACES)
    def test_a_ban_reaches_a_key_in_use(self, face: str, watchword_issuer: PretendIssuer) -> None:
        """What was let in a moment ago is refused by the feed alone: the guard asks nobody."""
        guard, send = load(face)
        watchword_issuer.take_over(guard)
        signer = watchword_issuer.signer("usr_ada")
        Let().check(send(signed(face, CASES[0], watchword_issuer, signer)), "GET")
        watchword_issuer.clock.advance(1)
        watchword_issuer.revoke(subject="usr_ada")
        REVOKED.check(send(signed(face, CASES[0], watchword_issuer, signer)), "GET")
