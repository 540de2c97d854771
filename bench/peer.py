# ruff: noqa: F821
"""Ours, in the form of the rivals' runner (``run.py --peer bench/peer.py``): same client, same core, same operations.

The runner executes this file, so it uses the runner's names: ``PORT``, ``JSON``, ``Op``, ``SLOW``, ``raw``, ``js``.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import time
from urllib.error import URLError
from urllib.request import Request, urlopen

TOP, PYTHON = os.environ["BENCH_TOP"], os.environ["BENCH_PYTHON"]
PEOPLE = 4_000
PHRASE = "nine-slow-lanterns"
FILL = """
import sys
from pathlib import Path
from bench.people import fill
fill(Path(sys.argv[1]), sys.argv[2], users=int(sys.argv[3]), profile=sys.argv[4])
"""
LOOP = "http://127.0.0.1"


def settings(folder, port, profile):
    """The environment of a server of ours."""
    return {
        "PYTHONPATH": os.pathsep.join((TOP + "/src", TOP)),
        "WATCHWORD_PORT": str(port),
        "WATCHWORD_DATA_DIR": folder + "/data",
        "WATCHWORD_PASSWORD_HASH": profile,
        "WATCHWORD_LOG_REQUESTS": "false",
        "WATCHWORD_LOGIN_ATTEMPTS_PER_ADDRESS": "0",
        "WATCHWORD_WRITES_PER_USER": "0",
    }


def fill(folder, port, profile):
    """Make the database, with more users than sessions of one would ever have to be evicted."""
    program = [PYTHON, "-c", FILL, folder + "/data", f"{LOOP}:{port}", str(PEOPLE), profile]
    subprocess.run(program, check=True, env={**os.environ, **settings(folder, port, profile)})


def log_in(port, n):
    """The tokens of one user."""
    body = json.dumps({"email": f"u{n}@example.com", "password": PHRASE}).encode()
    asked = Request(f"{LOOP}:{port}/auth/login", body, {"Content-Type": "application/json"})
    return json.load(urlopen(asked))


def shared_database(folder):
    """A PostgreSQL with the people of *folder*, for as long as the runner runs; the settings that lead there."""
    program = [PYTHON, "-m", "bench.postgres", folder + "/data/watchword.db"]
    env = {**os.environ, **settings(folder, PORT, "test")}
    child = subprocess.Popen(
        program, env=env, cwd=TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(child.communicate)
    url = child.stdout.readline().strip()
    return {"WATCHWORD_DATABASE": url, "WATCHWORD_SECRET_FILE": folder + "/data/secret"}


def server(profile, shared=False):
    """The authorization server, with the cheap hash or the real one, on SQLite or PostgreSQL."""
    more = {}

    def prepare(folder):
        fill(folder, PORT, profile)
        if shared:
            more.update(shared_database(folder))

    def operations(folder):
        body = json.dumps({"email": "@@", "password": PHRASE})
        names = [f"u{n}@example.com" for n in range(PEOPLE)]
        slow = {} if profile == "test" else SLOW
        login = Op("login", raw("POST", "/auth/login", body, JSON), names, "-", **slow)
        if profile != "test":
            return [login]
        tokens = [log_in(PORT, n)["refresh_token"] for n in range(64)]
        return [
            login,
            Op(
                "refresh",
                raw("POST", "/auth/token", '{"refresh_token":"@@"}', JSON),
                tokens,
                '"refresh_token":"',
            ),
            Op("jwks", raw("GET", "/.well-known/jwks.json")),
            Op("discovery", raw("GET", "/.well-known/oauth-authorization-server")),
        ]

    # The runner gives each server a folder; commands are run in one of the rivals', so it is named in full.
    return (
        lambda folder: ["env", *(f"{k}={v}" for k, v in {**settings(folder, PORT, profile), **more}.items()),
                        PYTHON, "-m", "watchword", "serve"],
        {},
        prepare,
        "/healthz",
        operations,
    )  # fmt: skip


def guard():
    """Hello-world behind the guard, which follows a server of ours on another port."""
    issuer = {}

    def prepare(folder):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            issuer["port"] = port = listener.getsockname()[1]
        fill(folder, port, "test")
        env = {**os.environ, **settings(folder, port, "test")}
        child = subprocess.Popen([PYTHON, "-m", "watchword", "serve"], env=env, stdout=subprocess.DEVNULL)
        atexit.register(child.kill)
        for _ in range(1000):
            try:
                urlopen(f"{LOOP}:{port}/healthz")
                return
            except URLError:
                time.sleep(0.02)

    def operations(folder):
        bearer = {"Authorization": "Bearer " + log_in(issuer["port"], 1)["access_token"]}
        return [Op("profile (local JWT)", raw("GET", "/", **bearer))]

    return (
        lambda folder: [PYTHON, "-m", "bench.apps", "guarded", str(PORT), f"{LOOP}:{issuer['port']}"],
        {"PYTHONPATH": os.pathsep.join((TOP + "/src", TOP))},
        prepare,
        "/",
        operations,
    )


MORE = {
    "watchword": server("test"),
    "watchword postgres": server("test", shared=True),
    "watchword real-hash": server("standard"),
    "watchword guard": guard(),
}
