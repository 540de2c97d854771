"""Keys that protect nothing are refused at load."""

from __future__ import annotations

import math
import secrets

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.jose.forge import private
from watchword.errors import InvalidKey
from watchword.jose.encoding import encode_base64url
from watchword.jose.jwk import Key
from watchword.jose.weakness import check_ed25519, check_rsa, check_secret

Encoding, Public, Private = serialization.Encoding, serialization.PublicFormat, serialization.PrivateFormat
KEYS = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "p521": ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
}


def written(name: str) -> list[bytes]:
    """Every way in which the public key *name* is commonly written down."""
    key = KEYS[name].public_key()
    der = key.public_bytes(Encoding.DER, Public.SubjectPublicKeyInfo)
    found = [
        der,
        key.public_bytes(Encoding.PEM, Public.SubjectPublicKeyInfo),
        key.public_bytes(Encoding.OpenSSH, Public.OpenSSH),
        encode_base64url(der).encode(),
        KEYS[name].private_bytes(Encoding.PEM, Private.PKCS8, serialization.NoEncryption()),
    ]
    ssh = found[2]
    found += [
        ssh + b" me@example.com",
        b'from="192.0.2.1" ' + ssh,
        ssh.split()[1],
        b"\n" + found[1],
        b"  " + ssh,
    ]
    if name == "rsa":
        found += [key.public_bytes(Encoding.PEM, Public.PKCS1), key.public_bytes(Encoding.DER, Public.PKCS1)]
    return found


class TestSecret:
    @pytest.mark.parametrize("name", KEYS)
    def test_req_j07_a_public_key_is_no_secret(self, name: str) -> None:
        """PEM, DER, OpenSSH, their base64, with white space and a comment: everybody knows it."""
        for text in written(name):
            with pytest.raises(InvalidKey) as found:
                Key.from_secret(text)
            assert found.value.description == "the secret is a public key or a certificate", text

    def test_req_j07_a_jwk_is_no_secret(self) -> None:
        """A JWK and a JWK Set, however they are spaced."""
        for jwk in (private("RS256").public_jwk(), {"keys": [private("ES256").public_jwk()]}):
            for text in (str(jwk).replace("'", '"'), "\n " + str(jwk).replace("'", '"').replace(":", " : ")):
                with pytest.raises(InvalidKey):
                    Key.from_secret(text)

    @pytest.mark.parametrize(("algorithm", "size"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
    def test_req_j08_a_secret_is_as_long_as_the_hash(self, algorithm: str, size: int) -> None:
        """One byte less is refused (RFC 7518 3.2)."""
        assert Key.from_secret(b"\x01" * size, algorithm=algorithm)
        with pytest.raises(InvalidKey):
            Key.from_secret(b"\x01" * (size - 1), algorithm=algorithm)

    def test_no_random_secret_is_taken_for_a_key(self) -> None:
        """Of many drawn secrets, raw and as text, also those that begin as DER does, none is refused."""
        for _ in range(3000):
            drawn = secrets.token_bytes(48)
            for secret in (drawn, encode_base64url(drawn).encode(), drawn.hex().encode()):
                check_secret(secret, 32)
        for start in (b"\x30\x82", b"\x30\x81", b"\x30\x2e", b"\x30\x59", b"\x30\x82\x01\x22"):
            check_secret(start + b"\x07" * 46, 32)
            check_secret(encode_base64url(start + b"\x07" * 46).encode(), 32)


class TestRsa:
    def test_req_j08_a_short_modulus_is_refused(self) -> None:
        """2048 bits are the least, 8192 the most: a huge one would cost the verifier his time."""
        fine = KEYS["rsa"].public_key().public_numbers().n
        check_rsa(fine, 65537)
        for bits in (512, 1024, 2047, 8193, 16384):
            with pytest.raises(InvalidKey):
                check_rsa((1 << bits - 1) + 1, 65537)

    @pytest.mark.parametrize("e", [0, 1, 2, 4, 65536, (1 << 64) + 1])
    def test_req_j08_a_bad_exponent_is_refused(self, e: int) -> None:
        """Small, even or enormous; an even modulus as well."""
        n = KEYS["rsa"].public_key().public_numbers().n
        check_rsa(n, 3)
        with pytest.raises(InvalidKey):
            check_rsa(n, e)
        with pytest.raises(InvalidKey):
            check_rsa(n - 1, 65537)

    def test_req_j08_a_modulus_of_roca_is_refused(self) -> None:
        """Built as the flawed library built its primes: k · M + (65537 ^ a mod M), CVE-2017-15361."""
        primes = [p for p in range(2, 702) if all(p % q for q in range(2, math.isqrt(p) + 1))]
        product = math.prod(primes)
        one = (1 << 1023) // product * product + pow(65537, 12345, product)
        two = (1 << 1025) // product * product + pow(65537, 67890, product)
        with pytest.raises(InvalidKey) as found:
            check_rsa(one * two, 65537)
        assert "ROCA" in found.value.description


class TestEd25519:
    def test_req_j08_a_point_of_small_order_is_refused(self) -> None:
        """All fourteen encodings: under such a key a signature without any secret is good for many messages."""
        field = 2**255 - 19
        order_eight = 2707385501144840649318225287225658788936804267575313519463743609750303402022
        for y in (0, 1, field - 1, order_eight, field - order_eight, field, field + 1):
            for sign in (0, 1 << 255):
                x = (y | sign).to_bytes(32, "little")
                with pytest.raises(InvalidKey):
                    check_ed25519(x)
                with pytest.raises(InvalidKey):
                    Key.parse({"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(x)})

    def test_the_constant_is_a_point_of_order_eight(self) -> None:
        """Doubled it gives a point with y = 0, which has order four; the curve is that of RFC 8032 5.1."""
        field = 2**255 - 19
        d = -121665 * pow(121666, -1, field) % field
        y = 2707385501144840649318225287225658788936804267575313519463743609750303402022
        square = (y * y - 1) * pow(d * y * y + 1, -1, field) % field
        assert pow(square, (field - 1) // 2, field) == 1
        assert (y * y + square) % field == 0  # the numerator of the doubled point's y

    def test_a_key_of_the_large_order_is_taken(self) -> None:
        """The base point, and keys that were drawn."""
        check_ed25519((4 * pow(5, -1, 2**255 - 19) % (2**255 - 19)).to_bytes(32, "little"))
        for _ in range(20):
            assert Key.generate("Ed25519")
