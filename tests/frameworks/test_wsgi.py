"""WSGI beyond the table: what a server is handed."""

from __future__ import annotations

from typing import Any

import pytest

from watchword.frameworks.wsgi import PRINCIPAL, protect
from watchword.testing import PretendIssuer


def call(app: Any, **environ: Any) -> tuple[str, bytes]:
    started: list[str] = []
    body = b"".join(app(environ, lambda status, fields: started.append(status)))
    return started[0], body


@pytest.fixture
def app(watchword_issuer: PretendIssuer) -> Any:
    def inside(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [str(environ[PRINCIPAL]).encode()]

    return protect(watchword_issuer.guard(), optional=True)(inside)


class TestWrapper:
    def test_a_refused_head_has_no_body(self, app: Any) -> None:
        """Some servers send whatever they are given (RFC 9110 9.3.2)."""
        bad = {"HTTP_AUTHORIZATION": "Bearer"}
        assert call(app, REQUEST_METHOD="HEAD", **bad) == ("401 Unauthorized", b"")
        status, body = call(app, REQUEST_METHOD="GET", **bad)
        assert (status, body[:1]) == ("401 Unauthorized", b"{")

    def test_a_client_cannot_say_who_it_is(self, app: Any) -> None:
        """What stood in the environment is overwritten, also by nobody."""
        forged = {PRINCIPAL: "usr_root"}
        assert call(app, REQUEST_METHOD="GET", **forged) == ("200 OK", b"None")

    def test_a_query_of_any_bytes_is_read(self, app: Any) -> None:
        """A server that hands over more than latin-1 breaks nothing."""
        assert call(app, REQUEST_METHOD="GET", QUERY_STRING="q=→")[0] == "200 OK"
        assert call(app, REQUEST_METHOD="GET", QUERY_STRING="q=→&access_token=x")[0] == "400 Bad Request"
