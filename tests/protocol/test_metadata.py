"""Issuer URLs, and where an issuer's documents are."""

from __future__ import annotations

import pytest

from watchword.errors import ConfigurationError
from watchword.protocol.metadata import check_issuer_url, is_loopback, metadata_urls


class TestIssuerUrl:
    @pytest.mark.parametrize(
        "issuer",
        ["https://auth.example.com", "https://auth.example.com/tenant", "https://auth.example.com:8443",
         "http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000", "http://auth.localhost",
         "http://127.1.2.3"],
    )  # fmt: skip
    def test_an_issuer_is_a_plain_url(self, issuer: str) -> None:
        """It comes back unchanged: tokens compare it byte by byte."""
        assert check_issuer_url(issuer) == issuer

    @pytest.mark.parametrize(
        "issuer",
        ["", "auth.example.com", "ftp://a.example", "https://", "https:///x", "https://a.example/", "https://a.example?x",
         "https://a.example?", "https://a.example#x", "https://a.example#", "https://u@a.example",
         "https://u:p@a.example", "https://@a.example", "http://a.example", "http://127.0.0.1.example.com",
         "http://127.0.0.1x", "http://192.0.2.1", "http://0.0.0.0", "http://localhost.example.com", "http://127.1.1.1.1",
         "https://[::1", "https://a.example:x", "https://a.example:99999", "https://a.example:0", "https://[x]",
         "https://a.exa\nmple", "https://a.example\t", " https://a.example", "https://a example", "https://é.example",
         "javascript:alert(1)", "https://a.example\0"],
    )  # fmt: skip
    def test_anything_else_stops_the_start(self, issuer: str) -> None:
        """No query, fragment, user or slash at its end; plain HTTP on this machine only."""
        with pytest.raises(ConfigurationError) as found:
            check_issuer_url(issuer)
        assert found.value.description.startswith("issuer: ")

    @pytest.mark.parametrize(
        ("issuer", "urls"),
        [
            ("https://a.example", ["https://a.example/.well-known/oauth-authorization-server"]),
            (
                "https://a.example:1/x/y",
                [
                    "https://a.example:1/.well-known/oauth-authorization-server/x/y",
                    "https://a.example:1/x/y/.well-known/oauth-authorization-server",
                ],
            ),
        ],
    )
    def test_f_b27_the_well_known_part_goes_between_host_and_path(self, issuer: str, urls: list[str]) -> None:
        """RFC 8414 3.1; below the issuer's path afterwards, and no second place without one."""
        assert list(metadata_urls(issuer)) == urls


class TestLoopback:
    @pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.255.255.254", "::1"])
    def test_this_machine(self, host: str) -> None:
        """127.0.0.0/8, ::1 and the name that RFC 6761 keeps for it."""
        assert is_loopback(host)

    @pytest.mark.parametrize(
        "host",
        [
            "",
            "localhosts",
            "localhost.example",
            "127.0.0.1.example",
            "127.0.0.256",
            "127",
            "128.0.0.1",
            "::2",
            "0",
        ],
    )
    def test_any_other(self, host: str) -> None:
        """What only resembles it is a name that somebody may own."""
        assert not is_loopback(host)
