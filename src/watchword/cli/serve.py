"""``watchword serve``: the authorization server as a process, from its first line to its last answer."""

from __future__ import annotations

import gc
import os
import signal
import socket
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from watchword.cli.deadline import Deadline
from watchword.cli.listener import bind, take_in, turn_away
from watchword.cli.output import colourless, json_option, plain, show_json, show_table
from watchword.cli.resources import allow_files, spare_the_collector, within
from watchword.errors import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from watchword.cli.workers import Worker
    from watchword.server.app import App
    from watchword.server.services import Services
    from watchword.server.settings import Settings

__all__ = ["serve"]


@click.command()
@click.option("--host", metavar="H", help="The address to listen on. Default: 127.0.0.1.")
@click.option("--port", metavar="P", help="The port; 0 takes a free one. Default: 8080.")
@click.option(
    "--database",
    metavar="URL",
    help="sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME.",
)
@click.option(
    "--data-dir", metavar="D", help="The folder of database and master key. Default: watchword-data."
)
@click.option("--issuer", metavar="URL", help="The URL users see; needed where the host is not loopback.")
@click.option("--workers", metavar="N", help="Processes that serve. Default: 1.")
@click.option("--tls-cert", metavar="F", help="PEM file of the certificate chain, to serve HTTPS itself.")
@click.option("--tls-key", metavar="F", help="PEM file of its key.")
@click.option("--print-config", is_flag=True, help="Show every setting and where it came from, and stop.")
@json_option
def serve(as_json: bool, print_config: bool, **flags: str | None) -> None:
    """Run the authorization server.

    The first start makes database, keys and master key, and prints a link that sets up the first
    administrator, once.
    """
    from watchword.server.settings import Settings

    settings = Settings.load(flags, os.environ, Path.cwd())
    if print_config:
        _print_config(settings, as_json)
        return
    check_certificate(settings)
    files = allow_files()
    listener = bind(settings.host, settings.port)
    if settings.port == 0:
        # The issuer follows the port, so it must be known before anything is signed.
        settings = Settings.load({**flags, "port": str(listener.getsockname()[1])}, os.environ, Path.cwd())
    address = settings.web.metrics.listener
    metrics = bind(*address, setting="metrics") if address else None
    with listener, metrics or nullcontext():
        process = Process(settings, listener, as_json, metrics, files=files)
        if settings.values["WORKERS"] > 1:
            process.worker = _share(process)
            if process.worker is None:
                return
        _loop(settings)(process)


def _share(process: Process) -> Worker | None:
    """Go on as several processes: in each of them it comes back, in their parent ``None`` when all have ended.

    Raises:
        ConfigurationError: this system cannot.
    """
    if not hasattr(os, "fork"):
        raise ConfigurationError("workers: one process is all there can be on this system")
    # What the parent has read, its children share in memory, and one that replaces another begins at once.
    import watchword.server.app  # noqa: F401
    from watchword.cli.workers import Crew
    from watchword.server.web.observe import make_logger

    settings = process.settings
    logger = make_logger(settings.values["LOG_FORMAT"], colour=not colourless())
    for warning in settings.warnings():
        logger.warning(warning)
    gc.freeze()
    drain = settings.web.drain.total_seconds()
    crew = Crew(settings.values["WORKERS"], process.listener, drain, logger, process.announce)
    if settings.shares_database:
        return crew.run()
    from watchword.server.services import make_folder
    from watchword.server.store.workers.server import bind_desk

    make_folder(settings.data_dir)
    process.desk, process.hand_to = bind_desk(settings.data_dir)
    worker = None
    try:
        worker = crew.run()
    finally:
        if worker is None:
            process.hand_to.unlink(missing_ok=True)
    return worker


def check_certificate(settings: Settings) -> None:
    """Try certificate and key before anything is opened.

    Raises:
        ConfigurationError: they are none, or do not belong together.
    """
    import ssl

    if settings.values["TLS_CERT"] is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            settings.values["TLS_CERT"], settings.values["TLS_KEY"], password=""
        )
    except (ssl.SSLError, OSError):
        raise ConfigurationError("tls_cert: it and tls_key are not a PEM certificate and its key") from None


@dataclass(slots=True)
class Process:
    """One server process: opened, announced, drained."""

    settings: Settings
    listener: socket.socket
    as_json: bool
    metrics: socket.socket | None = None
    """Where the metrics are served, if they have a listener of their own."""
    worker: Worker | None = None
    """Which of several it is, if there are several."""
    desk: socket.socket | None = None
    """Where the first of several takes what the others would write to a SQLite file."""
    hand_to: Path | None = None
    """Where that is."""
    files: int | None = None
    """How many files the system lets this process open, where it says."""
    server: Any = None
    stopping: bool = field(default=False)
    deadline: Deadline = field(init=False)

    def __post_init__(self) -> None:
        self.deadline = Deadline(self.settings.web.drain.total_seconds())

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then finish what is under way.

        Raises:
            ConfigurationError: the store or the certificate cannot be used.
        """
        import asyncio

        from watchword.server.app import create_app
        from watchword.server.services import open_services
        from watchword.server.web.observe import forwarded

        loop = asyncio.get_running_loop()
        self._listen_for_the_end(loop)
        hand_to = self.hand_to if self.number > 1 else None
        async with open_services(self.settings, hand_to=hand_to) as services, self._at_desk(services):
            if self.worker is None or self.worker.first:
                await self._introduce(services)
            elif services.presence is not None:
                services.presence.loud = False
            web = within(self.settings.web, self.files)
            app = create_app(self.settings, services, colour=not colourless(), worker=self.number, web=web)
            if self.worker is None:
                for warning in self.settings.warnings():
                    app.observer.logger.warning(warning)
            self.server = make_server(self.settings, app, self, services)
            self.server.should_exit = self.stopping
            spare_the_collector()
            with forwarded(app.observer.logger):
                async with self._metrics_beside(app):
                    await self.server.serve([self.listener])

    @property
    def number(self) -> int:
        """Which process this is, counted from 1."""
        return 1 if self.worker is None else self.worker.number

    @asynccontextmanager
    async def _metrics_beside(self, app: App) -> AsyncIterator[None]:
        """Serve the metrics on their own listener while the block runs."""
        import asyncio

        if self.metrics is None:
            yield
            return
        server = make_metrics_server(self.settings, app)
        serving = asyncio.create_task(server.serve([self.metrics]))
        try:
            yield
        finally:
            server.should_exit = server.force_exit = True
            await serving

    def _at_desk(self, services: Services) -> AbstractAsyncContextManager[object]:
        """Carry out what the others hand in, if that is our part."""
        if self.desk is None or self.number > 1:
            return nullcontext()
        from watchword.server.store.workers.server import Desk

        return Desk.open(services.store, self.desk, self.settings.web.drain.total_seconds())

    def _listen_for_the_end(self, loop: AbstractEventLoop) -> None:
        if self.worker is None:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop)
            return
        # A service manager tells everybody, and the parent tells us again: that is no second time.
        loop.add_signal_handler(signal.SIGTERM, self.drain)
        loop.add_signal_handler(signal.SIGQUIT, self.hurry)
        life = self.worker.life

        def orphaned() -> None:
            loop.remove_reader(life)
            turn_away(self.listener)
            self.drain()

        loop.add_reader(life, orphaned)

    def stop(self) -> None:
        """Begin to drain; asked a second time, stop waiting."""
        if self.stopping:
            self.hurry()
        else:
            self.drain()

    def drain(self) -> None:
        """Take nobody new and finish what is under way."""
        self.stopping = True
        self.deadline.begin()
        if self.server is not None:
            self.server.should_exit = True

    def hurry(self) -> None:
        """Finish nothing more."""
        self.drain()
        self.deadline.hurry()
        if self.server is not None:
            self.server.force_exit = True

    def ready(self) -> None:
        """Tell whoever waits for it that we answer."""
        if self.worker is None:
            self.announce()
        else:
            self.worker.tell_ready()

    def announce(self) -> None:
        """Say where we listen, now that we do."""
        host, port = self.listener.getsockname()[:2]
        scheme = "https" if self.settings.values["TLS_CERT"] else "http"
        url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        self._tell("listening", url, f"listening on {url}")

    async def _introduce(self, services: Services) -> None:
        """Make the administrator whom the environment names, or offer the one-time link.

        Raises:
            ConfigurationError: address or password isn't one that an account may have.
        """
        email, password = (self.settings.values[name] for name in ("ADMIN_EMAIL", "ADMIN_PASSWORD"))
        if email is not None:
            try:
                await services.setup.ensure(email, password)
            except InvalidInput as fault:
                said = "; ".join(f"admin_{name}: {what}" for name, what in fault.errors)
                raise ConfigurationError(said or fault.description) from None
        token = await services.setup.offer()
        if token is not None:
            url = f"{self.settings.issuer}/setup?token={token}"
            self._tell("setup", url, f"set up the first administrator (once, within 24 hours): {url}")

    def _tell(self, event: str, url: str, text: str) -> None:
        if self.as_json:
            show_json({"event": event, "url": url}, indent=False)
        else:
            click.echo(plain(text))


def make_server(settings: Settings, app: Any, process: Process, services: Services) -> Any:
    """A uvicorn that tells when it is ready, drains without waiting for streams, and lets us exit 0."""
    import uvicorn

    from watchword.server.web.connection import LAST_CALL, Ending, connections

    ending = Ending()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started and not self.should_exit:
                process.ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # Guards hold a stream open for ever; they come back, elsewhere or later.
            services.feed.close()
            ending.begun = True
            if process.worker is None:
                # Of several the parent does it: where one ends alone, the others go on.
                turn_away(process.listener)
            handshake = LAST_CALL if config.is_ssl else 0
            await take_in(process.listener, lambda: self.force_exit, handshake=handshake)
            await super().shutdown(sockets)

        @staticmethod
        def capture_signals() -> Any:
            # uvicorn raises the signal again when it is done, and the exit code would be 143.
            return nullcontext()

    config = uvicorn.Config(
        app,
        http=connections(app.dispatch.policy, app.instant, ending),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(settings.web.idle.total_seconds()),
        timeout_graceful_shutdown=int(settings.web.drain.total_seconds()),
        ssl_certfile=settings.values["TLS_CERT"],
        ssl_keyfile=settings.values["TLS_KEY"],
    )
    return Server(config)


def make_metrics_server(settings: Settings, app: App) -> Any:
    """A uvicorn for the listener of the metrics: plain http, with the limits of the server's own connections."""
    import uvicorn

    from watchword.server.web.connection import connections

    class Server(uvicorn.Server):
        @staticmethod
        def capture_signals() -> Any:
            return nullcontext()

    config = uvicorn.Config(
        app.metrics,
        http=connections(settings.web),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(settings.web.idle.total_seconds()),
    )
    return Server(config)


def _loop(settings: Settings) -> Any:
    """A function that runs a process on the fastest loop there is."""
    import asyncio

    try:
        import uvloop
    except ModuleNotFoundError:
        return lambda process: asyncio.run(process.run())

    def run(process: Process) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(process.run())

    return run


def _print_config(settings: Settings, as_json: bool) -> None:
    rows = settings.shown()
    if as_json:
        show_json([{"name": name, "value": value, "source": source} for name, value, source in rows])
        return
    show_table(("SETTING", "VALUE", "FROM"), rows, empty="")
