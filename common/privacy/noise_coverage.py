"""Whether a mechanism's noise is enough to count on, whatever else a study would then leave out.

Where noise covers what the difference of two sums tells, sums of any hospitals are opened. Noise can be promised that
covers nothing, by a noise_multiplier of a billionth or an epsilon of a billion; such a study is one without noise.
"""

from __future__ import annotations

from math import isfinite, log, sqrt

from common.privacy.abilities import fixed_noise, promised_epsilon
from common.privacy.mechanism import Mechanism

MOST_COVERING = 100.0
"""Epsilon, of all rounds where the study promises one, else of one sum that a unit is surely in: chances that differ
by a factor of e ** 100 differ by any factor."""


def epsilon_at_least(mechanism: Mechanism) -> float | None:
    """The epsilon that is promised, or where noise is fixed, that of one noisy sum, by zero-concentrated privacy.

    rho = 1 / (2 z^2) and epsilon = rho + 2 sqrt(rho ln(1 / delta)): Bun and Steinke 2016, proposition 1.3. None for a
    mechanism that declares neither.
    """
    promised, multiplier = promised_epsilon(mechanism), fixed_noise(mechanism)
    if promised is not None:
        return promised
    if multiplier is None:
        return None
    inverse = 1 / multiplier
    rho = inverse * inverse / 2
    epsilon = rho + 2 * sqrt(rho * log(1 / mechanism.delta)) if 0 < mechanism.delta < 1 else float("inf")
    return epsilon if isfinite(epsilon) else float("inf")


def covers(mechanism: Mechanism) -> bool:
    """Whether its noise is known to hide anything to count on; of one that says no number it is not."""
    least = epsilon_at_least(mechanism)
    return least is not None and least <= MOST_COVERING


def hides_cases(mechanism: Mechanism | None) -> bool:
    """Whether no case can be told from what leaves a hospital: noise that a server adds comes too late for that."""
    return mechanism is not None and mechanism.place != "server" and covers(mechanism)


def in_words(mechanism: Mechanism) -> str:
    """What is promised in numbers, a sentence; of fixed noise what it comes to depends on hospitals' numbers."""
    promised, least = promised_epsilon(mechanism), epsilon_at_least(mechanism)
    delta = f"delta = {mechanism.delta:g}"
    if promised is not None:
        said = f"Epsilon is {promised:g} at {delta}, for all rounds together."
    elif least is not None:
        said = (
            f"Noise is fixed (noise_multiplier = {fixed_noise(mechanism):g}), and no epsilon "
            f"is: one sum that a unit is surely in costs {least:.3g} at {delta}, and `wardround privacy plan` says "
            "what all rounds cost."
        )
    else:
        return (
            f"The mechanism says neither an epsilon nor a noise_multiplier, at {delta}: sums are opened as if there "
            "were no noise, and `wardround privacy plan` says what all rounds cost."
        )
    return said if covers(mechanism) else f"{said} That bounds nothing: count on no noise here."
