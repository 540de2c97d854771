"""The token itself: its parts, its claims, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

import watchword
from tests.mission.stage import Server, User
from watchword import Guard
from watchword.errors import ConfigurationError, InvalidToken
from watchword.jose.jwk import Key, KeySet
from watchword.protocol import access_token

ISSUER = "https://auth.example.com"
KEY = Key.generate("ES256")


def encode(document: dict[str, Any] | bytes) -> str:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {
        "iss": ISSUER,
        "sub": "usr_1",
        "aud": "api",
        "iat": now,
        "exp": now + 600,
        "jti": "one",
        "client_id": "cli_1",
        **changes,
    }
    return {name: value for name, value in made.items() if value is not ...}


@pytest.fixture
def guard() -> Guard:
    """A guard with one public key and no network."""
    return Guard(ISSUER, keys=KeySet([KEY]).public_jwks())


class TestForm:
    def test_s10_a_token_is_checked_without_being_stored(self, server: Server, user: User) -> None:
        """Public keys are all it takes: a guard that never speaks to the server verifies its token."""
        principal = Guard(server.url, keys=server.jwks()).verify(user.tokens["access_token"])
        assert principal.subject == user.id

    @pytest.mark.parametrize(
        "change",
        [
            lambda t: t + ".",
            lambda t: t.rpartition(".")[0],
            lambda t: t + "=",
            lambda t: t.replace(".", ".\n", 1),
            lambda t: " " + t,
            lambda t: t.replace(".", "..", 1),
            lambda t: json.dumps({"token": t}),
        ],
    )
    def test_s11_three_parts_in_strict_base64url(
        self, payroll: httpx2.Client, user: User, guard: Guard, change: Callable[[str], str]
    ) -> None:
        """``header.payload.signature``, and every other spelling of the same token is refused."""
        token = access_token.issue(claims(), KEY)
        assert token.count(".") == 2
        assert guard.verify(token).subject == "usr_1"
        with pytest.raises(InvalidToken):
            guard.verify(change(token))

    def test_s12_the_header_names_algorithm_and_type(self, server: Server, user: User) -> None:
        """The server's tokens say ``alg``, ``typ`` and which key."""
        header = decode(user.tokens["access_token"].split(".")[0])
        assert header["alg"] == "ES256"
        assert header["typ"] == "at+jwt"
        assert header["kid"] in {key["kid"] for key in server.jwks()["keys"]}

    @pytest.mark.parametrize(
        "header",
        [{"alg": "none"}, {"alg": "None"}, {"alg": "HS256"}, {"alg": "ES384"}, {"typ": "JWT"}, {"typ": ...}],
    )
    def test_s12_the_token_does_not_choose(
        self, payroll: httpx2.Client, user: User, header: dict[str, Any]
    ) -> None:
        """Another algorithm than the key's, none at all, or another type: 401."""
        first, payload, signature = user.tokens["access_token"].split(".")
        changed = {name: value for name, value in (decode(first) | header).items() if value is not ...}
        token = f"{encode(changed)}.{payload}.{signature}"
        answer = payroll.get("/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


class TestClaims:
    def test_s13_claims_take_the_names_that_clients_know(self, server: Server, user: User) -> None:
        """``userId`` and ``role`` stand in the token beside ``sub`` and ``iat``, as a setting says."""
        payload = decode(user.tokens["access_token"].split(".")[1])
        assert payload["userId"] == payload["sub"] == user.id
        assert payload["role"] == "user"
        assert abs(payload["iat"] - time.time()) < 60

    def test_s14_four_claims_are_issued(self, server: Server, user: User) -> None:
        """Who issued it, whom it speaks of, whom it is for, when it ends."""
        payload = decode(user.tokens["access_token"].split(".")[1])
        assert payload["iss"] == server.url
        assert payload["sub"] == user.id
        assert payload["aud"] == [server.url, "api"]
        assert payload["exp"] > time.time()

    @pytest.mark.parametrize(
        "change",
        [
            {"iss": "https://other.example.com"},
            {"aud": "other"},
            {"sub": ...},
            {"exp": 1_000_000_000},
            {"aud": ...},
            {"iss": ...},
        ],
    )
    def test_s14_four_claims_are_enforced(self, guard: Guard, change: dict[str, Any]) -> None:
        """A token that lacks one, or has another's, is refused without being asked to."""
        with pytest.raises(InvalidToken):
            guard.verify(access_token.issue(claims(**change), KEY))

    def test_s15_a_boolean_says_who_is_an_administrator(self, server: Server, user: User) -> None:
        """The private claim ``admin`` is a real boolean, and the principal reads it."""
        offline = Guard(server.url, keys=server.jwks())
        plain = offline.verify(user.tokens["access_token"])
        assert plain.claims["admin"] is False
        assert not plain.is_admin
        root = offline.verify(server.administrator().tokens["access_token"])
        assert root.claims["admin"] is True
        assert root.is_admin

    @pytest.mark.parametrize("value", ["true", 1, [True], "admin", {"admin": True}])
    def test_s15_nothing_but_true_is_true(self, guard: Guard, value: object) -> None:
        """A text, a number or a list is no administrator."""
        assert not guard.verify(access_token.issue(claims(admin=value), KEY)).is_admin

    @pytest.mark.parametrize("algorithm", ["HS256", "RS256", "PS256", "ES256", "EdDSA"])
    def test_s16_the_usual_algorithms(self, algorithm: str) -> None:
        """Each of them signs and verifies, each with keys of its own kind."""
        key = Key.from_secret(bytes(range(32))) if algorithm == "HS256" else Key.generate(algorithm)
        keys = {"keys": [key.private_jwk()]} if key.symmetric else KeySet([key]).public_jwks()
        token = access_token.issue(claims(), key)
        assert Guard(ISSUER, keys=keys).verify(token).subject == "usr_1"

    def test_s16_the_server_changes_its_algorithm_without_an_outage(
        self, server: Server, payroll: httpx2.Client
    ) -> None:
        """After a rotation to RS256 old and new tokens are both good at a running API."""
        before = server.newcomer()
        admin = server.administrator(audience=server.url)
        rotated = server.http.post(
            "/admin/v1/keys/rotate", json={"algorithm": "RS256", "now": True}, headers=admin.bearer
        )
        assert rotated.status_code == 200, rotated.text
        after = server.newcomer()
        assert decode(after.tokens["access_token"].split(".")[0])["alg"] == "RS256"
        for user in (before, after):
            assert payroll.get("/me", headers=user.bearer).status_code == 404
        back = server.http.post(
            "/admin/v1/keys/rotate", json={"algorithm": "ES256", "now": True}, headers=admin.bearer
        )
        assert back.status_code == 200

    def test_s19_every_token_ends(self, guard: Guard) -> None:
        """No ``exp`` is no token; the end is the end, but for a small difference of clocks."""
        with pytest.raises(InvalidToken):
            guard.verify(access_token.issue(claims(exp=...), KEY))
        token = access_token.issue(claims(), KEY)
        keys = KeySet([KEY]).public_jwks()
        assert Guard(ISSUER, keys=keys, clock=lambda: time.time() + 610).verify(token)
        with pytest.raises(InvalidToken):
            Guard(ISSUER, keys=keys, clock=lambda: time.time() + 640).verify(token)

    def test_s19_leeway_is_bounded(self) -> None:
        """A guard that would forgive an hour is not made."""
        with pytest.raises(ConfigurationError):
            Guard(ISSUER, keys=KeySet([KEY]).public_jwks(), leeway=3600)

    def test_s77_names_are_case_sensitive(self, server: Server, guard: Guard) -> None:
        """``Exp`` is not ``exp``: such a token never ends, the guard refuses it and the inspector says why."""
        token = access_token.issue(claims(exp=..., Exp=int(time.time()) + 600), KEY)
        with pytest.raises(InvalidToken):
            guard.verify(token)
        said = server.cli("token", "inspect", "-", given=token)
        assert said.returncode == 1
        assert "Exp" in said.stdout
        assert "never expires" in said.stdout


class TestForgery:
    def test_s20_an_edited_payload_is_detected(
        self, server: Server, payroll: httpx2.Client, user: User
    ) -> None:
        """The payroll attack: ``admin`` false becomes true, role user becomes admin, and the payment is refused."""
        header, payload, signature = user.tokens["access_token"].split(".")
        edited = decode(payload) | {"admin": True, "role": "admin", "roles": ["admin"]}
        token = f"{header}.{encode(edited)}.{signature}"
        order = {"employee_id": 7, "month": "2026-01", "amount_cents": 990_000}
        answer = payroll.post("/payments", headers={"Authorization": f"Bearer {token}"}, json=order)
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]

    def test_s21_a_forged_token_is_detected(self, server: Server, payroll: httpx2.Client, user: User) -> None:
        """Unsigned, signed by somebody else, or with the public key as a secret: 401, each of them."""
        header, payload, _ = user.tokens["access_token"].split(".")
        public = json.dumps(server.jwks()["keys"][0]).encode()
        confused = encode({"alg": "HS256", "typ": "at+jwt", "kid": decode(header)["kid"]})
        signed = f"{confused}.{payload}".encode()
        stranger = Key.generate("ES256", kid=decode(header)["kid"])
        forged = [
            f"{header}.{payload}.",
            f"{encode({'alg': 'none', 'typ': 'at+jwt'})}.{payload}.",
            f"{signed.decode()}.{encode(hmac.digest(public, signed, hashlib.sha256))}",
            access_token.issue(decode(payload), stranger),
            access_token.issue(decode(payload), Key.generate("ES256")),
        ]
        for token in forged:
            answer = payroll.get("/me", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401, token

    def test_s22_there_is_no_reading_without_checking(self) -> None:
        """What the package offers verifies; nothing in it is called ``decode``."""
        offered = set(watchword.__all__) | set(dir(Guard))
        assert not [name for name in offered if "decode" in name.lower()]

    def test_s62_no_secret_is_ever_served(self, server: Server) -> None:
        """The key set has public members only, and no shared secret among them."""
        for path in ("/.well-known/jwks.json", "/.well-known/oauth-authorization-server"):
            assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & names(server.http.get(path).json())
        assert "oct" not in {key["kty"] for key in server.jwks()["keys"]}

    def test_s64_an_encrypted_token_is_called_so(self, server: Server, guard: Guard) -> None:
        """Five parts are a JWE: the guard and the inspector say that it is encrypted, not that it is broken."""
        token = ".".join([encode({"alg": "dir", "enc": "A256GCM"}), "", "aXY", "dGV4dA", "dGFn"])
        with pytest.raises(InvalidToken, match="encrypted"):
            guard.verify(token)
        said = server.cli("token", "inspect", "-", given=token)
        assert said.returncode == 1
        assert "encrypted" in said.stdout

    def test_s64_an_api_has_its_tokens_encrypted(self, server: Server, tmp_path: Path) -> None:
        """A key pair is made and its public half registered; the API alone reads its tokens, and hears of their end."""
        private, public = tmp_path / "private.json", tmp_path / "public.json"
        public.write_text(json.dumps(server.manage("api", "keypair", str(private))))
        server.manage("api", "create", "vault", "--encryption-jwks", str(public))
        user = server.login(server.register(), audience="vault")
        token = user.tokens["access_token"]
        assert token.count(".") == 4
        vault = Guard(server.url, "vault", decryption_keys=private.read_text(), require_encryption=True)
        other = Guard(server.url, "vault")
        try:
            assert vault.verify(token).subject == user.id
            with pytest.raises(InvalidToken, match="encrypted and no key"):
                other.verify(token)
            with pytest.raises(InvalidToken, match="not encrypted"):
                vault.verify(server.newcomer().tokens["access_token"])
            server.manage("user", "ban", user.email)
            vault.refresh()
            with pytest.raises(InvalidToken, match="revoked"):
                vault.verify(token)
        finally:
            vault.close()
            other.close()

    def test_s63_an_issuer_that_is_a_user_is_told(self, server: Server) -> None:
        """People put the user's name into ``iss``; the inspector says what belongs there."""
        token = access_token.issue(claims(iss="fernando"), KEY)
        said = server.cli("token", "inspect", "-", given=token)
        assert said.returncode == 1
        assert "iss" in said.stdout
        assert "sub" in said.stdout

    def test_s25_a_token_is_read_aloud_offline(self, server: Server, user: User) -> None:
        """Header, claims and a verdict, from a key set in a file: nothing leaves the machine."""
        keys = server.process.folder / "jwks.json"
        keys.write_text(json.dumps(server.jwks()))
        token = user.tokens["access_token"]
        good = server.cli("token", "inspect", "-", "--jwks", str(keys), given=token)
        assert good.returncode == 0, good.stdout + good.stderr
        assert user.id in good.stdout
        header, payload, signature = token.split(".")
        edited = f"{header}.{encode(decode(payload) | {'admin': True})}.{signature}"
        assert server.cli("token", "inspect", "-", "--jwks", str(keys), given=edited).returncode == 1


def names(document: object) -> set[str]:
    """Every member's name at any depth."""
    if isinstance(document, dict):
        return set(document).union(*(names(value) for value in document.values()))
    if isinstance(document, list):
        return set().union(*(names(value) for value in document))
    return set()
