"""Cookie mode: tokens that no script can read."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import httpx2
import pytest

from tests.server.stage import ISSUER, PASSWORD, Somebody, Stage, open_stage, problem
from watchword.jose.jwk import Key

pytestmark = pytest.mark.anyio

ACCESS, REFRESH, BINDER = "__Host-watchword", "__Secure-watchword-refresh", "__Host-watchword-binder"
KEY = Key.generate("Ed25519")
OURS = {"Sec-Fetch-Site": "same-origin"}


class Browser:
    """A page of the issuer's origin in a browser that keeps cookies."""

    def __init__(self, stage: Stage, base_url: str = ISSUER) -> None:
        self.stage = stage
        self.http = stage.client("127.0.0.1", base_url)

    async def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        headers = {**OURS, **more.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **more)

    async def login(self, ada: Somebody, **members: Any) -> httpx2.Response:
        body = {"email": ada.email, "password": PASSWORD, "cookie": True, **members}
        answer = await self.ask("POST", "/auth/login", json=body)
        assert answer.status_code == 200, answer.text
        return answer

    async def status(self) -> int:
        return (await self.ask("GET", "/auth/me")).status_code

    def held(self, name: str) -> set[str]:
        """The values of a cookie, of whatever path."""
        return {str(cookie.value) for cookie in self.http.cookies.jar if cookie.name == name}


def set_by(answer: httpx2.Response) -> list[tuple[str, dict[str, Any]]]:
    """Each ``Set-Cookie``: its name and the attributes that it has."""
    found = []
    for line in answer.headers.get_list("set-cookie"):
        ((name, morsel),) = SimpleCookie(line).items()
        found.append((name, {key: value for key, value in morsel.items() if value}))
    return found


class TestLogin:
    async def test_the_answer_has_no_token_and_the_cookies_have_them(self, stage: Stage) -> None:
        """What a page must know stands in the JSON; what opens something no script can read."""
        ada = await stage.somebody()
        browser = Browser(stage)
        answer = await browser.login(ada, device="laptop")
        assert answer.json().keys() == {
            "expires_in", "refresh_token_expires_in", "scope", "session_id", "user",
        }  # fmt: skip
        assert answer.headers["cache-control"] == "no-store"
        strict = {"httponly": True, "secure": True, "samesite": "Strict", "max-age": "2592000"}
        assert set_by(answer) == [
            (ACCESS, {"path": "/", "httponly": True, "secure": True, "samesite": "Lax", "max-age": "600"}),
            (REFRESH, {"path": "/auth", **strict}),
            (BINDER, {"path": "/", **strict}),
        ]
        (token,) = browser.held(ACCESS)
        (refresh_token,) = browser.held(REFRESH)
        assert token not in answer.text
        assert refresh_token.startswith("wwr_")
        assert (await browser.ask("GET", "/auth/me")).json()["id"] == ada.id

    async def test_nobody_gets_a_cookie_who_does_not_ask(self, stage: Stage) -> None:
        """The same log-in without ``cookie``, or with ``false``, answers tokens and sets nothing."""
        ada = await stage.somebody()
        for members in ({}, {"cookie": False}):
            answer = await stage.post_login(email=ada.email, password=PASSWORD, **members)
            assert "set-cookie" not in answer.headers
            assert answer.json()["refresh_token"].startswith("wwr_")

    async def test_a_refused_log_in_sets_nothing(self, stage: Stage) -> None:
        """A wrong password leaves the browser with what it had."""
        ada = await stage.somebody()
        browser = Browser(stage)
        body = {"email": ada.email, "password": "not-the-password", "cookie": True}
        answer = await browser.ask("POST", "/auth/login", json=body)
        problem(answer, 401, "invalid_credentials")
        assert "set-cookie" not in answer.headers

    async def test_an_older_name_of_the_log_in_sets_them_too(self, stage: Stage) -> None:
        """``POST /login``: the cookies come along, and no token stands in the answer."""
        ada = await stage.somebody()
        browser = Browser(stage)
        body = {"email": ada.email, "password": PASSWORD, "cookie": True}
        answer = await browser.ask("POST", "/login", json=body)
        assert (answer.status_code, answer.json()) == (200, {})
        assert (await browser.ask("GET", "/profile")).json()["id"] == ada.id


class TestRequests:
    async def test_every_call_of_a_user_takes_the_cookie(self, stage: Stage) -> None:
        """Reading and changing the account, its sessions, its password."""
        browser = Browser(stage)
        await browser.login(await stage.somebody())
        for method, path, body, status in (
            ("GET", "/auth/me", None, 200),
            ("PATCH", "/auth/me", {"name": "Ada"}, 200),
            ("GET", "/auth/sessions", None, 200),
            (
                "POST",
                "/auth/password",
                {"current_password": PASSWORD, "new_password": "a-longer-sentence"},
                204,
            ),
            ("DELETE", "/auth/me", {"current_password": "a-longer-sentence"}, 204),
            ("GET", "/auth/me", None, 401),
        ):
            answer = await browser.ask(method, path, json=body) if body else await browser.ask(method, path)
            assert answer.status_code == status, (method, path, answer.text)

    async def test_attack_a_script_in_the_page_carries_nothing_away(self, stage: Stage) -> None:
        """A moment after the log-in, by cookie and without the password: no key, no pair, no way in."""
        ada = await stage.somebody()
        browser = Browser(stage)
        for members in ({}, {"audience": ISSUER}):
            await browser.login(ada, **members)
            for method, path, body, status in (
                ("POST", "/auth/api-keys", {"name": "Chrome"}, 401),
                ("POST", "/auth/signing-keys", {"name": "Chrome", "jwk": KEY.public_jwk()}, 401),
                ("PATCH", "/auth/me", {"email": "eve@example.com"}, 401),
                ("DELETE", "/auth/me", {}, 401),
                ("POST", "/auth/basic", {}, 403),
            ):
                answer = await browser.ask(method, path, json=body)
                problem(answer, status, "invalid_credentials" if status == 401 else "access_denied")
        body = {"name": "mine", "current_password": PASSWORD}
        assert (await browser.ask("POST", "/auth/api-keys", json=body)).status_code == 201
        (key,) = (await browser.ask("GET", "/auth/api-keys")).json()["items"]
        assert key["name"] == "mine"
        (access,) = browser.held(ACCESS)
        bearer = {"Authorization": f"Bearer {access}"}
        assert (await stage.http.post("/auth/basic", headers=bearer)).status_code == 200

    async def test_an_administrator_needs_the_header(self, stage: Stage) -> None:
        """The admin API takes no cookie, however good: a page cannot ride an administrator."""
        root = await stage.somebody("admin")
        browser = Browser(stage)
        await browser.login(root, audience=ISSUER)
        assert await browser.status() == 200
        problem(await browser.ask("GET", "/admin/v1/users"), 401, "unauthorized")
        (token,) = browser.held(ACCESS)
        answer = await browser.ask("GET", "/admin/v1/users", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200

    async def test_a_dead_cookie_is_a_bad_token(self, stage: Stage) -> None:
        """A ban ends it at once, as it ends a bearer token."""
        ada = await stage.somebody()
        browser = Browser(stage)
        await browser.login(ada)
        root = await stage.administrator()
        answer = await stage.http.post(f"/admin/v1/users/{ada.id}/ban", json={}, headers=root.bearer)
        assert answer.status_code == 200
        problem(await browser.ask("GET", "/auth/me"), 401, "invalid_token")


class TestRefresh:
    async def test_both_are_replaced(self, stage: Stage) -> None:
        """``POST /auth/token`` without a body: two new tokens, in cookies alone."""
        browser = Browser(stage)
        before = await browser.login(await stage.somebody())
        old = browser.held(ACCESS) | browser.held(REFRESH)
        stage.clock.forward(minutes=11)
        assert await browser.status() == 401
        answer = await browser.ask("POST", "/auth/token")
        assert answer.status_code == 200
        assert answer.json() == {
            "expires_in": 600,
            "refresh_token_expires_in": 2_592_000,
            "scope": before.json()["scope"],
            "session_id": before.json()["session_id"],
        }
        assert [name for name, _ in set_by(answer)] == [ACCESS, REFRESH, BINDER]
        new = browser.held(ACCESS) | browser.held(REFRESH)
        assert len(new) == 2
        assert not new & old
        assert await browser.status() == 200

    async def test_a_narrower_scope_may_be_asked_for(self, stage: Stage) -> None:
        """The body still says what it may say, all but the token."""
        browser = Browser(stage)
        await browser.login(await stage.somebody())
        answer = await browser.ask("POST", "/auth/token", json={"scope": "profile:beyond"})
        problem(answer, 422, "invalid_scope")
        assert (await browser.ask("POST", "/auth/token")).status_code == 200

    async def test_three_tabs_at_once_stay_in(self, stage: Stage) -> None:
        """Within the grace the same cookie gives the same successor, and all three go on."""
        browser = Browser(stage)
        await browser.login(await stage.somebody())
        (old,), (binder,) = browser.held(REFRESH), browser.held(BINDER)
        cookie = {"Cookie": f"{REFRESH}={old}; {BINDER}={binder}", **OURS}
        answers = [await stage.http.post("/auth/token", headers=cookie) for _ in range(3)]
        values = {answer.headers.get_list("set-cookie")[1].partition(";")[0] for answer in answers}
        assert len(values) == 1
        assert (await browser.ask("POST", "/auth/token")).status_code == 200

    async def test_a_replay_ends_the_session_and_clears_the_browser(self, stage: Stage) -> None:
        """Past the grace a spent cookie is a stolen one; a browser that shows it has nothing left to send."""
        browser = Browser(stage)
        await browser.login(await stage.somebody())
        (old,) = browser.held(REFRESH)
        assert (await browser.ask("POST", "/auth/token")).status_code == 200
        stage.clock.forward(seconds=11)
        cookie = {"Cookie": f"{REFRESH}={old}", **OURS}
        answer = await stage.http.post("/auth/token", headers=cookie)
        problem(answer, 401, "invalid_grant")
        assert {attributes["max-age"] for _, attributes in set_by(answer)} == {"0"}
        assert await browser.status() == 401
        assert len(await stage.events("refresh_token_replayed")) == 1

    async def test_without_a_cookie_or_a_body_the_token_is_missing(self, stage: Stage) -> None:
        """The field is named, as before."""
        document = problem(await stage.http.post("/auth/token"), 422, "invalid_input")
        assert document["errors"] == [{"field": "refresh_token", "message": "is missing"}]


class TestLogout:
    async def test_both_are_forgotten_and_the_session_is_over(self, stage: Stage) -> None:
        """204, an empty jar, and the tokens dead for whoever copied them."""
        browser = Browser(stage)
        await browser.login(await stage.somebody())
        (token,) = browser.held(ACCESS)
        answer = await browser.ask("POST", "/auth/logout")
        assert answer.status_code == 204
        assert [name for name, _ in set_by(answer)] == [ACCESS, REFRESH, BINDER]
        assert not browser.http.cookies
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await stage.http.get("/auth/me", headers=bearer)).status_code == 401
        assert len(await stage.events("session.ended")) == 1

    async def test_the_access_cookie_alone_will_do(self, stage: Stage) -> None:
        """Under an older path the browser sends no refresh cookie, and is logged out all the same."""
        browser = Browser(stage)
        await browser.login(await stage.somebody())
        assert (await browser.ask("POST", "/api/v1/logout")).status_code == 204
        assert await browser.status() == 401
        assert not browser.http.cookies

    async def test_everywhere_is_everywhere(self, stage: Stage) -> None:
        """One page ends all sessions of its user."""
        ada = await stage.newcomer()
        browser = Browser(stage)
        await browser.login(ada)
        assert (await browser.ask("POST", "/auth/logout", json={"everywhere": True})).status_code == 204
        assert (await stage.http.get("/auth/me", headers=ada.bearer)).status_code == 401

    @pytest.mark.parametrize("name", [ACCESS, REFRESH])
    async def test_what_is_no_token_is_cleared_too(self, stage: Stage, name: str) -> None:
        """401, and the browser forgets the nonsense."""
        answer = await stage.http.post("/auth/logout", headers={"Cookie": f"{name}=nonsense", **OURS})
        assert answer.status_code == 401
        assert {attributes["max-age"] for _, attributes in set_by(answer)} == {"0"}


class TestSettings:
    async def test_plain_http_on_this_machine_has_plain_names(self) -> None:
        """A browser keeps no ``Secure`` cookie of an http server, so on loopback there is none."""
        async with open_stage(issuer="http://127.0.0.1:8080") as stage:
            browser = Browser(stage, "http://127.0.0.1:8080")
            answer = await browser.login(await stage.somebody())
            assert {name for name, _ in set_by(answer)} == {"watchword", "watchword-refresh"}
            assert not [1 for _, attributes in set_by(answer) if "secure" in attributes]
            assert await browser.status() == 200

    async def test_a_domain_shares_them_among_its_hosts(self) -> None:
        """An API on another host gets the access cookie; the name says that it is not this host's alone."""
        async with open_stage(cookie_domain="example.com", cookie_same_site="Strict") as stage:
            answer = await Browser(stage).login(await stage.somebody())
            first, second, binder = set_by(answer)
            assert first[0] == "__Secure-watchword"
            assert {cookie[1]["domain"] for cookie in (first, second)} == {"example.com"}
            assert (binder[0], binder[1].get("domain")) == (BINDER, None)
            assert first[1]["samesite"] == "Strict"

    async def test_an_issuer_with_a_path_has_its_refresh_cookie_there(self) -> None:
        """The browser sends it where a proxy hands on to us, and nowhere else."""
        async with open_stage(issuer="https://example.com/login") as stage:
            body = {"email": (await stage.somebody()).email, "password": PASSWORD, "cookie": True}
            answer = await stage.http.post("/auth/login", json=body, headers=OURS)
            paths = [attributes["path"] for _, attributes in set_by(answer)]
            assert paths == ["/", "/login/auth", "/"]

    async def test_a_server_without_cookie_mode_neither_sets_nor_takes(self) -> None:
        """``COOKIES=false``: asking is bad input, and a cookie is no credential."""
        async with open_stage(cookies="false") as stage:
            ada = await stage.newcomer()
            body = {"email": ada.email, "password": PASSWORD, "cookie": True}
            document = problem(
                await stage.http.post("/auth/login", json=body, headers=OURS), 422, "invalid_input"
            )
            assert [fault["field"] for fault in document["errors"]] == ["cookie"]
            cookie = {"Cookie": f"{ACCESS}={ada.tokens['access_token']}", **OURS}
            problem(await stage.http.get("/auth/me", headers=cookie), 401, "unauthorized")
            schemes = (await stage.http.get("/openapi.json")).json()["components"]["securitySchemes"]
            assert list(schemes) == ["bearer"]

    async def test_a_token_that_no_browser_would_keep_is_refused(self) -> None:
        """Over 4096 bytes browsers drop a cookie without a word; here the word is said."""
        async with open_stage(claims=",".join(f"{letter}=name" for letter in "abcdefghij")) as stage:
            ada = await stage.somebody(name="é" * 200)
            body = {"email": ada.email, "password": PASSWORD, "cookie": True}
            document = problem(
                await stage.http.post("/auth/login", json=body, headers=OURS), 422, "invalid_input"
            )
            assert [fault["field"] for fault in document["errors"]] == ["cookie"]

    async def test_the_document_names_them(self, stage: Stage) -> None:
        """``/openapi.json``: where which cookie will do."""
        document = (await stage.http.get("/openapi.json")).json()
        schemes = document["components"]["securitySchemes"]
        assert schemes["cookie"] == {"type": "apiKey", "in": "cookie", "name": ACCESS}
        assert schemes["refresh"] == {"type": "apiKey", "in": "cookie", "name": REFRESH}
        security = {
            (method, path): [name for one in operation.get("security", [{}]) for name in one]
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }
        assert security["get", "/auth/me"] == ["bearer", "cookie"]
        assert security["post", "/auth/token"] == ["refresh"]
        assert security["post", "/auth/logout"] == ["bearer", "cookie", "refresh"]
        assert security["get", "/admin/v1/users"] == ["bearer"]
