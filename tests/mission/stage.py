"""What the mission is played on: real processes on loopback, as a user has them."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

TOP = Path(__file__).resolve().parents[2]
ADMIN = ("root@example.com", "thirteen-green-anchors")
PASSWORD = "nine-slow-lanterns"

_numbers = itertools.count(1)


def environment(**settings: str) -> dict[str, str]:
    """The environment of a process of ours: this interpreter's, and no settings but these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
    path = os.pathsep.join((str(TOP / "src"), str(TOP)))
    return {**inherited, "PYTHONPATH": path, "NO_COLOR": "1", **settings}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Process:
    """A child that listens on ``url``; its output goes to a file."""

    arguments: list[str]
    env: Mapping[str, str]
    folder: Path
    url: str
    trust: ssl.SSLContext | bool = True
    child: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "output.log"

    def start(self, path: str) -> None:
        """Begin, and come back when *path* answers."""
        with self.log.open("ab") as output:
            self.child = subprocess.Popen(
                [sys.executable, *self.arguments], cwd=self.folder, env=self.env, stdout=output, stderr=output
            )
        deadline = time.monotonic() + 60
        # One client for all its questions: each new one reads the certificates of the whole world.
        with httpx2.Client(verify=self.trust) as http:
            while True:
                try:
                    if http.get(self.url + path).status_code == 200:
                        return
                except httpx2.TransportError:
                    assert self.child.poll() is None, self.log.read_text()
                    assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.02)

    def stop(self) -> int:
        """End it as an operator does."""
        assert self.child is not None
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(timeout=30)


@dataclass
class User:
    """Somebody with an account and, after a log-in, with tokens."""

    id: str
    email: str
    password: str
    tokens: dict[str, Any] = field(default_factory=dict)

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}


@dataclass
class Server:
    """The authorization server, spoken to over HTTP and by the command line beside it."""

    process: Process
    http: httpx2.Client

    @property
    def url(self) -> str:
        return self.process.url

    @property
    def data_dir(self) -> Path:
        return self.process.folder / "data"

    def cli(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command with the server's own settings."""
        return subprocess.run(
            [sys.executable, "-m", "watchword", *arguments],
            cwd=self.process.folder,
            env=self.process.env,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def manage(self, *arguments: str, given: str | None = None) -> Any:
        """A command that must succeed; what it says as JSON."""
        done = self.cli(*arguments, "--json", given=given)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def register(self, **members: str) -> User:
        """Somebody new."""
        email = f"user{next(_numbers)}.{os.getpid()}@example.com"
        body = {"email": email, "password": PASSWORD, **members}
        answer = self.http.post("/auth/register", json=body)
        assert answer.status_code == 201, answer.text
        return User(answer.json()["user"]["id"], email, PASSWORD)

    def post_login(self, **members: str) -> httpx2.Response:
        return self.http.post("/auth/login", json=members)

    def login(self, user: User, **members: str) -> User:
        """Log in; the tokens are the user's from now on."""
        answer = self.post_login(email=user.email, password=user.password, **members)
        assert answer.status_code == 200, answer.text
        user.tokens = answer.json()
        return user

    def newcomer(self, **members: str) -> User:
        """Register and log in."""
        return self.login(self.register(**members))

    def administrator(self, **members: str) -> User:
        """The administrator whom the environment made."""
        return self.login(User("", *ADMIN), **members)

    def jwks(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.get("/.well-known/jwks.json").json()
        return answer


def start_server(folder: Path, **settings: str) -> Server:
    """A server of its own folder and port."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    values = {
        "WATCHWORD_PORT": str(port),
        "WATCHWORD_DATA_DIR": str(folder / "data"),
        "WATCHWORD_ADMIN_EMAIL": ADMIN[0],
        "WATCHWORD_ADMIN_PASSWORD": ADMIN[1],
        "WATCHWORD_CLAIMS": "userId=id,role=role,admin=admin",
        "WATCHWORD_METRICS": "public",
        **settings,
    }
    url = f"http://127.0.0.1:{port}"
    # An earlier version knows fewer settings: what is empty is not set.
    said = {name: value for name, value in values.items() if value}
    process = Process(["-m", "watchword", "serve"], environment(**said), folder, url)
    process.start("/readyz")
    return Server(process, httpx2.Client(base_url=url, timeout=30))


def start_payroll(folder: Path, issuer: str, *, port: int | None = None, **settings: str) -> Process:
    """The example API against *issuer*, on a free port unless one is given."""
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "payroll.db"
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    env = environment(PAYROLL_ISSUER=issuer, PAYROLL_DATABASE=str(database), PAYROLL_ORIGIN=url, **settings)
    if not database.exists():
        subprocess.run([sys.executable, "-m", "examples.payroll.seed", str(database)], env=env, check=True)
    app = ["-m", "uvicorn", "examples.payroll.app:from_environment", "--factory", "--http", "h11"]
    process = Process([*app, "--port", str(port)], env, folder, url)
    process.start("/health")
    return process


def within(seconds: float, http: httpx2.Client, path: str, user: User, status: int) -> httpx2.Response:
    """The first answer of that status: a change that travels arrives within a bound, not at an instant."""
    deadline = time.monotonic() + seconds
    while True:
        answer = http.get(path, headers=user.bearer)
        if answer.status_code == status or time.monotonic() > deadline:
            assert answer.status_code == status, answer.text
            return answer
        time.sleep(0.01)
