"""From values to places in a picture, and round numbers for its axis."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

SMALLEST_RANGE = 1e-30


@dataclass(frozen=True)
class Scale:
    """Linear, from [low, high] to [start, end]."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def ticks(low: float, high: float, most: int = 5, whole: bool = False) -> tuple[float, ...]:
    """Round numbers within [low, high], at most `most` + 1, in steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return (low,)
    step = max(_step(low, high, most), 1.0) if whole else _step(low, high, most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(float(f"{k * step:.12g}") for k in range(first, last + 1))


def _step(low: float, high: float, most: int) -> float:
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999999)


def extent(values: Iterable[float]) -> tuple[float, float]:
    """An axis for the values: round limits around them; up to 1, not above, for scores; from 0 if 0 is near."""
    found = list(values)
    if not found:
        return 0.0, 1.0
    low, high = min(found), max(found)
    if 0 <= low <= 0.4 * high:
        low = 0.0
    if high - low <= max(1e-9 * abs(high), SMALLEST_RANGE):
        low, high = low - max(abs(low), 1.0) * 0.1, high + max(abs(high), 1.0) * 0.1
    step = _step(low, high, 5)
    bottom, top = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return bottom, 1.0 if high <= 1 < top else top


def spread(places: list[float], gap: float, low: float, high: float) -> list[float]:
    """Places for labels, at least `gap` apart within [low, high], each as near to its own as that allows."""
    order = sorted(range(len(places)), key=lambda k: places[k])
    gap = min(gap, (high - low) / max(len(places) - 1, 1))
    found = list(places)
    floor = low
    for k in order:
        found[k] = max(found[k], floor)
        floor = found[k] + gap
    ceiling = high
    for k in reversed(order):
        found[k] = min(found[k], ceiling)
        ceiling = found[k] - gap
    return found
