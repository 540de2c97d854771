"""The route table, walked: what holds for every route holds for the next one too."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from msgspec import Struct

from tests.server.stage import Stage, open_stage, problem
from watchword.server.routes import ROUTES
from watchword.server.web.route import Route

pytestmark = pytest.mark.anyio

BODIES = [route for route in ROUTES if route.body is not None]
SECRET = re.compile(r"password|secret|authorization|api_key|\bkey\b|token\b|\bjwk\b")
"""Names of members that hold what nobody else may read."""
STRUCTS = {
    part
    for route in ROUTES
    for part in (route.body, route.answer)
    if isinstance(part, type) and issubclass(part, Struct) and SECRET.search(" ".join(part.__struct_fields__))
}
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
    "/auth/basic",
    "/auth/logout",
    "/auth/email/confirm",
    "/auth/register",
    "/auth/password/forgot",
    "/auth/password/reset",
    "/confirm-email",
    "/forgot",
    "/reset",
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
    @pytest.mark.parametrize("struct", sorted(STRUCTS, key=lambda one: one.__name__))
    def test_attack_a60_what_holds_a_secret_prints_none(self, struct: type[Struct]) -> None:
        """A body or an answer that lands in a log or a traceback names its members, and shows no value."""
        held = struct(**{name: f"canary-{name}" for name in struct.__struct_fields__})
        shown = f"{held!r} {held} {list(held.__rich_repr__())}"
        assert struct.__name__ in shown
        assert "canary" not in shown

    def test_what_is_open_is_on_the_list(self) -> None:
        """No route lost its lock by mistake."""
        assert {route.path for route in ROUTES if route.auth == "none"} == OPEN_ADDRESSES
        assert all(route.auth == "admin" for route in ROUTES if route.path.startswith("/admin/"))

    def test_a_name_stands_once(self) -> None:
        """Method and path together."""
        names = [name_of(route) for route in ROUTES]
        assert len(names) == len(set(names))

    def test_req_s08_every_body_forbids_what_it_does_not_know(self) -> None:
        """Also where all that it needs is there."""
        for route in BODIES:
            config: Any = route.body
            assert config.__struct_config__.forbid_unknown_fields, name_of(route)

    def test_pages_are_for_no_other_origin(self) -> None:
        """Neither are credentials of forms: CORS is for the API and the documents."""
        for route in ROUTES:
            if route.media_type == "text/html":
                assert route.cors == "none"
            if route.auth == "admin" or route.path.startswith("/auth/"):
                assert route.cors != "public"


class TestBodies:
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
            (b'{"a":"\\ud800"}', "application/json", 400),
            (b'{"a":NaN}', "application/json", 400),
            (b'{"a":1e999}', "application/json", 400),
            (b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "application/json", 400),
            (b'{"a":' + b'{"a":' * 20 + b"1" + b"}" * 21, "application/json", 400),
            (b'{"a":"' + b"x" * 70_000 + b'"}', "application/json", 413),
            (b'{"no_such_member":1}', "application/json", 422),
        ],
    )
    async def test_attack_a42_a63_req_s06_a_body_is_strict_json_or_refused(
        self, stage: Stage, content: bytes, media_type: str, status: int
    ) -> None:
        """415, 400, 413 or 422 on every route that reads one; never 500, and nothing is done."""
        root = await stage.administrator()
        headers = {**root.bearer, "Content-Type": media_type}
        codes = {415: "unsupported_media_type", 400: "malformed_content", 413: "content_too_large"}
        for route in BODIES:
            answer = await stage.http.request(route.method, path_of(route), content=content, headers=headers)
            assert answer.status_code == status, (name_of(route), answer.text)
            problem(answer, status, codes.get(status, "invalid_input"))

    async def test_req_s08_a_member_that_is_not_the_caller_s_is_refused(self, stage: Stage) -> None:
        """422 by its name, on every route: nobody makes himself verified, sets ids, hashes or times."""
        root = await stage.administrator()
        members = (
            "id verified email_verified password_hash password_digest created_at tenant version floor".split()
        )
        for route in BODIES:
            for member in members:
                answer = await stage.http.request(
                    route.method, path_of(route), json={member: "x"}, headers=root.bearer
                )
                fields = [fault["field"] for fault in problem(answer, 422, "invalid_input")["errors"]]
                assert member in fields, name_of(route)

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
    @pytest.mark.parametrize("text", HOSTILE)
    async def test_attack_a56_a_path_s_part_is_text(self, stage: Stage, text: str) -> None:
        """On every route that has one, the same refusal as for any name that is not there."""
        root = await stage.administrator()
        for route in ROUTES:
            if "{" not in route.path:
                continue
            path = re.sub(r"\{\w+(?::path)?\}", lambda _: text.replace("/", "%2F"), route.path)
            body: dict[str, Any] = {"json": {"scope": ["a"]}} if route.method == "PUT" else {}
            if route.method == "PATCH":
                body = {"json": {"encryption_jwks": None} if "apis" in route.path else {"name": "x"}}
            answer = await stage.http.request(route.method, path, headers=root.bearer, **body)
            # A decoded slash makes it another path, which another route or none takes.
            expected = (404, 405) if "/" in text else (404,)
            assert answer.status_code in expected, (name_of(route), answer.text)
            assert answer.headers["content-type"] == "application/problem+json"

    @pytest.mark.parametrize("text", [*HOSTILE, "\0", "x" * 5000, "٣", "-1", "1e9", "0x10"])
    async def test_req_s09_a_query_s_value_is_text(self, stage: Stage, text: str) -> None:
        """Found nothing or refused, never 500; no page begins where no list ended."""
        root = await stage.administrator()
        for route in ROUTES:
            for name, _ in route.query:
                answer = await stage.http.get(path_of(route), params={name: text}, headers=root.bearer)
                expected = {"cursor": (404, 422), "limit": (404, 422), "after": (400,), "purpose": (422,)}
                assert answer.status_code in expected.get(name, (200, 404)), (
                    name_of(route),
                    name,
                    answer.text,
                )

    async def test_a_query_parameter_comes_once(self, stage: Stage) -> None:
        """400 for a second one: no two readers may choose differently."""
        root = await stage.administrator()
        for route in ROUTES:
            for name, _ in route.query:
                answer = await stage.http.get(f"{path_of(route)}?{name}=1&{name}=2", headers=root.bearer)
                problem(answer, 400, "invalid_request")


class TestMethods:
    async def test_attack_a65_other_methods_are_refused_by_name(self, stage: Stage) -> None:
        """405 with ``Allow`` on every path, TRACE included; an override field is ignored."""
        for path in sorted({path_of(route) for route in ROUTES}):
            await self.check_methods(stage, path)

    async def check_methods(self, stage: Stage, path: str) -> None:
        of_path: Callable[[Route], bool] = lambda route: path_of(route) == path  # noqa: E731
        known = {route.method for route in ROUTES if of_path(route)}
        allowed = known | {"OPTIONS"} | ({"HEAD"} if "GET" in known else set())
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "get", "X"} - allowed:
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

    async def test_f_s1_a_tunnel_is_refused(self, stage: Stage) -> None:
        """CONNECT has no path of ours, and what follows it is no request: 400, and the connection ends."""
        for path in ("/", "/auth/login", "example.com:443"):
            scope = {
                "type": "http", "method": "CONNECT", "path": path, "scheme": "https", "query_string": b"",
                "headers": [], "client": ("192.0.2.1", 1),
            }  # fmt: skip
            answer = await raw(stage, scope)
            assert answer["status"] == 400
            assert dict(answer["headers"])[b"connection"] == b"close"

    async def test_req_s16_head_is_get_without_a_body(self, stage: Stage) -> None:
        """The same status and fields, on every route that can be read."""
        root = await stage.administrator()
        for route in ROUTES:
            if route.method != "GET" or "stream" in route.path:
                continue
            full = await stage.http.get(path_of(route), headers=root.bearer)
            head = await stage.http.head(path_of(route), headers=root.bearer)
            assert head.status_code == full.status_code
            assert head.content == b""
            for name in ("content-type", "content-length", "cache-control", "content-security-policy"):
                if "metrics" not in route.path:
                    assert head.headers.get(name) == full.headers.get(name), name_of(route)


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
    async def test_attack_a67_every_answer_carries_the_protections(self, stage: Stage) -> None:
        """nosniff, no-referrer, no frames, HSTS, a strict CSP; no cookie, and no word about what runs here."""
        for route in ROUTES:
            if "stream" not in route.path:
                await self.check_fields(stage, route)

    async def check_fields(self, stage: Stage, route: Route) -> None:
        root = await stage.administrator()
        for headers in ({}, root.bearer):
            answer = await call(stage, route, **headers)
            fields = answer.headers
            assert "set-cookie" not in fields
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

    @pytest.mark.parametrize(
        "target", ["//evil.example", "/\\evil.example", "https:evil.example", "javascript:alert(1)"]
    )
    async def test_attack_a40_nothing_leads_elsewhere(self, stage: Stage, target: str) -> None:
        """No route redirects, whatever a query asks for."""
        root = await stage.administrator()
        names = ("next", "return_to", "redirect_uri", "url", "continue")
        for route in ROUTES:
            if route.method == "GET" and "stream" not in route.path:
                params = dict.fromkeys(names, target)
                answer = await stage.http.get(path_of(route), params=params, headers=root.bearer)
                assert not 300 <= answer.status_code < 400, name_of(route)
                assert "location" not in answer.headers
                assert "evil.example" not in answer.text

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
