"""How results are said: shares, chances and intervals as people write them."""

from __future__ import annotations


def chance(p_value: float) -> str:
    """p = 0.031; p < 0.001."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def short(value: float) -> str:
    """Four digits."""
    return f"{value:.4g}"


def between(low: float | None, high: float | None) -> str:
    """95 % 1.2 to 3.4; empty where there is none."""
    return "" if low is None or high is None else f" (95 % {short(low)} to {short(high)})"


def rows(count: int) -> str:
    """1 row, 2 rows."""
    return f"{count} row{'s' * (count != 1)}"


def left_out(count: int) -> tuple[str, ...]:
    """A sentence, where there is something to say."""
    return () if count == 0 else (f"{rows(count)} left out, in which something that is needed is missing.",)
