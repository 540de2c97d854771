"""Answers that skip what ASGI would make of them: one write in place of two, and no task where nothing waits."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from watchword.errors import WatchwordError
from watchword.server.web.errors import error_response
from watchword.server.web.responses import ANSWER, PROTECTIONS, Field, fields_of, lines_of

__all__ = ["OFFERED", "answer_at_once", "refusal"]


def answer_at_once(cycle: RequestResponseCycle, app: Any) -> None:
    """Let *app* answer here and now: a task would cost as much as the answer."""
    answering = cycle.run_asgi(app)
    try:
        answering.send(None)
    except StopIteration:
        return
    answering.close()
    raise RuntimeError(f"an answer that needs no waiting waited: {cycle.scope['path']}")


def refusal(error: WatchwordError, fields: Iterable[Field]) -> bytes:
    """The whole answer to what is no request, the last of its connection; *fields* are the server's own."""
    response = error_response(error)
    length, last = (b"content-length", b"%d" % len(response.body)), (b"connection", b"close")
    lines = lines_of([*fields, *fields_of(response), length, last, *PROTECTIONS])
    return STATUS_LINE[response.status] + lines + b"\r\n" + response.body


@lru_cache(4)
def _lines_of(*fields: Field) -> bytes:
    # uvicorn's own fields, the date among them: new once a second.
    return lines_of(fields)


async def _answer(send: Any, status: int, fields: bytes, body: bytes) -> None:
    """Send a whole answer in one write; what the end of an answer means to the connection is as in ``send``."""
    cycle: RequestResponseCycle = send.__self__
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected:
        return
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.message_event.set()
    date = _lines_of(*cycle.default_headers)
    last = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
    cycle.transport.write(b"".join((STATUS_LINE[status], date, fields, last, body)))
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()


# One for all requests: a request that held its own would hold itself, and be left to the garbage collector.
OFFERED: Final[Any] = {ANSWER: _answer}
