"""The scope of an access token (RFC 6749 3.3): words of visible ASCII, in no order, none twice."""

from __future__ import annotations

import re
from collections.abc import Iterable

from watchword.errors import InvalidScope

__all__ = ["format_scope", "parse_scope", "scope_words"]

_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}\Z")


def parse_scope(text: str) -> tuple[str, ...]:
    """Split a scope parameter into its words, in order and each once (RFC 6749 3.3).

    Raises:
        InvalidScope: a word holds a character the grammar does not allow, or the text is over 4 kB.
    """
    if len(text) > 4096:
        raise InvalidScope("the scope is too long")
    words = tuple(dict.fromkeys(text.split(" "))) if text else ()
    for word in words:
        if not _TOKEN.match(word):
            raise InvalidScope("the scope holds a character that RFC 6749 does not allow")
    return words


def scope_words(text: str) -> tuple[str, ...]:
    """The words of a scope that was granted: parted by spaces and nothing else (RFC 6749 3.3).

    Other white space stays inside its word, which then is none that anybody asks for.
    """
    words = text.split(" ")
    return tuple(filter(None, words)) if "" in words else tuple(words)


def format_scope(words: Iterable[str]) -> str:
    """Join scope words with one space each (RFC 6749 3.3)."""
    return " ".join(words)
