"""An API that trusts three keys of one issuer, and what it answers to a token."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.frameworks.wire import Answer, Request, ask_asgi
from tests.jose.forge import ISSUER, NOW, public
from watchword import Guard
from watchword.errors import WatchwordError
from watchword.frameworks.asgi import protect

TRUSTED = ("ES256", "RS256", "EdDSA")


def guard() -> Guard:
    """A fresh guard with nothing remembered."""
    return Guard(ISSUER, keys=public(*TRUSTED).public_jwks(), leeway=0, clock=lambda: NOW)


async def _view(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def ask(token: str, **demands: Any) -> Answer:
    """What the API answers when *token* comes as a bearer token."""
    fields = (("Authorization", f"Bearer {token}"),)
    return ask_asgi(protect(guard(), **demands)(_view))(Request(fields=fields))


def refused(token: str) -> bool:
    """Whether the API answers 401 ``invalid_token`` and the library raises its own error, nothing else."""
    try:
        guard().verify(token)
    except WatchwordError as error:
        by_library = error.error == "invalid_token"
    else:
        return False
    try:
        token.encode("latin-1")
    except UnicodeEncodeError:
        return by_library  # no HTTP field can carry it
    answer = ask(token)
    challenge = answer.field("www-authenticate") or ""
    return by_library and answer.status == 401 and challenge.startswith('Bearer error="invalid_token"')


def cpu(call: Callable[[], object], tries: int = 7) -> float:
    """Seconds of CPU that *call* takes, at its best; it must raise our own error."""
    spent = []
    for _ in range(tries):
        begun = time.thread_time()
        try:
            call()
        except WatchwordError:
            spent.append(time.thread_time() - begun)
    assert len(spent) == tries
    return min(spent)
