"""`[stopping]` of a study: when a run ends early, and which of its models is kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from common.errors import StudyError
from common.study.checks import non_negative, positive

LOWER_IS_BETTER = ("loss", "hd", "assd", "masd", "mae", "rmse", "brier", "missed", "tre")
"""How scores begin of which less is better, where a study does not say it."""


@dataclass(frozen=True)
class Stopping:
    """Stop once a score has not improved for a while. It is the pooled one of all hospitals that are evaluated in a
    round (`federation.evaluate_every`, `evaluate_split`), a sum that the server opens anyway: nothing more leaves.

    Attributes:
        patience: evaluations in a row without an improvement after which the run ends.
        minimum_improvement: less than this is none.
        score: its name, as in the report; not given: the task's headline.
        better: whether "higher" or "lower" is; not given: lower for losses, errors and distances, else higher.
        keep: which model is the run's, "best" or "last". The best is of those that were evaluated between rounds,
            and so never that of the last round.
    """

    patience: int = 5
    minimum_improvement: float = 0.0
    score: str = ""
    better: Literal["higher", "lower"] | None = None
    keep: Literal["best", "last"] = "best"

    def __post_init__(self) -> None:
        positive("stopping", patience=self.patience)
        non_negative("stopping", minimum_improvement=self.minimum_improvement)

    def improves(self, value: float, best: float | None, score: str) -> bool:
        """Whether `value` is better than the best before by more than the least improvement."""
        if best is None:
            return True
        gain = best - value if self._lower(score) else value - best
        return gain > self.minimum_improvement

    def _lower(self, score: str) -> bool:
        return self.better == "lower" if self.better else score.startswith(LOWER_IS_BETTER)


@dataclass(frozen=True)
class Standing:
    """After some evaluations. best_round: after which round the best model was; waited: evaluations since."""

    best: float | None = None
    best_round: int | None = None
    waited: int = 0


def standing(stopping: Stopping, score: str, values: Iterable[tuple[int, float | None]]) -> Standing:
    """values: in order, the round that each evaluated model came from, and its score; None where it has none."""
    now = Standing()
    for number, value in values:
        if value is not None and stopping.improves(value, now.best, score):
            now = Standing(value, number)
        else:
            now = Standing(now.best, now.best_round, now.waited + 1)
    return now


def check_stopping(stopping: Stopping | None, evaluate_every: int, is_private: bool, by_score: bool = False) -> None:
    """Raise StudyError where there are no scores to stop by, or reading them would cost privacy.

    by_score: whether `federation.stop_at_score` ends the run.
    """
    if by_score and is_private:
        raise StudyError(
            "federation.stop_at_score chooses how many rounds a model is trained by exact scores of patients, which "
            "no noise covers, and the study promises privacy: remove it and choose rounds beforehand, or remove "
            "[privacy]."
        )
    if stopping is None:
        return
    if evaluate_every == 0:
        raise StudyError("[stopping] needs scores between rounds: set federation.evaluate_every to 1 or more.")
    if is_private:
        raise StudyError(
            "[stopping] chooses a model by exact scores of validation patients, which no noise covers, and the study "
            "promises privacy: remove [stopping] and choose rounds beforehand, or remove [privacy]."
        )
