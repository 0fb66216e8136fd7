"""Small line charts as SVG text: several named series over a common x axis. PURE."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

Points = Sequence[tuple[float, float]]
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#0a7ea4", "#bf3989", "#57606a")
_WIDTH, _HEIGHT = 560, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 26, 34


def cdf(values: Sequence[float]) -> list[tuple[float, float]]:
    """(value, share of values that are not greater), for a line chart."""
    ordered = sorted(values)
    return [(value, (rank + 1) / len(ordered)) for rank, value in enumerate(ordered)]


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that cover [low, high]."""
    least = max(high - low, 1e-9) / about
    size = 10.0 ** math.floor(math.log10(least))
    step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= least * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [step * n for n in range(first, last + 1)]


def line_chart(
    title: str,
    series: Mapping[str, Points],
    *,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    marks: Sequence[float] = (),
) -> str:
    """One chart; ``marks`` are dashed vertical lines. Points outside a given range are drawn at its edge."""
    points = [point for line in series.values() for point in line]
    x_low, x_high = x_range or _range([x for x, _ in points])
    y_low, y_high = y_range or _range([0.0, *(y for _, y in points)])

    def place(x: float, y: float) -> str:
        across = (min(max(x, x_low), x_high) - x_low) / max(1e-9, x_high - x_low)
        up = (min(max(y, y_low), y_high) - y_low) / max(1e-9, y_high - y_low)
        return f"{_LEFT + across * (_WIDTH - _LEFT - _RIGHT):.1f},{_HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM):.1f}"

    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">',
        f'<text x="{_LEFT}" y="15" class="t">{escape(title)}</text>',
    ]
    for y in ticks(y_low, y_high):
        left, right = place(x_low, y), place(x_high, y)
        parts.append(f'<polyline class="g" points="{left} {right}"/>')
        parts.append(f'<text class="a" text-anchor="end" x="{_LEFT - 5}" y="{float(left.split(",")[1]) + 4:.1f}">{y:g}</text>')
    for x in ticks(x_low, x_high, 8):
        parts.append(f'<text class="a" text-anchor="middle" x="{place(x, y_low).split(",")[0]}" y="{_HEIGHT - _BOTTOM + 14}">{x:g}</text>')
    parts += [f'<polyline class="m" points="{place(x, y_low)} {place(x, y_high)}"/>' for x in marks if x_low <= x <= x_high]
    for (name, line), colour in zip(series.items(), (COLOURS[n % len(COLOURS)] for n in range(len(series))), strict=True):
        path = " ".join(place(x, y) for x, y in thinned(line))
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{path}"><title>{escape(name)}</title></polyline>')
    legend_x = _LEFT + 7.8 * len(title) + 16
    for number, name in enumerate(series):
        parts.append(f'<text class="a" x="{legend_x:.0f}" y="15" style="fill:{COLOURS[number % len(COLOURS)]}">● {escape(name)}</text>')
        legend_x += 7 * len(name) + 22
    parts.append(f'<text class="a" text-anchor="end" x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}">{escape(x_label)}</text>')
    parts.append(f'<text class="a" x="4" y="{_HEIGHT - 6}">{escape(y_label)}</text></svg>')
    return "".join(parts)


def thinned(line: Points, most: int = 700) -> list[tuple[float, float]]:
    """At most ``most`` points; each stretch keeps its highest, so that peaks stay."""
    if len(line) <= most:
        return list(line)
    edges = [round(n * len(line) / most) for n in range(most + 1)]
    return [max(line[begin:end], key=lambda point: point[1]) for begin, end in pairwise(edges) if end > begin]


def _range(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    return low, high if high > low else low + 1.0
