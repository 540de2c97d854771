"""Every face passes the table, word for word; every cell is run."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.frameworks.contract import (
    APP,
    CASES,
    EVIL,
    MISSING,
    NO_SCOPE,
    NO_WORD,
    OTHER_ORIGIN,
    SAME_ORIGIN,
    Case,
    Let,
    Refuse,
    bearer,
    cookie,
)
from tests.frameworks.faces import CANNOT, FACES, SOCKETS, load
from tests.frameworks.wire import Request, connect_asgi, denial_of
from watchword.testing import PretendIssuer

CELLS = [(face, case) for face in FACES for case in CASES if (face, case.path) not in CANNOT]


class TestContract:
    @pytest.mark.parametrize(("face", "case"), CELLS, ids=[f"{face}-{case.name}" for face, case in CELLS])
    def test_the_same_answer_everywhere(self, face: str, case: Case, watchword_issuer: PretendIssuer) -> None:
        """Status, challenge, document and header fields are those of the table."""
        guard, send = load(face)
        watchword_issuer.take_over(guard)
        case.expect.check(send(case.request(watchword_issuer)), case.method)

    def test_what_a_framework_cannot_carry_has_a_reason(self) -> None:
        """The holes of the table are listed, each with a sentence, and each is a hole of a face that exists."""
        for (face, path), reason in CANNOT.items():
            assert face in FACES
            assert any(case.path == path for case in [*CASES, *SOCKET_CASES])
            assert reason


SOCKET_CASES = [
    Case("nobody", MISSING, path="/socket"),
    Case("no scope", NO_SCOPE, bearer(), "/socket"),
    Case("somebody", Let(), bearer(scope="pay"), "/socket"),
    Case("a cookie by our page", Let(), cookie(SAME_ORIGIN, scope="pay"), "/socket"),
    Case("a cookie by a named page", Let(), cookie(APP, scope="pay"), "/socket"),
    Case("a cookie by another page", OTHER_ORIGIN, cookie(EVIL, scope="pay"), "/socket"),
    Case("a cookie by who knows whom", NO_WORD, cookie(scope="pay"), "/socket"),
]


class TestWebsockets:
    @pytest.mark.parametrize("face", [face for face in SOCKETS if (face, "/socket") not in CANNOT])
    @pytest.mark.parametrize("case", SOCKET_CASES, ids=[case.name for case in SOCKET_CASES])
    def test_a_handshake_is_answered_like_a_request(
        self, face: str, case: Case, watchword_issuer: PretendIssuer
    ) -> None:
        """Where the server can refuse a handshake by HTTP, the refusal is the same answer."""
        said = self.said(face, case.request(watchword_issuer), watchword_issuer, denial=True)
        if isinstance(case.expect, Refuse):
            case.expect.check(denial_of(said), "GET")
        else:
            assert {"type": "websocket.send", "text": "usr_ada"} in [
                {name: message[name] for name in ("type", "text") if name in message} for message in said
            ]

    @pytest.mark.parametrize("face", SOCKETS)
    def test_without_that_it_is_closed(self, face: str, watchword_issuer: PretendIssuer) -> None:
        """Policy violation, 1008, and never accepted."""
        said = self.said(face, Request(path="/socket"), watchword_issuer, denial=False)
        assert [(message["type"], message["code"]) for message in said] == [("websocket.close", 1008)]

    def said(
        self, face: str, request: Request, issuer: PretendIssuer, *, denial: bool
    ) -> list[dict[str, object]]:
        module = import_module(f"tests.frameworks.face_{face}")
        issuer.take_over(module.GUARD)
        return [dict(message) for message in connect_asgi(module.app, request, denial=denial)]
