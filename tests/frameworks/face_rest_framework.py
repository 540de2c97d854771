"""The contract's application in Django REST framework: functions, views, a view set, classes one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.http import StreamingHttpResponse
from django.urls import path
from rest_framework.decorators import api_view
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from tests.frameworks.api import make_guard
from watchword.frameworks.rest_framework import authentication, permission, protect

GUARD = make_guard()


def subject(request: Any) -> Response:
    principal = getattr(request, "principal", None)
    assert request.auth is principal
    return Response({"subject": getattr(principal, "subject", None)})


class Subject(APIView):
    def get(self, request: Any) -> Response:
        return subject(request)


@api_view(["GET", "HEAD", "POST"])
@protect(GUARD)
def me(request: Any) -> Response:
    return subject(request)


@protect(GUARD, scope="pay")
class Pay(Subject):
    pass


class Admin(Subject):
    authentication_classes = [authentication(GUARD)]
    permission_classes = [permission(GUARD, role="admin")]


@protect(GUARD, role=("auditor", "admin"))
class Either(ViewSet):
    def list(self, request: Any) -> Response:
        return subject(request)


@protect(GUARD, fresh=30)
class Fresh(Subject):
    pass


@protect(GUARD, optional=True)
class Open(Subject):
    pass


@protect(GUARD, role="admin", body="simple")
class Simple(Subject):
    pass


@protect(GUARD)
class Stream(APIView):
    def get(self, request: Any) -> StreamingHttpResponse:
        def lines() -> Iterator[str]:
            for _ in range(3):
                yield f"{request.principal.subject}\n"

        async def lines_later() -> AsyncIterator[str]:
            for line in lines():
                yield line

        return StreamingHttpResponse(lines_later() if hasattr(request, "scope") else lines())


class Public(Subject):
    authentication_classes = ()


urlpatterns = [
    path("me", me),
    path("pay", Pay.as_view()),
    path("admin", Admin.as_view()),
    path("either", Either.as_view({"get": "list"})),
    path("fresh", Fresh.as_view()),
    path("open", Open.as_view()),
    path("simple", Simple.as_view()),
    path("stream", Stream.as_view()),
    path("public", Public.as_view()),
]
