"""Values beyond the range of a sum: the round is repeated with a wider range for all, where that tells nothing new.

Sums of whole numbers cut values to +-largest_value, and count the share of those they cut. A few far ones do no harm;
where there are more, the mean is no mean any more, and whoever can choose what is cut reads what is not. Then the
round is asked for again: the same order, the same hospitals, and the range wider by the next factor of a short list
that hospitals agree to. A repeat costs time alone. The factor that was enough is kept for the rounds after it, and
never falls. A hospital more of whose own values would be cut sends nothing at all, where no noise covers what the cut
would tell: values that are all known to be cut hide nobody else's.

Under a privacy mechanism the share is looked at only where it is worked out from noised values: under `dpsgd`, whose
updates are noised before anything cuts them, and which sends the same update again for the same order. A hospital
that lies about its share makes rounds repeat until the list ends; what is lost is time, and bits of precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common.sums.aggregations._agreement import RANGE_FACTORS
from common.sums.aggregations._fixed_point import CLIPPED, MOST_CLIPPED
from common.sums.exchange import Collected
from server.strategy import State

RANGE_FACTOR = "sum/range_factor"


@dataclass(frozen=True)
class Ranged:
    """factor: of the sum in `collected`. clipped: its share of values beyond; None where none is told."""

    collected: Collected
    factor: int
    clipped: float | None
    repeats: int


def collect_in_range(
    collect: Callable[[int], Collected], factor: int, may_look: bool, was_refused: Callable[[], bool]
) -> Ranged:
    """The round with the first factor of the list, from `factor` on, that clips few values, or with the last.

    may_look: whether the share of clipped values may be used at all. was_refused: whether a hospital refused in the
    last try, its own share being too large. A repeat that fails otherwise, as where another hospital is lost in it,
    leaves the sum there was.
    """
    collected, repeats = collect(factor), 0
    while True:
        share = clipped_share(collected) if may_look else None
        wider = next((one for one in RANGE_FACTORS if one > factor), None)
        is_narrow = was_refused() if collected.total is None else share is not None and share > MOST_CLIPPED
        if not is_narrow or wider is None:
            return Ranged(collected, factor, share, repeats)
        again = collect(wider)
        if again.total is None and collected.total is not None:
            return Ranged(collected, factor, share, repeats)
        collected, factor, repeats = again, wider, repeats + 1


def cut_words(number: int, share: float, aggregation: str) -> str:
    """What follows where a round's sum was taken though a few of its values were beyond the range."""
    told = f"{share:.1%}" if share >= 0.001 else "fewer than 0.1%"
    return (
        f"in round {number} {told} of the values were larger than the range of the sum and were cut to it, so single "
        "parameters moved less than hospitals asked for, and the model is not that of aggregation 'plain'. Other "
        f"rounds may be so too ('range' in rounds.jsonl). Give aggregation {aggregation!r} a larger largest_value, "
        "or training a smaller learning rate"
    )


def clipped_share(collected: Collected) -> float | None:
    """What the hospitals' counts come to."""
    mean = None if collected.total is None else collected.total.statistics.get(CLIPPED)
    return mean.value if mean is not None and mean.weight_units else None


def factor_of(state: State) -> int:
    """The factor kept from the rounds before."""
    return int(state[RANGE_FACTOR][0]) if RANGE_FACTOR in state else RANGE_FACTORS[0]


def kept_factor(factor: int) -> State:
    """For the next rounds' state; nothing where it is the study's own range."""
    return {} if factor == RANGE_FACTORS[0] else {RANGE_FACTOR: np.array([float(factor)])}
