"""What a strategy has beyond its role, as far as a study asks before a server is there. Absent means not possible.

`server.strategy.StrategyAbilities` says what the members are.
"""

from __future__ import annotations

from typing import Any


def learning_rate_of(strategy: object) -> float | None:
    """Of the server's step, which a schedule can change; None where the strategy has none."""
    rate: Any = getattr(strategy, "learning_rate", None)
    return None if rate is None else float(rate)


def averages_companion(strategy: object) -> bool:
    """Whether its step is right for parameters that no gradient moves."""
    return bool(getattr(strategy, "averages_companion", False))
