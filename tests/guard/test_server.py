"""The guard against the real server: over HTTP, by its own feed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from tests.guard.host import Running, running
from tests.guard.stage import until
from tests.server.stage import GROUNDS, ground_of
from watchword import Guard, InvalidToken
from watchword.server.store.records import Origin


@pytest.fixture(scope="module", params=GROUNDS)
def server(request: pytest.FixtureRequest) -> Iterator[Running]:
    """On every ground: what a log-in and a death write arrives by its feed."""
    with running(**asyncio.run(ground_of(request, request.param))) as found:
        yield found


@pytest.fixture
def guard(server: Running) -> Iterator[Guard]:
    found = Guard(server.url)
    yield found
    found.close()


def refused(guard: Guard, token: str) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            guard.verify(token)
        except InvalidToken:
            return True
        return False

    return ask


class TestServer:
    def test_a_login_passes_and_a_logout_kills(self, server: Running, guard: Guard) -> None:
        """The access token dies with its session, at a guard that has verified it before."""
        tokens = server.newcomer("ada@example.com")
        principal = guard.verify(tokens["access_token"])
        assert (principal.subject, principal.session_id) == (tokens["user"]["id"], tokens["session_id"])
        other = server.login("ada@example.com")
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert server.http.post("/auth/logout", headers=headers).status_code == 204
        until(refused(guard, tokens["access_token"]))
        assert guard.verify(other["access_token"]).subject == principal.subject

    def test_a_role_that_is_given_counts_for_the_token_in_hand(self, server: Running, guard: Guard) -> None:
        """And the role that is taken away is gone."""
        tokens = server.newcomer("bob@example.com")
        assert not guard.verify(tokens["access_token"]).is_admin
        user = tokens["user"]["id"]
        # The last administrator could not be demoted.
        another = server.newcomer("another@example.com")["user"]["id"]
        server.do(server.services.users.update(another, roles=("user", "admin"), origin=Origin()))
        for roles in (("user", "admin"), ("user",)):
            server.do(server.services.users.update(user, roles=roles, origin=Origin()))
            until(lambda roles=roles: guard.verify(tokens["access_token"]).roles == roles)

    def test_a_rotated_key_is_known_before_it_signs(self, server: Running, guard: Guard) -> None:
        """No token is refused on the way; a compromised key takes its tokens with it."""
        before = server.newcomer("cyd@example.com")["access_token"]
        guard.verify(before)
        rotation = server.do(server.services.keys.rotate(immediately=True, origin=Origin()))
        after = server.login("cyd@example.com")["access_token"]
        assert guard.verify(after).subject == guard.verify(before).subject
        server.do(server.services.keys.compromise(rotation.kid, Origin()))
        until(refused(guard, after))
        assert guard.verify(before).subject
