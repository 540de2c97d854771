"""Starlette beyond the table: what may be decorated, and what a wrapper does around a whole application."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from tests.frameworks.contract import MISSING
from tests.frameworks.wire import Request, ask_asgi, connect_asgi
from watchword import ConfigurationError, Guard
from watchword.frameworks import asgi
from watchword.frameworks.starlette import protect
from watchword.testing import PretendIssuer


@pytest.fixture
def guard(watchword_issuer: PretendIssuer) -> Guard:
    return watchword_issuer.guard()


def subject_of(request: StarletteRequest) -> JSONResponse:
    return JSONResponse({"subject": request.state.principal.subject})


class TestDecorator:
    def test_a_callable_object_is_an_endpoint(self, guard: Guard, watchword_issuer: PretendIssuer) -> None:
        """One whose ``__call__`` is asynchronous is awaited, not put into a thread."""

        class Endpoint:
            async def __call__(self, request: StarletteRequest) -> JSONResponse:
                return subject_of(request)

        send = ask_asgi(Starlette(routes=[Route("/me", protect(guard)(Endpoint()))]))
        answer = send(Request(fields=tuple(watchword_issuer.headers("usr_ada").items())))
        assert json.loads(answer.body) == {"subject": "usr_ada"}

    def test_a_handler_of_a_websocket_class_has_more_arguments(
        self, guard: Guard, watchword_issuer: PretendIssuer
    ) -> None:
        """The connection is found wherever the framework puts it."""

        class Echo(WebSocketEndpoint):
            encoding = "text"

            @protect(guard)
            async def on_receive(self, websocket: WebSocket, data: Any) -> None:
                await websocket.send_text(f"{websocket.state.principal.subject}: {data}")

        app = Starlette(routes=[WebSocketRoute("/socket", Echo)])
        request = Request(path="/socket", fields=tuple(watchword_issuer.headers("usr_ada").items()))
        said = connect_asgi(app, request, denial=True)
        assert "usr_ada: hello" in [message.get("text") for message in said]

    @pytest.mark.parametrize("wrong", [HTTPEndpoint, None, "view"])
    def test_a_class_is_refused_at_once(self, guard: Guard, wrong: Any) -> None:
        """Decorating the class would leave its methods open; the mistake shows when the module is imported."""
        with pytest.raises(ConfigurationError):
            protect(guard)(wrong)

    def test_a_view_called_without_a_request_fails(self, guard: Guard) -> None:
        """By hand, in a test, say: it is never let through."""
        guarded = protect(guard)(subject_of)
        with pytest.raises(TypeError):
            guarded().send(None)  # type: ignore[attr-defined]


class TestWrapper:
    def app(self, *middleware: Middleware) -> Starlette:
        return Starlette(routes=[Route("/me", subject_of)], middleware=middleware)

    def test_it_is_a_middleware(self, guard: Guard, watchword_issuer: PretendIssuer) -> None:
        """``Middleware(protect(guard))`` protects every route, those that do not exist, too."""
        send = ask_asgi(self.app(Middleware(asgi.protect(guard))))
        headers = tuple(watchword_issuer.headers("usr_ada").items())
        assert json.loads(send(Request(fields=headers)).body) == {"subject": "usr_ada"}
        MISSING.check(send(Request()), "GET")
        MISSING.check(send(Request(path="/nowhere")), "GET")

    def test_a_preflight_passes_where_cors_stands_outside(self, guard: Guard) -> None:
        """A browser asks without credentials first; the CORS middleware answers that before the guard sees it."""
        cors = Middleware(
            CORSMiddleware, allow_origins=["https://app.example"], allow_headers=["Authorization"]
        )
        send = ask_asgi(self.app(cors, Middleware(asgi.protect(guard))))
        origin = ("Origin", "https://app.example")
        preflight = send(Request("OPTIONS", fields=(origin, ("Access-Control-Request-Method", "GET"))))
        assert preflight.status == 200
        refused = send(Request(fields=(origin,)))
        assert (refused.status, refused.field("access-control-allow-origin")) == (401, origin[1])

    def test_lifespan_passes(self, guard: Guard) -> None:
        """Start and stop of the application are nobody's request."""
        seen: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["type"])

        with pytest.raises(StopIteration):
            asgi.protect(guard)(app)({"type": "lifespan"}, None, None).send(None)  # type: ignore[attr-defined,arg-type]
        assert seen == ["lifespan"]


class TestArguments:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"scope": 'a "quote"'}, {"scope": 7}, {"scope": None}, {"role": ("",)}, {"role": (7,)}, {"role": None},
            {"fresh": -1}, {"fresh": float("nan")}, {"fresh": "30"}, {"fresh": True},
            {"body": "html"}, {"optional": True, "role": "admin"}, {"optional": True, "scope": "pay"},
        ],
    )  # fmt: skip
    def test_a_slip_stops_the_import(self, guard: Guard, wrong: dict[str, Any]) -> None:
        """An argument that cannot be meant is an error at once; a route is never left open by it."""
        with pytest.raises(ConfigurationError):
            asgi.protect(guard, **wrong)

    def test_a_guard_is_a_guard(self) -> None:
        """``protect`` without its guard, or with the issuer's URL, is no protection."""
        with pytest.raises(ConfigurationError):
            asgi.protect("https://auth.example.com")  # type: ignore[arg-type]
