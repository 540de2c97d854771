"""How signing keys succeed each other, heard by a guard that must never refuse a good token."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.server.hearing import Hearing
from tests.server.stage import ISSUER, Somebody, Stage, call, each_ground, open_stage, problem
from watchword.errors import ConfigurationError, InvalidToken, TemporarilyUnavailable
from watchword.jose import jws
from watchword.jose.jwk import KeySet
from watchword.protocol import revocation_list
from watchword.protocol.metadata import REVOCATIONS_JWKS
from watchword.server.settings import Settings
from watchword.server.store.records import Live

pytestmark = pytest.mark.anyio
kind = each_ground

V1 = "/admin/v1"
SECRET_1 = "the-first-secret-of-the-pay-api-0001"
SECRET_2 = "another-secret-for-the-pay-api-00002"


@pytest.fixture
async def root(stage: Stage) -> Somebody:
    return await stage.administrator()


@pytest.fixture
async def api(stage: Stage) -> Hearing:
    hearing = Hearing(stage)
    await hearing.update()
    return hearing


@pytest.fixture
async def shared(ground: dict[str, str]) -> AsyncIterator[Stage]:
    """A server that shares a secret with its API."""
    async with open_stage(**ground, api_secrets=f"api={SECRET_1}") as stage:
        yield stage


def token(somebody: Somebody) -> str:
    return str(somebody.tokens["access_token"])


def algorithm(somebody: Somebody) -> str:
    return jws.parse(token(somebody)).alg


def kid(somebody: Somebody) -> str | None:
    return jws.parse(token(somebody)).kid


async def keys(stage: Stage, root: Somebody, state: str, purpose: str = "token") -> list[Any]:
    page = await call(stage, root, "GET", f"{V1}/keys", params={"purpose": purpose})
    return [key for key in page["items"] if key["state"] == state]


async def rotate(stage: Stage, root: Somebody, **members: Any) -> Any:
    return await call(stage, root, "POST", f"{V1}/keys/rotate", json=members)


async def let_it_act(stage: Stage) -> None:
    """The publication is over."""
    stage.clock.forward(seconds=60)
    await stage.services.keys.tick()


class TestDeath:
    async def test_a_key_that_died_since_it_was_named_signs_nothing(
        self, stage: Stage, root: Somebody
    ) -> None:
        """Between the statement that named it and the signature: 503, and whoever asks again gets another key's."""
        ada = await stage.newcomer()
        live = await stage.services.store.sessions.live(ada.tokens["session_id"])
        assert isinstance(live, Live)
        await call(stage, root, "POST", f"{V1}/keys/{live.kid}/compromise")
        with pytest.raises(TemporarilyUnavailable):
            await stage.services.basic_sessions.write(live, stage.services.basic_sessions.new())
        again = await stage.http.post("/auth/token", json={"refresh_token": ada.tokens["refresh_token"]})
        assert again.status_code == 200
        assert jws.parse(again.json()["access_token"]).kid != live.kid


class TestSchedule:
    async def test_a_key_is_replaced_when_its_time_is_over(self, stage: Stage, api: Hearing) -> None:
        """Tokens of the old key stay good until they end; the guard knew the new one long before."""
        first = await stage.newcomer()
        stage.clock.forward(days=89)
        await stage.services.keys.tick()
        assert kid(await stage.newcomer()) == kid(first)
        stage.clock.forward(days=1)
        old = await stage.newcomer()
        await stage.services.keys.tick()
        new = await stage.newcomer()
        assert kid(new) != kid(old) == kid(first)
        assert not api.refuses(token(new))
        await api.update()
        assert not api.refuses(token(new))
        assert not api.refuses(token(old))

    async def test_the_feed_s_key_too(self, stage: Stage) -> None:
        """Ninety days, as for tokens."""
        before = stage.services.keys.feed_key.kid
        stage.clock.forward(days=90)
        await stage.services.keys.tick()
        assert stage.services.keys.feed_key.kid != before

    async def test_never_is_never(self, ground: dict[str, str]) -> None:
        """A rotation then waits for somebody who asks."""
        async with open_stage(**ground, key_rotation="never") as stage:
            first = kid(await stage.newcomer())
            stage.clock.forward(days=4000)
            await stage.services.keys.tick()
            assert kid(await stage.newcomer()) == first

    async def test_a_span_too_short_stops_the_start(self) -> None:
        """A key must be able to live through its publication and its last token."""
        with pytest.raises(ConfigurationError, match="key_rotation"):
            Settings.load({"key_rotation": "59m"})


class TestAlgorithms:
    async def test_from_one_to_the_next_without_a_refusal(self, shared: Stage) -> None:
        """HS256, HS256 again, RS256, Ed25519, ES256: every token is good to its end, at a guard that only listens."""
        root = await shared.administrator()
        api = Hearing(shared, secrets=(SECRET_1,))
        await api.update()
        good = [await shared.newcomer()]
        seen = [kid(good[0])]
        for name in ("HS256", "HS256", "RS256", "Ed25519", "ES256"):
            rotation = await rotate(shared, root, algorithm=name)
            assert rotation["retiring"] == seen[-1]
            await api.update()
            before = await shared.newcomer()
            await let_it_act(shared)
            after = await shared.newcomer()
            assert (algorithm(after), kid(after)) == (name, rotation["kid"])
            good += [before, after]
            assert not any(api.refuses(token(one)) for one in good)
            await api.update()
            assert not any(api.refuses(token(one)) for one in good)
            seen.append(kid(after))
        assert len(set(seen)) == 6

    async def test_a_compromised_key_hands_over_in_its_own_algorithm(
        self, stage: Stage, root: Somebody
    ) -> None:
        """What waits next is of the algorithm that is in use, whatever the settings once said."""
        await rotate(stage, root, algorithm="Ed25519", now=True)
        root = await stage.login(root, audience=ISSUER)
        (active,) = await keys(stage, root, "active")
        await call(stage, root, "POST", f"{V1}/keys/{active['kid']}/compromise")
        root = await stage.login(root, audience=ISSUER)
        (waiting,) = await keys(stage, root, "next")
        assert waiting["algorithm"] == "Ed25519"


class TestSharedSecret:
    async def test_it_signs_for_its_api_and_opens_no_door_here(self, shared: Stage) -> None:
        """The server's own endpoints take public keys only; an administrator is let in as before."""
        root = await shared.administrator()
        await rotate(shared, root, algorithm="HS256", now=True)
        ada = await shared.newcomer()
        assert algorithm(ada) == "HS256"
        problem(await shared.http.get("/auth/me", headers=ada.bearer), 401, "invalid_token")
        own = await shared.login(ada, audience=ISSUER)
        assert algorithm(own) == "ES256"
        assert (await shared.http.get("/auth/me", headers=own.bearer)).status_code == 200
        await keys(shared, root, "active")

    async def test_no_secret_is_served(self, shared: Stage) -> None:
        """Neither the root nor a key: not in the key set, not on the feed, not to an administrator."""
        root = await shared.administrator()
        await rotate(shared, root, algorithm="HS256", now=True)
        ada = await shared.newcomer()
        jwks = (await shared.http.get("/.well-known/jwks.json")).json()
        assert {key["kty"] for key in jwks["keys"]} == {"EC"}
        await shared.services.feed.poll()
        message = (await shared.http.get("/revocations")).text
        payload = jws.parse(message, max_size=10**7).payload
        (entry,) = [one for one in json.loads(payload)["entries"] if one["kind"] == "key"]
        derived = [key for key in entry["keys"] if key["kty"] == "oct"]
        assert {key["kid"] for key in derived} >= {kid(ada)}
        assert all(key.keys() == {"kty", "kid", "alg", "use", "n"} for key in derived)
        listed = await call(shared, root, "GET", f"{V1}/keys")
        for text in (payload.decode(), str(listed), str(jwks)):
            assert SECRET_1 not in text
            assert '"k"' not in text

    async def test_another_api_s_secret_signs_nothing_here(self, shared: Stage) -> None:
        """A guard of another audience, with another secret, refuses the token."""
        root = await shared.administrator()
        await rotate(shared, root, algorithm="HS256", now=True)
        ada = await shared.newcomer()
        for other in (Hearing(shared), Hearing(shared, secrets=(SECRET_2,))):
            await other.update()
            assert other.refuses(token(ada))
            assert not other.known.lacks_keys

    async def test_without_a_secret_there_is_no_hs256(self, stage: Stage, root: Somebody) -> None:
        """422 that names the setting; and the issuer's own keys are never shared."""
        answer = await stage.http.post(f"{V1}/keys/rotate", json={"algorithm": "HS256"}, headers=root.bearer)
        assert "api_secrets" in problem(answer, 422, "invalid_input")["errors"][0]["message"]
        body = {"algorithm": "HS256", "audience": ISSUER}
        problem(
            await stage.http.post(f"{V1}/keys/rotate", json=body, headers=root.bearer), 422, "invalid_input"
        )
        body = {"audience": "nobody"}
        problem(
            await stage.http.post(f"{V1}/keys/rotate", json=body, headers=root.bearer), 422, "invalid_input"
        )

    async def test_a_leaked_root_is_replaced_by_a_second_one(self, lasting: dict[str, str]) -> None:
        """First the guard gets the second line, then the server; after a rotation the old root signs nothing."""
        async with open_stage(**lasting, api_secrets=f"api={SECRET_1}") as stage:
            root = await stage.administrator()
            await rotate(stage, root, algorithm="HS256", now=True)
            ada = await stage.newcomer()
        async with open_stage(**lasting, api_secrets=f"api={SECRET_1} api={SECRET_2}") as stage:
            api = Hearing(stage, secrets=(SECRET_1, SECRET_2))
            await api.update()
            assert not api.refuses(token(ada))
            await rotate(stage, root, now=True)
            new = await stage.newcomer()
            await api.update()
            assert not api.refuses(token(ada))
            assert not api.refuses(token(new))
            (retired,) = await keys(stage, root, "retired")
            await call(stage, root, "POST", f"{V1}/keys/{retired['kid']}/compromise")
            await api.update()
            assert api.refuses(token(ada))
            assert not api.refuses(token(new))
            only_new = Hearing(stage, secrets=(SECRET_2,))
            await only_new.update()
            assert not only_new.refuses(token(new))

    @pytest.mark.parametrize(
        "secrets", ["api", "=x", "api=short", "api=-----BEGIN PUBLIC KEY----- aaaaaaaaaaaaaaa"]
    )
    async def test_a_bad_secret_stops_the_start(self, secrets: str) -> None:
        """One line names the setting and not the secret."""
        with pytest.raises(ConfigurationError, match="api_secrets") as stopped:
            Settings.load({"api_secrets": secrets})
        assert "aaaa" not in str(stopped.value)


class TestFeedKey:
    async def feed(self, stage: Stage) -> str:
        await stage.services.feed.poll()
        return (await stage.http.get("/revocations")).text

    async def test_its_successor_is_announced_ahead(self, stage: Stage, root: Somebody, api: Hearing) -> None:
        """A guard that hears only the feed goes on; a message under the old key then counts no more."""
        old = await self.feed(stage)
        rotation = await rotate(stage, root, purpose="feed", now=True)
        new = await self.feed(stage)
        assert jws.parse(new, max_size=10**7).kid == rotation["kid"]
        assert api.known.accept(new) == "fresh"
        with pytest.raises(InvalidToken):
            api.known.accept(old)
        await rotate(stage, root, purpose="feed", now=True)
        assert api.known.accept(await self.feed(stage)) == "fresh"

    async def test_a_delta_announces_it_too(self, stage: Stage, root: Somebody, api: Hearing) -> None:
        """Whoever asks only for what is new hears of the key that waits."""
        for _ in range(3):
            await rotate(stage, root, purpose="feed", now=True)
            await stage.services.feed.poll()
            answer = await stage.http.get("/revocations", params={"after": api.known.sequence})
            assert api.known.accept(answer.content) == "fresh"

    async def test_a_compromised_one_is_followed_at_once(
        self, stage: Stage, root: Somebody, api: Hearing
    ) -> None:
        """What the thief signs counts nowhere after the first message under the successor."""
        thief = stage.services.keys.feed_key
        (active,) = await keys(stage, root, "active", "feed")
        assert active["kid"] == thief.kid
        await call(stage, root, "POST", f"{V1}/keys/{thief.kid}/compromise")
        message = await self.feed(stage)
        assert api.known.accept(message) == "fresh"
        claims = revocation_list.parse(message, KeySet(api.known.feed_keys), issuer=ISSUER)
        forged = revocation_list.sign(claims, thief)
        with pytest.raises(InvalidToken):
            api.known.accept(forged)
        published = (await stage.http.get("/.well-known/oauth-authorization-server")).json()[REVOCATIONS_JWKS]
        assert thief.kid not in {key["kid"] for key in published["keys"]}
        ada = await stage.newcomer()
        assert not api.refuses(token(ada))

    async def test_it_has_one_algorithm(self, stage: Stage, root: Somebody) -> None:
        """422 for another."""
        body = {"purpose": "feed", "algorithm": "RS256"}
        problem(
            await stage.http.post(f"{V1}/keys/rotate", json=body, headers=root.bearer), 422, "invalid_input"
        )
        answer = await stage.http.get(f"{V1}/keys", params={"purpose": "x"}, headers=root.bearer)
        problem(answer, 422, "invalid_input")
