"""Figures of counts, of several raters, thresholds and regions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from common.errors import ImageError, UnknownNameError
from common.metrics import counts as figures
from common.metrics import staple as staple_module
from common.metrics.agreement import cohen_kappa, dice_matrix, fleiss_kappa, fleiss_kappa_of_votes, majority_vote
from common.metrics.counts import Counts
from common.metrics.staple import staple
from common.segmentation.region_growing import grow
from common.segmentation.threshold import between, otsu


def test_figures_of_four_counts_were_worked_out_by_hand() -> None:
    """TP 3, FP 2, FN 1, TN 4."""
    truth = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    prediction = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 0])
    counts = Counts.of(truth, prediction, [1])
    found = {
        name: float(getattr(figures, name)(counts)[0])
        for name in ("sensitivity", "specificity", "precision", "accuracy", "jaccard", "volume_similarity")
    }
    assert found == pytest.approx(
        {
            "sensitivity": 3 / 4,
            "specificity": 4 / 6,
            "precision": 3 / 5,
            "accuracy": 7 / 10,
            "jaccard": 3 / 6,
            "volume_similarity": 1 - 1 / 9,
        }
    )
    assert figures.f_beta(counts)[0] == pytest.approx(6 / 9)
    assert figures.f_beta(counts, 2.0)[0] == pytest.approx(15 / (15 + 2 + 4))


def test_empty_masks_are_defined_row_by_row() -> None:
    truth, prediction = np.array([0, 0, 2, 2, 3]), np.array([0, 1, 0, 0, 3])
    counts = Counts.of(truth, prediction, [9, 1, 2])
    nan = float("nan")
    np.testing.assert_array_equal(figures.f_beta(counts), [nan, 0, 0])
    np.testing.assert_array_equal(figures.jaccard(counts), [nan, 0, 0])
    np.testing.assert_array_equal(figures.sensitivity(counts), [nan, nan, 0])
    np.testing.assert_array_equal(figures.precision(counts), [nan, 0, nan])
    np.testing.assert_array_equal(figures.volume_similarity(counts), [nan, 0, 0])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.0, 2.0]))
def test_figures_are_scikit_learns(seed: int, beta: float) -> None:
    rng = np.random.default_rng(seed)
    truth, prediction = rng.integers(0, 4, (2, 6, 7))
    counts = Counts.of(truth, prediction, range(4))
    flat, labels = (truth.ravel(), prediction.ravel()), list(range(4))
    precision, recall, fscore, _ = sklearn_metrics.precision_recall_fscore_support(
        *flat, beta=beta, labels=labels, zero_division=np.nan
    )
    np.testing.assert_allclose(figures.precision(counts), precision)
    np.testing.assert_allclose(figures.sensitivity(counts), recall)
    np.testing.assert_allclose(figures.f_beta(counts, beta), fscore)
    jaccard = sklearn_metrics.jaccard_score(*flat, labels=labels, average=None)
    np.testing.assert_allclose(figures.jaccard(counts), jaccard)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_counts_of_parts_add_up_to_those_of_the_whole(seed: int) -> None:
    truth, prediction = np.random.default_rng(seed).integers(-1, 3, (2, 5, 8))
    whole = Counts.of(truth, prediction, range(3))
    parts = Counts.of(truth[:2], prediction[:2], range(3)) + Counts.of(truth[2:], prediction[2:], range(3))
    for name in ("true_positives", "false_positives", "false_negatives", "true_negatives"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


SENSITIVITY = [0.9072460332629643, 0.7184787530835305, 0.9673514942070461]
SPECIFICITY = [0.9791311070846893, 0.9869650562636751, 0.8972585256313246]
FLEISS_1971 = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def test_fleiss_kappa_of_a_published_table() -> None:
    assert fleiss_kappa_of_votes(np.array(FLEISS_1971)) == pytest.approx(0.210, abs=5e-4)


def test_cohens_kappa_was_worked_out_by_hand() -> None:
    """20 cases both say yes, 15 both no, 5 and 10 one of them: observed 0.7, by chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5.

    Of three grades (0,0) (1,1) (2,2) (0,2): three of four agree, the other is 2 apart. By chance 5/16 agree, 6/16
    are 1 apart and 5/16 are 2 apart.
    """
    first = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    second = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    for weights in ("equal", "linear", "quadratic"):
        assert cohen_kappa(first, second, weights) == pytest.approx(0.4)
    grades = np.array([0, 1, 2, 0]), np.array([0, 1, 2, 2])
    assert cohen_kappa(*grades) == pytest.approx((3 / 4 - 5 / 16) / (1 - 5 / 16))
    assert cohen_kappa(*grades, "linear") == pytest.approx(1 - (2 / 4) / (6 / 16 + 2 * 5 / 16))
    assert cohen_kappa(*grades, "quadratic") == pytest.approx(1 - (4 / 4) / (6 / 16 + 4 * 5 / 16))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_cohens_kappa_is_scikit_learns(seed: int, labels: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, labels, (5, 6)) * 3 - 2
    second = np.where(rng.random(first.shape) < 0.6, first, rng.integers(0, labels, first.shape) * 3 - 2)
    first.flat[0], second.flat[0] = -2, 1
    for ours, theirs in (("equal", None), ("linear", "linear"), ("quadratic", "quadratic")):
        expected = sklearn_metrics.cohen_kappa_score(first.ravel(), second.ravel(), weights=theirs)
        assert cohen_kappa(first, second, ours) == pytest.approx(expected)
        assert cohen_kappa(second, first, ours) == pytest.approx(expected)


def test_cohens_kappa_of_one_label_is_not_defined_and_of_other_weights_refused() -> None:
    ones, other = np.ones((2, 3), int), np.array([[1, 2, 3], [3, 2, 1]])
    assert np.isnan(cohen_kappa(ones, ones))
    assert cohen_kappa(other, other, "quadratic") == 1
    with pytest.raises(UnknownNameError, match=r"'cubic'.*equal, linear, quadratic"):
        cohen_kappa(ones, other, "cubic")  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="same image"):
        cohen_kappa(ones, other.T)


def test_raters_who_always_agree_have_a_kappa_of_one() -> None:
    rater = np.array([[0, 1], [2, 1]])
    assert fleiss_kappa([rater] * 3) == 1
    assert np.isnan(fleiss_kappa([np.ones((2, 2), int)] * 3))
    np.testing.assert_array_equal(dice_matrix([rater, rater], 1), np.ones((2, 2)))


def test_a_majority_decides_and_the_lowest_label_breaks_a_tie() -> None:
    votes = [np.array([2, 1, 0, 5]), np.array([2, 0, 1, 3]), np.array([0, 0, 2, 3])]
    assert majority_vote(votes).tolist() == [2, 0, 0, 3]


def three_raters() -> tuple[np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(7)
    y, x = np.indices((40, 40))
    truth = (y - 20) ** 2 + (x - 18) ** 2 < 120
    raters = []
    for sensitivity, specificity in ((0.9, 0.98), (0.75, 0.99), (0.95, 0.9)):
        chance = rng.random(truth.shape)
        raters.append(np.where(truth, chance < sensitivity, chance > specificity).astype(np.uint8))
    return truth, raters


def test_staple_finds_what_simpleitk_finds() -> None:
    """SimpleITK 2.5.7, STAPLEImageFilter, foreground 1, at most 10,000 iterations."""
    truth, raters = three_raters()
    found = staple(raters)
    assert found.converged
    np.testing.assert_allclose(found.performance[:, 1, 1], SENSITIVITY, atol=1e-6)
    np.testing.assert_allclose(found.performance[:, 0, 0], SPECIFICITY, atol=1e-6)
    agreed = found.truth == truth
    assert agreed.mean() > max((rater == truth).mean() for rater in raters)


def test_staple_of_many_labels_rates_the_raters() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (60, 60)) * 5
    raters = []
    for share in (0.95, 0.8, 0.7, 0.6):
        wrong = rng.random(truth.shape) > share
        raters.append(np.where(wrong, rng.integers(0, 3, truth.shape) * 5, truth))
    found = staple(raters)
    assert found.labels.tolist() == [0, 5, 10]
    np.testing.assert_allclose(found.performance.sum(axis=2), 1)
    rates = np.diagonal(found.performance, axis1=1, axis2=2).mean(axis=1)
    np.testing.assert_allclose(rates, [share + (1 - share) / 3 for share in (0.95, 0.8, 0.7, 0.6)], atol=0.04)
    assert (found.truth == truth).mean() > (raters[0] == truth).mean() - 0.01


def slow_staple(raters: list[np.ndarray], labels: int, iterations: int) -> np.ndarray:
    """(R, L, L) after so many plain steps of Warfield's equations, rater by rater and voxel by voxel."""
    votes = np.stack([rater.ravel() for rater in raters])
    prior = np.bincount(votes.ravel(), minlength=labels) / votes.size
    performance = np.full((len(votes), labels, labels), 1e-5 / (labels - 1))
    performance[:, range(labels), range(labels)] = 1 - 1e-5
    for _ in range(iterations):
        weights = prior[:, None] * np.prod([performance[r][:, vote] for r, vote in enumerate(votes)], axis=0)
        weights /= weights.sum(axis=0)
        shares = [[weights[:, vote == label].sum(axis=1) for label in range(labels)] for vote in votes]
        performance = np.swapaxes(shares, 1, 2) / weights.sum(axis=1)[:, None]
    return performance


@pytest.mark.parametrize("few", [staple_module.MOST_NUMBERS, 1])
def test_leaps_and_halves_lead_where_many_plain_steps_lead(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staple_module, "MOST_NUMBERS", few)
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, (30, 30))
    raters = [
        np.where(rng.random(truth.shape) < wrong, rng.integers(0, 3, truth.shape), truth)
        for wrong in (0.2, 0.3, 0.4, 0.5, 0.6)
    ]
    found = staple([*raters], 1e-10)
    assert found.converged and found.iterations < 100
    np.testing.assert_allclose(found.performance, slow_staple(raters, 3, 400), atol=1e-6)
    far = staple([rater * 4_000_000_000 for rater in raters], 1e-10)
    np.testing.assert_array_equal(far.performance, found.performance)


def test_one_rater_or_two_images_are_refused() -> None:
    with pytest.raises(ImageError, match="two raters"):
        staple([np.ones((2, 2), int)])
    with pytest.raises(ImageError, match="same image"):
        majority_vote([np.ones((2, 2), int), np.ones((2, 3), int)])


def variance_between(values: np.ndarray, cuts: tuple[float, ...]) -> float:
    parts = np.digitize(values, cuts, right=True)
    return float(
        sum((parts == k).mean() * (values[parts == k].mean() - values.mean()) ** 2 for k in np.unique(parts))
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3]))
def test_otsus_thresholds_part_the_classes_best(seed: int, classes: int) -> None:
    """Values are middles of 8 bins, so that every possible cut can be tried."""
    values = np.random.default_rng(seed).integers(0, 8, 60) + 0.5
    values[:2] = 0.0, 8.0
    exact = np.floor(np.minimum(values, 7.9)) + 0.5
    found = otsu(values, classes, bins=8)
    cuts = [(float(a),) if classes == 2 else (float(a), float(b)) for a in range(1, 8) for b in range(a + 1, 9)]
    best = max(variance_between(exact, cut) for cut in cuts)
    assert variance_between(exact, found) == pytest.approx(best)


def test_otsu_of_two_heaps_lies_between_them() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, 500), rng.normal(10, 1, 300)])
    (cut,) = otsu(values)
    assert 2.5 < cut < 7.5
    assert between(values, lower=cut).sum() == 300


def flooded(allowed: np.ndarray, seed: tuple[int, ...], steps: list[tuple[int, ...]]) -> np.ndarray:
    found, waiting = np.zeros(allowed.shape, bool), [seed] if allowed[seed] else []
    while waiting:
        place = waiting.pop()
        if found[place]:
            continue
        found[place] = True
        for step in steps:
            beside = tuple(a + b for a, b in zip(place, step, strict=True))
            if all(0 <= a < n for a, n in zip(beside, allowed.shape, strict=True)) and allowed[beside]:
                waiting.append(beside)
    return found


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(2, 4, 1), (2, 8, 2), (3, 6, 1), (3, 18, 2), (3, 26, 3)]))
def test_a_region_grows_as_a_flood_would(seed: int, kind: tuple[int, int, int]) -> None:
    dimensions, connectivity, off = kind
    rng = np.random.default_rng(seed)
    values = rng.random(tuple(rng.integers(2, 7, dimensions)))
    start = tuple(int(rng.integers(size)) for size in values.shape)
    around = np.indices((3,) * dimensions).reshape(dimensions, -1).T - 1
    steps = [tuple(map(int, step)) for step in around if 0 < np.abs(step).sum() <= off]
    assert len(steps) == connectivity
    grown = grow(values, [start], 0.2, 0.7, connectivity)
    np.testing.assert_array_equal(grown, flooded(between(values, 0.2, 0.7), start, steps))


def test_seeds_outside_and_connectivities_that_do_not_exist_are_refused() -> None:
    values = np.ones((3, 3))
    with pytest.raises(ImageError, match=r"one of \[4, 8\]; it is 6"):
        grow(values, [(0, 0)], 0, 2, 6)
    for seeds in ([(3, 0)], [(-1, 0)], []):
        with pytest.raises(ImageError, match="seeds must lie in"):
            grow(values, seeds, 0, 2)
    with pytest.raises(ImageError, match="must not lie above"):
        between(values, 2, 1)
    with pytest.raises(ImageError, match="2 different values"):
        otsu(values)
