"""Django REST framework: ``@protect(guard)`` on an ``APIView`` or under ``@api_view``.

::

    @protect(guard, role="admin")
    class Payments(APIView):
        def post(self, request):
            return Response({"paid by": request.principal.subject})

It is an authentication and a permission class, which can also be had one by one: ``authentication(guard)`` for
``DEFAULT_AUTHENTICATION_CLASSES``, ``permission(guard, role="admin")`` for a view. ``request.user`` and
``request.auth`` are then a ``Caller`` and its ``Principal``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from watchword.errors import ConfigurationError, MissingCredentials, TemporarilyUnavailable, WatchwordError
from watchword.frameworks.need import needs
from watchword.frameworks.protection import Body, Protection, Refusal, Words
from watchword.guard.guard import Guard
from watchword.guard.principal import Principal

with needs("djangorestframework"):
    from django.conf import settings
    from rest_framework.authentication import BaseAuthentication
    from rest_framework.exceptions import APIException
    from rest_framework.permissions import AllowAny, BasePermission
    from rest_framework.views import APIView, exception_handler

    from watchword.frameworks.django import credentials_of, request_of, response_of

__all__ = ["Authentication", "Caller", "Permission", "Refused", "authentication", "permission", "protect"]

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal in the form in which Django knows users."""

    principal: Principal
    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True

    @property
    def is_staff(self) -> bool:
        """Whether he is an administrator."""
        return self.principal.is_admin

    @property
    def pk(self) -> str:
        """What throttles count by."""
        return self.principal.subject

    def __str__(self) -> str:
        return self.principal.subject


class Refused(APIException):  # type: ignore[misc]
    """A refusal on its way to the client; an ``EXCEPTION_HANDLER`` of the project's own may answer otherwise."""

    def __init__(self, refusal: Refusal, document: dict[str, Any], error: WatchwordError) -> None:
        # What the framework's own handler would write is then the same, but for the media type.
        self.status_code = refusal.status
        self.detail = document
        self.auth_header = dict(refusal.headers).get("WWW-Authenticate")
        self.wait = error.retry_after if isinstance(error, TemporarilyUnavailable) else None
        self.refusal = refusal
        self.error = error


class Authentication(BaseAuthentication):  # type: ignore[misc]
    """Who is calling. A request without credentials is left to the next class, and to the permissions."""

    protection: ClassVar[Protection]

    def authenticate(self, request: Any) -> tuple[Caller, Principal] | None:
        """The caller and his principal.

        Raises:
            Refused: the credentials are bad.
        """
        request._request.principal = None
        try:
            principal = self.protection.authorize(*credentials_of(request), request_of(request._request))
        except MissingCredentials:
            return None
        except WatchwordError as error:
            raise _refused(self.protection, error, request.parser_context.get("view")) from None
        if principal is None:
            return None
        request._request.principal = principal
        request._request.watchword_guard = self.protection.guard
        return Caller(principal), principal

    def authenticate_header(self, request: Any) -> str:
        """The challenge of a 401 that is not ours."""
        return "Bearer"


class Permission(BasePermission):  # type: ignore[misc]
    """Whether he may."""

    protection: ClassVar[Protection]

    def has_permission(self, request: Any, view: Any) -> bool:
        """``True``; there is no other answer.

        Raises:
            Refused: he may not.
        """
        try:
            if isinstance(request.auth, Principal):
                self._check(request)
            elif not self.protection.optional:
                raise MissingCredentials
        except WatchwordError as error:
            raise _refused(self.protection, error, view) from None
        return True

    def _check(self, request: Any) -> None:
        # Whom another guard let in is nobody to this one: it reads the credentials itself.
        if getattr(request._request, "watchword_guard", None) is self.protection.guard:
            # What is known may be too old: then from the beginning, so that the issuer can be asked.
            with suppress(TemporarilyUnavailable):
                self.protection.check(request.auth)
                return
        principal = self.protection.authorize(*credentials_of(request), request_of(request._request))
        request._request.principal = request.auth = principal
        request._request.watchword_guard = self.protection.guard


def protect(
    guard: Guard,
    *,
    scope: Words = (),
    role: Words = (),
    fresh: float | None = None,
    optional: bool = False,
    body: Body = "problem",
) -> Callable[[View], View]:
    """A decorator for ``APIView`` classes, view sets, and functions under ``@api_view``.

    Permissions that the view has already, by itself, from its base or as the project's default, are asked after
    this one. The arguments are those of
    ``watchword.frameworks.asgi.protect``.

    Raises:
        ConfigurationError: an argument is not usable, or what is decorated is no view that can be.
    """
    protection = Protection.parse(guard, scope=scope, role=role, fresh=fresh, optional=optional, body=body)

    def decorate(view: View) -> View:
        if not callable(view) or hasattr(view, "cls"):
            raise ConfigurationError("protect: stands under @api_view, or on a class")
        own = getattr(view, "permission_classes", APIView.permission_classes)
        own = [
            one for one in own if one is not AllowAny
        ]  # it says nothing, and schemas would call the token optional
        marked: Any = view
        marked.authentication_classes = [_made(Authentication, Protection.parse(guard, body=body))]
        marked.permission_classes = [_made(Permission, protection), *own]
        return view

    return decorate


def authentication(guard: Guard, *, body: Body = "problem") -> type[Authentication]:
    """An authentication class for *guard*.

    Raises:
        ConfigurationError: an argument is not usable.
    """
    return _made(Authentication, Protection.parse(guard, body=body))


def permission(
    guard: Guard,
    *,
    scope: Words = (),
    role: Words = (),
    fresh: float | None = None,
    optional: bool = False,
    body: Body = "problem",
) -> type[Permission]:
    """A permission class; it combines with others by ``&`` and ``|`` as all of them do.

    Raises:
        ConfigurationError: an argument is not usable.
    """
    protection = Protection.parse(guard, scope=scope, role=role, fresh=fresh, optional=optional, body=body)
    return _made(Permission, protection)


Kind = TypeVar("Kind", Authentication, Permission)


def _made(kind: type[Kind], protection: Protection) -> type[Kind]:
    # The framework takes classes and calls them without arguments, so what they need is theirs by class.
    return type(kind.__name__, (kind,), {"protection": protection, "__doc__": kind.__doc__})


def _refused(protection: Protection, error: WatchwordError, view: Any) -> Refused:
    if view is not None and view.get_exception_handler() is exception_handler:
        view.get_exception_handler = lambda: _answer
    return Refused(protection.refuse(error), protection.document(error), error)


def _answer(error: Exception, context: dict[str, Any]) -> Any:
    return response_of(error.refusal) if isinstance(error, Refused) else exception_handler(error, context)


if "drf_spectacular" in settings.INSTALLED_APPS:
    # Imported for what it does: the extension tells the schema generator what `Authentication` is.
    import watchword.frameworks.spectacular  # noqa: F401
