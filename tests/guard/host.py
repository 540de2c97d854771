"""The real server in a thread of its own: over HTTP, and by its services, so that a test can move its clock."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2
import uvicorn

from watchword.server.app import create_app
from watchword.server.services import Services, open_services, utc_now
from watchword.server.settings import Settings

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
def running(
    now: Callable[[], datetime] = utc_now,
    *,
    path: str = "",
    front: Callable[[Any], Any] = lambda app: app,
    **settings: str,
) -> Iterator[Running]:
    """A server on SQLite in memory, until the block ends; *path* is its issuer's, *front* stands before it."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}{path}"
    loaded = Settings.load(
        {
            "issuer": url,
            "database": "sqlite:///:memory:",
            "secret": "the-master-key-of-a-test-is-no-secret",
            "password_hash": "test",
            "log_requests": "false",
            **settings,
        }
    )
    ready, found = threading.Event(), {}

    async def serve() -> None:
        async with open_services(loaded, now=now) as services:
            config = uvicorn.Config(front(create_app(loaded, services)), log_level="error", ws="none")
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
