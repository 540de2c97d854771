"""``watchword api-key``: made, listed, ended beside a running server."""

from __future__ import annotations

from tests.cli.stage import Shell
from watchword.protocol.api_key import parse_api_key


def ready(shell: Shell) -> None:
    """Ada, and the API that a server that was started once has."""
    shell.create("ada@example.com")
    shell.ok("api", "create", "api")


class TestApiKey:
    def test_stdout_holds_the_key_alone(self, shell: Shell) -> None:
        """So that it can go straight into a file; what is said about it goes to stderr, without it."""
        ready(shell)
        done = shell.ok("api-key", "create", "ada@example.com", "--name", "deploy", "--expires-in", "30d")
        key = parse_api_key(done.stdout.removesuffix("\n"))
        assert key.session_id in done.stderr
        assert done.stdout.strip() not in done.stderr

    def test_what_was_said_is_what_it_is(self, shell: Shell) -> None:
        """Scope, audience, life; the list shows all but the text."""
        ready(shell)
        shell.ok("role", "set", "user", "--scope", "see", "--scope", "pay")
        shell.ok("api", "create", "reports")
        options = ("--scope", "see", "--scope", "pay", "--audience", "reports")
        made = shell.json("api-key", "create", "ada@example.com", "--name", "deploy", *options)
        assert (made["name"], made["scope"], made["audience"]) == ("deploy", "see pay", "reports")
        assert parse_api_key(made.pop("key")).session_id == made["id"]
        assert shell.json("api-key", "list", "ada@example.com") == [made]
        assert "deploy" in shell.ok("api-key", "list", "ada@example.com").stdout
        assert shell.json("session", "list", "ada@example.com") == []

    def test_it_is_ended_by_its_id(self, shell: Shell) -> None:
        """Once; the id of a log-in is none of a key."""
        ready(shell)
        made = shell.json("api-key", "create", "ada@example.com", "--name", "deploy")
        assert shell.ok("api-key", "revoke", made["id"]).stderr.strip() == f"revoked {made['id']}"
        assert shell.refused("api-key", "revoke", made["id"]) == "there is no such API key"
        assert shell.ok("api-key", "list", "ada@example.com").stderr.strip() == "no API keys"

    def test_what_cannot_be_is_said(self, shell: Shell) -> None:
        """A scope beyond the roles, a life beyond the longest, a span that is none."""
        ready(shell)
        create = ("api-key", "create", "ada@example.com", "--name", "deploy")
        assert shell.refused(*create, "--scope", "pay") == "not allowed: pay"
        assert shell.refused(*create, "--expires-in", "366d") == "expires_in must be at most 31536000"
        assert "--expires-in must be a span" in shell.refused(*create, "--expires-in", "soon", code=2)
        assert shell.refused(*create, "--audience", "nowhere") == "no such audience"
