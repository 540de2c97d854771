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
    yield "Flask", "flask-jwt-extended", _flask(issuer, ours)
    yield "Django REST framework", "simplejwt", _rest_framework(issuer, ours)


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
    theirs = f"Bearer {jwt.encode({'sub': 'ada', 'exp': time.time() + 3600}, SECRET, 'HS256')}"
    loop = asyncio.new_event_loop()
    return {
        name: _asgi(loop, app, f"/{name}", theirs if name == "usual" else ours)
        for name in ("bare", "guard", "usual")
    }


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


def _rest_framework(issuer: PretendIssuer, ours: str) -> dict[str, Send]:
    import django
    from django.conf import settings

    # simplejwt looks its user up in the database unless told to take the token's word, as the guard does.
    settings.configure(
        SECRET_KEY=SECRET,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="bench.frameworks",
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
        REST_FRAMEWORK={"UNAUTHENTICATED_USER": None, "DEFAULT_AUTHENTICATION_CLASSES": []},
    )
    django.setup()
    from django.core.handlers.wsgi import WSGIHandler
    from django.urls import path
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
    app = WSGIHandler()
    return {
        name: _wsgi(app, f"/{name}", f"Bearer {token}" if name == "usual" else ours)
        for name in ("bare", "guard", "usual")
    }


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
