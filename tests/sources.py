"""Our own sources as trees, each parsed once."""

from __future__ import annotations

import ast
import gc
from functools import cache
from pathlib import Path

__all__ = ["tree_of"]


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of the module at *path*."""
    # Until 3.12, a tree that is built while garbage is collected may fail for what other threads do (gh-106905).
    collects = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(path.read_text("utf-8"))
    finally:
        if collects:
            gc.enable()
