"""The registered claims and their rules."""

from __future__ import annotations

from typing import Any

import pytest

from watchword.errors import InvalidToken
from watchword.jose import jwt

NOW = 1_900_000_000


class TestNumericDate:
    @pytest.mark.parametrize("value", [0, 1, 1.5, 2**53, 0.0])
    def test_a_number_of_seconds_is_a_time(self, value: float) -> None:
        """Whole or with a fraction."""
        assert jwt.numeric_date({"exp": value}, "exp") == value
        assert jwt.require_numeric_date({"exp": value}, "exp") == value

    @pytest.mark.parametrize(
        "value",
        ["1", "", True, False, None, [], [1], {}, -1, -0.5, 2**53 + 1, 1e300, float("inf"), float("nan")],
    )
    def test_req_j17_nothing_else_is_a_time(self, value: Any) -> None:
        """Texts, bools, null, arrays, what lies before the epoch or beyond every clock."""
        for read in (jwt.numeric_date, jwt.require_numeric_date):
            with pytest.raises(InvalidToken) as found:
                read({"exp": value}, "exp")
            assert found.value.description == "the claim exp is not a time"

    def test_an_absent_time_is_none_unless_it_is_required(self) -> None:
        """The sentence says which claim is missing."""
        assert jwt.numeric_date({}, "nbf") is None
        with pytest.raises(InvalidToken) as found:
            jwt.require_numeric_date({}, "exp")
        assert found.value.description == "the claim exp is missing"


class TestTimes:
    @pytest.mark.parametrize(
        ("times", "leeway", "good"),
        [
            ({"exp": NOW + 1, "iat": NOW}, 0, True),
            ({"exp": NOW, "iat": NOW}, 0, False),
            ({"exp": NOW - 1, "iat": NOW - 9}, 0, False),
            ({"exp": NOW + 0.001, "iat": NOW}, 0, True),
            ({"exp": NOW - 29, "iat": NOW - 99}, 30, True),
            ({"exp": NOW - 30, "iat": NOW - 99}, 30, False),
            ({"exp": NOW + 9, "iat": NOW + 1}, 0, False),
            ({"exp": NOW + 99, "iat": NOW + 30}, 30, True),
            ({"exp": NOW + 99, "iat": NOW + 31}, 30, False),
            ({"exp": NOW + 9, "iat": NOW, "nbf": NOW}, 0, True),
            ({"exp": NOW + 9, "iat": NOW, "nbf": NOW + 1}, 0, False),
            ({"exp": NOW + 99, "iat": NOW, "nbf": NOW + 30}, 30, True),
            ({"exp": NOW + 99, "iat": NOW, "nbf": NOW + 31}, 30, False),
        ],
    )
    def test_req_j17_a_token_lives_between_its_times(
        self, times: dict[str, float], leeway: float, good: bool
    ) -> None:
        """``exp`` itself is too late, ``nbf`` and ``iat`` themselves are not too early; the leeway moves each."""
        if good:
            jwt.check_times(**times, now=NOW, leeway=leeway)
        else:
            with pytest.raises(InvalidToken):
                jwt.check_times(**times, now=NOW, leeway=leeway)


class TestIssuer:
    @pytest.mark.parametrize(
        "iss", ["https://a.example/", "https://A.example", "https://a.exampl", "https://a.example.org", "", None, 1,
                ["https://a.example"], {"iss": "https://a.example"}]
    )  # fmt: skip
    def test_req_j18_the_issuer_is_compared_byte_by_byte(self, iss: Any) -> None:
        """A slash, a capital, a prefix, an array that holds it: another issuer."""
        jwt.check_issuer("https://a.example", "https://a.example")
        with pytest.raises(InvalidToken):
            jwt.check_issuer(iss, "https://a.example")


class TestAudience:
    @pytest.mark.parametrize("aud", ["api", ["api"], ["other", "api"], ["api", "api"]])
    def test_req_j19_we_are_named(self, aud: Any) -> None:
        """As a text or in an array of texts."""
        jwt.check_audience(jwt.audiences({"aud": aud}), "api")

    @pytest.mark.parametrize(
        "aud", [None, "", "ap", "api2", "API", "api/", "*", "other api", [], ["other"], [["api"]], ["api", 1],
                ["api", None], {"api": 1}, {"0": "api"}, 1, True]
    )  # fmt: skip
    def test_req_j19_nothing_else_names_us(self, aud: Any) -> None:
        """Prefixes, wild cards, lists with something else in them, objects, an absent claim."""
        with pytest.raises(InvalidToken):
            jwt.check_audience(jwt.audiences({"aud": aud}), "api")
        with pytest.raises(InvalidToken):
            jwt.check_audience(jwt.audiences({}), "api")
