"""The route table, walked: what holds for every route holds for the next one too."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.server.stage import Somebody, Stage, open_stage, problem
from watchword.server.routes import ROUTES
from watchword.server.web.route import Route

pytestmark = pytest.mark.anyio

GUARDED = [route for route in ROUTES if route.auth != "none"]
ADMIN = [route for route in ROUTES if route.auth == "admin"]
BODIES = [route for route in ROUTES if route.body is not None]
OPEN_ADDRESSES = {
    "/",
    "/docs",
    "/setup",
    "/static/{name}",
    "/openapi.json",
    "/healthz",
    "/readyz",
    "/metrics",
    "/revocations",
    "/revocations/stream",
    "/.well-known/jwks.json",
    "/.well-known/oauth-authorization-server",
    "/auth/login",
    "/auth/token",
    "/auth/logout",
    "/auth/register",
}
"""Every address that answers without credentials. A new one is a decision, made here."""


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def path_of(route: Route) -> str:
    return re.sub(r"\{(\w+)(?::path)?\}", "unknown", route.path)


async def call(stage: Stage, route: Route, **headers: str) -> httpx2.Response:
    more: dict[str, Any] = {"json": {}} if route.body is not None else {}
    return await stage.http.request(route.method, path_of(route), headers=headers, **more)


class TestTable:
    def test_what_is_open_is_on_the_list(self) -> None:
        """No route lost its lock by mistake."""
        assert {route.path for route in ROUTES if route.auth == "none"} == OPEN_ADDRESSES
        assert all(route.auth == "admin" for route in ROUTES if route.path.startswith("/admin/"))

    def test_a_name_stands_once(self) -> None:
        """Method and path together."""
        names = [name_of(route) for route in ROUTES]
        assert len(names) == len(set(names))

    def test_pages_are_for_no_other_origin(self) -> None:
        """Neither are credentials of forms: CORS is for the API and the documents."""
        for route in ROUTES:
            if route.media_type == "text/html":
                assert route.cors == "none"
            if route.auth == "admin" or route.path.startswith("/auth/"):
                assert route.cors != "public"


class TestLocks:
    @pytest.mark.parametrize("route", GUARDED, ids=name_of)
    async def test_attack_a24_without_credentials_the_challenge_is_bare(
        self, stage: Stage, route: Route
    ) -> None:
        """401, before the body is looked at."""
        answer = await call(stage, route)
        problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"

    @pytest.mark.parametrize("route", ADMIN, ids=name_of)
    async def test_attack_a55_only_administrators_enter(self, stage: Stage, route: Route) -> None:
        """Neither a user, nor an administrator with a token that an API has seen, nor a refresh token."""
        user = await stage.newcomer(audience="https://auth.example.com")
        wide = await stage.login(await stage.somebody("admin"))
        for somebody in (user, wide):
            answer = await call(stage, route, **somebody.bearer)
            problem(answer, 403, "insufficient_scope")
            assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
        root = await stage.administrator()
        answer = await call(stage, route, Authorization=f"Bearer {root.tokens['refresh_token']}")
        problem(answer, 401, "invalid_token")

    @pytest.mark.parametrize("route", GUARDED, ids=name_of)
    @pytest.mark.parametrize("end", ["ended", "banned", "expired", "foreign", "edited", "basic", "demoted"])
    async def test_attack_a55_a_dead_token_opens_nothing(self, stage: Stage, route: Route, end: str) -> None:
        """401 at once, whichever way it died (403 for a lost role)."""
        somebody = await stage.administrator()
        authorization = somebody.bearer["Authorization"]
        status = 401
        match end:
            case "ended":
                await stage.http.post("/auth/logout", headers=somebody.bearer)
            case "banned":
                root = await stage.administrator()
                await stage.http.post(f"/admin/v1/users/{somebody.id}/ban", headers=root.bearer)
            case "expired":
                stage.clock.forward(minutes=10)
            case "foreign":
                async with open_stage(issuer="https://other.example.com") as other:
                    stranger = await other.login(
                        await other.somebody("admin"), audience="https://other.example.com"
                    )
                    authorization = stranger.bearer["Authorization"]
            case "edited":
                head, body, mac = authorization.split(".")
                authorization = f"{head}.{body[:-2]}AA.{mac}"
            case "basic":
                authorization = "Basic YTpi"
            case "demoted":
                if route.auth != "admin":
                    return
                root = await stage.administrator()
                path = f"/admin/v1/users/{somebody.id}"
                await stage.http.patch(path, json={"roles": ["user"]}, headers=root.bearer)
                status = 403
        answer = await call(stage, route, Authorization=authorization)
        problem(answer, status, "invalid_token" if status == 401 else "insufficient_scope")
        assert answer.headers["www-authenticate"].startswith("Bearer error=")

    @pytest.mark.parametrize("route", GUARDED, ids=name_of)
    async def test_attack_a22_a_token_in_the_url_is_refused(self, stage: Stage, route: Route) -> None:
        """400, however the name is spelt, with or without the same token in the header; nothing is done."""
        root = await stage.administrator()
        for headers in ({}, root.bearer):
            for name in (
                "access_token",
                "access%5Ftoken",
                "%61ccess_token",
                "x=1&access_token",
                "x;access_token",
            ):
                url = f"{path_of(route)}?{name}={root.tokens['access_token']}"
                answer = await stage.http.request(route.method, url, headers=headers)
                problem(answer, 400, "invalid_request")

    @pytest.mark.parametrize("route", GUARDED, ids=name_of)
    async def test_attack_a23_two_credentials_are_none(self, stage: Stage, route: Route) -> None:
        """Twice is a bad request, another form a bad token: the same rule as at every guard."""
        root = await stage.administrator()
        token = root.tokens["access_token"]
        doubled = [("Authorization", f"Bearer {token}")] * 2
        answer = await stage.http.request(route.method, path_of(route), headers=doubled)
        problem(answer, 400, "invalid_request")
        for value in (f"Bearer {token}, Bearer {token}", f"Bearer {token},Basic YTpi"):
            problem(await call(stage, route, Authorization=value), 400, "invalid_request")
        for value in (
            f"Bearer  {token}",
            f"Bearer\t{token}",
            f"Bearer {token} x",
            f"Bearer {token},",
            f"Bearer={token}",
            f"Token {token}",
            "Bearer",
            token,
        ):
            problem(await call(stage, route, Authorization=value), 401, "invalid_token")


class TestBodies:
    @pytest.mark.parametrize("route", BODIES, ids=name_of)
    @pytest.mark.parametrize(
        ("content", "media_type", "status"),
        [
            (b"{}", "text/plain", 415),
            (b"a=b", "application/x-www-form-urlencoded", 415),
            (b"--x--", "multipart/form-data; boundary=x", 415),
            (b"{}", "application/json-patch+json", 415),
            (b"{}", "", 415),
            (b"{", "application/json", 400),
            (b"[]", "application/json", 400),
            (b"null", "application/json", 400),
            (b'{"a":1}{"a":1}', "application/json", 400),
            (b'{"password":"a","password":"b"}', "application/json", 400),
            (b'{"password":"a","p\\u0061ssword":"b"}', "application/json", 400),
            (b"\xef\xbb\xbf{}", "application/json", 400),
            (b'{"a":"\xff"}', "application/json", 400),
            (b'{"a":NaN}', "application/json", 400),
            (b'{"a":1e999}', "application/json", 400),
            (b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "application/json", 400),
            (b'{"a":' + b'{"a":' * 20 + b"1" + b"}" * 21, "application/json", 400),
            (b'{"a":"' + b"x" * 70_000 + b'"}', "application/json", 413),
            (b'{"no_such_member":1}', "application/json", 422),
        ],
    )
    async def test_attack_a42_a63_a_body_is_strict_json_or_refused(
        self,
        stage: Stage,
        administrator: Somebody,
        route: Route,
        content: bytes,
        media_type: str,
        status: int,
    ) -> None:
        """415, 400, 413 or 422; never 500, and nothing is done."""
        headers = {**administrator.bearer, "Content-Type": media_type}
        answer = await stage.http.request(route.method, path_of(route), content=content, headers=headers)
        codes = {415: "unsupported_media_type", 400: "malformed_content", 413: "content_too_large"}
        problem(answer, status, codes.get(status, "invalid_input"))

    @pytest.mark.parametrize("route", BODIES, ids=name_of)
    async def test_attack_a52_a53_a_member_that_is_not_the_caller_s_is_refused(
        self, stage: Stage, administrator: Somebody, route: Route
    ) -> None:
        """422 by its name: nobody makes himself verified, sets ids, hashes or times."""
        for member in (
            "id",
            "verified",
            "email_verified",
            "password_hash",
            "created_at",
            "tenant",
            "version",
        ):
            answer = await stage.http.request(
                route.method, path_of(route), json={member: "x"}, headers=administrator.bearer
            )
            assert problem(answer, 422, "invalid_input")["errors"]

    @pytest.mark.parametrize("path", ["/auth/register", "/auth/me"])
    @pytest.mark.parametrize("member", ["role", "roles", "admin", "is_admin", "banned", "scope"])
    async def test_attack_a52_nobody_makes_himself_administrator(
        self, stage: Stage, path: str, member: str
    ) -> None:
        """Neither at registration nor in the profile; the field is named."""
        ada = await stage.newcomer()
        body = {"email": "new@example.com", "password": "nine-slow-lanterns"} if "register" in path else {}
        method = "POST" if "register" in path else "PATCH"
        answer = await stage.http.request(method, path, json={**body, member: ["admin"]}, headers=ada.bearer)
        document = problem(answer, 422, "invalid_input")
        assert [fault["field"] for fault in document["errors"]] == [member]
        assert (await stage.http.get("/auth/me", headers=ada.bearer)).json()["roles"] == ["user"]

    @pytest.fixture
    async def administrator(self, stage: Stage) -> Somebody:
        return await stage.administrator()


HOSTILE = [
    "'",
    '"',
    "';--",
    "' OR 1=1--",
    "%00",
    "\\",
    "../../etc/passwd",
    "{{7*7}}",
    "${7*7}",
    "%F0%9F%98%80",
]


class TestHostileText:
    @pytest.mark.parametrize("route", [route for route in ROUTES if "{" in route.path], ids=name_of)
    @pytest.mark.parametrize("text", HOSTILE)
    async def test_attack_a56_a_path_s_part_is_text(self, stage: Stage, route: Route, text: str) -> None:
        """The same refusal as for any name that is not there."""
        root = await stage.administrator()
        path = re.sub(r"\{\w+(?::path)?\}", lambda _: text.replace("/", "%2F"), route.path)
        body: dict[str, Any] = {"json": {"scope": ["a"]}} if route.method == "PUT" else {}
        if route.method == "PATCH":
            body = {"json": {"name": "x"}}
        answer = await stage.http.request(route.method, path, headers=root.bearer, **body)
        # A decoded slash makes it another path, which another route or none takes.
        assert answer.status_code in ((404, 405) if "/" in text else (404,)), answer.text
        assert answer.headers["content-type"] == "application/problem+json"

    @pytest.mark.parametrize("route", [route for route in ROUTES if route.query], ids=name_of)
    @pytest.mark.parametrize("text", [*HOSTILE, "\0", "x" * 5000, "٣"])
    async def test_attack_a56_a_query_s_value_is_text(self, stage: Stage, route: Route, text: str) -> None:
        """Found nothing or refused, never 500."""
        root = await stage.administrator()
        for name, _ in route.query:
            answer = await stage.http.get(path_of(route), params={name: text}, headers=root.bearer)
            assert answer.status_code in (200, 400, 404, 422), (name, answer.text)

    @pytest.mark.parametrize("route", [route for route in ROUTES if route.query], ids=name_of)
    async def test_a_query_parameter_comes_once(self, stage: Stage, route: Route) -> None:
        """400 for a second one: no two readers may choose differently."""
        root = await stage.administrator()
        name = route.query[0][0]
        answer = await stage.http.get(f"{path_of(route)}?{name}=1&{name}=2", headers=root.bearer)
        problem(answer, 400, "invalid_request")


class TestMethods:
    @pytest.mark.parametrize("path", sorted({path_of(route) for route in ROUTES}))
    async def test_attack_a65_other_methods_are_refused_by_name(self, stage: Stage, path: str) -> None:
        """405 with ``Allow``, TRACE included; an override field is ignored."""
        of_path: Callable[[Route], bool] = lambda route: path_of(route) == path  # noqa: E731
        known = {route.method for route in ROUTES if of_path(route)}
        allowed = known | {"OPTIONS"} | ({"HEAD"} if "GET" in known else set())
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "get", "X"} - allowed:
            headers = {"X-HTTP-Method-Override": min(known), "X-Method-Override": min(known)}
            scope = {
                "type": "http",
                "method": method,
                "path": path,
                "scheme": "https",
                "query_string": b"",
                "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
                "client": ("192.0.2.1", 1),
            }
            answer = await raw(stage, scope)
            assert answer["status"] == 405, method
            assert {*dict(answer["headers"])[b"allow"].decode().split(", ")} == allowed

    @pytest.mark.parametrize(
        "route",
        [r for r in ROUTES if r.method == "GET" and r.auth == "none" and "stream" not in r.path],
        ids=name_of,
    )
    async def test_req_s16_head_is_get_without_a_body(self, stage: Stage, route: Route) -> None:
        """The same status and fields."""
        full = await stage.http.get(path_of(route))
        head = await stage.http.head(path_of(route))
        assert head.status_code == full.status_code
        assert head.content == b""
        for name in ("content-type", "cache-control", "content-security-policy"):
            assert head.headers.get(name) == full.headers.get(name)


async def raw(stage: Stage, scope: dict[str, Any]) -> dict[str, Any]:
    """The head of an answer to a request that no client would write."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await stage.app(scope, receive, send)
    return dict(sent[0])


class TestFields:
    @pytest.mark.parametrize("route", [r for r in ROUTES if "stream" not in r.path], ids=name_of)
    async def test_attack_a67_every_answer_carries_the_protections(self, stage: Stage, route: Route) -> None:
        """nosniff, no-referrer, no frames, HSTS, a strict CSP; and no word about what runs here."""
        root = await stage.administrator()
        for headers in ({}, root.bearer):
            answer = await call(stage, route, **headers)
            fields = answer.headers
            assert fields["x-content-type-options"] == "nosniff"
            assert fields["referrer-policy"] == "no-referrer"
            assert fields["x-frame-options"] == "DENY"
            assert "max-age=" in fields["strict-transport-security"]
            policy = fields["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert "server" not in fields
            assert "x-powered-by" not in fields
            assert fields["cache-control"]
            if answer.status_code >= 400 and "text/html" not in fields["content-type"]:
                assert fields["cache-control"] == "no-store"

    async def test_without_https_no_promise_of_it(self) -> None:
        """HSTS on a plain loopback address would lock the developer out."""
        async with open_stage(issuer="http://127.0.0.1:8080") as plain:
            answer = await plain.http.get("/healthz")
            assert "strict-transport-security" not in answer.headers

    async def test_what_is_not_there(self, stage: Stage) -> None:
        """404 as a problem document that does not repeat the path."""
        for path in (
            "/canary",
            "/auth",
            "/auth/me/",
            "//auth/me",
            "/AUTH/ME",
            "/admin/v1/users/",
            "/static/../x",
        ):
            answer = await stage.http.get(path)
            assert answer.status_code == 404, path
            assert "canary" not in answer.text
