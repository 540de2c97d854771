"""What a verified request costs beside arithmetic: no socket, no lock; and what its cache may not hide."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.guard.stage import mint, pretend_issuer, run, until
from watchword import Guard, InvalidToken
from watchword.jose.encoding import encode_base64url
from watchword.testing import PretendIssuer

SPY = """
import sys, threading, time
ours = threading.get_ident()
locked, events = [], []

class Spy:
    def __init__(self, lock): self._lock = lock
    def acquire(self, *arguments, **more):
        if threading.get_ident() == ours: locked.append("lock")
        return self._lock.acquire(*arguments, **more)
    def release(self): self._lock.release()
    def locked(self): return self._lock.locked()
    def __enter__(self): self.acquire(); return self
    def __exit__(self, *fault): self.release()
    def __getattr__(self, name): return getattr(self._lock, name)

plain, again = threading.Lock, threading.RLock
threading.Lock, threading.RLock = lambda: Spy(plain()), lambda: Spy(again())

from watchword import Guard
"""

LISTEN = """
def heard(name, arguments):
    if threading.get_ident() == ours and name.startswith(("socket.", "open", "os.", "subprocess.", "_thread.")):
        events.append(name)

guard = Guard(URL)
tokens, fresh = TOKENS[:20], TOKENS[20:]
for token in tokens: guard.verify(token)
sys.addaudithook(heard)
locked.clear()
for _ in range(200):
    for token in tokens: guard.verify(token); guard.authenticate("Bearer " + token)
for token in fresh: guard.verify(token)
print(len(locked), len(events))
guard.refresh()
print(len(locked) > 0, len(events) > 0)
guard.close()
"""


class TestVerifiedRequest:
    def test_n01_it_opens_no_socket_and_takes_no_lock(self) -> None:
        """On a live feed: eight thousand remembered and twenty new tokens; asking the issuer shows both."""
        with pretend_issuer() as issuer:
            tokens = [mint(time.time(), issuer=issuer.url, jti=str(number)) for number in range(40)]
            said = run(f"{SPY}URL, TOKENS = {issuer.url!r}, {tokens!r}\n{LISTEN}")
        assert said.split() == ["0", "0", "True", "True"]


KILLS: dict[str, Callable[[PretendIssuer, str], None]] = {
    "token": lambda issuer, token: issuer.revoke(token),
    "session": lambda issuer, token: issuer.revoke(session_id="ses_test"),
    "user": lambda issuer, token: issuer.revoke(subject="usr_test"),
    "client": lambda issuer, token: issuer.revoke(client_id="cli_first_party"),
    "key": lambda issuer, token: issuer.rotate_key(compromised=True),
}


class TestCacheAndRevocation:
    @pytest.mark.parametrize("kill", KILLS)
    def test_n08_a_remembered_token_dies_with_the_message(self, kill: str) -> None:
        """The first use after the message is refused, with a cache as without one."""
        issuer = PretendIssuer()
        token = issuer.token()
        guards = [issuer.guard(cache_size=size) for size in (0, 10, 10_000)]
        for guard in guards:
            for _ in range(3):
                guard.verify(token)
        assert [guard.health()["cached"] for guard in guards] == [0, 1, 1]
        KILLS[kill](issuer, token)
        for guard in guards:
            with pytest.raises(InvalidToken):
                guard.verify(token)

    def test_n08_a_demotion_shows_with_the_message(self) -> None:
        """The same for a role that is taken: no request sees the old one again."""
        issuer = PretendIssuer()
        token = issuer.token(roles=["user", "admin"])
        guards = [issuer.guard(cache_size=size) for size in (0, 10_000)]
        assert all(guard.verify(token).is_admin for guard in guards for _ in range(2))
        issuer.change("usr_test", roles=["user"])
        assert not any(guard.verify(token).is_admin for guard in guards)

    def test_n08_memory_is_bounded_whatever_comes(self) -> None:
        """Far more good tokens than the cache may hold."""
        issuer = PretendIssuer()
        guard = issuer.guard(cache_size=100)
        for _ in range(1000):
            guard.verify(issuer.token())
            assert guard.health()["cached"] <= 100


class TestStrangersKeys:
    def test_n10_a_flood_of_unknown_keys_costs_one_fetch(self) -> None:
        """A hundred thousand made-up kids while the feed runs: refused at once, one fetch of the key set at most."""
        with pretend_issuer() as issuer:
            guard = Guard(issuer.url)
            guard.refresh()
            guard.confirm()
            fetched = issuer.asked["/.well-known/jwks.json"]
            for number in range(100_000):
                with pytest.raises(InvalidToken):
                    guard.verify(f"{_header(number)}.e30.{'A' * 86}")
            issuer.revoke("session", "ses_9")
            until(lambda: guard.health()["sequence"] == 1)
            issuer.beat()
            guard.confirm()
            assert issuer.asked["/.well-known/jwks.json"] <= fetched + 1
            guard.close()


def _header(number: int) -> str:
    return encode_base64url(f'{{"alg":"ES256","typ":"at+jwt","kid":"stranger-{number}"}}'.encode())
