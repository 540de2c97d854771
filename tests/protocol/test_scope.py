"""Scope: words of visible ASCII, parted by spaces."""

from __future__ import annotations

import pytest

from watchword.errors import InvalidScope
from watchword.protocol.scope import format_scope, parse_scope, scope_words


class TestParseScope:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", ()),
            ("read", ("read",)),
            ("b a b", ("b", "a")),
            ("salaries:read a/b!#[]~", ("salaries:read", "a/b!#[]~")),
        ],
    )
    def test_words_come_in_order_and_once(self, text: str, words: tuple[str, ...]) -> None:
        """As they were asked for (RFC 6749 3.3)."""
        assert parse_scope(text) == words

    @pytest.mark.parametrize(
        "text",
        [
            " ",
            "a  b",
            " a",
            "a ",
            "a\tb",
            "a\nb",
            'a"b',
            "a\\b",
            "é",
            "a\u00a0b",
            "\0",
            "x" * 129,
            "a " * 3000,
        ],
    )
    def test_what_the_grammar_does_not_allow_is_refused(self, text: str) -> None:
        """Quotes, backslashes, white space, letters beyond ASCII, words without end."""
        with pytest.raises(InvalidScope):
            parse_scope(text)


class TestWords:
    def test_a_granted_scope_is_parted_by_spaces(self) -> None:
        """And is never refused: it was signed."""
        assert scope_words("a  b ") == ("a", "b")
        assert scope_words("a\u00a0b\tc") == ("a\u00a0b\tc",)
        assert scope_words("") == ()

    def test_what_is_formatted_is_parsed(self) -> None:
        """One space between words."""
        assert format_scope(["a", "b"]) == "a b"
        assert parse_scope(format_scope(("x", "y"))) == ("x", "y")
