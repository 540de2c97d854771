"""API keys at a guard: how they may come, what they cost, what they do when their token or the issuer is gone."""

from __future__ import annotations

import asyncio

import pytest

from tests.guard.late import detach
from watchword import Guard, InvalidRequest, InvalidToken, Principal, TemporarilyUnavailable
from watchword.guard.request import PlainRequest
from watchword.protocol.api_key import ApiKey
from watchword.protocol.basic import format_basic
from watchword.testing import PretendIssuer


@pytest.fixture
def issuer() -> PretendIssuer:
    return PretendIssuer()


def counted(issuer: PretendIssuer, guard: Guard) -> list[str]:
    """What *guard* asks the issuer from now on."""
    asked: list[str] = []
    exchange = guard._exchange
    assert exchange is not None
    trade = exchange._trade
    exchange._trade = lambda kind, credential: asked.append(credential) or trade(kind, credential)  # type: ignore[func-returns-value]
    return asked


class TestForms:
    def test_as_bearer_as_user_name_as_password(self, issuer: PretendIssuer) -> None:
        """``Authorization: Bearer``, ``curl -u KEY:`` and ``curl -u anybody:KEY`` are one caller."""
        guard, key = issuer.guard(), issuer.api_key("usr_ada", roles=["clerk"], session_id="ses_key")
        for value in (
            f"Bearer {key}",
            f"bearer {key}",
            f"Basic {format_basic(key, '')}",
            f"Basic {format_basic('anybody', key)}",
            [f"Bearer {key}".encode()],
        ):
            principal = guard.authenticate(value)
            assert (principal.subject, principal.session_id) == ("usr_ada", "ses_key")
            assert principal.roles == ("clerk",)

    def test_a_key_beside_another_password_is_none(self, issuer: PretendIssuer) -> None:
        """One text, one reading: what stands as the password is the credential."""
        guard, key = issuer.guard(), issuer.api_key()
        with pytest.raises(InvalidToken):
            guard.authenticate(f"Basic {format_basic(key, 'x')}")

    def test_attack_a23_two_keys_are_credentials_twice(self, issuer: PretendIssuer) -> None:
        """A key as the user name and another as its password: 400, and neither is traded."""
        guard, first, second = issuer.guard(), issuer.api_key("usr_ada"), issuer.api_key("usr_bob")
        asked = counted(issuer, guard)
        with pytest.raises(InvalidRequest, match="twice"):
            guard.authenticate(f"Basic {format_basic(first, second)}")
        assert asked == []

    def test_a_key_in_a_cookie_is_none(self, issuer: PretendIssuer) -> None:
        """The cookie is the access token's: a key there is 401 at the first request and, known by then, at the next."""
        guard, key = issuer.guard(cookie="watchword"), issuer.api_key("usr_ada")
        request = PlainRequest("GET", "https://api.example.com/me", (("Cookie", f"__Host-watchword={key}"),))
        for _ in range(2):
            with pytest.raises(InvalidToken, match="never an API key"):
                guard.authenticate(None, request)
            guard.authenticate(f"Bearer {key}")

    def test_verify_takes_tokens_alone(self, issuer: PretendIssuer) -> None:
        """It is pure, so it never asks: a key is no token to it, known or not."""
        guard, key = issuer.guard(), issuer.api_key()
        guard.authenticate(f"Bearer {key}")
        with pytest.raises(InvalidToken, match="not a compact JWS"):
            guard.verify(key)

    @pytest.mark.parametrize("offline", [True, False])
    def test_where_none_is_taken_it_says_so(self, issuer: PretendIssuer, offline: bool) -> None:
        """``api_keys=False``, and a guard that reaches no issuer."""
        guard = Guard(issuer.url, keys=issuer.jwks()) if offline else issuer.guard(api_keys=False)
        key = issuer.api_key()
        with pytest.raises(InvalidToken, match="this API takes no API keys"):
            guard.authenticate(f"Bearer {key}")
        with pytest.raises(InvalidToken, match="this API takes no API keys"):
            asyncio.run(guard.authenticate_async(f"Basic {format_basic(key, '')}"))

    def test_in_a_loop_it_is_waited_for_beside_it(self, issuer: PretendIssuer) -> None:
        """``authenticate_async`` trades; ``authenticate`` in a loop refuses to wait, and takes what is known."""
        guard, key = issuer.guard(), issuer.api_key("usr_ada")

        async def play() -> Principal:
            with pytest.raises(TemporarilyUnavailable, match="authenticate_async"):
                guard.authenticate(f"Bearer {key}")
            await guard.authenticate_async(f"Bearer {key}")
            return guard.authenticate(f"Bearer {key}")

        assert asyncio.run(play()).subject == "usr_ada"


class TestCost:
    def test_one_question_for_many_requests(self, issuer: PretendIssuer) -> None:
        """However it comes, the issuer is asked once."""
        guard, key = issuer.guard(), issuer.api_key()
        asked = counted(issuer, guard)
        for _ in range(100):
            guard.authenticate(f"Bearer {key}")
            guard.authenticate(f"Basic {format_basic(key, '')}")
        assert asked == [key]

    def test_attack_a_flood_of_slips_asks_nobody(self, issuer: PretendIssuer) -> None:
        """What is no key by its checksum is refused here; an unknown one is asked about once in half a minute."""
        guard = issuer.guard()
        asked = counted(issuer, guard)
        good = issuer.api_key()
        for text in ("wwk_", "wwk_" + "0" * 49, good[:-1] + ("A" if good[-1] != "A" else "B"), good + "0"):
            with pytest.raises(InvalidToken, match="this is not an API key"):
                guard.authenticate(f"Bearer {text}")
        assert asked == []
        unknown = ApiKey(bytes(16), bytes(16)).text()
        for _ in range(50):
            with pytest.raises(InvalidToken, match="unknown, expired or revoked"):
                guard.authenticate(f"Bearer {unknown}")
        assert asked == [unknown]

    def test_no_key_is_in_a_refusal(self, issuer: PretendIssuer) -> None:
        """Neither good nor bad ones are repeated to the caller or a log."""
        guard, unknown = issuer.guard(), ApiKey(bytes(16), bytes(16)).text()
        for text in (unknown, unknown[:-1]):
            with pytest.raises(InvalidToken) as refused:
                guard.authenticate(f"Bearer {text}")
            assert text[4:] not in f"{refused.value} {refused.value!r}"


class TestDeath:
    def test_its_session_s_end_is_heard_by_the_feed(self, issuer: PretendIssuer) -> None:
        """Revoked, it is refused as every dead token is; another key of the same user lives."""
        guard = issuer.guard()
        key, other = issuer.api_key(session_id="ses_one"), issuer.api_key(session_id="ses_two")
        guard.authenticate(f"Bearer {key}")
        issuer.revoke(session_id="ses_one")
        with pytest.raises(InvalidToken, match="the token was revoked"):
            guard.authenticate(f"Bearer {key}")
        assert guard.authenticate(f"Bearer {other}")

    def test_a_key_outlives_its_token(self, issuer: PretendIssuer) -> None:
        """Where only the token died, by its end, the caller does not notice: it is traded for another."""
        guard, key = issuer.guard(leeway=0), issuer.api_key("usr_ada")
        exchange = guard._exchange
        assert exchange is not None
        exchange._monotonic = issuer.clock.time
        first = guard.authenticate(f"Bearer {key}")
        issuer.clock.advance(600)
        second = guard.authenticate(f"Bearer {key}")
        assert (first.subject, first.jti != second.jti) == ("usr_ada", True)
        issuer.revoke(issuer_token(guard, key))
        issuer.clock.advance(2)
        assert guard.authenticate(f"Bearer {key}").jti != second.jti

    def test_roles_act_on_it_as_on_every_token(self, issuer: PretendIssuer) -> None:
        """A role given or taken is there at the next request, and the issuer is not asked."""
        guard, key = issuer.guard(), issuer.api_key("usr_ada")
        asked = counted(issuer, guard)
        guard.authenticate(f"Bearer {key}")
        issuer.change("usr_ada", roles=["admin"])
        assert guard.authenticate(f"Bearer {key}").is_admin
        issuer.change("usr_ada", roles=[])
        assert not guard.authenticate(f"Bearer {key}").is_admin
        assert asked == [key]

    def test_what_a_stale_guard_hears_does_not_hold_up_the_loop(
        self, issuer: PretendIssuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The answer says that every token died: the key is traded beside the loop, and its caller let in."""
        guard, key = issuer.guard(on_stale="introspect"), issuer.api_key("usr_ada")
        monkeypatch.setattr(guard._exchange, "_monotonic", issuer.clock.time)
        guard.authenticate(f"Bearer {key}")
        detach(guard, issuer, monkeypatch)
        issuer.rotate_key(compromised=True)
        issuer.clock.advance(61)
        assert asyncio.run(guard.authenticate_async(f"Bearer {key}")).subject == "usr_ada"

    def test_with_the_issuer_away_the_known_go_on(self, issuer: PretendIssuer) -> None:
        """A key in use is verified as before; a first use is 503, not 401."""
        guard, key, stranger = issuer.guard(), issuer.api_key("usr_ada"), issuer.api_key("usr_bob")
        guard.authenticate(f"Bearer {key}")
        issuer.silence()
        assert guard.authenticate(f"Bearer {key}").subject == "usr_ada"
        with pytest.raises(TemporarilyUnavailable):
            guard.authenticate(f"Bearer {stranger}")

    def test_it_is_for_its_api(self, issuer: PretendIssuer) -> None:
        """A token for another audience opens nothing, whoever traded for it."""
        guard, key = issuer.guard(), issuer.api_key(audience="reports")
        with pytest.raises(InvalidToken, match="another audience"):
            guard.authenticate(f"Bearer {key}")

    def test_a_bound_token_is_not_let_in_for_a_key(self, issuer: PretendIssuer) -> None:
        """A key proves no other key: what is bound to one needs its proof."""
        guard, key = issuer.guard(), issuer.api_key(cnf={"jkt": "x" * 43})
        with pytest.raises(InvalidToken):
            guard.authenticate(f"Bearer {key}")


def issuer_token(guard: Guard, key: str) -> str:
    """The access token that *guard* has for *key*."""
    assert guard._exchange is not None
    token = guard._exchange.token("api_key", key)
    assert token is not None
    return token
