"""A body whose digest was checked is there for the view, as if nobody had read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import fastapi
import pytest
from litestar import Litestar
from starlette.applications import Starlette
from starlette.routing import Route

from tests.frameworks import face_request
from tests.frameworks.test_request import SEEN, SENT
from tests.frameworks.wire import Send, ask_asgi, ask_wsgi
from tests.protocol.signed import ORIGIN
from watchword import Guard
from watchword.frameworks import asgi, flask, litestar, starlette, wsgi
from watchword.frameworks import fastapi as fastapi_face
from watchword.testing import PretendIssuer


def behind_asgi(guard: Guard) -> Send:
    return ask_asgi(asgi.protect(guard)(face_request.plain_asgi))


def behind_starlette(guard: Guard) -> Send:
    view = starlette.protect(guard)(face_request.starlette_view)
    return ask_asgi(Starlette(routes=[Route("/see/{rest:path}", view, methods=["POST"])]))


def behind_fastapi(guard: Guard) -> Send:
    app = face_request.fastapi_app()
    assert isinstance(app, fastapi.FastAPI)
    outer = fastapi.FastAPI(dependencies=[fastapi.Depends(fastapi_face.protect(guard))])
    outer.include_router(app.router)
    return ask_asgi(outer)


def behind_litestar(guard: Guard) -> Send:
    app = Litestar(
        [face_request.litestar_view],
        guards=[litestar.protect(guard)],
        logging_config=None,
        openapi_config=None,
    )
    return ask_asgi(app)


def behind_wsgi(guard: Guard) -> Send:
    return ask_wsgi(wsgi.protect(guard)(face_request.plain_wsgi))


def behind_flask(guard: Guard) -> Send:
    app = face_request.flask_app()
    app.before_request(flask.protect(guard)(lambda: None))
    return ask_wsgi(app)


BEHIND: dict[str, Callable[[Guard], Send]] = {
    name.removeprefix("behind_"): made for name, made in list(globals().items()) if name.startswith("behind_")
}


class TestBody:
    @pytest.mark.parametrize("face", BEHIND)
    def test_the_view_reads_it_again(self, face: str, watchword_issuer: PretendIssuer) -> None:
        """Whole, and by the framework's own means; a second guard in the view's place sees the same request."""
        send = BEHIND[face](watchword_issuer.guard(origin=ORIGIN))
        url = f"{ORIGIN}{SENT.path}?{SENT.query}"
        fields = watchword_issuer.signer().sign("POST", url, SENT.fields, SENT.body)
        answer = send(replace(SENT, fields=(*SENT.fields, *fields.items())))
        assert answer.status == 200, answer
        found = json.loads(answer.body)
        assert found["body"] == SENT.body.decode()
        assert {**found["seen"], "absent": []} == SEEN
        assert found["seen"]["absent"] == [fields["Signature-Input"]]
