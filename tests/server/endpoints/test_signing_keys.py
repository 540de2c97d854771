"""Signing keys at the server: who may hand one in, what its name is traded for, and what ends it."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from tests.server.stage import PASSWORD, Somebody, Stage, call, open_stage, problem
from watchword import Guard, InvalidToken
from watchword.jose import jws
from watchword.jose.encoding import parse_json_object
from watchword.jose.jwk import Key
from watchword.server.store.records import Origin

pytestmark = pytest.mark.anyio
KEY = Key.generate("Ed25519")


async def hand_in(stage: Stage, somebody: Somebody, status: int = 201, **members: Any) -> Any:
    body = {"name": "deploy", "jwk": KEY.public_jwk(), "current_password": PASSWORD, **members}
    answer = await stage.http.post("/auth/signing-keys", json=body, headers=somebody.bearer)
    assert answer.status_code == status, answer.text
    return answer.json()


async def trade(stage: Stage, keyid: str, status: int = 200, **members: Any) -> Any:
    answer = await stage.http.post("/auth/token", json={"signing_key": keyid, **members})
    assert answer.status_code == status, answer.text
    return answer.json()


def claims_of(token: str) -> dict[str, Any]:
    return parse_json_object(jws.parse(token).payload)


class TestHandIn:
    async def test_it_is_listed_by_what_it_is(self, stage: Stage) -> None:
        """201 with its id, algorithm and thumbprint; the same in the list; the audit log has it."""
        ada = await stage.newcomer()
        made = await hand_in(stage, ada)
        assert made["id"].startswith("ses_")
        assert (made["algorithm"], made["thumbprint"]) == ("EdDSA", KEY.thumbprint())
        assert (made["name"], made["audience"], made["scope"]) == ("deploy", "api", None)
        assert (made["last_used_at"], made["expires_at"]) == (None, "2030-04-01T12:00:00Z")
        assert await call(stage, ada, "GET", "/auth/signing-keys") == {"items": [made], "next": None}
        assert (await call(stage, ada, "GET", "/auth/api-keys"))["items"] == []
        (event,) = await stage.events("signing_key.created")
        assert (event.user_id, event.session_id) == (ada.id, made["id"])

    @pytest.mark.parametrize(
        "jwk",
        [
            KEY.private_jwk(),
            {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U"},
            Key.generate("RS256").public_jwk(),
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
            {**KEY.public_jwk(), "use": "enc"},
            {},
        ],
        ids=["private", "secret", "rsa", "torn", "for encryption", "nothing"],
    )
    async def test_only_a_short_public_key_is_taken(self, stage: Stage, jwk: dict[str, Any]) -> None:
        """422 that names the member; a private key is told to be replaced, and nothing of it is kept."""
        ada = await stage.newcomer()
        refused = await hand_in(stage, ada, 422, jwk=jwk)
        assert [fault["field"] for fault in refused["errors"]] == ["jwk"]
        assert (await call(stage, ada, "GET", "/auth/signing-keys"))["items"] == []

    async def test_one_key_has_a_name_for_each_who_hands_it_in(self, stage: Stage) -> None:
        """Whoever hands in another one's public key gets a name under which its holder never signs."""
        ada, eve = await stage.newcomer(), await stage.newcomer()
        names = [(await hand_in(stage, one))["id"] for one in (ada, eve)]
        tokens = [(await trade(stage, name))["access_token"] for name in names]
        assert names[0] != names[1]
        assert [claims_of(token)["sub"] for token in tokens] == [ada.id, eve.id]

    async def test_a_log_in_of_long_ago_says_its_password(self, stage: Stage) -> None:
        """A token found lying about hands in no key, nor does one that an API has seen (ASVS 7.5.1)."""
        issuer = stage.settings.issuer
        ada = await stage.newcomer(audience=issuer)
        await hand_in(stage, ada, current_password=None)
        for bob in (await stage.newcomer(audience=issuer, scope="profile"), await stage.newcomer()):
            await hand_in(stage, bob, 401, current_password=None)
            await hand_in(stage, bob, 401, current_password="wrong-wrong-wrong")
            await hand_in(stage, bob)

    async def test_bounds_are_those_of_api_keys(self, stage: Stage) -> None:
        """Not for this server, not for longer than allowed, not beyond the roles."""
        ada = await stage.newcomer()
        issuer = stage.settings.issuer
        assert (await hand_in(stage, ada, 422, audience=issuer))["error"] == "invalid_target"
        assert (await hand_in(stage, ada, 422, scope="rule"))["error"] == "invalid_scope"
        assert (await hand_in(stage, ada, 422, expires_in=10**9))["error"] == "invalid_input"


class TestTrade:
    async def test_its_token_is_of_no_use_without_it(self, stage: Stage) -> None:
        """Bound by cnf (RFC 7800 3.2): every guard refuses it as a bearer token, and so does the server."""
        ada = await stage.newcomer()
        made = await hand_in(stage, ada)
        given = await trade(stage, made["id"])
        assert (given["token_type"], given["expires_in"], given["session_id"]) == ("PoP", 600, made["id"])
        claims = claims_of(given["access_token"])
        public = KEY.public_jwk()
        assert claims["cnf"] == {"jwk": {part: public[part] for part in ("kty", "crv", "x")}}
        assert (claims["sub"], claims["sid"], claims["aud"]) == (
            ada.id,
            made["id"],
            "urn:watchword:signed:api",
        )
        jwks = (await stage.http.get("/.well-known/jwks.json")).json()
        guard = Guard(stage.settings.issuer, keys=jwks, clock=lambda: stage.clock.at.timestamp())
        with pytest.raises(InvalidToken, match="bound"):
            guard.verify(given["access_token"])
        answer = await stage.http.get(
            "/auth/me", headers={"Authorization": f"Bearer {given['access_token']}"}
        )
        problem(answer, 401, "invalid_token")
        (listed,) = (await call(stage, ada, "GET", "/auth/signing-keys"))["items"]
        assert listed["last_used_at"] == "2030-01-01T12:00:00Z"

    async def test_attack_a_plain_verifier_does_not_take_it(self, stage: Stage) -> None:
        """A library that reads no ``cnf`` and checks all else takes the token of a log-in and not this one."""
        ada = await stage.newcomer()
        made = await hand_in(stage, ada)
        jwks = jwt.PyJWKSet.from_dict((await stage.http.get("/.well-known/jwks.json")).json())

        def verified(token: str) -> Any:
            key = jwks[jwt.get_unverified_header(token)["kid"]]
            # The clock is the stage's, years ahead of the library's.
            times = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
            return jwt.decode(token, key, audience="api", issuer=stage.settings.issuer, options=times)

        assert verified(ada.tokens["access_token"])["sub"] == ada.id
        bound = (await trade(stage, made["id"]))["access_token"]
        with pytest.raises(jwt.InvalidAudienceError):
            verified(bound)

    async def test_nobody_s_address_is_in_it(self) -> None:
        """Whoever knows the key's name may read its token: nothing that settings add of a person is there."""
        async with open_stage(claims="who=email,login=username,called=name,admin=admin") as stage:
            ada = await stage.login(await stage.somebody(name="Ada", username="ada"))
            assert {"who", "login", "called", "admin"} <= set(claims_of(ada.tokens["access_token"]))
            made = await hand_in(stage, ada)
            claims = claims_of((await trade(stage, made["id"]))["access_token"])
            assert claims["admin"] is False
            assert not {"who", "login", "called"} & set(claims)

    async def test_a_scope_is_a_bound(self, stage: Stage) -> None:
        """A key with a scope does what it says and carries no role."""
        ada = await stage.newcomer()
        made = await hand_in(stage, ada, scope="profile")
        claims = claims_of((await trade(stage, made["id"]))["access_token"])
        assert (claims["scope"], claims["roles"], claims["narrowed"]) == ("profile", [], True)

    async def test_every_refusal_is_the_same(self, stage: Stage) -> None:
        """Unknown, a log-in's id, revoked, expired, its user banned: one answer."""
        ada, bob = await stage.newcomer(), await stage.newcomer()
        revoked, expired = await hand_in(stage, ada), await hand_in(stage, ada, expires_in=60)
        banned = await hand_in(stage, bob)
        await call(stage, ada, "DELETE", f"/auth/signing-keys/{revoked['id']}", 204)
        await stage.services.users.ban(bob.id, None, None, Origin())
        stage.clock.forward(minutes=1)
        names = ["ses_nobody", "", "x" * 100, ada.session_id, revoked["id"], expired["id"], banned["id"]]
        answers = [await trade(stage, name, 401) for name in names]
        assert all(answer == answers[0] for answer in answers)
        assert answers[0]["error"] == "invalid_grant"

    async def test_its_id_is_no_api_key(self, stage: Stage) -> None:
        """And two credentials at once are none."""
        made = await hand_in(stage, await stage.newcomer())
        answer = await stage.http.post("/auth/token", json={"api_key": made["id"]})
        problem(answer, 401, "invalid_grant")
        answer = await stage.http.post("/auth/token", json={"api_key": "a", "signing_key": made["id"]})
        problem(answer, 422, "invalid_input")

    async def test_made_up_names_are_counted_by_address(self) -> None:
        """Beyond the limit 429; a good name from there is traded all the same."""
        async with open_stage(login_attempts_per_address="5") as stage:
            made = await hand_in(stage, await stage.newcomer())
            for number in range(5):
                await trade(stage, f"ses_{number}", 401)
            await trade(stage, "ses_6", 429)
            await trade(stage, made["id"])


class TestEnd:
    async def test_an_administrator_sees_and_ends_it(self, stage: Stage) -> None:
        """By user and key; nobody else's, and no API key by that way."""
        root, ada = await stage.administrator(), await stage.newcomer()
        made = await hand_in(stage, ada)
        keys = f"/admin/v1/users/{ada.id}/signing-keys"
        assert (await call(stage, root, "GET", keys))["items"] == [made]
        await call(stage, root, "DELETE", f"/admin/v1/users/{ada.id}/api-keys/{made['id']}", 404)
        await call(stage, root, "DELETE", f"/admin/v1/users/{root.id}/signing-keys/{made['id']}", 404)
        await trade(stage, made["id"])
        await call(stage, root, "DELETE", f"{keys}/{made['id']}", 204)
        await trade(stage, made["id"], 401)
        _, entries = await stage.services.store.revocations.since(0, 1000)
        assert [entry.id for entry in entries if entry.kind == "session"] == [made["id"]]

    @pytest.mark.parametrize("end", ["everywhere", "password"])
    async def test_what_ends_sessions_ends_it(self, stage: Stage, end: str) -> None:
        """Log-out everywhere, another password."""
        ada = await stage.newcomer()
        made = await hand_in(stage, ada)
        if end == "everywhere":
            await call(stage, ada, "POST", "/auth/logout", 204, json={"everywhere": True})
        else:
            words = {"current_password": PASSWORD, "new_password": PASSWORD}
            await call(stage, ada, "POST", "/auth/password", 204, json=words)
        await trade(stage, made["id"], 401)
