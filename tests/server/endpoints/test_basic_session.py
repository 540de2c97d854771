"""Temporary Basic pairs: who gets one, what it opens, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.stage import PASSWORD, Somebody, Stage, each_ground, open_stage, problem
from watchword import Guard, InvalidToken
from watchword.protocol import access_token
from watchword.protocol.basic import format_basic
from watchword.server.store.records import Live, Origin

pytestmark = pytest.mark.anyio

kind = each_ground


async def give(stage: Stage, somebody: Somebody, status: int = 200) -> Any:
    answer = await stage.http.post("/auth/basic", headers=somebody.bearer)
    assert answer.status_code == status, answer.text
    return answer.json()


async def guard_of(stage: Stage, audience: str = "api") -> Guard:
    jwks = (await stage.http.get("/.well-known/jwks.json")).json()
    return Guard(
        stage.settings.issuer, audience, keys=jwks, clock=lambda: stage.clock.at.timestamp(), leeway=0
    )


async def dead_tokens(stage: Stage) -> set[str]:
    """What the feed tells guards of single tokens."""
    _, entries = await stage.services.store.revocations.since(0, 1000)
    return {entry.id for entry in entries if entry.kind == "token"}


class TestGive:
    async def test_a_bearer_token_gives_a_pair_of_its_session(self, stage: Stage) -> None:
        """User name, password, life and the header's value; the password is a token of that session."""
        bob = await stage.login(await stage.somebody(username="bob"))
        answer = await stage.http.post("/auth/basic", headers=bob.bearer)
        assert answer.headers["cache-control"] == "no-store"
        pair = answer.json()
        assert pair["username"].startswith("bobsession")
        assert pair["expires_in"] == 600
        assert pair["authorization"] == f"Basic {format_basic(pair['username'], pair['password'])}"
        principal = (await guard_of(stage)).authenticate(pair["authorization"])
        assert (principal.subject, principal.session_id) == (bob.id, bob.session_id)
        assert principal.roles == ("user",)

    async def test_a_password_gives_a_pair_of_a_new_session(self, stage: Stage) -> None:
        """The new session is in the user's list, and no refresh token of it is in anybody's hands."""
        ada = await stage.somebody()
        answer = await stage.http.post(
            "/auth/basic", json={"email": ada.email, "password": PASSWORD, "device": "cron"}
        )
        pair = answer.json()
        assert set(pair) == {"username", "password", "expires_in", "authorization"}
        principal = (await guard_of(stage)).authenticate(pair["authorization"])
        (session,) = await stage.services.sessions.list(ada.id)
        assert (principal.session_id, session.device) == (session.id, "cron")

    async def test_it_lives_twenty_minutes(self, stage: Stage) -> None:
        """Asked for with the password: longer than an access token, and no longer."""
        ada = await stage.somebody()
        answer = await stage.http.post("/auth/basic", json={"email": ada.email, "password": PASSWORD})
        guard, pair = await guard_of(stage), answer.json()
        stage.clock.forward(seconds=1199)
        assert guard.authenticate(pair["authorization"]).subject == ada.id
        stage.clock.forward(seconds=1)
        with pytest.raises(InvalidToken, match="expired"):
            guard.authenticate(pair["authorization"])

    async def test_guards_are_told_that_tokens_may_live_so_long(self, stage: Stage) -> None:
        """A guard refuses a token longer than the longest life; the feed says the pair's."""
        head = await stage.services.store.revocations.head()
        assert head.longest_life.total_seconds() == 1200

    async def test_its_life_is_a_setting(self, ground: dict[str, str]) -> None:
        """``BASIC_TTL``."""
        async with open_stage(**ground, basic_ttl="5m") as stage:
            assert (await give(stage, await stage.newcomer()))["expires_in"] == 300

    async def test_it_ends_with_its_session(self, ground: dict[str, str]) -> None:
        """A session that is almost over gives a pair that is over with it."""
        for spans in ({"refresh_token_ttl": "15m"}, {"session_idle_ttl": "15m"}):
            async with open_stage(**ground, **spans) as stage:
                ada = await stage.somebody()
                answer = await stage.http.post("/auth/basic", json={"email": ada.email, "password": PASSWORD})
                assert answer.json()["expires_in"] == 900

    async def test_f_s14_a_pair_does_not_outlive_the_token_that_asked_for_it(self, stage: Stage) -> None:
        """A token with 60 seconds left buys a pair of 60 seconds, and the guard refuses it afterwards."""
        ada = await stage.newcomer()
        stage.clock.forward(minutes=9)
        guard, pair = await guard_of(stage), await give(stage, ada)
        assert pair["expires_in"] == 60
        stage.clock.forward(seconds=59)
        assert guard.authenticate(pair["authorization"]).subject == ada.id
        stage.clock.forward(seconds=1)
        with pytest.raises(InvalidToken, match="expired"):
            guard.authenticate(pair["authorization"])

    async def test_a_narrowed_token_gives_a_narrowed_pair(self, stage: Stage) -> None:
        """What the token left out the pair leaves out, too."""
        await stage.services.store.roles.set("user", ("a", "b"), Origin())
        ada = await stage.newcomer()
        body = {"refresh_token": ada.tokens["refresh_token"], "scope": "a"}
        narrow = (await stage.http.post("/auth/token", json=body)).json()
        pair = await give(stage, Somebody(ada.id, ada.email, narrow))
        principal = (await guard_of(stage)).authenticate(pair["authorization"])
        assert principal.scope == ("a",)
        assert principal.claims["narrowed"] is True


class TestOne:
    async def test_the_next_pair_kills_the_one_before(self, stage: Stage) -> None:
        """One live pair a session; the pairs of other sessions are theirs."""
        ada = await stage.newcomer()
        other = await give(stage, await stage.login(ada))
        guard = await guard_of(stage)
        first, second = await give(stage, ada), await give(stage, ada)
        dead = await dead_tokens(stage)
        assert guard.authenticate(first["authorization"]).jti in dead
        assert guard.authenticate(second["authorization"]).jti not in dead
        assert guard.authenticate(other["authorization"]).jti not in dead

    async def test_a_pair_that_is_long_over_costs_no_entry(self, stage: Stage) -> None:
        """Nothing is left to kill."""
        ada = await stage.newcomer()
        await give(stage, ada)
        stage.clock.forward(hours=3)
        ada = Somebody(ada.id, ada.email, (await self.refreshed(stage, ada)))
        await give(stage, ada)
        assert await dead_tokens(stage) == set()

    async def test_too_many_at_once_have_to_wait(self, stage: Stage) -> None:
        """Each replaced pair is an entry at every guard: 429, and the newest pair stays good."""
        ada = await stage.newcomer()
        for _ in range(9):
            pair = await give(stage, ada)
        answer = await stage.http.post("/auth/basic", headers=ada.bearer)
        problem(answer, 429, "too_many_requests")
        assert int(answer.headers["retry-after"]) > 0
        jti = (await guard_of(stage)).authenticate(pair["authorization"]).jti
        assert jti not in await dead_tokens(stage)

    async def refreshed(self, stage: Stage, somebody: Somebody) -> Any:
        body = {"refresh_token": somebody.tokens["refresh_token"]}
        return (await stage.http.post("/auth/token", json=body)).json()


class TestNothingMore:
    async def test_a_pair_opens_nothing_at_the_server(self, stage: Stage) -> None:
        """As Basic, and its password as a bearer token: not the account, not another pair, not log-out."""
        ada = await stage.newcomer()
        pair = await give(stage, ada)
        for value in (pair["authorization"], f"Bearer {pair['password']}"):
            headers = {"Authorization": value}
            for method, path in (
                ("GET", "/auth/me"), ("POST", "/auth/basic"), ("POST", "/auth/logout"), ("GET", "/auth/sessions"),
            ):  # fmt: skip
                problem(await stage.http.request(method, path, headers=headers), 401, "invalid_token")
        assert (await stage.http.get("/auth/me", headers=ada.bearer)).status_code == 200

    async def test_an_administrator_s_pair_administers_nothing(self, stage: Stage) -> None:
        """Not even that of a session for the server alone."""
        root = await stage.administrator()
        pair = await give(stage, root)
        for value in (pair["authorization"], f"Bearer {pair['password']}"):
            answer = await stage.http.get("/admin/v1/users", headers={"Authorization": value})
            problem(answer, 401, "invalid_token")

    async def test_an_exchanged_token_gives_none(self, stage: Stage) -> None:
        """Whoever acts for the user with a token that he was lent gets no pair for it."""
        ada = await stage.newcomer()
        claims = (await guard_of(stage, stage.settings.issuer)).verify(ada.tokens["access_token"]).claims
        live = await stage.services.store.sessions.live(ada.session_id)
        assert isinstance(live, Live)
        lent = access_token.issue(
            {**claims, "act": {"sub": "cli_other"}}, await stage.services.keys.signing_key(live.kid)
        )
        answer = await stage.http.post("/auth/basic", headers={"Authorization": f"Bearer {lent}"})
        problem(answer, 403, "access_denied")

    async def test_a_dead_session_gives_none(self, stage: Stage) -> None:
        """After log-out, 401."""
        ada = await stage.newcomer()
        await stage.http.post("/auth/logout", headers=ada.bearer)
        problem(await stage.http.post("/auth/basic", headers=ada.bearer), 401, "invalid_token")

    async def test_its_session_s_end_is_told_as_long_as_the_pair_lives(self, ground: dict[str, str]) -> None:
        """The access token is long over, the pair is not: the entry is written for the pair's sake."""
        async with open_stage(**ground, basic_ttl="3h") as stage:
            ada = await stage.somebody()
            await stage.http.post("/auth/basic", json={"email": ada.email, "password": PASSWORD})
            stage.clock.forward(hours=2)
            (session,) = await stage.services.sessions.list(ada.id)
            await stage.services.sessions.end(session.id, "test", Origin(), ada.id)
            _, entries = await stage.services.store.revocations.since(0, 1000)
            assert [entry.id for entry in entries if entry.kind == "session"] == [session.id]


class TestRequest:
    async def test_nobody_gets_none(self, stage: Stage) -> None:
        """Without token and password the challenge is bare."""
        answer = await stage.http.post("/auth/basic")
        problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"

    async def test_a_wrong_password_is_a_failed_log_in(self, stage: Stage) -> None:
        """The same answer, and the same log line, as at log-in."""
        ada = await stage.somebody()
        answer = await stage.http.post(
            "/auth/basic", json={"email": ada.email, "password": "wrong-wrong-wrong"}
        )
        problem(answer, 401, "invalid_credentials")
        assert len(await stage.events("login.failed")) == 1

    @pytest.mark.parametrize("body", [{"scope": "a"}, {"email": "a@example.com"}, {"device": "x"}])
    async def test_a_token_takes_no_other_members(self, stage: Stage, body: dict[str, str]) -> None:
        """What belongs to a log-in means nothing beside a token: 422 names it."""
        ada = await stage.newcomer()
        answer = await stage.http.post("/auth/basic", json=body, headers=ada.bearer)
        fault = problem(answer, 422, "invalid_input")
        assert [error["field"] for error in fault["errors"]] == list(body)

    async def test_token_and_password_are_one_too_many(self, stage: Stage) -> None:
        """Two callers in one request: 422."""
        ada = await stage.newcomer()
        body = {"email": ada.email, "password": PASSWORD}
        problem(await stage.http.post("/auth/basic", json=body, headers=ada.bearer), 422, "invalid_input")

    async def test_the_log_says_that_it_was_given_and_not_what(self, stage: Stage) -> None:
        """An event with user and session, and no secret in print."""
        ada = await stage.newcomer()
        pair = await give(stage, ada)
        (event,) = await stage.events("basic_pair.given")
        assert (event.user_id, event.session_id) == (ada.id, ada.session_id)
        assert pair["password"] not in repr(event)
        given = await stage.services.basic_sessions.give(ada.session_id, Origin())
        assert given.password not in repr(given)
        assert given.password not in str(given)
