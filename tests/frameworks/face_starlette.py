"""The contract's application in Starlette: functions, sync and async, a class, a websocket."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from tests.frameworks.api import make_guard
from watchword.frameworks.starlette import protect

GUARD = make_guard()


def subject_of(request: Request) -> JSONResponse:
    return JSONResponse({"subject": getattr(getattr(request.state, "principal", None), "subject", None)})


@protect(GUARD)
def me(request: Request) -> Response:
    return subject_of(request)


@protect(GUARD)
async def later(request: Request) -> Response:
    return subject_of(request)


class Pay(HTTPEndpoint):
    @protect(GUARD, scope="pay")
    async def get(self, request: Request) -> Response:
        return subject_of(request)


class Admin(HTTPEndpoint):
    @protect(GUARD, role="admin")
    def get(self, request: Request) -> Response:
        return subject_of(request)


@protect(GUARD)
async def stream(request: Request) -> Response:
    async def lines() -> AsyncIterator[str]:
        for _ in range(3):
            yield f"{request.state.principal.subject}\n"

    return StreamingResponse(lines())


@protect(GUARD, scope="pay")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(websocket.state.principal.subject)
    await websocket.close()


ALL = ["GET", "POST"]
app = Starlette(
    routes=[
        Route("/me", me, methods=ALL),
        Route("/later", later),
        Route("/pay", Pay),
        Route("/admin", Admin),
        Route("/either", protect(GUARD, role=("auditor", "admin"))(subject_of)),
        Route("/fresh", protect(GUARD, fresh=30)(subject_of)),
        Route("/open", protect(GUARD, optional=True)(subject_of)),
        Route("/simple", protect(GUARD, role="admin", body="simple")(subject_of)),
        Route("/stream", stream),
        Route("/public", subject_of),
        WebSocketRoute("/socket", socket),
    ]
)
