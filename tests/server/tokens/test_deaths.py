"""How live tokens die: what the store writes, heard by a guard."""

from __future__ import annotations

import pytest

from tests.server.hearing import Hearing
from tests.server.stage import Somebody, Stage, call, each_ground, open_stage, problem
from watchword.jose import jws
from watchword.protocol.access_token import FIRST_PARTY_CLIENT_ID
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio
kind = each_ground


@pytest.fixture
async def api(stage: Stage) -> Hearing:
    hearing = Hearing(stage)
    await hearing.update()
    return hearing


def token(somebody: Somebody) -> str:
    return str(somebody.tokens["access_token"])


class TestEntry:
    async def test_it_is_written_until_the_last_leeway_is_over(self, stage: Stage, api: Hearing) -> None:
        """A token past its end lives on where clocks are forgiven; a log-out then must still kill it."""
        ada = await stage.newcomer()
        stage.clock.forward(seconds=600 + 200)
        assert not api.refuses(token(ada))
        answer = await stage.http.post("/auth/logout", json={"refresh_token": ada.tokens["refresh_token"]})
        assert answer.status_code == 204
        await api.update()
        assert api.refuses(token(ada))

    async def test_a_longer_token_from_before_is_not_forgotten(self, lasting: dict[str, str]) -> None:
        """The life of tokens was lowered and the session refreshed: its old, long token dies all the same."""
        async with open_stage(**lasting, access_token_ttl="8h") as stage:
            ada = await stage.newcomer()
            then = stage.clock
        async with open_stage(**lasting, access_token_ttl="10m") as stage:
            api = Hearing(stage)
            stage.clock.at = then.at
            refreshed = await stage.http.post(
                "/auth/token", json={"refresh_token": ada.tokens["refresh_token"]}
            )
            assert refreshed.status_code == 200
            stage.clock.forward(hours=1)
            await api.update()
            assert not api.refuses(token(ada))
            await stage.http.post("/auth/logout", json={"refresh_token": refreshed.json()["refresh_token"]})
            await api.update()
            assert api.refuses(token(ada))

    async def test_overlays_of_one_user_do_not_pile_up(self, stage: Stage, api: Hearing) -> None:
        """The newest says it all."""
        ada = await stage.newcomer()
        root = await stage.administrator()
        for roles in (["user", "admin"], ["user"]) * 20:
            await call(stage, root, "PATCH", f"/admin/v1/users/{ada.id}", json={"roles": roles})
        await api.update()
        assert api.principal(token(ada)).roles == ("user",)
        assert stage.services.feed.sequence >= 40
        message = jws.parse(stage.services.feed.snapshot().body, max_size=10**6).payload
        assert message.count(b'"claims"') == 2  # the kind of one entry, and its member
        _, kept = await stage.services.store.revocations.since(0)
        assert [entry.kind for entry in kept].count("claims") == 1


class TestOverlay:
    async def test_it_never_widens_a_token_beyond_its_api(self, stage: Stage) -> None:
        """What the API's own scope kept out stays out when roles are given; what roles lose goes."""
        root = await stage.administrator()
        clerk = {"name": "clerk", "scope": ["read", "write", "pay"]}
        await call(stage, root, "POST", "/admin/v1/roles", json=clerk)
        await call(stage, root, "POST", "/admin/v1/apis", 201, json={"audience": "rep", "scope": ["read"]})
        rep = Hearing(stage, "rep")
        await rep.update()
        ada = await stage.login(await stage.somebody("clerk"), audience="rep")
        assert rep.principal(token(ada)).scope == ("read",)
        for roles, scope in ((["user", "clerk", "admin"], ("read",)), (["user"], ())):
            await call(stage, root, "PATCH", f"/admin/v1/users/{ada.id}", json={"roles": roles})
            await rep.update()
            assert rep.principal(token(ada)).scope == scope


class TestDeletedApi:
    async def test_its_tokens_die_and_its_sessions_bring_no_others(self, stage: Stage, api: Hearing) -> None:
        """With its scope gone nothing would hold a refresh back from all that the roles carry."""
        root = await stage.administrator()
        await call(stage, root, "POST", "/admin/v1/apis", 201, json={"audience": "rep", "scope": ["read"]})
        rep = Hearing(stage, "rep")
        await rep.update()
        ada = await stage.somebody()
        at_rep, elsewhere = await stage.login(ada, audience="rep"), await stage.login(ada)
        assert not rep.refuses(token(at_rep))
        await call(stage, root, "DELETE", "/admin/v1/apis/rep", 204)
        for hearing in (rep, api):
            await hearing.update()
        assert rep.refuses(token(at_rep))
        assert not api.refuses(token(elsewhere))
        refresh = {"refresh_token": at_rep.tokens["refresh_token"]}
        problem(await stage.http.post("/auth/token", json=refresh), 401, "invalid_grant")


class TestLongestLife:
    async def test_it_rises_at_once_and_falls_when_the_last_long_token_is_over(
        self, lasting: dict[str, str]
    ) -> None:
        """A guard hears of the longer life before it sees a longer token, and refuses one beyond it."""
        database = {**lasting, "basic_ttl": "10m"}
        async with open_stage(**database, access_token_ttl="10m") as stage:
            api, deaf = Hearing(stage), Hearing(stage)
            for guard in (api, deaf):
                await guard.update()
        async with open_stage(**database, access_token_ttl="8h") as stage:
            api.stage = stage
            await api.update()
            long = await stage.newcomer()
            assert not api.refuses(token(long))
            assert deaf.refuses(token(long))
        async with open_stage(**database, access_token_ttl="10m") as stage:
            api.stage = stage
            await api.update()
            assert not api.refuses(token(long))
            lives = []
            for _ in range(2):
                stage.clock.forward(hours=4)
                await stage.services.tick()
                await api.update()
                lives.append(api.known.longest_life)
            assert lives == [8 * 3600, 600]


class TestBrake:
    async def test_a_ban_in_the_same_instant_still_kills(self, stage: Stage, api: Hearing) -> None:
        """Versions pass the base even where no clock moves."""
        ada, bob = await stage.somebody(), await stage.newcomer()
        await stage.services.store.revocations.brake(Origin())
        await api.update()
        assert api.refuses(token(bob))
        ada = await stage.login(ada)
        assert not api.refuses(token(ada))
        await stage.services.users.ban(ada.id, None, None, Origin())
        await api.update()
        assert api.refuses(token(ada))

    async def test_sessions_go_on(self, stage: Stage, api: Hearing) -> None:
        """The old token is dead at the server's own doors, too; a refresh brings one that lives."""
        ada = await stage.newcomer()
        await stage.services.store.revocations.brake(Origin())
        problem(await stage.http.get("/auth/me", headers=ada.bearer), 401, "invalid_token")
        answer = await stage.http.post("/auth/token", json={"refresh_token": ada.tokens["refresh_token"]})
        await api.update()
        assert not api.refuses(answer.json()["access_token"])


class TestClient:
    async def test_a_disabled_client_s_tokens_die(self, stage: Stage, api: Hearing) -> None:
        """No token, no log-in; enabled again it works, and what died stays dead."""
        ada = await stage.newcomer()
        clients = stage.services.store.clients
        await clients.disable(FIRST_PARTY_CLIENT_ID, Origin())
        await api.update()
        assert api.refuses(token(ada))
        problem(await stage.http.get("/auth/me", headers=ada.bearer), 401, "invalid_token")
        refresh = {"refresh_token": ada.tokens["refresh_token"]}
        problem(await stage.http.post("/auth/token", json=refresh), 401, "invalid_grant")
        await clients.disable(FIRST_PARTY_CLIENT_ID, Origin(), disabled=False)
        assert api.refuses(token(ada))
        answer = await stage.http.post("/auth/token", json=refresh)
        assert not api.refuses(answer.json()["access_token"])

    async def test_an_unknown_client_is_none(self, stage: Stage) -> None:
        """Nothing happens."""
        assert await stage.services.store.clients.disable("cli_nobody", Origin()) is None


class TestTimedBan:
    async def test_it_ends_by_itself(self, stage: Stage, api: Hearing) -> None:
        """Tokens from before stay dead, a log-in works again."""
        ada = await stage.newcomer()
        root = await stage.administrator()
        body = {"reason": "cool down", "until": "2030-01-01T12:05:00Z"}
        await call(stage, root, "POST", f"/admin/v1/users/{ada.id}/ban", json=body)
        await api.update()
        assert api.refuses(token(ada))
        problem(
            await stage.post_login(email=ada.email, password="nine-slow-lanterns"), 403, "account_disabled"
        )
        stage.clock.forward(minutes=5)
        assert api.refuses(token(ada))
        again = await stage.login(ada)
        await api.update()
        assert not api.refuses(token(again))
        assert api.refuses(token(ada))


class TestEviction:
    async def test_the_evicted_session_s_tokens_die(self, ground: dict[str, str]) -> None:
        """The least recently used one makes room, and its live token is refused."""
        async with open_stage(**ground, max_sessions_per_user="2") as stage:
            api = Hearing(stage)
            ada = await stage.somebody()
            sessions = []
            for _ in range(3):
                sessions.append(await stage.login(ada))
                stage.clock.forward(seconds=1)
            await api.update()
            assert [api.refuses(token(one)) for one in sessions] == [True, False, False]


class TestEverywhere:
    async def test_it_is_one_entry(self, stage: Stage, api: Hearing) -> None:
        """Twenty sessions, one line on the feed."""
        ada = await stage.somebody()
        sessions = [await stage.login(ada) for _ in range(20)]
        before = stage.services.feed.sequence
        answer = await stage.http.post("/auth/logout", json={"everywhere": True}, headers=sessions[0].bearer)
        assert answer.status_code == 204
        await api.update()
        assert stage.services.feed.sequence == before + 1
        assert all(api.refuses(token(one)) for one in sessions)
