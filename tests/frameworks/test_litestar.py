"""Litestar beyond the table: whole applications, an API's own handlers, OpenAPI."""

from __future__ import annotations

import json
from typing import Any

import pytest
from litestar import Litestar, Request, Response, get
from litestar.openapi.config import OpenAPIConfig

from tests.frameworks.contract import MISSING
from tests.frameworks.wire import Fields, ask_asgi
from tests.frameworks.wire import Request as Asked
from watchword import Guard, MissingCredentials
from watchword.frameworks.litestar import Refused, SecurityScheme, protect
from watchword.testing import PretendIssuer


@pytest.fixture
def guard(watchword_issuer: PretendIssuer) -> Guard:
    return watchword_issuer.guard()


@pytest.fixture
def ada(watchword_issuer: PretendIssuer) -> Fields:
    return tuple(watchword_issuer.headers("usr_ada").items())


@get("/me")
async def me(request: Request[Any, Any, Any]) -> dict[str, str]:
    return {"subject": request.user.subject}


@get("/public")
async def public() -> dict[str, str]:
    return {}


class TestWhole:
    def test_an_application_is_protected_at_once(self, guard: Guard, ada: Fields) -> None:
        """A guard of the application stands before every handler."""
        send = ask_asgi(Litestar([me], guards=[protect(guard)], logging_config=None, openapi_config=None))
        MISSING.check(send(Asked()), "GET")
        assert json.loads(send(Asked(fields=ada)).body) == {"subject": "usr_ada"}


class TestHandlers:
    @pytest.mark.parametrize("key", [Refused, 401], ids=["by class", "by status"])
    def test_an_api_writes_its_own_refusals(self, guard: Guard, key: Any) -> None:
        """A handler that the application registered is the one that answers."""

        def own(_: Request[Any, Any, Any], refused: Refused) -> Response[dict[str, str]]:
            assert isinstance(refused.error, MissingCredentials)
            return Response({"own": refused.error.error}, status_code=refused.status_code)

        app = Litestar(
            [me],
            guards=[protect(guard)],
            exception_handlers={key: own},
            logging_config=None,
            openapi_config=None,
        )
        assert json.loads(ask_asgi(app)(Asked()).body) == {"own": "unauthorized"}


class TestOpenApi:
    def test_the_document_says_that_a_token_is_needed(self, guard: Guard) -> None:
        """With the plug-in there is one scheme, named by protected operations and by no other."""
        guarded = get("/admin", guards=[protect(guard)])(me.fn)
        config = OpenAPIConfig(title="Contract", version="1")
        app = Litestar(
            [guarded, public], plugins=[SecurityScheme()], openapi_config=config, logging_config=None
        )
        document = app.openapi_schema.to_schema()
        assert document["components"]["securitySchemes"]["Bearer"] == {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token (RFC 6750, RFC 9068)",
        }
        assert document["paths"]["/admin"]["get"]["security"] == [{"Bearer": []}]
        assert "security" not in document["paths"]["/public"]["get"]

    def test_a_document_that_is_switched_off_stays_off(self, guard: Guard) -> None:
        """The plug-in does not bring it back."""
        app = Litestar([public], plugins=[SecurityScheme()], openapi_config=None, logging_config=None)
        assert app.openapi_config is None
