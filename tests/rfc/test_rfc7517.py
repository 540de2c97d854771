"""RFC 7517, JSON Web Key: its examples."""

from __future__ import annotations

from watchword.jose.encoding import decode_base64url
from watchword.jose.jwk import Key, KeySet

N = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
    "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
    "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
    "nqDKgw"
)
EC = {
    "kty": "EC",
    "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}


class TestAppendixA:
    def test_a_1_public_keys(self) -> None:
        """The EC key is for encryption and is passed over; the RSA key carries the algorithm it names."""
        rsa = {"kty": "RSA", "n": N, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
        keys = KeySet.parse({"keys": [{**EC, "use": "enc", "kid": "1"}, rsa]})
        assert [(key.kid, key.algorithm) for key in keys] == [("2011-04-29", "RS256")]

    def test_a_2_private_keys(self) -> None:
        """The private EC key belongs to the public one of A.1; published it has lost its d."""
        key = Key.parse({**EC, "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE", "kid": "1"})
        assert Key.parse(EC).verify(key.sign(b"m"), b"m")
        assert key.public_jwk() == {**EC, "kid": "1", "alg": "ES256", "use": "sig"}

    def test_a_3_symmetric_keys(self) -> None:
        """The key for AES Key Wrap is passed over; the HMAC key is that of RFC 7515 A.1."""
        k = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
        kid = "HMAC key used in JWS spec Appendix A.1 example"
        keys = KeySet.parse(
            {
                "keys": [
                    {"kty": "oct", "alg": "A128KW", "k": "GawgguFyGrWKav7AX4VKUg"},
                    {"kty": "oct", "k": k, "kid": kid},
                ]
            }
        )
        assert [key.kid for key in keys] == [kid]
        signed = (
            b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9l"
            b"eGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        )
        found = keys.get(kid)
        assert found is not None
        assert found.verify(decode_base64url("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), signed)


class TestSection4:
    def test_4_5_the_kid_compares_by_case(self) -> None:
        """It is a case-sensitive text."""
        keys = KeySet([Key.parse({**EC, "kid": "Key-1"})])
        assert keys.get("Key-1") is not None
        assert keys.get("key-1") is None

    def test_4_3_operations_of_a_signing_key(self) -> None:
        """``verify`` on a public key, ``sign`` on a private one."""
        for operations in (["verify"], ["sign"], ["sign", "verify"]):
            assert Key.parse({**EC, "key_ops": operations})
