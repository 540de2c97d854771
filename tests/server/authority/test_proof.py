"""S2, S5: what is a way in, what proves who asks for it, and how long that proof is good."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.server.stage import ISSUER, PASSWORD, Somebody, Stage, open_stage, problem
from watchword.jose.jwk import Key
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


OTHER = "eight-cold-teapots"
CHANGE = {"current_password": PASSWORD, "new_password": OTHER}
JWK = Key.generate("Ed25519").public_jwk()
WAYS_IN: list[tuple[str, str, dict[str, Any]]] = [
    ("PATCH", "/auth/me", {"email": "eve@example.com"}),
    ("PATCH", "/auth/me", {"username": "eve"}),
    ("POST", "/auth/api-keys", {"name": "Eve"}),
    ("POST", "/auth/signing-keys", {"name": "Eve", "jwk": JWK}),
    ("DELETE", "/auth/me", {}),
]


async def ask(stage: Stage, who: Somebody, method: str, path: str, body: dict[str, Any]) -> Any:
    return await stage.http.request(method, path, json=body, headers=who.bearer)


async def hashing(stage: Stage) -> None:
    """Wait until a password is in work."""
    while not stage.services.passwords.waiting:  # noqa: ASYNC110 - there is nobody who would tell
        await asyncio.sleep(0)


class TestWaysIn:
    async def test_f_s2_a_token_that_an_api_has_seen_opens_no_way_in(self, stage: Stage) -> None:
        """A moment after sign-in: no email, no username, no key, no deletion without the password."""
        ada = await stage.newcomer()
        for way in WAYS_IN:
            told = problem(await ask(stage, ada, *way), 401, "invalid_credentials")
            assert told["detail"] == "Confirm your password: send `current_password`."
        assert [event.type for event in await stage.events()].count("session.opened") == 1
        me = (await stage.http.get("/auth/me", headers=ada.bearer)).json()
        assert (me["email"], me["username"]) == (ada.email, None)

    async def test_f_s2_the_password_opens_every_way_in(self, stage: Stage) -> None:
        """With ``current_password`` each of them is done, and with a wrong one none."""
        ada = await stage.newcomer()
        for method, path, body in WAYS_IN:
            answer = await ask(stage, ada, method, path, {**body, "current_password": "wrong"})
            problem(answer, 401, "invalid_credentials")
            answer = await ask(stage, ada, method, path, {**body, "current_password": PASSWORD})
            assert answer.is_success, answer.text

    async def test_f_s2_a_recent_token_for_the_issuer_only_opens_them(self, stage: Stage) -> None:
        """For 15 minutes after sign-in, however often it was refreshed; then the password is needed."""
        ada = await stage.newcomer(audience=ISSUER)
        stage.clock.forward(minutes=14)
        body = {"refresh_token": ada.tokens["refresh_token"]}
        ada.tokens = (await stage.http.post("/auth/token", json=body)).json()
        for way in WAYS_IN[:-1]:
            assert (await ask(stage, ada, *way)).is_success
        stage.clock.forward(minutes=2)
        for method, path, body in WAYS_IN[2:]:
            problem(await ask(stage, ada, method, path, body), 401, "invalid_credentials")

    async def test_f_s2_what_is_no_way_in_needs_no_password(self, stage: Stage) -> None:
        """The name, the same address again, and the end of a key or session."""
        ada = await stage.newcomer()
        made = await ask(stage, ada, "POST", "/auth/api-keys", {"name": "x", "current_password": PASSWORD})
        for body in ({"name": "Ada"}, {"email": ada.email}, {"username": None}):
            assert (await ask(stage, ada, "PATCH", "/auth/me", body)).is_success
        for path in (f"/auth/api-keys/{made.json()['id']}", f"/auth/sessions/{ada.session_id}"):
            assert (await stage.http.delete(path, headers=ada.bearer)).status_code == 204


class TestMeanwhile:
    """What was the user's own when a request began may be a way back to what they left when it is written."""

    @pytest.mark.parametrize("mail", ["", "mail"])
    @pytest.mark.parametrize(
        "held",
        [
            {"email": None},
            {"username": None},
            {"email": None, "username": None},
            {"email": None, "name": "x"},
        ],
        ids=lambda held: "+".join(held),
    )
    async def test_f_s5_nobody_is_put_back_to_what_they_left(
        self, ground: dict[str, str], held: dict[str, Any], mail: str
    ) -> None:
        """The email and username of before need no password, so they are refused when they are not the user's now."""
        post = {"smtp_host": "127.0.0.1", "smtp_port": "1", "mail_from": "auth@example.com"} if mail else {}
        async with open_stage(**ground, **post) as stage:
            ada = await stage.newcomer()
            body = {**held, "email": ada.email} if "email" in held else held

            async def parts() -> AsyncIterator[bytes]:
                text = json.dumps(body).encode()
                yield text[:-1]
                key = f"new-{ada.email}"
                await stage.services.users.update(ada.id, email=key, username="new", origin=Origin())
                yield text[-1:]

            headers = {**ada.bearer, "Content-Type": "application/json"}
            problem(await stage.http.patch("/auth/me", content=parts(), headers=headers), 409, "conflict")
            me = (await stage.http.get("/auth/me", headers=ada.bearer)).json()
            assert (me["email"], me["username"], me["name"]) == (f"new-{ada.email}", "new", None)

    async def test_f_s5_nor_is_an_administrator(self, stage: Stage) -> None:
        """Their own account through the admin API, which asks for a recent sign-in for another address."""
        root = await stage.administrator()

        async def parts() -> AsyncIterator[bytes]:
            text = json.dumps({"email": root.email, "roles": ["user", "admin"]}).encode()
            yield text[:-1]
            await stage.services.users.update(root.id, email=f"new-{root.email}", origin=Origin())
            yield text[-1:]

        headers = {**root.bearer, "Content-Type": "application/json"}
        answer = await stage.http.patch(f"/admin/v1/users/{root.id}", content=parts(), headers=headers)
        problem(answer, 409, "conflict")
        found = await stage.services.users.require(root.id)
        assert found.email == f"new-{root.email}"


class TestConfirmation:
    async def test_f_s5_the_old_password_confirms_nothing(self, stage: Stage) -> None:
        """A request that began before the owner changed the password, in the same session: 401, nothing changed."""
        for method, path, body in WAYS_IN:
            ada = await stage.newcomer()
            text = json.dumps({**body, "current_password": PASSWORD}).encode()

            async def parts(text: bytes = text, ada: Somebody = ada) -> AsyncIterator[bytes]:
                yield text[:1]
                assert (await ask(stage, ada, "POST", "/auth/password", CHANGE)).status_code == 204
                yield text[1:]

            headers = {**ada.bearer, "Content-Type": "application/json"}
            answer = await stage.http.request(method, path, content=parts(), headers=headers)
            told = problem(answer, 401, "invalid_credentials")
            assert "the new one" in told["detail"]
            assert (await stage.http.get("/auth/me", headers=ada.bearer)).json()["email"] == ada.email

    @pytest.mark.slow
    async def test_f_s5_a_confirmation_ends_with_the_password_it_was_of(self, ground: dict[str, str]) -> None:
        """The owner changes the password in the same session while the thief's is being checked: 401."""
        async with open_stage(**ground, password_hash="strong") as stage:
            for method, path, body in WAYS_IN[::2]:
                ada = await stage.newcomer()
                proof = {**body, "current_password": PASSWORD}
                theft = asyncio.create_task(ask(stage, ada, method, path, proof))
                await hashing(stage)
                owner = await stage.services.users.require(ada.id)
                digest = owner.password_digest
                assert digest is not None
                changed = await stage.services.store.users.set_password(
                    ada.id, digest, Origin(), keep_session=ada.session_id
                )
                assert changed is not None
                problem(await theft, 401, "invalid_credentials")
                assert (await stage.http.get("/auth/me", headers=ada.bearer)).json()["email"] == ada.email
                keys = [await stage.services.user_keys.list(ada.id, k) for k in ("api_key", "signing_key")]  # type: ignore[arg-type]
                assert keys == [[], []]

    @pytest.mark.slow
    async def test_f_s5_what_a_banned_administrator_asked_for_is_not_done(
        self, ground: dict[str, str]
    ) -> None:
        """The ban is answered while the new administrator's password is being hashed."""
        async with open_stage(**ground, password_hash="strong") as stage:
            root, eve = await stage.administrator(), await stage.administrator()
            body = {"email": "new@example.com", "password": OTHER, "roles": ["admin"]}
            making = asyncio.create_task(ask(stage, eve, "POST", "/admin/v1/users", body))
            await hashing(stage)
            ban = await ask(stage, root, "POST", f"/admin/v1/users/{eve.id}/ban", {})
            assert ban.is_success
            problem(await making, 401, "invalid_token")
            assert await stage.services.users.find_by_email("new@example.com") is None
