"""What stands before a server whose issuer has a path, as an ASGI application: proxies that strip it or keep it."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from watchword.protocol.metadata import METADATA_PATH

__all__ = ["FRONTS", "Front"]

FRONTS = ("strips", "keeps", "root_path")
"""The last strips it, and the server that runs us was told so (``uvicorn --root-path``)."""


@dataclass
class Front:
    """A host of which one path is the issuer's. What is asked beside it is another's, and noted.

    Args:
        kind: one of ``FRONTS``.
        app: the server.
        path: the issuer's.
        metadata: whether the path-inserted address of the metadata is passed on, too.
    """

    kind: str
    app: Any
    path: str
    metadata: bool = True
    strays: list[str] = field(default_factory=list)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if scope["type"] == "lifespan":
            pass
        elif path.startswith(f"{self.path}/"):
            inner = path[len(self.path) :]
            if self.kind == "strips":
                scope = {**scope, "path": inner, "raw_path": inner.encode()}
            elif self.kind == "root_path":
                scope = {**scope, "root_path": self.path}
        elif not (self.metadata and path == METADATA_PATH + self.path):
            self.strays.append(path)
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]}
            )
            await send({"type": "http.response.body", "body": b"<title>Another application</title>"})
            return
        await self.app(scope, receive, send)
