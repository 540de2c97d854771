"""RFC 7617, Basic: its examples."""

from __future__ import annotations

import pytest

from watchword.errors import InvalidRequest, InvalidToken
from watchword.protocol.basic import parse_basic
from watchword.protocol.challenge import parse_authorization


def pair(field: str) -> tuple[str, str]:
    credentials = parse_authorization([field])
    assert credentials.scheme == "basic"
    return parse_basic(credentials.token)


class TestSection2:
    def test_2_the_example(self) -> None:
        """Aladdin's."""
        assert pair("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==") == ("Aladdin", "open sesame")

    def test_2_1_the_example_in_utf_8(self) -> None:
        """A pound sign in the password."""
        assert pair("Basic dGVzdDoxMjPCow==") == ("test", "123£")

    def test_req_x18_2_the_first_colon_parts(self) -> None:
        """A user name has none, a password may."""
        assert pair("Basic YTpiOmM6ZA==") == ("a", "b:c:d")

    def test_req_a07_2_the_scheme_compares_without_case(self) -> None:
        """As every scheme does."""
        assert pair("bAsIc YTpi") == ("a", "b")

    def test_f_b13_several_spaces(self) -> None:
        """RFC 9110 11.4 puts ``1*SP`` between the scheme and the credentials."""
        assert pair("Basic   YTpi") == ("a", "b")

    @pytest.mark.parametrize(
        "field", ["Basic QWxhZGRpbg==", "Basic YToA", "Basic YQBiOmM=", "Basic /zph", "Basic YTpi="]
    )
    def test_req_x18_2_what_must_not_be_in_it(self, field: str) -> None:
        """No colon, a control character, no UTF-8, not canonical."""
        with pytest.raises(InvalidToken):
            pair(field)

    @pytest.mark.parametrize("field", ["Basic", "Basic ", "Basic !!!!", "Basic\tYTpi"])
    def test_what_is_no_credential(self, field: str) -> None:
        """Refused before it is decoded."""
        with pytest.raises(InvalidToken):
            pair(field)

    def test_req_a05_two_pairs_are_none(self) -> None:
        """Nobody chooses between them."""
        with pytest.raises(InvalidRequest):
            pair("Basic YTpi, Basic YTpi")
