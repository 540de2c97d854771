"""The pages: a landing page, the API's documents, the set-up of the first administrator."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from watchword.errors import AccessDenied, EmailTaken, InvalidInput, NotFound
from watchword.protocol.cookie import origin_of
from watchword.protocol.metadata import is_loopback
from watchword.server.pages.openapi import chapters, openapi_document
from watchword.server.services import Services
from watchword.server.web.request import Request
from watchword.server.web.responses import Response, page_response
from watchword.server.web.route import Route

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = [
    "check_same_origin",
    "docs",
    "index",
    "openapi",
    "prepare",
    "render",
    "setup",
    "setup_form",
    "static",
]

_STATIC: Final = {"watchword.css": "text/css; charset=utf-8", "watchword.svg": "image/svg+xml"}


@lru_cache(maxsize=1)
def _templates() -> Environment:
    # A sixth of a start would go into this import.
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=PackageLoader("watchword.server.pages"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def prepare() -> None:
    """Read every template: it takes a tenth of a second, which nobody should wait for while the first page is made."""
    templates = _templates()
    for name in templates.list_templates(["html"]):
        templates.get_template(name)


def render(services: Services, template: str, status: int = 200, **values: Any) -> Response:
    """A template as a page."""
    return page_response(_html(template, services.introspection.policy.issuer, **values), status)


def _html(template: str, issuer: str, **values: Any) -> str:
    # Clients see the issuer's path before each of ours, so links begin with it.
    return _templates().get_template(template).render(issuer=issuer, base=urlsplit(issuer).path, **values)


async def index(services: Services, request: Request) -> Response:
    """``GET /``: what this is and where to go."""
    return render(services, "index.html")


async def docs(services: Services, request: Request) -> Response:
    """``GET /docs``: every call with what it takes, what it answers and how curl makes it."""
    return page_response(_docs(_routes(request), services.introspection.policy.issuer))


@lru_cache(maxsize=4)
def _docs(routes: Sequence[Route], issuer: str) -> str:
    # Made once: anybody may ask for it, and it takes milliseconds.
    return _html("docs.html", issuer, chapters=chapters(routes, issuer))


async def openapi(services: Services, request: Request) -> Response:
    """``GET /openapi.json``: the same for machines."""
    cookies = request.dispatcher.cookies
    names = (cookies.name, cookies.refresh_name) if cookies.policy is not None else None
    body = _openapi(_routes(request), services.introspection.policy.issuer, names)
    return Response(200, body, headers={"Cache-Control": "public, max-age=60"})


@lru_cache(maxsize=4)
def _openapi(routes: Sequence[Route], issuer: str, cookies: tuple[str, str] | None) -> bytes:
    return msgspec.json.encode(openapi_document(routes, issuer, cookies))


def _routes(request: Request) -> Sequence[Route]:
    # The table names these pages, so it reaches them with the request and not by an import.
    routes: Sequence[Route] = request.dispatcher.routes
    return routes


async def static(services: Services, request: Request) -> Response:
    """``GET /static/{name}``: one of the files that ship with the pages."""
    media_type = _STATIC.get(request.params["name"])
    if media_type is None:
        raise NotFound
    return Response(
        200, _static(request.params["name"]), media_type, {"Cache-Control": "public, max-age=3600"}
    )


@lru_cache
def _static(name: str) -> bytes:
    return files("watchword.server.pages").joinpath("static", name).read_bytes()


async def setup_form(services: Services, request: Request) -> Response:
    """``GET /setup``: the form behind the one-time link."""
    token = request.query.get("token", "")
    if not await services.setup.valid(token):
        return render(services, "setup_gone.html", 404)
    return render(services, "setup.html", token=token, email="", name="", faults={})


async def setup(services: Services, request: Request) -> Response:
    """``POST /setup``: make the first administrator; the link is spent."""
    check_same_origin(services, request)
    await services.writes.enter("setup", None, request.address)
    form = request.body
    token, email, name = (form.get(member, "") for member in ("token", "email", "name"))
    try:
        user = await services.setup.complete(
            token, email, form.get("password", ""), name.strip() or None, request.origin()
        )
    except NotFound:
        return render(services, "setup_gone.html", 404)
    except InvalidInput as fault:
        return render(
            services, "setup.html", 422, token=token, email=email, name=name, faults=dict(fault.errors)
        )
    except EmailTaken as taken:
        return render(
            services,
            "setup.html",
            422,
            token=token,
            email=email,
            name=name,
            faults={"email": taken.description},
        )
    return render(services, "setup_done.html", email=user.email)


def check_same_origin(services: Services, request: Request) -> None:
    """A form of ours is sent by a page of ours (ASVS 3.5): the browser says so itself."""
    site = request.header("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        raise AccessDenied("this form was sent from another site")
    origin = request.header("origin")
    if origin is None or (origin == "null" and site == "same-origin"):
        # Our pages tell nobody where they are (no-referrer), so a browser leaves their name out of ``Origin``, too.
        return
    if origin != origin_of(services.introspection.policy.issuer) and not _is_own_machine(origin):
        raise AccessDenied("this form was sent from another site")


def _is_own_machine(origin: str) -> bool:
    """A tunnel or a published port shows the page under another name of the user's own machine."""
    try:
        sender = urlsplit(origin)
        return sender.scheme == "http" and is_loopback(sender.hostname or "")
    except ValueError:
        return False
