"""One process of an API, and when a change reached it: a plain guard, or the same behind a web framework.

``python -m bench.watched guard ISSUER`` reads lines ``change token`` and answers each twice: ``armed`` once the token
is good, then the moment at which it no longer was. ``python -m bench.watched asgi|starlette|fastapi ISSUER PORT``
serves ``/read``, and ``/pay`` for administrators.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any, Final, Protocol

from watchword import Guard
from watchword.errors import WatchwordError

__all__ = ["PAUSE", "GuardProcess", "HttpProcess", "Watched", "application"]

PAUSE: Final = 0.001
"""Seconds between two looks: the grain of what is measured."""
_PATIENCE: Final = 15.0


class Watched(Protocol):
    """A process to which changes come."""

    name: str

    def arm(self, change: str, token: str) -> None:
        """Make sure that the token is good there."""

    def reached(self) -> float:
        """The monotonic moment at which it no longer was."""


@dataclass
class GuardProcess:
    """A guard in a process of its own, looking at one token again and again."""

    name: str
    child: subprocess.Popen[str]

    def arm(self, change: str, token: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(f"{change.replace(' ', '-')} {token}\n")
        self.child.stdin.flush()
        assert self._line() == "armed"

    def reached(self) -> float:
        return float(self._line())

    def _line(self) -> str:
        assert self.child.stdout is not None
        return self.child.stdout.readline().strip()


@dataclass
class HttpProcess:
    """An API, asked over one kept connection again and again."""

    name: str
    connection: HTTPConnection
    _ask: Callable[[], int] = field(default=lambda: 0)
    _refusal: int = 0

    def arm(self, change: str, token: str) -> None:
        path, self._refusal = ("/pay", 403) if change == "demotion" else ("/read", 401)

        def ask() -> int:
            self.connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = self.connection.getresponse()
            answer.read()
            return answer.status

        assert ask() == 200, (self.name, change)
        self._ask = ask

    def reached(self) -> float:
        deadline = time.monotonic() + _PATIENCE
        while self._ask() != self._refusal:
            assert time.monotonic() < deadline, f"{self.name} was not reached"
            time.sleep(PAUSE)
        return time.monotonic()


def application(name: str, guard: Guard) -> Any:
    """The same two routes in each framework's idiom."""
    match name:
        case "asgi":
            from bench.apps import hello
            from watchword.frameworks.asgi import protect

            read, pay = protect(guard)(hello), protect(guard, role="admin")(hello)

            async def app(scope: Any, receive: Any, send: Any) -> None:
                await (pay if scope["path"] == "/pay" else read)(scope, receive, send)

            return app
        case "starlette":
            from starlette.applications import Starlette
            from starlette.responses import PlainTextResponse
            from starlette.routing import Route

            from watchword.frameworks.starlette import protect as protect_endpoint

            async def answer(request: Any) -> Any:
                return PlainTextResponse("ok")

            return Starlette(
                routes=[
                    Route("/read", protect_endpoint(guard)(answer)),
                    Route("/pay", protect_endpoint(guard, role="admin")(answer)),
                ]
            )
        case _:
            from fastapi import Depends, FastAPI

            from watchword.frameworks.fastapi import protect as protection

            api = FastAPI()
            for path, dependency in (
                ("/read", protection(guard)),
                ("/pay", protection(guard, role="admin")),
            ):
                api.get(path, dependencies=[Depends(dependency)])(lambda: "ok")
            return api


def _watch(guard: Guard, change: str, token: str) -> None:
    passes = _shows_admin if change == "demotion" else _verifies
    deadline = time.monotonic() + _PATIENCE
    while not passes(guard, token):  # an issue may come a moment before its own news
        assert time.monotonic() < deadline
        time.sleep(PAUSE)
    print("armed", flush=True)
    while passes(guard, token):
        assert time.monotonic() < deadline
        time.sleep(PAUSE)
    print(time.monotonic(), flush=True)


def _verifies(guard: Guard, token: str) -> bool:
    try:
        guard.verify(token)
    except WatchwordError:
        return False
    return True


def _shows_admin(guard: Guard, token: str) -> bool:
    return guard.verify(token).is_admin


def main(name: str, issuer: str, *port: str) -> None:
    """Run one of them."""
    guard = Guard(issuer)
    if name == "guard":
        for line in sys.stdin:
            _watch(guard, *line.split())
        return
    from bench.apps import run

    run(application(name, guard), int(port[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
