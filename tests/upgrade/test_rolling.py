"""An upgrade of one node after the other: nodes and guards of both versions work on one PostgreSQL."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests import databases
from tests.mission.stage import ADMIN, TOP, Server, User, environment, start_server
from tests.system.balancer import Balancer
from tests.system.conftest import SECRET
from tests.system.test_nodes import port
from tests.upgrade.story import DATA, VERSION

pytestmark = pytest.mark.slow
PATIENCE = 10.0


@dataclass
class Listener:
    """An API of one version that follows the feed of one node."""

    child: subprocess.Popen[str]

    def verdict(self, token: str) -> str:
        assert self.child.stdin
        assert self.child.stdout
        self.child.stdin.write(token + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().strip()

    def refuses_soon(self, token: str) -> bool:
        """Whether the revocation of *token* arrives."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.verdict(token) == "invalid_token":
                return True
            time.sleep(0.02)
        return False


@dataclass
class Fleet:
    """A node of each version behind one address, and at each node a guard of each version."""

    old: Server
    new: Server
    listeners: dict[str, Listener]

    @property
    def nodes(self) -> tuple[Server, Server]:
        return self.old, self.new

    def administrator(self, node: Server) -> User:
        issuer = node.http.get("/.well-known/oauth-authorization-server").json()["issuer"]
        return node.login(User("", *ADMIN), audience=issuer)

    def refresh(self, node: Server, user: User) -> None:
        answer = node.http.post("/auth/token", json={"refresh_token": user.tokens["refresh_token"]})
        assert answer.status_code == 200, answer.text
        user.tokens = answer.json()


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path from which Python imports the earlier version."""
    folder = tmp_path_factory.mktemp("earlier")
    with zipfile.ZipFile(DATA / f"{VERSION}.zip") as kept:
        kept.extractall(folder)
    return str(folder / "src")


@pytest.fixture(scope="module")
def fleet(earlier: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The earlier version runs and people use it; then a node of this version joins."""
    folder = tmp_path_factory.mktemp("fleet")
    with databases.server() as database, Balancer() as balancer:
        settings = {
            "WATCHWORD_DATABASE": asyncio.run(database.cluster.place()),
            "WATCHWORD_SECRET": SECRET,
            "WATCHWORD_ISSUER": balancer.url,
            "WATCHWORD_PASSWORD_HASH": "test",
            "WATCHWORD_REGISTRATIONS_PER_ADDRESS": "0",
        }
        old = start_server(folder / "old", **settings, PYTHONPATH=earlier, WATCHWORD_METRICS="")
        new = start_server(folder / "new", **settings)
        with (
            listening(balancer, old, earlier) as old_at_old,
            listening(balancer, old) as new_at_old,
            listening(balancer, new, earlier) as old_at_new,
            listening(balancer, new) as new_at_new,
        ):
            listeners = {
                "old guard at the old node": old_at_old,
                "new guard at the old node": new_at_old,
                "old guard at the new node": old_at_new,
                "new guard at the new node": new_at_new,
            }
            yield Fleet(old, new, listeners)
        for node in (old, new):
            assert node.process.stop() == 0, node.process.log.read_text()
            node.http.close()


@contextmanager
def listening(balancer: Balancer, node: Server, path: str = str(TOP / "src")) -> Iterator[Listener]:
    """A guard of the version at *path* whose connections lead to *node*."""
    balancer.backends = [port(node)]
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("listener.py")), balancer.url],
        env=environment(PYTHONPATH=path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        yield Listener(child)
    finally:
        child.kill()
        child.communicate()


class TestNodesOfTwoVersions:
    def test_a_session_goes_on_at_either_node(self, fleet: Fleet) -> None:
        """Sign-in at one version, refreshes at both in turn: nobody is signed out by the upgrade."""
        for first in fleet.nodes:
            user = first.newcomer()
            for node in (*fleet.nodes, *reversed(fleet.nodes)):
                fleet.refresh(node, user)
                assert node.http.get("/auth/me", headers=user.bearer).status_code == 200

    def test_keys_of_programs_work_at_either_node(self, fleet: Fleet) -> None:
        """An API key made at one version is traded at the other."""
        for maker, trader in (fleet.nodes, tuple(reversed(fleet.nodes))):
            user = maker.newcomer()
            body = {"name": "nightly", "current_password": user.password}
            made = maker.http.post("/auth/api-keys", json=body, headers=user.bearer)
            assert made.status_code == 201, made.text
            traded = trader.http.post("/auth/token", json={"api_key": made.json()["key"]})
            assert traded.status_code == 200, traded.text

    def test_a_log_out_counts_at_either_node(self, fleet: Fleet) -> None:
        """What one version ends, the other refuses at once."""
        for here, there in (fleet.nodes, tuple(reversed(fleet.nodes))):
            user = here.newcomer()
            assert here.http.post("/auth/logout", headers=user.bearer).status_code == 204
            assert there.http.get("/auth/me", headers=user.bearer).status_code == 401


class TestGuardsOfTwoVersions:
    def test_revocations_cross_versions(self, fleet: Fleet) -> None:
        """A ban, a log-out and a new password at either node reach guards of both versions at both nodes."""
        for node in fleet.nodes:
            root = fleet.administrator(node)
            for end in (ban, log_out, change_password):
                user = node.newcomer()
                verdicts = {
                    name: api.verdict(user.tokens["access_token"]) for name, api in fleet.listeners.items()
                }
                assert set(verdicts.values()) == {"accepted"}, verdicts
                end(node, root, user)
                for name, api in fleet.listeners.items():
                    assert api.refuses_soon(user.tokens["access_token"]), (name, end.__name__)

    def test_no_new_epoch_is_opened(self, fleet: Fleet) -> None:
        """The log goes on: nobody took the other version's writes for a rolled-back database."""
        root = fleet.administrator(fleet.new)
        events = fleet.new.http.get("/admin/v1/events", params={"type": "epoch.opened"}, headers=root.bearer)
        assert events.json()["items"] == []


def ban(node: Server, root: User, user: User) -> None:
    done(node.http.post(f"/admin/v1/users/{user.id}/ban", headers=root.bearer))


def log_out(node: Server, root: User, user: User) -> None:
    done(node.http.post("/auth/logout", headers=user.bearer))


def change_password(node: Server, root: User, user: User) -> None:
    other = node.login(User(user.id, user.email, user.password))
    body = {"current_password": user.password, "new_password": "eleven-quiet-harbors"}
    done(node.http.post("/auth/password", json=body, headers=other.bearer))


def done(answer: httpx2.Response) -> None:
    assert answer.status_code in (200, 204), answer.text
