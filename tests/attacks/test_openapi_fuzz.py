"""Requests made from ``/openapi.json`` by a generator that means no good: schemathesis against a listening server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks as openapi_checks

from tests.server.stage import Somebody
from tests.server.wire import Wire, open_wire

CHECKS = [
    schemathesis.checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
]


class Target:
    """A server without limits on attempts, and an administrator who is replaced when a request did away with him."""

    def __init__(self, portal: BlockingPortal, wire: Wire) -> None:
        self.portal = portal
        self.wire = wire
        self.url = f"http://127.0.0.1:{wire.port}"
        self.caller: Somebody | None = None

    def document(self) -> dict[str, Any]:
        import httpx2

        found: dict[str, Any] = httpx2.get(f"{self.url}/openapi.json").json()
        return found

    def bearer(self) -> dict[str, str]:
        if self.caller is None:
            self.caller = self.portal.call(self.wire.stage.administrator)
        return self.caller.bearer

    def walk(self, mode: GenerationMode, examples: int) -> int:
        """Try every operation with and without a token; how many requests it took."""
        schema = schemathesis.openapi.from_dict(self.document())
        sent = 0
        for result in schema.get_all_operations():
            operation = result.ok()
            if operation.path == "/revocations/stream":
                continue  # it has no end

            @settings(
                max_examples=examples,
                deadline=None,
                database=None,
                derandomize=examples < 100,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def attempt(case: schemathesis.Case) -> None:
                nonlocal sent
                sent += 1
                headers = self.bearer() if sent % 4 else {}
                case.headers.pop("Authorization", None)
                answer = case.call(base_url=self.url, headers=headers, timeout=30)
                case.validate_response(answer, checks=CHECKS)
                if answer.status_code < 300 and case.method != "GET":
                    self.caller = None

            # An operation that takes nothing cannot be called wrongly.
            with suppress(Unsatisfiable):
                attempt()
        return sent


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    flags = {
        "login_attempts_per_account": "0",
        "login_attempts_per_address": "0",
        "registrations_per_address": "0",
    }
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(open_wire(**flags)) as wire,
    ):
        yield Target(portal, wire)


class TestOpenApi:
    @pytest.mark.parametrize("mode", GenerationMode)
    def test_attack_a56_what_the_document_says_is_what_comes(
        self, target: Target, mode: GenerationMode
    ) -> None:
        """No 5xx, no status, type, field or shape that it does not name, whether a request fits it or not."""
        assert target.walk(mode, 12) > 200

    @pytest.mark.long
    @pytest.mark.parametrize("mode", GenerationMode)
    def test_the_same_for_long(
        self, target: Target, mode: GenerationMode, record_property: Callable[[str, object], None]
    ) -> None:
        """Two hundred requests for each operation."""
        sent = target.walk(mode, 200)
        record_property("requests", sent)
        assert sent > 3_000
