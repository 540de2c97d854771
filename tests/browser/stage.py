"""Pages of anybody's, and what a script in one of them gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page

CALL = """async ([url, method, body, fields]) => {
  try {
    const answer = await fetch(url, {method, credentials: "include", headers: fields, body});
    return [answer.status, await answer.text()];
  } catch (refused) { return [0, String(refused)]; }
}"""
SHOOT = """([url, method, body]) =>
  fetch(url, {method, credentials: "include", mode: "no-cors", body}).then(() => null, () => null)"""


def page_at(person: BrowserContext, origin: str, html: str = "<title>a page</title>") -> Page:
    """A page of that origin, without a server: whatever it asks is asked for real, by its true name."""
    page = person.new_page()
    page.route(f"{origin}/a-page", lambda route: route.fulfill(content_type="text/html", body=html))
    page.goto(f"{origin}/a-page")
    return page


def call(page: Page, method: str, url: str, body: Any = None, **fields: str) -> tuple[int, Any]:
    """Status and body of what a script of the page asks; (0, why) where its browser does not hand them over."""
    if body is not None:
        fields["Content-Type"] = "application/json"
    status, text = page.evaluate(CALL, [url, method, None if body is None else json.dumps(body), fields])
    return status, json.loads(text) if status and text else text


def shoot(page: Page, method: str, url: str, body: str) -> None:
    """Send what any page may send anywhere, with the visitor's cookies and without seeing what comes of it."""
    page.evaluate(SHOOT, [url, method, body])


def arrived(log: Path, path: str) -> list[int]:
    """The statuses with which requests for *path* were answered, by the server's own log."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line["status"] for line in lines if line.get("route") == path]
