"""Applications that say what a guard sees of a request, and what the view can still read of its body.

Each answers ``{"seen": …, "body": …}`` on every path below ``/see``: the form's own words, the body as a guard gets it
among them, then the body as the view reads it in its framework's way. With the query ``read=1`` somebody has read it
before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import fastapi
from flask import Flask
from flask import request as flask_request
from litestar import Litestar
from litestar import Request as LitestarRequest
from litestar import post as litestar_post
from litestar.params import FromPath
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.frameworks.wire import ASGI, Message, Send, ask_asgi, ask_wsgi
from watchword.errors import WatchwordError
from watchword.frameworks import asgi, flask, litestar, starlette
from watchword.guard.request import EnvironRequest, Request

LIMIT = 64


async def see(request: Request) -> dict[str, Any]:
    """What a guard can know of *request*; a refusal instead, where its body cannot be had."""
    try:
        await request.receive(LIMIT)
        body = request.body(LIMIT).decode()
    except WatchwordError as error:
        return {"refused": error.status}
    return {
        "method": request.method,
        "scheme": request.scheme,
        "authority": request.authority,
        "path": request.path,
        "query": request.query,
        "content-type": request.values("content-type"),
        "absent": request.values("signature-input"),
        "seat": request.cookies("seat"),
        "body": body,
    }


def see_now(request: Request) -> dict[str, Any]:
    """The same where nothing is waited for."""
    coroutine = see(request)
    try:
        coroutine.send(None)
    except StopIteration as end:
        found: dict[str, Any] = end.value
        return found
    raise AssertionError("it waited")


async def plain_asgi(scope: Message, receive: Any, send: Any) -> None:
    request = asgi.request_of(scope, receive)
    seen = await see(request)
    message = await asgi.replay(request, receive)()
    document = {"seen": seen, "body": message.get("body", b"").decode()}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(document).encode()})


async def starlette_view(request: StarletteRequest) -> Response:
    if request.query_params.get("read"):
        async for _ in request.stream():
            pass
    seen = await see(starlette.request_of(request))
    return JSONResponse({"seen": seen, "body": "" if "refused" in seen else (await request.body()).decode()})


def fastapi_app() -> ASGI:
    app = fastapi.FastAPI()

    async def look(request: fastapi.Request) -> dict[str, Any]:
        return await see(starlette.request_of(request))

    async def view(request: fastapi.Request, seen: dict[str, Any] = fastapi.Depends(look)) -> dict[str, Any]:
        return {"seen": seen, "body": "" if "refused" in seen else (await request.body()).decode()}

    # FastAPI reads annotations by name, in a module's own names.
    view.__annotations__.update(request=fastapi.Request)
    look.__annotations__.update(request=fastapi.Request)
    app.post("/see/{rest:path}")(view)
    return app


@litestar_post("/see/{rest:path}", status_code=200)
async def litestar_view(request: LitestarRequest[Any, Any, Any], rest: FromPath[str]) -> dict[str, Any]:
    seen = await see(litestar.request_of(request))
    return {"seen": seen, "body": "" if "refused" in seen else (await request.body()).decode()}


def plain_wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    seen = see_now(EnvironRequest(environ))
    body = "" if "refused" in seen else environ["wsgi.input"].read().decode()
    start_response("200 OK", [])
    return [json.dumps({"seen": seen, "body": body}).encode()]


def flask_app() -> Flask:
    app = Flask(__name__)

    @app.post("/see/<path:rest>")
    def view(rest: str) -> dict[str, Any]:
        if flask_request.args.get("read"):
            assert flask_request.form is not None
        seen = see_now(flask.request_of(flask_request.environ))
        return {"seen": seen, "body": "" if "refused" in seen else flask_request.get_data(as_text=True)}

    return app


def django_view(request: Any) -> Any:
    from django.http import JsonResponse

    from watchword.frameworks.django import request_of

    seen = see_now(request_of(request))
    return JsonResponse({"seen": seen, "body": "" if "refused" in seen else request.body.decode()})


def rest_view(request: Any) -> Any:
    from rest_framework.decorators import api_view, parser_classes
    from rest_framework.parsers import JSONParser
    from rest_framework.response import Response

    from watchword.frameworks.django import request_of

    @api_view(["POST"])
    @parser_classes([JSONParser])
    def view(request: Any) -> Any:
        seen = see_now(request_of(request._request))
        return Response({"seen": seen, "body": "" if "refused" in seen else json.dumps(request.data)})

    return view(request)


def load(name: str) -> Send:
    """How the application *name* is asked."""
    if name.startswith(("django", "rest_framework")):
        return _django(name)
    asgi_apps: dict[str, Callable[[], ASGI]] = {
        "asgi": lambda: plain_asgi,
        "starlette": lambda: Starlette(routes=[Route("/see/{rest:path}", starlette_view, methods=["POST"])]),
        "fastapi": fastapi_app,
        "litestar": lambda: Litestar([litestar_view], logging_config=None, openapi_config=None),
    }
    if name in asgi_apps:
        return ask_asgi(asgi_apps[name]())
    return ask_wsgi(plain_wsgi if name == "wsgi" else flask_app())


def _django(name: str) -> Send:
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import override_settings
    from django.urls import re_path
    from django.views.decorators.csrf import csrf_exempt

    import tests.frameworks.django_project  # noqa: F401

    view = rest_view if name.startswith("rest") else django_view

    class Urls:
        urlpatterns = [re_path("^see/", csrf_exempt(view))]

    def send(request: Any) -> Any:
        with override_settings(ROOT_URLCONF=Urls):
            ask = ask_asgi(ASGIHandler()) if name.endswith("asgi") else ask_wsgi(WSGIHandler())
            return ask(request)

    return send
