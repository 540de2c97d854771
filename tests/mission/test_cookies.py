"""Browsers: the same log-in, kept where no script can read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.mission.stage import Server, User, start_server, within

PROGRAM = {"X-CSRF": "1"}


def login(http: httpx2.Client, user: User) -> httpx2.Response:
    body: dict[str, Any] = {"email": user.email, "password": user.password, "cookie": True}
    answer = http.post("/auth/login", json=body, headers=PROGRAM)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture
def browser(server: Server) -> Iterator[httpx2.Client]:
    """A client that keeps cookies, of its own for each test."""
    with httpx2.Client(base_url=server.url, timeout=30) as client:
        yield client


class TestOneApi:
    def test_s38_a_page_and_an_app_use_the_same_api(
        self, server: Server, browser: httpx2.Client, payroll: httpx2.Client
    ) -> None:
        """One user, two sessions: the app shows its token, the browser its cookie, and the API answers both alike."""
        user = server.newcomer()
        login(browser, user)
        page = {"Cookie": f"watchword={browser.cookies['watchword']}"}
        by_cookie, by_header = payroll.get("/me", headers=page), payroll.get("/me", headers=user.bearer)
        assert (by_cookie.status_code, by_cookie.json()) == (by_header.status_code, by_header.json())
        assert by_header.json()["detail"] == "you are not on the payroll yet"
        assert payroll.get("/me", headers={**page, **user.bearer}).status_code == 400
        server.manage("user", "ban", user.email)
        within(2, payroll, "/me", user, 401)
        assert payroll.get("/me", headers=page).status_code == 401

    def test_s38_a_page_may_pay_and_another_site_s_page_may_not(
        self, server: Server, browser: httpx2.Client, payroll: httpx2.Client
    ) -> None:
        """The administrator's cookie comes with both requests; only one was made by a page that may."""
        login(browser, server.administrator())
        page = {"Cookie": f"watchword={browser.cookies['watchword']}"}
        order = {"employee_id": 1, "month": "2030-01", "amount_cents": 100}
        for fields in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
            answer = payroll.post("/payments", json=order, headers={**page, **fields})
            assert (answer.status_code, answer.json()["error"]) == (403, "cross_site")
        own = {**page, "Sec-Fetch-Site": "same-origin"}
        assert payroll.post("/payments", json=order, headers=own).status_code == 201


class TestSessionCookie:
    def test_s66_a_log_in_may_be_a_cookie(self, server: Server, browser: httpx2.Client) -> None:
        """Logged in, asked, refreshed and logged out without a token in any answer or field of ours."""
        user = server.register()
        session_id = login(browser, user).json()["session_id"]
        assert browser.get("/auth/me").json()["id"] == user.id
        refreshed = browser.post("/auth/token", headers=PROGRAM)
        assert refreshed.json()["session_id"] == session_id
        (session,) = browser.get("/auth/sessions").json()["items"]
        assert (session["id"], session["current"]) == (session_id, True)
        stolen = dict(browser.cookies)
        assert browser.post("/auth/logout", headers=PROGRAM).status_code == 204
        assert not browser.cookies
        assert httpx2.get(f"{server.url}/auth/me", cookies=stolen).status_code == 401

    def test_s66_another_site_s_page_cannot_use_it(self, server: Server, browser: httpx2.Client) -> None:
        """The browser sends the cookie and says from where; the server believes the second."""
        login(browser, server.register())
        for field in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
            answer = browser.patch("/auth/me", json={"name": "Eve"}, headers=field)
            assert (answer.status_code, answer.json()["error"]) == (403, "cross_site")
        assert browser.get("/auth/me").json()["name"] is None

    def test_s40_no_script_can_read_a_token(self, server: Server, browser: httpx2.Client) -> None:
        """Neither token stands in an answer, and every cookie is ``HttpOnly``."""
        answers = [login(browser, server.register()), browser.post("/auth/token", headers=PROGRAM)]
        for answer in answers:
            cookies = answer.headers.get_list("set-cookie")
            assert len(cookies) == 2
            for cookie in cookies:
                assert "; HttpOnly" in cookie
                assert cookie.partition("=")[2].partition(";")[0] not in answer.text

    def test_s67_the_cookie_has_the_name_that_clients_know(self, tmp_path: Any) -> None:
        """A client that passes a ``JSESSIONID`` along passes ours."""
        server = start_server(tmp_path / "server", WATCHWORD_COOKIE_NAME="JSESSIONID")
        try:
            user = server.register()
            login(server.http, user)
            session = {"Cookie": f"JSESSIONID={server.http.cookies['JSESSIONID']}"}
            server.http.cookies.clear()
            assert server.http.get("/api/v1/findUser", headers=session).json()["id"] == user.id
            assert server.http.post("/api/v1/logout", headers={**session, **PROGRAM}).status_code == 204
            assert server.http.get("/api/v1/findUser", headers=session).status_code == 401
        finally:
            server.process.stop()
