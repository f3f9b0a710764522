"""Which rounds a server may say were taken back: what a hospital kept of these is left aside."""

from __future__ import annotations

from common.errors import WireError
from common.study.study import Study

ROUNDS_A_TIME = 2
"""A round's model is judged in the next one, whose updates are of a model that is gone."""


def demand_possible(study: Study, number: int, taken_back: tuple[int, ...]) -> tuple[int, ...]:
    """These rounds, asked for in round `number`. Raises WireError where the study cannot have led to them."""
    if taken_back and not study.defence.is_on:
        raise WireError("rounds were said to be taken back in a study without a [defence].")
    most = ROUNDS_A_TIME * study.defence.most_taken_back
    if len(taken_back) > most:
        raise WireError(f"{len(taken_back)} rounds were said to be taken back; the study bears {most}.")
    if list(taken_back) != sorted({one for one in taken_back if 0 < one < number}):
        raise WireError(f"rounds that were taken back before round {number} must be in order, each once.")
    return taken_back
