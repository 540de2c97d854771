"""The contract's application in Litestar: handlers, sync and async, a controller, a router, a websocket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from litestar import Controller, Litestar, Request, Router, WebSocket, get, head, post, websocket
from litestar.response import Stream

from tests.frameworks.api import make_guard
from watchword import Principal
from watchword.frameworks.litestar import SecurityScheme, protect

GUARD = make_guard()
Subject = dict[str, str | None]
Asked = Request[Principal, Any, Any]


def subject(request: Asked) -> Subject:
    return {"subject": getattr(request.scope.get("user"), "subject", None)}


@get("/me", guards=[protect(GUARD)], sync_to_thread=False)
def me(request: Asked) -> Subject:
    return {"subject": request.user.subject}


@head("/me", guards=[protect(GUARD)])
async def head_me() -> None:
    return None


@post("/me", guards=[protect(GUARD)], status_code=200)
async def post_me(request: Asked) -> Subject:
    return subject(request)


@get("/later", guards=[protect(GUARD)])
async def later(request: Asked) -> Subject:
    return {"subject": request.state.principal.subject}


class Pay(Controller):
    path = "/pay"
    guards = [protect(GUARD, scope="pay")]

    @get()
    async def pay(self, request: Asked) -> Subject:
        return subject(request)


@get("/admin", guards=[protect(GUARD, role="admin")], sync_to_thread=True)
def admin(request: Asked) -> Subject:
    return subject(request)


@get("/")
async def of_router(request: Asked) -> Subject:
    return subject(request)


either = Router("/either", route_handlers=[of_router], guards=[protect(GUARD, role=("auditor", "admin"))])


@get("/fresh", guards=[protect(GUARD, fresh=30)])
async def fresh(request: Asked) -> Subject:
    return subject(request)


@get("/open", guards=[protect(GUARD, optional=True)])
async def optional(request: Asked) -> Subject:
    return subject(request)


@get("/simple", guards=[protect(GUARD, role="admin", body="simple")])
async def simple(request: Asked) -> Subject:
    return subject(request)


@get("/stream", guards=[protect(GUARD)])
async def stream(request: Asked) -> Stream:
    async def lines() -> AsyncIterator[str]:
        for _ in range(3):
            yield f"{request.user.subject}\n"

    return Stream(lines())


@get("/public")
async def public(request: Asked) -> Subject:
    return subject(request)


@websocket("/socket", guards=[protect(GUARD, scope="pay")])
async def socket(socket: WebSocket[Principal, Any, Any]) -> None:
    await socket.accept()
    await socket.send_text(socket.user.subject)
    await socket.close()


app = Litestar(
    [me, head_me, post_me, later, Pay, admin, either, fresh, optional, simple, stream, public, socket],
    plugins=[SecurityScheme()],
    logging_config=None,
)
