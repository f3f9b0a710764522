"""Scores of classifications that merge: by class, and the area under the ROC curve from histograms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics
from torch import nn

from common.data.cases import Batch, Shape
from common.errors import StudyError, UnknownNameError
from common.metrics.roc import ScoreHistogram, with_auc
from common.study.catalogue import TASKS
from common.study.options import Entry
from common.sums.mean import Mean, merge

BY_CLASS = ["recall", "precision", "specificity", "jaccard", "f1"]


class Given(nn.Module):
    """The inputs themselves are the logits."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs


def scored(logits: np.ndarray, targets: np.ndarray, *scores: str) -> dict[str, Mean]:
    task = TASKS.build(Entry("classification", {"scores": list(scores)}))
    names = tuple(f"p{index}" for index in range(len(targets)))
    batch = Batch.of(torch.from_numpy(logits.astype(np.float32)), torch.from_numpy(targets), names)
    return dict(task.score(Given(), batch))


def test_an_area_was_worked_out_by_hand() -> None:
    """Positives at 0.1, 1.1 and 9, negatives at -9, 1.1 and 0.6: of nine pairs six are right, one is in one bin."""
    histogram = ScoreHistogram.of(np.array([0.1, 1.1, 9, -9, 1.1, 0.6]), np.array([1, 1, 1, 0, 0, 0], bool))
    assert histogram.auc == pytest.approx((1 + 2.5 + 3) / 9)
    assert histogram.error == pytest.approx(0.5 / 9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 20))
def test_the_true_area_lies_within_the_stated_error(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random(80) < 0.4
    truth[:2] = False, True
    log_odds = rng.normal(truth * 1.5, spread)
    found = ScoreHistogram.of(log_odds, truth)
    assert abs(found.auc - sklearn_metrics.roc_auc_score(truth, log_odds)) <= found.error + 1e-12
    assert ScoreHistogram.of(-log_odds, ~truth).auc == pytest.approx(found.auc, abs=2 * found.error)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 2), min_size=1, max_size=20))
def test_scores_of_any_split_are_those_of_all_cases(seed: int, hospital: list[int]) -> None:
    rng = np.random.default_rng(seed)
    targets, own = rng.integers(0, 2, len(hospital)), np.array(hospital)
    logits = rng.normal(0, 4, (len(hospital), 2))
    names = (*BY_CLASS, "auc")
    parts = [scored(logits[own == index], targets[own == index], *names) for index in np.unique(own)]
    merged, whole = merge(parts), scored(logits, targets, *names)
    assert merged == whole
    histogram = ScoreHistogram.of(logits[:, 1].astype(np.float32) - logits[:, 0].astype(np.float32), targets == 1)
    np.testing.assert_array_equal(ScoreHistogram.from_statistics(merged).positives, histogram.positives)
    np.testing.assert_array_equal(ScoreHistogram.from_statistics(merged).negatives, histogram.negatives)


def test_scores_by_class_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    targets, logits = rng.integers(0, 4, 60), rng.normal(size=(60, 4))
    answers, found = logits.argmax(1), scored(logits, targets, *BY_CLASS)
    precision, recall, f1, _ = sklearn_metrics.precision_recall_fscore_support(targets, answers)
    jaccard = sklearn_metrics.jaccard_score(targets, answers, average=None)
    specificity = [sklearn_metrics.recall_score(targets != k, answers != k) for k in range(4)]
    expected = {"recall": recall, "precision": precision, "specificity": specificity, "jaccard": jaccard, "f1": f1}
    for name, values in expected.items():
        np.testing.assert_allclose([found[f"{name}_{k}"].value for k in range(4)], values, rtol=1e-9, err_msg=name)


def test_histograms_become_areas_where_numbers_are_written() -> None:
    logits, targets = np.array([[0.0, 1], [0, 3], [0, -2]]), np.array([1, 1, 0])
    assert with_auc(scored(logits, targets, "auc")) == {
        "accuracy": 1,
        "loss": pytest.approx(float(np.log1p(np.exp([-1.0, -3, -2])).mean()), rel=1e-6),
        "auc": 1,
        "auc_error": 0,
    }
    alone = with_auc(scored(logits[:2], targets[:2], "auc"))
    assert (alone["auc"], alone["auc_error"]) == (None, None)
    assert with_auc({"recall_1": Mean(), "roc_curves": Mean.of([1.0])}) == {"recall_1": None, "roc_curves": 1}


def test_a_class_that_is_never_answered_has_no_precision_and_shows_it() -> None:
    found = scored(np.array([[2.0, 0], [1, 0]]), np.array([0, 1]), "precision", "recall")
    assert (found["precision_1"].weight, found["recall_1"].value, found["precision_0"].value) == (0, 0, 0.5)
    assert math.isnan(found["precision_1"].value)


def test_scores_that_do_not_exist_or_do_not_fit_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'precision'"):
        TASKS.build(Entry("classification", {"scores": ["precison"]}))
    task = TASKS.build(Entry("classification", {"scores": ["auc"]}))
    with pytest.raises(StudyError, match="auc is of two classes; the cases have 3"):
        task.build_network(Shape((5,), 3))
    assert TASKS.build(Entry("classification")).scores == ("accuracy", "recall")
