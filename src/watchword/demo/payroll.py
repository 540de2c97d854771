"""The demo's API: a payroll that knows the server's address and nothing else.

``python -m watchword.demo.payroll ISSUER`` listens on a free loopback port and prints where.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from urllib.request import urlopen

import click
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from watchword import Guard
from watchword.frameworks.starlette import protect
from watchword.protocol.metadata import JWKS_PATH

__all__ = ["create_app"]

_HOUR = 3600
_CENTS = 250_000


def create_app(guard: Guard, tomorrow: Guard) -> Starlette:
    """The payroll over *guard*; ``/later/payslip`` is the same route at an API whose clock *tomorrow* reads."""

    async def payslip(request: Request) -> Response:
        return JSONResponse({"employee": request.state.principal.subject, "amount_cents": _CENTS})

    async def pay(request: Request) -> Response:
        order = json.loads(await request.body())
        return JSONResponse({"paid": order, "by": request.state.principal.subject}, 201)

    return Starlette(
        routes=[
            Route("/payslip", protect(guard)(payslip)),
            Route("/payments", protect(guard, role="admin")(pay), methods=["POST"]),
            Route("/later/payslip", protect(tomorrow)(payslip)),
        ]
    )


def main(issuer: str) -> None:
    """Serve until told to stop."""
    with urlopen(issuer + JWKS_PATH, timeout=10) as answer:  # noqa: S310 - the demo's own server
        keys = answer.read()
    # An API an hour from now, so that the story need not wait for a token to expire.
    tomorrow = Guard(issuer, keys=keys, clock=lambda: time.time() + _HOUR)
    app = create_app(Guard(issuer), tomorrow)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        click.echo(f"listening on http://127.0.0.1:{listener.getsockname()[1]}")
        config = uvicorn.Config(app, http="h11", ws="none", log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
