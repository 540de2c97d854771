"""``watchword user`` and ``role``: people and what they may do."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.cli.stage import PASSWORD, Shell, type_into
from watchword.server.services import open_services
from watchword.server.settings import Settings
from watchword.server.store.records import Event


def events_of(shell: Shell, type: str) -> list[Event]:
    """The audit log beside the command line."""

    async def read() -> list[Event]:
        settings = Settings.load({"data_dir": str(shell.data_dir)})
        async with open_services(settings, serving=False) as services:
            return list((await services.store.events.list(type=type)).items)

    return asyncio.run(read())


class TestCreate:
    def test_a_password_by_stdin(self, shell: Shell) -> None:
        """The account is made, with the rest of what was said, and the password is in no answer."""
        made = shell.create("Ada@Example.com", "--name", "Ada L.", "--username", "ada", "--role", "admin")
        assert (made["email"], made["name"], made["username"]) == ("Ada@example.com", "Ada L.", "ada")
        assert made["roles"] == ["admin"]
        assert made["id"].startswith("usr_")
        assert not {"password", "password_digest"} & made.keys()

    def test_a_password_by_file(self, shell: Shell) -> None:
        """As secrets are mounted in containers."""
        (shell.folder / "password").write_text(PASSWORD + "\n")
        assert shell.json("user", "create", "ada@example.com", "--password-file", "password")["roles"] == [
            "user"
        ]

    def test_a_password_by_prompt(self, shell: Shell) -> None:
        """At a terminal it is asked for twice and shown at neither; two that differ are asked for again."""
        answers = ["nine-slow-lanterns", "nine-slow-lantern", "nine-slow-lanterns", "nine-slow-lanterns"]
        said = type_into(shell, answers, "user", "create", "ada@example.com")
        assert said.count("Password") >= 2
        assert "do not match" in said
        assert "lantern" not in said
        assert shell.json("user", "show", "ada@example.com")["email"] == "ada@example.com"

    def test_no_password(self, shell: Shell) -> None:
        """An account that waits for its password."""
        assert shell.json("user", "create", "ada@example.com", "--no-password")["id"]

    @pytest.mark.parametrize(
        ("password", "said"),
        [
            ("short", "password must have at least 8 characters"),
            ("password1", "password is among the passwords tried first by every attacker"),
            ("ada@example.com", "password must not be the e-mail address or the name of its owner"),
        ],
    )
    def test_a_bad_password_is_refused(self, shell: Shell, password: str, said: str) -> None:
        """The rules of registration hold for administrators, too; the password is not repeated."""
        assert shell.refused("user", "create", "ada@example.com", "--password-stdin", given=password) == said
        assert shell.ok("user", "list").stderr.strip() == "there are no users"

    def test_an_empty_password_is_wrong_use(self, shell: Shell) -> None:
        """A pipe that broke must not make an account."""
        said = shell.refused("user", "create", "ada@example.com", "--password-stdin", given="\n", code=2)
        assert said == "Error: the password is empty"

    def test_a_password_file_in_another_code(self, shell: Shell) -> None:
        """A line says so, and no part of the password."""
        (shell.folder / "latin").write_bytes("gr\xfcne-laternen".encode("latin-1"))
        said = shell.refused("user", "create", "a@example.com", "--password-file", "latin")
        assert said == "the input is not UTF-8"

    def test_two_sources_are_wrong_use(self, shell: Shell) -> None:
        """Which of the two would it be?"""
        (shell.folder / "password").write_text(PASSWORD)
        command = ("user", "create", "a@example.com", "--password-stdin", "--password-file", "password")
        assert "give one of" in shell.refused(*command, code=2, given=PASSWORD)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("no address",), "email is not an e-mail address"),
            (("b@example.com", "--role", "nonsense"), "roles unknown: nonsense"),
            (("ADA@example.com",), "This e-mail address is taken"),
            (("b@example.com", "--username", "ADA"), "This user name is taken"),
        ],
    )
    def test_what_may_not_be_is_refused(self, shell: Shell, arguments: tuple[str, ...], said: str) -> None:
        """One line says which part and why."""
        shell.create("ada@example.com", "--username", "ada")
        assert shell.refused("user", "create", *arguments, "--no-password") == said


class TestList:
    def test_everybody_and_a_search(self, shell: Shell) -> None:
        """Data on stdout; an empty list is talk on stderr, and ``[]`` for a program."""
        for name in ("ada", "bob"):
            shell.create(f"{name}@example.com", "--name", name.title())
        assert [user["name"] for user in shell.json("user", "list")] == ["Ada", "Bob"]
        assert [user["name"] for user in shell.json("user", "list", "--search", "BOB")] == ["Bob"]
        table = shell.ok("user", "list").stdout.splitlines()
        assert table[0].split() == ["E-MAIL", "NAME", "ROLES", "STATE", "LAST", "LOG-IN", "ID"]
        assert len(table) == 3
        done = shell.ok("user", "list", "--search", "nobody")
        assert (done.stdout, done.stderr) == ("", "there are no users\n")
        assert shell.json("user", "list", "--search", "nobody") == []

    def test_more_than_a_page(self, shell: Shell) -> None:
        """A list is whole, however many there are."""
        people = shell.folder / "people.csv"
        people.write_text("email\n" + "".join(f"user{n}@example.com\n" for n in range(450)))
        shell.ok("user", "import", "people.csv")
        assert len(shell.json("user", "list")) == 450

    def test_one(self, shell: Shell) -> None:
        """By e-mail in any case, or by id."""
        made = shell.create("ada@example.com")
        assert shell.json("user", "show", "ADA@example.com") == made
        assert shell.json("user", "show", made["id"]) == made
        assert f"id           {made['id']}\n" in shell.ok("user", "show", "ada@example.com").stdout


class TestResetLink:
    def test_a_link_for_the_help_desk(self, shell: Shell) -> None:
        """On stdout it alone; what it is on stderr; the newest works, and the audit log has no token."""
        ada = shell.create("ada@example.com")
        shell.settings["WATCHWORD_ISSUER"] = "https://auth.example.com"
        first = shell.ok("user", "reset-link", "ada@example.com")
        assert first.stdout.startswith("https://auth.example.com/reset?token=")
        assert len(first.stdout.splitlines()) == 1
        assert first.stderr.startswith("works once, until ")
        made = shell.json("user", "reset-link", ada["id"])
        assert made.keys() == {"link", "expires_at"}
        assert made["link"] != first.stdout.strip()
        events = events_of(shell, "password_reset.offered")
        assert [(event.actor, event.user_id, event.detail) for event in events] == [
            ("command-line", ada["id"], {})
        ] * 2

    def test_it_leads_where_the_settings_say(self, shell: Shell) -> None:
        """To a page of the operator's own."""
        shell.create("ada@example.com")
        shell.settings["WATCHWORD_PASSWORD_RESET_URL"] = "https://app.example.com/new"
        said = shell.ok("user", "reset-link", "ada@example.com").stdout
        assert said.startswith("https://app.example.com/new?token=")

    def test_nobody_and_the_banned_get_none(self, shell: Shell) -> None:
        """One line says so."""
        shell.create("ada@example.com")
        shell.ok("user", "ban", "ada@example.com")
        assert (
            shell.refused("user", "reset-link", "ada@example.com") == "there is no such user, or he is banned"
        )
        assert shell.refused("user", "reset-link", "b@example.com") == "there is no user b@example.com"


class TestBan:
    def test_a_ban_with_reason_and_end(self, shell: Shell) -> None:
        """What was said stands there; lifting it clears it."""
        shell.create("ada@example.com")
        banned = shell.json(
            "user", "ban", "ada@example.com", "--reason", "left us", "--until", "2199-12-31T00:00:00+01:00"
        )
        assert (banned["banned"], banned["ban_reason"]) == (True, "left us")
        assert banned["banned_until"] == "2199-12-30T23:00:00Z"
        assert "reason       left us" in shell.ok("user", "show", "ada@example.com").stdout
        lifted = shell.json("user", "unban", "ada@example.com")
        assert (lifted["banned"], lifted["ban_reason"], lifted["banned_until"]) == (False, None, None)

    def test_a_ban_for_good(self, shell: Shell) -> None:
        """Without an end it has none; a second ban changes the reason."""
        shell.create("ada@example.com")
        assert shell.json("user", "ban", "ada@example.com")["banned_until"] is None
        assert (
            shell.json("user", "ban", "ada@example.com", "--reason", "found out")["ban_reason"] == "found out"
        )
        assert "until        for good" in shell.ok("user", "show", "ada@example.com").stdout

    def test_a_time_needs_a_zone(self, shell: Shell) -> None:
        """Noon is not the same moment everywhere."""
        shell.create("ada@example.com")
        said = shell.refused("user", "ban", "ada@example.com", "--until", "2199-12-31T00:00:00", code=2)
        assert "names no zone" in said


class TestChanges:
    def test_roles_added_and_removed(self, shell: Shell) -> None:
        """Each once, in order; a role that is not known changes nothing."""
        shell.ok("user", "create", "root@example.com", "--role", "admin", "--password-stdin", given=PASSWORD)
        shell.create("ada@example.com")
        shell.ok("role", "set", "clerk")
        assert shell.json("user", "role", "add", "ada@example.com", "admin", "clerk", "user")["roles"] == [
            "user",
            "admin",
            "clerk",
        ]
        assert shell.json("user", "role", "remove", "ada@example.com", "admin", "user")["roles"] == ["clerk"]
        shell.refused("user", "role", "add", "ada@example.com", "nonsense")
        assert shell.json("user", "show", "ada@example.com")["roles"] == ["clerk"]

    def test_f_s11_the_last_administrator_stays(self, shell: Shell) -> None:
        """Neither demotion nor ban nor deletion, and the refusal names the cure: create another one first."""
        create = ("user", "create", "--role", "admin", "--password-stdin")
        shell.ok(*create, "ada@example.com", given=PASSWORD)
        for command in (("role", "remove", "ada@example.com", "admin"), ("ban", "ada@example.com")):
            assert "watchword user create EMAIL --role admin" in shell.refused("user", *command)
        assert "last" not in shell.json("user", "show", "ada@example.com")["roles"]
        shell.refused("user", "delete", "ada@example.com", "--yes")
        shell.ok(*create, "bob@example.com", given=PASSWORD)
        shell.ok("user", "delete", "ada@example.com", "--yes")

    def test_another_password(self, shell: Shell) -> None:
        """Set by stdin; a bad one is refused."""
        shell.create("ada@example.com")
        shell.ok("user", "set-password", "ada@example.com", "--password-stdin", given="a-longer-lantern")
        said = shell.refused("user", "set-password", "ada@example.com", "--password-stdin", given="short")
        assert said == "password must have at least 8 characters"

    def test_deletion_asks_first(self, shell: Shell) -> None:
        """No: nothing happens, exit 1. Yes, or ``--yes``: gone."""
        made = shell.create("ada@example.com")
        done = shell.run("user", "delete", "ada@example.com", given="n\n")
        assert (done.exit_code, done.stdout) == (1, "")
        assert f"Delete ada@example.com ({made['id']})?" in done.stderr
        assert shell.json("user", "delete", "ada@example.com", "--yes") == {"deleted": made["id"]}
        shell.create("ada@example.com")
        assert shell.run("user", "delete", "ada@example.com", given="y\n").exit_code == 0
        shell.refused("user", "show", "ada@example.com")

    @pytest.mark.parametrize(
        "verb", ["ban", "unban", "show", "set-password", "delete", "role add", "role remove"]
    )
    def test_nobody_is_told(self, shell: Shell, verb: str) -> None:
        """A name that nobody has is a refusal of each of them."""
        shell.create("ada@example.com")
        more = {"set-password": ["--password-stdin"], "role add": ["admin"], "role remove": ["admin"]}.get(
            verb, []
        )
        said = shell.refused("user", *verb.split(), "bob@example.com", *more, given=PASSWORD)
        assert said == "there is no user bob@example.com"


class TestRole:
    def test_a_role_and_its_scope(self, shell: Shell) -> None:
        """Made, changed, listed, deleted."""
        assert shell.json("role", "set", "clerk", "--scope", "read", "--scope", "pay read") == {
            "name": "clerk",
            "scope": ["read", "pay"],
            "built_in": False,
        }
        assert shell.json("role", "set", "clerk", "--scope", "read")["scope"] == ["read"]
        assert [role["name"] for role in shell.json("role", "list")] == ["admin", "clerk", "user"]
        assert "clerk" in shell.ok("role", "list").stdout
        assert shell.json("role", "delete", "clerk") == {"deleted": "clerk"}
        assert shell.refused("role", "delete", "clerk") == "there is no role clerk"

    def test_what_is_built_in_stays(self, shell: Shell) -> None:
        """Nobody saws off his own branch."""
        shell.create("ada@example.com")
        assert shell.refused("role", "delete", "admin") == "a built-in role cannot be deleted"

    @pytest.mark.parametrize("name", ["Clerk", "1st", "a b", "", "é"])
    def test_a_name_is_a_plain_word(self, shell: Shell, name: str) -> None:
        """The rule of the admin API."""
        assert shell.refused("role", "set", name).startswith("name ")

    def test_a_scope_is_printable_ascii(self, shell: Shell) -> None:
        """RFC 6749 3.3: no quote, no backslash, nothing beyond ASCII."""
        for word in ('a"b', "a\\b", "é"):
            shell.refused("role", "set", "clerk", "--scope", word, code=2)


class TestApi:
    def test_an_api_and_its_scope(self, shell: Shell) -> None:
        """Made, listed, deleted."""
        made = shell.json("api", "create", "https://pay.example.com", "--scope", "read write")
        assert (made["audience"], made["scope"]) == ("https://pay.example.com", ["read", "write"])
        assert "https://pay.example.com" in shell.ok("api", "list").stdout
        assert shell.refused("api", "create", "https://pay.example.com") == "there is an API of this audience"
        assert shell.json("api", "delete", "https://pay.example.com") == {
            "deleted": "https://pay.example.com"
        }
        assert (
            shell.refused("api", "delete", "https://pay.example.com")
            == "there is no API https://pay.example.com"
        )

    def test_its_tokens_are_encrypted_to_its_key(self, shell: Shell) -> None:
        """A pair is made, its public half handed in, taken back; the private half stays in its file."""
        private = shell.folder / "private.json"
        public = shell.folder / "public.json"
        public.write_text(shell.ok("api", "keypair", str(private)).stdout)
        assert private.stat().st_mode & 0o077 == 0
        (secret,) = json.loads(private.read_text())["keys"]
        (known,) = json.loads(public.read_text())["keys"]
        assert (secret["kid"], "d" in known) == (known["kid"], False)
        assert "File exists" in shell.refused("api", "keypair", str(private))
        made = shell.json("api", "create", "pay", "--encryption-jwks", str(public))
        assert made["encryption_jwk"] == known
        assert shell.json("api", "encrypt", "pay", "--off")["encryption_jwk"] is None
        assert (
            shell.json("api", "encrypt", "pay", "--encryption-jwks", str(public))["encryption_jwk"] == known
        )
        assert "private key" in shell.refused("api", "encrypt", "pay", "--encryption-jwks", str(private))
        assert shell.refused("api", "encrypt", "none", "--off") == "there is no API none"
        shell.refused("api", "encrypt", "pay", code=2)
        shell.refused("api", "encrypt", "pay", "--off", "--encryption-jwks", str(public), code=2)

    def test_the_issuer_is_no_api(self, shell: Shell) -> None:
        """A token for the issuer alone administers; nobody else may bear its name."""
        said = shell.refused("api", "create", "http://127.0.0.1:8080")
        assert said == "audience is the issuer; it needs no entry"


class TestFreshFolder:
    def test_commands_that_add_make_the_database(self, shell: Shell, tmp_path: Path) -> None:
        """Administration may come before the first start; the folder and its files are the owner's alone."""
        shell.create("ada@example.com")
        assert shell.data_dir.stat().st_mode & 0o077 == 0
        assert {file.name for file in shell.data_dir.iterdir()} >= {"watchword.db", "secret"}
        assert not [file.name for file in shell.data_dir.iterdir() if file.stat().st_mode & 0o077]
