"""RFC 7515, JSON Web Signature: its short examples."""

from __future__ import annotations

import pytest

from watchword.errors import InvalidToken
from watchword.jose import jws
from watchword.jose.algorithms import ALGORITHMS
from watchword.jose.encoding import decode_base64url, encode_base64url
from watchword.jose.jwk import Key, KeySet

PAYLOAD = b'{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}'
A1_KEY = {
    "kty": "oct",
    "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
}
A1 = (
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)
A3_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
}
A3 = (
    "eyJhbGciOiJFUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
)
A5 = (
    "eyJhbGciOiJub25lIn0"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    "."
)


def verified(token: str, jwk: dict[str, str]) -> bytes:
    return jws.verify(token, KeySet([Key.parse(jwk)]), typ=None, algorithms=ALGORITHMS)[1]


class TestAppendixA:
    def test_a_1_hmac(self) -> None:
        """The MAC of A.1 verifies, and signing the same text gives the same MAC."""
        assert verified(A1, A1_KEY) == PAYLOAD
        signed, _, mac = A1.rpartition(".")
        assert encode_base64url(Key.parse(A1_KEY).sign(signed.encode())) == mac

    def test_a_1_the_header_has_white_space(self) -> None:
        """A line end and a space in the header's JSON are part of what is signed, and no fault."""
        assert jws.parse(A1).header == {"typ": "JWT", "alg": "HS256"}

    def test_a_3_ecdsa(self) -> None:
        """The signature of A.3 verifies; it is r and s, 32 bytes each."""
        assert verified(A3, A3_KEY) == PAYLOAD
        assert len(jws.parse(A3).signature) == 64

    def test_req_j10_a_3_as_der_is_refused(self) -> None:
        """The same numbers in ASN.1 are another text (RFC 7518 3.4)."""
        signed, _, signature = A3.rpartition(".")
        raw = decode_base64url(signature)
        der = b"\x30\x45\x02\x20" + raw[:32] + b"\x02\x21\x00" + raw[32:]
        with pytest.raises(InvalidToken):
            verified(f"{signed}.{encode_base64url(der)}", A3_KEY)

    def test_req_j05_a_5_unsecured(self) -> None:
        """``alg: none`` is never taken, with whatever key."""
        for jwk in (A1_KEY, A3_KEY):
            with pytest.raises(InvalidToken):
                verified(A5, jwk)


class TestAppendixC:
    def test_the_base64url_of_five_bytes(self) -> None:
        """3, 236, 255, 224, 193 is A-z_4ME."""
        assert encode_base64url(bytes([3, 236, 255, 224, 193])) == "A-z_4ME"
        assert decode_base64url("A-z_4ME") == bytes([3, 236, 255, 224, 193])


class TestAppendixE:
    def test_req_j11_an_unknown_critical_extension(self) -> None:
        """The example of a JWS that must be refused."""
        head = encode_base64url(
            b'{"alg":"none",\r\n "crit":["http://example.com/UNDEFINED"],\r\n "http://example.com/UNDEFINED":true\r\n}'
        )
        with pytest.raises(InvalidToken) as found:
            jws.parse(f"{head}.{encode_base64url(b'FAIL')}.AA")
        assert "extension" in found.value.description


class TestAppendixA6:
    @pytest.mark.parametrize(
        "form",
        [
            '{"payload":"eyJpc3MiOiJqb2UifQ","signatures":[{"protected":"eyJhbGciOiJFUzI1NiJ9","signature":"DtEh"}]}',
            '{"payload":"eyJpc3MiOiJqb2UifQ","protected":"eyJhbGciOiJFUzI1NiJ9","signature":"DtEh"}',
        ],
    )
    def test_req_j01_the_json_serializations(self, form: str) -> None:
        """A.6 and A.7 are well-formed and are not read: one form, one reading."""
        with pytest.raises(InvalidToken):
            jws.parse(form)
