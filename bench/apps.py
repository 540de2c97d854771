"""The applications beside which ours are measured: the least an ASGI server can serve, and the same behind a guard.

``python -m bench.apps NAME PORT [ISSUER]`` runs one on the server, loop and parser that ``watchword serve`` uses.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import uvicorn

from watchword import Guard
from watchword.frameworks.asgi import protect

__all__ = ["hello"]

Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

_BODY: Final = b'{"ok":true}'
_START: Final = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"11")],
}
_END: Final = {"type": "http.response.body", "body": _BODY}


async def hello(scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
    """Hello-world as raw ASGI."""
    await send(_START)
    await send(_END)


def run(app: App, port: int) -> None:
    """Serve *app* as ``watchword serve`` serves its own."""
    uvicorn.run(
        app,
        port=port,
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )


if __name__ == "__main__":
    name, port, *issuer = sys.argv[1:]
    run(hello if name == "hello" else protect(Guard(issuer[0]))(hello), int(port))
