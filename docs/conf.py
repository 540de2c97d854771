"""How the pages become a site: ``python -m sphinx -W docs docs/_build``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import watchword

project = "Watchword"
author = "The Watchword contributors"
project_copyright = f"2026, {author}"
version = release = watchword.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
root_doc = "index"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
nitpicky = False

html_theme = "furo"
html_title = "Watchword"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}

TOP = Path(__file__).resolve().parent.parent
OUTSIDE = {
    "../README.md": "index.md",
    "../SECURITY.md": "security.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../examples/payroll/README.md": "payroll.md",
    "../examples/forum/README.md": "forum.md",
    "../examples/seeds/README.md": "seeds.md",
}
"""Pages that stand where people look for them in a checkout -> where the site has them."""


def relink(app: Any, docname: str, source: list[str]) -> None:
    """Let links to pages outside this folder lead to their place in the site."""
    for path, page in OUTSIDE.items():
        for prefix in ("", "../"):
            source[0] = source[0].replace(f"]({prefix}{path}", f"]({prefix}{page}")


def relink_included(app: Any, relative_path: Path, parent: str, content: list[str]) -> None:
    """The same for an included page, whose own links start from another folder."""
    content[0] = content[0].replace("](docs/", "](").replace("](../../docs/", "](")
    content[0] = (
        content[0].replace("](../../SECURITY.md", "](security.md").replace("](SECURITY.md", "](security.md")
    )
    # The site has no source files.
    content[0] = re.sub(r"\[([^\]]+)\]\(\w+\.(?:py|json)\)", r"\1", content[0])


def setup(app: Any) -> None:
    """Hang both in."""
    app.connect("source-read", relink)
    app.connect("include-read", relink_included)
