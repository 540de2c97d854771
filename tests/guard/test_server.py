"""The guard against the real server: over HTTP, by its own feed."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import uvicorn

from tests.guard.stage import until
from watchword import Guard, InvalidToken
from watchword.server.app import create_app
from watchword.server.services import Services, open_services
from watchword.server.settings import Settings
from watchword.server.store.records import Origin

PASSWORD = "nine-slow-lanterns"


@dataclass
class Running:
    """A server in a thread of its own."""

    url: str
    services: Services
    loop: asyncio.AbstractEventLoop
    http: httpx2.Client

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def login(self, email: str) -> dict[str, Any]:
        answer = self.http.post("/auth/login", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    def newcomer(self, email: str) -> dict[str, Any]:
        self.http.post("/auth/register", json={"email": email, "password": PASSWORD})
        return self.login(email)


@contextmanager
def running() -> Iterator[Running]:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings = Settings.load(
        {
            "issuer": url,
            "database": "sqlite:///:memory:",
            "secret": "the-master-key-of-a-test-is-no-secret",
            "password_hash": "test",
            "log_requests": "false",
        }
    )
    ready, found = threading.Event(), {}

    async def serve() -> None:
        async with open_services(settings) as services:
            config = uvicorn.Config(create_app(settings, services), log_level="error", ws="none")
            server = uvicorn.Server(config)
            found.update(services=services, server=server, loop=asyncio.get_running_loop())
            ready.set()  # the socket listens already: who comes early waits in its queue
            await server.serve(sockets=[listener])

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(30)
    with httpx2.Client(base_url=url, timeout=30) as http:
        yield Running(url, found["services"], found["loop"], http)
    found["loop"].call_soon_threadsafe(found["services"].feed.close)
    found["server"].should_exit = True
    thread.join(30)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as found:
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
