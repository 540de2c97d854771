"""Django and its REST framework beyond the table: CSRF, threads, permissions of a view's own, OpenAPI."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.views import View
from rest_framework.decorators import api_view
from rest_framework.permissions import BasePermission, IsAdminUser, IsAuthenticated
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView, exception_handler

from tests.frameworks.contract import MALFORMED, MISSING, NO_ROLE
from tests.frameworks.wire import Answer
from watchword import ConfigurationError, Guard
from watchword.frameworks import django as face
from watchword.frameworks import rest_framework as rest
from watchword.testing import PretendIssuer


@pytest.fixture
def guard(watchword_issuer: PretendIssuer) -> Guard:
    return watchword_issuer.guard()


@pytest.fixture
def ada(watchword_issuer: PretendIssuer) -> dict[str, str]:
    return watchword_issuer.headers("usr_ada")


def ask(view: Any, headers: dict[str, str] | None = None) -> Answer:
    """A view's answer to a GET."""
    response = view(RequestFactory().get("/", headers=headers))
    if hasattr(response, "render"):
        response.render()
    return Answer(response.status_code, tuple(response.items()), response.content)


class Me(APIView):
    def get(self, request: Any) -> Response:
        return Response({"subject": request.user.pk, "text": str(request.user)})


class TestDjango:
    def test_the_principal_is_gone_with_the_request(self, guard: Guard, ada: dict[str, str]) -> None:
        """A thread serves one request after the other; none finds the caller of the one before."""
        seen: list[Any] = []

        def view(request: Any) -> HttpResponse:
            seen.append(face.current_principal())
            return HttpResponse()

        assert ask(face.protect(guard)(view), ada).status == 200
        ask(view)
        assert seen[0].subject == "usr_ada"
        assert seen[1] is None

    def test_a_failing_view_leaves_no_principal(self, guard: Guard, ada: dict[str, str]) -> None:
        """An exception on the way out makes no difference."""

        def view(request: Any) -> HttpResponse:
            raise LookupError

        with pytest.raises(LookupError):
            ask(face.protect(guard)(view), ada)
        assert face.current_principal() is None

    def test_csrf_is_the_app_s_where_nobody_may_come_in(self, guard: Guard) -> None:
        """A route that demands credentials needs no CSRF token; one for everybody keeps Django's check."""

        def view(request: Any) -> HttpResponse:
            return HttpResponse()

        assert face.protect(guard)(view).csrf_exempt is True  # type: ignore[attr-defined]
        assert face.protect(guard, optional=True)(view).csrf_exempt is False  # type: ignore[attr-defined]

    def test_a_class_is_refused_at_once(self, guard: Guard) -> None:
        """``method_decorator`` is for classes; the mistake shows when the module is imported."""
        with pytest.raises(ConfigurationError):
            face.protect(guard)(View)
        with pytest.raises(TypeError):
            face.protect(guard)(lambda: None)()


class TestRestFramework:
    def test_the_caller_is_a_user_of_the_framework(self, guard: Guard, ada: dict[str, str]) -> None:
        """``IsAuthenticated`` lets him in, throttles count him by his subject, and he prints as it."""

        class Counted(UserRateThrottle):
            rate = "1/day"
            cache: Any = {}

        Counted.cache = type(
            "Cache", (dict,), {"set": lambda self, key, value, _: self.update({key: value})}
        )()

        class View(Me):
            authentication_classes = [rest.authentication(guard)]
            permission_classes = [IsAuthenticated]
            throttle_classes = [Counted]

        view = View.as_view()
        assert json.loads(ask(view, ada).body) == {"subject": "usr_ada", "text": "usr_ada"}
        assert list(Counted.cache) == ["throttle_user_usr_ada"]
        assert ask(view, ada).status == 429

    def test_nobody_is_none(self, guard: Guard) -> None:
        """``request.principal`` is there, and ``None``, where a caller without credentials came in."""

        class View(APIView):
            def get(self, request: Any) -> Response:
                return Response({"nobody": request.principal is None})

        view = rest.protect(guard, optional=True)(View).as_view()  # type: ignore[attr-defined]
        assert json.loads(ask(view).body) == {"nobody": True}

    def test_permissions_of_the_view_are_asked_too(self, guard: Guard, ada: dict[str, str]) -> None:
        """Ours comes first; what the view demands besides still counts."""

        class Never(BasePermission):
            message = "never"

            def has_permission(self, request: Any, view: Any) -> bool:
                assert request.principal.subject == "usr_ada"
                return False

        class View(Me):
            permission_classes = [Never]

        view = rest.protect(guard)(View).as_view()  # type: ignore[attr-defined]
        MISSING.check(ask(view), "GET")
        refused = ask(view, ada)
        assert (refused.status, json.loads(refused.body)) == (403, {"detail": "never"})

    def test_a_base_s_permissions_stay(self, guard: Guard, ada: dict[str, str]) -> None:
        """A view that inherits its permissions does not lose them by being protected."""

        class Base(Me):
            permission_classes = [IsAdminUser]

        class View(Base):
            pass

        view = rest.protect(guard)(View).as_view()  # type: ignore[attr-defined]
        assert ask(view, ada).status == 403
        root = PretendIssuer().headers  # another issuer's administrator is nobody here
        assert ask(view, root("usr_root", roles=["admin"])).status == 401

    def test_an_administrator_is_staff(self, guard: Guard, watchword_issuer: PretendIssuer) -> None:
        """What the framework asks of users can be asked of a caller."""

        class View(Me):
            permission_classes = [IsAdminUser]

        view = rest.protect(guard)(View).as_view()  # type: ignore[attr-defined]
        assert ask(view, watchword_issuer.headers("usr_root", roles=["admin"])).status == 200

    def test_permissions_combine(self, guard: Guard, ada: dict[str, str]) -> None:
        """``&`` with another class is a permission again."""

        class View(Me):
            authentication_classes = [rest.authentication(guard)]
            permission_classes = [IsAuthenticated & rest.permission(guard, role="admin")]

        NO_ROLE.check(ask(View.as_view(), ada), "GET")

    def test_a_permission_takes_only_its_own_guard_s_callers(
        self, guard: Guard, watchword_issuer: PretendIssuer
    ) -> None:
        """An administrator of one issuer is nobody to a permission of another's guard."""
        stranger = PretendIssuer("https://other.example.com")

        class View(Me):
            authentication_classes = [rest.authentication(stranger.guard())]
            permission_classes = [rest.permission(guard, role="admin")]

        refused = ask(View.as_view(), stranger.headers("usr_root", roles=["admin"]))
        assert refused.status == 401
        View.authentication_classes = [rest.authentication(guard)]
        root = watchword_issuer.headers("usr_root", roles=["admin"])
        assert ask(View.as_view(), root).status == 200

    def test_another_class_may_authenticate(self, guard: Guard) -> None:
        """Without credentials of ours the next authentication class is asked; bad ones end it."""

        class Other:
            def authenticate(self, request: Any) -> tuple[Any, None]:
                return type(
                    "Somebody", (), {"pk": "other", "is_authenticated": True, "__str__": lambda _: "o"}
                )(), None

        class View(Me):
            authentication_classes = [rest.authentication(guard), Other]
            permission_classes = [IsAuthenticated]

        view = View.as_view()
        assert json.loads(ask(view).body)["subject"] == "other"
        MALFORMED.check(ask(view, {"Authorization": "Bearer"}), "GET")

    def test_authentication_alone_challenges(self, guard: Guard) -> None:
        """The framework's own 401 bears our scheme."""

        class View(Me):
            authentication_classes = [rest.authentication(guard)]
            permission_classes = [IsAuthenticated]

        refused = ask(View.as_view())
        assert (refused.status, refused.field("www-authenticate")) == (401, "Bearer")

    def test_a_project_s_own_handler_is_heard(self, guard: Guard) -> None:
        """It gets the error and what would have been answered; the framework's own writes the same document."""

        def own(error: Exception, context: dict[str, Any]) -> Any:
            return exception_handler(error, context)

        class View(Me):
            def get_exception_handler(self) -> Any:
                return own

        refused = ask(rest.protect(guard)(View).as_view())  # type: ignore[attr-defined]
        assert (refused.status, refused.field("www-authenticate")) == (401, "Bearer")
        assert json.loads(refused.body) == MISSING.document
        assert refused.field("content-type") == "application/json"

    def test_it_stands_under_api_view(self, guard: Guard) -> None:
        """Above it the mistake shows when the module is imported."""
        with pytest.raises(ConfigurationError):
            rest.protect(guard)(api_view(["GET"])(lambda request: Response()))

    def test_the_schema_says_that_a_token_is_needed(self) -> None:
        """drf-spectacular's document has the scheme, and protected operations name it."""
        from drf_spectacular.generators import SchemaGenerator

        from tests.frameworks.faces import load

        load("rest_framework")
        document: Any = SchemaGenerator().get_schema(request=None, public=True)
        assert document["components"]["securitySchemes"]["Bearer"] == {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token (RFC 6750, RFC 9068)",
        }
        assert document["paths"]["/rest/admin"]["get"]["security"] == [{"Bearer": []}]
        assert document["paths"]["/rest/me"]["get"]["security"] == [{"Bearer": []}]
        assert {"Bearer": []} not in document["paths"]["/rest/public"]["get"].get("security", [])
