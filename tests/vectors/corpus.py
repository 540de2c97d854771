"""Where the third-party vectors are read from; they stay out of this tree, because they are other people's."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["MISSING", "cases", "folder", "load", "names"]

MISSING = (
    "the vector lane was NOT run: no files in WATCHWORD_VECTORS or ../shared/vectors; wycheproof/ is testvectors_v1 "
    "of github.com/C2SP/wycheproof (dac1dd47), rfc/rfc7520/ is github.com/ietf-jose/cookbook, rfc/*.json are the "
    "examples of the RFCs named in tests/vectors, tokens/ is a set of access tokens of the form tests/vectors describes"
)


def folder() -> Path | None:
    """The folder of the vectors, where there is one."""
    named = os.environ.get("WATCHWORD_VECTORS")
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "vectors"
    found = Path(named) if named else beside
    return found if found.is_dir() else None


def load(path: str) -> Any:
    """The JSON of one file."""
    found = folder()
    assert found is not None, MISSING
    return json.loads((found / path).read_text("utf-8"))


def names(pattern: str) -> list[str]:
    """The files that match, as paths ``load`` takes."""
    found = folder()
    assert found is not None, MISSING
    return sorted(str(path.relative_to(found)) for path in found.glob(pattern))


def cases(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every test of a Wycheproof file with the group it stands in."""
    document = load(f"wycheproof/{name}_test.json")
    return [(group, test) for group in document["testGroups"] for test in group["tests"]]
