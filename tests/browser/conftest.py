"""A real browser, as Debian ships it; and pages of hosts that only it knows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

ALONE = (
    "--no-sandbox",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
    # A page of loopback may ask loopback: the walls under test are the server's, not the newest of one browser.
    "--disable-features=LocalNetworkAccessChecks",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
"""It resolves every name ``….test`` to this machine, and talks to nobody else."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests; it is found as ``.ci/packages`` brings it."""
    path = shutil.which("chromium")
    assert path is not None, "these tests need Debian's chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ALONE))
        yield browser
        browser.close()


@pytest.fixture
def person(chromium: Browser) -> Iterator[BrowserContext]:
    """Somebody at a browser that remembers nothing of the test before."""
    with chromium.new_context(ignore_https_errors=True) as context:
        yield context
