"""An API's tokens, encrypted to its key."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.server.stage import ISSUER, PASSWORD, Somebody, Stage, call, each_ground, problem
from watchword import Guard
from watchword.jose.jwe import EncryptionKey
from watchword.jose.jwk import Key

pytestmark = pytest.mark.anyio
kind = each_ground

KEY = EncryptionKey.generate()
PUBLIC = {"keys": [KEY.public_jwk()]}
APIS = "/admin/v1/apis"


def guard(stage: Stage, audience: str, **options: Any) -> Guard:
    """The API's own: offline, with the issuer's keys and its private one."""
    keys = stage.services.keys.keyset.public_jwks()
    clock = stage.clock.now().timestamp
    return Guard(
        ISSUER, audience, keys=keys, decryption_keys={"keys": [KEY.private_jwk()]}, clock=clock, **options
    )


async def asked(stage: Stage, ada: Somebody, **members: str) -> dict[str, Any]:
    answer = await stage.post_login(email=ada.email, password=PASSWORD, **members)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


class TestEncryption:
    async def test_a_token_for_that_api_alone_is_encrypted(self, stage: Stage) -> None:
        """At log-in, at refresh, and as the password of a pair; its guard opens it, nobody else."""
        root = await stage.administrator()
        added = await call(
            stage, root, "POST", APIS, 201, json={"audience": "pay", "encryption_jwks": PUBLIC}
        )
        assert added["encryption_jwk"] == KEY.public_jwk()
        ada = await stage.somebody()
        tokens = await asked(stage, ada, audience="pay")
        answer = await stage.http.post("/auth/token", json={"refresh_token": tokens["refresh_token"]})
        by = guard(stage, "pay", require_encryption=True)
        for token in (tokens["access_token"], answer.json()["access_token"]):
            assert token.count(".") == 4
            assert by.verify(token).subject == ada.id
        body = {"email": ada.email, "password": PASSWORD, "audience": "pay"}
        pair = (await stage.http.post("/auth/basic", json=body)).json()
        assert pair["password"].count(".") == 4
        assert by.authenticate(pair["authorization"]).subject == ada.id

    async def test_a_token_that_the_issuer_reads_too_is_not(self, stage: Stage) -> None:
        """A log-in without an audience is for the issuer and the API: it stays signed, and serves both."""
        root = await stage.administrator()
        await call(stage, root, "PATCH", f"{APIS}/api", 200, json={"encryption_jwks": PUBLIC})
        ada = await stage.newcomer()
        assert ada.tokens["access_token"].count(".") == 2
        assert (await stage.http.get("/auth/me", headers=ada.bearer)).status_code == 200
        assert guard(stage, "api").verify(ada.tokens["access_token"]).subject == ada.id
        alone = await asked(stage, await stage.somebody(), audience="api")
        assert alone["access_token"].count(".") == 4

    async def test_the_server_says_that_it_cannot_read_it(self, stage: Stage) -> None:
        """It holds the public key alone: its own endpoints refuse, log-out by the refresh token works."""
        root = await stage.administrator()
        await call(stage, root, "POST", APIS, 201, json={"audience": "pay", "encryption_jwks": PUBLIC})
        tokens = await asked(stage, await stage.somebody(), audience="pay")
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        document = problem(await stage.http.get("/auth/me", headers=bearer), 401, "invalid_token")
        assert "encrypted" in document["detail"]
        answer = await stage.http.post(
            "/admin/v1/tokens/revoke", json={"token": tokens["access_token"]}, headers=root.bearer
        )
        assert answer.status_code in (400, 401, 422)
        assert "encrypted" in answer.text
        body = {"refresh_token": tokens["refresh_token"]}
        assert (await stage.http.post("/auth/logout", json=body)).status_code == 204

    async def test_it_is_changed_and_switched_off(self, stage: Stage) -> None:
        """The next token follows; an API that is not there is not found."""
        root = await stage.administrator()
        ada = await stage.somebody()
        other = EncryptionKey.generate()
        first = await call(stage, root, "PATCH", f"{APIS}/api", 200, json={"encryption_jwks": PUBLIC})
        assert first["encryption_jwk"]["kid"] == KEY.kid
        second = {"encryption_jwks": {"keys": [other.public_jwk(), KEY.public_jwk()]}}
        assert (await call(stage, root, "PATCH", f"{APIS}/api", 200, json=second))["encryption_jwk"][
            "kid"
        ] == other.kid
        last = await call(stage, root, "PATCH", f"{APIS}/api", 200, json={"encryption_jwks": None})
        assert last["encryption_jwk"] is None
        assert (await asked(stage, ada, audience="api"))["access_token"].count(".") == 2
        (found,) = (await call(stage, root, "GET", APIS))["items"]
        assert found["encryption_jwk"] is None
        answer = await stage.http.patch(f"{APIS}/none", json={"encryption_jwks": None}, headers=root.bearer)
        problem(answer, 404, "not_found")
        told = [event.detail["on"] for event in await stage.events("api.encrypted")]
        assert told == [False, True, True]

    @pytest.mark.parametrize(
        "jwks",
        [
            {"keys": []},
            {},
            {"keys": [KEY.private_jwk()]},
            {"keys": [Key.generate("ES256").public_jwk()]},
            {"keys": [{**KEY.public_jwk(), "alg": "RSA1_5"}]},
            {"keys": [{"kty": "oct", "k": "AAAA"}]},
        ],
    )
    async def test_a_key_that_is_none_changes_nothing(self, stage: Stage, jwks: Any) -> None:
        """A private key above all: whoever handed it in should know that it is spoilt."""
        root = await stage.administrator()
        for method, path, body in (("POST", APIS, {"audience": "pay"}), ("PATCH", f"{APIS}/api", {})):
            answer = await stage.http.request(
                method, path, json={**body, "encryption_jwks": jwks}, headers=root.bearer
            )
            document = problem(answer, 422, "invalid_input")
            assert [fault["field"] for fault in document["errors"]] == ["encryption_jwks"]
            assert str(KEY.private_jwk()["d"]) not in answer.text
        (only,) = (await call(stage, root, "GET", APIS))["items"]
        assert (only["audience"], only["encryption_jwk"]) == ("api", None)

    async def test_without_its_package_it_says_how_to_get_it(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``watchword[server]`` alone serves, and encrypts nothing."""
        root = await stage.administrator()
        monkeypatch.delitem(sys.modules, "watchword.jose.jwe")
        monkeypatch.setitem(sys.modules, "joserfc.jwe", None)
        answer = await stage.http.patch(f"{APIS}/api", json={"encryption_jwks": PUBLIC}, headers=root.bearer)
        assert "watchword[jwe]" in problem(answer, 422, "invalid_input")["errors"][0]["message"]
