"""RFC 7518, JSON Web Algorithms: what its sections demand of algorithms and keys."""

from __future__ import annotations

import pytest

from tests.jose.forge import private, public
from watchword.errors import InvalidKey
from watchword.jose.algorithms import ALGORITHMS
from watchword.jose.encoding import decode_base64url, encode_base64url
from watchword.jose.jwk import Key


class TestSection3:
    def test_req_j05_3_1_the_table_without_none(self) -> None:
        """Every signature algorithm of the table is here but ``none``, which 3.6 lets nobody take by default."""
        table = {f"{family}{size}" for family in ("HS", "RS", "ES", "PS") for size in (256, 384, 512)}
        assert {name for name in ALGORITHMS if name[:2] in ("HS", "RS", "ES", "PS")} == table
        assert "none" not in ALGORITHMS

    @pytest.mark.parametrize(("algorithm", "octets"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
    def test_req_j08_3_2_a_key_as_long_as_the_hash(self, algorithm: str, octets: int) -> None:
        """Or longer; a shorter one MUST NOT be used. The MAC has the length of the hash."""
        assert len(Key.from_secret(bytes(octets), algorithm=algorithm).sign(b"m")) == octets
        with pytest.raises(InvalidKey):
            Key.from_secret(bytes(octets - 1), algorithm=algorithm)

    @pytest.mark.parametrize(("algorithm", "octets"), [("ES256", 64), ("ES384", 96), ("ES512", 132)])
    def test_req_j10_3_4_the_length_of_a_signature(self, algorithm: str, octets: int) -> None:
        """Of P-521 it is 132 octets, not 130: each half is padded to whole octets."""
        assert len(private(algorithm).sign(b"m")) == octets

    @pytest.mark.parametrize(("algorithm", "salt"), [("PS256", 32), ("PS384", 48), ("PS512", 64)])
    def test_3_5_the_salt_is_as_long_as_the_hash(self, algorithm: str, salt: int) -> None:
        """A signature with another salt length is not of this algorithm."""
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding, rsa

        drawn = rsa.generate_private_key(65537, 2048)
        public_numbers = drawn.public_key().public_numbers()
        jwk = {
            "kty": "RSA",
            "n": encode_base64url(public_numbers.n.to_bytes(256, "big")),
            "e": "AQAB",
            "alg": algorithm,
        }
        hashed = {32: hashes.SHA256(), 48: hashes.SHA384(), 64: hashes.SHA512()}[salt]
        key = Key.parse(jwk)
        for length in (salt, salt - 1, 0, 20):
            made = drawn.sign(b"m", padding.PSS(padding.MGF1(hashed), length), hashed)
            assert key.verify(made, b"m") is (length == salt)
        assert serialization


class TestSection6:
    def test_6_2_1_2_a_coordinate_has_the_length_of_the_field(self) -> None:
        """Leading zeros stay: 32, 48 and 66 octets."""
        for algorithm, octets in (("ES256", 32), ("ES384", 48), ("ES512", 66)):
            jwk = private(algorithm).public_jwk()
            assert len(decode_base64url(jwk["x"])) == len(decode_base64url(jwk["y"])) == octets
            with pytest.raises(InvalidKey):
                Key.parse({**jwk, "x": encode_base64url(decode_base64url(jwk["x"]) + b"\0")})

    def test_6_3_1_1_a_modulus_has_no_leading_zero(self) -> None:
        """The octet that some libraries prefix MUST be omitted."""
        jwk = private("RS256").public_jwk()
        assert decode_base64url(jwk["n"])[0] != 0
        assert jwk["e"] == "AQAB"
        with pytest.raises(InvalidKey):
            Key.parse({**jwk, "n": encode_base64url(b"\0" + decode_base64url(jwk["n"]))})

    def test_6_3_2_7_more_than_two_primes(self) -> None:
        """A consumer that does not support ``oth`` MUST NOT use the key."""
        with pytest.raises(InvalidKey):
            Key.parse({**private("RS256").private_jwk(), "oth": []})

    def test_6_a_public_set_has_no_private_member(self) -> None:
        """d, p, q, dp, dq, qi and k stay at home."""
        published = public("ES256", "RS256", "EdDSA").public_jwks()["keys"]
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & {name for jwk in published for name in jwk}
