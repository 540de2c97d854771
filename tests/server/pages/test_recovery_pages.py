"""The pages for a forgotten password, as a browser without scripts uses them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.mailroom import Mailroom, open_mailroom
from tests.server.pages.test_pages import Page, read
from tests.server.stage import ISSUER, PASSWORD, Somebody, Stage, open_stage, problem
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio

OTHER = "seven-blue-harbours"
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A server that would send mail: its jobs do not run, so none leaves."""
    async with open_stage(**Mailroom(port=25).settings) as opened:
        yield opened


async def token_for(stage: Stage, somebody: Somebody) -> str:
    link = await stage.services.recovery.link(somebody.id, Origin(actor="command-line"))
    return link.partition("?token=")[2]


async def submit(
    stage: Stage, path: str, headers: dict[str, str] | None = None, **members: str
) -> httpx2.Response:
    return await stage.http.post(path, data=members, headers=headers)


class TestForgot:
    async def test_req_s07_it_needs_no_script(self, stage: Stage) -> None:
        """One form to this server with one labelled field, which the browser fills in."""
        page = await read(stage, "/forgot")
        assert page.all("script") == []
        (form,) = page.all("form")
        assert (form["method"], form["action"]) == ("post", "/forgot")
        (field,) = page.all("input")
        assert (field["name"], field["type"], field["autocomplete"]) == ("email", "email", "username")
        assert [label["for"] for label in page.all("label")] == [field["id"]]

    async def test_attack_a43_it_says_the_same_to_everybody(self, stage: Stage) -> None:
        """Byte for byte, and no address is repeated."""
        ada = await stage.somebody()
        answers = [await submit(stage, "/forgot", email=email) for email in (ada.email, "nobody@example.com")]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].content == answers[1].content
        assert "30 minutes" in answers[0].text
        assert ada.email not in answers[0].text
        assert stage.services.outbox.waiting == 2

    async def test_attack_a57_a58_what_was_typed_is_text(self, stage: Stage) -> None:
        """It comes back escaped, the fault beside it."""
        text = '"><script>alert(1)</script>{{7*7}}'
        answer = await submit(stage, "/forgot", email=text)
        assert answer.status_code == 422
        page = Page(answer.text)
        (field,) = page.all("input")
        assert (field["value"], field["aria-invalid"]) == (text, "true")
        assert page.all("script") == []
        assert "is not an e-mail address" in page.text

    @pytest.mark.parametrize("headers", FOREIGN)
    async def test_attack_a41_req_s06_another_site_s_form_is_refused(
        self, stage: Stage, headers: dict[str, str]
    ) -> None:
        """Nobody is made to write to others."""
        problem(await submit(stage, "/forgot", headers, email="a@example.com"), 403, "access_denied")
        assert stage.services.outbox.waiting == 0

    async def test_who_asks_too_often_is_told_on_the_page(self) -> None:
        """429 with the form, and when to try again; a full queue likewise."""
        async with open_stage(**Mailroom(port=25).settings, password_resets_per_address="1") as stage:
            assert (await submit(stage, "/forgot", email="a@example.com")).status_code == 200
            answer = await submit(stage, "/forgot", email="a@example.com")
            assert answer.status_code == 429
            assert "try again in 60 seconds" in Page(answer.text).text

    async def test_a_server_that_sends_no_mail_says_so(self) -> None:
        """404 on both, and who can help."""
        async with open_stage() as stage:
            assert "administrator" in (await read(stage, "/forgot", 404)).text
            answer = await submit(stage, "/forgot", email="a@example.com")
            assert answer.status_code == 404
            gone = await read(stage, "/reset", 401)
            assert [link["href"] for link in gone.all("a") if link["href"] == "/forgot"] == []


class TestReset:
    async def test_the_link_changes_the_password_once(self, stage: Stage) -> None:
        """Looking at the form does not spend it, however often; afterwards it is gone."""
        ada = await stage.newcomer()
        token = await token_for(stage, ada)
        for _ in range(3):
            page = await read(stage, f"/reset?token={token}")
        hidden, field = page.all("input")
        assert (hidden["name"], hidden["value"]) == ("token", token)
        assert (field["name"], field["type"], field["autocomplete"]) == (
            "password",
            "password",
            "new-password",
        )
        assert [label["for"] for label in page.all("label")] == [field["id"]]
        answer = await submit(stage, "/reset", token=token, password=OTHER)
        assert answer.status_code == 200
        assert token not in answer.text
        assert OTHER not in answer.text
        assert (await stage.post_login(email=ada.email, password=OTHER)).status_code == 200
        assert (await stage.http.get("/auth/me", headers=ada.bearer)).status_code == 401
        assert (await submit(stage, "/reset", token=token, password=OTHER)).status_code == 401
        gone = await read(stage, f"/reset?token={token}", 401)
        assert [link["href"] for link in gone.all("a") if link["href"] == "/forgot"] == ["/forgot"]

    async def test_a_password_that_is_refused_does_not_cost_the_link(self, stage: Stage) -> None:
        """422 with the fault beside the field, which is empty; then another one."""
        ada = await stage.somebody()
        token = await token_for(stage, ada)
        answer = await submit(stage, "/reset", token=token, password="short")
        assert answer.status_code == 422
        page = Page(answer.text)
        assert "must have at least 8 characters" in page.text
        assert [field["name"] for field in page.all("input") if "aria-invalid" in field] == ["password"]
        assert 'value="short"' not in answer.text
        assert (await submit(stage, "/reset", token=token, password=OTHER)).status_code == 200

    async def test_nothing_is_told_of_a_link_that_is_none(self, stage: Stage) -> None:
        """Unknown, missing, strange and old look alike."""
        old = await token_for(stage, await stage.somebody())
        stage.clock.forward(minutes=30)
        seen = set()
        for token in ("", "x", old, "A" * 43, "é", "\0", "x" * 5000, "<script>"):
            answer = await stage.http.get("/reset", params={"token": token})
            assert answer.status_code == 401
            seen.add(answer.content)
            sent = await submit(stage, "/reset", token=token, password=OTHER)
            assert sent.status_code == 401
            seen.add(sent.content)
        assert len(seen) == 1

    async def test_the_token_stays_between_the_two(self, stage: Stage) -> None:
        """No referrer, no store, no frame, no script; no other host is asked for anything."""
        token = await token_for(stage, await stage.somebody())
        answer = await stage.http.get(f"/reset?token={token}")
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "script-src" not in answer.headers["content-security-policy"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        page = Page(answer.text)
        assert {
            target
            for _, at in page.elements
            for name in ("href", "src", "action")
            if (target := at.get(name))
        } == {
            "/",
            "/reset",
            "/static/watchword.css",
            "/static/watchword.svg",
            "#main",
        }

    @pytest.mark.parametrize("headers", FOREIGN)
    async def test_attack_a41_req_s06_another_site_s_form_is_refused(
        self, stage: Stage, headers: dict[str, str]
    ) -> None:
        """403, and the link is whole; a browser of our own page, which keeps its name to itself, is let in."""
        ada = await stage.somebody()
        token = await token_for(stage, ada)
        problem(await submit(stage, "/reset", headers, token=token, password=OTHER), 403, "access_denied")
        assert (await stage.post_login(email=ada.email, password=PASSWORD)).status_code == 200
        own = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
        assert (await submit(stage, "/reset", own, token=token, password=OTHER)).status_code == 200

    async def test_by_mail_from_page_to_page(self) -> None:
        """What a user does, with nothing but links and forms."""
        with open_mailroom(Mailroom()) as room:
            async with open_stage(**room.settings) as stage:
                jobs = asyncio.create_task(stage.services.outbox.run())
                ada = await stage.somebody()
                assert (await submit(stage, "/forgot", email=ada.email)).status_code == 200
                mail = (await asyncio.to_thread(room.wait, ada.email))[0]
                page = await read(stage, mail.link.removeprefix(ISSUER))
                (form,) = page.all("form")
                hidden = {str(field["name"]): field.get("value") or "" for field in page.all("input")}
                answer = await submit(stage, str(form["action"]), **{**hidden, "password": OTHER})
                assert answer.status_code == 200
                assert (await stage.post_login(email=ada.email, password=OTHER)).status_code == 200
                jobs.cancel()
                await asyncio.gather(jobs, return_exceptions=True)
