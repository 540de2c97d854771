"""Access tokens taken back, one by one and all at once."""

from __future__ import annotations

import json

import pytest

from tests.server.hearing import Hearing
from tests.server.stage import Somebody, Stage, call, problem
from watchword.jose import jws
from watchword.jose.encoding import decode_base64url, encode_base64url
from watchword.jose.jwk import Key
from watchword.protocol import access_token

pytestmark = pytest.mark.anyio

V1 = "/admin/v1"


@pytest.fixture
async def root(stage: Stage) -> Somebody:
    return await stage.administrator()


@pytest.fixture
async def api(stage: Stage) -> Hearing:
    hearing = Hearing(stage)
    await hearing.update()
    return hearing


def token(somebody: Somebody) -> str:
    return str(somebody.tokens["access_token"])


async def refreshed(stage: Stage, somebody: Somebody) -> Somebody:
    answer = await stage.http.post("/auth/token", json={"refresh_token": somebody.tokens["refresh_token"]})
    assert answer.status_code == 200, answer.text
    return Somebody(somebody.id, somebody.email, {**somebody.tokens, **answer.json()})


class TestRevoke:
    async def test_one_token_dies_and_its_session_goes_on(
        self, stage: Stage, root: Somebody, api: Hearing
    ) -> None:
        """At the API and at the server's own doors; a refresh brings another that lives."""
        ada = await stage.newcomer()
        told = await call(stage, root, "POST", f"{V1}/tokens/revoke", json={"token": token(ada)})
        assert (told["user_id"], told["session_id"]) == (ada.id, ada.session_id)
        problem(await stage.http.get("/auth/me", headers=ada.bearer), 401, "invalid_token")
        await api.update()
        assert api.refuses(token(ada))
        again = await refreshed(stage, ada)
        await api.update()
        assert not api.refuses(token(again))
        assert (await stage.http.get("/auth/me", headers=again.bearer)).status_code == 200
        (event,) = await stage.events("token.revoked")
        assert (event.actor, event.detail) == (root.id, {"jti": told["jti"]})

    async def test_many_of_one_session_end_it(self, stage: Stage, root: Somebody, api: Hearing) -> None:
        """Eight are told one by one; the ninth ends the session, which says it shorter."""
        ada = await stage.newcomer()
        spent = []
        for _ in range(9):
            spent.append(ada)
            await call(stage, root, "POST", f"{V1}/tokens/revoke", json={"token": token(ada)})
            if len(spent) < 9:
                ada = await refreshed(stage, ada)
        answer = await stage.http.post("/auth/token", json={"refresh_token": ada.tokens["refresh_token"]})
        problem(answer, 401, "invalid_grant")
        await api.update()
        assert all(api.refuses(token(one)) for one in spent)
        _, kept = await stage.services.store.revocations.since(0)
        assert [entry.kind for entry in kept if entry.kind != "key"] == ["session"]

    @pytest.mark.parametrize("text", ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
    async def test_what_is_no_token_of_ours_is_refused(self, stage: Stage, root: Somebody, text: str) -> None:
        """422, and nothing happens."""
        answer = await stage.http.post(f"{V1}/tokens/revoke", json={"token": text}, headers=root.bearer)
        problem(answer, 422, "invalid_input")
        assert await stage.events("token.revoked") == []

    async def test_a_message_of_the_feed_is_no_token(self, stage: Stage, root: Somebody) -> None:
        """It is signed by us, too; the type tells them apart."""
        message = (await stage.http.get("/revocations")).text
        answer = await stage.http.post(f"{V1}/tokens/revoke", json={"token": message}, headers=root.bearer)
        problem(answer, 422, "invalid_input")

    async def test_a_token_that_another_signed_or_that_names_another_issuer(
        self, stage: Stage, root: Somebody
    ) -> None:
        """Our own claims under a strange key, no key, or our key under another issuer's name: 422 for each."""
        ada = await stage.newcomer()
        ours = await stage.services.keys.signing_key(jws.parse(token(ada)).kid or "")
        claims = json.loads(decode_base64url(token(ada).split(".")[1]))
        nameless = jws.sign(b"{}", ours, typ="at+jwt", header={"kid": None})
        forged = [
            access_token.issue(claims, Key.generate("ES256")),
            access_token.issue({**claims, "iss": "https://other.example.com"}, ours),
            nameless.replace(nameless.split(".")[0], encode_base64url(b'{"alg":"ES256","typ":"at+jwt"}')),
        ]
        for text in forged:
            answer = await stage.http.post(f"{V1}/tokens/revoke", json={"token": text}, headers=root.bearer)
            problem(answer, 422, "invalid_input")
        assert await stage.events("token.revoked") == []
        told = await call(
            stage, root, "POST", f"{V1}/tokens/revoke", json={"token": access_token.issue(claims, ours)}
        )
        assert told["user_id"] == ada.id

    async def test_all_die_and_sessions_go_on(self, stage: Stage, root: Somebody, api: Hearing) -> None:
        """The administrator's own token with them."""
        people = [await stage.newcomer() for _ in range(3)]
        answer = await stage.http.post(f"{V1}/tokens/revoke-all", headers=root.bearer)
        assert answer.status_code == 204
        await api.update()
        assert all(api.refuses(token(one)) for one in people)
        problem(await stage.http.get(f"{V1}/keys", headers=root.bearer), 401, "invalid_token")
        again = [await refreshed(stage, one) for one in people]
        await api.update()
        assert not any(api.refuses(token(one)) for one in again)
