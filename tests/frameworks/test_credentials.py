"""Every credential through every framework: the same caller, and one ban that ends them all. Every cell is run."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import pytest

from tests.frameworks import faces
from tests.frameworks.contract import MISSING, REVOKED, Let
from tests.frameworks.credentials import CANNOT, CREDENTIALS, Show
from tests.frameworks.faces import FACES, SOCKETS, load
from tests.frameworks.wire import Answer, Message, Request, Send, connect_asgi, denial_of
from tests.guard.late import detach
from watchword.testing import PretendIssuer

CELLS = [
    (face, path, credential)
    for face in FACES
    for path in ("/me", "/later", "/stream")
    for credential in CREDENTIALS
    if (face, path) not in faces.CANNOT and (face, credential) not in CANNOT
]


def ask(send: Send, face: str, show: Show, path: str = "/me") -> Answer:
    """One request with that credential."""
    prefix = "/rest" if face.startswith("rest") else ""
    return send(show(Request(path=path), prefix + path))


class TestCredentials:
    @pytest.mark.parametrize(("face", "path", "credential"), CELLS, ids=map(" ".join, CELLS))
    def test_n7_the_same_caller_and_the_same_end(
        self, face: str, path: str, credential: str, watchword_issuer: PretendIssuer
    ) -> None:
        """Let in as Ada; after her ban refused with the answer that every dead credential gets, and again."""
        guard, send = load(face)
        watchword_issuer.take_over(guard)
        show = CREDENTIALS[credential](watchword_issuer)
        good = Let(lines=3) if path == "/stream" else Let()
        for _ in range(2):
            good.check(ask(send, face, show, path), "GET")
        watchword_issuer.revoke(subject="usr_bob")
        good.check(ask(send, face, show, path), "GET")
        watchword_issuer.revoke(subject="usr_ada")
        for _ in range(2):
            REVOKED.check(ask(send, face, show, path), "GET")

    @pytest.mark.parametrize("face", FACES)
    def test_f_b11_b13_spaces_around_values_change_nothing(
        self, face: str, watchword_issuer: PretendIssuer
    ) -> None:
        """Spaces and tabs around every field, and several spaces behind the scheme: every credential still counts."""

        def padded(show: Show) -> Show:
            def spread(name: str, value: str) -> tuple[str, str]:
                return name, f" \t{value.replace(' ', '   ', 1) if name == 'Authorization' else value}\t "

            def change(request: Request, path: str) -> Request:
                shown = show(request, path)
                return replace(shown, fields=tuple(spread(*field) for field in shown.fields))

            return change

        guard, send = load(face)
        watchword_issuer.take_over(guard)
        for name, make in CREDENTIALS.items():
            answer = ask(send, face, padded(make(watchword_issuer)))
            assert (answer.status, name) == (200, name), answer

    @pytest.mark.parametrize("face", FACES)
    def test_n7_one_ban_ends_them_all(self, face: str, watchword_issuer: PretendIssuer) -> None:
        """All of them held at once, by one user, are all refused after one act, with one answer."""
        guard, send = load(face)
        watchword_issuer.take_over(guard)
        held = {
            name: make(watchword_issuer) for name, make in CREDENTIALS.items() if (face, name) not in CANNOT
        }
        assert {name: ask(send, face, show).status for name, show in held.items()} == dict.fromkeys(held, 200)
        watchword_issuer.revoke(subject="usr_ada")
        answers = [ask(send, face, show) for show in held.values()]
        assert all(answer == answers[0] for answer in answers)
        REVOKED.check(answers[0], "GET")

    @pytest.mark.parametrize("face", FACES)
    def test_nothing_that_was_not_shown_counts(self, face: str, watchword_issuer: PretendIssuer) -> None:
        """A request without a credential is nobody's, whoever came before on the same application."""
        guard, send = load(face)
        watchword_issuer.take_over(guard)
        for make in CREDENTIALS.values():
            Let().check(ask(send, face, make(watchword_issuer)), "GET")
            MISSING.check(send(Request()), "GET")

    @pytest.mark.parametrize("face", FACES)
    @pytest.mark.parametrize("credential", CREDENTIALS)
    def test_a_fresh_route_hears_what_the_feed_did_not_bring(
        self, face: str, credential: str, watchword_issuer: PretendIssuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where every token was taken back a key gets another; after a ban none does: in a loop and without one."""
        guard, send = load(face)
        watchword_issuer.take_over(guard)
        monkeypatch.setattr(guard._exchange, "_monotonic", watchword_issuer.clock.time)
        show = CREDENTIALS[credential](watchword_issuer)
        Let().check(ask(send, face, show, "/fresh"), "GET")
        detach(guard, watchword_issuer, monkeypatch)
        watchword_issuer.clock.advance(31)
        if "API key" in credential or credential == "signature":
            watchword_issuer.rotate_key(compromised=True)
            Let().check(ask(send, face, show, "/fresh"), "GET")
            watchword_issuer.clock.advance(31)
        watchword_issuer.revoke(subject="usr_ada")
        REVOKED.check(ask(send, face, show, "/fresh"), "GET")

    @pytest.mark.parametrize("face", SOCKETS)
    @pytest.mark.parametrize("credential", CREDENTIALS)
    def test_n7_a_websocket_takes_them_all(
        self, face: str, credential: str, watchword_issuer: PretendIssuer
    ) -> None:
        """A handshake is a request: the same caller, and after his ban the same refusal where it can be answered."""
        module = import_module(f"tests.frameworks.face_{face}")
        watchword_issuer.take_over(module.GUARD)
        show = CREDENTIALS[credential](watchword_issuer, scope="pay")

        def connect() -> list[Message]:
            return connect_asgi(module.app, show(Request(path="/socket"), "/socket"), denial=True)

        assert "usr_ada" in [message.get("text") for message in connect()]
        watchword_issuer.revoke(subject="usr_ada")
        said = connect()
        if (face, "/socket") in faces.CANNOT:
            assert [(message["type"], message["code"]) for message in said] == [("websocket.close", 1008)]
        else:
            REVOKED.check(denial_of(said), "GET")

    def test_every_cell_is_there(self) -> None:
        """Faces times kinds of views times credentials, less what is listed with a reason."""
        holes = [(face, path) for face, path in faces.CANNOT if path in ("/me", "/later", "/stream")]
        assert len(CELLS) == (len(FACES) * 3 - len(holes)) * len(CREDENTIALS) - 3 * len(CANNOT)
        assert all(
            reason and face in FACES and kind in CREDENTIALS for (face, kind), reason in CANNOT.items()
        )
