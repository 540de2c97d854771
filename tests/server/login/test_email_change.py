"""S2: with mail, a new address counts only after it was confirmed from its mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import httpx2
import pytest

from tests.mailroom import Mailroom, open_mailroom
from tests.server.login.test_recovery import Post, sending
from tests.server.pages.test_pages import read
from tests.server.stage import ISSUER, PASSWORD, Somebody, problem
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio

NEW = "moved@example.com"
OTHER = "seven-blue-harbours"


@pytest.fixture
def room() -> Iterator[Mailroom]:
    with open_mailroom(Mailroom()) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def post(room: Mailroom, ground: dict[str, str]) -> AsyncIterator[Post]:
    async with sending(room, **ground) as opened:
        yield opened


async def change(post: Post, who: Somebody, email: str = NEW, **more: str) -> httpx2.Response:
    body = {"email": email, "current_password": PASSWORD, **more}
    return await post.stage.http.patch("/auth/me", json=body, headers=who.bearer)


async def link(post: Post, who: Somebody, email: str = NEW) -> str:
    """The token of the newest link that was mailed to *email*."""
    assert (await change(post, who, email)).status_code == 202
    await post.settled()
    return post.room.to(email)[-1].token


async def confirm(post: Post, token: str) -> httpx2.Response:
    return await post.stage.http.post("/auth/email/confirm", json={"token": token})


class TestPending:
    async def test_f_s2_the_old_address_stays_until_the_new_one_is_confirmed(self, post: Post) -> None:
        """Sign-in and reset links go by the old one; then by the new one, and the old one is told."""
        ada = await post.stage.verified()
        answer = await change(post, ada, name="Ada")
        assert answer.status_code == 202
        told = answer.json()
        assert (told["email"], told["pending_email"], told["name"]) == (ada.email, NEW, "Ada")
        await post.settled()
        (mail,) = post.room.mails
        assert (mail.recipients, mail.message["Subject"]) == (
            (NEW,),
            "Confirm your email address at auth.example.com",
        )
        assert mail.link.startswith(f"{ISSUER}/confirm-email?token=")
        assert await post.logs_in(ada, PASSWORD)
        assert not await post.logs_in(Somebody("", NEW), PASSWORD)
        await post.ask(NEW)
        await post.settled()
        assert len(post.room.to(NEW)) == 1
        assert "/reset?token=" in (await post.link(ada.email)).link

        assert (await confirm(post, mail.token)).status_code == 204
        assert await post.logs_in(Somebody("", NEW), PASSWORD)
        assert not await post.logs_in(ada, PASSWORD)
        me = (await post.stage.http.get("/auth/me", headers=ada.bearer)).json()
        assert (me["email"], me["email_verified"]) == (NEW, True)
        await post.settled()
        assert "was changed" in post.room.to(ada.email)[-1].message["Subject"]

    async def test_f_s2_without_mail_the_change_is_immediate(self, ground: dict[str, str]) -> None:
        """Nobody could confirm it; and a change of case asks no mailbox."""
        room = Mailroom(port=25)
        async with sending(room, **ground) as post:
            ada = await post.stage.newcomer()
            assert (await change(post, ada, ada.email.upper())).status_code == 200
            assert post.stage.services.outbox.waiting == 0

    async def test_f_s2_an_administrator_s_own_address_is_confirmed_too(self, post: Post) -> None:
        """The admin API changes another user's at once; their own with ``PATCH /auth/me``, and a recent sign-in."""
        root, ada = await post.stage.administrator(), await post.stage.somebody()
        path = "/admin/v1/users/"
        moved = await post.stage.http.patch(path + ada.id, json={"email": NEW}, headers=root.bearer)
        assert (moved.status_code, moved.json()["email"]) == (200, NEW)
        body = {"email": "root@example.com"}
        problem(
            await post.stage.http.patch(path + root.id, json=body, headers=root.bearer), 403, "access_denied"
        )
        post.stage.clock.forward(minutes=9)
        root.tokens = (
            await post.stage.http.post("/auth/token", json={"refresh_token": root.tokens["refresh_token"]})
        ).json()
        post.stage.clock.forward(minutes=7)
        answer = await post.stage.http.patch(path + root.id, json={"username": "root"}, headers=root.bearer)
        problem(answer, 401, "invalid_credentials")
        answer = await post.stage.http.patch(path + root.id, json={"name": "Root"}, headers=root.bearer)
        assert answer.status_code == 200

    async def test_f_s8_the_answer_does_not_tell_whose_the_address_is(self, post: Post) -> None:
        """The same 202 for an address that is taken, and no mail to its owner."""
        ada, bob = await post.stage.newcomer(), await post.stage.somebody()
        free, taken = await change(post, ada), await change(post, ada, bob.email)
        assert (free.status_code, taken.status_code) == (202, 202)
        assert taken.text.replace(bob.email, NEW) == free.text
        await post.settled()
        assert {mail.recipients for mail in post.room.mails} == {(NEW,)}

    async def test_f_s2_another_mailbox_of_the_same_key_is_confirmed(self, post: Post) -> None:
        """``ß`` is ``ss`` where accounts are told apart, and another mailbox: nothing is inherited from it."""
        ada = await post.stage.verified()
        users = post.stage.services.users
        await users.update(ada.id, email="stra\u00dfe@example.com", origin=Origin())
        token = await link(post, ada, "strasse@example.com")
        me = (await post.stage.http.get("/auth/me", headers=ada.bearer)).json()
        assert me["email"] == "stra\u00dfe@example.com"
        await change(post, await post.stage.newcomer(), "STRA\u00dfE@example.com")
        await post.settled()
        assert post.room.to("stra\u00dfe@example.com") == [], "it is somebody else's"
        assert (await confirm(post, token)).status_code == 204
        me = (await post.stage.http.get("/auth/me", headers=ada.bearer)).json()
        assert (me["email"], me["email_verified"]) == ("strasse@example.com", True)
        assert (await change(post, ada, "Strasse@example.com")).status_code == 200
        me = (await post.stage.http.get("/auth/me", headers=ada.bearer)).json()
        assert (me["email"], me["email_verified"]) == ("Strasse@example.com", True)
        await users.update(ada.id, email="stra\u017fse@example.com", origin=Origin())
        me = (await post.stage.http.get("/auth/me", headers=ada.bearer)).json()
        assert me["email_verified"] is False


class TestLink:
    async def test_f_s2_it_works_once_and_the_newest_only(self, post: Post) -> None:
        """Of many at once one is granted; an older link and a made-up one are 404."""
        ada = await post.stage.newcomer()
        first, second = await link(post, ada), await link(post, ada, "second@example.com")
        problem(await confirm(post, first), 404, "not_found")
        answers = await asyncio.gather(*(confirm(post, second) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [204, *[404] * 7]
        problem(await confirm(post, "made-up"), 404, "not_found")

    @pytest.mark.parametrize(
        "cause", ["time", "ban", "password", "reset", "logout", "address", "back", "deletion"]
    )
    async def test_f_s2_what_changes_the_account_voids_it(self, post: Post, cause: str) -> None:
        """Half an hour, a ban that is over, another password, a log-out everywhere, an administrator's change."""
        ada, users = await post.stage.newcomer(), post.stage.services.users
        reset = (await post.link(ada.email)).token
        token = await link(post, ada)
        match cause:
            case "time":
                post.stage.clock.forward(minutes=30)
            case "ban":
                await users.ban(ada.id, None, None, Origin())
                await users.unban(ada.id, Origin())
            case "password":
                body = {"current_password": PASSWORD, "new_password": OTHER}
                answer = await post.stage.http.post("/auth/password", json=body, headers=ada.bearer)
                assert answer.status_code == 204
            case "reset":
                assert (await post.choose(reset, OTHER)).status_code == 204
            case "logout":
                body = {"everywhere": True}
                await post.stage.http.post("/auth/logout", json=body, headers=ada.bearer)
            case "address":
                await users.update(ada.id, email="else@example.com", origin=Origin())
            case "back":
                await users.update(ada.id, email="else@example.com", origin=Origin())
                await users.update(ada.id, email=ada.email, origin=Origin())
            case "deletion":
                await users.delete(ada.id, Origin())
        problem(await confirm(post, token), 404, "not_found")
        assert await users.find_by_email(NEW) is None

    async def test_f_s2_an_address_taken_meanwhile_stays_with_its_owner(self, post: Post) -> None:
        """409, and nothing changed."""
        ada = await post.stage.newcomer()
        token = await link(post, ada)
        bob = await post.stage.services.users.create(NEW, PASSWORD, origin=Origin())
        problem(await confirm(post, token), 409, "email_taken")
        assert (await post.stage.services.users.require(ada.id)).email == ada.email
        found = await post.stage.services.users.find_by_email(NEW)
        assert found is not None
        assert found.id == bob.id

    async def test_f_s2_links_are_few(self, room: Mailroom, ground: dict[str, str]) -> None:
        """So many an hour for a user, then 429; as many for one mailbox, whoever asks, then silence."""
        async with sending(room, **ground, password_resets_per_account="2") as post:
            for _ in range(3):
                ada = await post.stage.newcomer()
                for _ in range(2):
                    assert (await change(post, ada)).status_code == 202
                problem(await change(post, ada), 429, "too_many_requests")
                await post.settled()
            assert len(room.to(NEW)) == 2
            post.stage.clock.forward(minutes=30)
            assert (await change(post, await post.stage.login(ada))).status_code == 202

    async def test_f_s5_a_change_is_not_offered_after_the_end(self, post: Post) -> None:
        """The session ended while the body was read: 401, no event, no mail."""
        ada = await post.stage.newcomer()

        async def parts() -> AsyncIterator[bytes]:
            yield b'{"email":"moved@example.com",'
            await post.stage.http.post("/auth/logout", headers=ada.bearer)
            yield b'"current_password":"%s"}' % PASSWORD.encode()

        headers = {**ada.bearer, "Content-Type": "application/json"}
        answer = await post.stage.http.patch("/auth/me", content=parts(), headers=headers)
        problem(answer, 401, "invalid_token")
        await post.settled()
        assert (await post.stage.events("email_change.offered"), post.room.mails) == ([], [])

    async def test_it_is_found_at_another_node(
        self, room: Mailroom, ground: dict[str, str], kind: str
    ) -> None:
        """Asked for at one, confirmed at the other."""
        if kind == "sqlite":
            ground = {}
        async with AsyncExitStack() as opened:
            first = await opened.enter_async_context(sending(room, **ground))
            second = await opened.enter_async_context(sending(room, **ground)) if ground else first
            ada = await first.stage.newcomer()
            assert (await confirm(second, await link(first, ada))).status_code == 204

    async def test_the_audit_log_tells_it(self, post: Post) -> None:
        """Offered, and changed: whose, and no address or token."""
        ada = await post.stage.newcomer()
        token = await link(post, ada)
        await confirm(post, token)
        events = [event for event in await post.stage.events() if event.user_id == ada.id]
        assert {"email_change.offered", "user.updated"} <= {event.type for event in events}
        assert all(token not in repr(event) and NEW not in repr(event) for event in events)


class TestPage:
    async def test_the_page_needs_no_script_and_a_visit_changes_nothing(self, post: Post) -> None:
        """One button; a second look finds it whole, and after it was pressed it is gone."""
        ada = await post.stage.newcomer()
        token = await link(post, ada)
        for _ in range(2):
            page = await read(post.stage, f"/confirm-email?token={token}")
            assert page.all("script") == []
            (form,) = page.all("form")
            assert (form["method"], form["action"]) == ("post", "/confirm-email")
        pressed = await post.stage.http.post("/confirm-email", data={"token": token})
        assert (pressed.status_code, "was changed" in pressed.text) == (200, True)
        for answer in (
            await post.stage.http.post("/confirm-email", data={"token": token}),
            await post.stage.http.get(f"/confirm-email?token={token}"),
        ):
            assert answer.status_code == 404

    async def test_another_site_confirms_nothing(self, post: Post) -> None:
        """The form is sent by a page of ours."""
        token = await link(post, await post.stage.newcomer())
        headers = {"Origin": "https://evil.example"}
        answer = await post.stage.http.post("/confirm-email", data={"token": token}, headers=headers)
        problem(answer, 403, "access_denied")
        assert (await confirm(post, token)).status_code == 204
