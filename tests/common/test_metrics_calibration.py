"""Calibration, decisions and intervals: hand numbers, scikit-learn, and hospitals' sums that are those of all."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from client.evaluation import evaluate
from common.data.cases import Cases
from common.metrics.calibration import calibration_statistics, curve_of, expected_error
from common.metrics.decision import auc_interval, calibration_line, decision_curve, edges, roc_points
from common.metrics.intervals import (
    PATIENTS,
    SPREAD,
    intervals_of,
    names_of_sums,
    patient_sums,
    presented_intervals,
    wilson,
    with_intervals,
)
from common.metrics.roc import FARTHEST, ScoreHistogram, with_auc
from common.study.catalogue import TASKS
from common.study.options import Entry
from common.sums.mean import Mean, merge


def drawn(count: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds, and truths that happen less often than they say."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1.5, count)
    return odds, rng.random(count) < 1 / (1 + np.exp(0.4 - 0.7 * odds))


def test_the_curve_is_that_of_scikit_learn() -> None:
    odds, truth = drawn()
    chances = 1 / (1 + np.exp(-odds))
    observed, predicted = calibration_curve(truth, chances, n_bins=10)
    found = curve_of(calibration_statistics(chances, truth.astype(float)))
    np.testing.assert_allclose([one.observed for one in found], observed, atol=1e-9)
    np.testing.assert_allclose([one.predicted for one in found], predicted, atol=1e-6)


def test_the_expected_error_by_hand() -> None:
    """Three cases of 0.1 of which none happened, one of 0.9 that did: (3 * 0.1 + 1 * 0.1) / 4."""
    found = calibration_statistics(np.array([0.1, 0.1, 0.1, 0.9]), np.array([0.0, 0.0, 0.0, 1.0]))
    assert expected_error(curve_of(found)) == pytest.approx(0.1, abs=1e-6)
    assert with_auc(found) == {"calibration_error": pytest.approx(0.1, abs=1e-6)}
    assert with_auc(calibration_statistics(np.array([]), np.array([]))) == {"calibration_error": None}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=30), st.integers(0, 30))
def test_two_hospitals_curves_add_up_to_that_of_both(cases: list[tuple[float, bool]], cut: int) -> None:
    def of(rows: list[tuple[float, bool]]) -> dict[str, Mean]:
        return dict(calibration_statistics(np.array([p for p, _ in rows]), np.array([float(y) for _, y in rows])))

    assert merge([of(cases[:cut]), of(cases[cut:])]) == of(cases)


def test_net_benefit_by_hand() -> None:
    """4 cases. At 0.5 one true and one false positive, 1/4 - 1/4 * 1; at odds of exp(-1.5) a second false one."""
    histogram = ScoreHistogram.of(np.array([2.0, -2.0, 1.0, -1.0]), np.array([1, 1, 0, 0], bool))
    (found,) = (one for one in decision_curve(histogram) if abs(one.threshold - 0.5) < 1e-12)
    assert (found.model, found.treat_all) == (0.0, 0.0)
    (low,) = (one for one in decision_curve(histogram) if abs(log(one.threshold / (1 - one.threshold)) + 1.5) < 1e-9)
    assert low.model == pytest.approx(1 / 4 - 2 / 4 * exp(-1.5))
    assert low.treat_all == pytest.approx(1 / 2 - 1 / 2 * exp(-1.5))


def test_net_benefit_is_exact_at_every_edge_and_its_interval_that_of_a_mean() -> None:
    odds, truth = drawn()
    for edge, one in zip(edges().tolist(), decision_curve(ScoreHistogram.of(odds, truth)), strict=True):
        gains = np.where(odds >= edge, np.where(truth, 1.0, -exp(edge)), 0.0)
        assert one.model == pytest.approx(gains.mean(), rel=1e-9, abs=1e-9)
        assert one.high - one.model == pytest.approx(1.959963984540054 * gains.std() / sqrt(len(gains)), rel=1e-6)


def test_roc_points_rise_from_nothing_to_all() -> None:
    odds, truth = drawn()
    points = np.array(roc_points(ScoreHistogram.of(odds, truth)))
    assert (points[0].tolist(), points[-1].tolist()) == ([0, 0], [1, 1])
    assert (np.diff(points, axis=0) >= 0).all()
    area = float(np.trapezoid(points[:, 1], points[:, 0]))
    assert area == pytest.approx(ScoreHistogram.of(odds, truth).auc, abs=1e-12)
    assert roc_points(ScoreHistogram.of(odds, np.zeros(len(odds), bool))) == ()


def test_the_calibration_line_is_that_of_a_logistic_regression() -> None:
    odds, truth = drawn(20_000)
    fit = LogisticRegression(C=np.inf, tol=1e-10).fit(odds[:, None], truth)
    intercept, slope = calibration_line(ScoreHistogram.of(odds, truth))
    assert intercept == pytest.approx(fit.intercept_[0], abs=0.01)
    assert slope == pytest.approx(fit.coef_[0, 0], abs=0.01)


@pytest.mark.parametrize("truth", [[0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
def test_there_is_no_line_where_a_threshold_parts_the_classes(truth: list[int]) -> None:
    histogram = ScoreHistogram.of(np.array([-3.0, -1.0, 1.0, 3.0]), np.array(truth, bool))
    assert np.isnan(calibration_line(histogram)).all()


def delong(odds: np.ndarray, truth: np.ndarray) -> float:
    """Variance of the area, pair by pair."""
    positive, negative = odds[truth], odds[~truth]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    return float(wins.mean(1).var(ddof=1) / len(positive) + wins.mean(0).var(ddof=1) / len(negative))


def test_the_interval_of_the_area_is_delongs() -> None:
    odds, truth = drawn(300)
    binned = np.floor((np.clip(odds, -FARTHEST, FARTHEST) + FARTHEST) * 4)
    histogram = ScoreHistogram.of(odds, truth)
    low, high = auc_interval(histogram)
    area = histogram.auc
    error = (log(high / (1 - high)) - log(low / (1 - low))) / (2 * 1.959963984540054) * area * (1 - area)
    assert error**2 == pytest.approx(delong(binned, truth), rel=1e-9)
    assert low < area < high


def test_wilson_by_hand() -> None:
    """9 of 10, as in textbooks: 0.596 to 0.982; 10 of 10 does not collapse."""
    assert wilson(0.9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert wilson(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)


def patients(values: list[list[float]], name: str = "loss") -> list[dict[str, Mean]]:
    """One patient's cases each, as a hospital sends them."""
    own = [{name: Mean.of(cases)} for cases in values]
    return [{**scores, **patient_sums(scores, [name])} for scores in own]


def test_of_single_cases_the_interval_is_students() -> None:
    from scipy.stats import t

    values = np.random.default_rng(1).normal(2, 3, 20)
    (low, high) = intervals_of(merge(patients([[value] for value in values])))["loss"]
    expected = t.interval(0.95, 19, values.mean(), values.std(ddof=1) / sqrt(20))
    assert (low, high) == pytest.approx(expected, abs=1e-6)


def test_cases_of_one_patient_that_say_the_same_are_one() -> None:
    values = np.random.default_rng(1).normal(2, 3, 20)
    once = intervals_of(merge(patients([[value] for value in values])))["loss"]
    five_times = intervals_of(merge(patients([[value] * 5 for value in values])))["loss"]
    assert five_times == pytest.approx(once, abs=1e-6)


def test_of_proportions_it_is_wilsons() -> None:
    answers = [[1.0]] * 70 + [[0.0]] * 30
    found = intervals_of(merge(patients(answers, "accuracy")))["accuracy"]
    assert found == pytest.approx(wilson(0.7, 99), abs=1e-6)
    assert intervals_of(merge(patients([[1.0]] * 10, "accuracy")))["accuracy"] == pytest.approx(wilson(1, 10))


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Of 400 draws of 60 patients with one to five like cases each; cases counted singly cover far less."""
    rng, covered, singly = np.random.default_rng(3), 0, 0
    for _ in range(400):
        ill = rng.random(60) < 0.3
        cases = [[float(one)] * int(rng.integers(1, 6)) for one in ill]
        low, high = intervals_of(merge(patients(cases, "accuracy")))["accuracy"]
        covered += low <= 0.3 <= high
        flat = [value for own in cases for value in own]
        low, high = wilson(float(np.mean(flat)), len(flat))
        singly += low <= 0.3 <= high
    assert 0.92 <= covered / 400 <= 0.98
    assert singly / 400 < 0.85


def test_intervals_of_hospitals_sums_are_those_of_all_patients_bit_for_bit() -> None:
    values = [[float(value), float(value) / 3] for value in np.random.default_rng(4).normal(size=30)]
    everybody = patients(values)
    parts = [merge(everybody[:7]), merge(everybody[7:20]), merge(everybody[20:])]
    assert intervals_of(merge(parts)) == intervals_of(merge(everybody))


def test_of_one_patient_there_is_none() -> None:
    assert intervals_of(merge(patients([[1.0, 2.0]]))) == {}


def test_parts_of_curves_have_no_interval_and_a_reply_has_room() -> None:
    names = ["accuracy", "roc_positives_00", "confusion_0_0", "calibration_observed_3", "recall_0"]
    assert names_of_sums(names) == tuple(p + n for n in ("accuracy", "recall_0") for p in (SPREAD, PATIENTS))
    many = [f"dice_{k}" for k in range(120)] + ["dice", "loss"]
    assert set(with_intervals(many)) >= {"dice", "loss"}
    assert len(many) + len(names_of_sums(many)) <= 256


def test_what_is_shown_of_one_mean_keeps_its_interval_and_what_of_several_has_none() -> None:
    def show(scores: dict[str, float]) -> dict[str, float]:
        return {"rmse": sqrt(scores["squared"]), "ratio": scores["squared"] / scores["other"], "loss": scores["loss"]}

    intervals = {"squared": (4.0, 9.0), "other": (1.0, 2.0), "loss": (1.0, 1.0)}
    found = presented_intervals(intervals, {"squared": 6.0, "other": 1.5, "loss": 1.0}, show)  # type: ignore[arg-type]
    assert found == {"rmse": (2.0, 3.0), "loss": (1.0, 1.0)}


def survivors(count: int) -> Cases:
    rng = np.random.default_rng(5)
    targets = np.column_stack([rng.uniform(0, 3, count), rng.random(count) < 0.6]).astype(np.float32)
    people = np.array([f"p{k}" for k in range(count)])
    return Cases.of(rng.normal(size=(count, 2)).astype(np.float32), targets, people)


def test_a_score_that_compares_patients_has_no_interval_and_those_beside_it_keep_theirs() -> None:
    """The c-index is of pairs; the sums of the Brier score beside it are what they are without it."""
    torch.manual_seed(0)
    network, cases = torch.nn.Linear(2, 2), survivors(12)
    found = {}
    for scores in (("brier",), ("brier", "c_index")):
        task = TASKS.build(Entry("survival", {"cuts": [1, 2], "scores": list(scores)}))
        found[scores] = evaluate(task, network, cases, ("brier", "likelihood", "c_index"))
    alone, beside = found.values()
    assert intervals_of(beside) == intervals_of(alone)
    assert set(intervals_of(beside)) == {"brier", "likelihood"}
    assert beside["c_index"].weight_units > 0
