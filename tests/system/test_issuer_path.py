"""An issuer with a path behind nginx, which strips it or keeps it: whole processes, as an operator has them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from tests.guard.stage import until
from tests.mission.stage import free_port, start_server
from tests.system.test_proxies import running
from watchword import Guard, InvalidToken

pytestmark = pytest.mark.slow

TOP = Path(__file__).resolve().parents[2]
NGINX = """
daemon off;
master_process off;
worker_processes 1;
pid nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "another application"; }}
{locations}
    }}
}}
"""


def documented(*, strips: bool, metadata: bool) -> str:
    """The lines of docs/deployment.md, and those that its remarks give for a proxy that strips the path."""
    page = (TOP / "docs/deployment.md").read_text()
    section = page.partition("## An issuer with a path")[2]
    found = re.findall("```nginx\n(.*?)```", section, re.DOTALL)[0]
    kept, _, inserted = found.partition("location = ")
    if strips:
        kept = kept.replace("8080;", "8080/;", 1).replace("8080;", "8080/revocations/stream;", 1)
    return kept + "location = " + inserted if metadata else kept


@pytest.fixture(params=["strips", "keeps"])
def strips(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "strips")


def refused(guard: Guard, token: str) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            guard.verify(token)
        except InvalidToken:
            return True
        return False

    return ask


class TestNginx:
    @pytest.fixture(params=[True, False], ids=["metadata", "no-metadata"])
    def metadata(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param)

    @pytest.fixture
    def issuer(self, tmp_path: Path, strips: bool, metadata: bool) -> Iterator[str]:
        port = free_port()
        issuer = f"http://127.0.0.1:{port}/identity"
        server = start_server(
            tmp_path,
            WATCHWORD_ISSUER=issuer,
            WATCHWORD_TRUSTED_PROXIES="127.0.0.1",
            WATCHWORD_PASSWORD_HASH="test",
        )
        locations = documented(strips=strips, metadata=metadata).replace(
            "8080", server.url.rpartition(":")[2]
        )
        (tmp_path / "nginx.conf").write_text(NGINX.format(port=port, locations=locations))
        command = ["/usr/sbin/nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
        self.server = server
        try:
            with running(command, tmp_path, port):
                yield issuer
        finally:
            server.process.stop()

    def test_f_b27_a_guard_pages_and_the_command_line(self, issuer: str, metadata: bool) -> None:
        """A guard warms and hears a log-out; styles answer; the doctor says which address is kept back."""
        server = self.server
        with closing(Guard(issuer)) as guard, httpx2.Client(base_url=issuer, timeout=10) as http:
            user = server.register()
            login = {"email": user.email, "password": user.password}
            tokens = http.post("/auth/login", json=login).json()
            guard.refresh()
            assert guard.verify(tokens["access_token"]).subject == user.id
            until(lambda: guard.health()["state"] == "live")
            bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
            assert http.post("/auth/logout", headers=bearer).status_code == 204
            until(refused(guard, tokens["access_token"]))
            (style,) = re.findall('rel="stylesheet" href="([^"]*)"', http.get("/docs").text)
            assert "prefers-color-scheme" in httpx2.get(issuer.removesuffix("/identity") + style).text
            assert httpx2.get(issuer, follow_redirects=True).url.path == "/identity/"
            link = server.manage("user", "reset-link", user.email)["link"]
            assert link.startswith(f"{issuer}/reset?token=")
            assert "Choose another password" in httpx2.get(link).text
        found = json.loads(server.cli("doctor", "--online", "--json").stdout)["findings"]
        levels = {one["check"]: one["level"] for one in found}
        assert levels["framing"] == "good"
        assert levels["metadata"] == ("good" if metadata else "advice")


class TestSetup:
    def test_f_b27_the_printed_link_answers(self, tmp_path: Path) -> None:
        """The link that a first start prints lies below the path, and works at the server itself."""
        issuer = "http://127.0.0.1:8080/identity"
        server = start_server(
            tmp_path, WATCHWORD_ISSUER=issuer, WATCHWORD_PASSWORD_HASH="test",
            WATCHWORD_ADMIN_EMAIL="", WATCHWORD_ADMIN_PASSWORD="",
        )  # fmt: skip
        try:
            (link,) = re.findall(r"http://\S+/setup\S+", server.process.log.read_text())
            assert link.startswith(f"{issuer}/setup?token=")
            assert (
                'action="/identity/setup"' in server.http.get(link.removeprefix("http://127.0.0.1:8080")).text
            )
        finally:
            server.process.stop()
