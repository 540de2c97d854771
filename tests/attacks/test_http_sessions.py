"""Sessions under attack: replay, theft, fixation, clocks that jump, and what the audit log says of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests.server.stage import PASSWORD, Somebody, Stage, open_stage, problem
from watchword.errors import InvalidInput
from watchword.jose.encoding import decode_base64url
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio


async def refresh(stage: Stage, refresh_token: str, **members: Any) -> httpx2.Response:
    return await stage.http.post("/auth/token", json={"refresh_token": refresh_token, **members})


async def me(stage: Stage, access_token: str) -> int:
    headers = {"Authorization": f"Bearer {access_token}"}
    return (await stage.http.get("/auth/me", headers=headers)).status_code


class TestReplay:
    async def test_attack_a25_a_spent_token_ends_its_session(self, stage: Stage) -> None:
        """R1, R2, then R1 past the grace: refused; R2 and the session's access tokens are dead; an event says so."""
        ada = await stage.newcomer()
        first = ada.tokens["refresh_token"]
        second = (await refresh(stage, first)).json()
        stage.clock.forward(seconds=11)
        problem(await refresh(stage, first), 401, "invalid_grant")
        problem(await refresh(stage, second["refresh_token"]), 401, "invalid_grant")
        assert await me(stage, ada.tokens["access_token"]) == 401
        assert await me(stage, second["access_token"]) == 401
        (event,) = await stage.events("refresh_token_replayed")
        assert (event.user_id, event.session_id, event.address) == (ada.id, ada.session_id, "192.0.2.1")
        other = await stage.login(ada)
        assert await me(stage, other.tokens["access_token"]) == 200

    async def test_attack_a26_sixty_four_at_once_are_one(self, stage: Stage) -> None:
        """Every parallel use gets the same successor, and the successor works."""
        ada = await stage.newcomer()
        answers = await asyncio.gather(*(refresh(stage, ada.tokens["refresh_token"]) for _ in range(64)))
        assert {answer.status_code for answer in answers} == {200}
        (successor,) = {answer.json()["refresh_token"] for answer in answers}
        assert (await refresh(stage, successor)).status_code == 200

    async def test_attack_a27_a_token_s_text_cannot_be_bent(self, stage: Stage) -> None:
        """A changed character anywhere, another session's part, another form: refused, and the session is whole."""
        ada, eve = await stage.newcomer(), await stage.newcomer()
        token, other = ada.tokens["refresh_token"], eve.tokens["refresh_token"]
        bent = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(len(token))]
        bent += [
            token[:at] + other[at:]
            for at in range(5, len(token))
            if token[:at] + other[at:] not in (token, other)
        ]
        bent += [
            f" {token}",
            f"{token} ",
            f"{token}=",
            token.upper(),
            token.removeprefix("wwr_"),
            f"wwr_{token}",
        ]
        for text in bent:
            problem(await refresh(stage, text), 401, "invalid_grant")
        assert (await refresh(stage, token)).status_code == 200
        assert (await refresh(stage, other)).status_code == 200

    async def test_attack_a28_what_ends_a_session_ends_its_refresh(self, stage: Stage) -> None:
        """Log-out, ban, deletion, another password: refused at once, not at the next expiry."""
        root = await stage.administrator()

        async def post(path: str, somebody: Somebody, **body: str) -> None:
            answer = await stage.http.post(path, json=body or None, headers=somebody.bearer)
            assert answer.status_code < 300, answer.text

        for end in ("logout", "ban", "delete", "password", "set"):
            ada = await stage.newcomer()
            match end:
                case "logout":
                    await post("/auth/logout", ada)
                case "ban":
                    await post(f"/admin/v1/users/{ada.id}/ban", root)
                case "delete":
                    proof = {"current_password": PASSWORD}
                    await stage.http.request("DELETE", "/auth/me", json=proof, headers=ada.bearer)
                case "password":
                    other = await stage.login(ada)
                    await post(
                        "/auth/password", other, current_password=PASSWORD, new_password="seven-blue-doors"
                    )
                case "set":
                    await stage.services.users.set_password(ada.id, "seven-blue-doors", Origin())
            problem(await refresh(stage, ada.tokens["refresh_token"]), 401, "invalid_grant")
            assert await me(stage, ada.tokens["access_token"]) == 401


class TestSession:
    async def test_attack_a39_req_s01_a_session_is_never_chosen_by_its_client(self, stage: Stage) -> None:
        """Whatever id, cookie or token a stranger sends along, each log-in draws its own."""
        eve = await stage.newcomer()
        ada = await stage.somebody()
        headers = {**eve.bearer, "Cookie": f"session={eve.session_id}; __Host-session={eve.session_id}"}
        seen = {eve.session_id}
        for _ in range(3):
            body = {"email": ada.email, "password": PASSWORD}
            answer = await stage.http.post("/auth/login", json=body, headers=headers)
            assert answer.json()["session_id"] not in seen
            seen.add(answer.json()["session_id"])
            assert "set-cookie" not in answer.headers
        for member in ("session_id", "sid", "jti", "refresh_token"):
            answer = await stage.http.post("/auth/login", json={**body, member: eve.session_id})
            problem(answer, 422, "invalid_input")

    async def test_req_s02_an_id_cannot_be_guessed(self, stage: Stage) -> None:
        """What is shown to be let in has 128 random bits; the id, which lets nobody in, has 80 after its time."""
        ada = await stage.somebody()
        tokens = [(await stage.login(ada)).tokens for _ in range(15)]
        ids = [found["session_id"].removeprefix("ses_") for found in tokens]
        assert {len(text) for text in ids} == {22}
        assert len({text[8:15] for text in ids}) == len({text[-7:] for text in ids}) == 15
        # The secret is followed by the 8 bytes of the instance and a MAC of 16.
        secrets = [decode_base64url(found["refresh_token"].removeprefix("wwr_"))[-40:-24] for found in tokens]
        assert all(len({secret[start : start + 4] for secret in secrets}) == 15 for start in (0, 4, 8, 12))

    async def test_req_s03_a_session_ends_unused_and_in_any_case(self) -> None:
        """Idle and absolute limits by setting, counted by the last use and by the log-in."""
        async with open_stage(session_idle_ttl="1h", refresh_token_ttl="24h") as stage:
            idle, busy = await stage.newcomer(), await stage.newcomer()
            uses = 0
            while (answer := await refresh(stage, busy.tokens["refresh_token"])).status_code == 200:
                busy.tokens = answer.json()
                stage.clock.forward(minutes=50)
                uses += 1
            assert uses == 29  # 24 h in steps of 50 minutes
            problem(answer, 401, "invalid_grant")
            problem(await refresh(stage, idle.tokens["refresh_token"]), 401, "invalid_grant")
            fresh = await stage.newcomer()
            stage.clock.forward(minutes=61)
            problem(await refresh(stage, fresh.tokens["refresh_token"]), 401, "invalid_grant")

    async def test_req_s04_what_lives_goes_on(self, stage: Stage) -> None:
        """The end of one session, user or password touches no other's."""
        ada, bob, root = await stage.newcomer(), await stage.newcomer(), await stage.administrator()
        second = await stage.login(ada)
        await stage.http.post("/auth/logout", headers=ada.bearer)
        assert await me(stage, second.tokens["access_token"]) == 200
        await stage.http.post(f"/admin/v1/users/{ada.id}/ban", headers=root.bearer)
        assert await me(stage, second.tokens["access_token"]) == 401
        assert await me(stage, bob.tokens["access_token"]) == 200
        assert (await refresh(stage, bob.tokens["refresh_token"])).status_code == 200

    async def test_req_s05_one_sees_and_ends_one_s_own(self, stage: Stage) -> None:
        """A user his sessions, an administrator everybody's."""
        ada, root = await stage.newcomer(device="laptop"), await stage.administrator()
        phone = await stage.login(ada, device="phone")
        listed = (await stage.http.get("/auth/sessions", headers=phone.bearer)).json()["items"]
        assert {(item["device"], item["current"]) for item in listed} == {("laptop", False), ("phone", True)}
        ended = await stage.http.delete(f"/auth/sessions/{ada.session_id}", headers=phone.bearer)
        assert ended.status_code == 204
        assert await me(stage, ada.tokens["access_token"]) == 401
        ended = await stage.http.delete(f"/admin/v1/sessions/{phone.session_id}", headers=root.bearer)
        assert ended.status_code == 204
        assert await me(stage, phone.tokens["access_token"]) == 401


class TestClock:
    async def test_attack_a69_a_clock_set_back_makes_no_token_younger(self, stage: Stage) -> None:
        """An hour back: what is expired stays refused or ends no later than it would have; limits do not notice."""
        ada = await stage.newcomer()
        for _ in range(10):
            await stage.post_login(email=ada.email, password="wrong")
        stage.clock.at -= timedelta(hours=1)
        problem(await stage.post_login(email=ada.email, password="wrong"), 429, "too_many_requests")
        assert (await refresh(stage, ada.tokens["refresh_token"])).status_code in (200, 401)
        stage.clock.forward(minutes=70)
        assert await me(stage, ada.tokens["access_token"]) == 401
        stage.clock.forward(minutes=15)
        bob = await stage.newcomer()
        assert await me(stage, bob.tokens["access_token"]) == 200

    @pytest.mark.parametrize("seconds", [1, 9, 600, 3600])
    async def test_attack_a69_nobody_is_thrown_out_by_a_clock_set_back(
        self, stage: Stage, seconds: int
    ) -> None:
        """A log-in and a refresh work while the clock is behind."""
        ada = await stage.newcomer()
        stage.clock.at -= timedelta(seconds=seconds)
        second = await stage.login(ada)
        assert (await refresh(stage, second.tokens["refresh_token"])).status_code == 200

    async def test_limits_go_by_another_clock(self, stage: Stage) -> None:
        """Setting the wall clock ahead gives no attempts back."""
        ada = await stage.somebody()
        for _ in range(10):
            await stage.post_login(email=ada.email, password="wrong")
        stage.clock.at += timedelta(days=2)
        problem(await stage.post_login(email=ada.email, password=PASSWORD), 429, "too_many_requests")


class TestEvents:
    async def test_req_s11_what_matters_is_written_down(self, stage: Stage) -> None:
        """Log-in good and bad, refresh replay, log-out, ban, role, password, key: who, when, from where."""
        root, ada = await stage.administrator(), await stage.newcomer()
        await stage.post_login(email=ada.email, password="wrong")
        spent = (await stage.login(ada)).tokens["refresh_token"]
        await refresh(stage, spent)
        stage.clock.forward(seconds=11)
        await refresh(stage, spent)
        await stage.http.post(
            "/auth/password",
            json={"current_password": PASSWORD, "new_password": "seven-blue-doors"},
            headers=ada.bearer,
        )
        await stage.http.post("/auth/logout", headers=ada.bearer)
        path = f"/admin/v1/users/{ada.id}"
        await stage.http.patch(path, json={"roles": ["user", "admin"]}, headers=root.bearer)
        await stage.http.post(f"{path}/ban", json={"reason": "left"}, headers=root.bearer)
        await stage.http.post(f"{path}/unban", headers=root.bearer)
        await stage.http.post("/admin/v1/keys/rotate", json={"now": True}, headers=root.bearer)
        listed = (
            await stage.http.get("/admin/v1/events", params={"limit": 200}, headers=root.bearer)
        ).json()["items"]
        own = {event["type"]: event for event in listed if event["user_id"] == ada.id}
        assert own.keys() >= {
            "user.created",
            "session.opened",
            "login.failed",
            "refresh_token_replayed",
            "user.password_changed",
            "session.ended",
            "user.roles_changed",
            "user.banned",
            "user.unbanned",
        }
        assert own["user.banned"]["actor"] == own["user.roles_changed"]["actor"] == root.id
        assert own["user.password_changed"]["actor"] == ada.id
        assert any(event["type"] == "key.activated" and event["actor"] == root.id for event in listed)
        for event in listed:
            assert datetime.fromisoformat(event["at"]) >= datetime(2030, 1, 1, tzinfo=UTC)
            if event["actor"] in (root.id, ada.id):
                assert event["address"] == "192.0.2.1"

    @pytest.mark.parametrize("text", ["x\r\nSet-Cookie: a=b", "\x1b[31mred", "\u202etxt", "a\0b", "é" * 400])
    async def test_attack_a59_a_user_agent_is_kept_as_text(self, stage: Stage, text: str) -> None:
        """What a stranger calls himself breaks no line, no list and no terminal."""
        ada = await stage.somebody()
        raw = text.encode("utf-8", "replace")
        scope_headers = [(b"content-type", b"application/json"), (b"user-agent", raw)]
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            body = b'{"email": "%s", "password": "%s"}' % (ada.email.encode(), PASSWORD.encode())
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "scheme": "https",
            "path": "/auth/login",
            "query_string": b"",
            "headers": scope_headers,
            "client": ("192.0.2.1", 1),
        }
        await stage.app(scope, receive, send)
        assert sent[0]["status"] == 200
        ada = await stage.login(ada)
        listed = await stage.http.get("/auth/sessions", headers=ada.bearer)
        assert listed.status_code == 200
        assert all(ord(c) >= 32 for c in listed.text)

    async def test_attack_a52_a_ban_s_reason_has_a_length(self, stage: Stage) -> None:
        """What goes into the log is bounded."""
        ada = await stage.somebody()
        with pytest.raises(InvalidInput):
            await stage.services.users.ban(ada.id, "x" * 501, None, Origin())
