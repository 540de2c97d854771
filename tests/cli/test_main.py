"""The command line as a whole: what holds for every command of the tree."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from tests.cli.stage import LEAVES, Shell, commands, type_into
from tests.mission.stage import environment

TREE = {" ".join(path): command for path, command in commands()}
CONTRACT = """
    serve, demo, doctor, user create, user list, user show, user ban, user unban, user role add, user role remove,
    user set-password, user delete, user import, user export, role list, role set, role delete,
    api create, api list, api delete, session list, session revoke, key list, key rotate, key compromise,
    token inspect, db upgrade, db check
"""
HEAVY = (
    "asyncio",
    "cryptography",
    "msgspec",
    "rich",
    "starlette",
    "uvicorn",
    "watchword.server",
    "watchword.guard",
)


def on_a_terminal(shell: Shell, *arguments: str, **settings: str) -> str:
    """What a command writes when stdout and stderr are a terminal."""
    return type_into(shell, (), *arguments, **settings)


class TestTree:
    def test_it_is_the_promised_one(self) -> None:
        """Every command that users were told of exists under its name."""
        promised = {name.strip() for name in CONTRACT.split(",")}
        assert promised <= LEAVES.keys()

    @pytest.mark.parametrize("name", TREE)
    def test_each_has_help(self, shell: Shell, name: str) -> None:
        """``--help`` explains each command and each of its options on stdout, whatever else is wrong."""
        shell.settings["WATCHWORD_PORT"] = "no number"
        done = shell.run(*name.split(), "--help")
        assert (done.exit_code, done.stderr) == (0, "")
        assert done.stdout.startswith("Usage: ")
        command = TREE[name]
        assert command.help is not None
        assert command.help.split("\n\n")[0].split(".")[0].split()[0] in done.stdout
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.opts[-1] in done.stdout
                assert parameter.help, f"{name} {parameter.opts[-1]} says nothing"

    @pytest.mark.parametrize("name", LEAVES)
    def test_each_has_json(self, name: str) -> None:
        """Every command that does something speaks to programs, too."""
        assert "--json" in {word for parameter in LEAVES[name].params for word in parameter.opts}

    @pytest.mark.parametrize("name", LEAVES)
    def test_no_secret_is_an_argument(self, name: str) -> None:
        """What bears a secret is a flag for stdin or the name of a file: arguments are seen by everybody."""
        for parameter in LEAVES[name].params:
            words = " ".join((parameter.name or "", *parameter.opts))
            if any(word in words for word in ("password", "secret", "tls_key", "firebase")):
                harmless = parameter.name == "tls_key" or isinstance(parameter.type, click.Path)
                assert harmless or getattr(parameter, "is_flag", False), f"{name} {words}"

    @pytest.mark.parametrize("name", [name for name in TREE if name not in LEAVES and name])
    def test_a_group_alone_is_wrong_use(self, shell: Shell, name: str) -> None:
        """Exit code 2, with the list of what there is."""
        done = shell.run(*name.split())
        assert (done.exit_code, done.stdout) == (2, "")
        assert "Commands:" in done.stderr


class TestWeight:
    @pytest.mark.parametrize(
        "arguments", ["--help", "--version", "user create --help", "serve --help", "token -h"]
    )
    def test_help_loads_nothing_heavy(self, arguments: str) -> None:
        """Help comes at once, because neither the server nor cryptography is imported for it."""
        code = (
            "import sys\nfrom watchword.cli.main import main\nsys.argv[1:] = "
            + repr(arguments.split())
            + "\n"
            "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
            "sys.stderr.write('\\n'.join(sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
        )
        loaded = set(done.stderr.splitlines())
        assert "watchword.cli.main" in loaded
        assert not [name for name in loaded if name.startswith(HEAVY)]

    def test_a_missing_extra_is_told_with_its_cure(self, shell: Shell) -> None:
        """On a bare installation a command that needs the server says which line installs it."""
        code = (
            "import sys\nsys.modules['argon2'] = None\nfrom watchword.cli.main import main\n"
            "sys.argv[1:] = ['user', 'create', 'a@example.com', '--no-password']\nmain()"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=shell.folder, env=shell.env, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == 'watchword: this command needs more: pip install "watchword[server]"\n'


class TestAnswers:
    def test_version(self, shell: Shell) -> None:
        """The version of the distribution, on stdout."""
        assert shell.ok("--version").stdout == f"watchword {version('watchword')}\n"

    def test_what_is_refused_is_one_line(self, shell: Shell) -> None:
        """A refusal is exit 1 and a line on stderr; stdout stays empty for the program that reads it."""
        shell.create("ada@example.com")
        assert shell.refused("user", "show", "bob@example.com") == "there is no user bob@example.com"

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ("nonsense", "No such command 'nonsense'"),
            ("user show", "Missing argument 'EMAIL'"),
            ("user list --nonsense", "No such option"),
            ("session revoke", "give one of ID and --user EMAIL"),
            ("user ban ada@example.com --until yesterday", "is neither a span like 7d nor a time"),
            ("user ban ada@example.com --until 9999-12-31T23:59:59-23:59", "nor a time"),
            ("user ban ada@example.com --until 2001-01-01T00:00:00Z", "has passed"),
            ("user create bob@example.com", "nobody to ask for a password"),
            ("user show \udcff\udcfe", "an argument is not UTF-8"),
        ],
    )
    def test_wrong_use_is_2(self, shell: Shell, arguments: str, said: str) -> None:
        """What was typed wrong is told apart from what was refused."""
        shell.create("ada@example.com")
        assert said in shell.refused(*arguments.split(), code=2)

    def test_a_wrong_setting_is_2(self, shell: Shell) -> None:
        """A management command reads the server's settings, and refuses the same ones."""
        shell.settings["WATCHWORD_ACCESS_TOKEN_TTL"] = "soon"
        said = shell.refused("user", "list", code=2)
        assert said.startswith("access_token_ttl: must be a span")
        assert said.endswith("(from WATCHWORD_ACCESS_TOKEN_TTL)")

    def test_a_folder_without_a_database_is_told(self, shell: Shell) -> None:
        """A typing error in ``--data-dir`` must not look like an empty server."""
        said = shell.refused("user", "list", "--data-dir", "elsewhere", code=2)
        assert said == "database: there is none at elsewhere/watchword.db; `watchword serve` makes one"
        assert not (shell.folder / "elsewhere").exists()

    def test_the_place_is_a_flag_a_variable_or_a_file(self, shell: Shell) -> None:
        """``--data-dir`` and ``--database`` win over the environment, that over ``watchword.toml``."""
        shell.create("flag@example.com", "--data-dir", "one")
        shell.settings["WATCHWORD_DATA_DIR"] = "two"
        shell.create("variable@example.com")
        del shell.settings["WATCHWORD_DATA_DIR"]
        (shell.folder / "watchword.toml").write_text('data_dir = "three"\n')
        shell.create("file@example.com")
        found = {
            folder: [user["email"] for user in shell.json("user", "list", "--data-dir", folder)]
            for folder in ("one", "two", "three")
        }
        assert found == {
            "one": ["flag@example.com"],
            "two": ["variable@example.com"],
            "three": ["file@example.com"],
        }
        listed = shell.json("user", "list", "--database", "sqlite:///one/watchword.db", "--data-dir", "one")
        assert [user["email"] for user in listed] == ["flag@example.com"]

    def test_json_is_one_line_for_programs(self, shell: Shell) -> None:
        """Not on a terminal, JSON is a line that ``read`` and ``jq`` take."""
        shell.create("ada@example.com")
        assert len(shell.ok("user", "list", "--json").stdout.splitlines()) == 1


class TestTerminal:
    def test_colour_at_a_terminal_only_when_wanted(self, shell: Shell) -> None:
        """Tables and refusals are coloured on a terminal; with ``NO_COLOR`` neither is, and nothing is in a pipe."""
        shell.create("ada@example.com")
        assert "\x1b[" in on_a_terminal(shell, "user", "list", NO_COLOR="")
        assert "\x1b[" in on_a_terminal(shell, "user", "show", "nobody", NO_COLOR="")
        for command in (("user", "list"), ("user", "show", "nobody")):
            assert "\x1b" not in on_a_terminal(shell, *command), command
        assert "\x1b" not in shell.ok("user", "list").stdout

    @pytest.mark.parametrize(("width", "hidden"), [("160", False), ("90", True)])
    def test_ids_stay_whole_on_a_terminal(self, shell: Shell, width: str, hidden: bool) -> None:
        """What one copies into the next command is never cut; a column without room is named instead."""
        shell.create("ada@example.com")
        shown = on_a_terminal(shell, "key", "list", COLUMNS=width)
        for key in shell.json("key", "list"):
            assert key["kid"] in shown
        assert ("GONE: --json has all" in shown) == hidden
        assert re.search(r"  (now|\d+s ago) ", shown)
        assert max(map(len, shown.splitlines())) <= int(width)

    def test_attack_a59_a_stranger_s_text_stays_text(self, shell: Shell, tmp_path: Path) -> None:
        """A name with control and direction characters is spelled out, on a terminal and in a pipe (CWE-150)."""
        rows = [
            {"email": "ada@example.com", "name": "plain"},
            {"email": "b@example.com", "name": "Eve\u202egnp.exe"},
        ]
        file = tmp_path / "people.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        done = shell.run("user", "import", str(file))
        shown = shell.ok("user", "list").stdout + done.output
        assert "\u202e" not in shown
        reason = "left\u202e \x9b31m\x1b[0m us\u2028"
        for options in ((), ("--json",)):
            told = shell.ok("user", "ban", "ada@example.com", "--reason", reason, *options).stdout
            assert not {"\u202e", "\x9b", "\x1b", "\u2028"} & set(told)
        assert json.loads(told)["ban_reason"] == reason
        said = shell.run("user", "show", "\x1b[2J\r\nada\u202e").stderr
        assert said == "watchword: there is no user \\x1b[2J\\x0d\\x0aada\\u202e\n"
