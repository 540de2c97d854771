"""A plot as SVG, written by hand: shares of samples below each duration, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["distribution"]

_WIDTH: Final = 760
_HEIGHT: Final = 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 150, 40, 46
_COLOURS: Final = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b83280")
_FROM: Final = 0.5
_FONT: Final = "font-family='system-ui, sans-serif'"


def distribution(
    title: str, lines: Mapping[str, Sequence[float]], goals: Mapping[str, float], *, longest: float = 1000.0
) -> str:
    """For each of *lines* which share of its samples, in milliseconds, is below x; *goals* stand as marks.

    The axis ends at *longest*.
    """
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img'>",
        f"<title>{title}</title>",
        f"<rect width='{_WIDTH}' height='{_HEIGHT}' fill='#ffffff'/>",
        _text(_LEFT, 24, title, size=15, anchor="start"),
    ]
    for share in (0, 25, 50, 75, 90, 99, 100):
        y = _y(share / 100)
        parts.append(
            f"<line x1='{_LEFT}' x2='{_WIDTH - _RIGHT}' y1='{y:.1f}' y2='{y:.1f}' stroke='#e2e8f0'/>"
        )
        if share not in (99,):
            parts.append(_text(_LEFT - 8, y + 4, f"{share} %", anchor="end"))
    for tick in (1, 2, 5, 10, 20, 50, 100, 250, 1000, 4000):
        if tick > longest:
            break
        x = _x(tick, longest)
        parts.append(
            f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{_TOP}' y2='{_HEIGHT - _BOTTOM}' stroke='#edf2f7'/>"
        )
        parts.append(_text(x, _HEIGHT - _BOTTOM + 18, f"{tick} ms"))
    for name, limit in goals.items():
        x = _x(limit, longest)
        parts.append(
            f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{_TOP}' y2='{_HEIGHT - _BOTTOM}' stroke='#a0aec0'"
            " stroke-dasharray='4 3'/>"
        )
        parts.append(_text(x, _TOP - 4, f"goal {name}"))
    for number, (name, samples) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(
            f"<path d='{_path(sorted(samples), longest)}' fill='none' stroke='{colour}' stroke-width='2'/>"
        )
        y = _TOP + 14 + 20 * number
        x = _WIDTH - _RIGHT + 14
        parts.append(f"<rect x='{x}' y='{y - 9}' width='12' height='4' fill='{colour}'/>")
        parts.append(_text(x + 18, y, f"{name} ({len(samples)})", anchor="start"))
    parts.append("</svg>\n")
    return "\n".join(parts)


def _path(samples: Sequence[float], longest: float) -> str:
    """A step for each of at most two hundred places, the first and the last among them."""
    count = len(samples)
    places = sorted({round(n * (count - 1) / 199) for n in range(200)}) if count > 1 else [0]
    points = [f"{_x(samples[place], longest):.1f},{_y((place + 1) / count):.1f}" for place in places]
    return f"M{_x(samples[0], longest):.1f},{_y(0):.1f} L" + " L".join(points)


def _x(milliseconds: float, longest: float) -> float:
    held = min(max(milliseconds, _FROM), longest)
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * math.log(held / _FROM) / math.log(longest / _FROM)


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share


def _text(x: float, y: float, text: str, *, size: int = 11, anchor: str = "middle") -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' {_FONT} font-size='{size}' fill='#2d3748' text-anchor='{anchor}'>"
        f"{text}</text>"
    )
