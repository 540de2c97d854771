"""The server as its operator runs it: what it never does, how its keys are kept, and that ``-O`` changes nothing."""

from __future__ import annotations

import ast
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.mission.stage import TOP, environment
from tests.server.stage import ISSUER, Stage, call, open_stage
from tests.sources import tree_of
from tests.test_floors import FILES, imports_of
from watchword.errors import ConfigurationError

pytestmark = pytest.mark.anyio

CALLS_OUT = {
    "httpx2",
    "httpx",
    "requests",
    "urllib3",
    "aiohttp",
    "smtplib",
    "ftplib",
    "socket",
    "socketserver",
}
SOCKETS = {"watchword.server.store.workers.server", "watchword.server.store.postgres.connector"}
CALLS_OUT |= {"urllib.request", "http.client", "xmlrpc.client", "telnetlib"}

UNDER_O = """
import asyncio, sys
from tests.server.stage import PASSWORD, open_stage
if __debug__:
    sys.exit("this is to run under -O")

async def play():
    async with open_stage() as stage:
        ada, root = await stage.newcomer(), await stage.administrator()
        head, body, mac = ada.tokens["access_token"].split(".")
        bearer = lambda text: {"Authorization": f"Bearer {text}"}
        async def status(method, path, **more):
            return (await stage.http.request(method, path, **more)).status_code
        found = [
            await status("GET", "/auth/me", headers=ada.bearer),
            await status("GET", "/auth/me"),
            await status("GET", "/auth/me", headers=bearer(f"{head}.{body[:-2]}AA.{mac}")),
            await status("GET", "/auth/me", headers=bearer(f"{head}.{body}.")),
            await status("GET", "/admin/v1/users", headers=ada.bearer),
            await status("GET", "/admin/v1/users", headers=root.bearer),
            await status("POST", "/auth/login", json={"email": ada.email, "password": "wrong"}),
            await status("POST", "/auth/login", json={"email": ada.email, "password": PASSWORD, "role": "admin"}),
            await status("POST", f"/admin/v1/users/{ada.id}/ban", headers=root.bearer),
            await status("GET", "/auth/me", headers=ada.bearer),
            await status("POST", "/auth/token", json={"refresh_token": ada.tokens["refresh_token"]}),
            await status("POST", "/auth/login", json={"email": ada.email, "password": PASSWORD}),
        ]
        print(*found)

asyncio.run(play())
"""


class TestOutgoing:
    def test_req_s12_the_server_calls_nobody(self) -> None:
        """No room of it imports what could: no address that a stranger writes is ever fetched.

        The desk binds a socket of the file system, where this machine's own workers hand in their writes; the
        connector sets options of the sockets that lead to the database.
        """
        for module in FILES:
            if module.startswith("watchword.server") and module not in SOCKETS:
                names = set(imports_of(module))
                assert not CALLS_OUT & (names | {name.split(".")[0] for name in names}), module


class TestKeys:
    async def test_req_s13_private_keys_are_sealed_and_the_master_key_lies_apart(
        self, tmp_path: Path
    ) -> None:
        """The file is its owner's alone, the database has neither it nor a private key in the clear."""
        where = {"database": f"sqlite:///{tmp_path}/watchword.db", "data_dir": str(tmp_path)}
        async with open_stage(**where) as stage:
            active = [key for key in await stage.services.keys.list() if key.state == "active"]
            kids = {key.kid for key in active if key.purpose == "token"}
            private = [(await stage.services.keys.signing_key(kid)).private_jwk()["d"] for kid in kids]
        with closing(sqlite3.connect(tmp_path / "watchword.db")) as database:
            rows = database.execute("SELECT public_jwk, sealed FROM signing_keys").fetchall()
        assert private
        assert len(rows) >= 2
        for public_jwk, sealed in rows:
            assert '"d"' not in public_jwk
            assert not any(str(secret).encode() in sealed for secret in private)

    async def test_req_s13_a_key_is_public_before_it_signs_and_after(self, stage: Stage) -> None:
        """Published for a minute before its first token, and until its last one has ended."""
        root = await stage.administrator()

        async def published() -> set[str]:
            document = (await stage.http.get("/.well-known/jwks.json")).json()
            return {key["kid"] for key in document["keys"]}

        before = await published()
        rotation = await call(stage, root, "POST", "/admin/v1/keys/rotate", json={"now": True})
        assert rotation["kid"] in before
        old = rotation["retiring"]
        stage.clock.forward(minutes=9)
        await stage.services.keys.tick()
        assert {rotation["kid"], old} <= await published()
        assert (await stage.http.get("/auth/me", headers=root.bearer)).status_code == 200
        stage.clock.forward(minutes=30)
        await stage.services.keys.tick()
        assert old not in await published()

    async def test_attack_a70_a_database_of_another_master_key_is_not_opened(self, tmp_path: Path) -> None:
        """With a clear word, and nothing is lost by the attempt."""
        where = {"database": f"sqlite:///{tmp_path}/watchword.db"}
        async with open_stage(**where) as stage:
            ada = await stage.somebody()
        with pytest.raises(ConfigurationError, match="secret"):
            async with open_stage(**where, secret="another-master-key-that-is-long-enough"):
                pass
        async with open_stage(**where) as stage:
            await stage.login(ada)

    async def test_attack_a70_a_master_key_that_others_read_stops_the_start(self, tmp_path: Path) -> None:
        """Made with mode 0600; opened to others it is refused until it is closed again."""
        drawn: dict[str, Any] = {"secret": None, "data_dir": str(tmp_path / "data")}
        async with open_stage(**drawn):
            secret = tmp_path / "data" / "secret"
            assert mode(secret) == 0o600
            assert mode(secret.parent) == 0o700
        for opened in (0o640, 0o604, 0o620):
            secret.chmod(opened)
            with pytest.raises(ConfigurationError, match="chmod 600"):
                async with open_stage(**drawn):
                    pass
        secret.chmod(0o600)
        async with open_stage(**drawn) as stage:
            await stage.newcomer()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestAssertions:
    def test_req_s15_no_check_is_an_assertion(self) -> None:
        """Under ``python -O`` every refusal is a refusal."""
        done = subprocess.run(
            [sys.executable, "-O", "-c", UNDER_O],
            env=environment(),
            cwd=TOP,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == "200 401 401 401 403 200 401 422 200 401 401 403".split()

    def test_req_s15_an_assertion_is_about_types_alone(self) -> None:
        """What ``assert`` says in the source is that something is not ``None``, or of a type."""
        for module, file in FILES.items():
            for node in ast.walk(tree_of(file)):
                assert not isinstance(node, ast.Assert) or harmless(node.test), f"{module}:{node.lineno}"


def harmless(test: ast.expr) -> bool:
    """``x is not None``, ``isinstance(…)``, ``x is None``, a name, or a row of those."""
    match test:
        case ast.BoolOp(values=values):
            return all(harmless(value) for value in values)
        case ast.Compare(ops=[ast.Is() | ast.IsNot()], comparators=[ast.Constant(value=None)]):
            return True
        case ast.Call(func=ast.Name(id="isinstance")):
            return True
        case ast.UnaryOp(op=ast.Not(), operand=ast.Name() | ast.Attribute()) | ast.Name() | ast.Attribute():
            return True
        case _:
            return False


class TestDocuments:
    async def test_req_a12_every_refusal_is_a_problem_with_a_stable_type(self, stage: Stage) -> None:
        """``type`` is a URI that names the code; nothing of ours shows through."""
        for path, method, status in (
            ("/auth/me", "GET", 401),
            ("/nowhere", "GET", 404),
            ("/auth/login", "GET", 405),
            ("/auth/login", "POST", 415),
        ):
            answer = await stage.http.request(method, path)
            assert answer.status_code == status
            document = answer.json()
            assert document["type"] == f"urn:watchword:error:{document['error']}"
            assert document["status"] == status
            for word in ("Traceback", "sqlite", "SELECT", "src/", ".py"):
                assert word not in answer.text

    async def test_req_a08_what_a_token_opens_is_not_stored(self, stage: Stage) -> None:
        """``no-store`` on token answers and on everything that is somebody's."""
        root = await stage.administrator()
        body = {"refresh_token": root.tokens["refresh_token"]}
        answer = await stage.http.post("/auth/token", json=body)
        assert answer.headers["cache-control"] == "no-store"
        for path in ("/auth/me", "/auth/sessions", "/admin/v1/users", "/admin/v1/events", "/admin/v1/keys"):
            answer = await stage.http.get(path, headers=root.bearer)
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "no-store"

    async def test_req_a01_a_token_names_its_issuer_audience_subject_client_and_times(
        self, stage: Stage
    ) -> None:
        """Every claim of RFC 9068 2.2 that is known, and a user's id that no client's can be."""
        from tests.attacks.test_http_locks import payload

        ada = await stage.newcomer()
        claims = payload(ada.tokens["access_token"])
        assert claims.keys() >= set("iss exp aud sub client_id iat jti auth_time amr sid".split())
        assert claims["iss"] == ISSUER
        assert claims["sub"] == ada.id
        assert claims["sub"].startswith("usr_")
        assert claims["client_id"].startswith("cli_")
        assert claims["amr"] == ["pwd"]
        assert claims["exp"] - claims["iat"] == 600
