"""A span for each request (OpenTelemetry). Loaded only where somebody has loaded OpenTelemetry itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from watchword.server.web.address import is_peer_of
from watchword.server.web.request import Receive, Request, Scope, Send
from watchword.server.web.route import Route

__all__ = ["Spans", "open_spans"]

App = Callable[[Scope, Receive, Send], Awaitable[None]]

_METHODS: Final = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY")
)
_CONTEXT: Final = TraceContextTextMapPropagator()
_FIELDS: Final = (b"traceparent", b"tracestate")


def open_spans(trusted_proxies: Sequence[str], provider: trace.TracerProvider | None) -> Spans | None:
    """What makes spans by *provider*, else by that of the process; ``None`` where nobody configured one."""
    provider = provider or trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        return None
    return Spans(provider.get_tracer("watchword"), is_peer_of(trusted_proxies))


@dataclass(frozen=True, slots=True)
class Spans:
    """Names things as the semantic conventions for HTTP do; no path, query, address or field is told.

    The ``traceparent`` (W3C Trace Context) of a trusted proxy is the span's parent. A stranger's would let him
    write into traces that are none of his and choose what is recorded, so it becomes a link of a new trace.
    """

    tracer: trace.Tracer
    is_trusted: Callable[[Scope], bool] = field(repr=False)

    def around(self, app: App) -> App:
        """*app* with a span about each request, which is the current one while it is answered."""

        async def spanned(scope: Scope, receive: Receive, send: Send) -> None:
            method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
            caller, trusted = _caller(scope), self.is_trusted(scope)
            stranger = trace.get_current_span(caller).get_span_context()
            with self.tracer.start_as_current_span(
                "HTTP" if method == "_OTHER" else method,
                context=caller if trusted else Context(),
                kind=trace.SpanKind.SERVER,
                attributes={"http.request.method": method, "url.scheme": scope.get("scheme", "http")},
                links=() if trusted or not stranger.is_valid else (trace.Link(stranger),),
                record_exception=False,  # its text may hold what a stranger sent
                set_status_on_exception=False,
            ):
                await app(scope, receive, send)

        return spanned

    def answered(self, request: Request, route: Route | None, status: int) -> None:
        """Tell the current span how its request ended."""
        span = trace.get_current_span()
        span.set_attribute("http.response.status_code", status)
        if route is not None:
            span.update_name(f"{request.method} {route.path}")
            span.set_attribute("http.route", route.path)
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(trace.StatusCode.ERROR)


def _caller(scope: Scope) -> Context:
    """The trace that the request says it belongs to; one that says so twice belongs to none."""
    parents, states = (
        [value.decode("latin-1").strip(" \t") for name, value in scope["headers"] if name == wanted]
        for wanted in _FIELDS
    )
    if len(parents) != 1:
        return Context()
    return _CONTEXT.extract({"traceparent": parents[0], "tracestate": ",".join(states)}, Context())
