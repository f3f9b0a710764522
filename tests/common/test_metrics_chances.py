"""Chances, rankings and confusion matrices: each is scikit-learn's, and its limits by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer
from sklearn.calibration import calibration_curve

from common.errors import ImageError, UnknownNameError
from common.metrics.chances import (
    brier_of_classes,
    brier_score,
    brier_statistics,
    expected_calibration_error,
    reliability_curve,
)
from common.metrics.classification import confusion_matrix
from common.metrics.confusion import balanced_accuracy, cohen_kappa_of_counts, matthews_correlation, of_two
from common.metrics.counts import Counts
from common.metrics.ranked import auroc, average_precision, of_histogram
from common.metrics.roc import ScoreHistogram
from common.sums.mean import merge

cases = st.lists(st.tuples(st.sampled_from((0.0, 0.13, 0.5, 0.77, 1.0)), st.booleans()), min_size=1, max_size=30)


@settings(max_examples=15)
@given(cases)
def test_figures_of_chances_are_scikit_learns(drawn: list[tuple[float, bool]]) -> None:
    chances, truth = np.array([one for one, _ in drawn]), np.array([one for _, one in drawn])
    assert brier_score(chances, truth) == pytest.approx(np.mean((chances - truth) ** 2))
    if truth.all() or not truth.any():
        assert math.isnan(auroc(chances, truth))
        return
    assert brier_score(chances, truth) == pytest.approx(peer.brier_score_loss(truth, chances))
    assert auroc(chances, truth) == pytest.approx(peer.roc_auc_score(truth, chances))
    assert average_precision(chances, truth) == pytest.approx(peer.average_precision_score(truth, chances))
    share, mean = calibration_curve(truth, chances, n_bins=7)
    curve = reliability_curve(chances, truth.astype(int), 7)
    assert [(one.observed, one.predicted) for one in curve] == [*map(pytest.approx, zip(share, mean, strict=True))]


def test_the_calibration_error_is_worked_out_by_hand() -> None:
    """Two cases at .1, one of them positive: off by .4; two at .9, both: off by .1."""
    assert expected_calibration_error([0.1, 0.1, 0.9, 0.9], [1, 0, 1, 1]) == pytest.approx(0.25)
    assert math.isnan(expected_calibration_error([], []))


def test_parts_merge_into_the_figure_of_all_cases() -> None:
    rng = np.random.default_rng(0)
    chances, truth = rng.random(90), rng.random(90) < 0.4
    merged = merge([brier_statistics(chances[:20], truth[:20]), brier_statistics(chances[20:], truth[20:])])
    assert merged["brier"].value == pytest.approx(brier_score(chances, truth), abs=1e-6)
    odds = rng.integers(-20, 20, 90) / 4 + 0.1
    halves = ScoreHistogram.of(odds[:40], truth[:40]) + ScoreHistogram.of(odds[40:], truth[40:])
    assert of_histogram(halves) == pytest.approx(average_precision(odds, truth))


def test_chances_of_several_classes_are_summed_over_classes() -> None:
    chances, truth = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]), np.array([2, 1])
    assert brier_of_classes(chances, truth) == pytest.approx((0.04 + 0.09 + 0.25 + 1 + 1) / 2)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=25))
def test_figures_of_matrices_are_scikit_learns(drawn: list[tuple[int, int]]) -> None:
    truth, prediction = np.array(drawn).T
    table = confusion_matrix(truth, prediction, 3)
    of_truth = [peer.recall_score(truth == one, prediction == one) for one in np.unique(truth)]
    assert balanced_accuracy(table) == pytest.approx(np.mean(of_truth))
    if len({*truth}) > 1 and len({*prediction}) > 1:
        assert matthews_correlation(table) == pytest.approx(peer.matthews_corrcoef(truth, prediction))
        for word, weights in (("equal", None), ("linear", "linear"), ("quadratic", "quadratic")):
            expected = peer.cohen_kappa_score(truth, prediction, weights=weights, labels=[0, 1, 2])
            assert cohen_kappa_of_counts(table, word) == pytest.approx(expected)  # type: ignore[arg-type]
    else:
        assert math.isnan(matthews_correlation(table))


def test_two_classes_come_from_the_counts_of_a_label() -> None:
    counts = Counts.of(np.array([0, 2, 2, 2, 0]), np.array([0, 2, 0, 2, 2]), [2])
    assert of_two(counts).tolist() == [[1, 1], [1, 2]]
    assert balanced_accuracy(of_two(counts)) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_what_is_no_chance_no_matrix_and_no_weight_is_refused() -> None:
    for chances, truth in (([1.2], [1]), ([math.nan], [1]), ([0.5, 0.5], [1]), (["a"], [1])):
        with pytest.raises(ImageError, match="chances"):
            brier_score(chances, truth)
    with pytest.raises(ImageError, match="scores"):
        auroc([math.nan, 1], [0, 1])
    with pytest.raises(ImageError, match="bins must be"):
        reliability_curve([0.5], [1], 0)
    with pytest.raises(ImageError, match="add up to 1"):
        brier_of_classes([[0.5, 0.4]], [1])
    for table in ([[1, 2]], [[-1, 0], [0, 0]], [[0.5, 0], [0, 1]]):
        with pytest.raises(ImageError, match="confusion matrix"):
            balanced_accuracy(np.array(table))
    with pytest.raises(UnknownNameError, match="did you mean 'quadratic'"):
        cohen_kappa_of_counts(np.eye(2), "quadratc")  # type: ignore[arg-type]
