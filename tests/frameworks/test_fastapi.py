"""FastAPI beyond the table: whole applications and routers, OpenAPI, an API's own error handlers, its middleware."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse

from tests.frameworks.contract import MISSING, NO_ROLE, insufficient
from tests.frameworks.wire import Fields, Request, Send, ask_asgi
from watchword import Guard, InvalidToken, MissingCredentials, Principal
from watchword.frameworks.fastapi import Refused, protect
from watchword.testing import PretendIssuer


@pytest.fixture
def guard(watchword_issuer: PretendIssuer) -> Guard:
    return watchword_issuer.guard()


@pytest.fixture
def ada(watchword_issuer: PretendIssuer) -> Fields:
    return tuple(watchword_issuer.headers("usr_ada").items())


def mine(request: StarletteRequest) -> dict[str, str]:
    return {"subject": request.state.principal.subject}


def check(send: Send, ada: Fields, path: str = "/me") -> None:
    """The route is protected, and its view knows who calls."""
    MISSING.check(send(Request(path=path)), "GET")
    assert json.loads(send(Request(path=path, fields=ada)).body) == {"subject": "usr_ada"}


class TestWhole:
    def test_an_application_is_protected_at_once(self, guard: Guard, ada: Fields) -> None:
        """``FastAPI(dependencies=…)`` covers every route, and the principal stands in ``request.state``."""
        app = FastAPI(dependencies=[Depends(protect(guard))])
        app.get("/me")(mine)
        check(ask_asgi(app), ada)

    def test_a_router_is_protected_at_once(self, guard: Guard, ada: Fields) -> None:
        """The routes of the router are; those beside it are not."""
        router = APIRouter(prefix="/in", dependencies=[Depends(protect(guard))])
        router.get("/me")(mine)
        app = FastAPI()
        app.get("/out")(lambda: "open")
        app.include_router(router)
        send = ask_asgi(app)
        check(send, ada, "/in/me")
        assert send(Request(path="/out")).status == 200

    def test_a_mounted_application_answers_alike(self, guard: Guard, ada: Fields) -> None:
        """An application inside another refuses as if it stood alone."""
        inner = FastAPI()
        inner.get("/me", dependencies=[Depends(protect(guard))])(mine)
        app = FastAPI()
        app.mount("/inner", inner)
        check(ask_asgi(app), ada, "/inner/me")

    def test_two_demands_are_both_met(self, guard: Guard, ada: Fields) -> None:
        """A router lets users in, one of its routes wants an administrator."""
        router = APIRouter(dependencies=[Depends(protect(guard))])
        router.get("/admin", dependencies=[Depends(protect(guard, role="admin"))])(mine)
        app = FastAPI()
        app.include_router(router)
        send = ask_asgi(app)
        MISSING.check(send(Request(path="/admin")), "GET")
        NO_ROLE.check(send(Request(path="/admin", fields=ada)), "GET")

    def test_middleware_of_the_application_changes_nothing(self, guard: Guard, ada: Fields) -> None:
        """Under a ``BaseHTTPMiddleware`` the answers are the same, and it sees them."""
        seen: list[int] = []

        async def watch(request: StarletteRequest, call_next: Any) -> Any:
            response = await call_next(request)
            seen.append(response.status_code)
            return response

        app = FastAPI(dependencies=[Depends(protect(guard))])
        app.get("/me")(mine)
        app.add_middleware(BaseHTTPMiddleware, dispatch=watch)
        check(ask_asgi(app), ada)
        assert seen == [401, 200]


class TestSecurity:
    def test_scopes_of_security_are_demanded(
        self, guard: Guard, ada: Fields, watchword_issuer: PretendIssuer
    ) -> None:
        """``Security(…, scopes=…)``, its own and those of what depends on it, add up with those of ``protect``."""
        payer = protect(guard)

        def inner(principal: Principal = Security(payer, scopes=["pay"])) -> Principal:
            return principal

        app = FastAPI()

        @app.get("/pay")
        def pay(principal: Principal = Security(inner, scopes=["eur"])) -> dict[str, str]:
            return {"subject": principal.subject}

        send = ask_asgi(app)
        refused = insufficient("the token lacks the scope this takes", "eur pay")
        MISSING.check(send(Request(path="/pay")), "GET")
        refused.check(send(Request(path="/pay", fields=ada)), "GET")
        half = tuple(watchword_issuer.headers("usr_ada", scope="pay").items())
        refused.check(send(Request(path="/pay", fields=half)), "GET")
        whole = tuple(watchword_issuer.headers("usr_ada", scope="eur pay").items())
        assert send(Request(path="/pay", fields=whole)).status == 200

    def test_scopes_mean_that_somebody_calls(self, guard: Guard) -> None:
        """``optional`` and a scope: nobody has none."""
        app = FastAPI(dependencies=[Security(protect(guard, optional=True), scopes=["pay"])])
        app.get("/me")(mine)
        MISSING.check(ask_asgi(app)(Request()), "GET")


class TestHandlers:
    def test_an_api_writes_its_own_refusals(self, guard: Guard) -> None:
        """A handler for ``Refused`` has the error and the answer that would have been given."""
        app = FastAPI(dependencies=[Depends(protect(guard))])
        app.get("/me")(mine)

        async def own(_: StarletteRequest, refused: Refused) -> JSONResponse:
            kind = type(refused.error).__name__
            return JSONResponse({"kind": kind}, refused.status_code, refused.headers)

        app.add_exception_handler(Refused, own)  # type: ignore[arg-type]
        send = ask_asgi(app)
        missing = send(Request())
        assert json.loads(missing.body) == {"kind": MissingCredentials.__name__}
        bad = send(Request(fields=(("Authorization", "Bearer x"),)))
        assert json.loads(bad.body) == {"kind": InvalidToken.__name__}
        assert str(bad.field("www-authenticate")).startswith('Bearer error="invalid_token"')

    def test_a_handler_by_status_is_heard_first(self, guard: Guard) -> None:
        """Whoever registered something for 401 wants it for ours, too."""
        app = FastAPI(dependencies=[Depends(protect(guard))])
        app.get("/me")(mine)
        app.add_exception_handler(401, lambda _, __: JSONResponse({"own": True}, 401))
        assert json.loads(ask_asgi(app)(Request()).body) == {"own": True}

    def test_a_handler_for_everything_else_leaves_ours(self, guard: Guard) -> None:
        """An API that dresses FastAPI's own errors keeps the guard's answers as they are everywhere."""
        from starlette.exceptions import HTTPException

        app = FastAPI(dependencies=[Depends(protect(guard))])
        app.get("/me")(mine)
        app.add_exception_handler(HTTPException, lambda _, __: JSONResponse({"own": True}, 418))
        send = ask_asgi(app)
        MISSING.check(send(Request()), "GET")
        assert send(Request(path="/nowhere")).status == 418


class TestOpenApi:
    def test_the_document_says_that_a_token_is_needed(self, guard: Guard) -> None:
        """One security scheme, named by protected operations and by no other."""
        app = FastAPI()
        app.get("/me", dependencies=[Depends(protect(guard))])(mine)
        app.get("/admin", dependencies=[Depends(protect(guard, role="admin"))])(mine)
        app.get("/public")(lambda: "open")
        document = app.openapi()
        assert document["components"]["securitySchemes"] == {
            "Bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "An access token (RFC 6750, RFC 9068)",
            }
        }
        assert document["paths"]["/me"]["get"]["security"] == [{"Bearer": []}]
        assert document["paths"]["/admin"]["get"]["security"] == [{"Bearer": []}]
        assert "security" not in document["paths"]["/public"]["get"]
        assert "parameters" not in document["paths"]["/me"]["get"]
