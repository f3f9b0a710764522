"""One hospital that poisons, against each way of adding up: a table of scores for the report."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from common.errors import StudyError
from common.study.study import Study
from experiments.audit.poisoned_app import KINDS
from experiments.audit.poisoning import poisoned_scores
from experiments.audit.records import Trial

QUESTION = "What does one hospital that sends poisoned updates do to the model, under each way of adding up?"
KNOWLEDGE = "one hospital, which may send what it likes"
SOURCE = "Blanchard et al. 2017; Yin et al. 2018 (Krum, median, trimmed mean)"


def poisoning_trials(study: Study, advance: Callable[[str], None]) -> list[Trial]:
    """An honest federation and each kind of poison, some rounds each; impossible where single updates are hidden."""
    return [_trial(study, kind, advance) for kind in ("", *KINDS)]


def _trial(study: Study, kind: str, advance: Callable[[str], None]) -> Trial:
    name, begin = f"poisoning: {kind or 'nobody'}", perf_counter()
    advance(name)
    try:
        scores = {f"score with {strategy}": score for strategy, score in poisoned_scores(study, kind).items()}
    except StudyError as error:
        return Trial(
            name, "robustness", "hospital", "", QUESTION, KNOWLEDGE, SOURCE, possible=False, reason=str(error)
        )
    seconds = perf_counter() - begin
    return Trial(name, "robustness", "hospital", "", QUESTION, KNOWLEDGE, SOURCE, seconds=seconds, figures=scores)
