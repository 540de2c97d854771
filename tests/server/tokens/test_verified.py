"""Tokens that the server's own endpoints have seen before: what may turn is asked each time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.server.stage import ISSUER, Somebody, Stage, call, each_ground
from watchword.errors import InvalidToken
from watchword.jose.jwk import Key, KeySet
from watchword.protocol import access_token
from watchword.server.tokens.verified import VerifiedTokens

pytestmark = pytest.mark.anyio
kind = each_ground

V1 = "/admin/v1"


async def status(stage: Stage, somebody: Somebody) -> int:
    return (await stage.http.get("/auth/me", headers=somebody.bearer)).status_code


class TestSeen:
    async def test_it_ends_at_its_time(self, stage: Stage) -> None:
        """However often it was taken before."""
        ada = await stage.newcomer()
        for _ in range(3):
            assert await status(stage, ada) == 200
        stage.clock.forward(seconds=599)
        assert await status(stage, ada) == 200
        stage.clock.forward(seconds=1)
        assert await status(stage, ada) == 401

    async def test_f_n8_one_of_the_future_is_refused_again(self, stage: Stage) -> None:
        """The clock was set back since."""
        ada = await stage.newcomer()
        assert await status(stage, ada) == 200
        stage.clock.at -= timedelta(hours=1)
        assert await status(stage, ada) == 401

    @pytest.mark.parametrize("end", ["ban", "sessions", "log-out", "token", "all", "key"])
    async def test_whatever_ends_it_ends_it_here(self, stage: Stage, end: str) -> None:
        """At once, seen or not."""
        ada, root = await stage.newcomer(), await stage.administrator()
        assert await status(stage, ada) == 200
        user, revoke = f"{V1}/users/{ada.id}", f"{V1}/tokens/revoke"
        if end == "ban":
            await call(stage, root, "POST", f"{user}/ban", 200)
        elif end == "sessions":
            await call(stage, root, "DELETE", f"{user}/sessions")
        elif end == "log-out":
            await stage.http.post("/auth/logout", json={"refresh_token": ada.tokens["refresh_token"]})
        elif end == "token":
            await call(stage, root, "POST", revoke, json={"token": ada.tokens["access_token"]})
        elif end == "all":
            await call(stage, root, "POST", f"{revoke}-all", 204)
        else:
            (key,) = [k for k in await stage.services.keys.list("token") if k.state == "active"]
            await call(stage, root, "POST", f"{V1}/keys/{key.kid}/compromise")
        assert await status(stage, ada) == 401


class TestBound:
    async def test_attack_a64_a_long_text_is_not_looked_up(self, stage: Stage) -> None:
        """It is refused before it is hashed."""
        assert (await status(stage, Somebody("", "", {"access_token": "a" * 9000}))) == 401

    def test_many_are_forgotten_and_read_again(self) -> None:
        """Ten generations pass through two."""
        key, now = Key.generate("ES256"), 1_796_120_000
        keys, verified = KeySet([key]), VerifiedTokens(ISSUER)
        claims = {
            "iss": ISSUER,
            "sub": "usr_1",
            "aud": ISSUER,
            "exp": now + 600,
            "iat": now,
            "client_id": "c",
        }
        tokens = [access_token.issue({**claims, "jti": str(number)}, key) for number in range(3000)]
        for _ in range(2):
            assert [verified.verify(token, keys, now).jti for token in tokens] == list(map(str, range(3000)))
            assert len(verified) <= 1024
        with pytest.raises(InvalidToken):
            verified.verify(tokens[-1], KeySet([Key.generate("ES256")]), now)
        assert len(verified) == 0
