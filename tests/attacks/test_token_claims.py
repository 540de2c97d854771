"""Attacks in the claims of a well-signed token: times, names, power, size (A15 to A21)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.attacks.api import ask, cpu, guard, refused
from tests.jose.forge import ISSUER, NOW, claims, header, text, token
from watchword.jose import jws
from watchword.jose.encoding import encode_base64url, parse_json

BOUND = 0.005
"""Seconds of CPU for a token that was made to be expensive."""
GUARD = guard()


def with_number(name: str, number: bytes) -> str:
    """A token whose claim *name* is written as *number*, which need not be JSON."""
    return token(header(), text(claims(**{name: None}))[:-1] + b',"' + name.encode() + b'":' + number + b"}")


class TestTimes:
    @pytest.mark.parametrize(
        "exp",
        ["", "9999999999", str(NOW + 60), True, False, None, [], [NOW + 60], {}, -1, -(10**12), 0, 1, NOW,
        NOW - 1,
         2**53 + 2, 10**19],
    )  # fmt: skip
    def test_attack_a15_an_end_that_is_none(self, exp: Any) -> None:
        """A text, a bool, null, an array, the past, this second, the end of time."""
        assert refused(token(header(), {**claims(), "exp": exp}))
        assert refused(token(header(), claims(exp=None)))

    @pytest.mark.parametrize(
        "number", [b"Infinity", b"-Infinity", b"NaN", b"1e400", b"1E+999999999", b"9" * 6000,
        b"0x7fffffff", b"1_0", b"+1",
                   b"09999999999", b"1e308", b"9" * 21, b".5e10", b"1900000001."]
    )  # fmt: skip
    @pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
    def test_attack_a15_a_number_that_is_none(self, number: bytes, name: str) -> None:
        """What only some parsers read, and what no float holds."""
        assert refused(with_number(name, number))

    def test_attack_a15_the_last_second(self) -> None:
        """The one before ``exp`` is good, a fraction as well."""
        assert ask(token(header(), claims(exp=NOW + 1))).status == 200
        assert ask(token(header(), claims(exp=NOW + 0.5))).status == 200
        assert ask(with_number("exp", b"19e8")).status == 401
        assert ask(with_number("exp", b"1.9000001e9")).status == 200

    @pytest.mark.parametrize("name", ["nbf", "iat"])
    @pytest.mark.parametrize("value", [NOW + 1, NOW + 10**9, str(NOW), True, None, [], {}, -1])
    def test_attack_a16_a_beginning_that_lies_ahead(self, name: str, value: Any) -> None:
        """In the future, or no time at all."""
        assert refused(token(header(), {**claims(), name: value}))
        assert ask(token(header(), {**claims(), name: NOW})).status == 200


class TestParties:
    @pytest.mark.parametrize(
        "iss",
        [ISSUER + "/", ISSUER.upper(), ISSUER[:-1], ISSUER + ".mallory.example", ISSUER.replace("https",
        "http"),
         ISSUER + ":443", " " + ISSUER, ISSUER + "\0", ISSUER.replace("a", "а", 1), "", [ISSUER],
         {"iss": ISSUER}, None, 1],
    )  # fmt: skip
    def test_attack_a17_an_issuer_like_ours(self, iss: Any) -> None:
        """A slash, a case, a prefix, a port, a look-alike, an array."""
        assert refused(token(header(), {**claims(), "iss": iss}))

    @pytest.mark.parametrize(
        "aud",
        ["ap", "apis", "API", "api ", "api/", "*", "", "api other", "api,other", [], ["ap"], ["API"],
        [["api"]], ["api", 1],
         [None, "api"], {"api": 1}, {"0": "api"}, None, 1, True],
    )  # fmt: skip
    def test_attack_a17_an_audience_like_ours(self, aud: Any) -> None:
        """A prefix, a wild card, an array without us or with something else, an object, none."""
        assert refused(token(header(), {**claims(), "aud": aud}))

    @pytest.mark.parametrize(
        "sub", [0, 1, True, False, "", None, [], ["usr_ada"], {}, {"id": "usr_ada"}, 1.5]
    )
    def test_attack_a18_a_subject_that_is_none(self, sub: Any) -> None:
        """Not a text, or an empty one: nobody."""
        assert refused(token(header(), {**claims(), "sub": sub}))
        assert refused(token(header(), claims(sub=None)))


class TestPower:
    @pytest.mark.parametrize(
        "more",
        [
            {"admin": "true"}, {"admin": 1}, {"admin": "True"}, {"admin": [True]},
            {"admin": {"true": True}}, {"admin": 1.0},
            {"Admin": True}, {"admin ": True}, {"is_admin": True}, {"role": ["admin"]}, {"role": "admin"},
            {"roles": "admin"}, {"roles": {"admin": True}}, {"roles": [["admin"]]}, {"roles": ["Admin"]},
            {"roles": ["admin "]}, {"roles": [" admin"]}, {"roles": ["\u0430dmin"]}, {"roles": ["admin\0"]},
            {"roles": ["administrator"]}, {"roles": ["user,admin"]}, {"roles": ["user admin"]},
            {"roles": [True]},
            {"roles": ["admin", 1]}, {"roles": ["admin", None]}, {"realm_access": {"roles": ["admin"]}},
        ],
    )  # fmt: skip
    def test_attack_a19_power_that_is_none(self, more: dict[str, Any]) -> None:
        """An administrator's route answers 403 to claims that only look like power."""
        answer = ask(token(header(), {**claims(), **more}), role="admin")
        assert answer.status == 403
        assert not guard().verify(token(header(), {**claims(), **more})).is_admin

    @pytest.mark.parametrize("more", [{"roles": ["admin"]}, {"roles": ["user", "admin"]}, {"admin": True}])
    def test_attack_a19_power_that_is(self, more: dict[str, Any]) -> None:
        """So that the refusals above are worth something."""
        found = guard().verify(token(header(), {**claims(), **more}))
        assert found.is_admin
        assert ask(token(header(), claims(roles=["admin"])), role="admin").status == 200

    @pytest.mark.parametrize(
        "scope",
        ["pay:writer", "xpay:write", "pay", "pay:write,x", "PAY:WRITE", "pay:write\u00a0x", "x\tpay:write",
        "pay:write\0",
         "", "pay :write", "pay:*", "*"],
    )  # fmt: skip
    def test_attack_a19_scope_that_only_contains_the_word(self, scope: str) -> None:
        """Words are compared whole, parted by spaces alone."""
        answer = ask(token(header(), claims(scope=scope)), scope="pay:write")
        assert answer.status == 403
        assert ask(token(header(), claims(scope="read pay:write")), scope="pay:write").status == 200


BOMBS = {
    "arrays": b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "objects": b'{"x":' * 20_000 + b"1" + b"}" * 20_000,
    "torn": b"[" * 40_000,
    "in a text": b'{"x":"' + b"[" * 40_000 + b'"}',
    "side by side": b"[" + b"[]," * 13_000 + b"[]]",
    "escapes": b'{"x":"' + b"\\\\" * 20_000 + b'"}',
    "digits": b'{"x":' + b"9" * 40_000 + b"}",
    "a fraction": b'{"x":0.' + b"1" * 40_000 + b"}",
    "an exponent": b'{"x":1e' + b"9" * 40_000 + b"}",
    "names": b"{" + b",".join(b'"%d":1' % n for n in range(4000)) + b"}",
    "a name again and again": b"{" + b",".join([b'"a":1'] * 6000) + b"}",
}


class TestBombs:
    @pytest.mark.parametrize("bomb", BOMBS)
    @pytest.mark.parametrize("where", ["header", "payload"])
    def test_attack_a20_a_bomb_of_nesting(self, bomb: str, where: str) -> None:
        """40 kB in a header or a payload: refused by length, within 5 ms, without a RecursionError."""
        made = token(BOMBS[bomb], b"{}") if where == "header" else token(header(), BOMBS[bomb])
        assert refused(made)
        assert cpu(lambda: GUARD.verify(made)) < BOUND

    @pytest.mark.parametrize("bomb", BOMBS)
    def test_attack_a20_a_bomb_that_fits(self, bomb: str) -> None:
        """Cut so that the token is just short enough to be read, in the header and in the payload."""
        for size in (5000, 5700):
            cut = BOMBS[bomb][:size]
            for made in (token(cut, b"{}"), token(header(), cut)):
                assert len(made) <= 8192
                assert refused(made)
                assert cpu(lambda made=made: GUARD.verify(made)) < BOUND

    def test_attack_a20_deep_and_short_enough(self) -> None:
        """Seventeen levels are one too many, in a token that is otherwise good."""
        for levels, status in ((15, 200), (16, 401), (400, 401), (2500, 401)):
            nested = b"[" * levels + b"]" * levels
            made = token(header(), text(claims())[:-1] + b',"x":' + nested + b"}")
            assert ask(made).status == status

    @pytest.mark.parametrize("size", [8200, 30_000, 1_000_000, 10_000_000])
    def test_attack_a21_a_token_without_end(self, size: int) -> None:
        """From a text, from bytes, as a field, as a Basic pair: 401 before it is copied, hashed or searched."""
        head = encode_base64url(text(header()))
        for made in (
            "A" * size,
            f"{head}.{'A' * size}.AAAA",
            "." * size,
            "=" * size,
            head + "," * size,
            "\xe9" * size,
        ):
            for call in (
                lambda made=made: GUARD.verify(made),
                lambda made=made: GUARD.authenticate(f"Bearer {made}"),
                lambda made=made: GUARD.authenticate(f"Basic {made}"),
                lambda made=made: jws.parse(made),
            ):
                assert cpu(call, tries=3) < BOUND
        raw = b"A" * size
        assert cpu(lambda: GUARD.verify(raw), tries=3) < BOUND

    def test_a_bomb_inside_a_body_is_cheap_as_well(self) -> None:
        """The same reader serves bodies of more than a token: brackets in texts cost no loop over the text."""
        body = b'{"x":"' + b"[" * 1_000_000 + b'"}'
        assert parse_json(body)["x"] == "[" * 1_000_000
