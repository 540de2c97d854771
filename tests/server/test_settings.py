"""Settings: where a value comes from, and what stops the start."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from watchword.errors import ConfigurationError
from watchword.server.settings import ROWS, Settings

SECRET = "a-master-key-of-more-than-32-characters"


def refusal(flags: dict[str, str] | None = None, **environ: str) -> str:
    """The one line that stops the start."""
    with pytest.raises(ConfigurationError) as stop:
        Settings.load(flags, environ)
    assert "\n" not in stop.value.description
    return stop.value.description


class TestSources:
    def test_without_anything_the_defaults_stand(self) -> None:
        """The defaults are the contract's."""
        settings = Settings.load()
        assert settings.issuer == "http://127.0.0.1:8080"
        assert (settings.host, settings.port) == ("127.0.0.1", 8080)
        assert settings.database_path == Path("watchword-data/watchword.db")
        assert settings.secret is None
        access, sessions = settings.access_tokens, settings.sessions
        assert (access.audience, access.lifetime) == ("api", timedelta(minutes=10))
        assert (sessions.lifetime, sessions.idle) == (timedelta(days=180), timedelta(days=30))
        assert (sessions.grace, sessions.maximum_per_user) == (timedelta(seconds=10), 20)
        assert settings.keys.algorithm == "ES256"
        assert settings.passwords.minimum_length == 8
        assert (settings.limits.attempts_per_account, settings.limits.attempts_per_address) == (10, 100)
        assert settings.registration.open
        assert (settings.web.cors_origins, settings.web.trusted_proxies) == ((), ())
        assert settings.warnings() == []

    def test_a_flag_wins_over_the_environment_that_over_a_file_that_over_toml(self, tmp_path: Path) -> None:
        """Each place yields to the one before it, and ``shown`` names the one that won."""
        (tmp_path / "watchword.toml").write_text('audience = "toml"\nport = 1\n')
        (tmp_path / "audience").write_text("file\n")
        file = {"WATCHWORD_AUDIENCE_FILE": str(tmp_path / "audience")}

        def audience(flags: dict[str, str | None], environ: dict[str, str]) -> tuple[str, str]:
            settings = Settings.load(flags, environ, tmp_path)
            return settings.access_tokens.audience, settings.sources["AUDIENCE"]

        assert audience({}, {}) == ("toml", "watchword.toml")
        assert audience({}, file) == ("file", "WATCHWORD_AUDIENCE_FILE")
        assert audience({}, {"WATCHWORD_AUDIENCE": "environment", **file}) == (
            "environment",
            "WATCHWORD_AUDIENCE",
        )
        assert audience({"audience": "flag"}, {"WATCHWORD_AUDIENCE": "environment"}) == ("flag", "--audience")
        assert audience({"audience": None}, {}) == ("toml", "watchword.toml")

    def test_a_file_s_last_line_break_is_not_the_value_s(self, tmp_path: Path) -> None:
        """Editors end a file with a line break; a master key must not change with them."""
        for text in (SECRET, SECRET + "\n", SECRET + "\r\n"):
            (tmp_path / "secret").write_bytes(text.encode())
            settings = Settings.load({}, {"WATCHWORD_SECRET_FILE": str(tmp_path / "secret")})
            assert settings.secret == SECRET

    def test_toml_speaks_its_own_types(self, tmp_path: Path) -> None:
        """Numbers, booleans, lists and tables of the file become what the same text would."""
        (tmp_path / "watchword.toml").write_text(
            'port = 9000\nlog_requests = false\ncors_origins = ["https://a.example", "https://b.example"]\n'
            'claims = { userId = "id" }\n'
        )
        settings = Settings.load({}, {}, tmp_path)
        assert settings.port == 9000
        assert settings.values["LOG_REQUESTS"] is False
        assert settings.web.cors_origins == ("https://a.example", "https://b.example")
        assert dict(settings.access_tokens.claims) == {"userId": "id"}

    @pytest.mark.parametrize(
        ("text", "span"),
        [("90s", 90), ("10m", 600), ("8h", 28_800), ("1d", 86_400)],
    )
    def test_spans_have_a_unit(self, text: str, span: int) -> None:
        """``90s 10m 8h 180d``, and nothing without a unit."""
        settings = Settings.load({"access_token_ttl": text})
        assert settings.access_tokens.lifetime == timedelta(seconds=span)

    def test_an_address_of_six_is_bracketed_in_the_issuer(self) -> None:
        """``::1`` becomes a URL that parses."""
        assert Settings.load({"host": "::1"}).issuer == "http://[::1]:8080"

    def test_a_life_over_an_hour_warns(self) -> None:
        """Eight hours are allowed and said to be long."""
        (warning,) = Settings.load({"access_token_ttl": "8h"}).warnings()
        assert warning.startswith("access_token_ttl:")

    def test_a_server_that_would_answer_nobody_warns(self) -> None:
        """Beyond this machine it takes a certificate or a proxy with a name."""
        there = {"host": "0.0.0.0", "issuer": "https://auth.example.com"}
        (warning,) = Settings.load(there).warnings()
        assert warning.startswith("trusted_proxies:")
        assert Settings.load({**there, "trusted_proxies": "10.0.0.1"}).warnings() == []
        assert Settings.load({"issuer": "https://auth.example.com"}).warnings() == []

    def test_cookies_are_the_issuer_s_host_s(self) -> None:
        """They are on, under a name of ours, and no other origin's page may act by them."""
        cookies = Settings.load({"issuer": "https://example.com/login"}).cookies
        assert cookies is not None
        assert (cookies.name, cookies.domain, cookies.same_site) == ("watchword", None, "Lax")
        assert cookies.allowed == {"https://example.com"}
        named = Settings.load({"cookie_origins": "https://a.example, http://localhost:5173"}).cookies
        assert named is not None
        assert named.origins == {"https://a.example", "http://localhost:5173"}
        assert Settings.load({"cookies": "false"}).cookies is None


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("port", "eighty"),
            ("port", "65536"),
            ("port", "-1"),
            ("port", "8080 "),
            ("workers", "0"),
            ("workers", "65"),
            ("access_token_ttl", "10"),
            ("access_token_ttl", "10 m"),
            ("access_token_ttl", "1.5h"),
            ("access_token_ttl", "25h"),
            ("access_token_ttl", "0s"),
            ("refresh_token_ttl", "1s"),
            ("session_idle_ttl", "99999d"),
            ("max_sessions_per_user", "0"),
            ("registration", "Open"),
            ("password_min_length", "4"),
            ("signing_algorithm", "none"),
            ("signing_algorithm", "HS256"),
            ("claims", "sub=id"),
            ("claims", "userId=password"),
            ("claims", "userId"),
            ("trusted_proxies", "proxy.example"),
            ("log_format", "xml"),
            ("log_requests", "yes"),
            ("audience", " "),
            ("database", "postgresql://db"),
            ("database", "postgresql://db:65536/watchword"),
            ("database", "postgresql://w@[db/watchword"),
            ("redis", "http://:geheim@cache.internal"),
            ("redis", "valkey://:geheim@cache.internal:port"),
            ("redis", "valkey://:geheim@[cache"),
            ("redis", "redis://:geheim@cache.internal/first"),
            ("redis", "unix://"),
            ("database", "mysql://db/watchword"),
            ("database", "sqlite://host/path"),
            ("issuer", "https://auth.example/"),
            ("issuer", "https://auth.example/?q"),
            ("issuer", "http://auth.example"),
            ("issuer", "https://user@auth.example"),
            ("issuer", "auth.example"),
            ("secret", "short"),
            ("secret", "a" * 64),
            ("secret", ""),
            ("smtp_host", "smtp.example.com"),
            ("smtp_port", "0"),
            ("smtp_user", "watchword"),
            ("smtp_password", "relay-password"),
            ("smtp_security", "ssl"),
            ("mail_from", "no-reply@example.com"),
            ("mail_from", "nobody"),
            ("mail_from", "(" * 3000),
            ("mail_from", "a@example.com, b@example.com"),
            ("mail_from", "a@example.com\r\nBcc: b@example.com"),
            ("password_reset_ttl", "59s"),
            ("password_reset_ttl", "61m"),
            ("password_reset_url", "http://app.example.com/new"),
            ("password_reset_url", "https://app.example.com/new?token=1"),
            ("password_reset_url", "javascript:alert(1)"),
            ("admin_email", "root@example.com"),
            ("admin_password", "thirteen-green-anchors"),
            ("tls_cert", "/nowhere/cert.pem"),
            ("cookies", "on"),
            ("cookie_name", ""),
            ("cookie_name", "two words"),
            ("cookie_name", "__Host-watchword"),
            ("cookie_name", "watchword=x"),
            ("cookie_same_site", "None"),
            ("cookie_domain", "localhost"),
            ("cookie_origins", "*"),
            ("cookie_origins", "null"),
            ("cookie_origins", "app.example.com"),
            ("cookie_origins", "http://app.example.com"),
            ("cookie_origins", "https://app.example.com/"),
            ("cookie_origins", "https://app.example.com/page"),
            ("cookie_origins", "https://app.example.com:443"),
            ("cookie_origins", "https://App.example.com"),
        ],
    )
    def test_an_ill_typed_or_unsafe_value_stops_the_start(self, name: str, text: str) -> None:
        """One line, which begins with the setting's name or says it."""
        line = refusal({name: text})
        partners = {
            "refresh_token_ttl": "access_token_ttl",
            "admin_password": "admin_email",
            "smtp_host": "mail_from",
            "smtp_password": "smtp_user",
        }
        spoken = partners.get(name, name)
        assert line.startswith(f"{spoken}:"), line

    def test_mail_beyond_this_machine_is_encrypted(self) -> None:
        """A relay elsewhere takes TLS; one on loopback may do without."""
        mail = {"smtp_host": "smtp.example.com", "mail_from": "Example <a@example.com>"}
        assert refusal({**mail, "smtp_security": "none"}).startswith("smtp_security:")
        for security in ("starttls", "tls"):
            assert Settings.load({**mail, "smtp_security": security}).mail.security == security
        near = Settings.load({**mail, "smtp_host": "127.0.0.1", "smtp_security": "none"}).mail
        assert (near.security, near.sender) == ("none", "Example <a@example.com>")

    @pytest.mark.parametrize(
        ("issuer", "domain"),
        [
            ("https://auth.example.com", "other.example"),
            ("https://auth.example.com", "xample.com"),
            ("https://auth.example.com", ".example.com"),
            ("https://auth.example.com", "com"),
            ("https://auth.example.com", "sub.auth.example.com"),
            ("https://192.0.2.1", "0.2.1"),
            ("https://[2001:db8::1]", "db8::1"),
            ("http://auth.localhost", "auth.localhost"),
        ],
    )
    def test_a_cookie_s_domain_is_one_of_the_issuer_s(self, issuer: str, domain: str) -> None:
        """Browsers would drop any other without a word."""
        assert refusal({"issuer": issuer, "cookie_domain": domain}).startswith("cookie_domain:")
        settings = Settings.load({"issuer": "https://auth.example.com", "cookie_domain": "example.com"})
        assert settings.cookies is not None
        assert settings.cookies.domain == "example.com"

    def test_an_unknown_name_stops_the_start_wherever_it_stands(self, tmp_path: Path) -> None:
        """A typing error in a security setting must not mean its default."""
        assert "acces_token_ttl" in refusal({"acces_token_ttl": "5m"})
        assert "WATCHWORD_ACCES_TOKEN_TTL" in refusal(WATCHWORD_ACCES_TOKEN_TTL="5m")
        assert "WATCHWORD_ISSUERS_FILE" in refusal(WATCHWORD_ISSUERS_FILE="/etc/issuer")
        for line in ('acces_token_ttl = "5m"', 'AUDIENCE = "api"', "[section]\nport = 1"):
            (tmp_path / "watchword.toml").write_text(line + "\n")
            with pytest.raises(ConfigurationError, match=r"watchword\.toml"):
                Settings.load({}, {}, tmp_path)

    def test_a_file_that_is_no_toml_stops_the_start(self, tmp_path: Path) -> None:
        """A broken file is not an empty one."""
        numbers = (f"port = {base}{'9' * 5000}" for base in ("", "0x"))
        for line in ("port = = 1", f"audience = {'[' * 3000}", *numbers):
            (tmp_path / "watchword.toml").write_text(line + "\n")
            with pytest.raises(ConfigurationError, match=r"watchword\.toml"):
                Settings.load({}, {}, tmp_path)

    def test_a_secret_file_that_is_not_there_stops_the_start(self, tmp_path: Path) -> None:
        """The line names the variable, not the path's content."""
        assert "WATCHWORD_SECRET_FILE" in refusal(WATCHWORD_SECRET_FILE=str(tmp_path / "absent"))

    def test_variables_of_others_are_not_ours(self) -> None:
        """Only the prefix claims a variable."""
        assert Settings.load({}, {"PORT": "x", "WATCHWORDS": "y", "PATH": "/bin"}).port == 8080

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "auth.example"])
    def test_a_host_beyond_loopback_needs_an_issuer(self, host: str) -> None:
        """Otherwise every token would carry an address nobody can check."""
        assert refusal({"host": host}).startswith("issuer:")
        settings = Settings.load({"host": host, "issuer": "https://auth.example"})
        assert settings.issuer == "https://auth.example"


class TestSecrecy:
    def test_secrets_are_shown_nowhere(self) -> None:
        """Neither ``repr`` nor the printed configuration holds them."""
        environ = {
            "WATCHWORD_SECRET": SECRET,
            "WATCHWORD_ADMIN_EMAIL": "root@example.com",
            "WATCHWORD_ADMIN_PASSWORD": "thirteen-green-anchors",
        }
        settings = Settings.load({}, environ)
        for text in (repr(settings), str(settings), str(settings.shown())):
            assert SECRET not in text
            assert "thirteen-green-anchors" not in text
        shown = {name: value for name, value, _ in settings.shown()}
        assert shown["SECRET"] == shown["ADMIN_PASSWORD"] == "(hidden)"
        assert shown["ADMIN_EMAIL"] == "root@example.com"

    def test_a_refused_secret_is_not_repeated(self) -> None:
        """The line that stops the start does not quote what it refuses."""
        assert "hunter2" not in refusal({"secret": "hunter2"})
        assert "hunter2" not in refusal({"admin_password": "hunter2"})

    @pytest.mark.parametrize(
        "password", ["hunt/er2", "12/er2", "x@y/er2", "x@er2", "er2#", "er2?x", "[er2", "[er2]", "er2\u2100"]
    )
    def test_a_password_that_is_not_encoded_is_not_repeated(self, password: str) -> None:
        """A database's URL that its password broke is refused in words that hold nothing of it."""
        line = refusal({"database": f"postgresql://w:{password}@db/watchword"})
        assert line.startswith("database: must ")
        assert "er2" not in line

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://w:p%2Fw@db/watchword",
            "postgres://w:p%40w@a.internal,b.internal:5433/watchword?target_session_attrs=primary",
            "postgresql://w@[2001:db8::1]:5432/watchword",
            "postgresql:///watchword?host=/run/postgresql",
        ],
    )
    def test_a_database_is_named_by_a_url(self, url: str) -> None:
        """Hosts, addresses, a socket; it is handed on as it is."""
        assert Settings.load({"database": url, "secret": SECRET}).database_path == url

    def test_every_row_is_shown_with_its_source(self) -> None:
        """``--print-config`` leaves nothing out."""
        assert [name for name, _, _ in Settings.load().shown()] == [row.name for row in ROWS]
        assert all(row.help for row in ROWS)
