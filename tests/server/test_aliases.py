"""First-party endpoints under other paths and shapes."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx2
import pytest

from watchword.server.aliases import Aliases

Message = MutableMapping[str, Any]


async def endpoint(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Stands where the server's endpoints stand: tells what it got, in the shape of theirs."""
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            break
    status, document = 200, {"access_token": "a.b.c", "refresh_token": "wwr_1", "got": body.decode()}
    kind = b"application/json"
    if b"wrong" in body:
        status, document = 401, {"title": "E-mail or password is wrong", "status": 401}
        kind = b"application/problem+json"
    if scope["path"] == "/auth/me":
        document = {"path": scope["path"], "query": scope["query_string"].decode()}
    if scope["path"] == "/auth/logout":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    answer = json.dumps(document | {"length": dict(scope["headers"]).get(b"content-length", b"").decode()})
    headers = [
        (b"content-type", kind),
        (b"content-length", b"%d" % len(answer)),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.encode()})


@pytest.fixture
def http() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=Aliases(endpoint)), base_url="http://auth")


@pytest.mark.anyio
class TestAliases:
    async def test_the_answer_is_renamed(self, http: httpx2.AsyncClient) -> None:
        """``POST /login`` is the log-in with ``{"token": …}`` as its whole answer; header fields stay."""
        answer = await http.post("/login", json={"email": "a@example.com", "password": "x"})
        assert answer.json() == {"token": "a.b.c"}
        assert answer.headers["cache-control"] == "no-store"

    async def test_the_request_is_renamed(self, http: httpx2.AsyncClient) -> None:
        """``Username`` and ``Password`` arrive under the endpoint's names, with the length that they have now."""
        seen: list[Message] = []

        async def spy(scope: Message, receive: Any, send: Any) -> None:
            seen.append({**await receive(), "path": scope["path"], "headers": dict(scope["headers"])})
            await endpoint(scope, Repeat(seen[0]), send)

        transport = httpx2.ASGITransport(app=Aliases(spy))
        async with httpx2.AsyncClient(transport=transport, base_url="http://auth") as client:
            body = {"Username": "fernando", "Password": "fernando123"}
            answer = await client.post("/api/users-sessions", json=body)
        assert answer.json() == {"token": "a.b.c"}
        assert json.loads(seen[0]["body"]) == {"username": "fernando", "password": "fernando123"}
        assert seen[0]["path"] == "/auth/login"
        assert int(seen[0]["headers"][b"content-length"]) == len(seen[0]["body"])

    async def test_a_refusal_is_error_and_message(self, http: httpx2.AsyncClient) -> None:
        """The problem document becomes the two members that such clients read; the status stays."""
        answer = await http.post("/login", json={"email": "a@example.com", "password": "wrong"})
        assert answer.status_code == 401
        assert answer.json() == {"error": "Unauthorized", "message": "E-mail or password is wrong"}
        assert answer.headers["content-type"] == "application/json"

    async def test_an_answer_without_a_shape_stays(self, http: httpx2.AsyncClient) -> None:
        """The profile is the endpoint's own document, and its query goes along."""
        assert (await http.get("/profile?x=1")).json() == {"path": "/auth/me", "query": "x=1", "length": ""}
        assert (await http.post("/api/v1/logout")).status_code == 204

    async def test_everything_else_goes_on_as_it_came(self, http: httpx2.AsyncClient) -> None:
        """Another path, or another method of an alias's path, is not touched."""
        assert "refresh_token" in (await http.post("/auth/login", json={})).json()
        assert "refresh_token" in (await http.get("/login")).json()

    @pytest.mark.parametrize(
        "text",
        [
            "{",
            "[1]",
            '{"Username": "a", "username": "b"}',
            '{"Username": "a", "Username": "b"}',
            "x" * 70_000,
        ],
    )
    async def test_what_cannot_be_renamed_is_the_endpoint_s_to_refuse(
        self, http: httpx2.AsyncClient, text: str
    ) -> None:
        """Broken, doubled or too long bodies reach the endpoint unrenamed."""
        seen: list[bytes] = []

        async def spy(scope: Message, receive: Any, send: Any) -> None:
            message = await receive()
            seen.append(message["body"])
            await endpoint(scope, Repeat(message), send)

        transport = httpx2.ASGITransport(app=Aliases(spy))
        async with httpx2.AsyncClient(transport=transport, base_url="http://auth") as client:
            await client.post("/api/users-sessions", content=text)
        assert b'"username":"a"' not in seen[0]
        assert text.encode().startswith(seen[0])


class Repeat:
    """A channel that says one message."""

    def __init__(self, message: Message) -> None:
        self.message = message

    async def __call__(self) -> Message:
        return self.message
