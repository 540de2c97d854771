"""A closed feed over HTTP: guards that show the secret, and one that does not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.mission.stage import start_server
from watchword import Guard
from watchword.errors import ConfigurationError, TemporarilyUnavailable

SECRET = "the-secret-that-guards-show-0123456789"


class TestClosedFeed:
    def test_who_shows_the_secret_hears_all_and_who_does_not_judges_nothing(self, tmp_path: Path) -> None:
        """Snapshot, stream and question alike; without it no token is taken, for nothing is known."""
        server = start_server(tmp_path, WATCHWORD_FEED="closed", WATCHWORD_FEED_SECRET=SECRET)
        trusted, stranger = Guard(server.url, feed_secret=SECRET), Guard(server.url)
        try:
            trusted.refresh()
            user = server.newcomer()
            token = user.tokens["access_token"]
            server.manage("user", "role", "add", user.email, "admin")
            deadline = time.monotonic() + 10
            while not trusted.verify(token).is_admin:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            trusted.confirm()
            with pytest.raises(TemporarilyUnavailable, match="401"):
                stranger.refresh()
            with pytest.raises(TemporarilyUnavailable):
                stranger.verify(token)
            assert SECRET not in str(stranger.health()) + repr(trusted)
        finally:
            trusted.close()
            stranger.close()
            server.http.close()
            server.process.stop()
        assert SECRET not in server.process.log.read_text()

    def test_a_secret_no_header_may_carry_is_refused(self) -> None:
        """At the guard, before anything is sent."""
        with pytest.raises(ConfigurationError, match="feed_secret"):
            Guard("https://auth.example.com", feed_secret="two\r\nlines")
