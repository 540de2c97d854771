"""A guard sees the same request through every face, and leaves it as it was."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace
from typing import Any

import pytest

from tests.frameworks.face_request import LIMIT, load
from tests.frameworks.faces import FACES
from tests.frameworks.wire import Request
from watchword.errors import ConfigurationError, ContentTooLarge, InvalidRequest
from watchword.frameworks import asgi
from watchword.guard.request import EnvironRequest, PlainRequest

SENT = Request(
    "POST",
    "/see/%C3%A9/a%2Cb",
    (
        ("Content-Type", "application/json"),
        ("Cookie", "seat=1; other=x; seat=2;seat; =3"),
        ("Content-Language", "en"),
    ),
    "q=%20&q=a+b",
    b'{"amount": 1}',
)
SEEN = {
    "method": "POST",
    "scheme": "http",
    "authority": "api",
    "path": "/see/%C3%A9/a%2Cb",
    "query": "q=%20&q=a+b",
    "content-type": ["application/json"],
    "absent": [],
    "seat": ["1", "2"],
    "body": '{"amount": 1}',
}


def ask(face: str, request: Request) -> dict[str, Any]:
    answer = load(face)(request)
    assert answer.status == 200, answer
    found: dict[str, Any] = json.loads(answer.body)
    return found


class TestEveryFace:
    @pytest.mark.parametrize("face", FACES)
    def test_a_guard_sees_what_was_sent(self, face: str) -> None:
        """Method, path, query, fields, cookies and body are those of the client; the view reads the body again."""
        assert ask(face, SENT) == {"seen": SEEN, "body": '{"amount": 1}'}

    @pytest.mark.parametrize("face", FACES)
    def test_a_body_past_the_limit_is_413(self, face: str) -> None:
        """It is refused for its size before a view runs."""
        body = json.dumps({"amount": "1" * LIMIT}).encode()
        assert ask(face, replace(SENT, body=body))["seen"] == {"refused": 413}


class TestRead:
    @pytest.mark.parametrize("face", ["starlette", "flask"])
    def test_what_was_read_before_is_not_taken_for_empty(self, face: str) -> None:
        """A form that somebody looked at leaves no bytes, so that its digest cannot be known: refused."""
        form = (("Content-Type", "application/x-www-form-urlencoded"),)
        assert ask(face, replace(SENT, fields=form, body=b"a=1", query="read=1"))["seen"] == {"refused": 400}


class TestWsgi:
    def environ(self, body: bytes, **more: Any) -> dict[str, Any]:
        return {"REQUEST_METHOD": "POST", "PATH_INFO": "/", "wsgi.input": io.BytesIO(body), **more}

    def test_a_body_ends_at_its_length(self) -> None:
        """What follows on the connection is somebody else's."""
        environ = self.environ(b"hello GET /", CONTENT_LENGTH="5")
        assert EnvironRequest(environ).body() == b"hello"
        assert environ["wsgi.input"].read() == b"hello"

    def test_without_a_length_there_is_none(self) -> None:
        """And nothing is read of a connection whose end is not known."""
        environ = self.environ(b"GET /")
        assert EnvironRequest(environ).body() == b""
        assert environ["wsgi.input"].read() == b"GET /"

    def test_a_body_in_pieces(self) -> None:
        """It is read where the server says that it ends, at most so far; elsewhere it is refused."""
        chunked = {"HTTP_TRANSFER_ENCODING": "chunked"}
        whole = self.environ(b"hello", **chunked, **{"wsgi.input_terminated": True})
        assert EnvironRequest(whole).body(5) == b"hello"
        long = self.environ(b"hello!", **chunked, **{"wsgi.input_terminated": True})
        with pytest.raises(ContentTooLarge):
            EnvironRequest(long).body(5)
        with pytest.raises(InvalidRequest):
            EnvironRequest(self.environ(b"hello", **chunked)).body()

    @pytest.mark.parametrize("length", ["-1", "1e3", "+5", "9" * 30])
    def test_a_length_that_is_none(self, length: str) -> None:
        """It is the client's mistake."""
        with pytest.raises(InvalidRequest):
            EnvironRequest(self.environ(b"", CONTENT_LENGTH=length)).body()

    def test_a_body_cut_short(self) -> None:
        """A client that left, or a reader before us: what is missing cannot be vouched for."""
        with pytest.raises(InvalidRequest):
            EnvironRequest(self.environ(b"hel", CONTENT_LENGTH="5")).body()

    def test_the_path_is_the_one_that_runs(self) -> None:
        """A raw target that leads elsewhere than the view's path is not believed."""
        environ = self.environ(b"", SCRIPT_NAME="/v1", RAW_URI="/v1/free?x", PATH_INFO="/pay ment")
        assert EnvironRequest(environ).path == "/v1/pay%20ment"
        assert EnvironRequest({**environ, "RAW_URI": "/v1/pay%20ment?x"}).path == "/v1/pay%20ment"
        assert EnvironRequest({**environ, "RAW_URI": "/v1/%70ay%20ment"}).path == "/v1/%70ay%20ment"


class TestAsgi:
    def scope(self, kind: str = "http", **more: Any) -> dict[str, Any]:
        return {"type": kind, "path": "/pay", "headers": [], **more}

    async def gone(self) -> dict[str, Any]:
        return {"type": "http.disconnect"}

    def test_a_client_that_leaves_is_refused(self) -> None:
        """Half a body is no body."""
        request = asgi.request_of(self.scope(), self.gone)
        with pytest.raises(InvalidRequest):
            asyncio.run(request.receive())

    def test_a_body_is_waited_for(self) -> None:
        """Who asks for it without having waited has made a mistake of his own."""
        with pytest.raises(ConfigurationError):
            asgi.request_of(self.scope(), self.gone).body()

    def test_a_handshake_has_no_body(self) -> None:
        """It is a GET, and its messages are not touched."""
        request = asgi.request_of(self.scope("websocket"), self.gone)
        asyncio.run(request.receive())
        assert (request.method, request.body()) == ("GET", b"")

    def test_the_path_is_the_one_that_runs(self) -> None:
        """A raw path that leads elsewhere than the view's path is not believed."""
        assert asgi.request_of(self.scope(raw_path=b"/free"), self.gone).path == "/pay"
        assert asgi.request_of(self.scope(raw_path=b"/%70ay"), self.gone).path == "/%70ay"


class TestPlain:
    def test_a_program_makes_its_own(self) -> None:
        """A caller without a framework says what he has."""
        request = PlainRequest("GET", "https://api.example.com/a?b=c", (("Accept", "text/plain"),))
        assert (request.scheme, request.authority, request.path, request.query) == (
            "https",
            "api.example.com",
            "/a",
            "b=c",
        )
        assert request.values("accept") == ["text/plain"]
        assert PlainRequest("GET", "https://api.example.com").path == "/"
