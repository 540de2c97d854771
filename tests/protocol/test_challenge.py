"""The Authorization field as it is read, the challenge as it is written."""

from __future__ import annotations

import pytest

from watchword.errors import (
    InsufficientScope,
    InvalidInput,
    InvalidRequest,
    InvalidToken,
    MissingCredentials,
    NotFound,
    ServerError,
    TemporarilyUnavailable,
)
from watchword.protocol.challenge import MAX_SIZE, holds_token, parse_authorization, www_authenticate


class TestParseAuthorization:
    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
    def test_req_a07_the_scheme_compares_without_case(self, scheme: str) -> None:
        """From a text and from bytes."""
        for value in (f"{scheme} abc.DEF-_~+/==", f"{scheme} abc.DEF-_~+/==".encode()):
            found = parse_authorization([value])
            assert (found.scheme, found.token) == ("bearer", "abc.DEF-_~+/==")

    @pytest.mark.parametrize(
        "value",
        ["", " ", "Bearer", "Bearer ", "Bearer \tx", "Bearer\tx", "Bearer x y", "Bearer x,y",
         "\u00a0Bearer x", "Bearer x\n", "Bearer é", "Béarer x", "Bearer =", "Bearer a=b", "Bearer x\0", "(x) y",
         b"Bearer \xff", "Bearer \u00a0x", 'Bearer "x"'],
    )  # fmt: skip
    def test_req_a07_one_space_and_one_credential(self, value: str | bytes) -> None:
        """Everything else is refused as a bad token, so that no two readers of a request differ."""
        with pytest.raises(InvalidToken):
            parse_authorization([value])

    @pytest.mark.parametrize(
        "value", ["Bearer  x", "Bearer    x", " Bearer x", "Bearer x ", "\tBearer x \t", b"Bearer x "]
    )
    def test_f_b11_b13_spaces_around_a_value_and_behind_the_scheme_are_no_part_of_it(
        self, value: str | bytes
    ) -> None:
        """RFC 9110 5.5 takes them off, and 11.4 allows several spaces behind the scheme."""
        found = parse_authorization([value])
        assert (found.scheme, found.token) == ("bearer", "x")

    @pytest.mark.parametrize("value", ["Bearer x, Bearer y", "Bearer x,Basic y", b"Basic x, bearer y"])
    def test_req_a05_two_credentials_in_one_field_are_a_bad_request(self, value: str | bytes) -> None:
        """As two fields are: they may have been joined on the way."""
        with pytest.raises(InvalidRequest):
            parse_authorization([value])

    def test_req_a07_two_fields_are_refused(self) -> None:
        """Even when they say the same."""
        with pytest.raises(InvalidRequest) as found:
            parse_authorization(["Bearer x", "Bearer x"])
        assert found.value.description == "credentials came twice"

    def test_req_a04_no_field_is_no_credentials(self) -> None:
        """Which is another thing than bad ones."""
        with pytest.raises(MissingCredentials):
            parse_authorization([])

    def test_a_field_without_end_is_not_searched(self) -> None:
        """16 384 characters are the most; a token of 8 kB fits as the password of a Basic pair."""
        assert parse_authorization(["Bearer " + "x" * (MAX_SIZE - 7)])
        for value in ("Bearer " + "x" * (MAX_SIZE - 6), b"Bearer " + b"x" * 10_000_000, "=" * 10_000_000):
            with pytest.raises(InvalidToken):
                parse_authorization([value])

    def test_a_token_is_not_shown(self) -> None:
        """Neither by repr nor by str: both end in logs."""
        found = parse_authorization(["Bearer s3cret"])
        assert "s3cret" not in f"{found!r} {found}"
        assert "bearer" in f"{found!r}"


class TestQuery:
    @pytest.mark.parametrize(
        "query",
        [b"access_token=x", b"access_token", b"a=1&access_token=x", b"a=1;access_token=x", b"%61ccess_token=x",
         b"access%5Ftoken=x", b"a&%61%63%63%65%73%73_token=", b"access_token=&access_token=",
         b"access%5ftoken;x", b"&%" * 15_000 + b"&%61ccess_token"],
    )  # fmt: skip
    def test_req_a06_a_token_in_the_query_is_seen(self, query: bytes) -> None:
        """However its name is spelled (RFC 6750 2.3)."""
        assert holds_token(query)

    @pytest.mark.parametrize(
        "query",
        [b"", b"a=access_token", b"access=1", b"x%", b"access_tokens=1", b"\xff=%ff",
         b"access_token%3D", b"%2561ccess_token", b"Access_Token=1", b"xaccess_token=%"],
    )  # fmt: skip
    def test_any_other_query_is_let_through(self, query: bytes) -> None:
        """A value that says access_token is no token."""
        assert not holds_token(query)


class TestChallenge:
    def test_req_a04_without_credentials_it_is_bare(self) -> None:
        """An error code would tell a client that never tried that it failed (RFC 6750 3.1)."""
        assert www_authenticate(MissingCredentials()) == "Bearer"
        assert www_authenticate(MissingCredentials(), realm="pay") == 'Bearer realm="pay"'
        assert www_authenticate(MissingCredentials(), scheme="Basic", realm="x") == 'Basic realm="x"'

    def test_req_a05_each_error_has_its_code(self) -> None:
        """401 invalid_token, 400 invalid_request, 403 insufficient_scope with the scope that is lacking."""
        token, request = InvalidToken("too old"), InvalidRequest("twice")
        scope = InsufficientScope("no", scope=("a:read", "b"))
        assert (token.status, request.status, scope.status) == (401, 400, 403)
        assert www_authenticate(token) == 'Bearer error="invalid_token", error_description="too old"'
        assert www_authenticate(request) == 'Bearer error="invalid_request", error_description="twice"'
        assert www_authenticate(scope, realm="pay") == (
            'Bearer realm="pay", error="insufficient_scope", error_description="no", scope="a:read b"'
        )
        assert "scope=" not in str(www_authenticate(InsufficientScope("no")))

    @pytest.mark.parametrize(
        "error", [TemporarilyUnavailable("x"), NotFound(), ServerError(), InvalidInput("x")]
    )
    def test_no_challenge_where_credentials_would_not_help(self, error: Exception) -> None:
        """A fault of ours, or of what was asked for."""
        assert www_authenticate(error) is None  # type: ignore[arg-type]

    def test_nothing_breaks_out_of_a_quoted_string(self) -> None:
        """Quotes, backslashes, line ends and letters beyond ASCII become question marks (RFC 6750 3)."""
        challenge = www_authenticate(InvalidToken('a"b\\c\r\nSet-Cookie: é'), realm='"\n')
        expected = 'Bearer realm="??", error="invalid_token", error_description="a?b?c??Set-Cookie: ?"'
        assert challenge == expected
