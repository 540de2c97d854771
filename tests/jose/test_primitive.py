"""Signatures, as bytes: their exact form, and what signing never repeats."""

from __future__ import annotations

import hmac
import secrets
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from tests.jose.forge import SECRET, private, public
from watchword.jose import primitive
from watchword.jose.algorithms import ALGORITHMS
from watchword.jose.jwk import Key
from watchword.jose.primitive import CURVES, ORDERS

SIZES = [("ES256", 32), ("ES384", 48), ("ES512", 66)]


def key(algorithm: str) -> Key:
    return next(iter(public(algorithm)))


class TestEcdsa:
    @pytest.mark.parametrize(("algorithm", "size"), SIZES)
    def test_req_j10_a_signature_is_r_and_s_of_exact_length(self, algorithm: str, size: int) -> None:
        """Leading zeros are kept, so that every signature has one length."""
        short: set[str] = set()
        for number in range(10_000):
            message = str(number).encode()
            signature = private(algorithm).sign(message)
            assert len(signature) == 2 * size
            assert key(algorithm).verify(signature, message)
            short |= {name for name, at in (("r", 0), ("s", size)) if not signature[at]}
            if number >= 40 and len(short) == 2:
                break
        assert short == {"r", "s"}

    @pytest.mark.parametrize(("algorithm", "size"), SIZES)
    def test_req_j10_every_other_form_is_refused(self, algorithm: str, size: int) -> None:
        """DER, a byte more or less, r or s zero, n or above."""
        good, n = private(algorithm).sign(b"m"), ORDERS[ALGORITHMS[algorithm].curve]
        r, s = good[:size], good[size:]
        zero, order, above = (
            number.to_bytes(size, "big") for number in (0, n, min(n + 1, 2 ** (8 * size) - 1))
        )
        der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        others = [der, good + b"\0", b"\0" + good, good[:-1], b"", r, zero + s, r + zero, zero + zero]
        others += [order + s, r + order, above + s, r + above, s + r, der.ljust(2 * size, b"\0")]
        assert key(algorithm).verify(good, b"m")
        assert [form for form in others if key(algorithm).verify(form, b"m")] == []

    @pytest.mark.parametrize("curve", CURVES)
    def test_the_orders_are_those_of_the_curves(self, curve: str) -> None:
        """n - 1 times the base point is its mirror image: the same x, and no number but the order does that."""
        one = ec.derive_private_key(1, CURVES[curve]).public_key().public_numbers()
        other = ec.derive_private_key(ORDERS[curve] - 1, CURVES[curve]).public_key().public_numbers()
        assert one.x == other.x
        assert one.y != other.y

    @pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512"])
    def test_req_j26_no_nonce_comes_twice(self, algorithm: str) -> None:
        """OpenSSL mixes key and message into the drawn nonce: each signature has its own r, of one message too."""
        size = ALGORITHMS[algorithm].size
        signatures = [private(algorithm).sign(message) for message in (b"a", b"a", b"b", b"") * 10]
        assert len({signature[:size] for signature in signatures}) == len(signatures)

    def test_the_numbers_are_those_of_the_library(self) -> None:
        """r and s go over unchanged, from OpenSSL's DER to the 64 bytes of RFC 7518 3.4 and back."""
        signature = private("ES256").sign(b"m")
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        assert decode_dss_signature(encode_dss_signature(r, s)) == (r, s)
        assert 0 < r < ORDERS["P-256"]
        assert 0 < s < ORDERS["P-256"]


class TestRsa:
    @pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
    def test_a_signature_has_the_length_of_the_modulus(self, algorithm: str) -> None:
        """A byte more or less is refused before the mathematics; a good one of the other padding fails."""
        good = private(algorithm).sign(b"m")
        assert len(good) == 256
        assert key(algorithm).verify(good, b"m")
        for form in (good[:-1], good + b"\0", b"\0" + good, b"", good[:255] + bytes([good[255] ^ 1])):
            assert not key(algorithm).verify(form, b"m")

    def test_pss_draws_a_salt(self) -> None:
        """One message has many signatures under PS256, and one under RS256."""
        assert private("PS256").sign(b"m") != private("PS256").sign(b"m")
        assert private("RS256").sign(b"m") == private("RS256").sign(b"m")


class TestEd25519:
    def test_a_signature_has_64_bytes(self) -> None:
        """Others are refused, not raised about."""
        good = private("Ed25519").sign(b"m")
        assert key("Ed25519").verify(good, b"m")
        for form in (b"", good[:63], good + b"\0", bytes(64), b"\xff" * 64):
            assert not key("Ed25519").verify(form, b"m")


class TestHmac:
    @pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
    def test_req_j09_a_mac_is_compared_whole(self, algorithm: str) -> None:
        """A MAC cut at any place, or with any one bit changed, fails."""
        good = private(algorithm).sign(b"m")
        name = ALGORITHMS[algorithm].hash_name
        assert good == hmac.digest(SECRET, b"m", name)
        assert key(algorithm).verify(good, b"m")
        assert not any(key(algorithm).verify(good[:size], b"m") for size in range(len(good)))
        for place in range(8 * len(good)):
            flipped = bytearray(good)
            flipped[place // 8] ^= 1 << place % 8
            assert not key(algorithm).verify(bytes(flipped), b"m")

    def test_req_j09_the_comparison_takes_constant_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both MACs go through ``hmac.compare_digest``, whose time does not depend on where they differ."""
        seen: list[tuple[bytes, bytes]] = []
        compare = hmac.compare_digest

        def watched(one: Any, two: Any) -> bool:
            seen.append((one, two))
            return compare(one, two)

        monkeypatch.setattr(hmac, "compare_digest", watched)
        fresh = Key.from_secret(secrets.token_bytes(32))
        mac = fresh.sign(b"m")
        assert fresh.verify(mac, b"m")
        assert not fresh.verify(b"\0" * 32, b"m")
        assert seen == [(mac, mac), (mac, b"\0" * 32)]


class TestDoors:
    @pytest.mark.parametrize("door", [primitive.signer, primitive.verifier])
    def test_a_foreign_object_is_a_mistake_of_the_program(self, door: Any) -> None:
        """It never comes from a token; it is told as what it is."""
        with pytest.raises(TypeError):
            door(ALGORITHMS["ES256"], object())
