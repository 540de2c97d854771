"""Django: ``@protect(guard)`` on a view, sync or not; ``request.principal`` is the caller.

::

    guard = Guard("https://auth.example.com")

    @protect(guard)
    def topics(request):
        return JsonResponse({"author": request.principal.subject})

A class takes it as ``@method_decorator(protect(guard), name="dispatch")``. Django REST framework has a face of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, Final, TypeVar

from watchword.errors import ConfigurationError, ContentTooLarge, InvalidRequest, WatchwordError
from watchword.frameworks.need import needs
from watchword.frameworks.protection import Body, Protection, Refusal, Words, marked
from watchword.guard.guard import Guard
from watchword.guard.principal import Principal
from watchword.guard.request import EnvironRequest

with needs("django"):
    from asgiref.sync import iscoroutinefunction
    from django.core.exceptions import RequestDataTooBig
    from django.http import HttpResponse
    from django.http.request import RawPostDataException

__all__ = ["credentials_of", "current_principal", "protect", "request_of", "response_of"]

View = TypeVar("View", bound=Callable[..., Any])

_CURRENT: Final[ContextVar[Principal | None]] = ContextVar("watchword.principal", default=None)


def protect(
    guard: Guard,
    *,
    scope: Words = (),
    role: Words = (),
    fresh: float | None = None,
    optional: bool = False,
    body: Body = "problem",
) -> Callable[[View], Callable[..., Any]]:
    """A decorator for views; a view that demands credentials is exempt from Django's CSRF check.

    The arguments are those of ``watchword.frameworks.asgi.protect``.

    Raises:
        ConfigurationError: an argument is not usable, or what is decorated is no function.
    """
    protection = Protection.parse(guard, scope=scope, role=role, fresh=fresh, optional=optional, body=body)

    def decorate(view: View) -> Callable[..., Any]:
        if not callable(view) or isinstance(view, type):
            raise ConfigurationError("protect: decorate a function; for a class, use method_decorator")
        guarded = _guard_async(view, protection) if iscoroutinefunction(view) else _guard(view, protection)
        # No browser adds this header field by itself, so no other site can make it send one (and the check,
        # which comes first, would answer 403 to whoever has no cookie). Without credentials it is the app's to say.
        guarded.csrf_exempt = not optional  # type: ignore[attr-defined]
        return marked(guarded, protection)

    return decorate


def current_principal() -> Principal | None:
    """Who is calling, inside a protected view; ``None`` when nobody is. The same as ``request.principal``."""
    return _CURRENT.get()


def credentials_of(request: Any) -> tuple[str | None, bytes]:
    """The ``Authorization`` of a request and its query string, as they came."""
    return request.META.get("HTTP_AUTHORIZATION"), request.META.get("QUERY_STRING", "").encode(
        "latin-1", "replace"
    )


def request_of(request: Any) -> EnvironRequest:
    """*request* in the form that guards take."""
    return EnvironRequest(request.META, request, _read, "utf-8")


def _read(request: Any, limit: int) -> bytes:
    try:
        body: bytes = request.body
    except RequestDataTooBig:
        raise ContentTooLarge(f"the body of a signed request has at most {limit} bytes") from None
    except RawPostDataException:
        raise InvalidRequest("the body was read before its digest could be checked") from None
    return body


def response_of(refusal: Refusal) -> HttpResponse:
    """*refusal* as a response of Django."""
    return HttpResponse(refusal.body, status=refusal.status, headers=dict(refusal.headers))


def _guard(view: Callable[..., Any], protection: Protection) -> Callable[..., Any]:
    @wraps(view)
    def guarded(*arguments: Any, **more: Any) -> Any:
        request = _request_of(arguments)
        try:
            principal = protection.authorize(*credentials_of(request), request_of(request))
        except WatchwordError as error:
            return response_of(protection.refuse(error))
        request.principal = principal
        before = _CURRENT.set(principal)
        try:
            return view(*arguments, **more)
        finally:
            _CURRENT.reset(before)  # the thread serves somebody else next

    return guarded


def _guard_async(view: Callable[..., Any], protection: Protection) -> Callable[..., Any]:
    @wraps(view)
    async def guarded(*arguments: Any, **more: Any) -> Any:
        request = _request_of(arguments)
        try:
            principal = await protection.authorize_async(*credentials_of(request), request_of(request))
        except WatchwordError as error:
            return response_of(protection.refuse(error))
        request.principal = principal
        before = _CURRENT.set(principal)
        try:
            return await view(*arguments, **more)
        finally:
            _CURRENT.reset(before)

    return guarded


def _request_of(arguments: tuple[Any, ...]) -> Any:
    """The request among *arguments*: the first of a function's, the second of a method's."""
    for argument in arguments[:2]:
        if hasattr(argument, "META"):
            return argument
    raise TypeError("protect: the view was called without a request")
