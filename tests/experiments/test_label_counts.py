from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from common.study.study import Study
from experiments.attacks.inversion.labels import unweighted
from experiments.attacks.label_counts import LabelCounts
from experiments.audit.conduct import Effort, opened
from experiments.audit.questions.labels import guessed_share
from experiments.audit.run import Run
from experiments.evidence.ground_truth import truth_of
from experiments.running.run import run_study
from tests.experiments.judging import found_by

GRADIENTS = ("rounds=1", "strategy=fedsgd", 'training={batch_size="full"}', "federation.record_traffic=true")


def seen(study: Study, folder: Path) -> Run:
    run_study(study, "tiny", folder)
    return opened(folder, Effort(5.0))


@pytest.mark.parametrize("more", [(), ("training.class_weights=[1.0, 9.0]",)], ids=["alike", "weighed"])
def test_counts_of_each_hospital_come_back_nearly_exact(
    tiny: Callable[..., Study], tmp_path: Path, more: tuple[str, ...]
) -> None:
    run = seen(tiny(*GRADIENTS, *more), tmp_path / "run")
    trials, observed = found_by(run, "label_counts").trials, run.observed
    assert {trial.site for trial in trials} == set(observed.sites) and len(trials) == len(observed.sites)
    for trial in trials:
        assert trial.kind == "labels" and trial.possible
        cases = observed.cases[trial.site]
        assert trial.figures["mean_absolute_error"] <= max(1.0, 0.1 * cases)
        assert trial.figures["presence_accuracy"] == 1.0


def test_the_counts_add_up_to_the_cases_and_follow_the_truth(tiny: Callable[..., Study], tmp_path: Path) -> None:
    observed = seen(tiny(*GRADIENTS), tmp_path / "run").observed
    finding = LabelCounts().run(observed, np.random.default_rng(0), 5.0)
    guessed, true = [], []
    for one in finding.reconstructions:
        assert one.labels is not None and len(one.labels) == observed.cases[one.sites[0]]
        assert one.inputs.shape == (0, *observed.shape.inputs)
        guessed.append(int((one.labels == 1).sum()))
        true.append(int((truth_of(observed.study, 1, one.sites).targets == 1).sum()))
    assert np.corrcoef(guessed, true)[0, 1] > 0.9


def test_a_sum_gives_the_counts_of_all_hospitals_together(tiny: Callable[..., Study], tmp_path: Path) -> None:
    run = seen(tiny(*GRADIENTS), tmp_path / "run")
    observed = replace(run.observed, singles=())
    (trial,) = found_by(replace(run, observed=observed), "label_counts").trials
    assert (trial.site, trial.possible) == ("", True)
    assert trial.figures["mean_absolute_error"] <= 0.1 * sum(observed.cases.values())


def test_who_sees_no_update_can_count_nothing(tiny: Callable[..., Study], tmp_path: Path) -> None:
    run = seen(tiny(*GRADIENTS), tmp_path / "run")
    (trial,) = found_by(replace(run, observed=replace(run.observed, singles=(), sums=())), "label_counts").trials
    assert not trial.possible and trial.reason == "it needs updates or sums of them, and nobody could read any"
    assert not trial.figures


def test_what_a_guess_is_worth_by_hand() -> None:
    """One case of two classes: 1/2; two of two: one each, 2/4; three of two: 3/8; four of three: 12/81."""
    assert [guessed_share(*pair) for pair in ((1, 2), (2, 2), (3, 2), (4, 3))] == pytest.approx(
        [0.5, 0.5, 0.375, 12 / 81]
    )
    assert guessed_share(4000, 2) < 0.02


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_weights_and_smoothing_are_taken_off_exactly_where_all_cases_are_answered_alike(smoothing: float) -> None:
    answers, shares, weights = np.array([0.5, 0.3, 0.2]), np.array([0.7, 0.2, 0.1]), np.array([1.0, 4.0, 9.0])
    smoothed = (1 - smoothing) * np.eye(3) + smoothing / 3
    evidence = sum(w * t * (answers - row) for w, t, row in zip(weights, shares, smoothed, strict=True))
    found = unweighted(evidence, answers, tuple(weights), smoothing)
    np.testing.assert_allclose(found, answers - shares, atol=1e-12)
    assert unweighted(evidence, answers, None) is evidence
