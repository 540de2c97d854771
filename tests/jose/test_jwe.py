"""Encrypted tokens: one form, one key, one algorithm."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwe import JWERegistry, encrypt_compact
from joserfc.jwk import ECKey, OctKey, RSAKey

from watchword.errors import InvalidKey, InvalidToken
from watchword.jose.encoding import decode_base64url, encode_base64url
from watchword.jose.jwe import ENCRYPTION, EncryptionKey, decrypt, encrypt, parse_keys
from watchword.jose.jwk import Key

KEY = EncryptionKey.generate()
OTHER = EncryptionKey.generate()
RSA = EncryptionKey.parse(RSAKey.generate_key(2048).as_dict(private=True))
DIRECT = EncryptionKey.parse({**EncryptionKey.generate().private_jwk(), "alg": "ECDH-ES"})
KEYS = {key.kid: key for key in (KEY, RSA, DIRECT)}
INSIDE = "eyJh.eyJi.c2ln"
GOOD = {"alg": KEY.algorithm, "enc": ENCRYPTION, "cty": "JWT", "kid": KEY.kid}


def made(header: dict[str, Any], key: EncryptionKey = KEY, inside: bytes = INSIDE.encode()) -> str:
    """What another program could send: any header, whole and well encrypted."""
    jwk = key.public_jwk()
    public = (ECKey if jwk["kty"] == "EC" else RSAKey).import_key(
        {k: v for k, v in jwk.items() if k in "kty crv x y n e"}
    )
    given = {name: value for name, value in header.items() if value is not None}
    return encrypt_compact(
        given, inside, public, registry=JWERegistry(algorithms=_Any(), strict_check_header=False)
    )


class _Any(list[str]):
    """Every algorithm is allowed."""

    def __contains__(self, name: object) -> bool:
        return True

    def __bool__(self) -> bool:
        return True


def refused(token: str, keys: dict[str, EncryptionKey] = KEYS) -> str:
    with pytest.raises(InvalidToken) as caught:
        decrypt(token, keys)
    return caught.value.description


class TestEncrypt:
    @pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.algorithm)
    def test_what_goes_in_comes_out(self, key: EncryptionKey) -> None:
        """By the public key in, by the private key out; the header says what it is and what is inside."""
        public = EncryptionKey.parse(key.public_jwk())
        token = encrypt(INSIDE, public, typ="at+jwt")
        assert INSIDE.encode() == decrypt(token, KEYS)
        header = json.loads(decode_base64url(token.partition(".")[0]))
        header.pop("epk", None)
        assert header == {
            "alg": key.algorithm,
            "enc": "A256GCM",
            "typ": "at+jwt",
            "cty": "JWT",
            "kid": key.kid,
        }

    def test_no_two_are_alike(self) -> None:
        """Key, nonce and ephemeral key are drawn anew each time."""
        assert len({encrypt(INSIDE, KEY, typ="at+jwt") for _ in range(5)}) == 5

    def test_a_public_key_opens_nothing(self) -> None:
        """Who can encrypt cannot read."""
        public = EncryptionKey.parse(KEY.public_jwk())
        assert (
            refused(encrypt(INSIDE, KEY, typ="at+jwt"), {public.kid: public})
            == "the token cannot be decrypted"
        )


class TestDecrypt:
    @pytest.mark.parametrize("part", range(5))
    def test_every_part_is_protected(self, part: int) -> None:
        """A changed character anywhere, a part that is missing, one that is longer: refused."""
        parts = encrypt(INSIDE, KEY, typ="at+jwt").split(".")
        for at in range(0, len(parts[part]), 7):
            text = parts[part]
            bent = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
            refused(".".join([*parts[:part], bent, *parts[part + 1 :]]))
        for text in ("", parts[part][:-4], parts[part] + "AAAA", parts[part] + "=", f" {parts[part]}"):
            refused(".".join([*parts[:part], text, *parts[part + 1 :]]))

    def test_unused_bits_are_zero(self) -> None:
        """One text for one token: what decodes to the same bytes is not the same token."""
        token = encrypt("x" * 22, KEY, typ="at+jwt")
        for other in "BCDEFGHIJKLMNOP":
            parts = token.split(".")
            if parts[4][-1] in "AQgw":
                refused(".".join([*parts[:4], parts[4][:-1] + chr(ord(parts[4][-1]) + 1)]))
            refused(token + other)

    @pytest.mark.parametrize(
        "token",
        ["", ".", "....", "a.b.c", "a.b.c.d", "a.b.c.d.e.f", "e30.A.A.A.A", "é....", "{}", '{"protected":"e30"}',
         "eyJhbGciOiJkaXIifQ....", "x" * 9000],
    )  # fmt: skip
    def test_what_is_no_compact_jwe_is_refused(self, token: str) -> None:
        """The JSON serializations too."""
        refused(token)

    @pytest.mark.parametrize(
        ("header", "why"),
        [
            ({**GOOD, "kid": OTHER.kid}, "not known"),
            ({**GOOD, "kid": None}, "not known"),
            ({**GOOD, "kid": RSA.kid}, "the algorithm"),
            ({**GOOD, "cty": None}, "no signed token"),
            ({**GOOD, "cty": "json"}, "no signed token"),
            ({**GOOD, "cty": "logout+jwt"}, "no signed token"),
            ({**GOOD, "zip": "DEF"}, "compressed"),
            ({**GOOD, "enc": "A128GCM"}, "the algorithm"),
            ({**GOOD, "enc": "A128CBC-HS256"}, "the algorithm"),
            ({**GOOD, "alg": "ECDH-ES"}, "the algorithm"),
            ({**GOOD, "alg": "ECDH-ES+A128KW"}, "the algorithm"),
        ],
    )
    def test_req_j21_the_header_decides_nothing(self, header: dict[str, Any], why: str) -> None:
        """Key and algorithm are ours; what is well encrypted in any other way is refused all the same."""
        assert why in refused(made(header))

    def test_an_extension_that_is_demanded_is_not_understood(self) -> None:
        """``crit`` names what a reader must know; none of it is known here (RFC 7516 4.1.13)."""
        rest = encrypt(INSIDE, KEY, typ="at+jwt").partition(".")[2]
        head = encode_base64url(json.dumps({**GOOD, "crit": ["b64"], "b64": True}).encode())
        assert "extension" in refused(f"{head}.{rest}")

    @pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
    @pytest.mark.parametrize("alg", ["RSA1_5", "RSA-OAEP"])
    def test_req_j21_an_older_algorithm_of_the_key_is_refused(self, alg: str) -> None:
        """RSA1_5 would make of the key's owner an oracle (Bleichenbacher)."""
        header = {"alg": alg, "enc": ENCRYPTION, "cty": "JWT", "kid": RSA.kid}
        assert "the algorithm" in refused(made(header, RSA))

    @pytest.mark.parametrize("alg", ["dir", "A256KW", "A256GCMKW", "PBES2-HS512+A256KW", "none", "ES256"])
    def test_req_j21_no_shared_key_and_no_password(self, alg: str) -> None:
        """A million rounds of PBKDF2 are asked for, and none is made."""
        head = {
            "alg": alg,
            "enc": ENCRYPTION,
            "cty": "JWT",
            "kid": KEY.kid,
            "p2c": 2**31 - 1,
            "p2s": "AAAAAAAAAAA",
        }
        token = (
            f"{encode_base64url(json.dumps(head).encode())}.AAAA.AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA"
        )
        begun = time.thread_time()
        assert "the algorithm" in refused(token)
        assert time.thread_time() - begun < 0.5

    @pytest.mark.parametrize(
        "bend",
        [
            lambda epk: {**epk, "x": encode_base64url(bytes(31) + b"\2")},
            lambda epk: {**epk, "crv": "P-384"},
            lambda epk: {**epk, "kty": "OKP"},
            lambda epk: {"kty": "oct", "k": "AAAA"},
            lambda epk: "text",
            lambda epk: [],
            lambda epk: None,
        ],
    )
    def test_a_point_that_is_not_on_the_curve_is_refused(self, bend: Callable[[Any], Any]) -> None:
        """The ephemeral key is a stranger's: one on another curve would tell of ours (invalid curve attack)."""
        encoded, *parts = encrypt(INSIDE, KEY, typ="at+jwt").split(".")
        header = json.loads(decode_base64url(encoded))
        header["epk"] = bend(header["epk"])
        token = ".".join([encode_base64url(json.dumps(header).encode()), *parts])
        assert refused(token) == "the token cannot be decrypted"

    def test_a_key_in_the_header_is_not_used(self) -> None:
        """``jwk`` and ``jku`` are a stranger's word."""
        header = {**GOOD, "kid": OTHER.kid, "jwk": OTHER.public_jwk(), "jku": "https://evil.example/keys"}
        assert "not known" in refused(made(header, OTHER))

    def test_a_key_that_was_replaced_still_opens(self) -> None:
        """Two keys in the set: what was encrypted before the change is read after it."""
        for key in (KEY, RSA):
            assert INSIDE.encode() == decrypt(encrypt(INSIDE, key, typ="at+jwt"), KEYS)

    def test_one_key_needs_no_name(self) -> None:
        """Where there is nothing to choose, a token without ``kid`` is read."""
        assert INSIDE.encode() == decrypt(made({**GOOD, "kid": None}), {KEY.kid: KEY})


class TestKeys:
    @pytest.mark.parametrize(
        "jwk",
        [
            None,
            {},
            {"kty": "oct", "k": "AAAA"},
            {"kty": "OKP", "crv": "X25519", "x": encode_base64url(bytes(32))},
            {"kty": ["EC"]},
            {**KEY.public_jwk(), "use": "sig"},
            {**KEY.public_jwk(), "key_ops": ["sign"]},
            {**KEY.public_jwk(), "key_ops": "deriveKey"},
            {**KEY.public_jwk(), "alg": "ES256"},
            {**KEY.public_jwk(), "alg": "RSA-OAEP-256"},
            {**KEY.public_jwk(), "alg": ["ECDH-ES"]},
            {**KEY.public_jwk(), "kid": ""},
            {**KEY.public_jwk(), "crv": "P-384"},
            {**KEY.public_jwk(), "x": KEY.public_jwk()["y"]},
            {**RSA.public_jwk(), "alg": "RSA1_5"},
            {**RSA.public_jwk(), "n": encode_base64url(bytes([255]) * 128)},
            {**RSA.public_jwk(), "e": "Ag"},
        ],
    )
    def test_a_key_that_protects_nothing_is_not_loaded(self, jwk: Any) -> None:
        """Weak, torn, for signatures, of an algorithm that is not offered."""
        with pytest.raises(InvalidKey):
            EncryptionKey.parse(jwk)

    def test_a_set_gives_its_keys_for_encryption(self) -> None:
        """Keys for signatures stand beside them and are passed over."""
        jwks = {"keys": [Key.generate("ES256").public_jwk(), KEY.public_jwk(), RSA.public_jwk()]}
        assert list(parse_keys(json.dumps(jwks))) == [KEY.kid, RSA.kid]

    @pytest.mark.parametrize(
        "jwks",
        ["", "{", "[]", {}, {"keys": {}}, {"keys": []}, {"keys": ["x"]}, {"keys": [KEY.public_jwk(), KEY.public_jwk()]},
         {"keys": [Key.generate("ES256").public_jwk()]}],
    )  # fmt: skip
    def test_a_set_without_one_is_refused(self, jwks: Any) -> None:
        """An empty set would mean: encrypt to nobody."""
        with pytest.raises(InvalidKey):
            parse_keys(jwks)

    def test_no_secret_is_shown(self) -> None:
        """Not in its text, not in its public form, not by pickling."""
        secret = KEY.private_jwk()["d"]
        assert secret not in f"{KEY!r} {KEY} {KEY.public_jwk()}"
        with pytest.raises(TypeError):
            pickle.dumps(KEY)
        with pytest.raises(InvalidKey):
            EncryptionKey.parse(KEY.public_jwk()).private_jwk()

    def test_its_name_is_the_thumbprint(self) -> None:
        """RFC 7638, unless the key says another."""
        jwk = {name: value for name, value in KEY.private_jwk().items() if name != "kid"}
        assert EncryptionKey.parse(jwk).kid == KEY.kid == ECKey.import_key(dict(jwk)).thumbprint()
        assert EncryptionKey.parse({**jwk, "kid": "mine"}).kid == "mine"

    def test_a_shared_key_of_another_library_is_none_of_ours(self) -> None:
        """What two share, each could have written."""
        with pytest.raises(InvalidKey):
            EncryptionKey.parse(OctKey.generate_key(256).as_dict(private=True))
