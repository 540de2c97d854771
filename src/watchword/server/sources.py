"""Where settings stand: the environment, files it names, and ``watchword.toml``. All are read in one way."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NamedTuple

from watchword.errors import ConfigurationError

__all__ = ["FILE", "Found", "read_environment", "read_flags", "read_toml"]

FILE: Final = "watchword.toml"
PREFIX: Final = "WATCHWORD_"
_MARK: Final = "\ufeff"
"""A byte order mark, as Windows writes it before a text."""
_NEVER_EMPTY: Final = "SECRET"
"""An empty one would mean another key, and with it nothing that was sealed before."""


class Found(NamedTuple):
    """The text of a setting, where it stands, and how earlier versions read it, if differently."""

    text: str
    source: str
    before: str | None = None


def read_flags(flags: Mapping[str, str | None], names: Collection[str]) -> Iterator[tuple[str, Found]]:
    """The settings that the command line gives, by name; ``None`` values were not given.

    Raises:
        ConfigurationError: one is unknown or empty.
    """
    for flag, text in flags.items():
        if text is None:
            continue
        name, source = flag.upper(), f"--{flag.replace('_', '-')}"
        if name not in names:
            raise ConfigurationError(f"{flag}: there is no such setting{_meant(name, names)}")
        if not _clean(str(text)):
            raise ConfigurationError(f"{flag}: is empty; leave {source} out for the default")
        yield name, Found(_clean(str(text)), source)


def read_environment(environ: Mapping[str, str], names: Collection[str]) -> Iterator[tuple[str, Found]]:
    """The settings of *names* that the environment gives; an empty variable is one that isn't set.

    Raises:
        ConfigurationError: a variable of ours names no setting, or a file that cannot be read.
    """
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or _is_of_platform(variable, text):
            continue
        name = variable.removeprefix(PREFIX)
        if name in names:
            if found := _found(name, text, variable, text):
                yield name, found
        elif (of_file := name.removesuffix("_FILE")) in names and of_file != name:
            _check_given(of_file, text, variable)
            if text and not environ.get(f"{PREFIX}{of_file}"):
                content = _read_file(Path(text), variable)
                if found := _found(of_file, content, variable, content.rstrip("\r\n")):
                    yield of_file, found
        elif name not in _FOREIGN:
            meant = _meant(name, [*names, *(f"{one}_FILE" for one in names)], PREFIX)
            raise ConfigurationError(f"{variable}: there is no such setting{meant}")


_FOREIGN: Final = frozenset(("MODEL_SEED", "VECTORS", "TEST_DATABASE", "TEST_REDIS", "TOKEN"))
"""Variables of ours that are no settings of the server: tests and the command-line client read them."""

_ADDRESS: Final = r"[0-9A-Za-z.:\[\]-]+"
_OF_PLATFORM: Final = tuple(
    (re.compile(PREFIX + name), re.compile(value))
    for name, value in (
        (r"([A-Z0-9_]+_)?SERVICE_HOST", _ADDRESS),
        (r"([A-Z0-9_]+_)?SERVICE_PORT(_[A-Z0-9_]+)?", r"\d{1,5}"),
        (r"([A-Z0-9_]+_)?PORT(_\d{1,5}_(TCP|UDP|SCTP))?", rf"(tcp|udp|sctp)://{_ADDRESS}:\d{{1,5}}"),
        (r"([A-Z0-9_]+_)?PORT_\d{1,5}_(TCP|UDP|SCTP)_PROTO", r"tcp|udp|sctp"),
        (r"([A-Z0-9_]+_)?PORT_\d{1,5}_(TCP|UDP|SCTP)_PORT", r"\d{1,5}"),
        (r"([A-Z0-9_]+_)?PORT_\d{1,5}_(TCP|UDP|SCTP)_ADDR", _ADDRESS),
        (
            r"([A-Z0-9_]+_)?PORT_\d{1,5}_(TCP|UDP|SCTP)_(PORT_)?(START|END)",
            rf"\d{{1,5}}|(tcp|udp|sctp)://{_ADDRESS}:\d{{1,5}}",
        ),
        (r"([A-Z0-9_]+_)?NAME", r"/[^/\s]+/[^/\s]+"),
        (r"([A-Z0-9_]+_)?ENV_[A-Za-z0-9_]+", r"[\s\S]*"),
    )
)
"""What Kubernetes, and a linked container of Docker, write for a service named ``watchword…``, name and value."""


def _is_of_platform(variable: str, text: str) -> bool:
    return any(name.fullmatch(variable) and value.fullmatch(text) for name, value in _OF_PLATFORM)


def _found(name: str, text: str, source: str, before: str) -> Found | None:
    clean = _clean(text)
    _check_given(name, clean, source)
    return Found(clean, source, before if before != clean else None) if clean else None


def _check_given(name: str, text: str, source: str) -> None:
    if name == _NEVER_EMPTY and not text:
        raise ConfigurationError(f"secret: is empty (from {source}); unset it, or give the master key")


def _clean(text: str) -> str:
    """The text as it was meant: without a mark before it and the line ends behind it."""
    return text.removeprefix(_MARK).rstrip("\r\n")


def _meant(name: str, names: Collection[str], prefix: str = "") -> str:
    close = get_close_matches(name.upper(), list(names), 1, 0.75)
    if not close:
        return ""
    return f"; did you mean {prefix}{close[0] if prefix else close[0].lower()}?"


def _read_file(path: Path, variable: str) -> str:
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{variable}: cannot read the file: it is not UTF-8") from None
    except (OSError, ValueError) as broken:
        raise ConfigurationError(f"{variable}: cannot read the file: {type(broken).__name__}") from None


def read_toml(path: Path, names: Collection[str], lists: Collection[str] = ()) -> Iterator[tuple[str, Found]]:
    """The settings that a TOML file gives; an empty text is one that isn't set. *lists* may be arrays or tables.

    Raises:
        ConfigurationError: it cannot be read, or names something else.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as broken:
        raise ConfigurationError(f"{path.name}: cannot be read: {broken}") from None
    for name, value in found.items():
        if name.upper() not in names or name != name.lower():
            raise ConfigurationError(f"{path.name}: there is no setting {name}{_meant(name, names)}")
        text = _toml_text(name, value, many=name.upper() in lists)
        if setting := _found(name.upper(), text, FILE, text):
            yield name.upper(), setting


def _toml_text(name: str, value: Any, *, many: bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and (many or len(value) == 1) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    if many and isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
        return ",".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, str) or (isinstance(value, int) and abs(value) < 2**63):
        return str(value)
    several = ", a list or a table of texts" if many else " and no more than one"
    raise ConfigurationError(f"{name}: must be a text or a number{several} (from {FILE})")
