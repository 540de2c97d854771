"""Mission rows S17, S74, S75: what a lesson leaves out and a server on the internet needs."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.certificates import certificate
from tests.mission.stage import PASSWORD, Process, Server, User, environment, free_port, start_server
from watchword import Guard
from watchword.errors import ConfigurationError, InvalidToken
from watchword.jose import jws
from watchword.jose.encoding import decode_base64url
from watchword.jose.jwk import Key
from watchword.protocol import access_token
from watchword.server.routes import ROUTES

ROOT_SECRET = "a-root-secret-that-server-and-payroll-share"


def public_texts(server: Server) -> dict[str, str]:
    """What every open address says, and every own and administrative one to an administrator."""
    root = server.administrator(audience=server.url)
    found = {}
    for route in ROUTES:
        if route.method == "GET" and "stream" not in route.path and "{" not in route.path:
            answer = server.http.get(route.path, headers=root.bearer)
            found[route.path] = f"{answer.text}{answer.headers}"
    return found


class TestSharedSecret:
    def test_s17_no_secret_leaves_the_server(self, tmp_path: Path) -> None:
        """Not even where an API and the server share one: no address serves it, nor a key made from it."""
        server = start_server(tmp_path / "server", WATCHWORD_API_SECRETS=f"api={ROOT_SECRET}")
        try:
            texts = public_texts(server)
            assert len(texts) > 15
            for path, text in texts.items():
                assert ROOT_SECRET not in text, path
                assert '"oct"' not in text, path
            assert '"k"' not in texts["/.well-known/jwks.json"]
            master = (server.data_dir / "secret").read_text().strip()
            assert all(master not in text for text in texts.values())
        finally:
            server.http.close()
            server.process.stop()

    def test_s17_a_secret_of_a_client_is_refused_with_a_reason(self, server: Server, user: User) -> None:
        """The inspector says why; a guard takes HS256 from nobody but a server it shares a root secret with."""
        secret = Key.from_secret(b"known to the app and to the server and so to all")
        claims = {**payload(user), "roles": ["admin"]}
        token = jws.sign(json.dumps(claims).encode(), secret, typ=access_token.TYP)
        said = server.cli("token", "inspect", "-", "--json", given=token)
        assert said.returncode == 1
        reasons = {finding["code"]: finding["message"] for finding in json.loads(said.stdout)["findings"]}
        assert "whoever can check this token can also make one" in reasons["shared_secret"]
        guard = Guard(server.url)
        try:
            assert guard.verify(user.tokens["access_token"]).subject == user.id
            with pytest.raises(InvalidToken):
                guard.verify(token)
        finally:
            guard.close()
        answer = server.http.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401

    def test_s17_a_key_that_others_have_is_no_secret(self, server: Server) -> None:
        """A short one, and the published key as text, are refused when the guard is made."""
        key = json.dumps(server.jwks()["keys"][0])
        for secret in ("short", key):
            with pytest.raises(ConfigurationError):
                Guard(server.url, secrets=secret)


def payload(user: User) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(decode_base64url(user.tokens["access_token"].split(".")[1]))
    return found


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[Process]:
    """``serve`` with a certificate of its own."""
    cert_file, key_file = certificate(tmp_path)
    port = free_port()
    arguments = ["-m", "watchword", "serve", "--port", str(port)]
    arguments += ["--tls-cert", str(cert_file), "--tls-key", str(key_file)]
    env = environment(WATCHWORD_DATA_DIR=str(tmp_path / "data"), WATCHWORD_PASSWORD_HASH="test")
    trust = ssl.create_default_context(cafile=str(cert_file))
    process = Process(arguments, env, tmp_path, f"https://127.0.0.1:{port}", trust)
    process.start("/readyz")
    yield process
    assert process.stop() == 0, process.log.read_text()


class TestHttps:
    def test_s74_serve_speaks_tls_itself(self, tls: Process) -> None:
        """With two options: an https issuer, HSTS on every answer, TLS 1.2 at least, and no plain HTTP on that port."""
        with httpx2.Client(base_url=tls.url, verify=tls.trust) as http:
            metadata = http.get("/.well-known/oauth-authorization-server")
            assert metadata.json()["issuer"] == tls.url
            body = {"email": "ada@example.com", "password": PASSWORD}
            for answer in (
                metadata,
                http.post("/auth/register", json=body),
                http.get("/auth/me"),
                http.get("/x"),
            ):
                assert (
                    int(answer.headers["strict-transport-security"].split("=")[1].split(";")[0]) >= 31_536_000
                )
            assert http.post("/auth/login", json=body).status_code == 200
        with pytest.raises(httpx2.TransportError):
            httpx2.get(tls.url.replace("https", "http") + "/healthz")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(httpx2.TransportError):
            httpx2.get(tls.url + "/healthz", verify=old)

    def test_s74_plain_http_stays_on_this_machine(self, tmp_path: Path) -> None:
        """A proxy that is trusted may come without TLS, and is believed when it says that its client did."""
        server = start_server(
            tmp_path / "server",
            WATCHWORD_HOST="0.0.0.0",
            WATCHWORD_ISSUER="https://auth.example.com",
            WATCHWORD_TRUSTED_PROXIES="127.0.0.1",
        )
        try:
            body = {"email": "nobody@example.com", "password": "wrong"}
            for said, status in (
                ({}, 401),
                ({"X-Forwarded-Proto": "https"}, 401),
                ({"X-Forwarded-Proto": "http"}, 403),
            ):
                answer = server.http.post("/auth/login", json=body, headers=said)
                assert answer.status_code == status, answer.text
                assert "strict-transport-security" in answer.headers
        finally:
            server.http.close()
            server.process.stop()

    @pytest.mark.parametrize(
        "arguments",
        ["--host 0.0.0.0", "--issuer http://auth.example.com", "--host 0.0.0.0 --issuer http://192.0.2.1"],
    )
    def test_s74_an_issuer_beyond_this_machine_is_https(self, tmp_path: Path, arguments: str) -> None:
        """The start is refused with one line that says so."""
        env = environment(WATCHWORD_DATA_DIR=str(tmp_path / "data"))
        server = Server(Process([], env, tmp_path, ""), httpx2.Client())
        said = server.cli("serve", *arguments.split())
        assert said.returncode == 2
        assert said.stderr.startswith("watchword: issuer: ")
        assert said.stderr.count("\n") == 1
        server.http.close()


class TestBeyondTokens:
    def test_s75_guessing_gets_slower_and_locks_nobody_out(self, server: Server) -> None:
        """Ten failures, then longer and longer waits; the owner comes in from another address."""
        user = server.register()
        answers = [server.post_login(email=user.email, password=f"guess {n}") for n in range(12)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 6
        assert server.post_login(email=user.email, password=PASSWORD).status_code == 429
        transport = httpx2.HTTPTransport(local_address="127.0.0.2")
        with httpx2.Client(base_url=server.url, transport=transport) as elsewhere:
            body = {"email": user.email, "password": PASSWORD}
            assert elsewhere.post("/auth/login", json=body).status_code == 200

    def test_s75_every_page_and_answer_is_hardened(self, server: Server) -> None:
        """No script, no frame, no guessed type, no cookie, nothing stored, no word about what runs here."""
        for path in ("/", "/docs", "/setup", "/auth/me", "/healthz", "/openapi.json", "/nowhere"):
            answer = server.http.get(path)
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'")
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["x-frame-options"] == "DENY"
            assert not {"server", "x-powered-by", "set-cookie"} & set(answer.headers)
            assert "<script" not in answer.text

    def test_s75_no_page_of_another_site_may_call(self, server: Server) -> None:
        """Not with the user's browser: no origin is let in unless the settings name it."""
        headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        for method in ("OPTIONS", "POST"):
            answer = server.http.request(method, "/auth/login", headers=headers)
            assert "access-control-allow-origin" not in answer.headers

    def test_s75_the_checklist_is_kept(self) -> None:
        """Every test that SECURITY.md names beside a requirement exists."""
        top = Path(__file__).resolve().parents[2]
        named = set(re.findall(r"`(test_\w+)`", (top / "SECURITY.md").read_text("utf-8")))
        there = {
            name
            for file in (top / "tests").rglob("test_*.py")
            for name in re.findall(r"def (test_\w+)", file.read_text("utf-8"))
        }
        assert len(named) > 40
        assert named <= there
