"""The server's own pages in a browser: without JavaScript, by keyboard alone, and nothing in them that is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Page

from tests.mission.stage import PASSWORD, Process, environment, free_port

pytestmark = pytest.mark.browser


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """A server that nobody administers yet."""
    port = free_port()
    env = environment(WATCHWORD_DATA_DIR=str(tmp_path / "data"), WATCHWORD_PASSWORD_HASH="test")
    process = Process(
        ["-m", "watchword", "serve", "--port", str(port)], env, tmp_path, f"http://127.0.0.1:{port}"
    )
    process.start("/readyz")
    yield process
    assert process.stop() == 0


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A window of somebody who lets no script run; what his browser complains of fails the test."""
    complaints: list[str] = []
    with chromium.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        yield page
    assert complaints == []


class TestSetUp:
    def test_an_administrator_is_made_by_keyboard(self, process: Process, page: Page) -> None:
        """The link of the first start: each field is reached by Tab, Enter sends the form, and the link is spent."""
        (link,) = [word for word in process.log.read_text().split() if "/setup?token=" in word]
        page.goto(link)
        page.focus("a.skip")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        for text in ("root@example.com", "Root", PASSWORD):
            page.keyboard.type(text)
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{process.url}/setup")
        assert "root@example.com" in page.inner_text("main")
        assert httpx2.get(link).status_code == 404


class TestDocuments:
    @pytest.mark.parametrize("path", ["/", "/docs"])
    def test_a_page_needs_nothing_from_elsewhere(self, process: Process, page: Page, path: str) -> None:
        """Its style comes along, it has a title and one heading, it fits a telephone, and all of it is the server's."""
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.set_viewport_size({"width": 360, "height": 740})
        page.goto(process.url + path)
        assert page.locator("h1").count() == 1
        assert "Watchword" in page.title()
        assert all(url.startswith(process.url) for url in asked)
        assert any(url.endswith("watchword.css") for url in asked)
        main = page.locator("main").bounding_box()
        assert main is not None
        assert main["x"] + main["width"] <= 360
