"""The access token: what is signed, what is checked, what a claim must be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.jose.forge import ISSUER, NOW, claims, header, private, public, text, token
from watchword.errors import InvalidToken
from watchword.jose import jws
from watchword.protocol import access_token
from watchword.protocol.access_token import AccessToken


def verified(given: str | bytes, *, now: float = NOW, leeway: float = 0, **more: Any) -> AccessToken:
    options = {"issuer": ISSUER, "audience": "api", "algorithms": ["ES256"], **more}
    return access_token.verify(given, public("ES256"), now=now, leeway=leeway, **options)


def refused(payload: Any, **options: Any) -> str:
    """The sentence of the refusal of a token with a good header and signature."""
    with pytest.raises(InvalidToken) as found:
        verified(token(header(), payload), **options)
    return found.value.description


class TestIssue:
    def test_what_is_issued_verifies(self) -> None:
        """Every claim comes back, the registered ones typed."""
        issued = claims(
            aud=["api", "other"],
            nbf=NOW,
            sid="ses_1",
            scope="read write",
            roles=["user"],
            uv=3,
            cv=2,
            dept="hr",
        )
        found = verified(access_token.issue(issued, private("ES256")))
        assert found.claims == issued
        assert (found.iss, found.sub, found.jti, found.client_id) == (
            ISSUER,
            "usr_ada",
            "tok_1",
            "cli_first_party",
        )
        assert (found.aud, found.scope, found.roles) == (("api", "other"), ("read", "write"), ("user",))
        assert (found.exp, found.iat, found.nbf, found.sid) == (NOW + 600, NOW, NOW, "ses_1")
        assert (found.uv, found.cv, found.kid) == (3, 2, private("ES256").kid)

    def test_the_type_is_that_of_rfc_9068(self) -> None:
        """``at+jwt``, so that no other JWT of the issuer passes for one."""
        issued = access_token.issue(claims(), private("ES256"))
        assert jws.parse(issued).typ == "at+jwt"
        for typ in ("JWT", "id+jwt", "logout+jwt"):
            with pytest.raises(InvalidToken):
                verified(jws.sign(b"{}", private("ES256"), typ=typ))

    def test_what_may_be_absent_has_a_meaning(self) -> None:
        """No scope, no roles, no session, version 0."""
        found = verified(access_token.issue(claims(), private("ES256")))
        assert (found.scope, found.roles, found.sid, found.nbf, found.uv, found.cv) == (
            (),
            (),
            None,
            None,
            0,
            0,
        )


class TestVerify:
    @pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"])
    def test_req_a02_a_claim_of_rfc_9068_that_is_absent(self, name: str) -> None:
        """Each is demanded; null is absent, too (RFC 9068 2.2)."""
        refused(claims(**{name: None}))
        refused({**claims(), name: None})

    @pytest.mark.parametrize("name", ["iss", "sub", "jti", "client_id", "scope", "sid"])
    @pytest.mark.parametrize("value", [1, True, ["x"], {"x": 1}, 1.5])
    def test_req_a02_a_text_that_is_none(self, name: str, value: Any) -> None:
        """Of another JSON type, though it would print the same."""
        refused({**claims(), name: value})

    @pytest.mark.parametrize("name", ["iss", "sub", "jti", "client_id"])
    def test_an_empty_text_names_nobody(self, name: str) -> None:
        """It would compare equal to another empty one."""
        refused(claims(**{name: ""}))

    @pytest.mark.parametrize(
        "payload", [b"", b"[]", b'"x"', b"null", b"{", b"\xff", b'{"sub":"a","sub":"b"}', b"{}{}"]
    )
    def test_req_j16_the_claims_are_one_strict_json_object(self, payload: bytes) -> None:
        """Anything else is refused though the signature holds."""
        refused(payload)

    def test_req_j16_a_name_twice_is_refused_in_every_disguise(self) -> None:
        """Written twice, escaped, inside another claim."""
        good = token(header(), claims())
        assert verified(good)
        body = text(claims(roles=["user"]))
        for spoiled in (
            body[:-1] + b',"roles":["admin"]}',
            body[:-1] + b',"\\u0072oles":["admin"]}',
            body[:-1] + b',"act":{"sub":"a","sub":"b"}}',
        ):
            refused(spoiled)

    @pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
    @pytest.mark.parametrize("value", ["1900000600", True, False, None, [], {}, -1, 2**53 + 2])
    def test_req_j17_a_time_that_is_none(self, name: str, value: Any) -> None:
        """A text, a bool, null, a number no clock shows."""
        assert name in refused({**claims(), name: value})

    @pytest.mark.parametrize("number", [b"1e400", b"Infinity", b"NaN", b"9" * 6000, b"1" * 21, b"-1e400"])
    def test_req_j17_a_number_no_float_holds(self, number: bytes) -> None:
        """It is no JSON here, wherever it stands."""
        refused(text(claims(exp=None))[:-1] + b',"exp":' + number + b"}")

    @pytest.mark.parametrize(
        ("now", "leeway", "good"),
        [(NOW + 599.9, 0, True), (NOW + 600, 0, False), (NOW + 629, 30, True), (NOW + 630, 30, False),
         (NOW, 0, True), (NOW - 1, 0, False), (NOW - 30, 30, True), (NOW - 31, 30, False)],
    )  # fmt: skip
    def test_req_j17_a_token_ends_at_exp_and_begins_at_iat(
        self, now: float, leeway: float, good: bool
    ) -> None:
        """``exp`` itself is too late; the leeway moves both ends."""
        issued = access_token.issue(claims(), private("ES256"))
        if good:
            assert verified(issued, now=now, leeway=leeway)
        else:
            with pytest.raises(InvalidToken):
                verified(issued, now=now, leeway=leeway)

    def test_req_j17_a_token_is_not_good_before_nbf(self) -> None:
        """Though it was issued already."""
        issued = access_token.issue(claims(nbf=NOW + 60), private("ES256"))
        assert verified(issued, now=NOW + 60)
        with pytest.raises(InvalidToken):
            verified(issued, now=NOW + 59)

    def test_req_j18_the_issuer_is_the_configured_one(self) -> None:
        """Byte by byte, whoever signed."""
        for iss in (ISSUER + "/", ISSUER.upper(), ISSUER[:-1], "https://mallory.example"):
            assert refused(claims(iss=iss)) == "the token is from another issuer"

    def test_req_j19_the_audience_is_ours(self) -> None:
        """Alone or among texts; not beside something that is none."""
        assert verified(token(header(), claims(aud=["other", "api"])))
        for aud in ("other", ["other"], [], {"api": 1}, ["api", 1], "ap", "api ", 1):
            assert refused(claims(aud=aud)) == "the token is for another audience"

    @pytest.mark.parametrize("cnf", [{"jkt": "x"}, {"x5t#S256": "x"}, {"jwk": {}}, {}, None, "x", 1])
    def test_req_x12_a_bound_token_is_refused_without_its_proof(self, cnf: Any) -> None:
        """Any ``cnf``, even one that is null: a proof that cannot be checked is not waved through."""
        assert "bound" in refused({**claims(), "cnf": cnf})

    def test_req_x12_only_who_asks_for_the_proof_takes_it(self) -> None:
        """A public key in ``cnf``: refused by default, read by whoever says that he asks for a signature of it."""
        key = private("EdDSA")
        jwk = {part: value for part, value in key.public_jwk().items() if part in ("kty", "crv", "x")}
        bound = {**claims(aud="urn:watchword:signed:api"), "cnf": {"jwk": jwk}}
        assert "bound" in refused(bound)
        assert verified(token(header(), bound), bound=True).jkt == key.thumbprint()
        assert verified(token(header(), claims()), bound=True).jkt is None

    def test_req_x12_its_audience_is_another(self) -> None:
        """Bound and for plain verifiers, or for signatures and not bound: each is for another audience."""
        jwk = private("EdDSA").public_jwk()
        proof = {"cnf": {"jwk": {part: jwk[part] for part in ("kty", "crv", "x")}}}
        assert refused({**claims(), **proof}, bound=True) == "the token is for another audience"
        for bound in (True, False):
            signed = claims(aud="urn:watchword:signed:api")
            assert refused(signed, bound=bound) == "the token is for another audience"

    def test_req_x12_what_is_half_a_proof_is_none(self) -> None:
        """A private key, a key beside another proof, a key that is weak, a bound token as a Basic password."""
        key = private("EdDSA")
        for more in (
            {"cnf": {"jwk": key.private_jwk()}},
            {"cnf": {"jwk": key.public_jwk(), "x5t#S256": "x"}},
            {"cnf": {"jwk": {"kty": "oct", "k": "AAAA"}}},
            {"cnf": {"jwk": key.public_jwk()}, "basic_username": "adasession1"},
        ):
            assert "bound" in refused({**claims(), **more}, bound=True)

    @pytest.mark.parametrize("value", [-1, 1.5, "1", True, None, []])
    def test_a_version_is_a_whole_number(self, value: Any) -> None:
        """Anything else is refused: it decides whether a kill hits."""
        for name in ("uv", "cv"):
            refused({**claims(), name: value})

    @pytest.mark.parametrize(
        "roles", ["admin", {"admin": 1}, 1, True, None, ["admin", 1], ["admin", None], [["admin"]]]
    )
    def test_roles_of_another_shape_are_none(self, roles: Any) -> None:
        """Half of a list would be a guess."""
        assert verified(token(header(), {**claims(), "roles": roles})).roles == ()

    @pytest.mark.parametrize(
        "scope", ["read\u00a0admin", "read\tadmin", "read\nadmin", "read\u2003admin", "readadmin"]
    )
    def test_scope_words_are_parted_by_spaces_alone(self, scope: str) -> None:
        """No other white space makes a word of its own (RFC 6749 3.3)."""
        assert verified(token(header(), claims(scope=scope))).scope == (scope,)
        assert verified(token(header(), claims(scope="read  admin "))).scope == ("read", "admin")

    def test_a_bad_signature_is_refused_before_the_claims_are_read(self) -> None:
        """What nobody signed is not parsed: the sentence is that of the signature."""
        forged = token(header(), b"not json", signature=b"\1" * 64)
        with pytest.raises(InvalidToken) as found:
            verified(forged)
        assert found.value.description == "the signature does not verify"

    def test_req_j20_the_bound_of_its_size_may_be_lowered(self) -> None:
        """By whoever verifies."""
        issued = access_token.issue(claims(), private("ES256"))
        assert verified(issued, max_size=len(issued))
        with pytest.raises(InvalidToken):
            verified(issued, max_size=len(issued) - 1)


NAMES = (
    "iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "sid", "scope", "roles", "auth_time", "amr", "uv",
    "cv", "narrowed", "admin", "act", "basic_username", "cnf", "x",
)  # fmt: skip
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from([0, 1, 2**53, 2**53 + 1, 2**63, 2**64, -0.0, 1.0, 1e300])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "read", "read  write", "admin", "\u2028", '"', "é", "\x7f"])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
CHANGES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3)
PLAIN = {
    "iss": ISSUER, "sub": "usr_ada", "aud": [ISSUER, "api"], "exp": NOW, "iat": NOW, "nbf": NOW, "jti": "t",
    "client_id": "c", "sid": "ses_1", "scope": "read write", "roles": ["user"], "auth_time": NOW, "amr": ["pwd"],
    "uv": 3, "cv": 0,
}  # fmt: skip


class TestRead:
    """What our own writing looks like is read in one go, everything else with care: they may not differ."""

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(CHANGES, st.sets(st.sampled_from(NAMES), max_size=3))
    @example({}, set())
    @example({"aud": "api"}, {"nbf", "sid", "scope", "roles", "uv", "cv"})
    @example({"exp": True}, set())
    @example({"sid": None}, set())
    @example({"sid": "", "nbf": 0}, set())
    @example({"cnf": None}, set())
    @example({"admin": True, "roles": ["admin"]}, set())
    def test_the_quick_reading_is_the_careful_one(self, changes: dict[str, Any], absent: set[str]) -> None:
        """The same claims written as we do and with spaces are taken, or refused, alike."""
        given_claims = {name: value for name, value in {**PLAIN, **changes}.items() if name not in absent}
        written = json.dumps(given_claims, separators=(",", ":"), ensure_ascii=False).encode()
        assert reading(written) == reading(written.replace(b"{", b"{ ", 1))

    def test_a_name_twice_is_seen_in_our_own_writing(self) -> None:
        """The last of two would decide for one reader and the first for another."""
        written = json.dumps(PLAIN, separators=(",", ":")).encode()
        assert isinstance(reading(written), tuple)
        for name, value in PLAIN.items():
            twice = f'"{name}":{json.dumps(value, separators=(",", ":"))}'.encode()
            doubled = written.replace(twice, twice + b"," + twice)
            assert doubled != written
            assert reading(doubled) == "not strict JSON"

    def test_a_token_shows_no_secret_where_it_is_printed(self) -> None:
        """Neither what it says of its user nor the text it came in."""
        found = access_token.read(json.dumps({**PLAIN, "email": "ada@example.com"}).encode())
        assert "email" not in repr(found)


def reading(payload: bytes) -> tuple[Any, ...] | str:
    """Every field but the payload itself, or the sentence of the refusal."""
    try:
        found = access_token.read(payload, kid="one")
    except InvalidToken as refusal:
        return refusal.description
    fields = (getattr(found, name) for name in found.__struct_fields__ if name != "payload")
    return (*((type(value), value) for value in fields), found.claims)
