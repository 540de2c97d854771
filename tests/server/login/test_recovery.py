"""A forgotten password: asked for, sent, chosen; and everything that must not come of it."""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.mailroom import Mail, Mailroom, open_mailroom
from tests.mission.test_hardening import certificate
from tests.server.stage import ISSUER, PASSWORD, Somebody, Stage, open_stage, problem
from watchword.server.store.records import Origin, UserChange

pytestmark = pytest.mark.anyio

OTHER = "seven-blue-harbours"


@dataclass
class Post:
    """A server that sends mail, and the relay it sends it to."""

    stage: Stage
    room: Mailroom

    async def ask(self, email: str, **headers: str) -> httpx2.Response:
        body = {"email": email}
        return await self.stage.http.post("/auth/password/forgot", json=body, headers=headers)

    async def choose(self, token: str, password: str = OTHER) -> httpx2.Response:
        body = {"token": token, "password": password}
        return await self.stage.http.post("/auth/password/reset", json=body)

    async def settled(self) -> None:
        """Everything that was asked for has been done."""
        async with asyncio.timeout(20):
            while self.stage.services.outbox.waiting:  # noqa: ASYNC110 - the relay is a thread
                await asyncio.sleep(0.005)

    async def link(self, email: str) -> Mail:
        """The newest mail to *email*, asked for now."""
        assert (await self.ask(email)).status_code == 202
        await self.settled()
        return self.room.to(email)[-1]

    async def logs_in(self, somebody: Somebody, password: str) -> bool:
        answer = await self.stage.post_login(email=somebody.email, password=password)
        return answer.status_code == 200


@pytest.fixture
def room() -> Iterator[Mailroom]:
    with open_mailroom(Mailroom()) as opened:
        yield opened


@asynccontextmanager
async def sending(room: Mailroom, **flags: str) -> AsyncIterator[Post]:
    """A server of these settings whose jobs run."""
    async with open_stage(**{**room.settings, **flags}) as stage:
        jobs = asyncio.create_task(stage.services.outbox.run())
        try:
            yield Post(stage, room)
        finally:
            jobs.cancel()
            await asyncio.gather(jobs, return_exceptions=True)


@pytest.fixture
async def post(room: Mailroom) -> AsyncIterator[Post]:
    async with sending(room) as opened:
        yield opened


class TestStory:
    @pytest.fixture(params=["sqlite", "postgres", "postgres+valkey"])
    def kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    async def test_req_p10_a_link_replaces_the_password_and_ends_every_session(
        self, room: Mailroom, ground: dict[str, str]
    ) -> None:
        """The mail holds a link to the issuer; by its token the password is another one, and all are logged out."""
        async with sending(room, **ground) as post:
            ada = await post.stage.newcomer()
            answer = await post.ask(ada.email)
            assert (answer.status_code, answer.json()) == (202, {"expires_in": 1800})
            await post.settled()
            (mail,) = room.to(ada.email)
            assert mail.link.startswith(f"{ISSUER}/reset?token=")
            assert len(mail.token) == 43
            assert "30 minutes" in mail.text
            assert (await post.choose(mail.token)).status_code == 204
            assert await post.logs_in(ada, OTHER)
            assert not await post.logs_in(ada, PASSWORD)
            problem(await post.stage.http.get("/auth/me", headers=ada.bearer), 401, "invalid_token")
            refresh = {"refresh_token": ada.tokens["refresh_token"]}
            problem(await post.stage.http.post("/auth/token", json=refresh), 401, "invalid_grant")
            await post.settled()
            notice = room.to(ada.email)[-1]
            assert notice.message["Subject"] == "Your password at auth.example.com was changed"
            assert "2030-01-01 at 12:00 UTC" in notice.text
            types = [event.type for event in await post.stage.events() if event.user_id == ada.id]
            assert {"password_reset.offered", "user.password_reset"} <= set(types)

    async def test_the_mail_is_as_mail_should_be(self, post: Post) -> None:
        """One recipient, our sender, a date, no answers of machines; plain text, and no name in it."""
        ada = await post.stage.somebody(name="Ada Lovelace")
        mail = await post.link(ada.email)
        message = mail.message
        assert (mail.sender, mail.recipients) == ("no-reply@example.com", (ada.email,))
        assert (message["From"], message["To"]) == ("Payroll <no-reply@example.com>", ada.email)
        assert message["Subject"] == "Choose a new password at auth.example.com"
        assert message["Date"] == "Tue, 01 Jan 2030 12:00:00 +0000"
        assert message["Message-ID"].endswith("@example.com>")
        assert message["Auto-Submitted"] == "auto-generated"
        assert message.get_content_type() == "text/plain"
        assert "Ada" not in mail.text
        assert mail.raw.isascii()

    async def test_a_page_of_one_s_own(self, room: Mailroom) -> None:
        """The link leads where the settings say."""
        async with sending(room, password_reset_url="https://app.example.com/new") as post:
            ada = await post.stage.somebody()
            assert (await post.link(ada.email)).link.startswith("https://app.example.com/new?token=")

    async def test_an_account_without_a_password_gets_its_first(self, post: Post) -> None:
        """As one that an administrator made."""
        root = await post.stage.administrator()
        made = {"email": "new@example.com"}
        answer = await post.stage.http.post("/admin/v1/users", json=made, headers=root.bearer)
        assert answer.status_code == 201
        mail = await post.link("new@example.com")
        assert (await post.choose(mail.token)).status_code == 204
        assert await post.logs_in(Somebody("", "new@example.com"), OTHER)

    async def test_an_address_beyond_ascii(self, post: Post) -> None:
        """The domain goes in ASCII, the local part as it is."""
        origin = Origin()
        await post.stage.services.users.create("ünal@bücher.example", PASSWORD, origin=origin)
        assert (await post.ask("ÜNAL@BÜCHER.example")).status_code == 202
        await post.settled()
        assert post.room.mails[-1].recipients == ("ünal@xn--bcher-kva.example",)


class TestSilence:
    async def test_req_p07_attack_a43_the_answer_tells_nothing(self, post: Post) -> None:
        """Known, unknown, banned, limited: byte for byte the same, but for the name of the request."""
        ada, banned = await post.stage.somebody(), await post.stage.somebody()
        await post.stage.services.users.ban(banned.id, None, None, Origin())
        answers = [
            await post.ask(email)
            for email in (
                ada.email,
                *[ada.email] * 6,
                banned.email,
                "nobody@example.com",
                "no@account.example",
            )
        ]
        own = {"x-request-id"}
        seen = {
            (answer.status_code, answer.content, tuple(h for h in answer.headers.items() if h[0] not in own))
            for answer in answers
        }
        assert len(seen) == 1
        await post.settled()
        assert {mail.recipients for mail in post.room.mails} == {(ada.email,)}

    async def test_attack_a44_nothing_is_looked_up_before_the_answer(self, room: Mailroom) -> None:
        """No statement is made for anybody, so none can be made for some."""
        async with open_stage(**room.settings) as stage:
            post, ada = Post(stage, room), await stage.somebody()
            statements: list[str] = []
            stage.services.store.engine.writer.connection.set_trace_callback(  # type: ignore[attr-defined]
                statements.append
            )
            for email in (ada.email, "nobody@example.com"):
                assert (await post.ask(email)).status_code == 202
            assert statements == []
            await stage.services.users.get(ada.id)
            assert len(statements) == 1

    async def test_attack_a43_a_flood_of_requests_is_three_mails(self, post: Post) -> None:
        """At once, however many ask; the newest that was sent works, and later there are more."""
        ada = await post.stage.somebody()
        for _ in range(9):
            assert (await post.ask(ada.email)).status_code == 202
        await post.settled()
        mails = post.room.to(ada.email)
        assert len(mails) == 3
        statuses = sorted([(await post.choose(mail.token)).status_code for mail in mails])
        assert statuses == [204, 401, 401]
        post.stage.clock.forward(hours=1)
        await post.link(ada.email)

    async def test_req_p09_an_address_asks_only_so_often(self, room: Mailroom) -> None:
        """429 after thirty a minute, whoever's account it is; elsewhere one may ask."""
        async with sending(room, password_resets_per_address="3") as post:
            statuses = [(await post.ask(f"nobody{n}@example.com")).status_code for n in range(5)]
            assert statuses == [202, 202, 202, 429, 429]
            assert int((await post.ask("a@example.com")).headers["retry-after"]) <= 60
            async with post.stage.client("198.51.100.7") as elsewhere:
                answer = await elsewhere.post("/auth/password/forgot", json={"email": "a@example.com"})
                assert answer.status_code == 202

    async def test_req_p09_links_that_are_none_are_counted(self, room: Mailroom) -> None:
        """So many guesses at a token, and the address waits; each is an event."""
        async with sending(room, password_resets_per_address="3") as post:
            statuses = [(await post.choose(f"guess{n}")).status_code for n in range(5)]
            assert statuses == [401, 401, 401, 429, 429]
            assert len(await post.stage.events("password_reset.failed")) == 3

    @pytest.mark.parametrize(
        "email",
        [
            "a@example.com\r\nBcc: eve@example.com",
            "a@example.com\nSubject: x",
            "a@example.com%0d%0aBcc:eve@example.com",
            "a@example.com, eve@example.com",
            "a@example.com;eve@example.com",
            "<a@example.com>",
            "Ada <a@example.com>",
            '"a\\"b c"@example.com',
            "a@b@example.com",
            "=?utf-8?q?=0d=0aBcc=3Aeve=40example.com?=@example.com",
            "=?utf-8?b?DQoNClBheSBldmU=?=@example.com",
            "a@example.com\0",
            "\u202ea@example.com",
            "x" * 321 + "@example.com",
            "",
            "nobody",
        ],
    )
    async def test_attack_a51_what_is_no_address_is_refused(self, post: Post, email: str) -> None:
        """422, and nobody is written to: no header is made of it."""
        eve = await post.stage.somebody()
        document = problem(await post.ask(email), 422, "invalid_input")
        assert [fault["field"] for fault in document["errors"]] == ["email"]
        await post.settled()
        assert post.room.mails == []
        assert eve.id

    @pytest.mark.parametrize(
        "written",
        [
            "=?utf-8?q?=0d=0aBcc=3Aeve=40example.com?=@example.com",
            "=?ada@example.com",
            '"ada lovelace"@example.com',
            "ada,eve@example.com",
        ],
    )
    async def test_attack_a51_an_old_row_s_address_makes_no_header(
        self, post: Post, written: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What is no address by now, and would be written as something else, is given up at once; others get theirs."""
        ada, bob = await post.stage.somebody(), await post.stage.somebody()
        change = UserChange(email=written, email_key=ada.email)
        await post.stage.services.store.users.update(ada.id, change, Origin())
        with caplog.at_level(logging.WARNING):
            assert (await post.ask(ada.email)).status_code == 202
            await post.settled()
        said = [record.getMessage() for record in caplog.records]
        assert said == ["a mail was given up: it cannot be written as a mail"]
        await post.link(bob.email)
        assert [mail.recipients for mail in post.room.mails] == [(bob.email,)]

    async def test_attack_a57_what_a_user_calls_himself_is_in_no_mail(self, post: Post) -> None:
        """So nobody is written to in our name by whoever registers his address."""
        name = "{{7*7}} ${7*7} https://evil.example Bcc: eve@example.com"
        ada = await post.stage.somebody(name=name, username="evil.example")
        mail = await post.link(ada.email)
        assert b"evil" not in mail.raw
        assert b"49" not in mail.raw.replace(mail.token.encode(), b"").partition(b"\r\n\r\n")[2]

    async def test_attack_a61_the_link_leads_to_the_issuer(self, post: Post) -> None:
        """Whatever host the request claims."""
        ada = await post.stage.somebody()
        hostile = {
            "Host": "evil.example",
            "X-Forwarded-Host": "evil.example",
            "Forwarded": "host=evil.example",
        }
        assert (await post.ask(ada.email, **hostile)).status_code == 202
        await post.settled()
        (mail,) = post.room.to(ada.email)
        assert mail.link.startswith(ISSUER)
        assert b"evil" not in mail.raw


class TestToken:
    async def test_r_04_a_link_works_once(self, post: Post) -> None:
        """Of fifty at once one; none afterwards."""
        ada = await post.stage.somebody()
        token = (await post.link(ada.email)).token
        answers = await asyncio.gather(*(post.choose(token, f"{OTHER}-{n}") for n in range(20)))
        statuses = sorted(answer.status_code for answer in answers if answer.status_code != 503)
        assert statuses.count(204) == 1
        assert set(statuses) <= {204, 401}
        won = next(n for n, answer in enumerate(answers) if answer.status_code == 204)
        assert await post.logs_in(ada, f"{OTHER}-{won}")
        problem(await post.choose(token), 401, "invalid_reset_token")

    async def test_the_newest_alone_works(self, post: Post) -> None:
        """Who asks twice uses the second."""
        ada = await post.stage.somebody()
        first, second = await post.link(ada.email), await post.link(ada.email)
        problem(await post.choose(first.token), 401, "invalid_reset_token")
        assert (await post.choose(second.token)).status_code == 204

    async def test_req_p10_a_link_grows_old(self, post: Post) -> None:
        """Half an hour."""
        ada = await post.stage.somebody()
        token = (await post.link(ada.email)).token
        post.stage.clock.forward(minutes=30)
        problem(await post.choose(token), 401, "invalid_reset_token")
        assert await post.logs_in(ada, PASSWORD)

    @pytest.mark.parametrize("cause", ["ban", "ban that is over", "password", "address", "delete"])
    async def test_what_changes_the_account_kills_the_link(self, post: Post, cause: str) -> None:
        """A ban, another password, another address, the end."""
        ada = await post.stage.newcomer()
        token = (await post.link(ada.email)).token
        users, origin = post.stage.services.users, Origin()
        if cause.startswith("ban"):
            await users.ban(ada.id, None, None, origin)
            if cause == "ban that is over":
                await users.unban(ada.id, origin)
        elif cause == "password":
            body = {"current_password": PASSWORD, "new_password": "eight-cold-teapots"}
            answer = await post.stage.http.post("/auth/password", json=body, headers=ada.bearer)
            assert answer.status_code == 204
        elif cause == "address":
            await users.update(ada.id, email="moved@example.com", origin=origin)
        else:
            await users.delete(ada.id, origin)
        problem(await post.choose(token), 401, "invalid_reset_token")

    async def test_a_password_that_is_refused_does_not_cost_the_link(self, post: Post) -> None:
        """Too short, too common, his own address: 422, and then another one."""
        ada = await post.stage.somebody()
        token = (await post.link(ada.email)).token
        for password in ("short", "password1", ada.email, "x" * 2000, ""):
            document = problem(await post.choose(token, password), 422, "invalid_input")
            assert [fault["field"] for fault in document["errors"]] == ["password"]
        assert (await post.choose(token)).status_code == 204

    async def test_a_wrong_token_is_told_before_a_bad_password(self, post: Post) -> None:
        """Nobody is told rules by a link that is none; whatever the token looks like."""
        for token in ("", "x", "A" * 43, "é\U0001f600", "\0", "x" * 5000):
            problem(await post.choose(token, "short"), 401, "invalid_reset_token")

    async def test_req_s14_the_database_holds_no_token(self, post: Post) -> None:
        """A digest, and after its use not even that."""
        ada = await post.stage.somebody()
        token = (await post.link(ada.email)).token
        connection = post.stage.services.store.engine.writer.connection  # type: ignore[attr-defined]
        dump = "\n".join(connection.iterdump())
        assert token not in dump
        assert token.encode().hex().upper() not in dump
        assert (await post.choose(token)).status_code == 204
        row = connection.execute("SELECT digest FROM password_resets").fetchone()
        assert row == (None,)


class TestNotices:
    async def test_req_p18_a_changed_password_is_told(self, post: Post) -> None:
        """By whichever door; a user who is banned hears nothing."""
        ada = await post.stage.newcomer()
        body = {"current_password": PASSWORD, "new_password": OTHER}
        answer = await post.stage.http.post("/auth/password", json=body, headers=ada.bearer)
        assert answer.status_code == 204
        await post.settled()
        (mail,) = post.room.to(ada.email)
        assert f"{ISSUER}/forgot" in mail.text
        await post.stage.services.users.ban(ada.id, None, None, Origin())
        await post.stage.services.users.set_password(ada.id, PASSWORD, Origin())
        await post.settled()
        assert len(post.room.mails) == 1

    async def test_req_p11_the_old_address_is_told_of_the_new_one(self, post: Post) -> None:
        """It alone, and not when only the case is another."""
        ada = await post.stage.verified()
        for email in (ada.email.upper(), "moved@example.com"):
            await post.stage.services.users.update(ada.id, email=email, origin=Origin())
        await post.settled()
        (mail,) = post.room.mails
        assert mail.recipients == (ada.email,) or mail.recipients[0].lower() == ada.email
        assert "moved@example.com" not in mail.text


class TestRelay:
    async def test_r_28_a_relay_that_is_away_is_tried_again(self, room: Mailroom) -> None:
        """The answer is the same, and the mail goes when it is back: the same link."""
        room.replies["MAIL"] = "451 later"
        async with sending(room) as post:
            ada = await post.stage.somebody()
            assert (await post.ask(ada.email)).status_code == 202
            async with asyncio.timeout(10):
                while not any(line.startswith("MAIL") for line in room.commands):  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.005)
            del room.replies["MAIL"]
            await post.settled()
            (mail,) = room.to(ada.email)
            assert len(await post.stage.events("password_reset.offered")) == 1
            assert (await post.choose(mail.token)).status_code == 204

    @pytest.mark.parametrize(
        ("replies", "said"),
        [
            ({"RCPT": "550 no such mailbox"}, "the recipient was refused: [550]"),
            ({"MAIL": "553 not you"}, "SMTPSenderRefused 553"),
            ({"DATA": "554 spam"}, "SMTPDataError 554"),
        ],
    )
    async def test_a_relay_that_says_no_is_not_asked_twice(
        self, room: Mailroom, replies: dict[str, str], said: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One line in the log, without the link, the address or the relay's words; the next mail goes."""
        room.replies |= replies
        async with sending(room) as post:
            ada, bob = await post.stage.somebody(), await post.stage.somebody()
            with caplog.at_level(logging.WARNING):
                assert (await post.ask(ada.email)).status_code == 202
                await post.settled()
            assert [record.getMessage() for record in caplog.records] == [f"a mail was given up: {said}"]
            assert post.stage.services.outbox.given_up == 1
            room.replies.clear()
            await post.link(bob.email)
            assert b"watchword_mails_sent 1.0" in post.stage.app.observer.metrics()

    async def test_r_28_a_relay_that_talks_nonsense_or_never_is_survived(self, room: Mailroom) -> None:
        """It is given its time, then the mail waits for another try; the server answers as ever."""
        for nonsense in ("", "220", "hello", "999 what"):
            room.replies["EHLO"] = nonsense
            async with sending(room) as post:
                ada = await post.stage.somebody()
                assert (await post.ask(ada.email)).status_code == 202
                async with asyncio.timeout(10):
                    while not room.commands:  # noqa: ASYNC110 - as above
                        await asyncio.sleep(0.005)
                room.replies.clear()
                await post.settled()
                assert len(room.to(ada.email)) + post.stage.services.outbox.given_up == 1
            room.commands.clear()

    async def test_a_relay_that_hangs_up_after_it_took_a_mail_gets_no_second(self, room: Mailroom) -> None:
        """What was taken was sent, whatever becomes of the farewell."""
        room.replies["QUIT"] = ""
        async with sending(room) as post:
            ada = await post.stage.somebody()
            await post.link(ada.email)
            assert len(room.mails) == post.stage.services.outbox.sent == 1

    async def test_a_silent_relay_holds_up_nothing_but_mail(self, room: Mailroom) -> None:
        """Every carrier waits for it; answers come at once, and it is let go when the server ends."""
        room.silent = True
        async with sending(room) as post:
            people = [await post.stage.somebody() for _ in range(6)]
            assert {(await post.ask(ada.email)).status_code for ada in people} == {202}
            async with asyncio.timeout(10):
                while len(await post.stage.events("password_reset.offered")) < 4:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.01)
            assert post.stage.services.outbox.waiting == 6
            assert (await post.ask("nobody@example.com")).status_code == 202
            await post.stage.login(people[0])

    async def test_a_queue_that_is_full_says_so_to_everybody(self, room: Mailroom) -> None:
        """503 with ``Retry-After``, known or unknown; a change of password goes through all the same."""
        async with sending(room, password_resets_per_address="0") as post:
            ada = await post.stage.newcomer()
            post.stage.services.outbox.waiting = post.stage.services.outbox.policy.capacity
            for email in (ada.email, "nobody@example.com"):
                answer = await post.ask(email)
                problem(answer, 503, "temporarily_unavailable")
                assert answer.headers["retry-after"] == "60"
            body = {"current_password": PASSWORD, "new_password": OTHER}
            answer = await post.stage.http.post("/auth/password", json=body, headers=ada.bearer)
            assert answer.status_code == 204
            post.stage.services.outbox.waiting = 0


class TestTls:
    @pytest.fixture
    def room(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailroom]:
        """A relay with a certificate that this process trusts."""
        cert_file, key_file = certificate(tmp_path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert_file, key_file)
        monkeypatch.setenv("SSL_CERT_FILE", str(cert_file))
        with open_mailroom(Mailroom(tls=context)) as opened:
            yield opened

    async def test_mail_goes_encrypted_and_by_name(self, room: Mailroom) -> None:
        """STARTTLS, then the password of the relay, which is in no setting shown and no repr."""
        secret = "relay-password-canary"
        async with sending(room, smtp_user="watchword", smtp_password=secret) as post:
            ada = await post.stage.somebody()
            mail = await post.link(ada.email)
            assert mail.encrypted
            assert base64.b64decode(mail.user) == f"\0watchword\0{secret}".encode()
            before = room.commands[: room.commands.index("STARTTLS")]
            assert all(line.startswith("EHLO") for line in before)
            settings = post.stage.settings
            assert secret not in f"{settings!r} {settings.mail!r} {settings.shown()} {post.stage.services!r}"

    async def test_a_certificate_of_nobody_s_gets_no_mail(
        self, room: Mailroom, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever stands between is not told the link, nor the password of the relay."""
        monkeypatch.delenv("SSL_CERT_FILE")
        async with sending(room, smtp_user="watchword", smtp_password="relay-password") as post:
            ada = await post.stage.somebody()
            assert (await post.ask(ada.email)).status_code == 202
            async with asyncio.timeout(10):
                while "STARTTLS" not in room.commands:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.005)
            assert room.mails == []
            assert not any(line.startswith(("AUTH", "MAIL")) for line in room.commands)
            assert post.stage.services.outbox.waiting == 1

    async def test_a_relay_that_offers_no_tls_gets_no_mail(self, room: Mailroom) -> None:
        """As one does from which the offer was taken on the way."""
        room.tls = None
        async with sending(room, smtp_security="starttls") as post:
            ada = await post.stage.somebody()
            assert (await post.ask(ada.email)).status_code == 202
            async with asyncio.timeout(10):
                while len(room.commands) < 2:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.005)
            assert all(line.startswith("EHLO") for line in room.commands)
            assert post.stage.services.outbox.waiting == 1


class TestWithoutMail:
    async def test_a_server_that_sends_no_mail_says_so(self, stage: Stage) -> None:
        """To everybody; a link that an administrator made works."""
        ada = await stage.somebody()
        for email in (ada.email, "nobody@example.com"):
            answer = await stage.http.post("/auth/password/forgot", json={"email": email})
            problem(answer, 404, "mail_not_configured")
        link = await stage.services.recovery.link(ada.id, Origin(actor="command-line"))
        body = {"token": link.partition("?token=")[2], "password": OTHER}
        assert (await stage.http.post("/auth/password/reset", json=body)).status_code == 204
        assert (await stage.post_login(email=ada.email, password=OTHER)).status_code == 200
