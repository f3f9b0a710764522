"""What noise does to counts and shares: how far a count may be off, and intervals of shares that allow for it."""

from __future__ import annotations

from math import sqrt

from common.asking.exact_sums import Total

LEVEL = 0.95
NORMAL = 1.959963984540054
"""Of `LEVEL`."""


def margin_of(total: Total, name: str, added: int = 1) -> float:
    """How far a count, or a sum of so many, may be off at 95 %; 0 where it is exact."""
    return total.noise_margin(name) * sqrt(added)


def words_of_noise(margin: float) -> tuple[str, ...]:
    """A sentence for readers of counts; none where they are exact."""
    if not margin:
        return ()
    return (f"Noise was added: each count is within {margin:,.0f} of the truth with a chance of 95 %.",)


IN_INTERVALS = "The interval of 95 % allows for the noise that was added."
"""Of an analysis whose answer has intervals."""


def numbers_of_noise(margin: float) -> dict[str, float]:
    """`noise_margin`, for programs; nothing where counts are exact."""
    return {"noise_margin": margin} if margin else {}


def spread_of(total: Total, name: str) -> float:
    """The variance of normal noise that is as wide at 95 %; geometric noise is wider than its variance says."""
    return (total.noise_margin(name) / NORMAL) ** 2


def noisy_wilson(count: float, n: float, levels: int, spread: float) -> tuple[float, float]:
    """An interval of a share from noisy counts: sampling as Wilson (1927) has it, and noise as Fieller (1954) does.

    A share p is inside unless count - p n is farther from 0 than its deviation allows, whose square is n p (1 - p) +
    spread ((1 - p)^2 + (levels - 1) p^2): n is the sum of all levels' noisy counts. Without noise it is Wilson's.
    """
    square = NORMAL**2
    a = n * n - square * (spread * levels - n)
    b = -2 * count * n - square * (n - 2 * spread)
    c = count * count - square * spread
    inside = b * b - 4 * a * c
    if n <= 0 or a <= 0 or inside < 0:
        return 0.0, 1.0
    return max(0.0, (-b - sqrt(inside)) / (2 * a)), min(1.0, (-b + sqrt(inside)) / (2 * a))
