"""Attacks on accounts over HTTP: who has one, whose password, whose address."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.server.stage import ISSUER, PASSWORD, Stage, open_stage, problem

pytestmark = pytest.mark.anyio


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A server of its own for each test."""
    async with open_stage() as opened:
        yield opened


def visible(answer: httpx2.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """All that a stranger sees of an answer, but the name of the request."""
    fields = [(name, value) for name, value in answer.headers.items() if name != "x-request-id"]
    return answer.status_code, answer.content, sorted(fields)


class TestEnumeration:
    async def test_attack_a43_a_log_in_tells_nothing_of_the_account(self, stage: Stage) -> None:
        """Unknown, known, banned, without a password, by user name: byte for byte the same refusal."""
        ada, banned, root = (
            await stage.somebody(username="ada"),
            await stage.somebody(),
            await stage.administrator(),
        )
        await stage.http.post(f"/admin/v1/users/{banned.id}/ban", headers=root.bearer)
        await stage.http.post("/admin/v1/users", json={"email": "empty@example.com"}, headers=root.bearer)
        bodies: list[dict[str, str]] = [
            {"email": "nobody@example.com"},
            {"email": "no address at all"},
            {"email": ada.email},
            {"email": ada.email.upper()},
            {"email": banned.email},
            {"email": "empty@example.com"},
            {"username": "ada"},
            {"username": "nobody"},
            {"email": "x" * 10_000},
            {"email": ""},
            {"email": "\0"},
        ]
        answers = [visible(await stage.post_login(password="wrong-password", **body)) for body in bodies]
        assert answers[0][0] == 401
        assert all(answer == answers[0] for answer in answers)

    async def test_attack_a43_the_limit_tells_nothing_either(self, stage: Stage) -> None:
        """The limit after many failures is the same for accounts that are and are not."""
        ada = await stage.somebody()
        found = []
        for email in (ada.email, "nobody@example.com"):
            for _ in range(10):
                await stage.post_login(email=email, password="wrong-password")
            found.append(visible(await stage.post_login(email=email, password="wrong-password")))
        assert found[0][0] == 429
        assert found[0] == found[1]

    async def test_attack_a54_what_is_another_s_is_not_there(self, stage: Stage) -> None:
        """Every id of another user, on every route that takes one: as if it did not exist."""
        ada, eve = await stage.newcomer(), await stage.newcomer()
        there = await stage.http.delete(f"/auth/sessions/{ada.session_id}", headers=eve.bearer)
        nowhere = await stage.http.delete("/auth/sessions/ses_nowhere", headers=eve.bearer)
        assert visible(there) == visible(nowhere)
        assert there.status_code == 404
        listed = (await stage.http.get("/auth/sessions", headers=eve.bearer)).json()["items"]
        assert [session["id"] for session in listed] == [eve.session_id]


class TestPasswords:
    async def login(self, stage: Stage, email: str, password: str) -> int:
        return (await stage.post_login(email=email, password=password)).status_code

    async def register(self, stage: Stage, email: str, password: str) -> httpx2.Response:
        return await stage.http.post("/auth/register", json={"email": email, "password": password})

    async def test_attack_a50_no_password_is_cut_or_trimmed(self, stage: Stage) -> None:
        """Two that agree in their first 72 bytes differ; a space at the end counts."""
        long = "0123456789" * 7 + "ab"
        assert (await self.register(stage, "a@example.com", long + "right")).status_code == 201
        assert await self.login(stage, "a@example.com", long + "wrong") == 401
        assert await self.login(stage, "a@example.com", long) == 401
        assert await self.login(stage, "a@example.com", long + "right") == 200
        assert (await self.register(stage, "b@example.com", "trailing space ")).status_code == 201
        assert await self.login(stage, "b@example.com", "trailing space") == 401
        assert await self.login(stage, "b@example.com", "trailing space ") == 200

    async def test_attack_a50_a_letter_is_one_however_it_is_typed(self, stage: Stage) -> None:
        """NFC and NFD are one password; NFKC look-alikes are not."""
        composed = unicodedata.normalize("NFC", "nächtliche brücken")
        assert (await self.register(stage, "a@example.com", composed)).status_code == 201
        assert await self.login(stage, "a@example.com", unicodedata.normalize("NFD", composed)) == 200
        assert (await self.register(stage, "b@example.com", "the ﬁfth lantern")).status_code == 201
        assert await self.login(stage, "b@example.com", "the fifth lantern") == 401

    async def test_attack_a50_a_nul_is_refused(self, stage: Stage) -> None:
        """422 where a password is set; 401 where one is tried."""
        document = problem(
            await self.register(stage, "a@example.com", "nine-slow\0lanterns"), 422, "invalid_input"
        )
        assert document["errors"][0]["field"] == "password"
        assert await self.login(stage, "a@example.com", "nine-slow\0lanterns") == 401

    async def test_attack_a48_a_long_password_is_refused_by_length(self, stage: Stage) -> None:
        """Over 1024 bytes: 422 to set, 401 to try."""
        problem(await self.register(stage, "a@example.com", "x" * 1025), 422, "invalid_input")
        assert await self.login(stage, "a@example.com", "x" * 1025) == 401

    async def test_attack_a49_a_flood_of_log_ins_is_bounded(self, stage: Stage) -> None:
        """Each of two hundred at once is answered 200, or 503 with ``Retry-After``; never 500."""
        people = [await stage.somebody() for _ in range(4)]
        answers = await asyncio.gather(
            *(stage.post_login(email=people[n % 4].email, password=PASSWORD) for n in range(200))
        )
        for answer in answers:
            assert answer.status_code in (200, 503)
            if answer.status_code == 503:
                assert int(problem(answer, 503, "temporarily_unavailable")["status"]) == 503
                assert int(answer.headers["retry-after"]) >= 1
        assert stage.services.passwords.waiting == 0


class TestAddresses:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("ada@example.com", "ADA@Example.COM"),
            ("ada@bücher.example", "ada@xn--bcher-kva.example"),
            ("ädä@example.com", unicodedata.normalize("NFD", "ädä@example.com")),
            ("ada@example.com", "ada@ｅｘａｍｐｌｅ.com"),
            ("ada@xn--bcher-kva.example", "ADA@BÜCHER.example"),
        ],
    )
    async def test_attack_a51_one_account_for_one_address(
        self, stage: Stage, first: str, second: str
    ) -> None:
        """Case, punycode, width and composition make no second account, and each spelling logs in to the one."""
        body = {"email": first, "password": PASSWORD}
        assert (await stage.http.post("/auth/register", json=body)).status_code == 201
        problem(await stage.http.post("/auth/register", json={**body, "email": second}), 409, "email_taken")
        for email in (first, second):
            assert (await stage.post_login(email=email, password=PASSWORD)).status_code == 200

    @pytest.mark.parametrize(
        "second",
        [
            "a.da@example.com",
            "ada+tag@example.com",
            "аda@example.com",
            "ａｄａ@example.com",
            "ada@exämple.com",
        ],
    )
    async def test_attack_a51_another_mailbox_is_another_account(self, stage: Stage, second: str) -> None:
        """Dots, tags and look-alike letters are other mailboxes: nobody gets into another's account by them."""
        for email in ("ada@example.com", second):
            answer = await stage.http.post("/auth/register", json={"email": email, "password": PASSWORD})
            assert answer.status_code == 201, answer.text
        assert (await stage.services.users.find_by_email(second)) != (
            await stage.services.users.find_by_email("ada@example.com")
        )

    @pytest.mark.parametrize(
        "email",
        [
            "ada@b@example.com",
            "ada",
            "@example.com",
            "ada@",
            '"ada"@example.com',
            "ada@[127.0.0.1]",
            "ada@example.com\r\nBcc: eve@example.com",
            "ada@example.com\n",
            "ada\0@example.com",
            "a" * 300 + "@example.com",
            "ada@" + "x" * 320 + ".com",
            "ada@example..com",
            ".ada@example.com",
            "ada @example.com",
            "Ada <ada@example.com>",
            "ada@example.com, eve@example.com",
            "=?utf-8?q?=0d=0aBcc=3Aeve=40example.com?=@example.com",
            "=?utf-8?b?DQoNClBheSBldmU=?=@example.com",
        ],
    )
    async def test_attack_a51_what_is_no_address_makes_no_account(self, stage: Stage, email: str) -> None:
        """422 by the field's name; nothing a mail header could be made of."""
        answer = await stage.http.post("/auth/register", json={"email": email, "password": PASSWORD})
        assert problem(answer, 422, "invalid_input")["errors"][0]["field"] == "email"

    async def test_attack_a59_hostile_text_is_refused_or_kept_as_text(self, stage: Stage) -> None:
        """Line breaks and control marks make no name; markup does and stays text in JSON."""
        for name in ("a\r\nb", "a\x1b[31m", "a\u202eb", "a\0", "a\u2028b"):
            answer = await stage.http.post(
                "/auth/register", json={"email": "a@example.com", "password": PASSWORD, "name": name}
            )
            assert problem(answer, 422, "invalid_input")["errors"][0]["field"] == "name"
        body = {"email": "a@example.com", "password": PASSWORD, "name": "<script>{{7*7}}"}
        answer = await stage.http.post("/auth/register", json=body)
        assert answer.json()["user"]["name"] == "<script>{{7*7}}"
        assert answer.headers["content-type"] == "application/json"


class TestCanary:
    async def test_attack_a60_no_secret_leaves_by_another_door(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Through every flow: absent from the log, the audit log, the metrics, refusals and listings."""
        async with open_stage(log_requests="true") as stage:
            secrets = [PASSWORD, "canary-wrong-password", "canary-new-password-1"]
            texts: list[str] = []

            async def call(method: str, path: str, **more: Any) -> httpx2.Response:
                answer = await stage.http.request(method, path, **more)
                if path not in ("/auth/login", "/auth/token") or answer.status_code >= 400:
                    texts.append(f"{answer.text}{answer.headers}")
                return answer

            root = await stage.administrator()
            body = {"email": "ada@example.com", "password": PASSWORD}
            await call("POST", "/auth/register", json=body)
            await call("POST", "/auth/register", json=body)
            await call("POST", "/auth/login", json={**body, "password": secrets[1]})
            tokens = (await call("POST", "/auth/login", json=body)).json()
            bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
            change = {"current_password": PASSWORD, "new_password": secrets[2]}
            await call("POST", "/auth/password", json=change, headers=bearer)
            await call("POST", "/auth/password", json=change, headers=bearer)
            again = (
                await call("POST", "/auth/token", json={"refresh_token": tokens["refresh_token"]})
            ).json()
            stage.clock.forward(seconds=30)
            await call("POST", "/auth/token", json={"refresh_token": tokens["refresh_token"]})
            await call("GET", "/auth/me", params={"access_token": tokens["access_token"]})
            await call("POST", "/auth/login", content=b'{"password":"' + PASSWORD.encode())
            for path in ("users", "events", "keys", "roles", "apis"):
                await call("GET", f"/admin/v1/{path}", headers=root.bearer)
            await call("GET", "/metrics")
            texts.append(capsys.readouterr().err)
            secrets += [
                found[name]
                for found in (tokens, again, root.tokens)
                for name in ("access_token", "refresh_token")
            ]
            secrets += [token.rpartition(".")[2] for token in secrets if token.count(".") == 2]
            for secret in secrets:
                for text in texts:
                    assert secret not in text

    async def test_req_a09_identity_is_the_id_never_the_address(self, stage: Stage) -> None:
        """Whoever takes the address of a deleted user is somebody else: old tokens open nothing."""
        ada = await stage.newcomer(audience=ISSUER)
        await stage.http.delete("/auth/me", headers=ada.bearer)
        answer = await stage.http.post("/auth/register", json={"email": ada.email, "password": PASSWORD})
        assert answer.json()["user"]["id"] != ada.id
        problem(await stage.http.get("/auth/me", headers=ada.bearer), 401, "invalid_token")
