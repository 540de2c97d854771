"""Verification with keys at hand: what is accepted, what is refused, and what the cache may not remember."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from tests.guard.stage import ISSUER, OTHER_KEY, TOKEN_KEY, Clock, claims, mint, offline, run
from watchword import (
    ConfigurationError,
    Guard,
    InvalidRequest,
    InvalidToken,
    MissingCredentials,
)
from watchword.jose.encoding import encode_base64url
from watchword.jose.jwk import Key, KeySet
from watchword.protocol import access_token


def basic(user_name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user_name}:{password}".encode()).decode()


class TestVerify:
    def test_a_good_token_gives_its_principal(self) -> None:
        """Subject, client, session, roles and scope are those of the token."""
        clock = Clock()
        principal = offline(clock).verify(mint(clock.wall))
        assert (principal.subject, principal.client_id) == ("usr_ada", "cli_first_party")
        assert (principal.session_id, principal.roles) == ("ses_1", ("user",))
        assert principal.scope == ("read", "write")
        assert principal.issuer == ISSUER
        assert principal.expires_at.timestamp() == int(clock.wall) + 600

    @pytest.mark.parametrize("name", ["iss", "sub", "exp", "iat", "jti", "client_id"])
    def test_it_demands_six_claims(self, name: str) -> None:
        """A token without one of them is refused (RFC 9068 2.2)."""
        clock = Clock()
        with pytest.raises(InvalidToken):
            offline(clock).verify(mint(clock.wall, **{name: None}))

    def test_all_else_is_optional(self) -> None:
        """Another issuer's token may have no session, role, scope or version."""
        clock = Clock()
        bare = mint(clock.wall, sid=None, scope=None, roles=None, uv=None, cv=None)
        principal = offline(clock).verify(bare)
        assert (principal.session_id, principal.roles, principal.scope) == (None, (), ())

    @pytest.mark.parametrize(
        "wrong",
        [
            {"iss": ISSUER + "/"},
            {"iss": ISSUER.upper()},
            {"aud": "apis"},
            {"aud": ["web"]},
            {"aud": "*"},
            {"nbf": 1_900_000_031},
            {"iat": 1_900_000_031},
            {"exp": 1_899_999_970},
            {"cnf": {"jkt": "x"}},
            {"act": "usr_bob"},
        ],
    )
    def test_a_token_for_somebody_else_or_another_time_is_refused(self, wrong: dict[str, Any]) -> None:
        """Issuer byte by byte, audience as a member, times within the leeway, no proof we cannot check."""
        clock = Clock()
        with pytest.raises(InvalidToken):
            offline(clock).verify(mint(clock.wall, **wrong))

    def test_another_key_is_refused(self) -> None:
        """A signature by a key that is not in the set counts for nothing, also under a known kid."""
        clock = Clock()
        impostor = Key.parse({**OTHER_KEY.private_jwk(), "kid": TOKEN_KEY.kid})
        guard = offline(clock)
        for key in (OTHER_KEY, impostor):
            with pytest.raises(InvalidToken):
                guard.verify(mint(clock.wall, key))

    @pytest.mark.parametrize("junk", ["", "a", "a.b.c", "é.b.c", "." * 9000, b"\xff\xfe", None, 7, ["x"]])
    def test_junk_is_an_invalid_token(self, junk: Any) -> None:
        """Whatever is handed over, the answer is our own error."""
        with pytest.raises(InvalidToken):
            offline(Clock()).verify(junk)

    def test_bytes_are_text(self) -> None:
        """A framework that hands over bytes need not decode them."""
        clock = Clock()
        assert offline(clock).verify(mint(clock.wall).encode()).subject == "usr_ada"

    def test_a_text_of_another_class_is_text(self) -> None:
        """Frameworks mark texts by a class of their own."""

        class Marked(str):
            __slots__ = ()

        clock = Clock()
        assert offline(clock).verify(Marked(mint(clock.wall))).subject == "usr_ada"

    def test_attack_a02_the_public_key_is_no_secret(self) -> None:
        """A public key's text signs nothing: the guard of an asymmetric set has no HMAC at all."""
        clock = Clock()
        guard = offline(clock)
        header = encode_base64url(
            json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": TOKEN_KEY.kid}).encode()
        )
        body = encode_base64url(json.dumps(claims(clock.wall)).encode())
        with pytest.raises(InvalidToken):
            guard.verify(f"{header}.{body}.{encode_base64url(b'0' * 32)}")

    def test_attack_a19_admin_is_a_boolean_or_a_role_in_a_list(self) -> None:
        """No look-alike of the claim makes an administrator."""
        clock = Clock()
        guard = offline(clock)
        lookalikes: list[dict[str, Any]] = [
            {"admin": "true"}, {"admin": 1}, {"admin": [True]}, {"roles": "admin"}, {"roles": ["Admin"]},
            {"roles": ["аdmin"]}, {"role": "admin"}, {"roles": [["admin"]]}, {"scope": "admin"},
        ]  # fmt: skip
        for claim in lookalikes:
            assert not guard.verify(mint(clock.wall, **claim)).is_admin, claim
        assert guard.verify(mint(clock.wall, admin=True)).is_admin
        assert guard.verify(mint(clock.wall, roles=["user", "admin"])).is_admin


class TestCache:
    def test_a_remembered_token_still_expires(self) -> None:
        """The end is looked at on every use."""
        clock = Clock()
        guard = offline(clock)
        token = mint(clock.wall)
        guard.verify(token)
        clock.forward(600 + 29)
        guard.verify(token)
        clock.forward(1)
        with pytest.raises(InvalidToken):
            guard.verify(token)

    def test_it_stays_within_its_bound(self) -> None:
        """However many good tokens come, no more than ``cache_size`` are remembered."""
        clock = Clock()
        guard = offline(clock, cache_size=10)
        tokens = [mint(clock.wall, jti=f"token-{number}") for number in range(35)]
        for token in tokens * 2:
            guard.verify(token)
            assert guard.health()["cached"] <= 10

    def test_what_is_in_use_stays(self) -> None:
        """A token of the older half is taken from memory, and is of the younger half from then on."""
        clock = Clock()
        guard = offline(clock, cache_size=4)
        used, *others = (mint(clock.wall, jti=f"token-{number}") for number in range(5))
        first = guard.verify(used)
        for other in others:
            guard.verify(other)
            assert guard.verify(used) is first

    def test_bad_tokens_are_not_remembered(self) -> None:
        """A stranger fills nothing."""
        clock = Clock()
        guard = offline(clock)
        for number in range(50):
            with pytest.raises(InvalidToken):
                guard.verify(mint(clock.wall, OTHER_KEY, jti=str(number)))
        assert guard.health()["cached"] == 0

    def test_it_can_be_turned_off(self) -> None:
        """Size 0 remembers nothing and verifies all the same."""
        clock = Clock()
        guard = offline(clock, cache_size=0)
        token = mint(clock.wall)
        assert guard.verify(token).subject == guard.verify(token).subject
        assert guard.health()["cached"] == 0

    def test_one_request_cannot_change_the_claims_of_the_next(self) -> None:
        """``claims`` is a copy, to the bottom."""
        clock = Clock()
        guard = offline(clock)
        token = mint(clock.wall, address={"city": "Ulm"})
        first = guard.verify(token).claims
        first["sub"] = "usr_eve"
        first["roles"].append("admin")
        first["address"]["city"] = "Rome"
        again = guard.verify(token)
        assert again.claims["roles"] == ["user"]
        assert again.claims["address"] == {"city": "Ulm"}
        assert again.subject == again.claims["sub"] == "usr_ada"

    def test_a_verification_touches_no_socket_no_file_and_no_thread(self) -> None:
        """After the first use, a thousand requests raise not one event of the kind."""
        program = (
            "import sys, threading\n"
            "from tests.guard.stage import Clock, mint, offline\n"
            "clock = Clock(); guard = offline(clock); tokens = [mint(clock.wall, jti=str(n)) for n in range(20)]\n"
            "for token in tokens: guard.verify(token)\n"
            "seen = []\n"
            "sys.addaudithook(lambda name, _: seen.append(name)\n"
            "    if name.startswith(('socket.', 'open', 'os.', 'subprocess.', '_thread.')) else None)\n"
            "for _ in range(50):\n"
            "    for token in tokens: guard.verify(token)\n"
            "assert not seen, seen\n"
            "assert threading.active_count() == 1\n"
        )
        run(program)


class TestAuthenticate:
    def test_bearer(self) -> None:
        """The scheme's case does not matter; bytes and a list of one are as good as a text."""
        clock = Clock()
        guard = offline(clock)
        token = mint(clock.wall)
        for header in (f"Bearer {token}", f"bearer {token}", f"BEARER {token}".encode(), [f"Bearer {token}"]):
            assert guard.authenticate(header).subject == "usr_ada"

    @pytest.mark.anyio
    async def test_the_asynchronous_twin_says_the_same(self) -> None:
        """Both find the same principal."""
        clock = Clock()
        guard = offline(clock)
        header = f"Bearer {mint(clock.wall)}"
        assert (await guard.authenticate_async(header)).jti == guard.authenticate(header).jti

    @pytest.mark.parametrize("nothing", [None, [], ()])
    def test_attack_a24_nothing_is_missing_credentials(self, nothing: Any) -> None:
        """A request without the field is told so, and not that its token is bad."""
        with pytest.raises(MissingCredentials):
            offline(Clock()).authenticate(nothing)

    def test_attack_a23_credentials_come_once(self) -> None:
        """Two fields, or two in one field, are a bad request; a field of no known form is a bad token."""
        clock = Clock()
        guard = offline(clock)
        good = f"Bearer {mint(clock.wall)}"
        for twice in ([good, good], f"{good}, {good}"):
            with pytest.raises(InvalidRequest):
                guard.authenticate(twice)
        malformed = (
            "Bearer",
            "Bearer ",
            good.replace(" ", "\t"),
            good.replace(" ", " \t"),
            good + " x",
            "x",
            "",
        )
        for one in (*malformed, 'Bearer {"payload":"x","signatures":[]}', "Digest abc"):
            with pytest.raises(InvalidToken):
                guard.authenticate(one)

    def test_a_basic_pair_is_its_token_and_its_user_name(self) -> None:
        """The password is an access token that names its user name, and the two are compared exactly."""
        clock = Clock()
        guard = offline(clock)
        token = mint(clock.wall, basic_username="tmp_ada")
        assert guard.authenticate(basic("tmp_ada", token)).subject == "usr_ada"
        for name in ("tmp_bob", "TMP_ADA", "tmp_ada ", ""):
            with pytest.raises(InvalidToken):
                guard.authenticate(basic(name, token))

    def test_a_pair_is_no_bearer_token_and_a_bearer_token_no_pair(self) -> None:
        """Each opens the door it was made for."""
        clock = Clock()
        guard = offline(clock)
        pair = mint(clock.wall, basic_username="tmp_ada")
        for refused in (f"Bearer {pair}", basic("tmp_ada", mint(clock.wall)), basic("", mint(clock.wall))):
            with pytest.raises(InvalidToken):
                guard.authenticate(refused)
        with pytest.raises(InvalidToken):
            guard.verify(pair)

    @pytest.mark.parametrize("torn", ["Basic eA", "Basic eA==", "Basic eDp5=", "Basic /w==", "Basic eDoA"])
    def test_torn_basic_credentials_are_refused(self, torn: str) -> None:
        """Unpadded, without a colon, not UTF-8, or with a control character."""
        with pytest.raises(InvalidToken):
            offline(Clock()).authenticate(torn)


class TestConstruction:
    @pytest.mark.parametrize(
        ("issuer", "options"),
        [
            ("http://auth.example.com", {}),
            ("https://auth.example.com/", {}),
            ("auth.example.com", {}),
            (ISSUER, {"audience": ""}),
            (ISSUER, {"algorithms": ("none",)}),
            (ISSUER, {"algorithms": "ES256"}),
            (ISSUER, {"algorithms": ()}),
            (ISSUER, {"leeway": 3600}),
            (ISSUER, {"leeway": -1}),
            (ISSUER, {"max_staleness": 0}),
            (ISSUER, {"on_stale": "hope"}),
            (ISSUER, {"cache_size": -1}),
            (ISSUER, {"keys": {"keys": []}}),
            (ISSUER, {"keys": "{"}),
            (ISSUER, {"secrets": "short"}),
            (ISSUER, {"secrets": []}),
            (ISSUER, {"feed_secret": "café"}),
            (ISSUER, {"feed_secret": "two\nlines"}),
            (ISSUER, {"cookie": ""}),
            (ISSUER, {"cookie": "two words"}),
            (ISSUER, {"cookie": "a=b"}),
            (ISSUER, {"cookie": 1}),
            (ISSUER, {"cookie_origins": ["https://app.example.com"]}),
            (ISSUER, {"cookie": "a", "cookie_origins": "https://app.example.com"}),
            (ISSUER, {"cookie": "a", "cookie_origins": ["*"]}),
            (ISSUER, {"cookie": "a", "cookie_origins": ["https://app.example.com/"]}),
            (ISSUER, {"cookie": "a", "cookie_origins": [None]}),
        ],
    )
    def test_an_unsafe_argument_stops_the_start(self, issuer: str, options: dict[str, Any]) -> None:
        """A guard that cannot be trusted is not built."""
        with pytest.raises(ConfigurationError):
            Guard(issuer, **options)

    @pytest.mark.parametrize("form", ["dict", "text", "bytes", "set"])
    def test_keys_come_in_every_form(self, form: str) -> None:
        """A JWKS as object, text, bytes, or a key set already made."""
        clock = Clock()
        jwks = {"keys": [TOKEN_KEY.public_jwk()]}
        text = json.dumps(jwks)
        keys = {"dict": jwks, "text": text, "bytes": text.encode(), "set": KeySet([TOKEN_KEY])}[form]
        assert offline(clock, keys=keys).verify(mint(clock.wall)).subject == "usr_ada"

    def test_a_shared_secret_that_is_handed_over_is_used(self) -> None:
        """``oct`` keys bring HS256 with them."""
        clock = Clock()
        secret = Key.from_secret("a secret of more than thirty-two bytes")
        guard = offline(clock, keys={"keys": [secret.private_jwk()]})
        assert guard.verify(access_token.issue(claims(clock.wall), secret)).subject == "usr_ada"

    def test_an_offline_guard_is_never_stale(self) -> None:
        """There is no feed that could be."""
        guard = offline(Clock())
        guard.check_fresh(0)
        guard.refresh()
        asyncio.run(guard.confirm_async())
        guard.close()
        assert guard.health()["state"] == "offline"
        assert guard.health()["kids"] == [TOKEN_KEY.kid]

    def test_no_secret_is_shown(self) -> None:
        """The guard's ``repr`` names issuer and audience."""
        assert repr(offline(Clock())) == f"Guard('{ISSUER}', 'api')"


class TestImport:
    def test_importing_watchword_is_light(self) -> None:
        """No server, no framework, no HTTP: an API that verifies offline pays for none of them."""
        program = (
            "import sys\n"
            "before = set(sys.modules)\n"  # what measures a test may have imported one itself
            "import watchword\n"
            "heavy = ('watchword.server', 'watchword.cli', 'watchword.frameworks', 'starlette', 'fastapi', 'httpx',\n"
            "         'httpx2', 'anyio', 'asyncio', 'http.client', 'ssl', 'argon2', 'sqlite3', 'click')\n"
            "print([name for name in heavy if name in sys.modules.keys() - before])\n"
        )
        assert run(program) == "[]"
