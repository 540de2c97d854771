"""The cookie's name and its one reading, and what proves whose page asks."""

from __future__ import annotations

import pytest

from watchword.errors import CrossSite, InvalidRequest
from watchword.protocol.cookie import check_site, cookie_name, cookie_values, only, origin_of

APP = "https://app.example.com"


class TestCookieName:
    @pytest.mark.parametrize(
        ("name", "https", "shared", "wire"),
        [
            ("watchword", True, False, "__Host-watchword"),
            ("watchword", True, True, "__Secure-watchword"),
            ("watchword", False, False, "watchword"),
            ("watchword", False, True, "watchword"),
            ("__Secure-watchword", True, False, "__Secure-watchword"),
            ("__Host-watchword", True, True, "__Host-watchword"),
        ],
    )
    def test_req_s02_https_puts_a_prefix_before_it(
        self, name: str, https: bool, shared: bool, wire: str
    ) -> None:
        """A browser takes such a name only from whom it says (RFC 6265bis 4.1.3)."""
        assert cookie_name(name, https=https, shared=shared) == wire


class TestCookieValues:
    @pytest.mark.parametrize(
        ("fields", "value"),
        [
            ([], None),
            ([""], None),
            (["a=1"], "1"),
            (["b=2; a=1; c=3"], "1"),
            (["b=2;a=1"], "1"),
            (["b=2", "a=1"], "1"),
            (["a="], ""),
            (["a=x=y=="], "x=y=="),
            ([' a="1" '], '"1"'),
            (["A=1; aa=1; xa=1; a"], None),
            (["b=a=1"], None),
        ],
    )
    def test_one_name_has_one_value(self, fields: list[str], value: str | None) -> None:
        """As it stands there, without a quote taken off or a sign decoded."""
        assert only("the cookie", cookie_values(fields, "a")) == value

    @pytest.mark.parametrize("fields", [["a=1; a=1"], ["a=1;b=2; a="], ["a=1", "a=2"]])
    def test_attack_a23_twice_is_a_bad_request(self, fields: list[str]) -> None:
        """Even the same value: who sends it twice hopes for two readers."""
        with pytest.raises(InvalidRequest):
            only("the cookie", cookie_values(fields, "a"))


class TestCheckSite:
    @pytest.mark.parametrize(
        ("site", "origin", "proof"),
        [
            ("same-origin", None, None),
            ("none", None, None),
            ("same-origin", "null", None),
            ("same-site", APP, None),
            (None, APP, None),
            (None, None, "1"),
            (None, None, ""),
        ],
    )
    def test_a_browser_s_word_an_origin_or_a_field(
        self, site: str | None, origin: str | None, proof: str | None
    ) -> None:
        """Any one of the three proves it."""
        check_site(site=site, origin=origin, proof=proof, allowed={APP})

    @pytest.mark.parametrize(
        ("site", "origin", "proof"),
        [
            (None, None, None),
            ("same-site", None, "1"),
            ("cross-site", None, "1"),
            ("elsewhere", None, "1"),
            ("cross-site", "null", "1"),
            (None, "null", "1"),
            (None, "https://evil.example", "1"),
            (None, "https://app.example.com.evil.example", None),
            (None, "http://app.example.com", None),
            (None, "", "1"),
        ],
    )
    def test_req_s06_another_site_s_page_is_refused(
        self, site: str | None, origin: str | None, proof: str | None
    ) -> None:
        """A word against it is not outweighed by a field."""
        with pytest.raises(CrossSite):
            check_site(site=site, origin=origin, proof=proof, allowed={APP})


class TestOrigin:
    @pytest.mark.parametrize(
        ("url", "origin"),
        [
            ("https://example.com", "https://example.com"),
            ("https://example.com/login", "https://example.com"),
            ("https://Example.com:443/x", "https://example.com"),
            ("https://example.com:8443", "https://example.com:8443"),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ],
    )
    def test_it_is_written_as_browsers_write_it(self, url: str, origin: str) -> None:
        """Lower case, without the usual port (RFC 6454 6.2)."""
        assert origin_of(url) == origin
