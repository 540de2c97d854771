"""Compact JWS: its form, its header, the key that verifies it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.jose.forge import header, private, public, token
from watchword.errors import InvalidKey, InvalidToken
from watchword.jose import jws
from watchword.jose.algorithms import ALGORITHMS
from watchword.jose.encoding import encode_base64url
from watchword.jose.jwk import Key, KeySet

NAMES = [
    "ES256",
    "ES384",
    "ES512",
    "RS256",
    "RS512",
    "PS256",
    "PS384",
    "Ed25519",
    "EdDSA",
    "HS256",
    "HS384",
    "HS512",
]


def verified(text: str | bytes, *algorithms: str, typ: str | None = "at+jwt") -> bytes:
    """The payload, under the public keys of *algorithms*, which are also what is allowed."""
    allowed = algorithms or ("ES256",)
    return jws.verify(text, public(*allowed), typ=typ, algorithms=allowed)[1]


def refused(text: Any, *algorithms: str, typ: str | None = "at+jwt") -> str:
    """The sentence of the refusal."""
    with pytest.raises(InvalidToken) as found:
        verified(text, *algorithms, typ=typ)
    return found.value.description


class TestSign:
    @pytest.mark.parametrize("algorithm", NAMES)
    def test_what_is_signed_verifies(self, algorithm: str) -> None:
        """Every algorithm, from a text and from bytes; header, payload and key come back."""
        signed = jws.sign(b"payload", private(algorithm), typ="at+jwt")
        for form in (signed, signed.encode()):
            found, payload, key = jws.verify(form, public(algorithm), typ="at+jwt", algorithms={algorithm})
            assert found == {"alg": algorithm, "typ": "at+jwt", "kid": private(algorithm).kid}
            assert payload == b"payload"
            assert key.kid == private(algorithm).kid

    def test_more_header_parameters_travel(self) -> None:
        """They are added to the three that every token has."""
        signed = jws.sign(b"x", private("ES256"), typ="JWT", header={"x": 1})
        assert jws.parse(signed).header == {"alg": "ES256", "typ": "JWT", "kid": private("ES256").kid, "x": 1}

    def test_a_public_key_does_not_sign(self) -> None:
        """It says so by our own error."""
        with pytest.raises(InvalidKey):
            jws.sign(b"x", next(iter(public("ES256"))), typ="JWT")


class TestForm:
    @pytest.mark.parametrize(
        "spoil",
        [
            lambda good: "",
            lambda good: ".",
            lambda good: "..",
            lambda good: good + ".",
            lambda good: "." + good,
            lambda good: good + ".AAAA",
            lambda good: good.rpartition(".")[0],
            lambda good: good.rpartition(".")[0] + ".",
            lambda good: "." + good.partition(".")[2],
            lambda good: good.replace(".", ","),
            lambda good: good.replace(".", "\u2024"),
            lambda good: good + "\n",
            lambda good: " " + good,
            lambda good: good + " ",
            lambda good: good + "=",
            lambda good: good.replace(".", "=.", 1),
            lambda good: good.replace(".", "%2E"),
            lambda good: good + "\0",
            lambda good: "Bearer " + good,
            lambda good: f'"{good}"',
            lambda good: f'{{"payload":"x","signature":"{good}"}}',
            lambda good: good[:-1] + "é",
            lambda good: good[:-1] + "\ud800",
            lambda good: good.encode()[:-1] + b"\xff",
            lambda good: good[:40] + "\n" + good[40:],
        ],
    )
    def test_req_j01_only_the_compact_form_is_read(self, spoil: Any) -> None:
        """Two dots, the alphabet, nothing around it: a good token spoiled in one place is refused."""
        good = token(header(), b"{}")
        assert verified(good) == b"{}"
        refused(spoil(good))

    @pytest.mark.parametrize("other", [None, 7, ["a"], bytearray(b"a.b.c"), {}])
    def test_what_is_no_text_is_refused(self, other: Any) -> None:
        """By our own error, not by an accident."""
        assert refused(other) == "the token is not a text"

    def test_req_j21_a_jwe_is_no_jws(self) -> None:
        """Five parts are told apart, so that the log says what came; four are just malformed."""
        head = encode_base64url(b'{"alg":"dir","enc":"A256GCM"}')
        assert "encrypted" in refused(f"{head}..AAAA.AAAA.AAAA")
        assert "compact" in refused(f"{head}..AAAA.AAAA")

    @pytest.mark.parametrize("alg", ["RSA1_5", "PBES2-HS256+A128KW", "dir", "RSA-OAEP", "ECDH-ES"])
    def test_req_j21_an_encryption_algorithm_signs_nothing(self, alg: str) -> None:
        """Three parts with a header that belongs on a JWE."""
        assert refused(token(header(alg=alg, enc="A128GCM", p2c=10**9))) == "the algorithm is not allowed"

    def test_req_j20_a_long_token_is_refused_unread(self) -> None:
        """8192 bytes are the most, whatever the token is; another limit may be named."""
        fitting = token(header(), b"x" * 5900)
        assert len(fitting) <= 8192
        assert verified(fitting)
        assert refused(token(header(), b"x" * 6100)) == "the token is too long"
        assert refused(b"\xff" * 8193) == "the token is too long"
        assert jws.parse(token(header(), b"x" * 6100), max_size=9000).payload

    @pytest.mark.parametrize(("payload", "signature"), [("A", None), (None, "A"), ("QR", None), (None, "QR")])
    def test_a_part_that_is_no_base64url_is_refused(self, payload: str | None, signature: str | None) -> None:
        """Payload and signature, in reading and in verifying."""
        head, body, tail = token(header()).split(".")
        spoiled = f"{head}.{payload or body}.{signature or tail}"
        with pytest.raises(InvalidToken):
            jws.parse(spoiled)
        refused(spoiled)


class TestHeader:
    @pytest.mark.parametrize("alg", [None, 1, True, "", ["ES256"], {"x": 1}, 1.5])
    def test_req_j04_the_algorithm_must_be_a_text(self, alg: Any) -> None:
        """Absent, null or of another type: no algorithm."""
        members = header(alg=alg) if alg is not None else header(alg=None)
        assert refused(token(members)) == "the header names no algorithm"
        assert refused(token({**header(), "alg": None})) == "the header names no algorithm"

    @pytest.mark.parametrize("alg", ["es256", "Es256", "ES256 ", " ES256", "ES256\0", "E\u0405256", "ES256K"])
    def test_req_j04_the_algorithm_compares_by_case(self, alg: str) -> None:
        """A name that looks like an allowed one is none."""
        assert refused(token(header(alg=alg))) == "the algorithm is not allowed"

    @pytest.mark.parametrize("algorithm", ["ES256", "RS256", "HS256"])
    def test_req_j04_the_allow_list_rules(self, algorithm: str) -> None:
        """A key may be known and its algorithm not allowed: the token does not choose."""
        signed = jws.sign(b"{}", private(algorithm), typ="at+jwt")
        with pytest.raises(InvalidToken) as found:
            jws.verify(signed, public(algorithm), typ="at+jwt", algorithms={"PS512"})
        assert found.value.description == "the algorithm is not allowed"

    @pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "none ", "\0none", "nоne", "null"])
    def test_req_j05_none_is_no_algorithm_and_no_key_s(self, name: str) -> None:
        """Refused though the caller's list named it: no key carries it."""
        for signature in (b"\0", b"{}"):
            unsecured = token(header(alg=name), signature=signature)
            with pytest.raises(InvalidToken):
                jws.verify(unsecured, public("ES256"), typ=None, algorithms={name, "ES256"})
        assert name not in ALGORITHMS
        with pytest.raises(InvalidKey):
            Key.generate(name)

    @pytest.mark.parametrize(
        ("key", "alg"),
        [("RS256", "PS256"), ("PS256", "RS256"), ("RS256", "RS512"), ("HS512", "HS256"), ("ES256", "ES384"),
         ("RS256", "HS256"), ("ES256", "HS256"), ("Ed25519", "ES256")],
    )  # fmt: skip
    def test_req_j06_one_key_has_one_algorithm(self, key: str, alg: str) -> None:
        """Another one is refused though it is allowed, and though the mathematics would work."""
        members = (
            {**private(key).private_jwk(), "alg": alg}
            if key[:2] in ("RS", "PS", "HS") and alg[:2] != "HS"
            else None
        )
        signer = Key.parse(members) if members else private(key)
        forged = token(header(alg=alg, kid=private(key).kid), key=signer)
        with pytest.raises(InvalidToken) as found:
            jws.verify(forged, public(key), typ=None, algorithms=ALGORITHMS)
        assert found.value.description == "the algorithm is not the one of the key"

    def test_ed25519_has_two_names(self) -> None:
        """RFC 9864: EdDSA over Ed25519 is Ed25519, whichever the key and the token say."""
        key = Key.parse({**private("EdDSA").private_jwk(), "alg": "Ed25519", "kid": "ed"})
        for alg in ("EdDSA", "Ed25519"):
            text = token(header(alg=alg, kid="ed"), key=key)
            assert jws.verify(text, KeySet([key]), typ=None, algorithms={"EdDSA", "Ed25519"})[2] is key

    @pytest.mark.parametrize(
        "crit",
        [
            [],
            "exp",
            {"exp": 1},
            None,
            1,
            [1],
            ["x", 1],
            ["x", "x"],
            ["absent"],
            ["alg"],
            ["typ", "kid"],
            ["crit"],
        ],
    )
    def test_req_j11_a_malformed_crit_is_refused(self, crit: Any) -> None:
        """Empty, no array, no texts, twice, not in the header, or a standard name."""
        assert refused(token({**header(), "x": 1, "crit": crit})) == "crit is malformed"

    def test_req_j11_an_extension_nobody_understands_is_refused(self) -> None:
        """A well-formed crit ends the reading, because no extension is understood here."""
        assert "extension" in refused(token(header(x=1, crit=["x"])))

    @pytest.mark.parametrize("b64", [False, 0, "true", None, []])
    def test_req_j12_an_unencoded_payload_is_refused(self, b64: Any) -> None:
        """``b64`` that is anything but true, with crit and without; true changes nothing."""
        refused(token({**header(), "b64": b64}))
        refused(token({**header(), "b64": b64, "crit": ["b64"]}))
        assert verified(token(header(b64=True))) == b"{}"
        refused(token(header(b64=True, crit=["b64"])))

    @pytest.mark.parametrize("parameter", ["jwk", "x5c", "jku", "x5u"])
    def test_req_j13_a_token_brings_no_key(self, parameter: str) -> None:
        """An attacker's key in the header verifies nothing, under his kid or ours; beside a good one it is noise."""
        mallory = Key.generate("ES256")
        brought = {
            "jwk": mallory.public_jwk(),
            "x5c": ["MIIB"],
            "jku": "https://mallory.example/jwks.json",
            "x5u": "https://mallory.example/cert",
        }
        more = {parameter: brought[parameter]}
        assert "not known" in refused(token(header(mallory, **more), key=mallory))
        assert "not verify" in refused(token(header(kid=private("ES256").kid, **more), key=mallory))
        assert verified(token(header(**more))) == b"{}"

    @pytest.mark.parametrize(
        "kid", ["../../dev/null", "x' OR '1'='1", "a\r\nb", "\0", "*)(uid=*", "$(id)", "x" * 256, "é"]
    )
    def test_req_j14_a_kid_is_a_name_and_nothing_more(self, kid: str) -> None:
        """Any text that is not the name of a key is the name of no key, and is looked up exactly."""
        assert refused(token(header(kid=kid))) == "the signing key is not known"
        named = Key.parse({**private("ES256").private_jwk(), "kid": kid})
        assert jws.verify(token(header(named)), KeySet([named]), typ=None, algorithms={"ES256"})[2] is named

    @pytest.mark.parametrize("kid", ["", "x" * 257, "k" * 5000, 1, None, [], ["a"], {"$ne": ""}, True])
    def test_req_j14_a_kid_is_a_short_text(self, kid: Any) -> None:
        """Anything else is refused before it is looked up."""
        assert "kid" in refused(token({**header(), "kid": kid}))

    def test_a_token_without_kid_needs_a_set_with_one_fitting_key(self) -> None:
        """One key for the algorithm: it is the one. None or two: nobody guesses."""
        unnamed = token(header(kid=None))
        assert jws.verify(unnamed, public("ES256", "RS256"), typ=None, algorithms=ALGORITHMS)[1] == b"{}"
        two = KeySet([*public("ES256"), Key.generate("ES256")])
        for keys in (two, public("RS256")):
            with pytest.raises(InvalidToken) as found:
                jws.verify(unnamed, keys, typ=None, algorithms=ALGORITHMS)
            assert found.value.description == "the token does not name its key"


TYPES = [
    "at+jwt",
    "JWT",
    "logout+jwt",
    "dpop+jwt",
    "secevent+jwt",
    "statuslist+jwt",
    "token-introspection+jwt",
]


class TestType:
    @pytest.mark.parametrize("typ", TYPES)
    def test_req_j15_types_exclude_each_other(self, typ: str) -> None:
        """A token of one type passes where that type is wanted and nowhere else."""
        signed = jws.sign(b"{}", private("ES256"), typ=typ)
        for wanted in (name.lower() for name in TYPES):
            if wanted == typ.lower():
                assert verified(signed, typ=wanted) == b"{}"
            else:
                assert refused(signed, typ=wanted) == f"the token is not of type {wanted}"

    @pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"])
    def test_req_j15_case_and_the_prefix_do_not_count(self, typ: str) -> None:
        """A media type compares without case; ``application/`` may be left out (RFC 7515 4.1.9)."""
        assert verified(token(header(typ=typ))) == b"{}"

    @pytest.mark.parametrize(
        "typ", ["", "at", "jwt", "at+jwt ", " at+jwt", "at+jwt;x", "text/at+jwt", "application/application/at+jwt",
                "x/application/at+jwt", "at\uff0bjwt", "application/"]
    )  # fmt: skip
    def test_req_j15_nothing_else_is_the_type(self, typ: str) -> None:
        """What only resembles it is another type."""
        refused(token(header(typ=typ)))

    def test_req_j15_letters_that_fold_into_others_are_no_spelling(self) -> None:
        """The Kelvin sign folds to k, the long s to s: neither is the letter."""
        for typ in ("\u212aey+jwt", "\u017fet+jwt"):
            refused(token(header(typ=typ)), typ="key+jwt")
            refused(token(header(typ=typ)), typ="set+jwt")

    @pytest.mark.parametrize("typ", [None, 1, ["at+jwt"], {}, True])
    def test_req_j15_the_type_is_mandatory_and_a_text(self, typ: Any) -> None:
        """Absent, null or of another kind."""
        refused(token(header(typ=None)))
        refused(token({**header(), "typ": typ}))

    def test_a_caller_may_take_any_type(self) -> None:
        """Where no type is demanded none is needed; what is there must still be a text."""
        assert verified(token(header(typ=None)), typ=None) == b"{}"
        refused(token({**header(), "typ": 1}), typ=None)


class TestSignature:
    @pytest.mark.parametrize("algorithm", NAMES)
    def test_a_changed_bit_anywhere_fails(self, algorithm: str) -> None:
        """In the header, the payload or the signature: another text, no signature of it."""
        head, body, tail = jws.sign(b'{"a":1}', private(algorithm), typ="at+jwt").split(".")
        other = encode_base64url(b'{"a":2}')
        same_alg = encode_base64url(b'{"typ":"at+jwt","alg":"%b","kid":"%b"}' % (
            algorithm.encode(), private(algorithm).kid.encode()))  # fmt: skip
        flipped = ("B" if tail[0] != "B" else "C") + tail[1:]
        for spoiled in (f"{head}.{other}.{tail}", f"{same_alg}.{body}.{tail}", f"{head}.{body}.{flipped}"):
            assert refused(spoiled, algorithm) == "the signature does not verify"

    def test_req_j09_every_failure_of_a_signature_is_one_error(self) -> None:
        """Too short, too long, of another key, DER, all zero: the caller learns only that it failed."""
        good = private("ES256").sign(b"x")
        for signature in (b"\0", b"\0" * 64, good, good + b"\0", good[:63], b"\x30\x44" + good, b"\xff" * 64):
            assert refused(token(header(), signature=signature)) == "the signature does not verify"
        for algorithm in ("RS256", "PS256", "Ed25519", "HS256"):
            for size in (1, 32, 64, 256, 257):
                forged = token(header(private(algorithm)), signature=b"\x01" * size)
                assert refused(forged, algorithm) == "the signature does not verify"

    def test_an_unverified_header_is_never_remembered(self) -> None:
        """A stranger cannot fill the table of headers, and cannot push a good one out of it."""
        keys = KeySet(public("ES256"))
        for number in range(300):
            with pytest.raises(InvalidToken):
                jws.verify(
                    token(header(x=str(number)), signature=b"\1" * 64), keys, typ=None, algorithms=ALGORITHMS
                )
        assert keys.headers == {}

    def test_the_table_of_headers_is_bounded(self) -> None:
        """An issuer that puts something new into each header fills it once; the tokens go on verifying."""
        keys = KeySet(public("ES256"))
        for number in range(200):
            text = token(header(x=str(number)))
            for _ in range(2):
                assert jws.verify(text, keys, typ="at+jwt", algorithms=["ES256"])[0]["x"] == str(number)
        assert 0 < len(keys.headers) <= 64

    @pytest.mark.parametrize("more", [{}, {"list": ["x"]}])
    def test_a_caller_that_writes_into_a_header_changes_no_other_token(self, more: dict[str, Any]) -> None:
        """What is handed out is a copy; what could not be copied flat is not kept."""
        keys = KeySet(public("ES256"))
        text = token(header(**more))
        for _ in range(3):
            found = jws.verify(text, keys, typ="at+jwt", algorithms=["ES256"])[0]
            assert found == header(**more)
            found["alg"] = "none"
            found.get("list", []).append("y")

    def test_a_remembered_header_is_checked_against_each_caller_s_rules(self) -> None:
        """The table spares parsing and nothing else: type and algorithm are compared each time."""
        keys = KeySet(public("ES256"))
        text = token(header())
        assert jws.verify(text, keys, typ="at+jwt", algorithms=["ES256"])
        for typ, allowed in (("logout+jwt", ["ES256"]), ("at+jwt", ["RS256"])):
            with pytest.raises(InvalidToken):
                jws.verify(text, keys, typ=typ, algorithms=allowed)


class TestParse:
    def test_a_token_is_taken_apart(self) -> None:
        """Nothing is verified, and what will be is all there."""
        text = token(header(x=1), b"payload")
        found = jws.parse(text)
        assert (found.alg, found.typ, found.kid) == ("ES256", "at+jwt", private("ES256").kid)
        assert found.header == header(x=1)
        assert found.payload == b"payload"
        assert found.signing_input == text.rpartition(".")[0].encode()
        assert private("ES256").verify(found.signature, found.signing_input)

    @pytest.mark.parametrize(
        "text", [b"[]", b'"x"', b"{", b'\xef\xbb\xbf{"alg":"ES256"}', b'{"alg":"a","alg":"b"}']
    )
    def test_req_j03_a_header_is_one_strict_json_object(self, text: bytes) -> None:
        """Anything else is refused, by the signature that holds as well."""
        refused(token(text))
        with pytest.raises(InvalidToken):
            jws.parse(token(text))
