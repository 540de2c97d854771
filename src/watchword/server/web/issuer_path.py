"""An issuer with a path, ``https://example.com/identity``: answered with that path in front of ours, and without it.

Some proxies strip the path and some keep it, and an application that mounts this one names what it mounted it at.
Which of them it was shows in the request's path; which path it can be is said by the settings and by whoever runs us,
and by nothing that a client sends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from watchword.protocol.metadata import METADATA_PATH
from watchword.server.web.request import Receive, Scope, Send

__all__ = ["IssuerPath", "unmounted"]

App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class IssuerPath:
    """An ASGI application that hands requests on with *app*'s own paths.

    Args:
        app: what answers.
        path: the issuer's.
        serves: whether a path is a route's.
    """

    app: App
    path: str
    serves: Callable[[str], bool] = field(repr=False)

    @property
    def metadata(self) -> str:
        """Where the metadata of an issuer with a path are looked for: the path comes last (RFC 8414 3.1)."""
        return METADATA_PATH + self.path

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request (ASGI 3)."""
        path = scope["path"]
        own = METADATA_PATH if path == self.metadata else _below(self.path, path, self.serves)
        return self.app(scope if own == path else _at(own, scope), receive, send)


def _below(prefix: str, path: str, serves: Callable[[str], bool]) -> str:
    """*path* without *prefix*, if it has it, or as it is if it is a route's and the shorter one is none."""
    if path == prefix:
        return path if serves(path) else "/"
    if not path.startswith(f"{prefix}/"):
        return path
    own = path[len(prefix) :]
    return path if serves(path) and not serves(own) else own


def unmounted(scope: Scope, serves: Callable[[str], bool]) -> Scope:
    """*scope* without the path that another application has mounted us at, which ``path`` begins with (ASGI)."""
    root = scope.get("root_path", "").rstrip("/")
    own = _below(root, scope["path"], serves) if root else scope["path"]
    return scope if own == scope["path"] else _at(own, scope)


def _at(path: str, scope: Scope) -> Scope:
    moved = {**scope, "path": path}
    moved.pop("raw_path", None)  # it may be left out, and would tell another path
    return moved
