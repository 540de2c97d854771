"""A request and its answer as they stand on the wire, and how an ASGI or WSGI application is asked without a server."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

Message = MutableMapping[str, Any]
Fields = tuple[tuple[str, str], ...]
ASGI = Callable[[Any, Any, Any], Awaitable[None]]
WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True)
class Request:
    """What a client sends; a field may come twice."""

    method: str = "GET"
    path: str = "/me"
    fields: Fields = ()
    query: str = ""
    body: bytes = b""

    @property
    def host(self) -> bool:
        """Whether the client names the host itself."""
        return any(name == "Host" for name, _ in self.fields)


@dataclass(frozen=True)
class Answer:
    """What comes back."""

    status: int
    fields: Fields
    body: bytes

    def field(self, name: str) -> str | None:
        """The one value of a field; ``None`` when it is not there."""
        values = [value for other, value in self.fields if other.lower() == name]
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None


Send = Callable[[Request], Answer]


def ask_asgi(app: ASGI) -> Send:
    """One request to an ASGI application; the body of an answer to HEAD is dropped, as servers do."""

    def send(request: Request) -> Answer:
        half = len(request.body) // 2
        heard = [
            {"type": "http.request", "body": request.body[:half], "more_body": True},
            {"type": "http.request", "body": request.body[half:]},
        ]
        said = asyncio.run(_speak(app, _scope(request, "http"), heard))
        return _answer(said, "http.response", request.method)

    return send


def connect_asgi(app: ASGI, request: Request, *, denial: bool) -> list[Message]:
    """One websocket; what the application says to its handshake and to the word ``hello``."""
    extensions: dict[str, Any] = {"websocket.http.response": {}} if denial else {}
    scope = {**_scope(request, "websocket"), "extensions": extensions, "subprotocols": []}
    heard = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "hello"},
        {"type": "websocket.disconnect", "code": 1000},
    ]
    return asyncio.run(_speak(app, scope, heard))


def denial_of(said: list[Message]) -> Answer:
    """The HTTP answer that a websocket's handshake was refused with."""
    return _answer(said, "websocket.http.response", "GET")


def _scope(request: Request, kind: str) -> Message:
    method: Message = {"method": request.method} if kind == "http" else {}
    return {
        **method,
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "http" if kind == "http" else "ws",
        "path": unquote(request.path),
        "raw_path": request.path.encode(),
        "query_string": request.query.encode(),
        "root_path": "",
        "headers": [
            *([] if request.host else [(b"host", b"api")]),
            *([(b"content-length", str(len(request.body)).encode())] if request.body else []),
            *((n.lower().encode(), v.encode("latin-1")) for n, v in request.fields),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


async def _speak(app: ASGI, scope: Message, heard: list[Any]) -> list[Message]:
    said: list[Message] = []
    rest = iter(heard)
    over = asyncio.Event()

    async def receive() -> Message:
        for message in rest:
            return dict(message)
        await over.wait()  # the client stays until it has its answer
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        said.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            over.set()

    await app(scope, receive, send)
    return said


def _answer(said: list[Message], kind: str, method: str) -> Answer:
    start = next(message for message in said if message["type"] == f"{kind}.start")
    parts = [bytes(message.get("body", b"")) for message in said if message["type"] == f"{kind}.body"]
    fields = tuple((bytes(n).decode(), bytes(v).decode("latin-1")) for n, v in start["headers"])
    return Answer(start["status"], fields, b"" if method == "HEAD" else b"".join(parts))


def ask_wsgi(app: WSGI) -> Send:
    """One request to a WSGI application; a field that came twice is joined by a comma, as servers do."""

    def send(request: Request) -> Answer:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
            "RAW_URI": request.path + (f"?{request.query}" if request.query else ""),
            "QUERY_STRING": request.query,
            "SERVER_NAME": "api",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if request.body:
            environ["CONTENT_LENGTH"] = str(len(request.body))
        for name, value in (() if request.host else (("Host", "api"),)) + request.fields:
            key = name.upper().replace("-", "_")
            key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        started: list[Any] = []
        chunks = app(environ, lambda status, fields, exc_info=None: started.extend((status, fields)))
        body = b"".join(chunks)
        getattr(chunks, "close", lambda: None)()
        status, fields = started
        return Answer(int(status.split()[0]), tuple(fields), b"" if request.method == "HEAD" else body)

    return send
