"""The guard and an issuer over HTTP: reach, refusal, silence, and what comes back after it."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.guard.stage import (
    FEED_KEY,
    NEXT_FEED_KEY,
    OTHER_KEY,
    TOKEN_KEY,
    PretendIssuer,
    kill,
    mint,
    pretend_issuer,
    run,
    serving,
    until,
)
from watchword import ConfigurationError, Guard, InvalidToken, TemporarilyUnavailable


@pytest.fixture
def issuer() -> Iterator[PretendIssuer]:
    with pretend_issuer() as found:
        yield found


@pytest.fixture
def guard(issuer: PretendIssuer) -> Iterator[Guard]:
    found = Guard(issuer.url)
    yield found
    found.close()


def token(issuer: PretendIssuer, **claims: Any) -> str:
    key = claims.pop("key", TOKEN_KEY)
    return mint(time.time(), key, issuer=issuer.url, **claims)


def guard_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "watchword-guard"}


def passes(guard: Guard, text: str) -> bool:
    try:
        guard.verify(text)
    except InvalidToken:
        return False
    return True


def listening(issuer: PretendIssuer, guard: Guard, text: str) -> None:
    """The guard is live and on the stream."""
    guard.verify(text)
    until(lambda: issuer.listeners and guard.health()["state"] == "live")


class TestReach:
    def test_the_first_use_begins_it(self, issuer: PretendIssuer, guard: Guard) -> None:
        """Building a guard asks nobody; verifying does, and waits for the first answer."""
        assert guard.health()["state"] == "cold"
        assert not issuer.asked
        assert guard.verify(token(issuer)).subject == "usr_ada"
        assert guard.health()["state"] == "live"

    def test_a_kill_arrives(self, issuer: PretendIssuer, guard: Guard) -> None:
        """A verified token stops working with the event."""
        text = token(issuer)
        listening(issuer, guard, text)
        issuer.revoke("session", "ses_1")
        until(lambda: not passes(guard, text))
        assert guard.health()["sequence"] == 1
        assert guard.health()["entries"] == 1

    def test_two_issuers_are_kept_apart(self, issuer: PretendIssuer, guard: Guard) -> None:
        """Two guards in one process: what one issuer revokes leaves the other alone; neither takes the other one."""
        with pretend_issuer() as other:
            second = Guard(other.url)
            mine, theirs = token(issuer), token(other)
            listening(issuer, guard, mine)
            listening(other, second, theirs)
            assert not passes(guard, theirs)
            assert not passes(second, mine)
            issuer.revoke("session", "ses_1")  # both tokens say that session: ids belong to their issuer
            until(lambda: not passes(guard, mine))
            assert passes(second, theirs)
            second.close()

    def test_one_thread_serves_all(self, issuer: PretendIssuer, guard: Guard) -> None:
        """However many first uses there are at once."""
        text, before = token(issuer), guard_threads()
        uses = [threading.Thread(target=guard.verify, args=(text,)) for _ in range(8)]
        for use in uses:
            use.start()
        for use in uses:
            use.join()
        assert len(guard_threads() - before) == 1

    def test_a_broken_stream_is_resumed(self, issuer: PretendIssuer, guard: Guard) -> None:
        """It comes back with its cursor, and has what happened between."""
        text = token(issuer)
        listening(issuer, guard, text)
        issuer.revoke("user", "usr_bob", below=3)
        until(lambda: guard.health()["sequence"] == 1)
        issuer.hang_up()
        issuer.revoke("session", "ses_1")
        until(lambda: not passes(guard, text))
        until(lambda: len(issuer.resumed) > 1)
        assert issuer.resumed[0] is None
        assert issuer.resumed[1] == "1.x"

    def test_a_stream_begins_where_the_guard_is(self, issuer: PretendIssuer, guard: Guard) -> None:
        """It is not sent the whole again, nor a kept one that is older than what it has."""
        issuer.revoke("user", "usr_bob", below=3)
        listening(issuer, guard, token(issuer))
        assert issuer.began == [1]

    def test_without_a_stream_it_asks_again_and_again(self, issuer: PretendIssuer, guard: Guard) -> None:
        """A proxy that has no streams delays a kill by seconds, no more."""
        issuer.streaming = False
        text = token(issuer)
        guard.verify(text)
        issuer.log.append(kill(1, "session", "ses_1"))
        until(lambda: not passes(guard, text))

    def test_refresh_needs_no_thread(self, issuer: PretendIssuer, guard: Guard) -> None:
        """A short-lived program asks once and goes on."""
        before = guard_threads()
        guard.refresh()
        assert guard.health()["state"] == "live"
        assert guard_threads() <= before
        assert guard.verify(token(issuer)).subject == "usr_ada"

    def test_a_gap_is_filled(self, issuer: PretendIssuer, guard: Guard) -> None:
        """An event lost on the way is fetched before the cursor moves past it."""
        text = token(issuer)
        listening(issuer, guard, text)
        for subject in ("usr_bob", "usr_ada"):
            issuer.log.append(kill(issuer.sequence + 1, "user", subject, below=99))
        issuer.tell(issuer.message(1, entries=()))
        until(lambda: guard.health()["sequence"] == 2)
        assert not passes(guard, text)

    def test_a_new_epoch_is_fetched_whole(self, issuer: PretendIssuer, guard: Guard) -> None:
        """An issuer put back from a backup counts anew: what its new log says is known, and the old kills stay."""
        for number in (1, 2, 3):
            issuer.revoke("session", f"ses_{number}")
        guard.refresh()
        issuer.log = [kill(number, "session", f"ses_{number + 3}") for number in (1, 2, 3, 4)]
        issuer.epoch = 2
        guard.refresh()
        health = guard.health()
        assert (health["epoch"], health["sequence"], health["entries"]) == (2, 4, 7)


class TestKeys:
    def test_attack_a11_strangers_kids_cost_no_fetch(self, issuer: PretendIssuer, guard: Guard) -> None:
        """A thousand tokens under keys nobody knows: refused at once, one fetch at the most."""
        good = token(issuer)
        listening(issuer, guard, good)
        before = issuer.asked["/.well-known/jwks.json"]
        for number in range(1000):
            with pytest.raises(InvalidToken):
                guard.verify(token(issuer, jti=str(number), key=OTHER_KEY))
        issuer.beat()
        issuer.revoke("token", "token-9")
        until(lambda: guard.health()["sequence"] == 1)
        assert issuer.asked["/.well-known/jwks.json"] <= before + 1
        assert passes(guard, good)

    def test_a_rotation_is_followed(self, issuer: PretendIssuer, guard: Guard) -> None:
        """The new key comes with the feed; the compromised one dies with it."""
        old = token(issuer)
        listening(issuer, guard, old)
        issuer.kids = (OTHER_KEY.kid,)
        issuer.revoke("key", keys=(OTHER_KEY.public_jwk(),))
        until(lambda: not passes(guard, old))
        assert passes(guard, token(issuer, key=OTHER_KEY))

    def test_a_new_feed_key_is_looked_up(self, issuer: PretendIssuer, guard: Guard) -> None:
        """A message under a key not met yet sends the guard back to the metadata."""
        text = token(issuer)
        listening(issuer, guard, text)
        issuer.feed_key, issuer.feed_keys = NEXT_FEED_KEY, [NEXT_FEED_KEY]
        issuer.revoke("session", "ses_1")
        until(lambda: not passes(guard, text))

    def test_attack_a30_a_forged_event_is_not_believed(self, issuer: PretendIssuer, guard: Guard) -> None:
        """A message under a stranger's key kills nobody and is counted."""
        text = token(issuer)
        listening(issuer, guard, text)
        issuer.feed_key = OTHER_KEY
        issuer.revoke("session", "ses_1")
        issuer.feed_key = FEED_KEY
        issuer.log.clear()
        until(lambda: guard.health()["alarms"] > 0)
        assert passes(guard, text)

    def test_a_key_announced_and_not_published_costs_no_fetch(
        self, issuer: PretendIssuer, guard: Guard
    ) -> None:
        """The key set is asked for when its turn comes."""
        issuer.kids = (TOKEN_KEY.kid, OTHER_KEY.kid)
        guard.refresh()
        assert issuer.asked["/.well-known/jwks.json"] == 1
        assert passes(guard, token(issuer))


class TestRefusals:
    def test_another_issuers_metadata_is_refused(self, issuer: PretendIssuer, guard: Guard) -> None:
        """The metadata must name the issuer, byte by byte (RFC 8414 3.3)."""
        issuer.metadata = {"issuer": issuer.url + "/"}
        with pytest.raises(TemporarilyUnavailable):
            guard.refresh()
        assert guard.health()["state"] == "cold"

    def test_a_redirect_is_not_followed(self, issuer: PretendIssuer, guard: Guard) -> None:
        """Not even to the issuer itself."""
        issuer.redirect = issuer.url + "/elsewhere"
        with pytest.raises(TemporarilyUnavailable):
            guard.refresh()
        assert issuer.asked["/elsewhere"] == 0

    @pytest.mark.parametrize(
        "where", ["http://auth.example.com/keys", "file:///etc/passwd", "ftp://127.0.0.1/"]
    )
    def test_keys_are_fetched_over_https_alone(self, issuer: PretendIssuer, guard: Guard, where: str) -> None:
        """The metadata cannot send the guard anywhere else."""
        issuer.metadata = {"jwks_uri": where}
        with pytest.raises(TemporarilyUnavailable):
            guard.refresh()

    def test_an_endless_answer_is_cut_off(self, issuer: PretendIssuer, guard: Guard) -> None:
        """A document has a size it may have."""
        issuer.metadata = {"filler": "x" * 2_000_000}
        with pytest.raises(TemporarilyUnavailable):
            guard.refresh()

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
            b"HTTP/1.1 200 OK\r\n\r\n\xff",
            b"HTTP/1.1 200 OK\r\n\r\n{}",
            b"220 mail.example.com ESMTP\r\n",
            b"",
        ],
    )
    def test_an_answer_that_is_none(self, issuer: PretendIssuer, guard: Guard, answer: bytes) -> None:
        """Cut off, of another protocol, no JSON: nothing of it is believed, and later answers are."""
        issuer.raw["/.well-known/jwks.json"] = answer
        with pytest.raises(TemporarilyUnavailable):
            guard.refresh()
        issuer.raw.clear()
        guard.refresh()
        assert guard.health()["state"] == "live"

    def test_tls_that_is_none(self, issuer: PretendIssuer) -> None:
        """An https issuer that answers in the clear is not listened to."""
        guard = Guard(issuer.url.replace("http:", "https:"))
        for _ in range(2):
            with pytest.raises(TemporarilyUnavailable, match="SSL"):
                guard.refresh()
        assert not issuer.asked

    def test_a_page_in_place_of_the_stream(self, issuer: PretendIssuer, guard: Guard) -> None:
        """What a proxy shows instead of it is no news; the guard says so and asks in its place."""
        issuer.raw["/revocations/stream"] = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>busy"
        text = token(issuer)
        guard.verify(text)
        until(lambda: "not a stream of events" in (guard.health()["error"] or ""))
        issuer.revoke("session", "ses_1")
        until(lambda: not passes(guard, text))

    def test_an_issuer_without_a_feed_is_refused(self, issuer: PretendIssuer, guard: Guard) -> None:
        """A guard that would never hear of a kill does not pretend to."""
        issuer.metadata = {"watchword_revocations_jwks": None}
        with pytest.raises(TemporarilyUnavailable):
            guard.refresh()


class TestSilence:
    def test_attack_a31_with_the_server_down_good_tokens_pass_and_dead_ones_do_not(self) -> None:
        """The guard goes on with what it knows, shows how old that is, and catches up by itself."""
        issuer = PretendIssuer()
        shift = [0.0]
        with serving(issuer):
            port = int(issuer.url.rpartition(":")[2])
            guard = Guard(issuer.url, clock=lambda: time.time() + shift[0])
            good, dead = token(issuer), token(issuer, sid="ses_2", jti="token-2")
            guard.verify(dead)
            listening(issuer, guard, good)
            issuer.revoke("session", "ses_2")
            until(lambda: not passes(guard, dead))
        shift[0] = 300
        until(lambda: guard.health()["error"])
        assert passes(guard, good)
        assert not passes(guard, dead)
        assert guard.health()["state"] == "stale"
        assert guard.health()["age"] >= 299
        with pytest.raises(TemporarilyUnavailable):
            guard.check_fresh()
        issuer.now = lambda: time.time() + shift[0]
        with serving(issuer, port):
            until(lambda: guard.health()["state"] == "live")
            guard.check_fresh()
            assert passes(guard, good)
            guard.close()

    @pytest.mark.parametrize("on_stale", ["reject", "introspect"])
    def test_a_strict_guard_refuses_when_stale(self, issuer: PretendIssuer, on_stale: Any) -> None:
        """503, for good tokens too: it cannot know."""
        shift = [0.0]
        guard = Guard(issuer.url, on_stale=on_stale, clock=lambda: time.time() + shift[0])
        text = token(issuer)
        guard.verify(text)
        guard.close()
        shift[0] = 61
        with pytest.raises(TemporarilyUnavailable):
            guard.verify(text)
        with pytest.raises(TemporarilyUnavailable):
            guard.authenticate(f"Bearer {text}")
        told = "too old" if on_stale == "reject" else "did not answer"
        with pytest.raises(TemporarilyUnavailable, match=told):
            asyncio.run(guard.authenticate_async(f"Bearer {text}"))

    def test_a_cold_guard_answers_503(self) -> None:
        """Nobody was ever reached: the wait is bounded, and later uses do not wait at all."""
        with pretend_issuer() as issuer:
            url = issuer.url
        guard = Guard(url)
        text = mint(time.time(), issuer=url)
        for _ in range(3):
            with pytest.raises(TemporarilyUnavailable):
                guard.verify(text)
        with pytest.raises(InvalidToken):
            guard.verify("junk")
        assert guard.health()["state"] == "cold"
        guard.close()

    def test_a_stream_that_says_nothing_is_asked_for_less_and_less(
        self, issuer: PretendIssuer, guard: Guard
    ) -> None:
        """It ends at once, again and again; what happens is asked for in its place."""
        issuer.raw["/revocations/stream"] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        text = token(issuer)
        guard.verify(text)
        until(lambda: issuer.asked["/revocations/stream"] > 1)
        issuer.log.append(kill(1, "session", "ses_1"))
        until(lambda: not passes(guard, text))

    @pytest.mark.parametrize("name", ["watchword-guard", "watchword-guard-asking"])
    def test_what_nobody_foresaw_ends_no_thread(self, issuer: PretendIssuer, name: str) -> None:
        """A clock that fails once, in a thread that nobody waits for: the guard says so and goes on."""
        faults = [OSError("no such device")]

        def clock() -> float:
            if faults and threading.current_thread().name == name:
                raise faults.pop()
            return time.time()

        guard = Guard(issuer.url, clock=clock)
        text = token(issuer)
        guard.verify(text)
        if name == "watchword-guard":
            until(lambda: not faults)
        else:
            with pytest.raises(TemporarilyUnavailable) as refusal:
                guard.confirm()
            assert "OSError: no such device" in str(refusal.value.__cause__)
        until(lambda: issuer.listeners)
        issuer.revoke("session", "ses_1")
        until(lambda: not passes(guard, text))
        guard.close()


class TestSnapshot:
    def test_an_api_starts_with_the_server_down(self, tmp_path: Path) -> None:
        """Keys and kills come from the file; nobody waits."""
        path = tmp_path / "guard.snapshot"
        with pretend_issuer() as issuer:
            issuer.revoke("session", "ses_2")
            first = Guard(issuer.url, snapshot=path)
            good, dead = token(issuer), token(issuer, sid="ses_2")
            first.verify(good)
            first.close()
        assert path.stat().st_mode & 0o777 == 0o600
        second = Guard(issuer.url, snapshot=path)
        assert passes(second, good)
        assert not passes(second, dead)
        assert second.health()["sequence"] == 1
        second.close()

    def test_a_kill_is_in_the_file_a_moment_after_it_was_heard(self, tmp_path: Path) -> None:
        """Nobody has to close the guard, and no later message has to come: a crash forgets nobody."""
        path = tmp_path / "guard.snapshot"
        with pretend_issuer() as issuer:
            guard = Guard(issuer.url, snapshot=path)
            listening(issuer, guard, token(issuer))
            until(path.exists)
            for number in (2, 3):
                issuer.revoke("session", f"ses_{number}")
                until(lambda number=number: f"ses_{number}" in path.read_text())
            guard.close()

    def test_only_a_newer_one_replaces_it(self, tmp_path: Path) -> None:
        """A guard that lags behind does not take back what another has written."""
        path = tmp_path / "guard.snapshot"
        with pretend_issuer() as issuer:
            behind = Guard(issuer.url, snapshot=path)
            behind.refresh()
            issuer.revoke("session", "ses_2")
            ahead = Guard(issuer.url, snapshot=path)
            ahead.refresh()
            ahead.close()
            before = path.read_bytes()
            behind.close()
            assert path.read_bytes() == before

    def test_a_folder_that_is_gone_is_told_and_nothing_else_stops(self, tmp_path: Path) -> None:
        """The guard says that it cannot keep what it hears, and goes on to hear it."""
        folder = tmp_path / "kept"
        folder.mkdir()
        with pretend_issuer() as issuer:
            guard = Guard(issuer.url, snapshot=folder / "guard.snapshot")
            text = token(issuer)
            listening(issuer, guard, text)
            until((folder / "guard.snapshot").exists)
            shutil.rmtree(folder)
            issuer.revoke("session", "ses_1")
            until(lambda: not passes(guard, text))
            until(lambda: "cannot be written" in (guard.health()["error"] or ""))
            guard.close()

    def test_a_file_that_others_may_write_stops_the_start(self, tmp_path: Path) -> None:
        """Who can write it decides what is revoked."""
        path = tmp_path / "guard.snapshot"
        with pretend_issuer() as issuer:
            guard = Guard(issuer.url, snapshot=path)
            guard.refresh()
            guard.close()
        path.chmod(0o622)
        with pytest.raises(ConfigurationError, match="others may write"):
            Guard(issuer.url, snapshot=path)

    @pytest.mark.parametrize("line", [b"{", b'{"issuer":"\xff"}', b'{"x":' + b"[" * 3000])
    def test_a_file_that_is_no_snapshot_stops_the_start(self, tmp_path: Path, line: bytes) -> None:
        """Torn, in another code, or as deep as no snapshot is."""
        path = tmp_path / "guard.snapshot"
        path.write_bytes(line)
        with pytest.raises(ConfigurationError, match="cannot be read"):
            Guard("https://auth.example.com", snapshot=path)

    def test_a_file_of_another_user_stops_the_start(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever owns it can write it; the administrator's may be read."""
        path = tmp_path / "guard.snapshot"
        with pretend_issuer() as issuer:
            guard = Guard(issuer.url, snapshot=path)
            guard.refresh()
            guard.close()
        if os.geteuid() == 0:
            os.chown(path, 4711, -1)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: 4711)
        with pytest.raises(ConfigurationError, match="another user"):
            Guard(issuer.url, snapshot=path)

    def test_an_entry_that_is_none_stops_the_start(self, tmp_path: Path) -> None:
        """Entries are read one by one; a bad one is told like every other damage."""
        path = tmp_path / "guard.snapshot"
        with pretend_issuer() as issuer:
            issuer.revoke("session", "ses_2")
            guard = Guard(issuer.url, snapshot=path)
            guard.refresh()
            guard.close()
        path.write_text(path.read_text().replace('"kind":"session"', '"kind":"season"'))
        with pytest.raises(ConfigurationError, match="snapshot: "):
            Guard(issuer.url, snapshot=path)

    @pytest.mark.parametrize(
        "content", ["", "{}\n", "\xff", '{"issuer":"https://b.example","epoch":1,"sequence":1,"iat":1}\n{}\n']
    )
    def test_a_torn_or_foreign_file_stops_the_start(self, tmp_path: Path, content: str) -> None:
        """Nothing of it is believed, and the operator is told."""
        path = tmp_path / "guard.snapshot"
        path.write_text(content, "latin-1")
        path.chmod(0o600)
        with pytest.raises(ConfigurationError, match="snapshot: "):
            Guard("https://a.example", snapshot=path)


class TestProcess:
    def test_a_forked_child_hears_for_itself(self, issuer: PretendIssuer) -> None:
        """A thread does not survive a fork; the child begins its own and learns of a later kill."""
        text = token(issuer)
        program = (
            "import os, sys, time\n"
            "from watchword import Guard, InvalidToken\n"
            f"guard = Guard({issuer.url!r}); text = {text!r}\n"
            "guard.verify(text)\n"
            "read, write = os.pipe()\n"
            "if (child := os.fork()) == 0:\n"
            "    guard.verify(text)\n"
            "    os.write(write, b'.')\n"
            "    end = time.monotonic() + 20\n"
            "    while time.monotonic() < end:\n"
            "        try: guard.verify(text)\n"
            "        except InvalidToken: os._exit(0)\n"
            "    os._exit(1)\n"
            "os.read(read, 1)\n"
            "print('listening', flush=True)\n"
            "_, status = os.waitpid(child, 0)\n"
            "print(os.waitstatus_to_exitcode(status))\n"
        )

        def revoke() -> None:
            until(lambda: len(issuer.listeners) >= 2)
            issuer.revoke("session", "ses_1")

        teller = threading.Thread(target=revoke)
        teller.start()
        assert run(program).split() == ["listening", "0"]
        teller.join()

    def test_a_closed_guard_ends_its_thread(self, issuer: PretendIssuer) -> None:
        """And goes on with what it knows."""
        guard, before = Guard(issuer.url), guard_threads()
        text = token(issuer)
        listening(issuer, guard, text)
        guard.close()
        until(lambda: guard_threads() <= before)
        assert passes(guard, text)

    def test_a_program_ends_without_closing(self, issuer: PretendIssuer) -> None:
        """The thread holds no interpreter back."""
        program = (
            f"from watchword import Guard\nprint(Guard({issuer.url!r}).verify({token(issuer)!r}).subject)"
        )
        assert run(program) == "usr_ada"
