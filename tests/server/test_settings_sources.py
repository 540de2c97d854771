"""One way of reading a setting, wherever it stands."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.cli.stage import PASSWORD, Shell
from watchword.errors import ConfigurationError
from watchword.server.services import open_services
from watchword.server.settings import ROWS, Settings
from watchword.server.store.records import Origin

SECRET = "a-master-key-of-more-than-32-characters"
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def refusal(flags: dict[str, str] | None = None, **environ: str) -> str:
    """The one line that stops the start."""
    with pytest.raises(ConfigurationError) as stop:
        Settings.load(flags, environ)
    assert "\n" not in stop.value.description
    return stop.value.description


def value(name: str, **environ: str) -> object:
    return Settings.load({}, environ).values[name]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path)


class TestLists:
    def test_f_b26_one_grammar_for_all_lists(self) -> None:
        """Commas, spaces and line breaks divide, in any mixture, at the ends too."""
        lists = {
            "CORS_ORIGINS": ("https://a.example", "https://b.example"),
            "COOKIE_ORIGINS": ("https://a.example", "https://b.example"),
            "TRUSTED_PROXIES": ("10.0.0.0/8", "192.0.2.1/32"),
            "CLAIMS": ("userId=id", "role=role"),
            "API_SECRETS": (f"one={SECRET}", f"two={SECRET[::-1]}"),
        }
        for name, items in lists.items():
            plain = value(name, **{f"WATCHWORD_{name}": ",".join(items)})
            for join in (" ", "\n", "\r\n", ", ", ",\n", "\t"):
                text = f"\n{join.join(items)}\n"
                assert value(name, **{f"WATCHWORD_{name}": text}) == plain, (name, join)

    def test_f_b26_a_list_of_the_file_is_for_lists(self, tmp_path: Path) -> None:
        """Several values for a setting that has one are refused, not joined to a name that nobody has."""
        file = tmp_path / "watchword.toml"
        file.write_text('trusted_proxies = ["10.0.0.1", "10.0.0.2 10.0.0.3"]\nclaims = {userId = "id"}\n')
        found = Settings.load({}, {}, tmp_path).values
        assert len(found["TRUSTED_PROXIES"]) == 3
        assert dict(found["CLAIMS"]) == {"userId": "id"}
        for name in (row.name.lower() for row in ROWS if not row.lines):
            for text in ('["a", "b"]', "{a = 'b'}"):
                file.write_text(f"{name} = {text}\n")
                with pytest.raises(
                    ConfigurationError, match=f"{name}: must be a text or a number and no more"
                ):
                    Settings.load({}, {}, tmp_path)

    @pytest.mark.parametrize(
        ("text", "network", "address"),
        [("10.0.0.5/8", "10.0.0.0/8", "10.0.0.5"), ("2001:db8::1/32", "2001:db8::/32", "2001:db8::1")],
    )
    def test_f_b26_host_bits(self, text: str, network: str, address: str) -> None:
        """An address with the length of a network is neither: the value is named, and what can be meant."""
        line = refusal(WATCHWORD_TRUSTED_PROXIES=f"192.0.2.1\n{text}")
        assert line == (
            f"trusted_proxies: {text!r} is neither: write {network} for the network, or {address} for the address"
            " (from WATCHWORD_TRUSTED_PROXIES)"
        )

    def test_f_b26_the_value_is_named(self) -> None:
        """Of several, the one that is wrong."""
        assert "'proxy.internal'" in refusal(WATCHWORD_TRUSTED_PROXIES="10.0.0.1 proxy.internal")
        assert value("TRUSTED_PROXIES", WATCHWORD_TRUSTED_PROXIES="::ffff:10.0.0.1") == ("10.0.0.1/32",)


class TestPlatforms:
    LINKS = {
        "WATCHWORD_SERVICE_HOST": "10.96.12.7",
        "WATCHWORD_SERVICE_PORT": "8080",
        "WATCHWORD_SERVICE_PORT_HTTP": "8080",
        "WATCHWORD_PORT": "tcp://10.96.12.7:8080",
        "WATCHWORD_PORT_8080_TCP": "tcp://10.96.12.7:8080",
        "WATCHWORD_PORT_8080_TCP_PROTO": "tcp",
        "WATCHWORD_PORT_8080_TCP_PORT": "8080",
        "WATCHWORD_PORT_8080_TCP_ADDR": "10.96.12.7",
        "WATCHWORD_PORT_53_UDP": "udp://[fd00::7]:53",
        "WATCHWORD_SMTP_SERVICE_HOST": "fd00::7",
        "WATCHWORD_SMTP_PORT": "tcp://[fd00::7]:25",
        "WATCHWORD_SMTP_PORT_25_TCP_ADDR": "fd00::7",
        "WATCHWORD_PORT_8080_TCP_START": "tcp://172.17.0.2:8080",
        "WATCHWORD_PORT_8080_TCP_PORT_END": "8081",
        "WATCHWORD_NAME": "/payroll/watchword",
        "WATCHWORD_ENV_LANG": "C.UTF-8",
        "WATCHWORD_DB_ENV_PG_VERSION": "16",
    }

    def test_f_b37_what_kubernetes_writes_is_passed_over(self) -> None:
        """Variables of a service named ``watchword``, or ``watchword-smtp``, or of a linked container."""
        settings = Settings.load({}, self.LINKS)
        assert settings.shown() == Settings.load().shown()
        assert Settings.load({}, {**self.LINKS, "WATCHWORD_PORT": "9000"}).port == 9000

    @pytest.mark.parametrize(
        ("variable", "text"),
        [
            ("WATCHWORD_SERVICE_HOST", "not a host"),
            ("WATCHWORD_SERVICE_PORT", "eighty"),
            ("WATCHWORD_PORT", "http://10.96.12.7:8080"),
            ("WATCHWORD_PORT_8080", "tcp://10.96.12.7:8080"),
            ("WATCHWORD_PORT_8080_TCP_ADDRESS", "10.96.12.7"),
            ("WATCHWORD_ISSUER_HOST", "10.96.12.7"),
            ("WATCHWORD_NAME", "watchword"),
            ("WATCHWORD_ENV", "production"),
        ],
    )
    def test_f_b37_only_their_shapes(self, variable: str, text: str) -> None:
        """Another name or another value is a mistake."""
        assert refusal(**{variable: text}).startswith((variable, "port:"))

    def test_f_b37_a_mistyped_name_is_told_the_right_one(self, tmp_path: Path) -> None:
        """In the environment, on the command line and in the file."""
        assert (
            refusal(WATCHWORD_ISUER="x")
            == "WATCHWORD_ISUER: there is no such setting; did you mean WATCHWORD_ISSUER?"
        )
        assert refusal(WATCHWORD_SECRT_FILE="x").endswith("; did you mean WATCHWORD_SECRET_FILE?")
        assert refusal({"isuer": "x"}).endswith("; did you mean issuer?")
        assert refusal(WATCHWORD_NONSENSE="x") == "WATCHWORD_NONSENSE: there is no such setting"
        (tmp_path / "watchword.toml").write_text('isuer = "x"\n')
        with pytest.raises(ConfigurationError, match="did you mean issuer"):
            Settings.load({}, {}, tmp_path)

    def test_f_b37_our_own_manifest_has_no_service_links(self) -> None:
        """And its settings exist."""
        deployment, service = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
        pod = deployment["spec"]["template"]["spec"]
        assert pod["enableServiceLinks"] is False
        (container,) = pod["containers"]
        names = {row.name for row in ROWS} | {f"{row.name}_FILE" for row in ROWS}
        assert {entry["name"].removeprefix("WATCHWORD_") for entry in container["env"]} <= names
        assert [port["name"] for port in service["spec"]["ports"]] == ["http"]


class TestEmpty:
    @pytest.mark.parametrize("name", [row.name for row in ROWS if row.name != "SECRET"])
    def test_f_b39_empty_is_unset(self, name: str, tmp_path: Path) -> None:
        """As a variable, as the name of a file, as the content of one, and in the configuration file."""
        (tmp_path / "empty").write_text("\n")
        (tmp_path / "watchword.toml").write_text(f'{name.lower()} = ""\n')
        for environ in (
            {f"WATCHWORD_{name}": ""},
            {f"WATCHWORD_{name}": "\n"},
            {f"WATCHWORD_{name}_FILE": ""},
            {f"WATCHWORD_{name}_FILE": str(tmp_path / "empty")},
        ):
            settings = Settings.load({}, environ, tmp_path)
            assert settings.shown() == Settings.load().shown()

    def test_f_b39_it_lets_the_next_source_speak(self, tmp_path: Path) -> None:
        """An empty variable hides neither its file nor the configuration file."""
        (tmp_path / "audience").write_text("file\n")
        (tmp_path / "watchword.toml").write_text('audience = "toml"\n')
        empty = {"WATCHWORD_AUDIENCE": ""}
        assert Settings.load({}, empty, tmp_path).access_tokens.audience == "toml"
        both = {**empty, "WATCHWORD_AUDIENCE_FILE": str(tmp_path / "audience")}
        assert Settings.load({}, both, tmp_path).access_tokens.audience == "file"

    def test_f_b39_an_empty_secret_is_refused(self, tmp_path: Path) -> None:
        """Another key would be drawn in its place, and nothing sealed before would open."""
        (tmp_path / "empty").write_text("\n")
        for environ in (
            {"WATCHWORD_SECRET": ""},
            {"WATCHWORD_SECRET": "\n"},
            {"WATCHWORD_SECRET_FILE": ""},
            {"WATCHWORD_SECRET_FILE": str(tmp_path / "empty")},
        ):
            assert refusal(**environ).startswith("secret: is empty (from WATCHWORD_SECRET")
        assert refusal({"secret": ""}).startswith("secret: is empty")


class TestOneReading:
    @pytest.mark.parametrize("text", [SECRET, f"{SECRET}\n", f"{SECRET}\r\n", f"\ufeff{SECRET}\r\n"])
    def test_f_b40_every_source_is_read_alike(self, text: str, tmp_path: Path) -> None:
        """A mark before the text and line ends behind it belong to no value."""
        (tmp_path / "secret").write_bytes(text.encode())
        quoted = text.replace("\r", "\\r").replace("\n", "\\n")
        (tmp_path / "watchword.toml").write_text(f'secret = "{quoted}"\n', "utf-8-sig")
        for found in (
            Settings.load({"secret": text}),
            Settings.load({}, {"WATCHWORD_SECRET": text}),
            Settings.load({}, {"WATCHWORD_SECRET_FILE": str(tmp_path / "secret")}),
            Settings.load({}, {}, tmp_path),
        ):
            assert found.secret == SECRET

    def test_f_b40_the_value_is_shown_unless_it_is_secret(self) -> None:
        """What was read, as it was read: a space at the end is seen."""
        assert refusal(WATCHWORD_PORT="8080 ") == (
            "port: must be a whole number from 0 to 65535, not '8080 ' (from WATCHWORD_PORT)"
        )
        assert "not 'hourly'" in refusal(WATCHWORD_ACCESS_TOKEN_TTL="hourly")
        assert "not 25h" in refusal(WATCHWORD_ACCESS_TOKEN_TTL="25h")
        for row in ROWS:
            if row.secret:
                assert "hunter2" not in refusal(**{f"WATCHWORD_{row.name}": "hunter2\nhunter2"})

    @pytest.mark.parametrize("kept", [f"{SECRET}\n", f"\ufeff{SECRET}"])
    def test_f_b40_a_database_of_before_keeps_its_key(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Made with the line break as a part of the key, it opens with the same text, and a warning says so."""
        monkeypatch.chdir(tmp_path)
        shell = Shell(tmp_path, {"WATCHWORD_SECRET": kept})
        settings = Settings.load({"password_hash": "test"})
        before = replace(settings, values={**settings.values, "SECRET": kept})

        async def make() -> None:
            async with open_services(before) as services:
                await services.users.create("ada@example.com", PASSWORD, origin=Origin())

        asyncio.run(make())
        assert [user["email"] for user in shell.json("user", "list")] == ["ada@example.com"]
        assert "goes on with that" in caplog.text
        assert SECRET not in caplog.text
        shell.settings["WATCHWORD_SECRET"] = SECRET
        assert shell.refused("user", "list", code=2).startswith("secret: it is not the one")


class TestPasswordFiles:
    @pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
    def test_f_b41_a_mark_is_no_part_of_the_password(self, shell: Shell, ending: str) -> None:
        """As Windows writes text files: from a file and from stdin the same password."""
        raw = f"\ufeff{PASSWORD}{ending}"
        (shell.folder / "password").write_bytes(raw.encode())
        shell.ok("user", "create", "ada@example.com", "--password-file", "password")
        shell.ok("user", "create", "bob@example.com", "--password-stdin", given=raw)
        for email in ("ada@example.com", "bob@example.com"):
            shell.ok("user", "set-password", email, "--password-stdin", given=PASSWORD)
        line = '{"email": "eve@example.com"}\n'
        (shell.folder / "people.jsonl").write_text(line, "utf-8-sig")
        assert shell.json("user", "import", "people.jsonl")["added"] == 1

    @pytest.mark.parametrize("raw", [f"{PASSWORD}\nsecond", f"{PASSWORD}\r\nsecond\r\n", f"a\r{PASSWORD}"])
    def test_f_b41_more_than_one_line_is_refused(self, shell: Shell, raw: str) -> None:
        """Which of them would it be? No part of either is repeated."""
        (shell.folder / "password").write_bytes(raw.encode())
        create = ("user", "create", "ada@example.com")
        for arguments, given in (
            (("--password-file", "password"), None),
            (("--password-stdin",), raw),
        ):
            said = shell.refused(*create, *arguments, code=2, given=given)
            assert said == "Error: the password has more than one line"
        file = str(shell.folder / "password")
        line = refusal(WATCHWORD_ADMIN_EMAIL="root@example.com", WATCHWORD_ADMIN_PASSWORD_FILE=file)
        assert line == "admin_password: has more than one line (from WATCHWORD_ADMIN_PASSWORD_FILE)"

    def test_f_b41_another_coding_is_named(self, tmp_path: Path) -> None:
        """UTF-16, as some editors call Unicode."""
        (tmp_path / "secret").write_text(SECRET, "utf-16")
        line = refusal(WATCHWORD_SECRET_FILE=str(tmp_path / "secret"))
        assert line == "WATCHWORD_SECRET_FILE: cannot read the file: it is not UTF-8"
        assert not re.search("a-master", line)
