"""Asking the issuer at the time of a request: once for all who wait, and only its true answer counts."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guard.stage import (
    NEXT_FEED_KEY,
    OTHER_KEY,
    TOKEN_KEY,
    PretendIssuer,
    kill,
    mint,
    pretend_issuer,
    serving,
    until,
)
from watchword import Guard, InvalidToken, TemporarilyUnavailable
from watchword.guard.issuer import Issuer


@pytest.fixture
def issuer() -> Iterator[PretendIssuer]:
    with pretend_issuer() as found:
        yield found


@pytest.fixture
def guard(issuer: PretendIssuer) -> Iterator[Guard]:
    """A guard that is live and on the stream."""
    found = Guard(issuer.url)
    found.verify(token(issuer))
    until(lambda: issuer.listeners)
    yield found
    found.close()


def token(issuer: PretendIssuer) -> str:
    return mint(time.time(), TOKEN_KEY, issuer=issuer.url)


def feed_of(issuer: PretendIssuer) -> Issuer:
    """What a guard hears *issuer* by, without the guard."""
    return Issuer.create(
        issuer.url,
        "api",
        secrets=None,
        feed_secret=None,
        max_staleness=60,
        patience=2,
        snapshot=None,
        clock=time.time,
    )


def confirming(guard: Guard, count: int) -> list[threading.Thread]:
    """So many callers at once."""
    callers = [threading.Thread(target=guard.confirm) for _ in range(count)]
    for caller in callers:
        caller.start()
    return callers


class TestConfirm:
    def test_what_was_revoked_before_the_question_is_known_after_it(
        self, issuer: PretendIssuer, guard: Guard
    ) -> None:
        """Also where the event was lost on the way."""
        text = token(issuer)
        issuer.log.append(kill(1, "session", "ses_1"))
        assert guard.verify(text).session_id == "ses_1"
        guard.confirm()
        with pytest.raises(InvalidToken):
            guard.verify(text)

    def test_callers_share_one_question_asked_after_they_came(
        self, issuer: PretendIssuer, guard: Guard
    ) -> None:
        """A question on its way says nothing of what happens meanwhile, so who comes later shares the next."""
        issuer.answering.clear()
        callers = confirming(guard, 1)
        until(lambda: issuer.questions == 1)
        callers += confirming(guard, 12)
        issuer.answering.set()
        for caller in callers:
            caller.join()
        assert 2 <= issuer.questions <= 5  # stragglers among the twelve may miss the second

    @pytest.mark.parametrize("nonce", ["", "somebody-else-s"])
    def test_attack_a30_a_kept_answer_is_no_answer(
        self, issuer: PretendIssuer, guard: Guard, nonce: str
    ) -> None:
        """A cache, or somebody on the way, that repeats a signed message proves nothing about now."""
        issuer.snapshot = issuer.message(nonce=nonce)
        with pytest.raises(TemporarilyUnavailable):
            guard.confirm()

    def test_attack_a30_an_answer_from_before_a_roll_back_is_no_answer(
        self, issuer: PretendIssuer, guard: Guard
    ) -> None:
        """The issuer that forgot a kill is not believed that nothing happened."""
        issuer.revoke("session", "ses_9")
        until(lambda: guard.health()["sequence"] == 1)
        issuer.log.clear()
        with pytest.raises(TemporarilyUnavailable):
            guard.confirm()

    def test_a_new_epoch_is_asked_for_from_its_beginning(self, issuer: PretendIssuer, guard: Guard) -> None:
        """The cursor of the store that was replaced says nothing about the new one."""
        text = token(issuer)
        issuer.revoke("session", "ses_8")
        until(lambda: guard.health()["sequence"] == 1)
        issuer.epoch = 2
        issuer.log = [kill(1, "session", "ses_1"), kill(2, "session", "ses_7")]
        guard.confirm()
        with pytest.raises(InvalidToken):
            guard.verify(text)

    def test_who_lacks_too_much_for_an_answer_fetches_the_whole(
        self, issuer: PretendIssuer, guard: Guard
    ) -> None:
        """The answer says where the log ends; the snapshot has what lies between."""
        text = token(issuer)
        issuer.near = 2
        issuer.log = [kill(number, "session", f"ses_{11 - number}") for number in range(1, 11)]
        guard.confirm()
        with pytest.raises(InvalidToken):
            guard.verify(text)
        assert guard.health()["entries"] == 10

    def test_attack_a30_an_answer_of_an_older_epoch_is_no_answer(
        self, issuer: PretendIssuer, guard: Guard
    ) -> None:
        """It answers this very question, and says less than was known."""
        issuer.epoch = 2
        guard.confirm()
        issuer.epoch = 1
        before = issuer.questions
        with pytest.raises(TemporarilyUnavailable) as refusal:
            guard.confirm()
        assert issuer.questions == before + 1
        assert "less than it has said before" in str(refusal.value.__cause__)

    def test_it_needs_no_clock(self, issuer: PretendIssuer, guard: Guard) -> None:
        """The issuer's clock is behind: its news looks old, its answer is young all the same."""
        issuer.now = lambda: time.time() - 25
        other = Guard(issuer.url)
        other.refresh()
        with pytest.raises(TemporarilyUnavailable):
            other.check_fresh(20)
        other.confirm()
        other.check_fresh(20)
        assert other.health()["age"] < 20
        other.close()

    def test_a_feed_key_that_is_new_is_looked_up(self, issuer: PretendIssuer, guard: Guard) -> None:
        """The answer under it counts."""
        issuer.feed_key, issuer.feed_keys = NEXT_FEED_KEY, [NEXT_FEED_KEY]
        guard.confirm()
        issuer.feed_key = OTHER_KEY
        with pytest.raises(TemporarilyUnavailable):
            guard.confirm()

    def test_a_failure_is_not_asked_for_again_at_once(self, issuer: PretendIssuer, guard: Guard) -> None:
        """A crowd before a server that is away costs it one question a second, and nobody queues."""
        issuer.down = {"/revocations"}
        before = issuer.asked["/revocations"]
        for _ in range(50):
            with pytest.raises(TemporarilyUnavailable):
                guard.confirm()
        assert issuer.asked["/revocations"] <= before + 3
        issuer.down = set()
        until(lambda: _confirms(guard))

    def test_a_thread_that_cannot_be_had_is_asked_for_again(
        self, issuer: PretendIssuer, guard: Guard, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A process at its limit refuses meanwhile; it does not wait for ever for a thread that never ran."""

        def full(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as limit:
            limit.setattr(threading.Thread, "start", full)
            with pytest.raises(TemporarilyUnavailable):
                guard.confirm()
        assert _confirms(guard)

    def test_an_issuer_that_does_not_answer_is_not_waited_for(
        self, issuer: PretendIssuer, guard: Guard
    ) -> None:
        """The wait has an end, and the refusal says what happened."""
        issuer.answering.clear()
        with pytest.raises(TemporarilyUnavailable, match="did not answer"):
            guard.confirm()
        issuer.answering.set()

    def test_a_closed_guard_asks_nobody(self, issuer: PretendIssuer, guard: Guard) -> None:
        """It goes stale instead."""
        guard.close()
        with pytest.raises(TemporarilyUnavailable):
            guard.confirm()
        assert issuer.questions == 0

    def test_a_forked_child_asks_for_itself(self, issuer: PretendIssuer, tmp_path: Path) -> None:
        """The parent's threads are not there: the child asks and keeps the snapshot with threads of its own."""
        path = tmp_path / "guard.snapshot"
        text = token(issuer)
        program = (
            "import os, sys\n"
            "from watchword import Guard, InvalidToken\n"
            f"guard = Guard({issuer.url!r}, snapshot={str(path)!r})\n"
            f"guard.verify({text!r}); guard.confirm()\n"
            "if (child := os.fork()) == 0:\n"
            "    sys.stdin.readline()\n"
            "    guard.confirm()\n"
            f"    try: guard.verify({text!r})\n"
            "    except InvalidToken:\n"
            f"        path = {str(path)!r}\n"
            "        while not (os.path.exists(path) and 'ses_1' in open(path).read()): pass\n"
            "        os._exit(0)\n"
            "    os._exit(1)\n"
            "print('forked', flush=True)\n"
            "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "forked\n"
            issuer.log.append(kill(1, "session", "ses_1"))
            output, _ = process.communicate("\n", timeout=60)
        assert output == "0\n"

    def test_a_guard_with_keys_of_its_own_has_nobody_to_ask(self) -> None:
        """Offline, there is nothing to confirm."""
        guard = Guard("https://auth.example.com", keys={"keys": [TOKEN_KEY.public_jwk()]})
        guard.confirm()
        assert guard.health()["state"] == "offline"


class TestFirst:
    def test_a_question_before_all_else_brings_the_keys(self, issuer: PretendIssuer) -> None:
        """Whoever asks has what it takes to verify, whether or not the thread has got so far."""
        feed = feed_of(issuer)
        feed.confirm().result(10)
        assert list(feed.view.keys) == [TOKEN_KEY.kid]
        feed.close()

    def test_a_closed_feed_is_waited_for_by_nobody(self, issuer: PretendIssuer) -> None:
        """It begins no thread any more, so there is no answer to come."""
        feed = feed_of(issuer)
        feed.close()
        feed.start()
        waiter = threading.Thread(target=feed.wait, args=(600,), daemon=True)
        waiter.start()
        waiter.join(15)
        assert not waiter.is_alive()
        assert not issuer.asked


class TestFirstKeys:
    def test_a_key_set_that_fails_once_is_fetched_again(self) -> None:
        """The interval that bounds strangers' kids does not keep a guard without any key."""
        issuer = PretendIssuer(down={"/.well-known/jwks.json"})
        with serving(issuer):
            guard = Guard(issuer.url)
            first = threading.Thread(target=guard.verify, args=(token(issuer),))
            first.start()
            until(lambda: issuer.asked["/.well-known/jwks.json"])
            issuer.down = set()
            first.join()
            assert guard.verify(token(issuer)).subject == "usr_ada"
            guard.close()


def _confirms(guard: Guard) -> bool:
    try:
        guard.confirm()
    except TemporarilyUnavailable:
        return False
    return True
