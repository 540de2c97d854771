"""The table of cases that every framework's face passes, word for word.

A face's application has the routes below, all of them answering ``GET``, ``HEAD`` and ``POST``. Each answers
``{"subject": …}``; ``/stream`` sends the subject three times, a line each.

=============  ==========================================
``/me``        ``protect(guard)``
``/later``     ``protect(guard)``, an asynchronous view
``/pay``       ``scope="pay"``
``/admin``     ``role="admin"``
``/either``    ``role=("auditor", "admin")``
``/fresh``     ``fresh=30``
``/open``      ``optional=True``
``/simple``    ``role="admin", body="simple"``
``/stream``    ``protect(guard)``, a body in pieces
``/public``    not protected; answers ``{"subject": null}``
=============  ==========================================
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.frameworks.wire import Answer, Fields, Request
from watchword.testing import PretendIssuer

Credentials = Callable[[PretendIssuer], Fields]
Then = Callable[[PretendIssuer, Fields], None]


@dataclass(frozen=True)
class Let:
    """The view answers."""

    subject: str | None = "usr_ada"
    lines: int = 0

    def check(self, answer: Answer, method: str) -> None:
        assert answer.status == 200, answer
        if method == "HEAD":
            assert answer.body == b""
        elif self.lines:
            assert answer.body.decode().split() == [self.subject] * self.lines
        else:
            assert json.loads(answer.body) == {"subject": self.subject}


@dataclass(frozen=True)
class Refuse:
    """The request is refused: status, challenge, document and header fields are exactly these."""

    status: int
    challenge: str | None
    document: dict[str, Any]
    media_type: str = "application/problem+json"
    retry_after: str | None = None

    def check(self, answer: Answer, method: str) -> None:
        assert answer.status == self.status, answer
        assert answer.field("www-authenticate") == self.challenge
        assert answer.field("content-type") == self.media_type
        assert answer.field("cache-control") == "no-store"
        assert answer.field("retry-after") == self.retry_after
        assert answer.field("set-cookie") is None
        if method == "HEAD":
            assert answer.body == b""
        else:
            assert json.loads(answer.body) == self.document
            assert answer.field("content-length") == str(len(answer.body))


def problem(status: int, error: str, title: str, detail: str) -> dict[str, Any]:
    kind = f"urn:watchword:error:{error}"
    return {"type": kind, "title": title, "status": status, "detail": detail, "error": error}


def invalid_token(detail: str) -> Refuse:
    return Refuse(
        401,
        f'Bearer error="invalid_token", error_description="{detail}"',
        problem(401, "invalid_token", "Invalid or expired token", detail),
    )


def invalid_request(detail: str) -> Refuse:
    return Refuse(
        400,
        f'Bearer error="invalid_request", error_description="{detail}"',
        problem(400, "invalid_request", "The request is malformed", detail),
    )


def insufficient(detail: str, scope: str = "") -> Refuse:
    return Refuse(
        403,
        f'Bearer error="insufficient_scope", error_description="{detail}"'
        + (f', scope="{scope}"' if scope else ""),
        problem(403, "insufficient_scope", "The token does not allow this", detail),
    )


MISSING = Refuse(
    401,
    "Bearer",
    problem(401, "unauthorized", "Credentials are required", "Credentials are required"),
)
MALFORMED = invalid_token("the Authorization field is malformed")
REVOKED = invalid_token("the token was revoked")
EXPIRED = invalid_token("the token has expired")
WRONG_NAME = invalid_token("the token does not belong to this user name")
TWICE = invalid_request("credentials came twice")
IN_URL = invalid_request("a token does not belong in the URL")
TWICE_COOKIE = invalid_request("the cookie came twice")
TWICE_KINDS = invalid_request("credentials came twice: a cookie and an Authorization field")
NO_ROLE = insufficient("the caller lacks the role this takes")
NO_SCOPE = insufficient("the token lacks the scope this takes", "pay")


def cross_site(detail: str) -> Refuse:
    return Refuse(
        403,
        None,
        problem(
            403, "cross_site", "Another site's page may not do this", f"{detail}: cookies do not count for it"
        ),
    )


OTHER_ORIGIN = cross_site("a page of another origin sent this")
OTHER_SITE = cross_site("a page of another site sent this")
NO_WORD = Refuse(
    403,
    None,
    problem(
        403,
        "cross_site",
        "Another site's page may not do this",
        "nothing says which page sent this: send the field X-CSRF: 1 along with cookies",
    ),
)
SAME_ORIGIN = ("Sec-Fetch-Site", "same-origin")
APP = ("Origin", "https://app.example.com")
EVIL = ("Origin", "https://evil.example")


def too_old(detail: str) -> Refuse:
    return Refuse(
        503,
        None,
        problem(503, "temporarily_unavailable", "Not available right now", detail),
        retry_after="1",
    )


STALE = too_old("what is known of revocations is too old")
UNCONFIRMED = too_old("this needs fresh news of revocations, and the issuer did not answer")


def simple(status: int, challenge: str, error: str, message: str) -> Refuse:
    return Refuse(status, challenge, {"error": error, "message": message}, "application/json")


def nobody(_: PretendIssuer) -> Fields:
    return ()


def bearer(prefix: str = "Bearer ", suffix: str = "", **options: Any) -> Credentials:
    """Ada's access token, dressed as the case wants it."""

    def make(issuer: PretendIssuer) -> Fields:
        token = issuer.token("usr_ada", **{"session_id": "ses_ada", **options})
        return (("Authorization", f"{prefix}{token}{suffix}"),)

    return make


def said(*values: str) -> Credentials:
    """These very ``Authorization`` fields."""
    return lambda _: tuple(("Authorization", value) for value in values)


def basic(**options: Any) -> Credentials:
    return lambda issuer: tuple(issuer.basic("usr_ada", **options).items())


def both(*makers: Credentials) -> Credentials:
    return lambda issuer: tuple(field for make in makers for field in make(issuer))


def cookie(*more: tuple[str, str], name: str = "__Host-watchword", **options: Any) -> Credentials:
    """Ada's access token in a cookie, among others, and the fields that a browser sends along."""

    def make(issuer: PretendIssuer) -> Fields:
        token = token_in(bearer(**options)(issuer))
        return (("Cookie", f"theme=dark; {name}={token}; lang=en"), *more)

    return make


def two_cookies(issuer: PretendIssuer) -> Fields:
    ((_, first), (_, second)) = (*cookie()(issuer), *cookie()(issuer))
    return (("Cookie", f"{first}; {second}"),)


def forged(_: PretendIssuer) -> Fields:
    return bearer()(PretendIssuer())


def token_in(fields: Fields) -> str:
    return fields[0][1].split()[1]


def deaf(issuer: PretendIssuer, _: Fields) -> None:
    """The guard hears nothing for longer than anybody allows."""
    issuer.silence()
    issuer.clock.advance(61)


def promote(issuer: PretendIssuer, _: Fields) -> None:
    issuer.change("usr_ada", roles=["admin"])


@dataclass(frozen=True)
class Case:
    """One request and what comes of it."""

    name: str
    expect: Let | Refuse
    credentials: Credentials = nobody
    path: str = "/me"
    method: str = "GET"
    query: str = ""
    then: Then = field(default=lambda issuer, fields: None)
    """What happens between the issue of the credentials and the request."""

    def request(self, issuer: PretendIssuer) -> Request:
        fields = self.credentials(issuer)
        self.then(issuer, fields)
        return Request(self.method, self.path, fields, self.query)


def of_view(path: str) -> list[Case]:
    """What every protected view does, whatever kind it is of."""
    good = Let(lines=3) if path == "/stream" else Let()
    kind = path[1:]
    return [
        Case(f"{kind}: no credentials", MISSING, path=path),
        Case(f"{kind}: a good token", good, bearer(), path=path),
        Case(f"{kind}: a bad token", MALFORMED, said("Bearer"), path=path),
        Case(f"{kind}: revoked", REVOKED, bearer(), path=path, then=lambda i, f: i.revoke(token_in(f))),
    ]


CASES = [
    *of_view("/me"),
    *of_view("/later"),
    *of_view("/stream"),
    Case("public: nobody", Let(None), path="/public"),
    Case("public: a bad token is not looked at", Let(None), said("Bearer x"), path="/public"),
    # how the field may be written
    Case("bearer in lower case", Let(), bearer("bearer ")),
    Case("BEARER in capitals", Let(), bearer("BEARER ")),
    Case("two spaces", Let(), bearer("Bearer  ")),
    Case("spaces around the value", Let(), bearer(" Bearer ", suffix=" ")),
    Case("tabs around the value", Let(), bearer("\tBearer ", suffix="\t ")),
    Case("a tab", MALFORMED, bearer("Bearer\t")),
    Case("a parameter behind the token", MALFORMED, bearer(suffix=", realm=x")),
    Case("the token without a scheme", MALFORMED, bearer("")),
    Case("an empty field", MALFORMED, said("")),
    Case("a character that no token has", MALFORMED, said("Bearer é.b.c")),
    Case("an unknown scheme", invalid_token("this authentication scheme is not supported"), said("Digest abc")),
    # what the token may be
    Case("forged", invalid_token("the signing key is not known"), forged),
    Case("not three parts", invalid_token("the token is not a compact JWS"), said("Bearer nonsense")),
    Case("expired on the way", EXPIRED, bearer(), then=lambda i, _: i.clock.advance(631)),
    Case("expired before", EXPIRED, bearer(lifetime=-60)),
    Case("another API's", invalid_token("the token is for another audience"), bearer(audience="reports")),
    Case("session ended", REVOKED, bearer(), then=lambda i, _: i.revoke(session_id="ses_ada")),
    Case("user banned", REVOKED, bearer(), then=lambda i, _: i.revoke(subject="usr_ada")),
    Case("another user banned", Let(), bearer(), then=lambda i, _: i.revoke(subject="usr_bob")),
    # once, and in the header
    Case("two fields", TWICE, both(bearer(), bearer())),
    Case("two fields of one text", TWICE, said("Bearer a.b.c", "Bearer a.b.c")),
    Case("two in one field", invalid_request("credentials came twice"), bearer(suffix=", Bearer b")),
    Case("in the query", IN_URL, query="access_token=a.b.c"),
    Case("in the query beside a good field", IN_URL, bearer(), query="a=1&access_token=a.b.c"),
    Case("in the query, spelled otherwise", IN_URL, bearer(), query="%61ccess_token=a.b.c"),
    Case("another query", Let(), bearer(), query="access=1&token=2&q=100%25"),
    # a temporary Basic pair
    Case("Basic pair", Let(), basic()),
    Case("Basic pair, banned", REVOKED, basic(), then=lambda i, _: i.revoke(subject="usr_ada")),
    Case("Basic, not base64", invalid_token("the Basic credentials are malformed"), said("Basic Ym9ia")),
    Case(
        "Basic with somebody's password",
        invalid_token("the token is not a compact JWS"),
        said("Basic Ym9ic2Vzc2lvbjE6czNjcmV0"),
    ),
    Case(
        "the pair's password as a bearer token",
        WRONG_NAME,
        bearer(basic_username="adasession1"),
    ),
    # a browser's cookie
    Case("cookie: reading", Let(), cookie()),
    Case("cookie: reading by a link", Let(), cookie(("Sec-Fetch-Site", "cross-site"))),
    Case("cookie: of another name", MISSING, cookie(name="watchword")),
    Case("cookie: of a neighbour", MISSING, cookie(name="__Secure-watchword")),
    Case("cookie: expired", EXPIRED, cookie(), then=lambda i, _: i.clock.advance(631)),
    Case("cookie: banned", REVOKED, cookie(), then=lambda i, _: i.revoke(subject="usr_ada")),
    Case("cookie: no token", MALFORMED, lambda _: (("Cookie", "__Host-watchword="),)),
    Case("cookie: a Basic pair's password", WRONG_NAME, cookie(basic_username="adasession1")),
    Case("cookie: lacking scope", NO_SCOPE, cookie(), "/pay"),
    Case("cookie: optional", Let(), cookie(), "/open"),
    Case("cookie: of another name, optional", Let(None), cookie(name="watchword"), "/open"),
    Case("cookie: and a field", TWICE_KINDS, both(bearer(), cookie())),
    Case("cookie: and a bad field", TWICE_KINDS, both(said("Bearer"), cookie())),
    Case("cookie: and a field, optional", TWICE_KINDS, both(bearer(), cookie()), "/open"),
    Case("cookie: twice", TWICE_COOKIE, two_cookies),
    Case("cookie: by our page", Let(), cookie(SAME_ORIGIN), method="POST"),
    Case("cookie: by an older browser", Let(), cookie(APP), method="POST"),
    Case("cookie: by the issuer's page", Let(), cookie(("Origin", "https://auth.example.com")), method="POST"),
    Case("cookie: by a program", Let(), cookie(("X-CSRF", "1")), method="POST"),
    Case("cookie: by another page", OTHER_ORIGIN, cookie(EVIL), method="POST"),
    Case("cookie: by another page of the site", OTHER_SITE, cookie(("Sec-Fetch-Site", "same-site")), method="POST"),
    Case("cookie: by a form of another page", OTHER_SITE, cookie(("Sec-Fetch-Site", "cross-site")), method="POST"),
    Case("cookie: by a page in a frame", OTHER_ORIGIN, cookie(("Origin", "null")), method="POST"),
    Case("cookie: by who knows whom", NO_WORD, cookie(), method="POST"),
    Case("cookie: by another page, forged", OTHER_ORIGIN, cookie(EVIL, lifetime=-60), method="POST"),
    Case("bearer: by another page", Let(), both(bearer(), lambda _: (EVIL,)), method="POST"),
    # what the route demands
    Case("scope: lacking", NO_SCOPE, bearer(), "/pay"),
    Case("scope: there", Let(), bearer(scope="profile pay"), "/pay"),
    Case("scope: a part of a word", NO_SCOPE, bearer(scope="pays"), "/pay"),
    Case("scope: nobody", MISSING, path="/pay"),
    Case("role: lacking", NO_ROLE, bearer(), "/admin"),
    Case("role: there", Let(), bearer(roles=["user", "admin"]), "/admin"),
    Case("role: the boolean claim", Let(), bearer(admin=True), "/admin"),
    Case("role: no boolean", NO_ROLE, bearer(admin="true"), "/admin"),
    Case("role: one of two", Let(), bearer(roles=["auditor"]), "/either"),
    Case("role: none of two", NO_ROLE, bearer(roles=["audit"]), "/either"),
    Case("role: given to a live token", Let(), bearer(), "/admin", then=promote),
    Case(
        "role: taken from a live token",
        NO_ROLE,
        bearer(roles=["admin"]),
        "/admin",
        then=lambda i, _: i.change("usr_ada", roles=["user"]),
    ),
    # how fresh the guard's news must be
    Case("fresh: live", Let(), bearer(), "/fresh"),
    Case("fresh: stale", UNCONFIRMED, bearer(), "/fresh", then=deaf),
    Case("fresh: stale, and no credentials", MISSING, path="/fresh", then=deaf),
    Case("role: stale", STALE, bearer(roles=["admin"]), "/admin", then=deaf),
    Case("neither: stale", Let(), bearer(), then=deaf),
    # a public route that knows its caller
    Case("optional: nobody", Let(None), path="/open"),
    Case("optional: somebody", Let(), bearer(), "/open"),
    Case("optional: expired", EXPIRED, bearer(lifetime=-60), "/open"),
    Case("optional: malformed", MALFORMED, said("Bearer"), "/open"),
    Case("optional: twice", TWICE, both(bearer(), bearer()), "/open"),
    Case("optional: in the query", IN_URL, path="/open", query="access_token=a"),
    # the body of tutorials
    Case("simple: nobody", simple(401, "Bearer", "Unauthorized", "Credentials are required"), path="/simple"),
    Case(
        "simple: bad",
        simple(401, MALFORMED.challenge or "", "Unauthorized", "Invalid or expired token"),
        said("Bearer"),
        "/simple",
    ),
    Case(
        "simple: not allowed",
        simple(403, NO_ROLE.challenge or "", "Forbidden", "the caller lacks the role this takes"),
        bearer(),
        "/simple",
    ),
    # other methods
    Case("HEAD: nobody", MISSING, method="HEAD"),
    Case("HEAD: somebody", Let(), bearer(), method="HEAD"),
    Case("POST: nobody", MISSING, method="POST"),
    Case("POST: somebody", Let(), bearer(), method="POST"),
    Case("POST: by a pair", Let(), basic(), method="POST"),
]  # fmt: skip
