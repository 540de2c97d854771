"""Requirements on the authentication of people, over HTTP: passwords, their hashes, and who may change what."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import unicodedata
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.server.stage import ISSUER, PASSWORD, Somebody, Stage, open_stage, problem

pytestmark = pytest.mark.anyio


async def register(stage: Stage, password: str, email: str = "a@example.com", **more: str) -> httpx2.Response:
    body = {"email": email, "password": password, **more}
    return await stage.http.post("/auth/register", json=body)


async def change(stage: Stage, ada: Somebody, new: str, current: str = PASSWORD) -> httpx2.Response:
    body = {"current_password": current, "new_password": new}
    return await stage.http.post("/auth/password", json=body, headers=ada.bearer)


def holding(folder: Path, secrets: list[str]) -> list[str]:
    """The files in which one of *secrets* stands."""
    files = list(folder.iterdir())
    assert len(files) >= 2
    return [file.name for file in files for secret in secrets if secret.encode() in file.read_bytes()]


class TestChoice:
    @pytest.mark.parametrize(
        "password",
        [
            "x7-lantern",
            "correct horse battery staple",
            "nur Kleinbuchstaben und Leerzeichen",
            "🦊🦉🦔🐿🦡🦫🦦🦨",
            "パスワードではない言葉",
            "qz7" * 5 + "w!" * 25,
            "it is a long sentence, " * 40,
            "        eight leading spaces",
        ],
    )
    async def test_req_p01_anything_long_enough_will_do(self, stage: Stage, password: str) -> None:
        """Any script, spaces, at least 64 characters; no rule of composition."""
        assert (await register(stage, password)).status_code == 201
        assert (await stage.post_login(email="a@example.com", password=password)).status_code == 200

    @pytest.mark.parametrize("length", [8, 15, 64])
    async def test_req_p01_the_least_length_is_a_setting(self, length: int) -> None:
        """Characters count, not bytes; one below is 422 by its field."""
        async with open_stage(password_min_length=str(length)) as stage:
            word = "ä✓🦊xq7zw"
            exact = (word * 8)[:length]
            answer = await register(stage, exact[:-1])
            assert problem(answer, 422, "invalid_input")["errors"][0]["field"] == "password"
            assert (await register(stage, exact)).status_code == 201

    async def test_req_p02_the_greatest_length_is_a_clean_refusal(self, stage: Stage) -> None:
        """1024 bytes are taken and all count; one more is 422 to set and wrong to try; nothing is cut."""
        most = "é" * 511 + "ab"
        assert (await register(stage, most)).status_code == 201
        assert (await stage.post_login(email="a@example.com", password=most[:-1] + "c")).status_code == 401
        assert (await stage.post_login(email="a@example.com", password=most)).status_code == 200
        answer = await register(stage, most + "x", "b@example.com")
        assert problem(answer, 422, "invalid_input")["errors"][0]["field"] == "password"
        assert (await stage.post_login(email="a@example.com", password=most + "x")).status_code == 401

    @pytest.mark.parametrize(
        ("first", "second", "same"),
        [
            ("nächtliche brücken", unicodedata.normalize("NFD", "nächtliche brücken"), True),
            ("space between words", "space\u00a0between\u3000words", True),
            ("the ﬁfth lantern", "the fifth lantern", False),
            ("№ nine lanterns", "No nine lanterns", False),
            ("Nine Slow Lanterns", "nine slow lanterns", False),
            ("nine slow lanterns", "nine slow lanterns ", False),
            ("straße der lichter", "strasse der lichter", False),
        ],
    )
    async def test_req_p03_one_normalisation_at_set_and_check(
        self, stage: Stage, first: str, second: str, same: bool
    ) -> None:
        """OpaqueString (RFC 8265 4.2): NFC and one kind of space; nothing is folded, widened or trimmed."""
        assert (await register(stage, first)).status_code == 201
        answer = await stage.post_login(email="a@example.com", password=second)
        assert answer.status_code == (200 if same else 401)

    @pytest.mark.parametrize(
        "password",
        "password1 password123 P@ssw0rd Passw0rd! 12345678 123456789 1234567890 11111111 qwertyuiop 1q2w3e4r5t "
        "qwerty123 iloveyou sunshine1 princess1 football1 baseball superman1 letmein1 welcome1 Welcome2024! trustno1 "
        "changeme administrator abcd1234 aaaaaaaa 87654321 summer2024 Winter2023! monkey123 dragon123 master123 "
        "starwars whatever1 computer1 internet michelle1 asdfghjkl zaq12wsx !QAZ2wsx qwe123qwe poiuytrewq lkjhgfdsa "
        "!@#$%^&* blink182 spongebob Hunter2Hunter2 Benjamin2024 veronica! 147258369 11223344".split(),
    )
    async def test_req_p04_what_every_attacker_tries_is_refused(self, stage: Stage, password: str) -> None:
        """When one is set, at registration and at a change; never at log-in."""
        answer = await register(stage, password)
        assert problem(answer, 422, "invalid_input")["errors"][0]["field"] == "password"
        answer = await change(stage, await stage.newcomer(), password)
        assert problem(answer, 422, "invalid_input")["errors"][0]["field"] == "new_password"

    @pytest.mark.parametrize(
        "password", ["lovelace.ada@example.com", "Lovelace.Ada", "Ada Augusta Byron", "countess-ada"]
    )
    async def test_req_p04_what_stands_beside_it_is_no_password(self, stage: Stage, password: str) -> None:
        """The owner's address, its local part, name and user name."""
        answer = await register(
            stage, password, "lovelace.ada@example.com", name="Ada Augusta Byron", username="countess-ada"
        )
        assert problem(answer, 422, "invalid_input")["errors"][0]["field"] == "password"


class TestHash:
    async def test_req_p05_the_hash_is_argon2id_with_its_settings(self, tmp_path: Path) -> None:
        """19 MiB, twice, in the stored text; a weaker one is made anew at the next log-in."""

        def digest() -> str:
            with closing(sqlite3.connect(tmp_path / "watchword.db")) as database:
                (found,) = database.execute("SELECT password_digest FROM users").fetchone()
            return str(found)

        where = {"database": f"sqlite:///{tmp_path}/watchword.db"}
        async with open_stage(**where) as stage:
            ada = await stage.somebody()
        assert digest().startswith("$argon2id$v=19$m=8,")
        async with open_stage(**where, password_hash="standard") as stage:
            await stage.login(ada)
            first = digest()
            assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
            await stage.login(ada)
            assert digest() == first

    async def test_req_p05_a_full_queue_does_not_undo_a_right_password(self) -> None:
        """The better hash is made at another log-in when there is no time for it now."""
        async with open_stage() as stage:
            ada = await stage.somebody()
            answers = await asyncio.gather(
                *(stage.post_login(email=ada.email, password=PASSWORD) for _ in range(50))
            )
            assert {answer.status_code for answer in answers} <= {200, 503}

    async def test_req_s14_a_stolen_database_opens_nothing(self, tmp_path: Path) -> None:
        """No password, access token, refresh token, one-time link or private key stands in the file or its journal."""
        async with open_stage(database=f"sqlite:///{tmp_path}/watchword.db") as stage:
            link = await stage.services.setup.offer()
            ada = await stage.newcomer()
            body = {"refresh_token": ada.tokens["refresh_token"]}
            again = (await stage.http.post("/auth/token", json=body)).json()
            secrets = [PASSWORD, link, ada.tokens["access_token"], again["access_token"]]
            for tokens in (ada.tokens, again):
                secrets += [tokens["refresh_token"], tokens["refresh_token"][60:90]]
            active = [key for key in await stage.services.keys.list() if key.state == "active"]
            private = [
                (await stage.services.keys.signing_key(key.kid)) for key in active if key.purpose == "token"
            ]
            secrets += [str(key.private_jwk()["d"]) for key in private]
            found = holding(tmp_path, [secret for secret in secrets if secret is not None])
            assert found == []


class TestDoors:
    async def test_req_p07_every_refusal_of_a_log_in_is_the_same(self, stage: Stage) -> None:
        """Status, text and fields, but the request's name, whatever is wrong; the address is no header either."""
        ada, root = await stage.somebody(), await stage.administrator()
        await stage.http.post(f"/admin/v1/users/{ada.id}/ban", headers=root.bearer)
        found = set()
        for email in (ada.email, root.email, "nobody@example.com", "ADA", "a@b@c"):
            answer = await stage.post_login(email=email, password="wrong")
            fields = sorted((n, v) for n, v in answer.headers.items() if n != "x-request-id")
            found.add((answer.status_code, answer.content, tuple(fields)))
        assert len(found) == 1

    async def test_req_p11_a_new_address_is_not_proved(self, stage: Stage) -> None:
        """``email_verified`` falls with the address it was for, whoever changes it."""
        root = await stage.administrator()
        ada = await stage.newcomer(audience=ISSUER)
        with_proof = stage.services.store.users
        assert (await with_proof.get(ada.id)) is not None
        for method, path, who in (
            ("PATCH", "/auth/me", ada),
            ("PATCH", f"/admin/v1/users/{ada.id}", root),
        ):
            answer = await stage.http.request(
                method, path, json={"email": f"{path.count('/')}@example.com"}, headers=who.bearer
            )
            assert answer.status_code == 200, answer.text
            assert answer.json()["email_verified"] is False

    async def test_req_p16_nothing_but_the_right_password_makes_a_session(self, stage: Stage) -> None:
        """A refusal of any kind leaves no session, no token and no cookie."""
        ada = await stage.somebody()
        for body in (
            {"email": ada.email, "password": "wrong"},
            {"email": ada.email, "password": PASSWORD, "audience": "nobody"},
            {"email": ada.email, "password": PASSWORD, "scope": "payroll:pay"},
            {"email": ada.email, "password": PASSWORD, "session_id": "ses_mine"},
        ):
            answer = await stage.http.post("/auth/login", json=body)
            assert answer.status_code in (401, 422)
            assert "token" not in answer.text.replace("invalid_token", "")
            assert "set-cookie" not in answer.headers
        assert not await stage.services.sessions.list(ada.id)

    async def test_req_p17_nobody_is_there_at_the_start(self, stage: Stage) -> None:
        """No default account: every name that one expects is unknown, and nobody has the role."""
        for name in ("admin", "root", "administrator", "watchword", "test", "demo"):
            for who in ({"username": name}, {"email": f"{name}@example.com"}):
                for password in ("admin", "password", name, "", "watchword"):
                    answer = await stage.post_login(password=password, **who)
                    assert answer.status_code in (401, 429)
        assert (await stage.services.users.list()).items == ()

    async def test_req_p18_whoever_changes_a_password_knows_it(self, stage: Stage) -> None:
        """A token alone changes neither password nor, later, the address; the right password changes both."""
        ada = await stage.newcomer()
        problem(await change(stage, ada, "seven-blue-harbours", "wrong"), 401, "invalid_credentials")
        stage.clock.forward(minutes=5)
        body: dict[str, Any] = {"refresh_token": ada.tokens["refresh_token"]}
        for _ in range(2):
            stage.clock.forward(minutes=8)
            ada.tokens = (await stage.http.post("/auth/token", json=body)).json()
            body = {"refresh_token": ada.tokens["refresh_token"]}
        answer = await stage.http.patch("/auth/me", json={"email": "b@example.com"}, headers=ada.bearer)
        problem(answer, 401, "invalid_credentials")
        assert (await change(stage, ada, "seven-blue-harbours")).status_code == 204
        assert (await stage.post_login(email=ada.email, password="seven-blue-harbours")).status_code == 200


class TestBasic:
    @pytest.mark.parametrize(
        "value",
        "Basic|Basic |Basic x|Basic ====|Basic YQ==|Basic YTo=|Basic gIA6gA==|Basic YQA6Yg==|Basic YTpiOmM=".split(
            "|"
        ),
    )
    async def test_attack_a62_req_x18_a_basic_field_opens_nothing_here(
        self, stage: Stage, value: str
    ) -> None:
        """No colon, bad base64, no UTF-8, NUL, two colons: 401 and a challenge, never 500."""
        answer = await stage.http.get("/auth/me", headers={"Authorization": f"Basic{value}"})
        problem(answer, 401, "invalid_token")
        assert re.match(r"Bearer error=", answer.headers["www-authenticate"])

    async def test_the_password_of_a_person_is_no_basic_password(self, stage: Stage) -> None:
        """The master password travels to the log-in and nowhere else."""
        ada = await stage.somebody()
        auth = httpx2.BasicAuth(ada.email, PASSWORD)
        problem(await stage.http.get("/auth/me", auth=auth), 401, "invalid_token")
        assert ISSUER.startswith("https")
