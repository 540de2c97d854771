"""Attacks on the signature of a token: none, confusion, another form (A01 to A07)."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.attacks.api import TRUSTED, ask, guard, refused
from tests.jose.forge import claims, header, private, public, text, token
from watchword import ConfigurationError, Guard
from watchword.errors import InvalidKey, InvalidToken
from watchword.jose.encoding import decode_base64url, encode_base64url
from watchword.jose.jwk import Key
from watchword.jose.primitive import ORDERS

ADMIN = claims(roles=["admin"])


def good(algorithm: str = "ES256", **more: Any) -> str:
    """A token the API lets in."""
    key = private(algorithm)
    return token(header(key, **more), ADMIN, key=key)


def unsigned(members: dict[str, Any]) -> str:
    """Header and claims, encoded, with no signature yet."""
    return f"{encode_base64url(text(members))}.{encode_base64url(text(ADMIN))}"


def material(algorithm: str) -> Any:
    """The public key of *algorithm* as an object of cryptography."""
    from jwt import PyJWK

    return PyJWK(private(algorithm).public_jwk()).key


def test_the_good_tokens_are_let_in() -> None:
    """Without this every refusal below would prove nothing."""
    assert [ask(good(algorithm)).status for algorithm in TRUSTED] == [200, 200, 200]


class TestNone:
    @pytest.mark.parametrize(
        "alg", ["none", "None", "NONE", "nOnE", "none ", " none", "\0none", "none\n", "nоne", ""]
    )
    @pytest.mark.parametrize("algorithm", TRUSTED)
    def test_attack_a01_an_unsigned_token_in_every_spelling(self, alg: str, algorithm: str) -> None:
        """Without a signature, with an empty one, with that of the good token, with anything."""
        key = private(algorithm)
        head = unsigned(header(key, alg=alg))
        kept = good(algorithm).rpartition(".")[2]
        for form in (head, f"{head}.", f"{head}.{kept}", f"{head}.AA", f"{unsigned({'alg': alg})}."):
            assert refused(form)


class TestConfusion:
    @pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
    @pytest.mark.parametrize("mac", ["HS256", "HS384", "HS512"])
    def test_attack_a02_the_public_key_as_the_secret(self, algorithm: str, mac: str) -> None:
        """In every way it may be written down, under the key's own name."""
        key, jwk = material(algorithm), private(algorithm).public_jwk()
        encoding, form = serialization.Encoding, serialization.PublicFormat
        secrets = [
            key.public_bytes(encoding.PEM, form.SubjectPublicKeyInfo),
            key.public_bytes(encoding.DER, form.SubjectPublicKeyInfo),
            key.public_bytes(encoding.OpenSSH, form.OpenSSH),
            json.dumps(jwk).encode(),
            json.dumps(jwk, separators=(",", ":")).encode(),
            jwk.get("n", jwk.get("x")).encode(),
            decode_base64url(jwk.get("n", jwk.get("x"))),
            b"",
        ]
        head = unsigned(header(private(algorithm), alg=mac))
        for secret in secrets:
            digest = hmac.digest(secret, head.encode(), f"sha{mac[2:]}")
            assert refused(f"{head}.{encode_base64url(digest)}")

    @pytest.mark.parametrize("form", ["PEM", "DER", "OpenSSH", "JWK"])
    def test_attack_a02_such_a_secret_does_not_load(self, form: str) -> None:
        """Neither as a key nor for a guard that is told to use it."""
        key, encoding = material("RS256"), serialization.Encoding
        secret = {
            "PEM": key.public_bytes(encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
            "DER": key.public_bytes(encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
            "OpenSSH": key.public_bytes(encoding.OpenSSH, serialization.PublicFormat.OpenSSH),
            "JWK": json.dumps(private("RS256").public_jwk()).encode(),
        }[form]
        with pytest.raises(InvalidKey):
            Key.from_secret(secret)
        with pytest.raises(ConfigurationError):
            Guard("https://a.example", keys={"keys": [{"kty": "oct", "k": encode_base64url(secret)}]})

    @pytest.mark.parametrize(
        ("algorithm", "alg"),
        [("RS256", "PS256"), ("RS256", "RS384"), ("RS256", "RS512"), ("RS256", "PS512")],
    )
    def test_attack_a03_another_algorithm_of_the_same_key(self, algorithm: str, alg: str) -> None:
        """Rightly signed by the key itself: a key has one algorithm."""
        key = Key.parse({**private(algorithm).private_jwk(), "alg": alg})
        assert refused(token(header(key), ADMIN, key=key))

    @pytest.mark.parametrize("algorithm", TRUSTED)
    @pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA", "Ed25519", "PS256", "ES384", "HS256"])
    def test_attack_a03_the_algorithm_of_another_key(self, algorithm: str, alg: str) -> None:
        """The name of one key, the algorithm of another, signed by either."""
        if alg == algorithm or {alg, algorithm} == {"EdDSA", "Ed25519"}:
            assert ask(good(algorithm)).status == 200
            return
        for signer in (private(algorithm), private(alg)):
            assert refused(token(header(private(algorithm), alg=alg), ADMIN, key=signer))

    @pytest.mark.parametrize(
        "alg",
        [
            None,
            1,
            True,
            [],
            ["ES256"],
            {"ES256": 1},
            "",
            "es256",
            "Es256",
            "ES256 ",
            " ES256",
            "ES256\0",
            "ES-256",
        ],
    )
    def test_attack_a04_an_algorithm_that_is_none(self, alg: Any) -> None:
        """Missing, null, of another type, in another case, with a space."""
        assert refused(token({**header(), "alg": alg}, ADMIN))
        assert refused(token(header(alg=None), ADMIN))


class TestForm:
    @pytest.mark.parametrize("algorithm", TRUSTED)
    def test_attack_a05_a_signature_that_is_not_whole(self, algorithm: str) -> None:
        """Removed, shortened, lengthened, padded, with a line end, with any unused bit set."""
        whole = good(algorithm)
        signed, _, tail = whole.rpartition(".")
        spoiled = [signed, f"{signed}.", *(f"{signed}.{tail[:-n]}" for n in (1, 2, 3, 4, 8, len(tail) - 1))]
        spoiled += [
            f"{whole}{more}" for more in ("A", "AA", "AAAA", "=", "==", "\n", "\r\n", "\0", "%00", ".")
        ]
        spoiled += [whole.replace(".", "=.", 1), whole.replace(".", ".\n", 1), whole.swapcase()]
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        spoiled += [f"{signed}.{tail[:-1]}{c}" for c in alphabet if c != tail[-1]]
        assert [form for form in spoiled if not refused(form)] == []

    def test_f_b11_b13_spaces_belong_to_the_field(self) -> None:
        """Around the credentials HTTP takes them away (RFC 9110 5.5, 11.4); in a token they are none of it."""
        for spaced in (f" {good()}", f"{good()} "):
            assert ask(spaced).status == 200
            with pytest.raises(InvalidToken):
                guard().verify(spaced)

    def test_attack_a05_every_single_bit_counts(self) -> None:
        """Each bit of the signature turned, one at a time."""
        signed, _, tail = good("EdDSA").rpartition(".")
        raw = decode_base64url(tail)
        for place in range(len(raw) * 8):
            other = bytearray(raw)
            other[place // 8] ^= 1 << place % 8
            assert refused(f"{signed}.{encode_base64url(bytes(other))}")

    def test_attack_a06_another_serialization(self) -> None:
        """JSON forms of a well-signed token, texts that are two things at once, two, four and five parts."""
        whole = good()
        head, body, tail = whole.split(".")
        flat = {"payload": body, "protected": head, "signature": tail}
        spoiled = [
            json.dumps(flat),
            json.dumps({"payload": body, "signatures": [{"protected": head, "signature": tail}]}),
            json.dumps({**flat, "header": {"alg": "none"}}),
            f"{head}.{body}",
            f"{whole}.{tail}",
            f"{whole}.{tail}.{tail}",
            f"{head}..{tail}",
            f"..{tail}",
            f"{whole},{whole}",
            f"{whole} {whole}",
            f"Bearer {whole}",
            f'"{whole}"',
            f"{whole}#",
            f"{{{whole}}}",
            f"{whole}?access_token={whole}",
            whole.replace(".", "\u2024"),
            whole.replace(".", "\uff0e"),
            whole.replace(".", "%2e"),
        ]
        assert [form for form in spoiled if not refused(form)] == []

    def test_attack_a07_ecdsa_in_another_form(self) -> None:
        """DER, r or s zero, n or above, halves swapped, too long, too short; s negated is the same signature."""
        signed, _, tail = good().rpartition(".")
        raw, n = decode_base64url(tail), ORDERS["P-256"]
        r, s = raw[:32], raw[32:]
        zero, order, most = bytes(32), n.to_bytes(32, "big"), b"\xff" * 32
        der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        forms = [
            der,
            zero + zero,
            zero + s,
            r + zero,
            order + s,
            r + order,
            most + s,
            r + most,
            s + r,
            raw + b"\0",
        ]
        forms += [
            b"\0" + raw,
            raw[:63],
            r,
            zero + r + s,
            b"\0" + r + b"\0" + s,
            hashlib.sha256(raw).digest() * 2,
        ]
        assert [form for form in forms if not refused(f"{signed}.{encode_base64url(form)}")] == []

    def test_attack_a01_a07_the_set_is_as_strict_for_every_key(self) -> None:
        """A signature of one trusted key under the name of another."""
        for one in TRUSTED:
            for other in TRUSTED:
                if one != other:
                    assert refused(token(header(private(one)), ADMIN, key=private(other)))
        assert len(public(*TRUSTED)) == 3
