"""A guard's health in the text form of Prometheus, for the page that an API exports anyway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["exposition"]

_STATES: Final = ("offline", "cold", "live", "late", "stale")
_FAMILIES: Final = (
    ("staleness_seconds", "gauge", "age", "Seconds since the issuer was last heard"),
    ("clock_difference_seconds", "gauge", "clock", "Seconds this machine's clock is ahead of the issuer's"),
    ("epoch", "gauge", "epoch", "Epoch of the revocation log"),
    ("sequence", "gauge", "sequence", "Last entry of the revocation log that is known"),
    ("entries", "gauge", "entries", "Entries in the table of what is dead"),
    ("cached_tokens", "gauge", "cached", "Verified tokens that are remembered"),
    ("alarms_total", "counter", "alarms", "Messages that an honest issuer and network do not send"),
)


def exposition(health: Mapping[str, Any], **labels: str) -> str:
    """*health* as lines, each sample under *labels*; what is not known has none."""
    return "".join(f"{line}\n" for line in _lines(health, labels))


def _lines(health: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[str]:
    yield "# HELP watchword_guard_state 1 for the state the guard is in"
    yield "# TYPE watchword_guard_state gauge"
    for state in _STATES:
        yield f"watchword_guard_state{_braces({**labels, 'state': state})} {int(health['state'] == state)}"
    for name, kind, member, told in _FAMILIES:
        if health[member] is not None:
            yield f"# HELP watchword_guard_{name} {told}"
            yield f"# TYPE watchword_guard_{name} {kind}"
            yield f"watchword_guard_{name}{_braces(labels)} {health[member]}"


def _braces(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
