"""The application as a server runs it: start, jobs, stop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.server.stage import PASSWORD, Stage

pytestmark = pytest.mark.anyio


class Lifespan:
    """The lifespan channel of an ASGI server."""

    def __init__(self, stage: Stage) -> None:
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.outbox: asyncio.Queue[Any] = asyncio.Queue()
        self.task = asyncio.create_task(stage.app({"type": "lifespan"}, self.inbox.get, self.outbox.put))

    async def say(self, word: str) -> str:
        self.inbox.put_nowait({"type": f"lifespan.{word}"})
        async with asyncio.timeout(5):
            return str((await self.outbox.get())["type"])


class TestApp:
    async def test_the_feed_follows_the_log_by_itself(self, stage: Stage) -> None:
        """Between start and stop a log-out reaches the listeners without being asked for."""
        lifespan = Lifespan(stage)
        assert await lifespan.say("startup") == "lifespan.startup.complete"
        stream = stage.services.feed.stream(None)
        async with asyncio.timeout(10):
            first = await anext(stream)
            ada = await stage.newcomer()
            await stage.http.post("/auth/logout", headers=ada.bearer)
            assert await anext(stream) != first
        await stream.aclose()  # type: ignore[attr-defined]
        assert await lifespan.say("shutdown") == "lifespan.shutdown.complete"
        await lifespan.task

    async def test_a_lesson_s_requests_run_as_printed(self, stage: Stage) -> None:
        """Older names lead to the same endpoints, with their answer shapes, locks and limits."""
        ada = await stage.somebody(username="fernando")
        answer = await stage.http.post("/login", json={"email": ada.email, "password": PASSWORD})
        assert answer.json().keys() == {"token"}
        profile = await stage.http.get(
            "/profile", headers={"Authorization": f"Bearer {answer.json()['token']}"}
        )
        assert profile.json()["id"] == ada.id
        answer = await stage.http.post(
            "/api/users-sessions", json={"Username": "fernando", "Password": PASSWORD}
        )
        assert answer.json().keys() == {"token"}
        assert (await stage.http.get("/profile")).status_code == 401
        answer = await stage.http.post("/login", json={"email": ada.email, "password": "wrong"})
        assert (answer.status_code, answer.json().keys()) == (401, {"error", "message"})
        for path in ("/login", "/profile", "/api/users-sessions"):
            assert (await stage.http.put(path)).status_code == 404

    async def test_a_web_socket_is_closed(self, stage: Stage) -> None:
        """There is none here; 1008 says so."""
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        await stage.app({"type": "websocket", "path": "/", "headers": []}, receive, send)
        assert sent == [{"type": "websocket.close", "code": 1008}]
