"""Clocks that are wrong: this machine's, the server's, and what a guard makes of the difference."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guard.stage import TOKEN_KEY, PretendIssuer, kill, mint, pretend_issuer, until
from tests.guard.test_issuer import listening, passes
from tests.guard.test_knowledge import Ear
from watchword import Guard, InvalidToken, TemporarilyUnavailable

HOUR = 3600


@pytest.fixture
def ear() -> Ear:
    """An API whose clock agrees with the server's so far."""
    found = Ear()
    found.hear()
    return found


def beat(ear: Ear, ahead: float, seconds: float = 5) -> None:
    """So many seconds go by; then a heartbeat of a server whose clock is *ahead* of the true time."""
    ear.clock.forward(seconds)
    ear.hear(iat=ear.clock.wall + ahead)


def slow(ear: Ear, by: float) -> None:
    """The API's clock is slow from now on: the server's messages tell the true time."""
    ear.clock.wall -= by


class TestServerAhead:
    def test_f_n9_a_minute_ahead_of_time_leaves_no_guard_stale(self, ear: Ear) -> None:
        """An hour ahead for a minute: the guard was never without news, neither then nor afterwards."""
        for _ in range(12):
            beat(ear, HOUR)
            assert ear.known.age() < 10
        for _ in range(30):
            beat(ear, 0)
            assert ear.known.age() == 0

    def test_f_n9_what_was_said_ahead_of_time_is_no_record(self, ear: Ear) -> None:
        """Afterwards longer tokens are allowed, and nothing is revoked: the next message says so, and counts."""
        beat(ear, HOUR)
        ear.clock.forward(31)
        ear.hear(longest_life=7200)
        assert ear.known.longest_life == 7200

    def test_f_n9_it_is_an_alarm_once(self, ear: Ear, caplog: pytest.LogCaptureFixture) -> None:
        """Counted and logged at its begin, and shown for as long as it lasts."""
        with caplog.at_level(logging.WARNING):
            for _ in range(5):
                beat(ear, HOUR)
        assert ear.known.alarms == 1
        assert [record.getMessage() for record in caplog.records] == [
            "revocation feed of https://auth.example.com: this machine's clock is 3600 s behind the auth server's"
        ]
        assert ear.known.time.clock == -HOUR
        beat(ear, 0)
        assert ear.known.time.clock == 0

    def test_f_n9_good_tokens_pass_all_the_while(self, ear: Ear) -> None:
        """Those from before, those that the server dates ahead, and those from afterwards."""
        before = ear.token()
        beat(ear, HOUR)
        beat(ear, HOUR)
        before()
        ear.token(iat=int(ear.clock.wall + HOUR), exp=int(ear.clock.wall + HOUR + 600))()
        beat(ear, 0)
        before()
        ear.token(jti="token-2")()

    def test_f_n9_a_revocation_counts_as_news_whatever_its_time(self, ear: Ear) -> None:
        """It carried the cursor forward, so it was made after all that was known."""
        beat(ear, -20)
        ear.clock.forward(20)
        assert ear.hear(kill(1, "session", "ses_9"), iat=ear.clock.wall - 100) == "fresh"
        assert ear.known.age() == 0

    def test_f_n9_so_does_the_answer_to_a_question(self, ear: Ear) -> None:
        """It is younger than the question."""
        ear.clock.forward(20)
        question = ear.known.question("n")
        text = ear.text(nonce="n", iat=ear.clock.wall + HOUR)
        assert ear.known.confirm(text, question) == "fresh"
        assert ear.known.age() == 0
        assert ear.known.iat < ear.clock.wall

    def test_f_n9_a_server_ahead_at_first_sight_is_followed_back(self) -> None:
        """Nothing was known before; the first message that this machine's own clock confirms is believed."""
        ear = Ear()
        ear.hear(iat=ear.clock.wall + HOUR)
        beat(ear, HOUR)
        beat(ear, 0)
        assert ear.known.age() == 0
        ear.token()()
        beat(ear, 0, 50)
        assert ear.known.age() == 0

    def test_f_n9_an_old_message_that_is_repeated_is_no_news(self, ear: Ear) -> None:
        """It neither looks younger than it is, nor turns the time back."""
        old = ear.text()
        beat(ear, 0)
        for _ in range(5):
            ear.clock.forward(5)
            ear.known.accept(old)
        assert ear.known.age() == 25

    def test_f_n9_messages_that_agree_for_long_are_believed(self, ear: Ear) -> None:
        """The server's clock was set for good, and is what tokens are dated by."""
        token = ear.token()
        for _ in range(50):
            beat(ear, HOUR)
        token()
        for _ in range(20):
            beat(ear, HOUR)
        with pytest.raises(InvalidToken, match="expired"):
            token()

    def test_f_n9_a_server_set_back_is_followed(self, ear: Ear) -> None:
        """By its heartbeats alone it takes a few of them: old ones may be sent again, but not at their pace."""
        for _ in range(4):
            beat(ear, -20)
        assert ear.known.iat == ear.clock.wall - 20

    def test_f_n9_a_snapshot_from_the_future_is_of_unknown_age(self, tmp_path: Path) -> None:
        """It keeps kills and keys and counts as stale, until the first message."""
        path = tmp_path / "guard.snapshot"
        with pretend_issuer(now=lambda: time.time() + HOUR) as issuer:
            first = Guard(issuer.url, snapshot=path)
            first.refresh()
            first.close()
        second = Guard(issuer.url, snapshot=path)
        assert second.health()["state"] == "stale"
        assert second.health()["age"] is None
        assert second.health()["alarms"] == 1
        assert passes(second, mint(time.time(), issuer=issuer.url))
        second.close()


class TestGuardBehind:
    def test_f_n10_an_expired_token_is_refused(self, ear: Ear) -> None:
        """The API's clock is five minutes slow; the feed tells the time."""
        token = ear.token()
        slow(ear, 300)
        beat(ear, 300, 590)
        token()
        beat(ear, 300, 10)
        with pytest.raises(InvalidToken, match="the token has expired; this machine's clock is 300 s behind"):
            token()
        with pytest.raises(InvalidToken, match="300 s behind"):
            ear.token(exp=int(ear.clock.wall) + 299, iat=int(ear.clock.wall) - 300)

    def test_f_n10_time_goes_on_between_messages(self, ear: Ear) -> None:
        """A feed that fell silent does not stop it."""
        token = ear.token()
        slow(ear, 300)
        beat(ear, 300, 5)
        ear.clock.forward(596)
        with pytest.raises(InvalidToken):
            token()

    def test_f_n10_at_first_sight_too(self) -> None:
        """An API that starts with a slow clock accepts no token that is over."""
        ear = Ear()
        old = mint(ear.clock.wall)
        ear.clock.forward(700)
        slow(ear, 650)
        ear.hear(iat=ear.clock.wall + 650)
        with pytest.raises(InvalidToken, match="650 s behind"):
            ear.verifier.verify(old)
        assert ear.verifier.verify(mint(ear.clock.wall + 650)).subject == "usr_ada"

    def test_f_n10_a_clock_that_is_set_right_refuses_nobody(self, ear: Ear) -> None:
        """Not even before the next message."""
        slow(ear, 3600)
        beat(ear, 3600)
        token = mint(ear.clock.wall + 3600)
        ear.verifier.verify(token)
        ear.clock.wall += 3600
        assert ear.verifier.verify(token).subject == "usr_ada"
        beat(ear, 0)
        assert ear.known.view.push == 0

    def test_f_n10_the_guard_stays_live(self, ear: Ear) -> None:
        """The difference is shown, and is no reason to refuse everybody."""
        slow(ear, 300)
        for _ in range(20):
            beat(ear, 300)
        assert ear.known.age() == 0
        assert ear.known.time.clock == -300


class TestDifference:
    @pytest.fixture
    def issuer(self) -> Iterator[PretendIssuer]:
        with pretend_issuer() as found:
            yield found

    @pytest.mark.parametrize(
        ("off", "told"), [(90, "90 s ahead of the auth server's"), (-90, "90 s behind the auth server's")]
    )
    def test_f_b62_a_clock_that_is_off_is_named(
        self, issuer: PretendIssuer, off: int, told: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """In ``health()``, in a metric, once in the log, and by the error that it leads to."""
        guard = Guard(issuer.url, clock=lambda: time.time() + off)
        with caplog.at_level(logging.WARNING):
            listening_at(issuer, guard, mint(time.time() + max(off, 0), issuer=issuer.url))
            for _ in range(3):
                issuer.beat()
            issuer.revoke("session", "ses_2")
            until(lambda: guard.health()["sequence"] == 1)
        assert guard.health()["clock"] == pytest.approx(off, abs=1)
        assert f'watchword_guard_clock_difference_seconds{{issuer="{issuer.url}"' in guard.metrics()
        assert len([record for record in caplog.records if told in record.getMessage()]) == 1
        with pytest.raises(InvalidToken, match=told):
            guard.verify(mint(time.time() - 700, issuer=issuer.url))
        guard.close()

    def test_f_b62_the_error_of_a_stale_guard_names_it(self, issuer: PretendIssuer) -> None:
        """A clock that is far ahead makes every message look old."""
        guard = Guard(issuer.url, clock=lambda: time.time() + 90)
        guard.refresh()
        with pytest.raises(TemporarilyUnavailable, match="90 s ahead of the auth server's"):
            guard.check_fresh()
        guard.close()

    def test_f_b62_a_token_that_looks_early_is_good(self, issuer: PretendIssuer) -> None:
        """The API's clock is behind, and the guard knows by how much."""
        guard = Guard(issuer.url, clock=lambda: time.time() - 90)
        assert guard.verify(mint(time.time(), issuer=issuer.url)).subject == "usr_ada"
        guard.close()

    def test_f_b62_clocks_that_agree_say_nothing(self, issuer: PretendIssuer) -> None:
        """A second or two is how clocks are."""
        guard = Guard(issuer.url, clock=lambda: time.time() + 2)
        listening(issuer, guard, mint(time.time(), issuer=issuer.url))
        assert guard.health()["alarms"] == 0
        with pytest.raises(InvalidToken, match=r"^the token has expired$"):
            guard.verify(mint(time.time() - 700, TOKEN_KEY, issuer=issuer.url))
        guard.close()


def listening_at(issuer: PretendIssuer, guard: Guard, text: str) -> None:
    """On the stream, whatever its clock says."""
    guard.verify(text)
    until(lambda: issuer.listeners)
