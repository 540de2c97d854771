"""The pretend issuer: its tokens are real, its revocations are heard, its clock stands still until it is moved."""

from __future__ import annotations

from datetime import timedelta

import pytest

from watchword import ConfigurationError, Guard, InvalidToken, Principal, TemporarilyUnavailable
from watchword.testing import PretendIssuer


@pytest.fixture
def issuer() -> PretendIssuer:
    return PretendIssuer()


def ask(guard: Guard, headers: dict[str, str]) -> Principal:
    return guard.authenticate(headers["Authorization"])


class TestToken:
    def test_s73_a_token_says_what_the_test_wants(self, issuer: PretendIssuer) -> None:
        """Subject, roles, scope, client, session and any other claim."""
        token = issuer.token(
            "usr_ada",
            roles=["admin"],
            scope=["read", "pay"],
            client_id="cli_web",
            session_id=None,
            team="blue",
        )
        principal = issuer.guard().verify(token)
        assert (principal.subject, principal.roles, principal.scope) == (
            "usr_ada",
            ("admin",),
            ("read", "pay"),
        )
        assert (principal.client_id, principal.session_id) == ("cli_web", None)
        assert principal.claims["team"] == "blue"

    def test_each_token_is_another(self, issuer: PretendIssuer) -> None:
        """Two tokens of one user differ in their ``jti``, so that one can be revoked without the other."""
        guard = issuer.guard()
        assert guard.verify(issuer.token()).jti != guard.verify(issuer.token()).jti

    def test_it_is_for_its_audience(self, issuer: PretendIssuer) -> None:
        """The guard of another API refuses it, unless the test asks for that audience."""
        reports = issuer.guard("reports")
        with pytest.raises(InvalidToken):
            reports.verify(issuer.token())
        assert reports.verify(issuer.token(audience="reports")).subject == "usr_test"

    def test_another_issuer_of_the_same_name_signs_nothing(self, issuer: PretendIssuer) -> None:
        """Its key is another one: that is how a test makes a forged token."""
        with pytest.raises(InvalidToken):
            issuer.guard().verify(PretendIssuer().token())

    def test_a_claim_can_be_left_out(self, issuer: PretendIssuer) -> None:
        """``None`` leaves a claim out; without one that is demanded the token is refused."""
        with pytest.raises(InvalidToken):
            issuer.guard().verify(issuer.token(jti=None))

    def test_a_basic_pair_is_the_same_caller(self, issuer: PretendIssuer) -> None:
        """The pair works as Basic; its password is refused as a bearer token."""
        guard = issuer.guard()
        pair = issuer.basic("usr_ada", username="adasession1")
        assert ask(guard, pair).subject == "usr_ada"
        with pytest.raises(InvalidToken):
            guard.verify(issuer.token(basic_username="adasession1"))

    def test_an_api_key_is_the_same_caller_and_ends_alone(self, issuer: PretendIssuer) -> None:
        """As a bearer token, with the claims the test wants; revoked by its session, whether it was used or not."""
        guard = issuer.guard()
        key = issuer.api_key("usr_ada", roles=["clerk"], session_id="ses_key")
        assert guard.authenticate(f"Bearer {key}").roles == ("clerk",)
        unused = issuer.api_key("usr_ada", session_id="ses_unused")
        for session_id in ("ses_key", "ses_unused"):
            issuer.revoke(session_id=session_id)
        for dead in (key, unused):
            with pytest.raises(InvalidToken):
                guard.authenticate(f"Bearer {dead}")
        assert guard.verify(issuer.token("usr_ada"))


class TestClock:
    def test_s73_the_clock_stands_until_it_is_moved(self, issuer: PretendIssuer) -> None:
        """A token of ten minutes is good until ten minutes, and the leeway, have been let go by."""
        guard, token = issuer.guard(leeway=0), issuer.token(lifetime=timedelta(minutes=10))
        issuer.clock.advance(599)
        assert guard.verify(token)
        issuer.clock.advance(timedelta(seconds=1))
        with pytest.raises(InvalidToken, match="expired"):
            guard.verify(token)

    def test_a_token_can_be_over_from_the_start(self, issuer: PretendIssuer) -> None:
        """A negative lifetime ends the token before now, and it says expired, not malformed."""
        with pytest.raises(InvalidToken, match="expired"):
            issuer.guard().verify(issuer.token(lifetime=-60))

    def test_time_does_not_run_backwards(self, issuer: PretendIssuer) -> None:
        """Nothing here is made for that."""
        with pytest.raises(ValueError, match="backwards"):
            issuer.clock.advance(-1)

    def test_guards_stay_live_while_time_goes_by(self, issuer: PretendIssuer) -> None:
        """The issuer goes on speaking, as a real one does; a day later the guard is as live as before."""
        guard = issuer.guard()
        issuer.clock.advance(timedelta(days=1))
        guard.check_fresh(0)
        assert guard.health()["state"] == "live"


class TestRevoke:
    @pytest.mark.parametrize(
        "what",
        [{"session_id": "ses_1"}, {"subject": "usr_ada"}, {"client_id": "cli_web"}],
        ids=lambda what: next(iter(what)),
    )
    def test_s73_a_kill_is_heard_at_once(self, issuer: PretendIssuer, what: dict[str, str]) -> None:
        """By session, user or client; the tokens of others live on, and new ones of user and client do, too."""
        guard = issuer.guard()
        mine = {"subject": "usr_ada", "session_id": "ses_1", "client_id": "cli_web"}
        dead, other = issuer.headers(**mine), issuer.headers("usr_bob", session_id="ses_2")
        assert ask(guard, dead).subject == "usr_ada"
        issuer.revoke(**what)
        with pytest.raises(InvalidToken, match="revoked"):
            ask(guard, dead)
        assert ask(guard, other).subject == "usr_bob"
        if "session_id" not in what:
            assert ask(guard, issuer.headers(**mine)).subject == "usr_ada"

    def test_one_token_dies_alone(self, issuer: PretendIssuer) -> None:
        """The other token of the same session lives on."""
        guard, dead, other = issuer.guard(), issuer.token(), issuer.token()
        issuer.revoke(dead)
        with pytest.raises(InvalidToken, match="revoked"):
            guard.verify(dead)
        assert guard.verify(other)

    def test_a_guard_made_later_knows_what_was(self, issuer: PretendIssuer) -> None:
        """What was revoked before the guard was made is dead for it, too."""
        token = issuer.token()
        issuer.revoke(token)
        with pytest.raises(InvalidToken, match="revoked"):
            issuer.guard().verify(token)

    def test_a_role_comes_and_goes(self, issuer: PretendIssuer) -> None:
        """A live token shows the roles that its user has now."""
        guard, token = issuer.guard(), issuer.token("usr_ada")
        issuer.change("usr_ada", roles=["user", "admin"])
        assert guard.verify(token).is_admin
        issuer.change("usr_ada", roles=["user"])
        assert not guard.verify(token).is_admin
        with pytest.raises(ConfigurationError):
            issuer.change("usr_ada", roles="admin")

    def test_keys_rotate(self, issuer: PretendIssuer) -> None:
        """Tokens under the old key live on; under a compromised one they die."""
        guard, first = issuer.guard(), issuer.token()
        issuer.rotate_key()
        second = issuer.token()
        assert guard.verify(first)
        assert guard.verify(second)
        issuer.rotate_key(compromised=True)
        assert guard.verify(first)
        with pytest.raises(InvalidToken):
            guard.verify(second)
        assert guard.verify(issuer.token())
        assert len(issuer.jwks()["keys"]) == 2


class TestSilence:
    def test_news_does_not_arrive_and_grows_old(self, issuer: PretendIssuer) -> None:
        """What a silent issuer revokes is not heard, routes that demand fresh news refuse, and then all is told."""
        guard, token = issuer.guard(), issuer.token()
        issuer.silence()
        issuer.revoke(token)
        assert guard.verify(token)
        issuer.clock.advance(61)
        assert guard.health()["state"] == "stale"
        with pytest.raises(TemporarilyUnavailable):
            guard.check_fresh()
        with pytest.raises(TemporarilyUnavailable):
            guard.refresh()
        issuer.speak()
        guard.refresh()
        with pytest.raises(InvalidToken, match="revoked"):
            guard.verify(token)


class TestTakeOver:
    def test_a_guard_of_the_api_is_taken_and_given_back(self) -> None:
        """The very object that the routes hold hears the pretend issuer until the block ends."""
        guard = Guard("https://auth.example.org", "payroll", max_staleness=5)
        with PretendIssuer(audience="payroll") as issuer:
            issuer.take_over(guard)
            token = issuer.token("usr_ada")
            assert guard.verify(token).subject == "usr_ada"
            assert guard.max_staleness == 5
            issuer.revoke(token)
            with pytest.raises(InvalidToken):
                guard.verify(token)
        assert (guard.issuer, guard.health()["state"]) == ("https://auth.example.org", "cold")


class TestGuard:
    def test_keys_and_a_feed_exclude_each_other(self, issuer: PretendIssuer) -> None:
        """A guard has one source."""
        with pytest.raises(ConfigurationError):
            issuer.guard(keys=issuer.jwks())

    def test_a_library_that_takes_a_key_set_verifies_too(self, issuer: PretendIssuer) -> None:
        """The public keys are a JWKS."""
        guard = Guard(issuer.url, keys=issuer.jwks(), clock=issuer.clock.time)
        assert guard.verify(issuer.token("usr_ada")).subject == "usr_ada"
