"""RFC 7519, JSON Web Token: its examples and what its sections demand."""

from __future__ import annotations

import pytest

from tests.jose.forge import ISSUER, NOW, claims, header, public, token
from watchword.errors import InvalidToken
from watchword.jose import jws, jwt
from watchword.jose.algorithms import ALGORITHMS
from watchword.jose.encoding import parse_json_object
from watchword.jose.jwk import Key, KeySet
from watchword.protocol import access_token

SECRET = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
EXAMPLE = (
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)
UNSECURED = (
    "eyJhbGciOiJub25lIn0"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    "."
)


class TestSection3:
    def test_3_1_the_example(self) -> None:
        """Its signature holds and its claims are those of the text."""
        keys = KeySet([Key.parse({"kty": "oct", "k": SECRET})])
        _, payload, _ = jws.verify(EXAMPLE, keys, typ="jwt", algorithms=["HS256"])
        found = parse_json_object(payload)
        assert found == {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}
        jwt.check_issuer(found["iss"], "joe")
        with pytest.raises(InvalidToken):
            jwt.check_times(exp=found["exp"], iat=0, now=1300819380)

    def test_req_a02_3_1_the_example_is_no_access_token(self) -> None:
        """Though a key of ours signed it: its type is JWT (RFC 9068 4)."""
        keys = KeySet([Key.parse({"kty": "oct", "k": SECRET})])
        with pytest.raises(InvalidToken):
            access_token.verify(EXAMPLE, keys, issuer="joe", audience="x", algorithms=["HS256"], now=0)


class TestSection6:
    def test_req_j05_6_1_the_unsecured_example(self) -> None:
        """Refused by every set of keys."""
        for keys in (public("ES256"), KeySet([Key.parse({"kty": "oct", "k": SECRET})]), KeySet([])):
            with pytest.raises(InvalidToken):
                jws.verify(UNSECURED, keys, typ=None, algorithms={*ALGORITHMS, "none"})


class TestSection4:
    def test_req_j16_4_a_claim_twice(self) -> None:
        """A parser that takes the last may see another user than one that takes the first."""
        with pytest.raises(InvalidToken):
            parse_json_object(b'{"sub":"usr_ada","sub":"usr_eve"}')

    @pytest.mark.parametrize(("seconds", "good"), [(0, False), (-1, True), (1, False)])
    def test_req_j17_4_1_4_on_or_after_exp_it_must_not_be_accepted(self, seconds: int, good: bool) -> None:
        """The second of ``exp`` itself is after."""
        found = token(header(), claims(exp=NOW + 100))
        call = {"issuer": ISSUER, "audience": "api", "algorithms": ["ES256"], "now": NOW + 100 + seconds}
        if good:
            assert access_token.verify(found, public("ES256"), **call)
        else:
            with pytest.raises(InvalidToken):
                access_token.verify(found, public("ES256"), **call)

    def test_req_j19_4_1_3_an_audience_that_does_not_name_us_must_be_rejected(self) -> None:
        """A text, or an array of texts, compared whole."""
        for aud, good in ((["a", "api"], True), ("api", True), (["a"], False), ("a api", False), ([], False)):
            assert ("api" in jwt.audiences({"aud": aud})) is good

    def test_req_j17_2_a_numeric_date_may_have_a_fraction(self) -> None:
        """Non-integer values can be represented."""
        assert jwt.require_numeric_date({"exp": 1300819380.5}, "exp") == 1300819380.5


class TestSection7:
    def test_req_j01_7_2_a_token_must_have_a_period(self) -> None:
        """Step 1; and only the base64url alphabet between them."""
        for text in ("", "abc", "a b.c.d", "a.b.c\n"):
            with pytest.raises(InvalidToken):
                jws.parse(text)
