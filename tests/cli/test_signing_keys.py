"""``watchword signing-key``: made, handed in, listed, ended beside a running server."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.stage import Shell
from watchword.jose.jwk import Key


def ready(shell: Shell, folder: Path) -> Path:
    """Ada, the API that a server that was started once has, and a public key."""
    shell.create("ada@example.com")
    shell.ok("api", "create", "api")
    public = folder / "public.json"
    public.write_text(shell.ok("signing-key", "generate", str(folder / "private.json")).stdout)
    return public


class TestSigningKey:
    def test_a_new_key_stays_where_it_was_made(self, shell: Shell, tmp_path: Path) -> None:
        """The private part in a file of its owner's alone, which is never written over; stdout has the public one."""
        public = json.loads(ready(shell, tmp_path).read_text())
        private = tmp_path / "private.json"
        assert private.stat().st_mode & 0o777 == 0o600
        key = Key.parse(json.loads(private.read_text()))
        assert (key.private, key.algorithm, key.public_jwk()) == (True, "EdDSA", public)
        before = private.read_bytes()
        assert "exists" in shell.refused("signing-key", "generate", str(private))
        assert private.read_bytes() == before

    def test_stdout_holds_its_id_alone(self, shell: Shell, tmp_path: Path) -> None:
        """What the client writes into its signatures; the list has the rest; its end is by that id, once."""
        public = ready(shell, tmp_path)
        add = ("signing-key", "add", "ada@example.com", "--name", "deploy", "--jwk", str(public))
        keyid = shell.ok(*add, "--expires-in", "30d").stdout.strip()
        (listed,) = shell.json("signing-key", "list", "ada@example.com")
        assert (listed["id"], listed["name"]) == (keyid, "deploy")
        assert listed["thumbprint"] == Key.parse(json.loads(public.read_text())).thumbprint()
        assert "deploy" in shell.ok("signing-key", "list", "ada@example.com").stdout
        assert shell.ok("signing-key", "revoke", keyid).stderr.strip() == f"revoked {keyid}"
        assert shell.refused("signing-key", "revoke", keyid) == "there is no such signing key"
        assert shell.ok("signing-key", "list", "ada@example.com").stderr.strip() == "no signing keys"

    def test_what_is_no_public_key_is_said(self, shell: Shell, tmp_path: Path) -> None:
        """A private one, no JSON, a span that is none."""
        public = ready(shell, tmp_path)
        add = ("signing-key", "add", "ada@example.com", "--name", "deploy", "--jwk")
        assert "private key" in shell.refused(*add, str(tmp_path / "private.json"))
        (tmp_path / "torn.json").write_text("{")
        assert shell.refused(*add, str(tmp_path / "torn.json")) == "not strict JSON"
        assert "span" in shell.refused(*add, str(public), "--expires-in", "soon", code=2)
