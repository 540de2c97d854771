"""Problem documents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from watchword.errors import (
    InvalidInput,
    InvalidToken,
    MissingCredentials,
    TemporarilyUnavailable,
    WatchwordError,
)
from watchword.protocol.problem import MEDIA_TYPE, problem, simple


def every_error(root: type[WatchwordError] = WatchwordError) -> Iterator[type[WatchwordError]]:
    """Every class of the tree that has a code of its own."""
    for child in root.__subclasses__():
        yield from every_error(child)
        if "error" in vars(child):
            yield child


class TestProblem:
    @pytest.mark.parametrize("error", sorted(every_error(), key=lambda found: found.__name__))
    def test_req_a12_every_error_is_a_whole_document(self, error: type[WatchwordError]) -> None:
        """type, title, status, detail, and the word; the type is a stable URI made of the word (RFC 9457 3.1)."""
        raised = error("what happened")
        document = problem(raised)
        assert document["type"] == f"urn:watchword:error:{error.error}"
        assert (document["title"], document["status"], document["error"]) == (
            error.title,
            error.status,
            error.error,
        )
        assert document["detail"]
        assert 400 <= document["status"] < 600

    def test_bad_input_names_each_field(self) -> None:
        """So that a form can show it there."""
        document = problem(
            InvalidInput("two fields", errors=[("email", "is no address"), ("password", "is short")])
        )
        assert document["errors"] == [
            {"field": "email", "message": "is no address"},
            {"field": "password", "message": "is short"},
        ]
        assert "errors" not in problem(InvalidToken())

    def test_the_media_type(self) -> None:
        """RFC 9457 3."""
        assert MEDIA_TYPE == "application/problem+json"


class TestSimple:
    def test_the_two_members(self) -> None:
        """What a tutorial's client reads; why a token was refused stays in the log."""
        assert simple(InvalidToken("the signature does not verify")) == {
            "error": "Unauthorized",
            "message": "Invalid or expired token",
        }
        assert simple(MissingCredentials())["error"] == "Unauthorized"
        assert simple(TemporarilyUnavailable("too old")) == {
            "error": "Service Unavailable",
            "message": "too old",
        }
        assert simple(WatchwordError("x"))["error"] == "Error"
