"""``watchword doctor``: what is unsafe or slow, and the cure."""

from __future__ import annotations

import asyncio
import json
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import pytest

from tests.cli.stage import Shell
from tests.guard.host import running
from tests.server.web import fronts
from tests.server.wire import open_wire
from watchword.cli.checks import CHECKS, Advice, disk_space, event_loop, open_files, password_hash
from watchword.cli.facts import Facts, gather
from watchword.cli.front import ask_front
from watchword.server.settings import Settings

SAFE = {
    "ISSUER": "https://auth.example.com",
    "MAIL_FROM": "no-reply@example.com",
    "PASSWORD_HASH": "standard",
    "PASSWORD_MIN_LENGTH": "15",
    "REGISTRATION": "closed",
    "SMTP_HOST": "smtp.example.com",
    "TRUSTED_PROXIES": "10.0.0.1",
}


@pytest.fixture
def safe(shell: Shell) -> Shell:
    """A server about which there is nothing to say."""
    shell.create("root@example.com", "--role", "admin")
    shell.settings |= {f"WATCHWORD_{name}": value for name, value in SAFE.items()}
    return shell


def findings(shell: Shell, *options: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit code, and what is not good by the name of its check."""
    done = shell.run("doctor", "--json", *options)
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["ok"] == (done.exit_code == 0)
    return done.exit_code, {one["check"]: one for one in answer["findings"] if one["level"] != "good"}


class TestDoctor:
    def test_nothing_to_say(self, safe: Shell) -> None:
        """Exit 0, no line on stdout, and with ``--all`` one for each check."""
        code, found = findings(safe)
        assert (code, found) == (0, {})
        done = safe.ok("doctor")
        assert done.stdout == ""
        assert done.stderr.endswith(" checked: 0 unsafe, 0 slow, 0 advice, 21 good\n")
        assert len(safe.ok("doctor", "--all").stdout.splitlines()) == 21

    def test_the_defaults_are_safe(self, shell: Shell) -> None:
        """A server as it comes gets advice, a longer password among it, and exit 0."""
        shell.settings["WATCHWORD_PASSWORD_HASH"] = "standard"
        shell.create("root@example.com", "--role", "admin")
        code, found = findings(shell)
        assert code == 0
        assert {one["level"] for one in found.values()} == {"advice"}
        assert found["password_length"]["cure"] == "PASSWORD_MIN_LENGTH=15, or a second factor"
        assert set(found) == {"issuer", "registration", "mail", "password_length"}

    def test_before_the_first_start(self, shell: Shell) -> None:
        """There is no database: that is said, and none is made."""
        shell.settings["WATCHWORD_PASSWORD_HASH"] = "standard"
        code, found = findings(shell)
        assert (code, found["database"]["cure"]) == (0, "watchword serve")
        assert list(shell.folder.iterdir()) == []

    @pytest.mark.parametrize(
        ("check", "level", "settings"),
        [
            ("issuer", "advice", {"ISSUER": "http://localhost:9000"}),
            ("proxies", "unsafe", {"TRUSTED_PROXIES": "10.0.0.1,0.0.0.0/0"}),
            ("proxies", "unsafe", {"TRUSTED_PROXIES": "::/0"}),
            ("proxies", "advice", {"TRUSTED_PROXIES": ""}),
            ("cors", "unsafe", {"CORS_ORIGINS": "https://app.example.com,http://app.example.com"}),
            ("access_token_ttl", "unsafe", {"ACCESS_TOKEN_TTL": "8h"}),
            ("registration", "advice", {"REGISTRATION": "open"}),
            ("login_limits", "unsafe", {"LOGIN_ATTEMPTS_PER_ACCOUNT": "0"}),
            ("login_limits", "unsafe", {"LOGIN_ATTEMPTS_PER_ADDRESS": "0"}),
            ("counters", "unsafe", {"REDIS": "redis://:geheim@127.0.0.1:9"}),
            ("mail", "unsafe", {"PASSWORD_RESETS_PER_ACCOUNT": "0"}),
            ("password_length", "advice", {"PASSWORD_MIN_LENGTH": "14"}),
            (
                "shared_secrets",
                "advice",
                {"API_SECRETS": "payroll=a-shared-secret-of-more-than-thirty-two-bytes"},
            ),
            ("password_hash", "unsafe", {"PASSWORD_HASH": "test"}),
        ],
    )
    def test_a_setting(self, safe: Shell, check: str, level: str, settings: dict[str, str]) -> None:
        """Each is told alone, by its check, with its level; unsafe is exit 1."""
        safe.settings |= {f"WATCHWORD_{name}": value for name, value in settings.items()}
        code, found = findings(safe)
        assert code == (level == "unsafe")
        assert [(name, one["level"]) for name, one in found.items()] == [(check, level)]
        line = safe.run("doctor").stdout
        assert line.count("\n") == 1
        assert "geheim" not in line
        assert found[check]["cure"]
        assert line == f"{level:6}  {check}  {found[check]['message']} → {found[check]['cure']}\n"

    def test_a_wrong_setting_is_2(self, safe: Shell) -> None:
        """What no server would start with is not examined further."""
        safe.settings["WATCHWORD_ISSUER"] = "http://auth.example.com"
        assert safe.refused("doctor", code=2).startswith("issuer: ")


class TestFiles:
    @pytest.mark.parametrize(
        ("check", "name", "mode", "cure"),
        [
            ("secret_file", "secret", 0o644, "chmod 600 watchword-data/secret"),
            ("data_files", "", 0o750, "chmod 700 watchword-data"),
            ("data_files", "watchword.db", 0o604, "chmod 600 watchword-data/watchword.db"),
        ],
    )
    def test_what_others_can_read(self, safe: Shell, check: str, name: str, mode: int, cure: str) -> None:
        """The master key, the folder, the database: the cure is the line to type, and typed it cures."""
        (safe.data_dir / name).chmod(mode)
        code, found = findings(safe)
        assert (code, found[check]["cure"]) == (1, cure)
        subprocess.run(cure.split(), cwd=safe.folder, check=True)
        assert findings(safe) == (0, {})

    def test_a_tls_key_that_everybody_reads(self, safe: Shell) -> None:
        """Its group may, for several programs share a certificate."""
        for name in ("cert.pem", "key.pem"):
            (safe.folder / name).touch(mode=0o644)
        safe.settings |= {"WATCHWORD_TLS_CERT": "cert.pem", "WATCHWORD_TLS_KEY": "key.pem"}
        code, found = findings(safe)
        assert (code, found["tls_key"]["cure"]) == (1, "chmod o= key.pem")
        subprocess.run(["chmod", "o=", "key.pem"], cwd=safe.folder, check=True)
        assert findings(safe) == (0, {})

    def test_secrets_in_the_configuration(self, safe: Shell) -> None:
        """A secret in ``watchword.toml`` makes it a secret file."""
        file = safe.folder / "watchword.toml"
        file.write_text("port = 9000\n")
        file.chmod(0o644)
        assert findings(safe) == (0, {})
        file.write_text('database = "postgresql://watchword:lanterns@127.0.0.1:1/watchword"\n')
        safe.settings["WATCHWORD_SECRET"] = "a-secret-of-more-than-32-letters"
        assert findings(safe)[1]["configuration_file"]["level"] == "unsafe"
        del safe.settings["WATCHWORD_SECRET"]
        file.write_text('admin_email = "a@example.com"\nadmin_password = "nine-slow-lanterns"\n')
        code, found = findings(safe)
        assert (code, found["configuration_file"]["cure"]) == (1, "chmod 600 watchword.toml")
        assert "lanterns" not in json.dumps(found)
        file.chmod(0o600)
        assert findings(safe) == (0, {})


class TestDatabase:
    def change(self, shell: Shell, sql: str) -> None:
        with closing(sqlite3.connect(shell.data_dir / "watchword.db")) as database, database:
            database.execute(sql)

    def test_no_administrator(self, safe: Shell) -> None:
        """Nobody could ban anybody."""
        self.change(safe, "UPDATE users SET roles = 'user'")
        assert findings(safe)[1]["administrator"]["level"] == "advice"

    def test_f_s7_imported_hashes_that_cost_too_much(self, safe: Shell) -> None:
        """What strangers may have checked at every guess, until its owner has logged in once."""
        self.change(safe, f"UPDATE users SET password_digest = 'pbkdf2_sha256$5000000$salt${'A' * 43}='")
        code, found = findings(safe)
        assert (code, list(found)) == (0, ["imported_hashes"])
        assert found["imported_hashes"]["level"] == "slow"
        assert found["imported_hashes"]["message"].startswith(
            "one user has an imported password hash that takes up to 2"
        )
        self.change(safe, f"UPDATE users SET password_digest = 'pbkdf2_sha256$50000$salt${'A' * 43}='")
        assert findings(safe) == (0, {})

    def test_a_clock_that_went_back(self, safe: Shell) -> None:
        """Something happened in the future: tokens would be issued that are not valid yet."""
        self.change(safe, "UPDATE events SET at = at + 3600000")
        code, found = findings(safe)
        assert (code, list(found)) == (1, ["clock"])
        self.change(safe, "UPDATE events SET at = at - 3600000 + 30000")
        assert findings(safe) == (0, {})

    def test_an_old_backup(self, safe: Shell) -> None:
        """A week is long; a new one is good, and one that failed does not count."""
        safe.ok("db", "backup", "first.db")
        assert findings(safe) == (0, {})
        assert "the last backup is " in safe.ok("doctor", "--all").stdout
        self.change(safe, "UPDATE events SET at = at - 8 * 86400000")
        safe.refused("db", "backup", "first.db", code=2)
        assert findings(safe)[1]["backup"]["message"] == "the last backup is 8 days old"
        safe.ok("db", "backup", "second.db")
        assert findings(safe) == (0, {})

    def test_an_old_key(self, safe: Shell) -> None:
        """A year is long; the cure is one command."""
        self.change(safe, "UPDATE signing_keys SET active_at = active_at - 366 * 86400000")
        assert findings(safe)[1]["key_age"]["cure"] == "watchword key rotate"
        safe.ok("key", "rotate", "--now")
        assert findings(safe) == (0, {})

    def test_a_slow_algorithm(self, safe: Shell) -> None:
        """RSA signs slowly."""
        safe.ok("key", "rotate", "--algorithm", "RS256", "--now")
        code, found = findings(safe)
        assert (code, found["signing_algorithm"]["level"]) == (0, "slow")

    def test_a_journal_that_is_not_wal(self, safe: Shell) -> None:
        """It is seen before the store would mend it."""
        self.change(safe, "PRAGMA journal_mode = DELETE")
        assert findings(safe)[1]["database"]["level"] == "slow"

    def test_a_schema_that_lags(self, safe: Shell) -> None:
        """It is told, and not brought up to date by looking."""
        self.change(safe, "DELETE FROM schema_migrations")
        for _ in range(2):
            code, found = findings(safe)
            assert (code, found["database"]["cure"]) == (0, "watchword db upgrade")

    def test_no_database_at_all(self, safe: Shell) -> None:
        """A file that is something else."""
        (safe.data_dir / "watchword.db").write_bytes(b"something else " * 100)
        code, found = findings(safe)
        assert (code, found["database"]["level"]) == (1, "unsafe")


class Front(ThreadingTCPServer):
    """What stands in front of a server that isn't there: it answers with this, whatever it is asked."""

    daemon_threads = True

    def __init__(self, *statuses: int) -> None:
        self.answer = b"".join(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status for status in statuses)
        super().__init__(("127.0.0.1", 0), self.Handler)

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            while b"Connection: close" not in self.rfile.readline():
                pass
            self.rfile.readline()
            self.wfile.write(self.server.answer)  # type: ignore[attr-defined]


class TestFront:
    @pytest.mark.parametrize(
        ("statuses", "level"),
        [
            ((405, 200), "good"),
            ((405, 404, 200), "unsafe"),
            ((405, 404), "unsafe"),
            ((101,), "unsafe"),
            ((400,), "advice"),
            ((502, 200), "advice"),
            ((), "advice"),
        ],
    )
    def test_f_s1_a_front_that_takes_a_body_for_a_request_is_found(
        self, safe: Shell, statuses: tuple[int, ...], level: str
    ) -> None:
        """With ``--online``; without it nobody is asked."""
        with Front(*statuses) as front:
            threading.Thread(target=front.serve_forever, args=(0.01,), daemon=True).start()
            safe.settings["WATCHWORD_ISSUER"] = f"http://127.0.0.1:{front.server_address[1]}"
            code, found = findings(safe, "--online")
            front.shutdown()
        assert code == (level == "unsafe")
        assert found.get("framing", {"level": "good"})["level"] == level
        assert "framing" not in findings(safe)[1]

    @pytest.mark.anyio
    async def test_f_s1_our_own_server_passes(self, safe: Shell) -> None:
        """Asked directly, and where nobody listens that is said."""
        async with open_wire() as wire:
            front = await asyncio.to_thread(ask_front, f"http://127.0.0.1:{wire.port}")
        assert front.statuses == [405, 200]
        front = await asyncio.to_thread(ask_front, f"http://127.0.0.1:{wire.port}")
        assert "refused" in (front.fault or "")

    @pytest.mark.parametrize(
        ("front", "said"),
        [
            (lambda app: fronts.Front("strips", app, "/identity"), None),
            (
                lambda app: fronts.Front("strips", app, "/identity", False),
                "clients that go by RFC 8414 don't",
            ),
            (lambda app: fronts.Front("strips", app, "/other"), "no guard finds"),
        ],
    )
    def test_f_b27_a_front_that_keeps_metadata_back_is_found(
        self, safe: Shell, front: Callable[[Any], Any], said: str | None
    ) -> None:
        """With ``--online``: whether an issuer with a path answers at both of its addresses."""
        with running(path="/identity", front=front) as server:
            safe.settings["WATCHWORD_ISSUER"] = server.url
            found = findings(safe, "--online")[1].get("metadata")
        assert "metadata" not in findings(safe)[1]
        if said is None:
            assert found is None
        else:
            assert found is not None
            assert said in found["message"]
            assert "/.well-known/oauth-authorization-server" in found["message"]


class TestMachine:
    def facts(self) -> Facts:
        return gather(Settings.load({"password_hash": "standard"}), Path())

    def test_disk_space(self) -> None:
        """Little is advice; almost none is unsafe."""
        facts = self.facts()
        levels = [disk_space(replace(facts, free_bytes=free)).level for free in (1 << 40, 1 << 29, 1 << 20)]
        assert levels == ["good", "advice", "unsafe"]

    def test_a_slow_hash(self) -> None:
        """Half a second a password is a machine too small for the profile."""
        slow = replace(self.facts(), password_cost=timedelta(milliseconds=700))
        assert password_hash(slow) == Advice(
            "slow",
            "a password costs 700 ms here: log-ins wait",
            "a faster machine, or PASSWORD_HASH=standard",
        )

    def test_open_files(self, safe: Shell) -> None:
        """The limit of the shell that would start the server."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        done = subprocess.run(
            [sys.executable, "-m", "watchword", "doctor"],
            cwd=safe.folder,
            env=safe.env,
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard)),
        )
        assert done.stdout.startswith("slow    open_files  a process may open 256 files")
        assert open_files(replace(self.facts(), open_files=resource.RLIM_INFINITY)).level == "good"

    def test_a_slow_loop(self) -> None:
        """uvloop comes with the server's extra, and a bare asyncio serves all the same."""
        assert event_loop(replace(self.facts(), fast_loop=False)).level == "slow"

    def test_each_check_says_what_it_checks(self) -> None:
        """A function each, and each once."""
        assert len({check.__name__ for check in CHECKS}) == len(CHECKS)
        assert all(check.__doc__ for check in CHECKS)
