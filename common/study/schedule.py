"""Which model is scored when, and on which cases: the study decides, and both sides work it out here alone."""

from __future__ import annotations

from common.study.fine_tuning import FINE_TUNED
from common.study.held_out import scores_at_end_alone
from common.study.study import Study

FINAL_SPLITS = ("validation", "test")
"""Of the last model, after the last round."""


def final_splits(study: Study) -> tuple[str, ...]:
    """What is scored of the last model, and of what hospitals make of it."""
    if study.federation.withhold_test:
        return FINAL_SPLITS[:1]
    return FINAL_SPLITS if study.fine_tuning is None else (*FINAL_SPLITS, FINE_TUNED)


def final_round(study: Study) -> int:
    """The number that the final evaluation goes by: one beyond the last round, or beyond the last vote."""
    return study.rounds + 1 + study.defence.votes


def last_vote(study: Study) -> int:
    """The number that the vote on the last round's model goes by, in which nobody trains."""
    return study.rounds + 1


def votes_in(study: Study, number: int) -> bool:
    """Whether hospitals may be asked in round `number` how they like the model of the round before."""
    return study.defence.votes and 2 <= number <= last_vote(study)


def evaluated_split(study: Study, number: int) -> str | None:
    """The split that the model which round `number` starts from is scored on; None where it is not scored.

    The first round is one of those that score, then every `federation.evaluate_every`-th after it.
    """
    every = study.federation.evaluate_every
    if (
        every == 0
        or scores_at_end_alone(study.split, study.aggregation.name)
        or not 1 <= number <= study.rounds
        or (number - 1) % every
    ):
        return None
    return study.federation.evaluate_split


def evaluated_splits(study: Study, number: int) -> tuple[str, ...]:
    """All splits that may be asked for in round `number`, the final evaluation included."""
    if number == final_round(study):
        return final_splits(study)
    split = evaluated_split(study, number)
    return () if split is None else (split,)
