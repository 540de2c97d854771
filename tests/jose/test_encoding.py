"""Strict base64url and strict JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.errors import InvalidKey, InvalidToken, MalformedContent
from watchword.jose.encoding import decode_base64url, encode_base64url, parse_json, parse_json_object


class TestBase64url:
    @given(st.binary(max_size=200))
    def test_what_is_encoded_is_decoded(self, data: bytes) -> None:
        """Every byte string has one text, and it comes back, from a text and from bytes."""
        text = encode_base64url(data)
        assert decode_base64url(text) == data
        assert decode_base64url(text.encode()) == data

    @given(st.text(alphabet="ABCDwxyz0189-_=+/. \n", max_size=12))
    def test_req_j02_no_text_but_the_encoder_s_is_decoded(self, text: str) -> None:
        """Whatever decodes is what encoding gives: no second spelling of the same bytes exists."""
        try:
            data = decode_base64url(text)
        except InvalidToken:
            return
        assert encode_base64url(data) == text

    @pytest.mark.parametrize(
        "text",
        [
            "A",
            "AAAAA",
            "QQ==",
            "QQ=",
            "QR",
            "QUF",
            "QUE\n",
            "Q U",
            "QUE ",
            "Q+",
            "Q/",
            "QUé",
            "QU\ud800",
            "QUE.",
            "\0",
        ],
    )
    def test_req_j02_padding_space_stray_bits_and_impossible_lengths_are_refused(self, text: str) -> None:
        """Each is a second spelling that a lenient decoder would take."""
        with pytest.raises(InvalidToken):
            decode_base64url(text)


NESTED = b'{"a":' * 16 + b"1" + b"}" * 16


class TestJson:
    @pytest.mark.parametrize(
        "text",
        [
            pytest.param(b'{"a":1,"a":2}', id="a name twice"),
            pytest.param(b'{"a":1,"\\u0061":2}', id="a name twice, once escaped"),
            pytest.param(b'[{"b":{"a":1,"a":1}}]', id="a name twice, deep inside"),
            pytest.param(b"NaN", id="not a number"),
            pytest.param(b"[Infinity]", id="infinity"),
            pytest.param(b"[-Infinity]", id="minus infinity"),
            pytest.param(b"1e400", id="beyond every float"),
            pytest.param(b"[-1e999999999]", id="far beyond every float"),
            pytest.param(b'{"a":1}x', id="trailing data"),
            pytest.param(b"{}{}", id="two texts"),
            pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
            pytest.param("{}".encode("utf-16"), id="UTF-16"),
            pytest.param(b'"\xe9"', id="Latin 1"),
            pytest.param(b'"\xed\xa0\x80"', id="an encoded surrogate"),
            pytest.param(b'"\\ud800"', id="half a character"),
            pytest.param(b'"\xc0\xaf"', id="an overlong character"),
            pytest.param(b"{'a':1}", id="single quotes"),
            pytest.param(b"[1,]", id="a trailing comma"),
            pytest.param(b"[01]", id="a leading zero"),
            pytest.param(b"[+1]", id="a plus"),
            pytest.param(b'"a\nb"', id="a bare line end"),
            pytest.param(b"// x\n1", id="a comment"),
            pytest.param(b"", id="nothing"),
            pytest.param(b"{", id="torn"),
            pytest.param(b'"\\', id="torn in an escape"),
            pytest.param(b"1" * 21, id="21 digits"),
            pytest.param(b'{"n":-' + b"9" * 21 + b"}", id="21 digits below zero"),
            pytest.param(b"9" * 6000, id="6000 digits"),
            pytest.param(b"[" * 20_000, id="20 000 arrays deep"),
            pytest.param(b'{"a":' * 20_000, id="20 000 objects deep"),
            pytest.param(b"[" * 17 + b"]" * 17, id="one too deep"),
        ],
    )
    def test_req_j03_a_text_with_a_second_reading_is_refused(self, text: bytes) -> None:
        """What two parsers could take differently is no JSON here."""
        with pytest.raises(InvalidToken):
            parse_json(text)

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            (b' {"a" : [1, 2.5, -0.0, true, null, "x"]}\n', {"a": [1, 2.5, -0.0, True, None, "x"]}),
            (b'"\\u00e9\\ud83d\\ude00"', "é😀"),
            ('"é😀"'.encode(), "é😀"),
            (b"99999999999999999999", 99999999999999999999),
            (b"-99999999999999999999", -99999999999999999999),
            (b'{"number":"123456789012345678901234567890"}', {"number": "123456789012345678901234567890"}),
            (b"0.1234567890123456789012345", 0.1234567890123456789012345),
            (b"1E5", 100000.0),
            (b'{"brackets":"[[[[[[[[[[[[[[[[[[{{{{\\"[[["}', {"brackets": '[[[[[[[[[[[[[[[[[[{{{{"[[['}),
            (b"[" + b"[]," * 40 + b"[]]", [[] for _ in range(41)]),
        ],
    )
    def test_ordinary_json_is_read(self, text: bytes, value: Any) -> None:
        """White space, escapes, long numbers in texts and brackets in texts harm nothing."""
        assert parse_json(text) == value

    def test_req_j20_sixteen_levels_are_the_most(self) -> None:
        """The sixteenth passes, the seventeenth does not; another limit may be named."""
        assert parse_json(NESTED)["a"]["a"] is not None
        with pytest.raises(InvalidToken):
            parse_json(b"[" + NESTED + b"]")
        assert parse_json(b"[" + NESTED + b"]", max_depth=17)
        with pytest.raises(InvalidToken):
            parse_json(b"[[[]]]", max_depth=2)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
            | st.integers(min_value=-(10**20) + 1, max_value=10**20 - 1),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
            max_leaves=12,
        )
    )  # fmt: skip
    def test_what_json_writes_is_read_the_same(self, value: Any) -> None:
        """Over every way to write it: with and without spaces, with and without escapes."""
        for ascii_only in (True, False):
            for separators in ((",", ":"), (", ", ": ")):
                try:
                    text = json.dumps(value, ensure_ascii=ascii_only, separators=separators).encode()
                except UnicodeEncodeError:
                    continue
                assert parse_json(text) == json.loads(text)

    @pytest.mark.parametrize("text", [b"[]", b'"{}"', b"1", b"null", b"true"])
    def test_an_object_is_an_object(self, text: bytes) -> None:
        """Where an object is due nothing else will do, and the caller names the error."""
        with pytest.raises(InvalidToken):
            parse_json_object(text)
        with pytest.raises(InvalidKey):
            parse_json_object(text, error=InvalidKey)
        with pytest.raises(MalformedContent):
            parse_json_object(b"{", error=MalformedContent)
        assert parse_json_object(b"{}") == {}
