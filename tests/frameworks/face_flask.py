"""The contract's application in Flask: functions, sync and async, a method view, a blueprint."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Flask, Response, stream_with_context
from flask.views import MethodView

from tests.frameworks.api import make_guard
from watchword.frameworks.flask import current_principal, protect

GUARD = make_guard()
Subject = dict[str, str | None]

app = Flask(__name__)


def subject() -> Subject:
    return {"subject": getattr(current_principal(), "subject", None)}


@app.route("/me", methods=["GET", "POST"])
@protect(GUARD)
def me() -> Subject:
    return subject()


@app.get("/later")
@protect(GUARD)
async def later() -> Subject:
    return subject()


class Pay(MethodView):
    decorators = [protect(GUARD, scope="pay")]

    def get(self) -> Subject:
        return subject()


class Admin(MethodView):
    @protect(GUARD, role="admin")
    def get(self) -> Subject:
        return subject()


app.add_url_rule("/pay", view_func=Pay.as_view("pay"))
app.add_url_rule("/admin", view_func=Admin.as_view("admin"))

either = Blueprint("either", __name__)
either.before_request(protect(GUARD, role=("auditor", "admin"))(lambda: None))
either.add_url_rule("/either", view_func=subject)
app.register_blueprint(either)

app.add_url_rule("/fresh", "fresh", protect(GUARD, fresh=30)(subject))
app.add_url_rule("/open", "open", protect(GUARD, optional=True)(subject))
app.add_url_rule("/simple", "simple", protect(GUARD, role="admin", body="simple")(subject))
app.add_url_rule("/public", "public", subject)


@app.get("/stream")
@protect(GUARD)
def stream() -> Response:
    def lines() -> Iterator[str]:
        for _ in range(3):
            yield f"{subject()['subject']}\n"

    return Response(stream_with_context(lines()))
