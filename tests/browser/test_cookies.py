"""Cookie mode in a browser: what its walls and ours let through, and to whom."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.stage import arrived, call, page_at, shoot
from tests.certificates import certificate
from tests.mission.stage import ADMIN, Process, Server, environment, free_port, start_payroll, start_server

pytestmark = pytest.mark.browser

LOGIN = {"email": ADMIN[0], "password": ADMIN[1], "cookie": True}
ORDER = {"employee_id": 1, "month": "2030-01", "amount_cents": 100}


@dataclass
class Site:
    """A server and an API beside it; the API's origin is where the page stands."""

    server: Server
    api: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """On one machine, by plain HTTP."""
    folder = tmp_path_factory.mktemp("site")
    port = free_port()
    page = f"http://127.0.0.1:{port}"
    server = start_server(folder / "server", WATCHWORD_COOKIE_ORIGINS=page, WATCHWORD_LOG_FORMAT="json")
    payroll = start_payroll(folder / "payroll", server.url, port=port)
    try:
        yield Site(server, payroll.url)
    finally:
        server.http.close()
        payroll.stop()
        assert server.process.stop() == 0


@pytest.fixture
def page(person: BrowserContext, site: Site) -> Page:
    """The API's own page, whose user has logged in."""
    page = page_at(person, site.api)
    status, body = call(page, "POST", f"{site.server.url}/auth/login", LOGIN)
    assert (status, body["user"]["email"]) == (200, ADMIN[0])
    assert not {"access_token", "refresh_token"} & body.keys()
    return page


class TestPage:
    def test_s66_a_page_lives_on_cookies_alone(self, site: Site, page: Page) -> None:
        """It reads, pays, refreshes and logs out; no script of it ever holds a token."""
        assert page.evaluate("document.cookie") == ""
        assert {cookie["httpOnly"] for cookie in page.context.cookies()} == {True}
        assert (
            call(page, "GET", f"{site.api}/me")[0] == 404
        )  # not on the payroll, which an administrator need not be
        assert call(page, "POST", f"{site.api}/payments", ORDER)[0] == 201
        assert call(page, "POST", f"{site.server.url}/auth/token")[0] == 200
        assert call(page, "GET", f"{site.server.url}/auth/me")[1]["email"] == ADMIN[0]
        assert call(page, "POST", f"{site.server.url}/auth/logout") == (204, "")
        assert page.context.cookies() == []
        assert call(page, "GET", f"{site.api}/me")[0] == 401

    def test_s66_two_tabs_refresh_at_once(self, site: Site, page: Page) -> None:
        """Ten refreshes of one cookie at one moment: all are answered, and the session lives."""
        url = f"{site.server.url}/auth/token"
        statuses = page.evaluate(
            "url => Promise.all(Array.from({length: 10}, () =>"
            " fetch(url, {method: 'POST', credentials: 'include'}).then(answer => answer.status)))",
            url,
        )
        assert statuses == [200] * 10
        assert call(page, "POST", url)[0] == 200


class TestOthers:
    @pytest.mark.parametrize(
        ("host", "cookies_come"),
        [("http://localhost:8100", False), ("http://127.0.0.1:8100", True)],
        ids=["another site", "a neighbour"],
    )
    def test_s66_a_page_of_others_does_nothing(
        self, site: Site, page: Page, host: str, cookies_come: bool
    ) -> None:
        """What any page may send arrives and is refused: a neighbour's with the cookies, since ``SameSite`` lets it."""
        other = page_at(page.context, host)
        log = site.server.process.log
        before = {path: len(arrived(log, path)) for path in ("/auth/logout", "/auth/login")}
        shoot(other, "POST", f"{site.server.url}/auth/logout", "")
        shoot(other, "POST", f"{site.server.url}/auth/login", "{}")
        answers = {path: arrived(log, path)[seen:] for path, seen in before.items()}
        assert answers == {"/auth/logout": [403 if cookies_come else 401], "/auth/login": [415]}
        # With JSON, or to read an answer, it needs the leave of CORS and does not get it.
        for method, url, body in (
            ("GET", f"{site.server.url}/auth/me", None),
            ("GET", f"{site.api}/me", None),
            ("POST", f"{site.server.url}/auth/login", LOGIN),
            ("POST", f"{site.api}/payments", ORDER),
        ):
            assert call(other, method, url, body)[0] == 0
        assert call(page, "GET", f"{site.server.url}/auth/me")[1]["email"] == ADMIN[0]

    @pytest.mark.parametrize(
        ("host", "refusal"),
        [("http://localhost:8100", 401), ("http://127.0.0.1:8100", 403)],
        ids=["another site", "a neighbour"],
    )
    def test_s66_a_form_of_others_is_refused(self, site: Site, page: Page, host: str, refusal: int) -> None:
        """A form that submits itself is the oldest trick: no payment is made of it, and nobody is logged out."""
        for target, status in ((f"{site.server.url}/auth/logout", 415), (f"{site.api}/payments", refusal)):
            form = f'<form method="post" action="{target}"><input name="everywhere" value="true"></form>'
            other = page_at(page.context, host, form)
            with other.expect_navigation() as landing:
                other.evaluate("document.forms[0].submit()")
            assert landing.value is not None
            assert landing.value.status == status
        assert call(page, "GET", f"{site.server.url}/auth/me")[0] == 200


class TestTls:
    @pytest.fixture
    def issuer(self, tmp_path: Path) -> Iterator[str]:
        """A server with a certificate, under a name of its own."""
        cert_file, key_file = certificate(tmp_path)
        port = free_port()
        issuer = f"https://auth.watchword.test:{port}"
        settings = {
            "WATCHWORD_DATA_DIR": str(tmp_path / "data"),
            "WATCHWORD_ISSUER": issuer,
            "WATCHWORD_PASSWORD_HASH": "test",
            "WATCHWORD_ADMIN_EMAIL": ADMIN[0],
            "WATCHWORD_ADMIN_PASSWORD": ADMIN[1],
        }
        arguments = ["-m", "watchword", "serve", "--port", str(port)]
        arguments += ["--tls-cert", str(cert_file), "--tls-key", str(key_file)]
        trust = ssl.create_default_context(cafile=str(cert_file))
        process = Process(arguments, environment(**settings), tmp_path, f"https://127.0.0.1:{port}", trust)
        process.start("/readyz")
        yield issuer
        assert process.stop() == 0

    def test_s66_the_prefixes_hold(self, person: BrowserContext, issuer: str) -> None:
        """A browser takes ``__Host-`` and ``__Secure-`` as we set them, sends them back and lets nobody plant one."""
        page = page_at(person, issuer)
        assert call(page, "POST", f"{issuer}/auth/login", LOGIN)[0] == 200
        kept = {cookie["name"]: cookie for cookie in person.cookies()}
        assert {name: (kept[name]["path"], kept[name]["sameSite"]) for name in kept} == {
            "__Host-watchword": ("/", "Lax"),
            "__Secure-watchword-refresh": ("/auth", "Strict"),
            "__Host-watchword-binder": ("/", "Strict"),
        }
        assert all(cookie["httpOnly"] and cookie["secure"] for cookie in kept.values())
        neighbour = page_at(person, "https://blog.watchword.test")
        for name in ("__Host-watchword", "__Host-watchword-binder"):
            neighbour.evaluate(f"document.cookie = '{name}=mine; Secure; Path=/; Domain=watchword.test'")
        assert len(person.cookies()) == 3
        assert call(page, "GET", f"{issuer}/auth/me")[1]["email"] == ADMIN[0]
        assert call(page, "POST", f"{issuer}/auth/token")[0] == 200
        assert call(page, "POST", f"{issuer}/auth/logout")[0] == 204
        assert person.cookies() == []

    def test_f_s9_a_neighbour_plants_refresh_cookies(self, person: BrowserContext, issuer: str) -> None:
        """Planted for every path of a parent domain, they change nothing and are gone after one refresh."""
        page = page_at(person, issuer)
        neighbour = page_at(person, "https://blog.watchword.test")
        plant = """paths => paths.forEach(path => document.cookie =
            `__Secure-watchword-refresh=planted; Secure; Domain=watchword.test; Path=${path}`)"""
        for call_of_page, left in (("/auth/token", 3), ("/auth/logout", 0)):
            assert call(page, "POST", f"{issuer}/auth/login", LOGIN)[0] == 200
            neighbour.evaluate(plant, ["/", "/auth", "/auth/", call_of_page])
            assert len(person.cookies()) == 7
            status, _ = call(page, "POST", f"{issuer}{call_of_page}")
            assert status == (200 if left else 204)
            assert len(person.cookies()) == left
        neighbour.evaluate(plant, ["/", "/auth", "/auth/", "/auth/token"])
        assert call(page, "POST", f"{issuer}/auth/token")[0] == 401
        assert person.cookies() == []
