"""The ASGI application: routes over services, and the jobs that run beside them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from watchword.errors import ConfigurationError, InvalidRequest
from watchword.protocol.metadata import METADATA_PATH
from watchword.server.aliases import Aliases
from watchword.server.pages.pages import prepare
from watchword.server.policies import WebPolicy
from watchword.server.routes import METRICS, ROUTES
from watchword.server.services import Services
from watchword.server.settings import Settings
from watchword.server.web.cookies import Cookies
from watchword.server.web.dispatch import Dispatcher, send_and_close
from watchword.server.web.errors import error_response
from watchword.server.web.framing import check_scope
from watchword.server.web.issuer_path import IssuerPath, unmounted
from watchword.server.web.observe import Observer, make_logger
from watchword.server.web.request import Receive, Scope, Send
from watchword.server.web.request_log import RequestLog
from watchword.server.web.responses import ANSWER

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from watchword.server.web.spans import Spans

__all__ = ["App", "create_app"]


def create_app(
    settings: Settings,
    services: Services,
    *,
    colour: bool = True,
    tracer_provider: TracerProvider | None = None,
    worker: int = 1,
    web: WebPolicy | None = None,
) -> App:
    """Wire the application over open *services*; closing them stays with the caller.

    Spans go to *tracer_provider*, without one to that of the process (OpenTelemetry), if there is any.
    *worker* is the number of this process among those that share the port. *web* takes the place of the policy that
    follows from *settings*.

    Raises:
        ConfigurationError: a path below the issuer's is one of our own without it.
    """
    form = settings.values["LOG_FORMAT"]
    logger = make_logger(form, colour=colour)
    colors = colour and sys.stderr.isatty()
    requests = RequestLog(form, sys.stderr, colors=colors) if settings.values["LOG_REQUESTS"] else None
    spans = _spans(settings, tracer_provider)
    observer = Observer(logger, requests, spans)
    observer.gauges(
        {
            "clock_behind_seconds": (
                "By how much this clock is behind the newest entry of the revocation log",
                lambda: services.feed.clock.behind,
            ),
            "feed_listeners": ("Guards that listen to the revocation feed", lambda: services.feed.listeners),
            "feed_sequence": ("Entries ever written to the revocation log", lambda: services.feed.sequence),
            "counters_away": (
                "1 while this process counts attempts for itself, as those it shares do not answer",
                lambda: services.counters_away,
            ),
            "worker": ("Which of the processes counted this", lambda: worker),
            "mails_given_up": ("Mails that could not be handed over", lambda: services.outbox.given_up),
            "mails_sent": ("Mails handed over", lambda: services.outbox.sent),
            "mails_waiting": ("Mails waiting to be handed over", lambda: services.outbox.waiting),
            "passwords_waiting": ("Passwords waiting to be hashed", lambda: services.passwords.waiting),
        }
    )
    web = web or settings.web
    https = settings.issuer.startswith("https:")
    cookies = Cookies(settings.cookies)
    beside = Dispatcher(METRICS, services, replace(web, metrics=web.metrics.beside), observer, https=False)
    dispatch = Dispatcher(ROUTES, services, web, observer, https, cookies)
    path = urlsplit(settings.issuer).path
    if path and any(dispatch.serves(path + route.path) for route in ROUTES):
        raise ConfigurationError(f"issuer: {path} is taken by paths of the server's own: choose another path")
    return App(dispatch, services, observer, beside, path)


def _spans(settings: Settings, provider: TracerProvider | None) -> Spans | None:
    # Whoever configured a provider has loaded its module, so nobody else pays for an import, or needs the package.
    if "opentelemetry.trace" not in sys.modules:
        return None
    from watchword.server.web.spans import open_spans

    return open_spans(settings.web.trusted_proxies, provider)


@dataclass(slots=True)
class App:
    """One server as an ASGI application (HTTP and lifespan)."""

    dispatch: Dispatcher
    services: Services
    observer: Observer
    metrics: Dispatcher
    """What answers at the listener of the metrics, and answers nothing else."""
    path: str = ""
    """The issuer's."""
    _jobs: asyncio.Task[None] | None = field(default=None, repr=False)
    _answer: Callable[[Scope, Receive, Send], Awaitable[None]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        answer: Callable[[Scope, Receive, Send], Awaitable[None]] = Aliases(self.dispatch)
        if self.observer.spans is not None:
            answer = self.observer.spans.around(answer)
        self._answer = IssuerPath(answer, self.path, self.dispatch.serves) if self.path else answer

    @property
    def instant(self) -> Sequence[str]:
        """The paths whose documents are answered without waiting for anything."""
        own = [route.path for route in self.dispatch.routes if route.instant]
        if not self.path:
            return own
        return [*own, *(self.path + path for path in own), METADATA_PATH + self.path]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or start and stop with the server that runs us."""
        if scope["type"] == "http":
            if ANSWER not in (scope.get("extensions") or ()):
                # Not a connection of ours, which checks each head before it trusts the body behind it.
                try:
                    check_scope(scope)
                except InvalidRequest as fault:
                    await send_and_close(error_response(fault), send)
                    return
                scope = unmounted(scope, self.dispatch.serves)
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                asyncio.get_running_loop().run_in_executor(None, prepare)
                self._jobs = asyncio.create_task(self.services.run_jobs())
                self._jobs.add_done_callback(self._jobs_ended)
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                if self._jobs is not None:
                    self._jobs.cancel()
                    await asyncio.gather(self._jobs, return_exceptions=True)
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _jobs_ended(self, jobs: asyncio.Task[None]) -> None:
        if not jobs.cancelled() and (fault := jobs.exception()) is not None:
            self.observer.logger.error("jobs ended", exc_info=fault)
