"""Real proxies that share their connections among clients: no answer reaches somebody else."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.mission.stage import PASSWORD, Server, User, free_port, start_server
from watchword.cli.front import ask_front

pytestmark = pytest.mark.slow

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
    upstream watchword {{ server 127.0.0.1:{server}; keepalive 1; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://watchword;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header X-Forwarded-For $remote_addr:$remote_port;
            proxy_request_buffering {buffering};
        }}
    }}
}}
"""
CADDY = """
{{
    admin off
    auto_https off
}}
http://:{port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{server}
}}
"""
WAITING = """
{{
    admin off
    auto_https off
}}
http://:{port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{server} {{
        transport http {{
            expect_continue_timeout 10s
            max_conns_per_host 1
        }}
    }}
}}
"""
"""Caddy with one connection to us, on which it sends a body when 100 has come, and goes on without when it hasn't."""
OFFERS = (
    b"Connection: Upgrade\r\nUpgrade: foo\r\n",
    b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    b"Connection: upgrade\r\n",
    b"",
)


@contextmanager
def running(command: list[str], folder: Path, port: int) -> Iterator[str]:
    """A proxy, once it listens, and its URL."""
    with (folder / "proxy.log").open("wb") as log:
        home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        child = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env={**os.environ, **home})
        try:
            deadline = time.monotonic() + 20
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert child.poll() is None, (folder / "proxy.log").read_text()
                    assert time.monotonic() < deadline, (folder / "proxy.log").read_text()
                    time.sleep(0.02)
            yield f"http://127.0.0.1:{port}"
        finally:
            child.terminate()
            child.wait(timeout=20)


@contextmanager
def proxy(kind: str, folder: Path, server: Server) -> Iterator[str]:
    """nginx with the lines that WebSockets need, with and without buffers, or Caddy as it comes."""
    port = free_port()
    names = {"port": port, "server": server.url.rpartition(":")[2]}
    if kind.startswith("caddy"):
        (folder / "Caddyfile").write_text((CADDY if kind == "caddy" else WAITING).format(**names))
        command = ["caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
    else:
        buffering = "off" if kind == "nginx-unbuffered" else "on"
        (folder / "nginx.conf").write_text(NGINX.format(**names, buffering=buffering))
        command = ["/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with running(command, folder, port) as url:
        yield url


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    started = start_server(
        tmp_path, WATCHWORD_TRUSTED_PROXIES="127.0.0.1", WATCHWORD_PASSWORD_HASH="test", WATCHWORD_WORKERS="1"
    )
    try:
        yield started
    finally:
        started.process.stop()


def attack(url: str, head: bytes, body: bytes = b"", *, chunked: bool | None = None) -> bytes:
    """Send a request in two packets; what came back within a moment. *chunked*: write how long the body is."""
    host, _, port = url.removeprefix("http://").partition(":")
    if chunked:
        head += b"Transfer-Encoding: chunked\r\n\r\n"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    elif chunked is not None:
        head += b"Content-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.sendall(head)
        time.sleep(0.02)
        line.sendall(body)
        return line.recv(65_536)


class TestSharedConnections:
    @pytest.mark.parametrize("kind", ["nginx", "nginx-unbuffered", "caddy"])
    def test_f_s1_no_answer_reaches_another_client(self, server: Server, tmp_path: Path, kind: str) -> None:
        """Two people log in through the proxy; between them somebody sends bodies that look like requests."""
        ada, bob, mallory = server.register(), server.register(), server.newcomer()
        with proxy(kind, tmp_path, server) as url, httpx2.Client(base_url=url, timeout=10) as http:

            def visit(user: User) -> None:
                answer = http.post("/auth/login", json={"email": user.email, "password": PASSWORD})
                assert answer.status_code == 200, answer.text
                bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
                assert http.get("/auth/me", headers=bearer).json()["email"] == user.email

            token = mallory.tokens["access_token"].encode()
            hidden = b"GET /auth/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n\r\n" % token
            visit(ada)
            for offer in OFFERS:
                for body in (hidden, b" " * 4096 + hidden * 3):
                    for chunked in (False, True):
                        head = (
                            b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                            + offer
                        )
                        answer = attack(url, head, body, chunked=chunked)
                        assert answer.startswith(b"HTTP/1.1 400"), (offer, answer)
                        assert mallory.email.encode() not in answer
                        visit(ada)
                        visit(bob)

    @pytest.mark.parametrize("kind", ["nginx", "caddy"])
    def test_f_s1_an_offer_in_front_of_a_proxy_is_a_normal_request(
        self, server: Server, tmp_path: Path, kind: str
    ) -> None:
        """A client that offers h2c or a WebSocket logs in."""
        ada = server.register()
        body = b'{"email":"%b","password":"%b"}' % (ada.email.encode(), PASSWORD.encode())
        with proxy(kind, tmp_path, server) as url:
            assert ask_front(url).statuses == [405, 200], "what the doctor asks"
            for offer in OFFERS:
                head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + offer
                assert attack(url, head, body, chunked=False).startswith(b"HTTP/1.1 200"), offer

    def test_f_s1_a_body_that_was_held_back_is_not_the_next_request(
        self, server: Server, tmp_path: Path
    ) -> None:
        """A proxy that waits for 100 may use the connection again after another answer, without sending the body."""
        ada = server.register()
        with proxy("caddy-waiting", tmp_path, server) as url, httpx2.Client(base_url=url, timeout=5) as http:
            for target in (b"POST /nothing", b"PUT /auth/login", b"PATCH /auth/me"):
                for length in (200, 5_000_000):
                    head = b"%b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" % target
                    attack(url, head + b"Content-Length: %d\r\n\r\n" % length)
                    answer = http.post("/auth/login", json={"email": ada.email, "password": PASSWORD})
                    assert answer.status_code == 200, (target, length, answer.text)
