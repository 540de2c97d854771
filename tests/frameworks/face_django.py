"""The contract's application in Django: functions, sync and async, classes; asked by WSGI and by ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

from tests.frameworks.api import make_guard
from watchword.frameworks.django import current_principal, protect

GUARD = make_guard()


def subject(request: Any) -> JsonResponse:
    principal = getattr(request, "principal", None)
    assert current_principal() is principal
    return JsonResponse({"subject": getattr(principal, "subject", None)})


@protect(GUARD)
async def later(request: HttpRequest) -> JsonResponse:
    return subject(request)


@method_decorator(protect(GUARD, scope="pay"), name="dispatch")
class Pay(View):
    def get(self, request: HttpRequest) -> JsonResponse:
        return subject(request)


class Admin(View):
    @protect(GUARD, role="admin")
    def get(self, request: HttpRequest) -> JsonResponse:
        return subject(request)


@protect(GUARD)
def stream(request: Any) -> StreamingHttpResponse:
    def lines() -> Iterator[str]:
        for _ in range(3):
            yield f"{request.principal.subject}\n"

    async def lines_later() -> AsyncIterator[str]:
        for line in lines():
            yield line

    return StreamingHttpResponse(lines_later() if hasattr(request, "scope") else lines())


urlpatterns = [
    path("me", protect(GUARD)(subject)),
    path("later", later),
    path("pay", Pay.as_view()),
    path("admin", Admin.as_view()),
    path("either", protect(GUARD, role=("auditor", "admin"))(subject)),
    path("fresh", protect(GUARD, fresh=30)(subject)),
    path("open", protect(GUARD, optional=True)(subject)),
    path("simple", protect(GUARD, role="admin", body="simple")(subject)),
    path("stream", stream),
    path("public", subject),
]
