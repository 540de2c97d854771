"""``watchword serve``: its start, what it says, its end."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx2
import pytest

from tests.cli.stage import PASSWORD, Shell

HEAVY = ("uvicorn", "starlette", "jinja2", "argon2", "cryptography", "sqlite3", "watchword.server.app")


class Served:
    """A server process, and what it says line by line."""

    def __init__(self, shell: Shell, *arguments: str, errors: int = subprocess.PIPE) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-m", "watchword", "serve", "--port", "0", *arguments],
            cwd=shell.folder,
            env=shell.env,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        self.lines: list[str] = []

    def until(self, word: str) -> str:
        """The first line on stdout with *word*."""
        assert self.child.stdout is not None
        for line in self.child.stdout:
            self.lines.append(line.rstrip("\n"))
            if word in line:
                return self.lines[-1]
        raise AssertionError(f"it ended without a word of {word}: {self.lines} {self.stop()}")

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Its exit code and stderr."""
        if self.child.poll() is None:
            self.child.send_signal(number)
        rest, errors = self.child.communicate(timeout=30)
        self.lines += rest.splitlines()
        return self.child.returncode, errors


@contextmanager
def served(shell: Shell, *arguments: str, errors: int = subprocess.PIPE) -> Iterator[Served]:
    """A server that ends with the test; its stderr goes to the descriptor *errors*."""
    process = Served(shell, *arguments, errors=errors)
    try:
        yield process
    finally:
        process.stop(signal.SIGKILL)


def url_of(line: str) -> str:
    return line.rsplit(" ", 1)[1]


class TestStart:
    def test_the_first_start_hands_out_one_link(self, shell: Shell) -> None:
        """Two lines on stdout: a link that makes the first administrator once, and where the server listens."""
        with served(shell) as server:
            link = url_of(server.until("set up"))
            url = url_of(server.until("listening on"))
            assert len(server.lines) == 2
            assert link.startswith(f"{url}/setup?token=")
            form = {"email": "root@example.com", "password": PASSWORD}
            with httpx2.Client() as http:
                page = http.get(link)
                assert page.status_code == 200
                token = re.search(r'name="token" value="([^"]+)"', page.text)
                assert token is not None
                made = http.post(f"{url}/setup", data={"token": token[1], **form})
                assert made.status_code == 200, made.text
                assert http.get(link).status_code == 404
                again = http.post(
                    f"{url}/setup", data={"token": token[1], "email": "eve@example.com", "password": PASSWORD}
                )
                assert again.status_code == 404
            assert server.stop()[0] == 0
        assert [user["roles"] for user in shell.json("user", "list")] == [["user", "admin"]]
        with served(shell) as server:
            server.until("listening on")
            assert len(server.lines) == 1, "there is an administrator: no link any more"

    def test_a_new_start_makes_the_old_link_worthless(self, shell: Shell) -> None:
        """Only what was printed last counts; a lost log is no key."""
        with served(shell) as server:
            first = url_of(server.until("set up"))
            server.until("listening")
        with served(shell) as server:
            second = url_of(server.until("set up"))
            url = url_of(server.until("listening on"))
            path = first.partition("/setup")[2]
            assert httpx2.get(f"{url}/setup{path}").status_code == 404
            assert httpx2.get(second).status_code == 200

    def test_an_administrator_from_the_environment(self, shell: Shell) -> None:
        """Without a person; a second start with another password changes nothing for him."""
        shell.settings["WATCHWORD_ADMIN_EMAIL"] = "root@example.com"
        (shell.folder / "password").write_text(PASSWORD + "\n")
        shell.settings["WATCHWORD_ADMIN_PASSWORD_FILE"] = str(shell.folder / "password")
        for password in (PASSWORD, "another-green-lantern"):
            (shell.folder / "password").write_text(password + "\n")
            with served(shell) as server:
                url = url_of(server.until("listening on"))
                assert len(server.lines) == 1
                form = {"email": "root@example.com", "password": PASSWORD, "audience": url}
                answer = httpx2.post(f"{url}/auth/login", json=form)
                assert answer.status_code == 200, answer.text
                assert set(answer.json()["user"]["roles"]) == {"user", "admin"}
                assert server.stop()[0] == 0

    def test_an_administrator_whose_password_will_not_do(self, shell: Shell) -> None:
        """The start is refused; no account with a password that every attacker tries first."""
        shell.settings |= {
            "WATCHWORD_ADMIN_EMAIL": "root@example.com",
            "WATCHWORD_ADMIN_PASSWORD": "password1",
        }
        done = shell.process("serve", "--port", "0")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("watchword: admin_password: is among the passwords")
        assert "password1" not in done.stderr

    def test_json(self, shell: Shell) -> None:
        """One object a line, for whoever starts it from a program."""
        with served(shell, "--json") as server:
            server.until("listening")
            setup, listening = map(json.loads, server.lines)
            assert setup["event"] == "setup"
            assert listening == {"event": "listening", "url": setup["url"].partition("/setup")[0]}

    def test_ipv6(self, shell: Shell) -> None:
        """An address with colons stands in brackets, in the issuer and in what is said."""
        with served(shell, "--host", "::1") as server:
            url = url_of(server.until("listening on"))
            assert url.startswith("http://[::1]:")
            assert httpx2.get(f"{url}/.well-known/oauth-authorization-server").json()["issuer"] == url


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "settings", "name"),
        [
            ("--port 99999", {}, "port"),
            ("--port http", {}, "port"),
            ("--host 0.0.0.0", {}, "issuer"),
            ("--host 192.0.2.1", {}, "issuer"),
            ("--host ::", {}, "issuer"),
            ("--issuer http://auth.example.com", {}, "issuer"),
            ("--issuer https://auth.example.com/", {}, "issuer"),
            ("--workers 2 --database sqlite:///:memory:", {}, "workers"),
            ("--workers 0", {}, "workers"),
            ("--database mysql://db/watchword", {}, "database"),
            ("--tls-cert missing.pem --tls-key missing.pem", {}, "tls_cert"),
            ("--tls-key missing.pem", {}, "tls_cert"),
            ("", {"SECRET": "short"}, "secret"),
            ("", {"SECRET": "x" * 32}, "secret"),
            ("", {"SECRET": ""}, "secret"),
            ("", {"SECRET": "change-me-change-me-change-me-now"}, "secret"),
            ("", {"SECRET": "your-256-bit-secret-your-256-bit-secret"}, "secret"),
            ("", {"ACCESS_TOKEN_TTL": "10"}, "access_token_ttl"),
            ("", {"ACCESS_TOKEN_TTL": "25h"}, "access_token_ttl"),
            ("", {"SIGNING_ALGORITHM": "none"}, "signing_algorithm"),
            ("", {"REGISTRATION": "maybe"}, "registration"),
            ("", {"TRUSTED_PROXIES": "everybody"}, "trusted_proxies"),
            ("", {"ADMIN_EMAIL": "root@example.com"}, "admin_email"),
            ("", {"LOG_FORMAT": "xml"}, "log_format"),
            ("", {"PORTT": "1"}, "WATCHWORD_PORTT"),
            ("", {"SECRET_FILE": "missing"}, "WATCHWORD_SECRET_FILE"),
        ],
    )
    def test_attack_a70_a_bad_setting_stops_the_start(
        self, shell: Shell, arguments: str, settings: dict[str, str], name: str
    ) -> None:
        """One line that names it, exit 2, nothing made: no folder, no database, no half a start."""
        shell.settings |= {f"WATCHWORD_{key}": value for key, value in settings.items()}
        assert shell.refused("serve", *arguments.split(), code=2).partition(":")[0] == name
        assert list(shell.folder.iterdir()) == []

    def test_the_refusal_comes_before_anything_heavy(self, shell: Shell) -> None:
        """It takes no second, because neither the HTTP server nor the database has been imported by then."""
        code = (
            "import sys\nbefore = set(sys.modules)\n"  # what measures a test may have imported one itself
            "from watchword.cli.main import main\nsys.argv[1:] = ['serve', '--port', 'http']\n"
            "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 2\n"
            "sys.stdout.write('\\n'.join(sys.modules.keys() - before))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=shell.folder,
            env=shell.env,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr.startswith("watchword: port: must be a whole number")
        assert "watchword.server.settings" in done.stdout.splitlines()
        assert not [name for name in done.stdout.splitlines() if name.startswith(HEAVY)]

    def test_an_unknown_name_in_the_file(self, shell: Shell) -> None:
        """A typing error in ``watchword.toml`` does not become a default."""
        (shell.folder / "watchword.toml").write_text("prot = 9000\n")
        assert (
            shell.refused("serve", code=2) == "watchword.toml: there is no setting prot; did you mean port?"
        )

    def test_a_port_that_is_taken(self, shell: Shell) -> None:
        """Told before a database is made; exit 1, for the setting itself is right."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            said = shell.refused("serve", "--port", str(port))
        assert said == f"port: cannot listen on 127.0.0.1:{port}: Address already in use"
        assert list(shell.folder.iterdir()) == []

    def test_a_folder_that_cannot_be_made(self, shell: Shell) -> None:
        """The setting that names it is told."""
        (shell.folder / "file").touch()
        said = shell.refused("serve", "--port", "0", "--data-dir", "file/data", code=2)
        assert said.startswith("data_dir: cannot make file/data")

    def test_certificate_and_key_that_are_none(self, shell: Shell) -> None:
        """Not at the first client, but at the start."""
        (shell.folder / "cert.pem").write_text("no certificate")
        said = shell.refused(
            "serve", "--port", "0", "--tls-cert", "cert.pem", "--tls-key", "cert.pem", code=2
        )
        assert said.startswith("tls_cert: ")


class TestLog:
    def test_every_line_has_the_one_form(self, shell: Shell) -> None:
        """Our lines, warnings about settings and what the libraries say: each one JSON object, with level and time."""
        shell.settings |= {"WATCHWORD_LOG_FORMAT": "json", "WATCHWORD_ACCESS_TOKEN_TTL": "2h"}
        with served(shell) as server:
            url = url_of(server.until("listening on"))
            host, port = url.removeprefix("http://").split(":")
            for nonsense in (b"no HTTP\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\xfc\r\n\r\n"):
                with socket.create_connection((host, int(port)), timeout=10) as stranger:
                    stranger.sendall(nonsense)
                    assert stranger.recv(65536).startswith(b"HTTP/1.1 400")
            assert httpx2.get(f"{url}/auth/me").status_code == 401
            code, errors = server.stop()
        lines = [json.loads(line) for line in errors.splitlines()]
        assert code == 0
        assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
        said = {line["event"].partition(":")[0] for line in lines if line["level"] == "warning"}
        assert said >= {"access_token_ttl", "password_hash", "Invalid HTTP request received."}
        assert [line["route"] for line in lines if line["event"] == "request"] == ["/auth/me"]

    def test_a_line_is_one_write(self, shell: Shell) -> None:
        """Workers share one stderr, unbuffered in most containers; a line written in parts mixes with a neighbour's."""
        shell.settings |= {"WATCHWORD_LOG_FORMAT": "json", "PYTHONUNBUFFERED": "1"}
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # each write arrives by itself
        with ours, its, served(shell, errors=its.fileno()) as server:
            assert httpx2.get(url_of(server.until("listening on")) + "/auth/me").status_code == 401
            assert server.stop()[0] == 0
            ours.setblocking(False)
            writes = []
            with suppress(BlockingIOError):
                while True:
                    writes.append(ours.recv(65536))
        assert any(b"/auth/me" in write for write in writes)
        assert all(write.endswith(b"\n") and json.loads(write) for write in writes), writes


class TestConfig:
    def test_it_shows_every_setting_and_hides_secrets(self, shell: Shell) -> None:
        """Name, value and source; of a secret only that there is one. Nothing is started."""
        shell.settings |= {
            "WATCHWORD_SECRET": "a-secret-of-more-than-32-characters",
            "WATCHWORD_PORT": "9000",
        }
        shell.settings |= {"WATCHWORD_ADMIN_EMAIL": "root@example.com", "WATCHWORD_ADMIN_PASSWORD": PASSWORD}
        done = shell.ok("serve", "--host", "127.0.0.2", "--print-config", "--json")
        rows = {row["name"]: (row["value"], row["source"]) for row in json.loads(done.stdout)}
        assert rows["HOST"] == ("127.0.0.2", "--host")
        assert rows["PORT"] == ("9000", "WATCHWORD_PORT")
        assert rows["AUDIENCE"] == ("api", "default")
        assert rows["ACCESS_TOKEN_TTL"] == ("10m", "default")
        assert rows["LOG_REQUESTS"] == ("true", "default")
        assert rows["SECRET"] == ("(hidden)", "WATCHWORD_SECRET")
        text = done.stdout + shell.ok("serve", "--print-config").stdout
        assert "a-secret" not in text
        assert PASSWORD not in text
        assert list(shell.folder.iterdir()) == []

    def test_what_it_shows_can_be_set(self, shell: Shell) -> None:
        """Every value it prints is one that the setting takes."""
        rows = shell.json("serve", "--print-config")
        shell.settings |= {f"WATCHWORD_{row['name']}": row["value"] for row in rows if row["value"]}
        again = shell.json("serve", "--print-config")
        assert [row["value"] for row in again] == [row["value"] for row in rows]


class TestEnd:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_drains_and_exits_0(self, shell: Shell, number: int) -> None:
        """A request under way is answered, an open stream is let go, and the exit code is 0."""
        with served(shell) as server:
            url = url_of(server.until("listening on"))
            host, port = url.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port)), timeout=10) as slow, httpx2.Client() as http:
                body = b'{"email":"nobody@example.com","password":"nine-slow-lanterns"}'
                slow.sendall(
                    b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body[:10]
                )
                with http.stream("GET", f"{url}/revocations/stream") as stream:
                    lines = stream.iter_lines()
                    assert next(lines)
                    server.child.send_signal(number)
                    assert list(lines)[-1] == "", "the server ended it, between two events"
                slow.sendall(body[10:])
                assert slow.recv(65536).startswith(b"HTTP/1.1 401")
            assert server.child.wait(timeout=30) == 0
            assert "Traceback" not in server.stop()[1]
