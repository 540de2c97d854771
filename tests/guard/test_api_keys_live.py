"""API keys at a guard of the real server: traded over HTTP, ended by its feed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.guard.host import PASSWORD, Running, running
from tests.guard.stage import until
from watchword import Guard, InvalidToken, TemporarilyUnavailable
from watchword.protocol.api_key import ApiKey
from watchword.server.store.records import Origin, Session


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as found:
        yield found


@contextmanager
def guarding(server: Running, audience: str = "api") -> Iterator[Guard]:
    guard = Guard(server.url, audience, leeway=0)
    try:
        yield guard
    finally:
        guard.close()


@pytest.fixture
def guard(server: Running) -> Iterator[Guard]:
    with guarding(server) as found:
        yield found


def make(server: Running, email: str, **members: object) -> tuple[str, str, str]:
    """Somebody's key: its text, its id, his id."""
    tokens = server.newcomer(email)
    answer = server.http.post(
        "/auth/api-keys",
        json={"name": "deploy", "current_password": PASSWORD, **members},
        headers={"Authorization": f"Bearer {tokens['access_token']}"},
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["key"], answer.json()["id"], tokens["user"]["id"]


def refused(guard: Guard, key: str) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            guard.authenticate(f"Bearer {key}")
        except InvalidToken as why:
            return why.description == "the token was revoked"
        return False

    return ask


class TestLive:
    def test_it_comes_in_and_its_use_is_written_down(self, server: Running, guard: Guard) -> None:
        """The key's user and session; ``last_used_at`` is there after the first request, and not moved by more."""
        key, key_id, user_id = make(server, "ada@example.com")

        def used() -> Session:
            (found,) = server.do(server.services.user_keys.list(user_id, "api_key"))
            assert isinstance(found, Session)
            return found

        assert used().counter == 0
        principal = guard.authenticate(f"Bearer {key}")
        assert (principal.subject, principal.session_id) == (user_id, key_id)
        first = used()
        assert first.counter == 1
        for _ in range(50):
            guard.authenticate(f"Bearer {key}")
        assert used() == first

    def test_revoked_it_dies_by_the_feed(self, server: Running, guard: Guard) -> None:
        """And by a ban, and by a log-out everywhere: the words of every dead token, and they stay."""
        services, origin = server.services, Origin()
        for number, end in enumerate(
            (
                lambda key, user: services.user_keys.revoke(key, "api_key", "x", origin),
                lambda key, user: services.users.ban(user, None, None, origin),
                lambda key, user: services.sessions.end_all(user, "x", origin),
            )
        ):
            key, key_id, user_id = make(server, f"bob{number}@example.com")
            assert not refused(guard, key)()
            server.do(end(key_id, user_id))
            until(refused(guard, key))
            assert refused(guard, key)()

    def test_a_brake_takes_its_tokens_and_not_the_key(self, server: Running, guard: Guard) -> None:
        """When every access token is taken back at once the key is traded again; the caller does not notice."""
        key, _, _ = make(server, "eve@example.com")
        before = guard.authenticate(f"Bearer {key}").jti
        exchange = guard._exchange
        assert exchange is not None
        token = exchange.token("api_key", key) or ""
        until(lambda: exchange.renewed("api_key", key, token))  # it is not of this very second any more
        server.do(server.services.withdrawal.everything(Origin()))
        until(lambda: guard.authenticate(f"Bearer {key}").jti != before)

    def test_it_opens_its_own_api_alone(self, server: Running, guard: Guard) -> None:
        """Another API's guard refuses it, and says why."""
        server.do(server.services.store.apis.add("reports", (), Origin()))
        key, _, user_id = make(server, "kim@example.com", audience="reports")
        with pytest.raises(InvalidToken, match="another audience"):
            guard.authenticate(f"Bearer {key}")
        with guarding(server, "reports") as reports:
            assert reports.authenticate(f"Bearer {key}").subject == user_id

    def test_a_loop_of_many_first_uses(self, server: Running, guard: Guard) -> None:
        """Fifty requests of one key and fifty of others at once: each is let in or told to come again, none refused."""
        keys = [make(server, f"many{number}@example.com")[0] for number in range(8)]

        async def play() -> list[object]:
            asked = [guard.authenticate_async(f"Bearer {key}") for key in [*keys[:1] * 50, *keys * 6]]
            return await asyncio.gather(*asked, return_exceptions=True)

        said = asyncio.run(play())
        assert not [one for one in said if isinstance(one, BaseException)]

    def test_renewed_before_its_end_no_request_fails(self) -> None:
        """With tokens of two seconds and no leeway: the token changes twice under a caller who never waits for it."""
        with running(access_token_ttl="2s") as server, guarding(server) as guard:
            key, _, _ = make(server, "ada@example.com")
            seen: set[str] = set()

            def changed() -> bool:
                seen.add(guard.authenticate(f"Bearer {key}").jti)
                return len(seen) == 3

            until(changed)

    def test_with_the_server_gone_the_known_go_on(self) -> None:
        """A key in use comes in; a first use is 503."""
        with running() as server, guarding(server) as guard:
            key, stranger = make(server, "ada@example.com")[0], make(server, "bob@example.com")[0]
            guard.authenticate(f"Bearer {key}")
            server.loop.call_soon_threadsafe(server.services.feed.close)
            closing = server
        assert guard.authenticate(f"Bearer {key}")
        with pytest.raises(TemporarilyUnavailable):
            guard.authenticate(f"Bearer {stranger}")
        assert closing.url == guard.issuer

    def test_attack_a45_made_up_keys_do_not_lock_others_out(self) -> None:
        """Beyond the server's limit they are 503; a good key from the same API comes in at its first use."""
        with running(login_attempts_per_address="5") as server, guarding(server) as guard:
            key, _, user_id = make(server, "ada@example.com")
            said = []
            for number in range(8):
                try:
                    guard.authenticate(f"Bearer {ApiKey(bytes([number]) * 16, bytes(16)).text()}")
                except (InvalidToken, TemporarilyUnavailable) as why:
                    said.append(why.status)
            assert said == [401] * 5 + [503] * 3
            assert guard.authenticate(f"Bearer {key}").subject == user_id
