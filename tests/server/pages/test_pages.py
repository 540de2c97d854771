"""The pages: landing, documents, set-up of the first administrator."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import httpx2
import pytest

from tests.server.stage import ISSUER, PASSWORD, Stage, problem
from watchword.server.routes import ROUTES

pytestmark = pytest.mark.anyio

FORM = {"email": "root@example.com", "password": PASSWORD, "name": "Root"}
VOID = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    """What a page holds: its elements, links and inputs; that each element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


async def read(stage: Stage, path: str, status: int = 200) -> Page:
    answer = await stage.http.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Page(answer.text)


async def link(stage: Stage) -> str:
    token = await stage.services.setup.offer()
    assert token is not None
    return token


async def submit(
    stage: Stage, token: str, headers: dict[str, str] | None = None, **members: str
) -> httpx2.Response:
    return await stage.http.post("/setup", data={"token": token, **FORM, **members}, headers=headers)


class TestPages:
    async def test_req_s07_no_page_needs_a_script_or_another_host(self, stage: Stage) -> None:
        """No script, no inline style, no event attribute; every link stays on this server and leads somewhere."""
        token = await link(stage)
        ids = {entry["id"] for _, entry in (await read(stage, "/docs")).elements if "id" in entry}
        for path, status in (("/", 200), ("/docs", 200), (f"/setup?token={token}", 200), ("/setup", 404)):
            page = await read(stage, path, status)
            assert page.all("script") == page.all("style") == page.all("iframe") == []
            for tag, attributes in page.elements:
                assert not any(name == "style" or name.startswith("on") for name in attributes), tag
                for name in ("href", "src", "action"):
                    target = attributes.get(name)
                    if target is None:
                        continue
                    assert target.startswith(("/", "#")), target
                    address, _, anchor = target.partition("#")
                    if address and tag != "form":
                        assert (await stage.http.get(address)).status_code == 200, target
                    if anchor and (address == "/docs" or path == "/docs"):
                        assert anchor in ids, target

    async def test_a_page_can_be_read_by_everybody(self, stage: Stage) -> None:
        """A language, a title, one main heading, a label for each input."""
        for path, status in (("/", 200), ("/docs", 200), (f"/setup?token={await link(stage)}", 200)):
            page = await read(stage, path, status)
            assert page.all("html") == [{"lang": "en"}]
            assert len(page.all("h1")) == len(page.all("title")) == len(page.all("main")) == 1
            labels = {label["for"] for label in page.all("label")}
            for field in page.all("input"):
                assert field.get("type") == "hidden" or field["id"] in labels

    async def test_the_style_is_served_from_here(self, stage: Stage) -> None:
        """With both colour schemes; nothing else lies in that folder for strangers."""
        answer = await stage.http.get("/static/watchword.css")
        assert answer.headers["content-type"] == "text/css; charset=utf-8"
        assert "prefers-color-scheme: dark" in answer.text
        assert "url(" not in answer.text
        for name in ("", "x.css", "..%2ftemplates%2fsetup.html", "%2e%2e/templates/setup.html"):
            assert (await stage.http.get(f"/static/{name}")).status_code == 404


class TestDocs:
    async def test_every_call_is_there_as_a_curl_line(self, stage: Stage) -> None:
        """From the route table, so that none is forgotten."""
        page = await read(stage, "/docs")
        for route in ROUTES:
            if route.tag:
                path = re.sub(r"\{(\w+)(?::path)?\}", lambda match: "$" + match[1].upper(), route.path)
                assert route.summary in page.text
                assert f"{ISSUER}{path}" in page.text

    async def test_attack_a61_a_host_that_the_request_claims_is_not_believed(self, stage: Stage) -> None:
        """Addresses come from the settings alone."""
        headers = {
            "Host": "evil.example",
            "X-Forwarded-Host": "evil.example",
            "Forwarded": "host=evil.example",
        }
        for path in ("/", "/docs", "/openapi.json", "/.well-known/oauth-authorization-server"):
            answer = await stage.http.get(path, headers=headers)
            assert "evil.example" not in answer.text
            assert ISSUER in answer.text


class TestSetup:
    async def test_the_link_makes_the_first_administrator_once(self, stage: Stage) -> None:
        """The form has the promised inputs; afterwards the link is spent and the administrator logs in."""
        token = await link(stage)
        page = await read(stage, f"/setup?token={token}")
        assert {"email", "password"} <= {field["name"] for field in page.all("input")}
        answer = await submit(stage, token)
        assert answer.status_code == 200
        assert token not in answer.text
        assert PASSWORD not in answer.text
        login = await stage.post_login(email=FORM["email"], password=PASSWORD, audience=ISSUER)
        assert login.json()["user"]["roles"] == ["user", "admin"]
        assert (await submit(stage, token, email="second@example.com")).status_code == 404
        await read(stage, f"/setup?token={token}", 404)
        assert await stage.services.setup.offer() is None

    async def test_the_link_dies_when_an_administrator_is_made_otherwise(self, stage: Stage) -> None:
        """It is for the first one; by another door he may come first, and the link is no door to a second."""
        token = await link(stage)
        root = await stage.somebody("admin")
        await read(stage, f"/setup?token={token}", 404)
        assert (await submit(stage, token)).status_code == 404
        assert [user.id for user in (await stage.services.users.list()).items] == [root.id]

    async def test_req_p17_without_the_link_there_is_no_form(self, stage: Stage) -> None:
        """An unknown, an old and a missing token look alike, and none makes anybody."""
        old = await link(stage)
        await link(stage)
        for token in ("", "x", old, "A" * 32, "é", "\0", "x" * 5000):
            assert (await stage.http.get("/setup", params={"token": token})).status_code == 404
            assert (await submit(stage, token)).status_code == 404
        assert (await stage.services.users.list()).items == ()

    async def test_the_link_grows_old(self, stage: Stage) -> None:
        """After a day it is no more."""
        token = await link(stage)
        stage.clock.forward(hours=25)
        await read(stage, f"/setup?token={token}", 404)

    @pytest.mark.parametrize(
        "members", [{"password": "short"}, {"email": "no-address"}, {"name": "x" * 300}, {"password": ""}]
    )
    async def test_a_typing_error_does_not_cost_the_link(self, stage: Stage, members: dict[str, str]) -> None:
        """422 with the form again, the fault beside its field, and the password not repeated."""
        token = await link(stage)
        answer = await submit(stage, token, None, **members)
        assert answer.status_code == 422
        faulty = [field["name"] for field in Page(answer.text).all("input") if "aria-invalid" in field]
        assert faulty == list(members)
        assert PASSWORD not in answer.text
        assert (await submit(stage, token)).status_code == 200

    async def test_the_link_takes_nobody_s_account_over(self, stage: Stage) -> None:
        """An address that has an account is refused, and its password stays."""
        ada = await stage.somebody()
        token = await link(stage)
        answer = await submit(stage, token, email=ada.email, password="seven-blue-harbours")
        assert answer.status_code == 422
        await stage.login(ada)

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://[bad"},
            {"Origin": "http://localhost.evil.example"},
            {"Origin": "http://127.0.0.1.evil.example:8080"},
            {"Origin": "https://auth.example.com:444"},
            {"Origin": ""},
            {"Origin": "http://auth.example.com.evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": ISSUER, "Sec-Fetch-Site": "cross-site"},
            {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
            {"Origin": "null", "Sec-Fetch-Site": "none"},
        ],
    )
    async def test_attack_a41_req_s06_a_form_from_another_site_is_refused(
        self, stage: Stage, headers: dict[str, str]
    ) -> None:
        """403, and the link is whole."""
        token = await link(stage)
        problem(await submit(stage, token, headers), 403, "access_denied")
        same = {"Origin": ISSUER, "Sec-Fetch-Site": "same-origin"}
        assert (await submit(stage, token, same)).status_code == 200

    async def test_a_browser_sends_the_form_without_its_name(self, stage: Stage) -> None:
        """Under ``no-referrer`` its ``Origin`` is null, and ``Sec-Fetch-Site`` says the rest."""
        token = await link(stage)
        headers = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
        assert (await submit(stage, token, headers)).status_code == 200

    @pytest.mark.parametrize(
        "text", ['"><script>alert(1)</script>', "{{7*7}}", "${7*7}", "<%= 7*7 %>", "' onx='"]
    )
    async def test_attack_a57_a58_what_was_typed_is_text(self, stage: Stage, text: str) -> None:
        """Escaped in the form that comes back, never run."""
        token = await link(stage)
        answer = await submit(stage, token, email=text, name=text)
        assert answer.status_code == 422
        page = Page(answer.text)
        assert page.all("script") == []
        values = {field["name"]: field.get("value") for field in page.all("input")}
        assert values["email"] == values["name"] == text
        assert "49" not in answer.text.replace(token, "")

    @pytest.mark.parametrize(
        ("content", "media_type", "status"),
        [
            (b"{}", "application/json", 415),
            (b"token=a&token=b", "application/x-www-form-urlencoded", 400),
            (b"&".join(b"a%d=1" % n for n in range(5000)), "application/x-www-form-urlencoded", 400),
            (b"token=%ff", "application/x-www-form-urlencoded", 404),
            (b"token=\xff", "application/x-www-form-urlencoded", 400),
            (b"a" * 70_000, "application/x-www-form-urlencoded", 413),
        ],
    )
    async def test_attack_a63_a_form_is_read_strictly(
        self, stage: Stage, content: bytes, media_type: str, status: int
    ) -> None:
        """Another type, a field twice, a flood of fields: refused."""
        answer = await stage.http.post("/setup", content=content, headers={"Content-Type": media_type})
        assert answer.status_code == status, answer.text
