"""A stream that says nothing, or nothing new: the guard leaves it, asks elsewhere, and says so in the meantime."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guard.stage import TOKEN_KEY, PretendIssuer, kill, pretend_issuer, until
from tests.guard.test_issuer import listening, passes, token
from watchword import Guard, TemporarilyUnavailable
from watchword.guard.transport import Transport
from watchword.testing import PretendIssuer as QuietIssuer

JWKS = "/.well-known/jwks.json"


@pytest.fixture
def issuer() -> Iterator[PretendIssuer]:
    with pretend_issuer() as found:
        yield found


@pytest.fixture
def guard(issuer: PretendIssuer) -> Iterator[Guard]:
    found = Guard(issuer.url)
    yield found
    found.close()


class TestStreams:
    def test_f_n4_a_silent_stream_is_left_after_two_heartbeats(
        self, issuer: PretendIssuer, guard: Guard
    ) -> None:
        """The interval is the one that the messages state; the next connection is made at once."""
        issuer.interval = 0.2
        text = token(issuer)
        listening(issuer, guard, text)
        issuer.log.append(kill(1, "session", "ses_1"))
        began = time.monotonic()
        until(lambda: not passes(guard, text))
        assert time.monotonic() - began < 3

    def test_f_n4_a_stream_with_heartbeats_is_kept(self, issuer: PretendIssuer, guard: Guard) -> None:
        """News in time, however little of it."""
        issuer.interval = 0.4
        listening(issuer, guard, token(issuer))
        end = time.monotonic() + 1.2
        until(lambda: issuer.beat() or time.monotonic() > end)
        assert len(issuer.began) == 1

    def test_f_n4_an_old_server_states_no_interval(self, issuer: PretendIssuer, guard: Guard) -> None:
        """Five seconds are assumed, which is what it keeps."""
        listening(issuer, guard, token(issuer))
        assert "interval" not in issuer.message()
        assert guard.health()["state"] == "live"

    def test_f_n4_comments_are_no_news(self, issuer: PretendIssuer) -> None:
        """What a proxy sends to keep a connection open does not keep a guard on it."""
        issuer.raw["/stream"] = (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: open\n\n: open\n\n"
        )
        left = [1.0, 0.0]
        events = Transport().events(
            issuer.url + "/stream", limit=500, last_id=None, silence=lambda: left.pop(0)
        )
        with pytest.raises(TemporarilyUnavailable, match="fell silent"):
            list(events)

    def test_f_n4_health_says_late_before_it_says_stale(self) -> None:
        """A guard that has missed two heartbeats is not as live as one that has not."""
        with QuietIssuer() as issuer:
            guard = issuer.guard()
            assert guard.health()["state"] == "live"
            issuer.silence()
            issuer.clock.advance(11)
            assert guard.health()["state"] == "late"
            assert 'state="late"} 1' in guard.metrics()
            assert guard.verify(issuer.token()).subject == "usr_test"
            issuer.clock.advance(50)
            assert guard.health()["state"] == "stale"
            issuer.speak()
            assert guard.health()["state"] == "live"

    def test_f_n15_a_stream_that_says_old_things_is_hung_up_on(
        self, issuer: PretendIssuer, guard: Guard
    ) -> None:
        """A node whose log is behind: another one may be asked."""
        for number in (2, 3):
            issuer.revoke("session", f"ses_{number}")
        listening(issuer, guard, token(issuer))
        issuer.tell(issuer.message(sequence=1, entries=()))
        until(lambda: len(issuer.began) > 1, seconds=3)

    def test_f_n15_a_stream_that_repeats_itself_is_hung_up_on(
        self, issuer: PretendIssuer, guard: Guard
    ) -> None:
        """Messages come in time, and all of them were said long ago."""
        issuer.interval = 0.2
        old = issuer.message()
        listening(issuer, guard, token(issuer))
        until(lambda: issuer.tell(old) or len(issuer.began) > 1, seconds=3)

    def test_f_n15_the_pause_is_short_again_after_news(self, issuer: PretendIssuer, guard: Guard) -> None:
        """It grew while streams broke off; a stream that brought news, and broke, is opened again at once."""
        issuer.raw["/revocations/stream"] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        text = token(issuer)
        guard.verify(text)
        until(lambda: issuer.asked["/revocations/stream"] >= 5)
        issuer.raw.clear()
        listening(issuer, guard, text)
        until(lambda: len(issuer.began) == 1)
        issuer.revoke("session", "ses_2")
        until(lambda: guard.health()["sequence"] == 1)
        issuer.tell("no message")
        until(lambda: len(issuer.began) > 1, seconds=1)


class TestKeys:
    def test_f_n15_a_guard_without_a_key_set_begins_with_the_feeds_keys(
        self, issuer: PretendIssuer, guard: Guard
    ) -> None:
        """The feed is signed and carries public keys; the key set's endpoint may be away."""
        issuer.down = {JWKS}
        issuer.log.append(kill(1, "key", keys=(TOKEN_KEY.public_jwk(),)))
        text = token(issuer)
        listening(issuer, guard, text)
        assert passes(guard, text)
        issuer.revoke("session", "ses_1")
        until(lambda: not passes(guard, text))
        assert len(issuer.began) == 1

    def test_f_n15_so_does_a_program_without_a_thread(self, issuer: PretendIssuer, guard: Guard) -> None:
        """``refresh`` has all it needs."""
        issuer.down = {JWKS}
        issuer.log.append(kill(1, "key", keys=(TOKEN_KEY.public_jwk(),)))
        guard.refresh()
        assert passes(guard, token(issuer))

    def test_f_n15_a_key_set_that_is_away_does_not_end_the_stream(
        self, issuer: PretendIssuer, guard: Guard
    ) -> None:
        """A stranger's key would have it fetched; the feed goes on."""
        text = token(issuer)
        listening(issuer, guard, text)
        issuer.down = {JWKS}
        issuer.kids = (TOKEN_KEY.kid, "announced")
        issuer.revoke("session", "ses_2")
        issuer.revoke("session", "ses_1")
        until(lambda: not passes(guard, text))
        assert len(issuer.began) == 1


class TestFork:
    def test_f_n11_the_first_use_in_a_child_waits_for_news(self, issuer: PretendIssuer) -> None:
        """What the parent knew at the fork may be old: a ban that it has not heard is heard before the first answer."""
        text = token(issuer)
        program = (
            "import os, sys\n"
            "from watchword import Guard, InvalidToken\n"
            f"guard = Guard({issuer.url!r}); text = {text!r}\n"
            "guard.verify(text)\n"
            "print('ready', flush=True); sys.stdin.readline()\n"
            "if (child := os.fork()) == 0:\n"
            "    try: guard.verify(text)\n"
            "    except InvalidToken: os._exit(7)\n"
            "    os._exit(1)\n"
            "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        )
        assert _forked(issuer, program) == "7"

    def test_f_n11_the_wait_is_bounded(self, issuer: PretendIssuer) -> None:
        """With the server away a child goes on with what its parent knew."""
        text = token(issuer)
        program = (
            "import os, sys, time\n"
            "from watchword import Guard\n"
            f"guard = Guard({issuer.url!r}); text = {text!r}\n"
            "guard.verify(text)\n"
            "print('ready', flush=True); sys.stdin.readline()\n"
            "if (child := os.fork()) == 0:\n"
            "    began = time.monotonic()\n"
            "    guard.verify(text)\n"
            "    os._exit(7 if time.monotonic() - began < 4 else 1)\n"
            "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        )
        assert _forked(issuer, program, down={"/revocations", "/revocations/stream"}) == "7"


def _forked(issuer: PretendIssuer, program: str, down: set[str] | None = None) -> str:
    """What *program* prints last; the parent's stream is not told of a ban that comes before the fork."""
    top = Path(__file__).resolve().parents[2]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(top / "src"), str(top)))}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        until(lambda: issuer.listeners)
        issuer.down = down or set()
        issuer.log.append(kill(1, "session", "ses_1"))
        running.stdin.write("\n")
        running.stdin.flush()
        return running.stdout.read().strip()
