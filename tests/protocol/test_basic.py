"""Basic credentials: one text, one reading."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.errors import InvalidToken
from watchword.protocol.basic import format_basic, parse_basic

_letters = st.characters(blacklist_categories=["Cs", "Cc"])


def encoded(data: bytes) -> str:
    return b64encode(data).decode()


class TestParseBasic:
    @given(
        st.text(alphabet=_letters.filter(lambda c: c != ":"), max_size=40),
        st.text(alphabet=_letters, max_size=40),
    )
    def test_a_pair_is_read_back(self, user_name: str, password: str) -> None:
        """Any letters; the first colon parts, so a password may hold colons."""
        assert parse_basic(encoded(f"{user_name}:{password}".encode())) == (user_name, password)
        assert parse_basic(format_basic(user_name, password)) == (user_name, password)

    @pytest.mark.parametrize(
        "token",
        [
            pytest.param("", id="nothing"),
            pytest.param(encoded(b"Aladdin"), id="no colon"),
            pytest.param(encoded(b"a:b").rstrip("=") + "A", id="not of this length"),
            pytest.param("YTpiYw", id="no padding"),
            pytest.param("YTpiYx==", id="stray bits"),
            pytest.param("YTpi=", id="padding that is not due"),
            pytest.param("YTp-Yw==", id="base64url"),
            pytest.param("YTpi\n", id="a line end"),
            pytest.param("YTp iYw==", id="a space"),
            pytest.param("é", id="no ASCII"),
            pytest.param("\ud800", id="half a character"),
            pytest.param(encoded(b"a:\xff"), id="no UTF-8"),
            pytest.param(encoded(b"a\0:b"), id="NUL in the name"),
            pytest.param(encoded(b"a:b\0"), id="NUL in the password"),
            pytest.param(encoded(b"a:b\r\nx"), id="a line end in the password"),
            pytest.param(encoded(b"a:b\x7f"), id="DEL"),
            pytest.param(encoded(b"a:" + b"x" * 20_000), id="too long"),
        ],
    )
    def test_req_x18_anything_else_is_refused(self, token: str) -> None:
        """By our own error, and without a word of what came."""
        with pytest.raises(InvalidToken) as found:
            parse_basic(token)
        assert "Basic credentials are" in found.value.description
