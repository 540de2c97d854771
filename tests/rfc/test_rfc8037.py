"""RFC 8037, Ed25519 in JOSE: the examples of appendix A."""

from __future__ import annotations

import pytest

from watchword.errors import InvalidToken
from watchword.jose import jws
from watchword.jose.encoding import decode_base64url, encode_base64url
from watchword.jose.jwk import Key, KeySet

D, X = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
PRIVATE = {"kty": "OKP", "crv": "Ed25519", "d": D, "x": X}
SIGNED = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
SIGNATURE = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"


class TestAppendixA:
    def test_a_1_and_a_2_the_keys(self) -> None:
        """The public key is the private one without d."""
        published = Key.parse(PRIVATE).public_jwk()
        assert {name: published[name] for name in ("kty", "crv", "x")} == {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": X,
        }
        assert "d" not in published

    def test_a_3_the_thumbprint(self) -> None:
        """RFC 7638 over crv, kty and x."""
        assert Key.parse(PRIVATE).thumbprint() == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"

    def test_a_4_signing(self) -> None:
        """Ed25519 is deterministic: the signature is the document's to the letter."""
        assert encode_base64url(Key.parse(PRIVATE).sign(SIGNED.encode())) == SIGNATURE

    def test_a_5_validation(self) -> None:
        """The compact example verifies; a bit more and it does not."""
        keys = KeySet([Key.parse({"kty": "OKP", "crv": "Ed25519", "x": X})])
        _, payload, _ = jws.verify(f"{SIGNED}.{SIGNATURE}", keys, typ=None, algorithms=["EdDSA"])
        assert payload == b"Example of Ed25519 signing"
        spoiled = bytearray(decode_base64url(SIGNATURE))
        spoiled[0] ^= 1
        with pytest.raises(InvalidToken):
            jws.verify(f"{SIGNED}.{encode_base64url(bytes(spoiled))}", keys, typ=None, algorithms=["EdDSA"])
