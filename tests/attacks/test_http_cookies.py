"""Cookies under attack: requests that another site makes a browser send, and cookies that somebody else put there."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.server.stage import ISSUER, PASSWORD, Somebody, Stage, open_stage, problem

pytestmark = pytest.mark.anyio

ACCESS, REFRESH = "__Host-watchword", "__Secure-watchword-refresh"
APP = "https://app.example.com"

OURS: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-origin", "Origin": ISSUER},
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},  # a form of a page without a referrer
    {"Sec-Fetch-Site": "same-site", "Origin": APP},
    {"Sec-Fetch-Site": "cross-site", "Origin": APP},
    {"Origin": ISSUER},
    {"Origin": APP},
    {"X-CSRF": "1"},
]
THEIRS: list[dict[str, str]] = [
    {},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "X-CSRF": "1"},
    {"Sec-Fetch-Site": "SAME-ORIGIN"},
    {"Sec-Fetch-Site": "same-origin, cross-site"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "same-site", "Origin": "https://evil.example.com"},
    {"Origin": "null"},
    {"Origin": "null", "X-CSRF": "1"},
    {"Origin": ""},
    {"Origin": "https://evil.example", "X-CSRF": "1"},
    {"Origin": f"{ISSUER}.evil.example"},
    {"Origin": f"{ISSUER}:8443"},
    {"Origin": ISSUER.replace("https", "http")},
    {"Origin": ISSUER.upper()},
    {"Origin": f"{ISSUER}/"},
    {"Origin": f"{ISSUER} {APP}"},
    {"Referer": f"{ISSUER}/page"},
]


async def cookies_of(stage: Stage, ada: Somebody) -> dict[str, str]:
    """Both cookies of a log-in, as one field."""
    body = {"email": ada.email, "password": PASSWORD, "cookie": True}
    answer = await stage.http.post("/auth/login", json=body, headers={"X-CSRF": "1"})
    assert answer.status_code == 200, answer.text
    stage.http.cookies.clear()
    pairs = dict.fromkeys(line.partition(";")[0] for line in answer.headers.get_list("set-cookie"))
    return {"Cookie": "; ".join(pairs)}


async def ask(stage: Stage, method: str, path: str, headers: Any, body: Any = None) -> httpx2.Response:
    return await stage.http.request(method, path, headers=headers, **({"json": body} if body else {}))


CHANGES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("PATCH", "/auth/me", {"name": "Eve"}),
    ("POST", "/auth/token", None),
    ("POST", "/auth/password", {"current_password": PASSWORD, "new_password": "the-new-one-of-eve"}),
    ("DELETE", "/auth/sessions/ses_AAAAAAAAAAAAAAAAAAAAAA", None),
    ("POST", "/auth/logout", None),
    ("DELETE", "/auth/me", {"current_password": PASSWORD}),
]


class TestCrossSite:
    @pytest.mark.parametrize("fields", THEIRS, ids=str)
    async def test_req_s06_a_change_by_cookie_is_sent_by_our_pages_alone(
        self, fields: dict[str, str]
    ) -> None:
        """Whatever changes something is 403 for any other page and for whoever says nothing; nothing has changed."""
        async with open_stage(cookie_origins=APP) as stage:
            ada = await stage.somebody(name="Ada")
            cookies = await cookies_of(stage, ada)
            for method, path, body in CHANGES:
                problem(await ask(stage, method, path, {**cookies, **fields}, body), 403, "cross_site")
            answer = await ask(stage, "GET", "/auth/me", cookies)
            assert answer.json()["name"] == "Ada"
            assert len((await ask(stage, "GET", "/auth/sessions", cookies)).json()["items"]) == 1

    @pytest.mark.parametrize("fields", OURS, ids=str)
    async def test_req_s06_our_own_pages_are_let_in(self, fields: dict[str, str]) -> None:
        """The issuer's own origin, the origins that were named, and programs that can write any field."""
        async with open_stage(cookie_origins=APP) as stage:
            cookies = await cookies_of(stage, await stage.somebody())
            for method, path, body in CHANGES:
                answer = await ask(stage, method, path, {**cookies, **fields}, body)
                assert answer.status_code != 403, (method, path, answer.text)
                if path == "/auth/logout":
                    cookies = await cookies_of(stage, await stage.somebody())

    @pytest.mark.parametrize("fields", THEIRS, ids=str)
    async def test_attack_a41_a_log_in_from_another_site_sets_nothing(self, fields: dict[str, str]) -> None:
        """A visitor who is logged in as somebody else would write his secrets into that account."""
        async with open_stage(cookie_origins=APP) as stage:
            eve = await stage.somebody()
            body = {"email": eve.email, "password": PASSWORD, "cookie": True}
            answer = await stage.http.post("/auth/login", json=body, headers=fields)
            problem(answer, 403, "cross_site")
            assert "set-cookie" not in answer.headers
            assert not await stage.events("session.opened")

    async def test_reading_needs_no_proof(self, stage: Stage) -> None:
        """What changes nothing may be asked by following a link; another page cannot read the answer."""
        cookies = await cookies_of(stage, await stage.somebody())
        answer = await ask(stage, "GET", "/auth/me", {**cookies, "Origin": "https://evil.example"})
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers

    @pytest.mark.parametrize("field", [("Sec-Fetch-Site", "same-origin"), ("Origin", ISSUER)])
    async def test_a_field_that_comes_twice_proves_nothing(
        self, stage: Stage, field: tuple[str, str]
    ) -> None:
        """Of two values one could be the attacker's."""
        cookies = await cookies_of(stage, await stage.somebody())
        headers = [*cookies.items(), field, (field[0], "cross-site")]
        problem(await stage.http.post("/auth/basic", headers=headers), 400, "invalid_request")

    async def test_a_method_in_a_field_is_no_method(self, stage: Stage) -> None:
        """A GET stays a GET, so what needs no proof changes nothing."""
        cookies = await cookies_of(stage, await stage.somebody())
        headers = {**cookies, "X-HTTP-Method-Override": "DELETE"}
        assert (await ask(stage, "GET", "/auth/me", headers)).status_code == 200
        assert (await ask(stage, "GET", "/auth/me", cookies)).status_code == 200


class TestCors:
    async def test_attack_a66_only_named_origins_may_send_cookies(self) -> None:
        """``Allow-Credentials`` goes to ``COOKIE_ORIGINS``, each by name: who may call may not ride."""
        async with open_stage(cookie_origins=APP, cors_origins="https://partner.example") as stage:
            preflight = {"Access-Control-Request-Method": "PATCH"}
            for origin, named, credentials in (
                (APP, APP, "true"),
                ("https://partner.example", "https://partner.example", None),
                ("https://evil.example", None, None),
                ("null", None, None),
                (f"{APP}.evil.example", None, None),
            ):
                for method, more in (("OPTIONS", preflight), ("GET", {})):
                    answer = await ask(stage, method, "/auth/me", {"Origin": origin, **more})
                    assert answer.headers.get("access-control-allow-origin") == named, origin
                    assert answer.headers.get("access-control-allow-credentials") == credentials, origin
                    assert "Origin" in answer.headers["vary"]
            partner = {"Origin": "https://partner.example", **await cookies_of(stage, await stage.somebody())}
            problem(await ask(stage, "PATCH", "/auth/me", partner, {"name": "Eve"}), 403, "cross_site")

    async def test_attack_a66_what_anybody_may_read_takes_no_cookie(self) -> None:
        """A public document is for any origin, and for none with credentials."""
        async with open_stage(cookie_origins=APP) as stage:
            answer = await ask(stage, "GET", "/.well-known/jwks.json", {"Origin": APP})
            assert answer.headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in answer.headers


class TestTwice:
    @pytest.mark.parametrize(
        ("method", "path"), [("GET", "/auth/me"), ("POST", "/auth/logout"), ("POST", "/auth/token")]
    )
    async def test_attack_a22_a_cookie_and_a_header_are_credentials_twice(
        self, stage: Stage, method: str, path: str
    ) -> None:
        """Who it is would depend on who reads."""
        ada = await stage.newcomer()
        headers = {**await cookies_of(stage, ada), **ada.bearer, "X-CSRF": "1"}
        problem(await ask(stage, method, path, headers), 400, "invalid_request")

    @pytest.mark.parametrize("path", ["/auth/token", "/auth/logout"])
    async def test_attack_a22_a_cookie_and_a_body_are_credentials_twice(
        self, stage: Stage, path: str
    ) -> None:
        """Two refresh tokens are one too many, and neither is spent."""
        ada = await stage.newcomer()
        headers = {**await cookies_of(stage, ada), "X-CSRF": "1"}
        body = {"refresh_token": ada.tokens["refresh_token"]}
        problem(await ask(stage, "POST", path, headers, body), 400, "invalid_request")
        assert (await ask(stage, "POST", "/auth/token", {}, body)).status_code == 200
        assert (await ask(stage, "POST", "/auth/token", headers)).status_code == 200

    @pytest.mark.parametrize("join", ["; ", ";"])
    async def test_attack_a23_two_cookies_of_one_name_are_none(self, stage: Stage, join: str) -> None:
        """Readers differ in which of two they take: a neighbour could have put one there."""
        ada, eve = await stage.somebody(), await stage.newcomer()
        own = (await cookies_of(stage, ada))["Cookie"]
        for planted in (f"{ACCESS}={eve.tokens['access_token']}", f"{ACCESS}="):
            for field in (own + join + planted, planted + join + own):
                problem(await ask(stage, "GET", "/auth/me", {"Cookie": field}), 400, "invalid_request")
        lines = [("Cookie", own), ("Cookie", f"{ACCESS}={eve.tokens['access_token']}")]
        problem(await ask(stage, "GET", "/auth/me", lines), 400, "invalid_request")

    async def test_attack_a39_a_cookie_that_was_planted_is_replaced(self, stage: Stage) -> None:
        """Whatever stood in the browser before, a log-in begins a session of its own."""
        eve = await cookies_of(stage, await stage.somebody())
        ada = await stage.somebody()
        body = {"email": ada.email, "password": PASSWORD, "cookie": True}
        answer = await ask(stage, "POST", "/auth/login", {**eve, "X-CSRF": "1"}, body)
        assert answer.status_code == 200
        fresh = {"Cookie": answer.headers.get_list("set-cookie")[0].partition(";")[0]}
        assert fresh["Cookie"] not in eve["Cookie"]
        stage.http.cookies.clear()
        assert (await ask(stage, "GET", "/auth/me", fresh)).json()["id"] == ada.id

    @pytest.mark.parametrize(
        "name",
        ["watchword", "__Secure-watchword", "__host-watchword", "__Host-watchword2", "X__Host-watchword"],
    )
    async def test_another_name_is_another_cookie(self, stage: Stage, name: str) -> None:
        """One without the prefix could have come from a neighbour or from plain http: it is nobody's."""
        ada = await stage.newcomer()
        cookie = {"Cookie": f"{name}={ada.tokens['access_token']}"}
        problem(await ask(stage, "GET", "/auth/me", cookie), 401, "unauthorized")

    @pytest.mark.parametrize(
        "value", ["", "nonsense", '"{token}"', "Bearer {token}", "{token}.", "{token}, {token}", "x" * 9000]
    )
    async def test_what_is_no_token_is_refused(self, stage: Stage, value: str) -> None:
        """The value is a token, whole and bare, or it is nothing."""
        ada = await stage.newcomer()
        cookie = {"Cookie": f"{ACCESS}={value.format(token=ada.tokens['access_token'])}"}
        problem(await ask(stage, "GET", "/auth/me", cookie), 401, "invalid_token")
        refresh = {"Cookie": f"{REFRESH}={ada.tokens['access_token']}", "X-CSRF": "1"}
        problem(await ask(stage, "POST", "/auth/token", refresh), 401, "invalid_grant")
