"""What a survey will tell, and what it costs a person, before anybody is asked: by how often persons are asked."""

from __future__ import annotations

from dataclasses import dataclass, replace

from common.errors import StudyError
from common.surveys.intervals import share_of
from common.surveys.randomisers import Randomiser

MOST_INTERVIEWS = 100


@dataclass(frozen=True)
class Forecast:
    """After so many interviews. epsilon, width: of answers drawn anew each time; kept ones stay as after the first.

    width: of the 95 % interval of a share. divided: its width where each interview has its part of one epsilon.
    """

    interviews: int
    epsilon: float
    width: float
    divided: float


def forecast(randomiser: Randomiser, persons: int, share: float, interviews: int) -> tuple[Forecast, ...]:
    """share: of persons who have the answer. Raises StudyError for what cannot be."""
    if not 1 <= interviews <= MOST_INTERVIEWS:
        raise StudyError(f"interviews must be 1 to {MOST_INTERVIEWS}; they are {interviews}.")
    if persons < 1 or not 0 <= share <= 1:
        raise StudyError(f"a share of {share!r} of {persons} persons is none.")
    return tuple(
        Forecast(
            number,
            number * randomiser.epsilon,
            _width(randomiser, persons * number, share),
            _width(replace(randomiser, epsilon=randomiser.epsilon / number), persons * number, share),
        )
        for number in range(1, interviews + 1)
    )


def _width(randomiser: Randomiser, persons: int, share: float) -> float:
    """Of the interval where just as many answers say so as are expected to; persons asked again count again."""
    true, false = randomiser.if_true, randomiser.if_false
    said = round(persons * (share * true + (1 - share) * false))
    found = share_of(said, persons, true, false)
    return found.high - found.low
