"""Text files as Windows writes them, at every command that reads one: a mark before the text, CR and LF behind it."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.stage import Shell
from tests.cli.test_inspect import mint
from watchword import ConfigurationError, Guard
from watchword.jose.jwk import Key

SECRET = "a-shared-secret-of-more-than-thirty-two-bytes"
MARK = codecs.BOM_UTF8


def windows(path: Path) -> str:
    """The same file as an editor of Windows would have saved it."""
    path.write_bytes(MARK + path.read_bytes().rstrip(b"\n").replace(b"\n", b"\r\n") + b"\r\n")
    return str(path)


class TestFiles:
    def test_f_b41_a_public_key(self, shell: Shell, tmp_path: Path) -> None:
        """One that is handed in, from a file and from stdin."""
        shell.create("ada@example.com")
        shell.ok("api", "create", "api")
        file = tmp_path / "public.json"
        file.write_text(shell.ok("signing-key", "generate", str(tmp_path / "private.json")).stdout)
        text = Path(windows(file)).read_text("utf-8")
        shell.ok("signing-key", "add", "ada@example.com", "--name", "a", "--jwk", str(file))
        shell.ok("signing-key", "add", "ada@example.com", "--name", "b", "--jwk", "-", given=text)

    def test_f_b41_keys_for_encryption(self, shell: Shell, tmp_path: Path) -> None:
        """The public ones of an API, and the private ones that open its tokens."""
        pair = tmp_path / "private.json"
        public = tmp_path / "public.json"
        public.write_text(shell.ok("api", "keypair", str(pair)).stdout)
        shell.ok("api", "create", "pay", "--encryption-jwks", windows(public))
        raw = Path(windows(pair)).read_bytes()
        for keys in (raw, raw.decode()):
            Guard("https://auth.example.com", decryption_keys=keys).close()

    def test_f_b41_parameters_of_another_program(self, shell: Shell, tmp_path: Path) -> None:
        """Those of a Firebase project."""
        parameters = tmp_path / "firebase.json"
        parameters.write_text(
            json.dumps({"signer_key": "a", "salt_separator": "b", "rounds": 8, "mem_cost": 14})
        )
        people = tmp_path / "people.json"
        people.write_text('[{"localId": "x", "email": "ada@example.com"}]')
        imported = shell.json("user", "import", windows(people), "--firebase-parameters", windows(parameters))
        assert imported["added"] == 1

    @pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
    @pytest.mark.parametrize("form", ["csv", "jsonl", "json"])
    def test_f_b41_people_in_another_coding(
        self, shell: Shell, tmp_path: Path, form: str, coding: str
    ) -> None:
        """As PowerShell writes what a command prints: the line says so, and nobody is brought in."""
        text = {"csv": "email\nada@example.com\n", "json": '[{"email": "ada@example.com"}]'}
        file = tmp_path / f"people.{form}"
        mark = "" if coding in ("utf-16", "utf-32") else "\ufeff"
        file.write_bytes((mark + text.get(form, '{"email": "ada@example.com"}\n')).encode(coding))
        assert "save it as UTF-8" in shell.refused("user", "import", str(file))

    def test_f_b41_a_token(self, shell: Shell, tmp_path: Path) -> None:
        """And the secret it is held against, with as many line ends as a setting forgives."""
        token = mint(Key.from_secret(SECRET.encode()), {"alg": "HS256", "typ": "at+jwt"})
        for behind in (b"", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n"):
            (tmp_path / "secret").write_bytes(MARK + SECRET.encode() + behind)
            for given in (token, f"\ufeff{token}\r\n"):
                done = shell.run(
                    "token", "inspect", "-", "--secret-file", str(tmp_path / "secret"), given=given
                )
                assert "the signature verifies" in done.output, done.output
        shell.create("ada@example.com")
        with_mark = shell.refused("token", "revoke", "-", given=f"\ufeff{token}\r\n")
        assert with_mark == shell.refused("token", "revoke", "-", given=token)


class TestGuard:
    @pytest.mark.parametrize("change", [str, lambda text: f"{text}\n", lambda text: f"\ufeff{text}\r\n"])
    def test_f_b40_a_secret_is_read_as_the_server_reads_it(self, change: Callable[[str], str]) -> None:
        """Whether it comes from a variable or a file, as text or as bytes: the same keys."""
        from watchword.guard.derived_key import RootSecrets

        for given in (change(SECRET), change(SECRET).encode(), [change(SECRET), change(SECRET[::-1])]):
            found = RootSecrets.parse(given, issuer="https://auth.example.com", audience="api")
            assert found.roots[0] == SECRET.encode()
        drawn = bytes(range(200, 231)) + b"\n"
        assert RootSecrets.parse(drawn, issuer="https://auth.example.com", audience="api").roots == (drawn,)

    def test_f_b39_b40_the_feed_s_secret_too(self) -> None:
        """A line end behind it is none of it, and an empty one is none."""
        for secret in (None, "", "\n", f"{SECRET}\n", f"\ufeff{SECRET}\r\n"):
            guard = Guard("https://auth.example.com", feed_secret=secret)
            assert guard._issuer._secret == (SECRET if secret and SECRET in secret else None)
            guard.close()
        for secret in ("two words", "two\nlines", "caf\u00e9"):
            with pytest.raises(ConfigurationError, match="feed_secret: must be printable ASCII"):
                Guard("https://auth.example.com", feed_secret=secret)

    @pytest.mark.parametrize("audience", ["api\n", " api", "api\r\n", "a\tpi", "\ufeffapi"])
    def test_f_b30_an_audience_that_no_token_has(self, audience: str) -> None:
        """The server takes no such name for an API: the value is shown."""
        with pytest.raises(ConfigurationError, match="audience: ") as found:
            Guard("https://auth.example.com", audience)
        assert ascii(audience) in found.value.description

    @pytest.mark.parametrize("origin", ["https://API.example.com", "https://api.example.com:443"])
    def test_f_b30_an_origin_that_no_client_signs(self, origin: str) -> None:
        """In capitals, or with the port that clients leave out: every signature would be refused."""
        with pytest.raises(ConfigurationError, match=r"write https://api\.example\.com$"):
            Guard("https://auth.example.com", origin=origin)
        Guard("https://auth.example.com", origin="https://api.example.com").close()
