"""Draw the end of ``watchword demo`` as a terminal shows it: ``python docs/picture.py`` writes ``docs/demo.svg``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

PICTURE: Final = Path(__file__).with_name("demo.svg")
COLUMNS: Final = 112
LINES: Final = 40

THEME: Final = TerminalTheme(
    (18, 20, 28),
    (214, 218, 228),
    [(48, 52, 64), (235, 96, 96), (120, 200, 120), (226, 186, 92), (110, 160, 240), (196, 136, 226),
     (96, 196, 204), (214, 218, 228)],
)  # fmt: skip

FRAME: Final = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>watchword demo, in a terminal</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
 font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def play() -> str:
    """What the demo prints on a colour terminal."""
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "watchword", "demo"]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def draw(text: str) -> str:
    """The last lines of *text* as an SVG that needs nothing from elsewhere."""
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        lines = Text.from_ansi(text.rstrip()).split("\n")
        for line in lines[-LINES:]:
            console.print(line, no_wrap=True, overflow="ellipsis", crop=True)
        return console.export_svg(
            title="./run demo", theme=THEME, code_format=FRAME, unique_id="demo", font_aspect_ratio=0.61
        )


if __name__ == "__main__":
    PICTURE.write_text(draw(play()), encoding="utf-8")
    print(PICTURE)
