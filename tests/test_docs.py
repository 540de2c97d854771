"""The documentation runs: every snippet, in order, against real servers; every link and code leads somewhere.

A page's fenced ``sh`` and ``python`` blocks are one session in an empty folder. An HTML comment before a block
says what is special about it::

    <!-- file: api.py -->                        the block is that file's text
    <!-- background: http://127.0.0.1:8080/ -->  it goes on running; the page goes on when that address answers
    <!-- expect: text -->                        its output contains this (may stand several times)
    <!-- shown: why -->                          it is not run; shell is still parsed

The port 8080 and those from 8000 to 8009 become free ones.
"""

from __future__ import annotations

import os
import re
import runpy
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from watchword import errors
from watchword.server.settings import ROWS

TOP = Path(__file__).resolve().parent.parent
PAGES = [TOP / "README.md", *sorted(TOP.glob("docs/**/*.md")), *sorted(TOP.glob("examples/*/README.md"))]
TEXTS = [*PAGES, TOP / "SECURITY.md", TOP / "CONTRIBUTING.md"]

FENCE = re.compile(
    r"(?P<comments>(?:^<!--.*?-->\n)*)^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
PORT = re.compile(r"\b80(?:80|0\d)\b")
COMMENT = re.compile(r"<!--\s*(\w+)(?::\s*(.*?))?\s*-->")
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")

PRELUDE = """
set -euo pipefail
answers() {
  python - "$1" <<'PYTHON'
import sys, time, urllib.request
for _ in range(300):
    try:
        sys.exit(urllib.request.urlopen(sys.argv[1], timeout=5).status != 200)
    except OSError:
        time.sleep(0.1)
sys.exit(f"{sys.argv[1]} did not answer")
PYTHON
}
"""


@dataclass(frozen=True)
class Snippet:
    """One fenced block and what its comments say about it."""

    language: str
    code: str
    directives: dict[str, list[str]] = field(default_factory=dict)

    def first(self, name: str) -> str | None:
        return self.directives.get(name, [None])[0]


def snippets(page: Path) -> Iterator[Snippet]:
    """Every fenced block of a page, in order."""
    for match in FENCE.finditer(page.read_text("utf-8")):
        directives: dict[str, list[str]] = {}
        for name, value in COMMENT.findall(match["comments"]):
            directives.setdefault(name, []).append(value)
        yield Snippet(match["language"], match["code"], directives)


def runnable(page: Path) -> list[Snippet]:
    return [s for s in snippets(page) if s.language in {"sh", "python"} and "shown" not in s.directives]


def script(parts: list[Snippet]) -> str:
    """The page as one shell script; block N leaves its output in ``out.N``."""
    lines = [PRELUDE]
    for number, part in enumerate(parts):
        if name := part.first("file"):
            lines.append(f"cat > {shlex.quote(name)} <<'SNIPPET'\n{part.code}SNIPPET")
            continue
        body = part.code if part.language == "sh" else f"python - <<'SNIPPET'\n{part.code}SNIPPET\n"
        lines.append(f"echo {number} > step")
        if address := part.first("background"):
            lines.append(f"{{\n{body}}} > out.{number} 2>&1 &\nanswers {address}")
        else:
            lines.append(f"{{\n{body}}} > out.{number} 2>&1")
    return "\n".join(lines) + "\n"


def page_of(page: Path) -> Any:
    """A page to be run; the two that everybody begins with are run by ``./test``, the others by ``--all``."""
    begin = page in (TOP / "README.md", TOP / "docs/quickstart.md")
    return pytest.param(page, id=name_of(page), marks=() if begin else pytest.mark.slow)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def name_of(page: Path) -> str:
    return str(page.relative_to(TOP))


def play(page: Path, folder: Path, *, own_curl: bool) -> None:
    """Run a page in an empty folder and hold its outputs against what it promises."""
    parts = runnable(page)
    ports = {port: str(free_port()) for port in sorted({"8080", *PORT.findall(script(parts))})}
    text = PORT.sub(lambda found: ports[found[0]], script(parts))
    tools = folder / "bin"
    tools.mkdir()
    if own_curl:
        (tools / "curl").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{TOP}/tests/curl.py" "$@"\n')
        (tools / "curl").chmod(0o755)
    environment = {
        "PATH": os.pathsep.join(
            (str(tools), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))
        ),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join((str(TOP / "src"), str(TOP))),
        "WATCHWORD_PORT": ports["8080"],
        "NO_COLOR": "1",
    }
    process = subprocess.Popen(
        ["bash", "-c", text],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=120)
    finally:
        # The page's servers are in the session of its shell and end with it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    outputs = {
        n: file.read_text("utf-8", "replace") if (file := folder / f"out.{n}").exists() else ""
        for n in range(len(parts))
    }
    story = "\n".join(f"--- {parts[n].code}{text}" for n, text in outputs.items())
    assert process.returncode == 0, f"{story}\n{said.decode()}"
    for number, part in enumerate(parts):
        for expected in part.directives.get("expect", []):
            assert expected in outputs[number], story


class TestSnippets:
    @pytest.mark.parametrize("page", [page_of(p) for p in PAGES if runnable(p)])
    def test_a_page_runs_as_printed(self, page: Path, tmp_path: Path) -> None:
        """Copying a page's snippets into a shell, one after the other, does what the page says."""
        play(page, tmp_path, own_curl=shutil.which("curl") is None)

    @pytest.mark.slow
    def test_the_stand_in_for_curl_says_the_same(self, tmp_path: Path) -> None:
        """On a machine without curl the pages are run with a few lines of Python in its place."""
        play(TOP / "README.md", tmp_path, own_curl=True)

    @pytest.mark.parametrize("page", TEXTS, ids=name_of)
    def test_a_snippet_that_is_only_shown_is_well_formed(self, page: Path) -> None:
        """What cannot be run here can at least be parsed."""
        for part in snippets(page):
            if part.language == "sh":
                subprocess.run(["bash", "-n"], input=part.code.encode(), check=True)
            elif part.language == "python":
                compile(part.code, name_of(page), "exec")


class TestPages:
    @pytest.mark.parametrize("page", TEXTS, ids=name_of)
    def test_every_link_leads_somewhere(self, page: Path) -> None:
        """A relative link names a file of this checkout, and its anchor a heading there."""
        for link in LINK.findall(page.read_text("utf-8")):
            if "://" in link or link.startswith("mailto:"):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), f"{name_of(page)} links to {link}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)
                anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
                assert anchor in anchors, f"{name_of(page)} links to {link}"

    def test_the_readme_is_short(self) -> None:
        """A stranger reads it to the end: a hundred and fifty lines at most."""
        assert len((TOP / "README.md").read_text("utf-8").splitlines()) <= 150

    def test_every_page_can_be_found(self) -> None:
        """Each page of the documentation is linked from its index."""
        index = TOP / "docs" / "index.md"
        linked = {
            (index.parent / link.partition("#")[0]).resolve()
            for link in LINK.findall(index.read_text("utf-8"))
        }
        # Pages that stand outside this folder are in the site by an include, found in its table of contents.
        contents = re.findall(
            r"^```\{toctree\}\n(.*?)^```", index.read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
        linked |= {index.parent / f"{name}.md" for block in contents for name in block.split()}
        assert {page for page in TOP.glob("docs/**/*.md") if page != index} <= linked

    @pytest.mark.slow
    def test_the_site_builds(self, tmp_path: Path) -> None:
        """The pages become a site without a warning: every link, include and reference is whole."""
        command = [
            sys.executable,
            "-m",
            "sphinx",
            "-q",
            "-W",
            "--keep-going",
            str(TOP / "docs"),
            str(tmp_path),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"}
        )
        assert done.returncode == 0, done.stderr
        assert "Watchword" in (tmp_path / "index.html").read_text("utf-8")

    def test_the_picture_needs_nothing_from_elsewhere(self) -> None:
        """The README's picture is drawn by a script from real output and loads no font and no image."""
        draw = runpy.run_path(str(TOP / "docs" / "picture.py"))["draw"]
        for picture in (
            draw("\x1b[1;32mdead\x1b[0m at the API"),
            (TOP / "docs" / "demo.svg").read_text("utf-8"),
        ):
            assert "dead" in picture
            assert "@import" not in picture
            assert "url(http" not in picture


class TestConfiguration:
    def test_the_page_is_made_from_the_settings(self) -> None:
        """docs/configuration.md names each setting with its default, in the words that stand beside its code."""
        script = runpy.run_path(str(TOP / "docs" / "configuration.py"))
        text = script["PAGE"].read_text("utf-8")
        assert text == script["page"](text)
        assert all(f"| `{row.name}` |" in text for row in ROWS)


class TestErrors:
    def test_every_error_has_its_cause_and_its_cure(self) -> None:
        """docs/errors.md tells each code that a caller can meet, with the status it comes with."""
        page = (TOP / "docs" / "errors.md").read_text("utf-8")
        told = dict(re.findall(r"^\| `(\w+)` \| (\d+|–) \|", page, re.MULTILINE))
        # A first-party face answers a spent grant and a wrong scope in HTTP's own terms.
        first_party = {"invalid_grant": "401", "invalid_scope": "422", "invalid_target": "422"}
        known = {
            kind.error: str(kind.status)
            for kind in vars(errors).values()
            if isinstance(kind, type) and issubclass(kind, errors.WatchwordError) and "error" in vars(kind)
        }
        unheard = {"invalid_key": "–", "configuration_error": "–"}
        assert told == known | first_party | unheard
