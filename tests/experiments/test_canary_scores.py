"""Canaries' scores of which nothing can be told give no green light."""

from __future__ import annotations

import numpy as np
import pytest

from common.errors import StudyError
from common.privacy.release import Release
from experiments.attacks.canaries.claim import CanaryScores
from experiments.audit.questions._canaries import SPENT, _check, planted_steps, reasons
from experiments.audit.records import Trial


def claim(scores: list[float], included: object = None) -> CanaryScores:
    coins = np.arange(len(scores)) % 2 == 0 if included is None else np.asarray(included)
    release = Release(1.0, 1.0, 1)
    return CanaryScores("a", np.array(scores), coins, release, release, 1e-5, True)


def test_scores_that_are_no_numbers_or_too_few_are_refused() -> None:
    _check(claim([0.5] * 12))
    for odd in (claim([0.5] * 11 + [np.nan]), claim([np.inf] * 12), claim([0.5] * 9)):
        with pytest.raises(StudyError, match="no numbers"):
            _check(odd)
    for odd in (claim([0.5] * 12, [True] * 11), claim([0.5] * 12, [1] * 12)):
        with pytest.raises(StudyError, match="one of each"):
            _check(odd)


@pytest.mark.parametrize(("steps", "light"), [(400, "green"), (150, "green"), (149, "amber"), (2, "amber")])
def test_fewer_steps_than_faults_are_planted_in_are_not_powerful_enough_to_tell(steps: int, light: str) -> None:
    assert planted_steps(400) == 150 and planted_steps(40) == 40 and planted_steps(2100) == 300
    figures = {"chance_if_as_promised": 0.5, "canaries": 100.0, "steps": steps, "steps_of_study": 400, SPENT: 1.0}
    trial = Trial(
        "gradient_canaries", "epsilon", "auditor", "a", "", "", "", figures=figures, settings={"level": 0.001}
    )
    ((found, words, _),) = reasons(trial)
    assert found == light and ("not powerful enough to tell" in words) == (light == "amber")
