"""Checks of options that several strategies share."""

from __future__ import annotations

from common.errors import StudyError


def decay(**rates: float) -> None:
    """Raise StudyError unless every decay rate lies in [0, 1): at 1 nothing new would ever be learned."""
    for name, rate in rates.items():
        if not 0 <= rate < 1:
            raise StudyError(f"strategy.{name} must be at least 0 and below 1; it is {rate!r}.")
