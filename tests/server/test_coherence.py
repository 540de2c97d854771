"""What is accepted acts: alone and beside the other settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.stage import PASSWORD, Shell
from watchword.errors import ConfigurationError
from watchword.server.settings import Settings

SECRET = "a-master-key-of-more-than-32-characters"
MAIL = {"smtp_host": "relay.example.com", "mail_from": "no-reply@example.com"}


def refusal(flags: dict[str, str]) -> str:
    """The one line that stops the start."""
    with pytest.raises(ConfigurationError) as stop:
        Settings.load(flags, {})
    assert "\n" not in stop.value.description
    return stop.value.description


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path)


class TestOrigins:
    @pytest.mark.parametrize(
        ("text", "right"),
        [
            ("https://app.example.com/", "https://app.example.com"),
            ("https://app.example.com/page", "https://app.example.com"),
            ("https://app.example.com?x", "https://app.example.com"),
            ("https://App.example.com", "https://app.example.com"),
            ("HTTPS://app.example.com", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("https://ada@app.example.com", "https://app.example.com"),
            ("https://[2001:db8:0::1]", "https://[2001:db8::1]"),
            ("*", None),
            ("https://*.example.com", None),
            ("null", None),
            ("app.example.com", None),
            ("https://b\u00fccher.example", None),
            ("https://192.0.2.01", None),
            ("ws://app.example.com", None),
            ("https://a.example;https://b.example", None),
            ('["https://app.example.com"]', None),
            ("https://app.example.com)", None),
        ],
    )
    @pytest.mark.parametrize("setting", ["cors_origins", "cookie_origins"])
    def test_f_b30_an_origin_that_no_browser_sends(self, setting: str, text: str, right: str | None) -> None:
        """It would match nobody: refused with its value, and with the right form where that is clear."""
        line = refusal({setting: f"https://good.example.com {text}"})
        assert line.startswith(f"{setting}: {text!a} is not an origin")
        if right is not None:
            assert f": write {right} " in line
            assert Settings.load({setting: right}).values[setting.upper()] == (right,)

    def test_f_b30_plain_http_may_call_and_gets_no_cookies(self) -> None:
        """On this machine both; elsewhere such a page may call, of which the doctor warns."""
        for setting in ("cors_origins", "cookie_origins"):
            assert Settings.load({setting: "http://localhost:5173"}).values[setting.upper()]
        assert Settings.load({"cors_origins": "http://app.example.com"}).web.cors_origins
        assert refusal({"cookie_origins": "http://app.example.com"}).startswith("cookie_origins:")


class TestTogether:
    @pytest.mark.parametrize(
        "flags",
        [
            {"audience": "my api"},
            {"audience": "https://auth.example.com", "issuer": "https://auth.example.com"},
            {"cookie_origins": "https://app.example.com", "cookies": "false"},
            {"cookie_name": "session", "cookies": "false"},
            {"cookie_domain": "example.com", "issuer": "https://auth.example.com", "cookies": "false"},
            {"smtp_user": "ada", "smtp_password": "relay-password"},
            {"metrics_token": SECRET},
            {"smtp_port": "25"},
            {"smtp_security": "tls"},
            {"smtp_security": "starttls", "smtp_port": "465", **MAIL},
            {"api_key_ttl": "0s"},
            {"claims": "who=id,who=email"},
            {"metrics": "127.0.0.1:8080"},
            {"metrics": "localhost:9000", "port": "9000"},
            {"metrics": "0.0.0.0:8080"},
            {"data_dir": "~/watchword"},
            {"data_dir": "watchword "},
            {"database": " sqlite:///watchword.db"},
            {"database": "sqlite:///~/watchword.db"},
        ],
    )
    def test_f_b30_what_could_never_act_is_refused(self, flags: dict[str, str]) -> None:
        """A setting that does nothing is a mistake, and the line names it."""
        assert refusal(flags).partition(":")[0] == next(iter(flags))

    @pytest.mark.parametrize(
        ("text", "right"),
        [
            ("https://relay.example.com", "relay.example.com"),
            ("//relay.example.com/", "relay.example.com"),
            ("relay.example.com:587", None),
            ("[2001:db8::1]", "2001:db8::1"),
            ("ada@relay.example.com", None),
            ("relay example.com", None),
            ("relay.example.com\tx", None),
            ("[", None),
        ],
    )
    def test_f_b30_a_host_is_a_name_or_an_address(self, text: str, right: str | None) -> None:
        """To listen on, and to hand mail to; a URL or a port beside it would be looked up as a name."""
        for name, more in (("host", {"issuer": "https://auth.example.com"}), ("smtp_host", MAIL)):
            line = refusal({**more, name: text})
            assert line.startswith(f"{name}: {text!a} is not a host name or an address")
            assert (f": write {right}" in line) == (right is not None)
            for good in (right or "relay-1.example.com", "b\u00fccher.example", "localhost", "192.0.2.1"):
                assert Settings.load({**more, name: good})

    def test_f_b30_with_a_certificate_the_issuer_is_https(self, tmp_path: Path) -> None:
        """No guard would reach the other one."""
        for name in ("cert", "key"):
            (tmp_path / name).write_text("")
        tls = {"tls_cert": str(tmp_path / "cert"), "tls_key": str(tmp_path / "key")}
        line = refusal({**tls, "issuer": "http://127.0.0.1:8443/identity"})
        assert line.startswith("issuer: ")
        assert "https://127.0.0.1:8443/identity" in line
        assert Settings.load({**tls, "issuer": "https://127.0.0.1:8443/identity"})
        assert Settings.load(tls).issuer == "https://127.0.0.1:8080"

    def test_f_b30_what_only_some_would_heed_is_warned_about(self, shell: Shell) -> None:
        """An origin of another site gets no cookies, and a secret for a feed that is open to all keeps nobody out."""
        flags = {"issuer": "https://auth.example.com", "cookie_origins": "https://app.example.com"}
        assert Settings.load(flags).warnings() == []
        for issuer, origin in (
            ("https://auth.example.com", "https://app.example.org"),
            ("http://127.0.0.1:8080", "http://localhost:5173"),
            ("http://127.0.0.1:8080", "http://127.0.0.2:8080"),
            ("http://auth.localhost:8080", "http://app.localhost:8080"),
        ):
            (warning,) = Settings.load({"issuer": issuer, "cookie_origins": origin}).warnings()
            assert warning.startswith(f"cookie_origins: {origin} ")
            shell.settings |= {"WATCHWORD_ISSUER": issuer, "WATCHWORD_COOKIE_ORIGINS": origin}
            findings = json.loads(shell.run("doctor", "--json").stdout)["findings"]
            (cors,) = [one for one in findings if one["check"] == "cors"]
            assert cors["level"] == "advice"
            assert origin in cors["message"]
        (warning,) = Settings.load({"feed": "full", "feed_secret": SECRET}).warnings()
        assert warning.startswith("feed_secret: ")
        assert Settings.load({"feed": "auto", "feed_secret": SECRET}).warnings() == []

    def test_f_b30_a_page_of_ones_own_may_end_with_a_slash(self) -> None:
        """It is an address to go to, and no issuer."""
        url = "https://app.example.com/reset/"
        assert Settings.load({"password_reset_url": url}).recovery.page == url
        line = refusal({"password_reset_url": "https://app.example.com/?a"})
        assert line.startswith("password_reset_url: ")

    @pytest.mark.parametrize(
        ("email", "password", "name"),
        [("root", PASSWORD, "admin_email"), ("root@example.com", "short", "admin_password")],
    )
    def test_f_b30_an_administrator_who_could_not_be(
        self, shell: Shell, email: str, password: str, name: str
    ) -> None:
        """The start stops, and the line names the setting."""
        shell.settings |= {"WATCHWORD_ADMIN_EMAIL": email, "WATCHWORD_ADMIN_PASSWORD": password}
        line = shell.refused("serve", "--port", "0", code=2)
        assert line.startswith(f"{name}: ")
