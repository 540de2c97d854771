"""Signed requests at a guard, beyond the table of the faces: one key, one memory, one look-up a token's life."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

import pytest

from tests.guard.stage import mint, run
from tests.protocol.signed import ORIGIN
from watchword import Guard, InvalidToken, MissingCredentials, TemporarilyUnavailable
from watchword.errors import ConfigurationError, InvalidRequest
from watchword.guard.replay import Once
from watchword.guard.request import PlainRequest
from watchword.guard.signed import key_in
from watchword.protocol.signature import RequestSigner
from watchword.testing import PretendIssuer


def request(signer: RequestSigner, method: str = "GET", path: str = "/me", body: bytes = b"") -> PlainRequest:
    fields = {"Content-Type": "application/json"} if body else {}
    fields |= signer.sign(method, ORIGIN + path, fields.items(), body)
    return PlainRequest(method, ORIGIN + path, tuple(fields.items()), body)


def again(first: PlainRequest) -> PlainRequest:
    """The same bytes, a second time."""
    return PlainRequest(first.method, first.url, first.fields, first.content)


@pytest.fixture
def issuer(watchword_issuer: PretendIssuer) -> PretendIssuer:
    return watchword_issuer


@pytest.fixture
def guard(issuer: PretendIssuer) -> Guard:
    return issuer.guard(origin=ORIGIN)


class TestGuard:
    def test_a_program_without_a_framework(self, issuer: PretendIssuer, guard: Guard) -> None:
        """A request of its own making; the principal is the key's user, with what the token says."""
        signer = issuer.signer("usr_ada", roles=["user", "admin"])
        principal = guard.authenticate(None, request(signer, "POST", "/pay?x=1", b"{}"))
        assert (principal.subject, principal.session_id, principal.is_admin) == (
            "usr_ada",
            "ses_signing",
            True,
        )

    def test_its_cookies_are_read_as_a_framework_s(self) -> None:
        """By name, all of them."""
        plain = PlainRequest("GET", ORIGIN + "/me", (("Cookie", "seat=7; row=2"), ("cookie", "seat=8")))
        assert plain.cookies("seat") == ["7", "8"]

    def test_several_looks_at_one_request_are_one(self, issuer: PretendIssuer, guard: Guard) -> None:
        """A protection of the application and one of the route see the same request; its copy is a replay."""
        first = request(issuer.signer())
        assert guard.authenticate(None, first).subject == guard.authenticate(None, first).subject
        with pytest.raises(InvalidToken, match="before"):
            guard.authenticate(None, again(first))

    def test_what_it_says_of_itself_is_read_once(self, issuer: PretendIssuer, guard: Guard) -> None:
        """However often it is looked at on its way in; another request is read anew."""
        assert guard._signed is not None
        signer = issuer.signer()
        for read in (1, 2):
            asyncio.run(guard.authenticate_async(None, request(signer)))
            assert guard._signed._read.cache_info().misses == read

    def test_of_many_at_once_one_gets_in(self, issuer: PretendIssuer, guard: Guard) -> None:
        """Threads that bring the same bytes at the same moment."""
        signer = issuer.signer()
        guard.authenticate(None, request(signer))
        first = request(signer)
        gate, outcomes = threading.Barrier(8), list[str]()

        def bring() -> None:
            copy = again(first)
            gate.wait()
            try:
                outcomes.append(guard.authenticate(None, copy).subject)
            except InvalidToken as refused:
                outcomes.append(refused.description)

        threads = [threading.Thread(target=bring) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["this request came before"] * 7 + ["usr_test"]

    def test_what_is_refused_spends_nothing(self, issuer: PretendIssuer, guard: Guard) -> None:
        """A thief who spoils a request on its way does not keep the right one out."""
        good = request(issuer.signer(), "POST", body=b"{}")
        spoiled = PlainRequest(good.method, good.url, good.fields, b"[]")
        with pytest.raises(InvalidToken, match="verify"):
            guard.authenticate(None, spoiled)
        assert guard.authenticate(None, good).subject == "usr_test"

    def test_beside_an_authorization_field_it_is_one_credential_too_many(
        self, issuer: PretendIssuer, guard: Guard
    ) -> None:
        """Which of the two counts is not for a guard to guess, the more as they are of two users here."""
        header = issuer.headers("usr_bob")["Authorization"]
        with pytest.raises(InvalidRequest, match="twice"):
            guard.authenticate(header, request(issuer.signer("usr_ada")))

    @pytest.mark.parametrize("cnf", [None, "jwk", {"jkt": "x" * 43}, {"jwk": {"kty": "EC"}}])
    def test_a_token_that_names_no_key_verifies_nothing(self, cnf: object) -> None:
        """What the issuer gave for a key is bound to that key, or it is of no use here."""
        with pytest.raises(InvalidToken, match="not known"):
            key_in(mint(1_900_000_000, cnf=cnf))

    def test_a_guard_that_does_not_know_its_origin_takes_none(self, issuer: PretendIssuer) -> None:
        """Without a name of its own there is nothing that a signature could be compared with."""
        with pytest.raises(MissingCredentials):
            issuer.guard().authenticate(None, request(issuer.signer()))

    def test_in_a_coroutine_nobody_waits(self, issuer: PretendIssuer, guard: Guard) -> None:
        """A first look-up takes the asynchronous way; once the key is known the other one does."""
        signer = issuer.signer()

        async def play() -> str:
            with pytest.raises(TemporarilyUnavailable, match="authenticate_async"):
                guard.authenticate(None, request(signer))
            await guard.authenticate_async(None, request(signer))
            return guard.authenticate(None, request(signer)).subject

        assert asyncio.run(play()) == "usr_test"

    def test_an_issuer_that_is_away(self, issuer: PretendIssuer, guard: Guard) -> None:
        """A key that is known goes on; one that is not is 503, not 401."""
        known, new = issuer.signer(session_id="ses_known"), issuer.signer(session_id="ses_new")
        guard.authenticate(None, request(known))
        issuer.silence()
        assert guard.authenticate(None, request(known)).subject == "usr_test"
        with pytest.raises(TemporarilyUnavailable):
            guard.authenticate(None, request(new))

    @pytest.mark.parametrize(
        "origin",
        [
            "api.example.com",
            "https://api.example.com/v1",
            "https://api.example.com/",
            "http://api.example.com",
        ],
    )
    def test_an_origin_is_one(self, issuer: PretendIssuer, origin: str) -> None:
        """Scheme and host, no path, and no clear text beyond this machine; not beside keys of one's own."""
        with pytest.raises(ConfigurationError, match=r"^origin: "):
            issuer.guard(origin=origin)
        with pytest.raises(ConfigurationError, match="origin"):
            Guard(issuer.url, keys=issuer.jwks(), origin=ORIGIN)


@dataclass
class Clock:
    now: float = 1000.0

    def time(self) -> float:
        return self.now


class TestFork:
    def test_a_child_does_not_wait_for_a_thread_of_its_parent(self) -> None:
        """A thread that was at the memory when its process forked is not in the child to let go of it."""
        program = (
            "import os, signal\n"
            "from tests.guard.test_signed import request\n"
            "from tests.protocol.signed import ORIGIN\n"
            "from watchword.testing import PretendIssuer\n"
            "issuer = PretendIssuer()\n"
            "guard, signer = issuer.guard(origin=ORIGIN), issuer.signer()\n"
            "first, second = request(signer), request(signer)\n"
            "guard.authenticate(None, first)\n"
            "guard._signed._once._lock.acquire()\n"
            "if (child := os.fork()) == 0:\n"
            "    signal.alarm(20)\n"
            "    guard.authenticate(None, second)\n"
            "    os._exit(0)\n"
            "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        )
        assert run(program) == "0"


class TestOnce:
    def test_a_nonce_is_remembered_while_it_could_come_again(self) -> None:
        """A life from whenever it came, and an eighth more at most; another key's nonce is another."""
        clock = Clock()
        once = Once(96, 100, clock.time)
        for start in range(0, 12, 3):
            clock.now = 5000.0 + start + 200 * start
            name = str(start)
            assert once.spend("ada", "a", name, by=self)
            for late in (1, 24, 95, 96):
                clock.now = 5000.0 + start + 200 * start + late
                assert not once.spend("ada", "a", name, by=clock)
            assert once.spend("ada", "b", name, by=clock)
            clock.now += 12
            assert once.spend("ada", "a", name, by=clock)
        assert len(once) == 2

    def test_a_full_memory_lets_nobody_in(self) -> None:
        """Forgetting would; when the time has come there is room again."""
        clock = Clock()
        once = Once(96, 5, clock.time)
        assert all(once.spend(owner, "a", owner, by=self) for owner in "abcde")
        with pytest.raises(TemporarilyUnavailable):
            once.spend("f", "a", "f", by=self)
        assert not once.spend("a", "a", "a", by=clock)
        clock.now += 108
        assert once.spend("f", "a", "f", by=self)

    def test_one_user_does_not_fill_it(self) -> None:
        """Past a fifth of the memory his own requests wait, by whichever key; everybody else's go on."""
        clock = Clock()
        once = Once(96, 20, clock.time)
        for key in ("a", "b"):
            assert all(once.spend("eve", key, str(n), by=self) for n in range(2))
            clock.now += 12
        for key in ("a", "c"):
            with pytest.raises(TemporarilyUnavailable):
                once.spend("eve", key, "9", by=self)
        assert once.spend("bob", "d", "9", by=self)
        clock.now += 84
        assert all(once.spend("eve", "c", str(n), by=self) for n in range(2))
        with pytest.raises(TemporarilyUnavailable):
            once.spend("eve", "c", "2", by=self)
