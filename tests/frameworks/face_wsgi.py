"""The contract's application in plain WSGI: a wrapper for each route."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.frameworks.api import make_guard
from tests.frameworks.wire import WSGI
from watchword.frameworks.wsgi import PRINCIPAL, protect

GUARD = make_guard()


def view(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"subject": getattr(environ.get(PRINCIPAL), "subject", None)}).encode()]


def stream(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(3):
        yield f"{environ[PRINCIPAL].subject}\n".encode()


ROUTES: dict[str, WSGI] = {
    "/me": protect(GUARD)(view),
    "/pay": protect(GUARD, scope="pay")(view),
    "/admin": protect(GUARD, role="admin")(view),
    "/either": protect(GUARD, role=("auditor", "admin"))(view),
    "/fresh": protect(GUARD, fresh=30)(view),
    "/open": protect(GUARD, optional=True)(view),
    "/simple": protect(GUARD, role="admin", body="simple")(view),
    "/stream": protect(GUARD)(stream),
    "/public": view,
}


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return ROUTES[environ["PATH_INFO"]](environ, start_response)
