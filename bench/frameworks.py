"""What protection costs a request in each framework: the same view bare, behind a guard, behind the usual library.

Requests are handed to the applications as a server hands them over, without one. Every token is known already: that is
the common case of an API under load, and the usual libraries verify the signature again.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final

from bench.cost import alternate
from bench.table import Table
from watchword.testing import PretendIssuer

__all__ = ["measure"]

SECRET: Final = "a secret of thirty-two bytes or more, for HS256"

Send = Callable[[], object]


def measure(*, rounds: int, seconds: float) -> Table:
    """CPU microseconds a request."""
    rows = []
    for name, library, contenders in _frameworks():
        costs = alternate(contenders, rounds=rounds, seconds=seconds)
        bare, ours, usual = costs["bare"], costs["guard"], costs["usual"]
        rows.append((name, bare, ours - bare, usual - bare, library))
    return Table(
        "Protection of a request, by framework",
        ("framework", "bare, µs", "guard adds", "usual adds", "the usual library"),
        rows,
        ("The usual libraries check HS256, the cheapest signature there is; the guard's token is ES256.",),
    )


def _frameworks() -> Iterator[tuple[str, str, dict[str, Send]]]:
    issuer = PretendIssuer(now=time.time())
    ours = issuer.headers("usr_ada", lifetime=timedelta(hours=1))["Authorization"]
    yield "FastAPI", "HTTPBearer + PyJWT", _fastapi(issuer, ours)
    yield "Starlette", "AuthenticationMiddleware + PyJWT", _starlette(issuer, ours)
    yield "Litestar", "JWTAuth", _litestar(issuer, ours)
    yield "Flask", "flask-jwt-extended", _flask(issuer, ours)
    yield "Django", "PyJWT in a decorator", _django(issuer, ours)
    yield "Django REST framework", "simplejwt", _rest_framework(issuer, ours)


def _encoded() -> str:
    import jwt

    return f"Bearer {jwt.encode({'sub': 'ada', 'exp': time.time() + 3600}, SECRET, 'HS256')}"


def _fastapi(issuer: PretendIssuer, ours: str) -> dict[str, Send]:
    import jwt
    from fastapi import Depends, FastAPI, HTTPException
    from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

    from watchword.frameworks.fastapi import protect

    bearer = HTTPBearer()

    async def usual(given: HTTPAuthorizationCredentials = Depends(bearer)) -> Any:
        try:
            return jwt.decode(given.credentials, SECRET, ["HS256"])
        except jwt.InvalidTokenError:
            raise HTTPException(401) from None

    app = FastAPI()

    async def view() -> dict[str, bool]:
        return {"ok": True}

    app.get("/bare")(view)
    app.get("/guard", dependencies=[Depends(protect(issuer.guard()))])(view)
    app.get("/usual", dependencies=[Depends(usual)])(view)
    theirs, loop = _encoded(), asyncio.new_event_loop()
    return {
        name: _asgi(loop, app, f"/{name}", theirs if name == "usual" else ours)
        for name in ("bare", "guard", "usual")
    }


def _starlette(issuer: PretendIssuer, ours: str) -> dict[str, Send]:
    import jwt
    from starlette.applications import Starlette
    from starlette.authentication import (
        AuthCredentials,
        AuthenticationBackend,
        AuthenticationError,
        SimpleUser,
        requires,
    )
    from starlette.middleware import Middleware
    from starlette.middleware.authentication import AuthenticationMiddleware
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    from watchword.frameworks.starlette import protect

    class Bearer(AuthenticationBackend):
        async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
            scheme, _, token = conn.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                return None
            try:
                claims = jwt.decode(token, SECRET, ["HS256"])
            except jwt.InvalidTokenError as fault:
                raise AuthenticationError from fault
            return AuthCredentials(["authenticated"]), SimpleUser(claims["sub"])

    async def view(request: Request) -> Response:
        return JSONResponse({"ok": True})

    middleware = {"usual": [Middleware(AuthenticationMiddleware, backend=Bearer())]}
    views = {"bare": view, "guard": protect(issuer.guard())(view), "usual": requires("authenticated")(view)}
    loop, theirs = asyncio.new_event_loop(), _encoded()
    return {
        name: _asgi(
            loop,
            Starlette(routes=[Route("/", endpoint)], middleware=middleware.get(name, ())),
            "/",
            theirs if name == "usual" else ours,
        )
        for name, endpoint in views.items()
    }


def _litestar(issuer: PretendIssuer, ours: str) -> dict[str, Send]:
    from litestar import Litestar, get
    from litestar.connection import ASGIConnection
    from litestar.security.jwt import JWTAuth, Token

    from watchword.frameworks.litestar import protect

    def app(guards: list[Any], **more: Any) -> Any:
        @get("/", guards=guards, sync_to_thread=False)
        def view() -> dict[str, bool]:
            return {"ok": True}

        return Litestar([view], openapi_config=None, **more)

    async def user(token: Token, connection: ASGIConnection[Any, Any, Any, Any]) -> str:
        return token.sub

    usual = JWTAuth[str](retrieve_user_handler=user, token_secret=SECRET)
    apps = {
        "bare": app([]),
        "guard": app([protect(issuer.guard())]),
        "usual": app([], on_app_init=[usual.on_app_init]),
    }
    theirs = usual.format_auth_header(usual.create_token("ada", token_expiration=timedelta(hours=1)))
    loop = asyncio.new_event_loop()
    return {name: _asgi(loop, apps[name], "/", theirs if name == "usual" else ours) for name in apps}


def _flask(issuer: PretendIssuer, ours: str) -> dict[str, Send]:
    from flask import Flask
    from flask_jwt_extended import JWTManager, create_access_token, jwt_required

    from watchword.frameworks.flask import protect

    app = Flask("bench")
    app.config["JWT_SECRET_KEY"] = SECRET
    JWTManager(app)

    def view() -> dict[str, bool]:
        return {"ok": True}

    app.add_url_rule("/bare", "bare", view)
    app.add_url_rule("/guard", "guard", protect(issuer.guard())(view))
    app.add_url_rule("/usual", "usual", jwt_required()(view))
    with app.app_context():
        theirs = f"Bearer {create_access_token('ada', expires_delta=timedelta(hours=1))}"
    return {
        name: _wsgi(app, f"/{name}", theirs if name == "usual" else ours)
        for name in ("bare", "guard", "usual")
    }


def _django(issuer: PretendIssuer, ours: str) -> dict[str, Send]:
    import jwt
    from django.http import HttpRequest, HttpResponse, JsonResponse
    from django.urls import path

    from watchword.frameworks.django import protect

    app = _django_project()

    def view(request: HttpRequest) -> HttpResponse:
        return JsonResponse({"ok": True})

    def usual(request: HttpRequest) -> HttpResponse:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                return HttpResponse(status=401)
            request.claims = jwt.decode(token, SECRET, ["HS256"])
        except jwt.InvalidTokenError:
            return HttpResponse(status=401)
        return view(request)

    views = {"bare": view, "guard": protect(issuer.guard())(view), "usual": usual}
    urlpatterns.extend(path(f"plain/{name}", one) for name, one in views.items())
    theirs = _encoded()
    return {name: _wsgi(app, f"/plain/{name}", theirs if name == "usual" else ours) for name in views}


def _rest_framework(issuer: PretendIssuer, ours: str) -> dict[str, Send]:
    from django.urls import path

    app = _django_project()
    from rest_framework.permissions import IsAuthenticated
    from rest_framework.response import Response
    from rest_framework.views import APIView
    from rest_framework_simplejwt.authentication import JWTStatelessUserAuthentication
    from rest_framework_simplejwt.tokens import AccessToken

    from watchword.frameworks.rest_framework import protect

    class Bare(APIView):
        def get(self, request: Any) -> Response:
            return Response({"ok": True})

    @protect(issuer.guard())
    class Guarded(Bare):
        pass

    class Usual(Bare):
        authentication_classes = (JWTStatelessUserAuthentication,)
        permission_classes = (IsAuthenticated,)

    urlpatterns.extend(
        [path("bare", Bare.as_view()), path("guard", Guarded.as_view()), path("usual", Usual.as_view())]
    )
    token = AccessToken()
    token["user_id"] = "ada"
    token.set_exp(lifetime=timedelta(hours=1))
    return {
        name: _wsgi(app, f"/{name}", f"Bearer {token}" if name == "usual" else ours)
        for name in ("bare", "guard", "usual")
    }


def _django_project() -> Any:
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler

    if not settings.configured:
        # simplejwt looks its user up in the database unless told to take the token's word, as the guard does.
        settings.configure(
            SECRET_KEY=SECRET,
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF="bench.frameworks",
            INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
            REST_FRAMEWORK={"UNAUTHENTICATED_USER": None, "DEFAULT_AUTHENTICATION_CLASSES": []},
        )
        django.setup()
    return WSGIHandler()


urlpatterns: Final[list[Any]] = []
"""Of the Django project that this module is."""


def _asgi(loop: asyncio.AbstractEventLoop, app: Any, path: str, authorization: str) -> Send:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"api"), (b"authorization", authorization.encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    status = 0

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    def request() -> None:
        loop.run_until_complete(app(dict(scope), receive, send))
        assert status == 200, (path, status)

    return request


def _wsgi(app: Any, path: str, authorization: str) -> Send:
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "api",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_AUTHORIZATION": authorization,
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
    }
    seen: list[str] = []

    def request() -> None:
        seen.clear()
        answer = app(dict(environ), lambda status, fields, exc_info=None: seen.append(status))
        b"".join(answer)
        getattr(answer, "close", lambda: None)()
        assert seen == ["200 OK"], (path, seen)

    return request
