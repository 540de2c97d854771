"""Spans by OpenTelemetry: what they say, whose trace they belong to, and that nobody needs them."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.server.stage import ISSUER, PASSWORD, SECRET, Stage, open_stage
from watchword.server.app import create_app

pytestmark = pytest.mark.anyio

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


@dataclass(frozen=True)
class Traced:
    stage: Stage
    http: httpx2.AsyncClient
    exporter: InMemorySpanExporter

    async def span(self, method: str, path: str, **more: object) -> ReadableSpan:
        """The one span of a request."""
        self.exporter.clear()
        await self.http.request(method, path, **more)  # type: ignore[arg-type]
        (span,) = self.exporter.get_finished_spans()
        return span


@asynccontextmanager
async def open_traced(**flags: str) -> AsyncIterator[Traced]:
    """A server whose spans stay in memory."""
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with open_stage(**flags) as stage:
        app = create_app(stage.settings, stage.services, tracer_provider=provider)
        transport = httpx2.ASGITransport(app=app, client=("192.0.2.1", 4711))
        async with httpx2.AsyncClient(transport=transport, base_url=ISSUER) as http:
            yield Traced(stage, http, exporter)
    provider.shutdown()


@pytest.fixture
async def traced() -> AsyncIterator[Traced]:
    async with open_traced() as opened:
        yield opened


class TestSpan:
    async def test_it_is_named_by_the_route(self, traced: Traced) -> None:
        """Method, template and status, by the names of the semantic conventions, and nothing else."""
        root = await traced.stage.administrator()
        span = await traced.span("GET", f"/admin/v1/users/{root.id}", headers=root.bearer)
        assert (span.name, span.kind) == ("GET /admin/v1/users/{id}", SpanKind.SERVER)
        assert dict(span.attributes or {}) == {
            "http.request.method": "GET",
            "url.scheme": "https",
            "http.route": "/admin/v1/users/{id}",
            "http.response.status_code": 200,
        }
        assert not span.events

    async def test_attack_a59_it_holds_nothing_that_was_sent(self, traced: Traced) -> None:
        """No e-mail, password, token, id, address or query: a trace goes to people who may see none of them."""
        ada = await traced.stage.newcomer()
        body = {"email": ada.email, "password": PASSWORD}
        spans = [
            await traced.span("POST", "/auth/login", json=body),
            await traced.span("GET", f"/auth/me?canary={ada.id}", headers=ada.bearer),
            await traced.span("GET", f"/nowhere/{ada.email}"),
            await traced.span("DELETE", f"/auth/sessions/{ada.session_id}", headers=ada.bearer),
        ]
        said = "".join(span.to_json() for span in spans)
        sent = (
            ada.email,
            PASSWORD,
            ada.id,
            ada.session_id,
            ada.tokens["access_token"],
            "canary",
            "192.0.2.1",
        )
        assert "/auth/me" in said
        assert [text for text in sent if text in said] == []

    async def test_a_path_without_route_gives_no_name(self, traced: Traced) -> None:
        """Else a stranger makes as many names as he likes; the same for methods."""
        lost = await traced.span("GET", "/no/such/path")
        odd = await traced.span("BREW", "/auth/me")
        assert (lost.name, (lost.attributes or {})["http.response.status_code"]) == ("GET", 404)
        assert (odd.name, (odd.attributes or {})["http.request.method"]) == ("HTTP", "_OTHER")
        assert all("http.route" not in (span.attributes or {}) for span in (lost, odd))

    async def test_a_fault_of_ours_is_an_error_and_a_refusal_is_none(self, tmp_path: Path) -> None:
        """5xx sets the status of the span, without the fault's text; 401 does not."""
        async with open_traced(database=f"sqlite:///{tmp_path}/watchword.db") as traced:
            refused = await traced.span("GET", "/auth/me")
            ada = await traced.stage.newcomer()
            with closing(sqlite3.connect(tmp_path / "watchword.db")) as other:
                other.execute("DROP TABLE sessions")
            failed = await traced.span("GET", "/auth/me", headers=ada.bearer)
        assert refused.status.status_code is StatusCode.UNSET
        assert failed.status.status_code is StatusCode.ERROR
        assert (failed.attributes or {})["error.type"] == "503"
        assert "sessions" not in failed.to_json()


class TestTraceparent:
    async def test_a_stranger_is_linked(self, traced: Traced) -> None:
        """He cannot write into a trace, nor say that his requests are recorded: the span begins a trace."""
        span = await traced.span("GET", "/healthz", headers={"traceparent": TRACEPARENT})
        assert span.parent is None
        assert span.context is not None
        assert f"{span.context.trace_id:032x}" != TRACE
        (link,) = span.links
        assert (f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}") == (TRACE, SPAN)

    async def test_a_trusted_proxy_is_the_parent(self) -> None:
        """His trace goes on, its state with it."""
        async with open_traced(trusted_proxies="192.0.2.0/24") as traced:
            fields = {"traceparent": TRACEPARENT, "tracestate": "vendor=1"}
            span = await traced.span("GET", "/healthz", headers=fields)
        assert span.parent is not None
        assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, SPAN)
        assert span.parent.trace_state["vendor"] == "1"
        assert not span.links

    @pytest.mark.parametrize(
        "said", ["", "00-0-0-01", f"00-{'0' * 32}-{SPAN}-01", TRACEPARENT + "-more", "é", "9" * 5000]
    )
    async def test_what_is_no_traceparent_is_passed_over(self, traced: Traced, said: str) -> None:
        """W3C Trace Context 3.2.2: a new trace begins."""
        span = await traced.span("GET", "/healthz", headers={"traceparent": said.encode()})
        assert (span.parent, list(span.links)) == (None, [])

    async def test_two_of_them_are_none(self, traced: Traced) -> None:
        """Which one would it be?"""
        twice = [("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT.replace("b7", "c7"))]
        span = await traced.span("GET", "/healthz", headers=twice)
        assert (span.parent, list(span.links)) == (None, [])


_PROGRAM = """
import asyncio, sys
from watchword.server.app import create_app
from watchword.server.services import open_services
from watchword.server.settings import Settings

def installed_alone():
    pass

def not_installed():
    sys.modules["opentelemetry"] = None

def without_provider():
    import opentelemetry.trace

def with_provider():
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    trace.set_tracer_provider(TracerProvider())

async def main():
    settings = Settings.load({"issuer": "http://127.0.0.1:1", "database": "sqlite:///:memory:", "secret": SECRET})
    async with open_services(settings) as services:
        for name in NAMES.split():
            globals()[name]()
            app = create_app(settings, services)
            print(name, app.observer.spans is not None, "opentelemetry.trace" in sys.modules)

asyncio.run(main())
"""


def told(names: str) -> list[str]:
    """For each state of OpenTelemetry: whether a server makes spans, and whether the package is loaded."""
    program = f"NAMES, SECRET = {names!r}, {SECRET!r}\n{_PROGRAM}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


class TestWithoutIt:
    def test_nobody_needs_the_package(self) -> None:
        """A server without the extra starts and makes no spans."""
        assert told("not_installed") == ["not_installed False False"]

    def test_spans_are_made_where_a_provider_is_configured(self) -> None:
        """And nowhere else: without one nothing is imported and no request is looked at twice."""
        assert told("installed_alone without_provider with_provider") == [
            "installed_alone False False",
            "without_provider False True",
            "with_provider True True",
        ]
