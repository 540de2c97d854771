"""What is told of requests: a log line and counters; never a secret, never a line break of a stranger's."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import structlog
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from watchword.server.web.log_text import printable, told
from watchword.server.web.request import Request
from watchword.server.web.request_log import RequestLog
from watchword.server.web.route import Route
from watchword.server.web.tally import Tally

if TYPE_CHECKING:
    from watchword.server.web.spans import Spans

__all__ = ["Observer", "forwarded", "make_logger"]


def make_logger(form: Literal["console", "json"], *, colour: bool = True) -> Any:
    """A logger to stderr whose every text is one line, whatever strangers wrote into it (CWE-117).

    Colour is for a terminal alone, and only where it is wanted.
    """
    renderer: Any
    if form == "json":
        renderer = structlog.processors.JSONRenderer(sort_keys=False)
    elif colour and sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer(colors=True)
    else:
        renderer = _plain
    return structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),  # one write a line: processes share the stream
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _escape,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        cache_logger_on_first_use=True,
    )


def _plain(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    """The line that ``ConsoleRenderer`` makes without colors, for a third of its time."""
    take = event.pop
    exception = take("exception", None)
    line = f"{take('timestamp')} [{take('level'):<9}] {take('event')!s:<30}"
    line = " ".join((line, *(f"{name}={told(event[name])}" for name in sorted(event)))).rstrip(" ")
    return line if exception is None else f"{line}\n{exception}"


def _escape(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            # A traceback is ours and has lines; a stranger's text has none.
            event[name] = printable(value, lines=name == "exception")
    return event


@contextmanager
def forwarded(logger: Any) -> Iterator[None]:
    """What the libraries under us log goes to *logger*, so that the log has one form."""
    handler = _Forward(logger)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class _Forward(logging.Handler):
    """Hands records of the standard library's logging on, from warnings upward."""

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.WARNING)
        self.target = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one on."""
        tell = self.target.error if record.levelno >= logging.ERROR else self.target.warning
        tell(record.getMessage(), source=record.name, exc_info=record.exc_info)


@dataclass(slots=True)
class Observer:
    """Counts and logs. Paths are told by their route, so that neither labels nor lines hold ids or tokens."""

    logger: Any
    requests: RequestLog | None = None
    spans: Spans | None = None
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _tally: Tally = field(default_factory=Tally, repr=False)

    def __post_init__(self) -> None:
        self.registry.register(self._tally)

    def gauges(self, gauges: Mapping[str, tuple[str, Any]]) -> None:
        """Add gauges that are read when asked for: name -> (meaning, function)."""
        for name, (meaning, read) in gauges.items():
            Gauge(f"watchword_{name}", meaning, registry=self.registry).set_function(read)

    def answered(self, request: Request, route: Route | None, status: int, seconds: float) -> None:
        """Tell of an answer."""
        path = route.path if route else "(none)"
        method = route.method if route else "(other)"
        self._tally.add(method, path, status, seconds)
        if self.spans is not None:
            self.spans.answered(request, route, status)
        if self.requests is not None:
            user = request.caller.user.id if request.caller is not None else None
            self.requests.add(request.id, method, path, status, seconds * 1000, request.address, user)

    def failed(self, request: Request, route: Route | None, fault: BaseException) -> None:
        """Tell of a fault of ours, with its stack but without the values in it, nor the path, which may hold some."""
        path = route.path if route else "(none)"
        self.logger.error("fault", id=request.id, route=path, kind=type(fault).__name__, exc_info=fault)

    def metrics(self) -> bytes:
        """Everything counted, in the text form of Prometheus."""
        return generate_latest(self.registry)
