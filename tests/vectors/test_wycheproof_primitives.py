"""Project Wycheproof: ECDSA, Ed25519, RSA, HMAC through ``Key``; PBKDF2 through the hashes of other programs."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from tests.vectors.corpus import cases
from watchword.errors import InvalidKey
from watchword.jose.algorithms import ALGORITHMS
from watchword.jose.encoding import encode_base64url
from watchword.jose.jwk import Key
from watchword.server.accounts.foreign_hashes import verify_foreign


def verified(key: Key, signature: str, message: str) -> str:
    return "valid" if key.verify(bytes.fromhex(signature), bytes.fromhex(message)) else "invalid"


def ec_key(group: dict[str, Any], algorithm: str) -> Key:
    """The key of a group; where it carries no JWK its coordinates are written as one."""
    found, size = group["publicKey"], ALGORITHMS[algorithm].size

    def coordinate(name: str) -> str:
        return encode_base64url(int(found[name], 16).to_bytes(size, "big"))

    jwk = {"kty": "EC", "crv": ALGORITHMS[algorithm].curve, "x": coordinate("wx"), "y": coordinate("wy")}
    return Key.parse(jwk, algorithm=algorithm)


class TestEcdsa:
    @pytest.mark.parametrize(
        ("name", "algorithm"),
        [
            ("ecdsa_secp256r1_sha256_p1363", "ES256"),
            ("ecdsa_secp384r1_sha384_p1363", "ES384"),
            ("ecdsa_secp521r1_sha512_p1363", "ES512"),
        ],
    )
    def test_every_signature_has_the_result_of_its_label(self, name: str, algorithm: str) -> None:
        """r and s in 1..n-1, of exact length, with every edge case of the arithmetic."""
        found = cases(name)
        wrong = [
            test["tcId"]
            for group, test in found
            if verified(ec_key(group, algorithm), test["sig"], test["msg"]) != test["result"]
        ]
        assert wrong == []
        assert len(found) > 250


class TestEd25519:
    def test_every_signature_has_the_result_of_its_label(self) -> None:
        """Malleable, truncated and foreign signatures fail."""
        wrong = [
            test["tcId"]
            for group, test in cases("ed25519")
            if verified(Key.parse(group["publicKeyJwk"]), test["sig"], test["msg"]) != test["result"]
        ]
        assert wrong == []


class TestRsa:
    def test_every_pkcs1_signature_has_the_result_of_its_label(self) -> None:
        """What may be accepted (the NULL left out of the ASN.1) is refused: one encoding, one reading."""
        found = cases("rsa_signature_2048_sha256")
        wrong = [
            test["tcId"]
            for group, test in found
            if verified(Key.parse(group["keyJwk"]), test["sig"], test["msg"])
            != test["result"].replace("acceptable", "invalid")
        ]
        assert wrong == []
        assert len(found) > 250

    def test_every_pss_signature_has_the_result_of_its_label(self) -> None:
        """The salt is as long as the hash and nothing else (RFC 7518 3.5)."""
        wrong = [
            test["tcId"]
            for group, test in cases("rsa_pss_2048_sha256_mgf1_32")
            if verified(Key.parse(group["publicKeyJwk"]), test["sig"], test["msg"]) != test["result"]
        ]
        assert wrong == []


class TestHmac:
    @pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
    def test_every_mac_has_the_result_of_its_label(self, algorithm: str) -> None:
        """Whole MACs under keys that are long enough; a cut MAC and a short key never pass."""
        size = ALGORITHMS[algorithm].size
        seen = 0
        for group, test in cases(f"hmac_{ALGORITHMS[algorithm].hash_name}"):
            secret = bytes.fromhex(test["key"])
            if len(secret) < size:
                with pytest.raises(InvalidKey):
                    Key.from_secret(secret, algorithm=algorithm)
                continue
            whole = group["tagSize"] == 8 * size
            expected = test["result"] if whole else "invalid"
            key = Key.from_secret(secret, algorithm=algorithm)
            assert verified(key, test["tag"], test["msg"]) == expected, test["tcId"]
            seen += whole
        assert seen > 80


class TestPbkdf2:
    @pytest.mark.parametrize("name", ["sha256", "sha512"])
    def test_every_derived_key_is_recognized(self, name: str) -> None:
        """A digest as long as hashes store it verifies, and the next password does not; a torn one never verifies."""
        for _, test in cases(f"pbkdf2_hmac{name}"):
            salt, derived = (phc(bytes.fromhex(test[member])) for member in ("salt", "dk"))
            stored = f"$pbkdf2-{name}${test['iterationCount']}${salt}${derived}"
            password = bytes.fromhex(test["password"])
            if not is_text(password):
                continue
            expected = test["dkLen"] in (20, 24, 32, 48, 64) and salt != ""
            assert verify_foreign(stored, password.decode()) is expected, test["tcId"]
            assert not verify_foreign(stored, password.decode() + "x"), test["tcId"]


def phc(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=").replace("+", ".")


def is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
