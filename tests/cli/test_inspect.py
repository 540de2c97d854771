"""``watchword token inspect``: a token read aloud, offline."""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest

from tests.cli.stage import Shell
from watchword.jose.jwe import EncryptionKey, encrypt
from watchword.jose.jwk import Key

KEY = Key.generate("ES256")
NOW = int(time.time())
CLAIMS = {
    "iss": "https://auth.example.com",
    "sub": "usr_ada",
    "aud": "api",
    "exp": NOW + 6 * 3600,
    "iat": NOW - 5,
    "jti": "one",
    "client_id": "cli_first_party",
}
SECRET = b"a-shared-secret-of-more-than-thirty-two-bytes"


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def mint(key: Key = KEY, header: dict[str, Any] | None = None, **changed: Any) -> str:
    """A token with *changed* claims; ``None`` leaves one out."""
    claims = {name: value for name, value in {**CLAIMS, **changed}.items() if value is not None}
    head = {"alg": key.algorithm, "typ": "at+jwt", "kid": key.kid} if header is None else header
    text = f"{part(head)}.{part(claims)}"
    return f"{text}.{part(key.sign(text.encode()))}"


@pytest.fixture
def jwks(shell: Shell) -> Path:
    """The key set of the issuer, as a file."""
    file = shell.folder / "jwks.json"
    file.write_text(json.dumps({"keys": [KEY.public_jwk()]}))
    return file


def inspect(shell: Shell, token: str, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit code and what a program reads."""
    done = shell.run("token", "inspect", "-", *options, "--json", given=token)
    assert done.stderr == ""
    return done.exit_code, json.loads(done.stdout)


def errors(answer: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in answer["findings"] if finding["level"] == "error"}


class TestVerdict:
    def test_exit_0_is_a_token_that_verifies(self, shell: Shell, jwks: Path) -> None:
        """Signature, times and form: all of it, and only with a key."""
        code, answer = inspect(shell, mint(), "--jwks", str(jwks))
        assert (code, answer["verified"], errors(answer)) == (0, True, set())
        assert answer["claims"] == CLAIMS
        code, answer = inspect(shell, mint())
        assert (code, answer["verified"], errors(answer)) == (1, False, set())

    @pytest.mark.parametrize(
        ("changed", "code"),
        [
            ({"exp": NOW - 60}, "expired"),
            ({"exp": None, "Exp": NOW + 600}, "capitals"),
            ({"exp": None}, "no_expiry"),
            ({"exp": str(NOW + 600)}, "times"),
            ({"exp": True}, "times"),
            ({"exp": (NOW + 600) * 1000}, "milliseconds"),
            ({"nbf": NOW + 3 * 3600}, "future"),
            ({"iat": NOW + 3 * 3600}, "future"),
            ({"sub": 7}, "subject"),
            ({"aud": {"api": True}}, "audience"),
            ({"jti": None}, "missing"),
        ],
    )
    def test_a_signature_is_not_enough(
        self, shell: Shell, jwks: Path, changed: dict[str, Any], code: str
    ) -> None:
        """Well signed and wrong all the same: exit 1, and the reason by its word."""
        exit_code, answer = inspect(shell, mint(**changed), "--jwks", str(jwks))
        assert (exit_code, answer["verified"]) == (1, False)
        assert code in errors(answer)

    def test_a_bad_signature(self, shell: Shell, jwks: Path) -> None:
        """An edited payload, another key, a cut signature: none verifies."""
        head, _, signature = mint().split(".")
        edited = f"{head}.{part({**CLAIMS, 'admin': True})}.{signature}"
        foreign = mint(Key.generate("ES256"), {"alg": "ES256", "typ": "at+jwt", "kid": KEY.kid})
        for token in (edited, foreign, mint()[:-4], mint(Key.generate("ES256"))):
            code, answer = inspect(shell, token, "--jwks", str(jwks))
            assert code == 1
            assert errors(answer) & {"signature", "strict"}

    @pytest.mark.parametrize("alg", ["none", "None", "nOnE"])
    def test_attack_a01_unsigned(self, shell: Shell, jwks: Path, alg: str) -> None:
        """``none`` in any spelling is told as what it is."""
        token = f"{part({'alg': alg})}.{part(CLAIMS)}."
        code, answer = inspect(shell, token, "--jwks", str(jwks))
        assert code == 1
        assert {"alg_none", "unsigned"} <= errors(answer)

    def test_attack_a02_a_public_key_is_no_secret(self, shell: Shell, jwks: Path) -> None:
        """An HS256 token made with the text of the public key does not verify, with the keys or with that secret."""
        text = f"{part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': KEY.kid})}.{part(CLAIMS)}"
        public = json.dumps(KEY.public_jwk()).encode()
        token = f"{text}.{part(hmac.digest(public, text.encode(), 'sha256'))}"
        (shell.folder / "public").write_bytes(public)
        assert inspect(shell, token, "--jwks", str(jwks))[0] == 1
        assert inspect(shell, token, "--secret-file", "public")[0] == 1

    def test_encrypted(self, shell: Shell) -> None:
        """Five parts are a JWE: encrypted, not broken."""
        token = f"{part({'alg': 'dir', 'enc': 'A256GCM'})}..{part(b'123456789012')}.{part(b'text')}.{part(b'tag')}"
        code, answer = inspect(shell, token)
        assert (code, answer["kind"], answer["header"]["enc"]) == (1, "encrypted", "A256GCM")
        assert errors(answer) == {"encrypted"}

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("", "empty"),
            ("abc", "form"),
            ("a.b.c.d", "form"),
            ("wwr_AAAA", "refresh_token"),
            ("x." * 60_000, "length"),
        ],
    )
    def test_no_token_at_all(self, shell: Shell, text: str, code: str) -> None:
        """What people paste by mistake is called by its name."""
        exit_code, answer = inspect(shell, text)
        assert (exit_code, errors(answer)) == (1, {code})

    def test_an_issuer_that_is_a_user(self, shell: Shell, jwks: Path) -> None:
        """A warning: the token stands, and somebody mistook the claim."""
        code, answer = inspect(shell, mint(iss="ada"), "--jwks", str(jwks))
        assert code == 0
        assert "iss looks like a user" in json.dumps(answer["findings"])


class TestKeys:
    def test_a_shared_secret(self, shell: Shell) -> None:
        """From a file, as it stands or as base64; a weak one never verifies."""
        key = Key.from_secret(SECRET)
        token = mint(key, {"alg": "HS256", "typ": "at+jwt"})
        (shell.folder / "plain").write_bytes(SECRET + b"\n")
        (shell.folder / "encoded").write_text(urlsafe_b64encode(SECRET).decode())
        (shell.folder / "other").write_bytes(SECRET[::-1])
        assert inspect(shell, token, "--secret-file", "plain")[0] == 0
        assert inspect(shell, token, "--secret-file", "encoded")[0] == 0
        assert inspect(shell, token, "--secret-file", "other")[0] == 1

    def test_a_key_set_that_is_none(self, shell: Shell) -> None:
        """Told as one line, for it is not the token's fault."""
        (shell.folder / "jwks.json").write_text("[]")
        done = shell.run("token", "inspect", mint(), "--jwks", "jwks.json")
        assert (done.exit_code, done.stderr) == (1, "watchword: jwks: it is no JWK Set\n")
        assert "missing.json" in shell.refused("token", "inspect", mint(), "--jwks", "missing.json")

    def test_a_url_must_be_https(self, shell: Shell) -> None:
        """A key that came in the clear proves nothing."""
        said = shell.refused("token", "inspect", mint(), "--jwks", "http://auth.example.com/jwks.json")
        assert said == "jwks: the URL must be https beyond this machine"

    def test_both_are_wrong_use(self, shell: Shell, jwks: Path) -> None:
        """A key set or a secret."""
        options = ("--jwks", str(jwks), "--secret-file", str(jwks))
        assert "give one of" in shell.refused("token", "inspect", "-", *options, code=2, given=mint())


class TestWords:
    def test_times_in_words(self, shell: Shell, jwks: Path) -> None:
        """Each claim with what it means; each time with how far away it is."""
        token = mint(exp=int(time.time()) + 630, auth_time=NOW - 3 * 86_400)
        shown = shell.ok("token", "inspect", "-", "--jwks", str(jwks), given=token).stdout
        assert "when it ends: " in shown
        assert "in 10 minutes" in shown
        assert "3 days ago" in shown
        assert "This token verifies." in shown

    def test_a_token_with_the_word_bearer(self, shell: Shell, jwks: Path) -> None:
        """As copied from a header field, or broken by a line end."""
        code, answer = inspect(shell, f"  Bearer {mint()}\n", "--jwks", str(jwks))
        assert code == 0
        assert "scheme" in {finding["code"] for finding in answer["findings"]}

    def test_attack_a59_claims_do_not_move_the_cursor(self, shell: Shell) -> None:
        """Names and values of a stranger's token are spelled out."""
        token = mint(**{"name": "\x1b[2J\u202eevil", "na\x1bme": "x\r\ny"})
        shown = shell.run("token", "inspect", token).stdout
        assert not {"\x1b", "\r", "\u202e"} & set(shown)
        assert "\\x1b[2J\\u202eevil" in shown
        assert "na\\x1bme" in shown

    @pytest.mark.parametrize(
        "payload",
        [
            '{"exp":1e400}',
            '{"exp":' + "9" * 6000 + "}",
            '{"a":NaN}',
            "[" * 20_000,
            '{"a":1,"a":2}',
            '{"a":"\\ud800","\\udfff":1}',
            "\ufeff{}",
        ],
    )
    def test_attack_a15_a_hostile_payload_is_a_finding(self, shell: Shell, payload: str) -> None:
        """Never an exception: numbers beyond JSON, depth without end, names twice, half characters."""
        token = f"{part({'alg': 'ES256'})}.{part(payload.encode())}.{part(bytes(64))}"
        done = shell.run("token", "inspect", "-", "--json", given=token)
        assert done.exit_code == 1
        assert json.loads(done.stdout)["verified"] is False
        assert shell.run("token", "inspect", "-", given=token).exit_code == 1


class TestEncrypted:
    def test_s64_with_its_key_the_token_inside_is_read(self, shell: Shell, jwks: Path) -> None:
        """Opened, checked like any other, and what it was encrypted with is said."""
        key = EncryptionKey.generate()
        file = shell.folder / "private.json"
        file.write_text(json.dumps({"keys": [key.private_jwk()]}))
        token = encrypt(mint(), key, typ="at+jwt")
        code, answer = inspect(shell, token)
        assert (code, answer["kind"], errors(answer)) == (1, "encrypted", {"encrypted"})
        code, answer = inspect(shell, token, "--decryption-keys", str(file), "--jwks", str(jwks))
        assert (code, answer["kind"], answer["verified"], answer["claims"]) == (0, "signed", True, CLAIMS)
        assert key.kid in str(answer["findings"])
        stale = encrypt(mint(exp=NOW - 60), key, typ="at+jwt")
        code, answer = inspect(shell, stale, "--decryption-keys", str(file), "--jwks", str(jwks))
        assert (code, "expired" in errors(answer)) == (1, True)
        other = encrypt(mint(), EncryptionKey.generate(), typ="at+jwt")
        code, answer = inspect(shell, other, "--decryption-keys", str(file))
        assert (code, answer["kind"], errors(answer)) == (1, "encrypted", {"encrypted"})
        assert key.private_jwk()["d"] not in str(answer)
