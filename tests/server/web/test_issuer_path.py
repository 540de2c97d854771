"""An issuer with a path, seen from outside of what stands in front: everything is below the path, and answers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.mailroom import Mailroom, open_mailroom
from tests.server.login.test_recovery import Post, sending
from tests.server.pages.test_pages import Page
from tests.server.stage import PASSWORD, Somebody, open_stage, problem
from tests.server.web.fronts import FRONTS, Front
from tests.server.wire import open_wire
from watchword.errors import ConfigurationError
from watchword.server.app import create_app
from watchword.server.routes import ROUTES
from watchword.server.settings import Settings
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio

HOST = "https://example.com"
ISSUER = f"{HOST}/identity"
OURS = {"Sec-Fetch-Site": "same-origin", "Origin": HOST}
WELL_KNOWN = "/.well-known/oauth-authorization-server"
TEMPLATES = files("watchword.server.pages").joinpath("templates")
HEADINGS = {
    heading.replace("{{ email }}", "root@example.com")
    for template in TEMPLATES.iterdir()
    for heading in re.findall("<h1>(.*)</h1>", template.read_text())
}
"""Of every page there is."""


@pytest.fixture
def room() -> Iterator[Mailroom]:
    with open_mailroom(Mailroom()) as opened:
        yield opened


@dataclass
class Visitor:
    """A browser that sees the host of an issuer with a path, and goes where it is told to."""

    post: Post
    front: Front
    issuer: str
    http: httpx2.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        transport = httpx2.ASGITransport(app=self.front, client=("127.0.0.1", 4711))
        self.http = httpx2.AsyncClient(transport=transport, base_url=self.issuer)

    def check(self, url: str) -> None:
        """Nothing that the server names lies beside the issuer."""
        assert url == self.issuer or url.startswith(f"{self.issuer}/"), url

    async def answers(self, url: str) -> None:
        """Some method of *url* has a route."""
        self.check(url)
        assert (await self.http.options(url)).status_code == 204, url

    async def walk(self, *urls: str) -> set[str]:
        """Open *urls* and all that their pages name, forms included; which pages were seen, by their headings."""
        waiting, done, headings = [("GET", url, {}) for url in urls], set[tuple[str, str]](), set[str]()
        while waiting:
            method, url, fields = waiting.pop(0)
            if (method, url) in done:
                continue
            done.add((method, url))
            more: dict[str, Any] = {"data": fields} if method == "POST" else {}
            answer = await self.http.request(method, url, headers=OURS, **more)
            assert "location" not in answer.headers
            assert "application/problem+json" not in answer.headers["content-type"], (url, answer.text)
            for named in re.findall(rf"{HOST}[^\s\"'<&]*", answer.text):
                self.check(named)
            if "text/html" not in answer.headers["content-type"]:
                assert answer.status_code == 200, url
                continue
            page = Page(answer.text)
            headings.add(re.findall("<h1>(.*)</h1>", answer.text)[0])
            for tag, attributes in page.elements:
                for name in ("href", "src", "action"):
                    if (target := attributes.get(name)) is None:
                        continue
                    place = urljoin(url, target).partition("#")[0]
                    self.check(place)
                    sent = {one["name"]: one.get("value") or self.given(one) for one in page.all("input")}
                    waiting.append(("POST", place, sent) if tag == "form" else ("GET", place, {}))
        return headings

    @staticmethod
    def given(entry: dict[str, str | None]) -> str:
        return {"email": "root@example.com", "password": PASSWORD}.get(str(entry["name"]), "")

    async def mailed(self, address: str) -> str:
        """The link in the newest mail to *address*."""
        await self.post.settled()
        return self.post.room.to(address)[-1].link

    async def login(self, somebody: Somebody) -> httpx2.Response:
        body = {"email": somebody.email, "password": PASSWORD, "cookie": True}
        answer = await self.http.post("/auth/login", json=body, headers=OURS)
        assert answer.status_code == 200, answer.text
        return answer


@asynccontextmanager
async def visiting(room: Mailroom, kind: str, issuer: str = ISSUER) -> AsyncIterator[Visitor]:
    async with sending(room, issuer=issuer) as post:
        visitor = Visitor(post, Front(kind, post.stage.app, urlsplit(issuer).path), issuer)
        async with visitor.http:
            yield visitor


@pytest.fixture(params=FRONTS)
async def visitor(request: pytest.FixtureRequest, room: Mailroom) -> AsyncIterator[Visitor]:
    async with visiting(room, request.param) as found:
        yield found


class TestWalk:
    async def test_f_b27_every_page_stays_below_the_path(self, visitor: Visitor) -> None:
        """Pages, links, forms, styles, mails: each URL lies within the issuer, and what is there answers."""
        stage = visitor.post.stage
        ada, bob = await stage.newcomer(), await stage.verified()
        given = await stage.services.recovery.link((await stage.somebody()).id, Origin(actor="command-line"))
        await visitor.http.post("/forgot", data={"email": bob.email}, headers=OURS)
        moved = {"email": "moved@example.com", "current_password": PASSWORD}
        answer = await visitor.http.patch("/auth/me", json=moved, headers=ada.bearer)
        assert answer.status_code == 202
        links = [given, await visitor.mailed(bob.email), await visitor.mailed("moved@example.com")]
        token = await stage.services.setup.offer()
        setup = f"{ISSUER}/setup?token={token}"
        pages = [f"{ISSUER}{route.path}" for route in ROUTES if route.method == "GET" and is_page(route.path)]
        headings = await visitor.walk(*links, setup, *pages)
        headings |= await visitor.walk(*links, setup)  # once more, now that they are spent
        async with open_stage(issuer=ISSUER) as silent:
            front = Front(visitor.front.kind, silent.app, "/identity")
            headings |= await Visitor(visitor.post, front, ISSUER).walk(f"{ISSUER}/forgot")
        assert headings == HEADINGS
        for mail in visitor.post.room.mails:
            for url in re.findall(r"https?://\S+", mail.text):
                visitor.check(url)
        assert visitor.front.strays == []

    async def test_f_b27_every_document_names_what_answers(self, visitor: Visitor) -> None:
        """Each endpoint of the metadata, each path of the OpenAPI document, each curl line."""
        metadata = (await visitor.http.get(WELL_KNOWN)).json()
        assert metadata["issuer"] == ISSUER
        assert (await visitor.http.get(f"{HOST}{WELL_KNOWN}/identity")).json() == metadata
        for name, value in metadata.items():
            if isinstance(value, str) and name != "issuer":
                await visitor.answers(value)
        document = (await visitor.http.get("/openapi.json")).json()
        (server,) = document["servers"]
        for path in document["paths"]:
            await visitor.answers(server["url"] + path.replace("{", "").replace("}", ""))
        for line in re.findall(r"curl (?:-X \w+ )?([^\s<]+)", (await visitor.http.get("/docs")).text):
            await visitor.answers(line.replace("$", ""))

    async def test_f_b27_every_route_answers_with_the_path_and_without(self, visitor: Visitor) -> None:
        """Not beside it: ``/identityx`` is another name, and the path is taken off once."""
        for route in ROUTES:
            path = re.sub(r"\{(\w+)(?::path)?\}", r"\1", route.path)
            await visitor.answers(ISSUER + path)
            assert (await visitor.post.stage.http.options(HOST + path)).status_code == 204
        for path in (
            "/identityx/healthz",
            "/identity/identity/healthz",
            "/Identity/healthz",
            "//identity/healthz",
        ):
            problem(await visitor.post.stage.http.get(HOST + path), 404, "not_found")
        for path in (f"/identity{WELL_KNOWN}/identity", f"{WELL_KNOWN}/other", f"{WELL_KNOWN}/identity/"):
            problem(await visitor.post.stage.http.get(HOST + path), 404, "not_found")

    async def test_f_b27_older_names_answer_below_the_path(self, visitor: Visitor) -> None:
        """The aliases, with their own answers."""
        ada = await visitor.post.stage.somebody()
        answer = await visitor.http.post("/login", json={"email": ada.email, "password": PASSWORD})
        bearer = {"Authorization": f"Bearer {answer.json()['token']}"}
        assert (await visitor.http.get("/profile", headers=bearer)).json()["email"] == ada.email

    async def test_f_b27_no_field_of_a_request_chooses_the_path(self, visitor: Visitor) -> None:
        """Whatever a client or a proxy writes, the path is that of the settings."""
        fields = {
            "X-Forwarded-Prefix": "/evil", "X-Script-Name": "/evil", "X-Original-URI": "/evil/healthz",
            "X-Forwarded-Path": "/evil", "Host": "evil.example", "Forwarded": "host=evil.example;proto=https",
        }  # fmt: skip
        for path in ("/", "/docs", "/openapi.json", WELL_KNOWN, "/forgot"):
            answer = await visitor.http.get(path, headers=fields)
            assert answer.status_code == 200, path
            assert "evil" not in answer.text
            assert "/identity" in answer.text


class TestCookies:
    async def test_f_b27_a_browser_sends_its_cookies_where_they_are_read(self, visitor: Visitor) -> None:
        """The refresh cookie below the path; those with ``__Host-`` at the root, which that prefix demands."""
        ada = await visitor.post.stage.somebody()
        answer = await visitor.login(ada)
        paths = {line.partition("=")[0]: line for line in answer.headers.get_list("set-cookie")}
        assert {name: re.findall("Path=([^;]*)", line)[0] for name, line in paths.items()} == {
            "__Host-watchword": "/",
            "__Secure-watchword-refresh": "/identity/auth",
            "__Host-watchword-binder": "/",
        }
        assert (await visitor.http.get("/auth/me", headers=OURS)).json()["email"] == ada.email
        refreshed = await visitor.http.post("/auth/token", headers=OURS)
        assert refreshed.status_code == 200, refreshed.text
        assert (await visitor.http.post("/auth/logout", headers=OURS)).status_code == 204
        assert [cookie.name for cookie in visitor.http.cookies.jar] == []

    async def test_f_b27_a_planted_refresh_cookie_is_cleared_below_the_path(self, visitor: Visitor) -> None:
        """By every path with which it can have come."""
        ada = await visitor.post.stage.somebody()
        await visitor.login(ada)
        held = "; ".join(f"{cookie.name}={cookie.value}" for cookie in visitor.http.cookies.jar)
        planted = f"{held}; __Secure-watchword-refresh=planted"
        visitor.http.cookies.clear()
        answer = await visitor.http.post("/auth/token", headers={**OURS, "Cookie": planted})
        lines = answer.headers.get_list("set-cookie")
        assert any("__Secure-watchword-refresh=; Path=/identity/auth/token;" in line for line in lines), lines

    async def test_f_b27_other_origins_are_told_apart_by_their_host(self, visitor: Visitor) -> None:
        """An origin has no path: the issuer's is the host's, and only that one's forms are taken."""
        for origin, status in ((HOST, 404), ("https://evil.example", 403), (ISSUER, 403)):
            answer = await visitor.http.post("/setup", data={"token": "x"}, headers={"Origin": origin})
            assert answer.status_code == status, origin

    @pytest.mark.parametrize("issuer", ["https://Example.com:443/identity", "https://example.com:0443"])
    async def test_f_b27_an_issuer_in_another_spelling_takes_its_own_forms(self, issuer: str) -> None:
        """Browsers write an origin in small letters, without the port of its scheme (RFC 6454 6.2)."""
        async with open_stage(issuer=issuer) as stage:
            for origin, status in ((HOST, 404), ("https://evil.example", 403)):
                answer = await stage.http.post("/setup", data={"token": "x"}, headers={"Origin": origin})
                assert answer.status_code == status, origin


class TestMounted:
    async def test_f_b27_an_application_mounts_it_at_the_path(self) -> None:
        """Starlette hands on the whole path and says in ``root_path`` which part is its own."""
        async with open_stage(issuer=ISSUER) as stage:
            outer = Starlette(routes=[Mount("/identity", stage.app)])
            http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=outer), base_url=HOST)
            async with http:
                assert (await http.get(f"/identity{WELL_KNOWN}")).json()["issuer"] == ISSUER
                assert 'href="/identity/static/watchword.css"' in (await http.get("/identity/")).text

    async def test_f_b27_a_mount_that_clients_do_not_see(self) -> None:
        """A proxy turns the issuer's URL into another path: what was mounted there answers, in the issuer's name."""
        async with open_stage(issuer=HOST) as stage:
            outer = Starlette(routes=[Mount("/inner/auth", stage.app)])
            http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=outer), base_url=HOST)
            async with http:
                assert (await http.get("/inner/auth/healthz")).status_code == 200
                assert 'href="/static/watchword.css"' in (await http.get("/inner/auth/")).text
                assert (await http.get("/inner/auth/nothing")).status_code == 404


class TestOwnPaths:
    @pytest.mark.parametrize("kind", FRONTS)
    async def test_f_b27_a_path_that_is_also_ours_answers(self, room: Mailroom, kind: str) -> None:
        """``/auth`` is a usual choice: ``/auth/login`` is the log-in, whoever has taken off what."""
        async with visiting(room, kind, f"{HOST}/auth") as visitor:
            for route in ROUTES:
                await visitor.answers(f"{HOST}/auth" + re.sub(r"\{(\w+)(?::path)?\}", r"\1", route.path))
            await visitor.login(await visitor.post.stage.somebody())
            assert (await visitor.http.post("/auth/token", headers=OURS)).status_code == 200

    @pytest.mark.parametrize("path", ["/static", "/auth/password", "/auth/sessions", "/admin/v1/users"])
    async def test_f_b27_a_path_below_which_two_routes_would_meet_is_refused(self, path: str) -> None:
        """``/auth/password`` + ``/forgot`` is an endpoint with and without it."""
        async with open_stage() as stage:
            settings = Settings.load({"issuer": HOST + path})
            with pytest.raises(ConfigurationError, match=f"issuer: {path} "):
                create_app(settings, stage.services)

    @pytest.mark.parametrize(
        "path",
        [
            "/a//b",
            "/./a",
            "/a/..",
            "/a;b",
            "/a%20b",
            "/a%2e",
            '/"',
            "/<b>",
            "/a,b",
            "/{x}",
            "/$HOME",
            "/a'b",
            "/a\\b",
        ],
    )
    def test_f_b27_a_path_that_would_be_another_elsewhere_is_refused(self, path: str) -> None:
        """Clients, cookies, shells and proxies would read it otherwise; the line names it."""
        with pytest.raises(ConfigurationError, match="issuer: the path "):
            Settings.load({"issuer": HOST + path})

    @pytest.mark.parametrize("path", ["/identity", "/a/b-c_d.e~f/1", "/@org:1+x=y", "/.well-known", "/..a"])
    def test_f_b27_a_plain_path_is_taken(self, path: str) -> None:
        assert Settings.load({"issuer": HOST + path}).issuer == HOST + path


class TestWire:
    async def test_f_b27_documents_are_answered_at_once_below_the_path_too(self) -> None:
        """On connections of ours, without a task for each; without a path there is nothing in front at all."""
        async with open_wire(issuer="http://127.0.0.1:8080/identity") as wire:
            for path in ("/.well-known/jwks.json", WELL_KNOWN, "/healthz"):
                assert {path, f"/identity{path}"} <= set(wire.stage.app.instant)
                assert (await wire.ask(f"GET /identity{path} HTTP/1.1")).status == 200
            assert f"{WELL_KNOWN}/identity" in wire.stage.app.instant
            assert (await wire.ask(f"GET {WELL_KNOWN}/identity HTTP/1.1")).status == 200
        async with open_stage() as plain:
            assert all(path in {route.path for route in ROUTES} for path in plain.app.instant)


def is_page(path: str) -> bool:
    return any(route.path == path and route.media_type == "text/html" for route in ROUTES)
