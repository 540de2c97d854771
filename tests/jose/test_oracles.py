"""PyJWT and joserfc as oracles: what one signs the others verify, and what we let in a strict reader lets in."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import joserfc.jwk
import joserfc.jwt
import jwt as pyjwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry
from jwt.algorithms import OKPAlgorithm

from tests.jose.forge import ISSUER, NOW, SECRET, claims, header, private, public, token
from watchword.errors import InvalidToken
from watchword.jose.algorithms import ALGORITHMS
from watchword.jose.encoding import encode_base64url
from watchword.jose.jwk import Key
from watchword.protocol import access_token

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # joserfc says so of every use

EVERY = list(ALGORITHMS)
# PyJWT signs and verifies by it, but does not know its name of RFC 9864 yet.
pyjwt.register_algorithm("Ed25519", OKPAlgorithm())

names = st.text(min_size=1, max_size=8).filter(lambda name: name.encode("utf-8", "ignore").decode() == name)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
extra = st.dictionaries(names.map(lambda name: f"x{name}"), values, max_size=4)
"""Claims that nobody registered."""


def writable(members: Any) -> bool:
    """Whether JSON in UTF-8 can hold it."""
    try:
        json.dumps(members, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def ours(text: str, algorithm: str) -> dict[str, Any]:
    return access_token.verify(
        text, public(algorithm), issuer=ISSUER, audience="api", algorithms=[algorithm], now=NOW
    ).claims


def by_pyjwt(text: str, algorithm: str) -> dict[str, Any]:
    """What PyJWT reads under our key; times are left out, because it takes no clock."""
    found: dict[str, Any] = pyjwt.decode(
        text,
        pyjwt_key(algorithm, signing=False),
        algorithms=[algorithm],
        issuer=ISSUER,
        audience="api",
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "require": ["sub", "jti"]},
    )
    return found


@cache
def joserfc_key(algorithm: str) -> Any:
    return joserfc.jwk.import_key(private(algorithm).private_jwk())


@cache
def pyjwt_key(algorithm: str, *, signing: bool) -> Any:
    key = private(algorithm)
    if key.symmetric:
        return SECRET
    jwk = key.private_jwk() if signing else key.public_jwk()
    return pyjwt.PyJWK(jwk, "EdDSA" if algorithm == "Ed25519" else algorithm).key


def by_joserfc(text: str, algorithm: str) -> dict[str, Any]:
    """What joserfc reads; header parameters that nobody knows are ignored, as RFC 7515 4 wants it."""
    registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = registry.max_payload_length = 8192
    return dict(joserfc.jwt.decode(text, joserfc_key(algorithm), registry=registry).claims)


class TestOurs:
    @pytest.mark.parametrize("algorithm", EVERY)
    @settings(max_examples=10, deadline=None)
    @given(more=extra.filter(writable))
    def test_what_we_sign_they_verify(self, algorithm: str, more: dict[str, Any]) -> None:
        """With the claims we gave, whatever they are."""
        issued = {**more, **claims()}
        text = access_token.issue(issued, private(algorithm))
        assert by_pyjwt(text, algorithm) == by_joserfc(text, algorithm) == issued


class TestTheirs:
    @pytest.mark.parametrize("algorithm", EVERY)
    @settings(max_examples=10, deadline=None)
    @given(more=extra.filter(writable))
    def test_what_pyjwt_signs_we_verify(self, algorithm: str, more: dict[str, Any]) -> None:
        """Its JSON has escapes and its header another order."""
        issued = {**more, **claims()}
        key = private(algorithm)
        secret = pyjwt_key(algorithm, signing=True)
        text = pyjwt.encode(issued, secret, algorithm=algorithm, headers={"typ": "at+jwt", "kid": key.kid})
        assert ours(text, algorithm) == issued

    @pytest.mark.parametrize("algorithm", EVERY)
    @settings(max_examples=10, deadline=None)
    @given(more=extra.filter(writable))
    def test_what_joserfc_signs_we_verify(self, algorithm: str, more: dict[str, Any]) -> None:
        """With keys it read from our JWK."""
        issued = {**more, **claims()}
        key = private(algorithm)
        made = joserfc.jwt.encode(
            {"alg": algorithm, "typ": "at+jwt", "kid": key.kid},
            issued,
            joserfc_key(algorithm),
            algorithms=[algorithm],
        )
        assert ours(made, algorithm) == issued

    @pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
    def test_their_keys_are_ours(self, algorithm: str) -> None:
        """A JWK that joserfc generated is loaded, and what it signs verifies; thumbprints agree."""
        kind = {"ES256": joserfc.jwk.ECKey, "RS256": joserfc.jwk.RSAKey, "EdDSA": joserfc.jwk.OKPKey}[
            algorithm
        ]
        made = kind.generate_key({"ES256": "P-256", "RS256": 2048, "EdDSA": "Ed25519"}[algorithm])
        key = Key.parse(made.as_dict(private=True), algorithm=algorithm)
        assert key.thumbprint() == made.thumbprint()
        text = joserfc.jwt.encode({"alg": algorithm}, {"sub": "x"}, made, algorithms=[algorithm])
        assert key.verify(*_parts(text))


def _parts(text: str) -> tuple[bytes, bytes]:
    from watchword.jose.jws import parse

    found = parse(text)
    return found.signature, found.signing_input


@st.composite
def spoiled(draw: st.DrawFn, algorithm: str) -> str:
    """A good token with letters changed, or with another header or payload under a good signature."""
    key = private(algorithm)
    good = access_token.issue(claims(aud=["api", "x"]), key)
    kind = draw(st.integers(0, 2))
    if kind == 0:
        text = list(good)
        for _ in range(draw(st.integers(1, 3))):
            place = draw(st.integers(0, len(text) - 1))
            text[place : place + draw(st.integers(0, 2))] = draw(
                st.text(alphabet="AZaz09-_.=+/ \n{}", max_size=2)
            )
        return "".join(text)
    members: dict[str, Any] = header(key) if kind == 1 else claims()
    for _ in range(draw(st.integers(1, 3))):
        members[draw(st.sampled_from([*members, "crit", "b64", "nbf", "cnf", "zip"]))] = draw(values)
    if not writable(members):
        members = {}
    return token(members, claims(), key=key) if kind == 1 else token(header(key), members, key=key)


class TestMutations:
    @pytest.mark.parametrize("algorithm", EVERY)
    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_what_we_let_in_both_of_them_let_in(self, algorithm: str, data: st.DataObject) -> None:
        """Nothing passes here that another reader refuses, and all of them read the same claims."""
        text = data.draw(spoiled(algorithm))
        try:
            found = ours(text, algorithm)
        except InvalidToken:
            return
        assert by_pyjwt(text, algorithm) == found
        try:
            assert by_joserfc(text, algorithm) == found
        except JoseError as refused:
            raise AssertionError(f"joserfc refuses what we took: {text}") from refused

    @pytest.mark.parametrize("algorithm", EVERY)
    def test_a_good_token_of_another_key_is_nobody_s(self, algorithm: str) -> None:
        """What both of them refuse we refuse: the same algorithm and name of the key, and another key."""
        key = (
            Key.generate(algorithm)
            if not private(algorithm).symmetric
            else Key.from_secret(SECRET[::-1], algorithm=algorithm)
        )
        text = token(header(key, kid=private(algorithm).kid), claims(), key=key)
        for read, refusal in (
            (ours, InvalidToken),
            (by_pyjwt, pyjwt.InvalidTokenError),
            (by_joserfc, JoseError),
        ):
            with pytest.raises(refusal):
                read(text, algorithm)

    @pytest.mark.parametrize("algorithm", EVERY)
    def test_the_spoiled_tokens_are_near_enough(self, algorithm: str) -> None:
        """Some pass, some fail: a set that always failed would prove nothing."""
        key = private(algorithm)
        assert ours(access_token.issue(claims(), key), algorithm)
        other = token(header(key), claims(x=encode_base64url(b"x")), key=key)
        assert ours(other, algorithm)["x"] == "eA"
