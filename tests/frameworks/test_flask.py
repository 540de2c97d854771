"""Flask beyond the table: whole applications, and where the principal is."""

from __future__ import annotations

import json

import pytest
from flask import Flask, g
from flask.views import View

from tests.frameworks.contract import MISSING
from tests.frameworks.wire import Fields, Request, ask_wsgi
from watchword import ConfigurationError, Guard
from watchword.frameworks.flask import current_principal, protect
from watchword.testing import PretendIssuer


@pytest.fixture
def guard(watchword_issuer: PretendIssuer) -> Guard:
    return watchword_issuer.guard()


@pytest.fixture
def ada(watchword_issuer: PretendIssuer) -> Fields:
    return tuple(watchword_issuer.headers("usr_ada").items())


class TestWhole:
    def test_an_application_is_protected_at_once(self, guard: Guard, ada: Fields) -> None:
        """A function that does nothing, before every request: routes and what is no route are refused alike."""
        app = Flask(__name__)
        app.before_request(protect(guard)(lambda: None))
        app.add_url_rule("/me", view_func=lambda: {"subject": g.principal.subject}, endpoint="me")
        send = ask_wsgi(app)
        MISSING.check(send(Request()), "GET")
        MISSING.check(send(Request(path="/nowhere")), "GET")
        assert json.loads(send(Request(fields=ada)).body) == {"subject": "usr_ada"}


class TestPrincipal:
    def test_a_view_that_is_not_protected_has_none(self, guard: Guard, ada: Fields) -> None:
        """Credentials that nobody checked are nobody's; and what one request found is gone in the next."""
        app = Flask(__name__)
        app.add_url_rule("/me", "me", protect(guard)(lambda: {"subject": "x"}))
        app.add_url_rule("/public", "public", lambda: {"nobody": current_principal() is None})
        send = ask_wsgi(app)
        assert send(Request(fields=ada)).status == 200
        assert json.loads(send(Request(path="/public", fields=ada)).body) == {"nobody": True}

    def test_a_class_is_refused_at_once(self, guard: Guard) -> None:
        """Decorating the class would leave its methods open; the mistake shows when the module is imported."""
        with pytest.raises(ConfigurationError):
            protect(guard)(View)
