"""Where settings stand: the environment, files it names, and ``watchword.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from watchword.errors import ConfigurationError

__all__ = ["FILE", "read_environment", "read_toml"]

FILE: Final = "watchword.toml"
PREFIX: Final = "WATCHWORD_"


def read_environment(environ: Mapping[str, str], names: Collection[str]) -> dict[str, tuple[str, str]]:
    """The settings of *names* that the environment gives, each with the variable it stands in.

    Raises:
        ConfigurationError: a variable of ours names no setting, or a file that cannot be read.
    """
    found: dict[str, tuple[str, str]] = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX)
        if name in names:
            found[name] = (text, variable)
        elif name.removesuffix("_FILE") in names and name.endswith("_FILE"):
            if (
                name.removesuffix("_FILE") not in found
                and f"{PREFIX}{name.removesuffix('_FILE')}" not in environ
            ):
                found[name.removesuffix("_FILE")] = (_read_file(text, variable), variable)
        elif name not in _FOREIGN:
            raise ConfigurationError(f"{variable}: there is no such setting")
    return found


_FOREIGN: Final = frozenset(("MODEL_SEED", "VECTORS", "TEST_DATABASE", "TEST_REDIS", "TOKEN"))
"""Variables of ours that are no settings of the server: tests and the command-line client read them."""


def _read_file(path: str, variable: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as broken:
        raise ConfigurationError(f"{variable}: cannot read the file: {type(broken).__name__}") from None


def read_toml(path: Path, names: Collection[str]) -> dict[str, str]:
    """The settings that a TOML file gives.

    Raises:
        ConfigurationError: it cannot be read, or names something else.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as broken:
        raise ConfigurationError(f"{path.name}: cannot be read: {broken}") from None
    texts = {}
    for name, value in found.items():
        if name.upper() not in names or name != name.lower():
            raise ConfigurationError(f"{path.name}: there is no setting {name}")
        texts[name.upper()] = _toml_text(name, value)
    return texts


def _toml_text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
        return ",".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, str) or (isinstance(value, int) and abs(value) < 2**63):
        return str(value)
    raise ConfigurationError(f"{name}: must be a text, a number, a list or a table of texts (from {FILE})")
