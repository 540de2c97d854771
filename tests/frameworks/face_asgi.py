"""The contract's application in plain ASGI: a wrapper for each route."""

from __future__ import annotations

import json
from typing import Any

from tests.frameworks.api import make_guard
from tests.frameworks.wire import ASGI, Message
from watchword import Principal
from watchword.frameworks.asgi import protect

GUARD = make_guard()


def principal_of(scope: Message) -> Principal | None:
    found: Principal | None = scope.get("state", {}).get("principal")
    return found


async def view(scope: Message, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": getattr(principal_of(scope), "subject", "")})
        await send({"type": "websocket.close", "code": 1000})
        return
    body = json.dumps({"subject": getattr(principal_of(scope), "subject", None)}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def stream(scope: Message, receive: Any, send: Any) -> None:
    principal = principal_of(scope)
    assert principal is not None
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(3):
        await send(
            {"type": "http.response.body", "body": f"{principal.subject}\n".encode(), "more_body": True}
        )
    await send({"type": "http.response.body", "body": b""})


ROUTES: dict[str, ASGI] = {
    "/me": protect(GUARD)(view),
    "/later": protect(GUARD)(view),
    "/pay": protect(GUARD, scope="pay")(view),
    "/admin": protect(GUARD, role="admin")(view),
    "/either": protect(GUARD, role=("auditor", "admin"))(view),
    "/fresh": protect(GUARD, fresh=30)(view),
    "/open": protect(GUARD, optional=True)(view),
    "/simple": protect(GUARD, role="admin", body="simple")(view),
    "/stream": protect(GUARD)(stream),
    "/public": view,
    "/socket": protect(GUARD, scope="pay")(view),
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    await ROUTES[scope["path"]](scope, receive, send)
