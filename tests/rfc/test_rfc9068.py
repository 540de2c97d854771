"""RFC 9068, the JWT profile of access tokens: its example, and what our server puts into a token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.jose.forge import private, public, token
from tests.server.stage import ISSUER, Stage, open_stage
from watchword import Guard
from watchword.errors import InvalidToken
from watchword.jose import jws
from watchword.jose.encoding import parse_json_object
from watchword.protocol import access_token
from watchword.protocol.access_token import FIRST_PARTY_CLIENT_ID

HEADER = {"typ": "at+JWT", "alg": "RS256", "kid": "RjEwOwOA"}
CLAIMS = {
    "iss": "https://authorization-server.example.com/",
    "sub": "5ba552d67",
    "aud": "https://rs.example.com/",
    "exp": 1639528912,
    "iat": 1618354090,
    "jti": "dbe39bf3a3ba4238a513f51d6e1691c4",
    "client_id": "s6BhdRkqt3",
    "scope": "openid profile reademail",
}


def verified(header: dict[str, Any], claims: dict[str, Any]) -> access_token.AccessToken:
    return access_token.verify(
        token({**header, "kid": private("RS256").kid}, claims, key=private("RS256")),
        public("RS256"),
        issuer="https://authorization-server.example.com/",
        audience="https://rs.example.com/",
        algorithms=["RS256"],
        now=1618354090,
    )


class TestExample:
    def test_3_the_example_is_an_access_token(self) -> None:
        """Header and claims of the document, under a key of ours."""
        found = verified(HEADER, CLAIMS)
        assert (found.sub, found.client_id, found.scope) == (
            "5ba552d67",
            "s6BhdRkqt3",
            ("openid", "profile", "reademail"),
        )

    @pytest.mark.parametrize("typ", ["JWT", "jwt", "at", "application/jwt", "id+jwt", ""])
    def test_req_a02_4_another_type_is_refused(self, typ: str) -> None:
        """An ID token must not be used as an access token."""
        with pytest.raises(InvalidToken):
            verified({**HEADER, "typ": typ}, CLAIMS)
        with pytest.raises(InvalidToken):
            verified({name: value for name, value in HEADER.items() if name != "typ"}, CLAIMS)

    @pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt"])
    def test_4_both_names_of_the_type(self, typ: str) -> None:
        """The media type may be written whole."""
        assert verified({**HEADER, "typ": typ}, CLAIMS)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"iss": "https://authorization-server.example.com"},
            {"aud": "https://rs.example.com"},
            {"exp": 1618354090},
        ],
    )
    def test_req_a02_4_issuer_audience_and_times(self, wrong: dict[str, Any]) -> None:
        """Each is validated."""
        with pytest.raises(InvalidToken):
            verified(HEADER, {**CLAIMS, **wrong})

    def test_req_a02_4_an_encrypted_token_is_refused(self) -> None:
        """Nobody registered encryption here."""
        guard = Guard("https://a.example", keys=public("RS256"))
        with pytest.raises(InvalidToken):
            guard.verify(
                "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA"
            )


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with open_stage() as opened:
        yield opened


@pytest.mark.anyio
class TestOurTokens:
    async def test_req_a01_2_2_every_claim_of_the_profile(self, stage: Stage) -> None:
        """iss, exp, aud, sub, client_id, iat, jti; scope; auth_time and amr, which the log-in knows."""
        ada = await stage.newcomer()
        parsed = jws.parse(ada.tokens["access_token"])
        found = parse_json_object(parsed.payload)
        assert parsed.typ == "at+jwt"
        assert {
            "iss",
            "exp",
            "aud",
            "sub",
            "client_id",
            "iat",
            "jti",
            "scope",
            "auth_time",
            "amr",
        } <= found.keys()
        assert (found["iss"], found["sub"], found["client_id"]) == (ISSUER, ada.id, FIRST_PARTY_CLIENT_ID)
        now = int(stage.clock.now().timestamp())
        assert (found["iat"], found["auth_time"], found["amr"]) == (now, now, ["pwd"])
        assert now < found["exp"] <= now + 3600

    async def test_req_a01_no_two_tokens_have_one_jti(self, stage: Stage) -> None:
        """Not even those of one log-in in one second."""
        ada = await stage.newcomer()
        seen = set()
        for _ in range(5):
            answer = await stage.http.post("/auth/token", json={"refresh_token": ada.tokens["refresh_token"]})
            ada.tokens = answer.json()
            seen.add(parse_json_object(jws.parse(ada.tokens["access_token"]).payload)["jti"])
        assert len(seen) == 5

    async def test_req_a03_5_a_user_is_never_called_like_a_client(self, stage: Stage) -> None:
        """Users and clients have names of their own kinds, whatever a user calls himself."""
        mallory = await stage.login(await stage.somebody(username="cli_first_party"))
        assert mallory.id.startswith("usr_")
        assert FIRST_PARTY_CLIENT_ID.startswith("cli_")
        claims = parse_json_object(jws.parse(mallory.tokens["access_token"]).payload)
        assert claims["sub"] == mallory.id

    async def test_req_a09_identity_is_issuer_and_subject(self, stage: Stage) -> None:
        """The token names no address: who he is does not change when his e-mail does (ASVS 10.5.2)."""
        ada = await stage.newcomer()
        found = parse_json_object(jws.parse(ada.tokens["access_token"]).payload)
        assert ada.email not in str(found)
        keys = (await stage.http.get("/.well-known/jwks.json")).content
        clock = stage.clock
        principal = Guard(ISSUER, keys=keys, clock=lambda: clock.now().timestamp()).verify(
            ada.tokens["access_token"]
        )
        assert (principal.issuer, principal.subject) == (ISSUER, ada.id)
