"""The table of figures: names, empty masks, what is cut away, and what many cases come to."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as peer

from common.errors import ImageError, UnknownNameError
from common.metrics.definitions import ALL, DEFAULT, METRICS, chosen, figures
from common.metrics.pair import Pair, Settings
from common.metrics.summary import summary, worst_first
from common.seeding import generator
from experiments.measuring.definitions_page import page

OF_MASKS = chosen([ALL])
PEERS = {
    "dice": peer.f1_score,
    "jaccard": peer.jaccard_score,
    "precision": peer.precision_score,
    "sensitivity": peer.recall_score,
    "accuracy": peer.accuracy_score,
    "balanced_accuracy": peer.balanced_accuracy_score,
    "mcc": peer.matthews_corrcoef,
    "kappa": peer.cohen_kappa_score,
    "f2": lambda truth, prediction: peer.fbeta_score(truth, prediction, beta=2),
    "f05": lambda truth, prediction: peer.fbeta_score(truth, prediction, beta=0.5),
}


def drawn(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two masks somewhere in an image of 2 or 3 axes, some of them a voxel thin or at the edge."""
    shape = tuple(rng.integers(1, 9, rng.integers(2, 4)))
    masks = np.zeros((2, *shape), bool)
    for mask in masks:
        corner = [rng.integers(0, size) for size in shape]
        block = tuple(slice(at, at + rng.integers(1, 6)) for at in corner)
        mask[block] = rng.random(mask[block].shape) < 0.8
    return masks[0], masks[1]


def test_names_and_other_names_are_one_figure_each_and_the_nearest_is_named() -> None:
    spelled = [spelling for name, metric in METRICS.items() for spelling in (name, *metric.also)]
    assert len(spelled) == len({*spelled, ALL}) - 1
    assert chosen(["hd95", "Dice", "hausdorff-95-mm"]) == ("hausdorff_95_mm", "dice")
    assert chosen(["dice", "dsc", " IoU "]) == ("dice", "jaccard")
    assert set(DEFAULT) < set(OF_MASKS) and "auroc" not in OF_MASKS
    with pytest.raises(UnknownNameError, match="did you mean 'lesion_f1'"):
        chosen(["lesionf1"])
    with pytest.raises(ImageError, match="no metric"):
        chosen([])


@pytest.mark.parametrize("state", [0, 1, 2])
def test_empty_masks_have_the_figures_that_the_table_says(state: int) -> None:
    some, none = np.zeros((6, 6, 6)), np.zeros((6, 6, 6))
    some[1:4, 1:4, 1:5] = 1
    true, predicted = ((none, none), (none, some), (some, none))[state]
    pair = Pair.of(true, predicted)
    assert pair.state == ("neither", "invented", "missed")[state]
    for name, value in figures(pair, OF_MASKS).items():
        word = METRICS[name].empty[state]
        if word in ("defined", "counted"):
            assert math.isfinite(value), name
        else:
            assert value == pytest.approx(math.nan if word == "-" else float(word), nan_ok=True), name
    with_chances = Pair.of_chances(true, predicted * 0.9)
    for name, metric in METRICS.items():
        if metric.of_chances:
            assert math.isnan(metric.figure(with_chances)) == (metric.empty[state] == "-"), name


def test_what_is_cut_away_changes_no_figure_and_libraries_agree() -> None:
    rng, compared = np.random.default_rng(3), 0
    for _ in range(15):
        truth, prediction = drawn(rng)
        spacing = tuple(rng.uniform(0.5, 2, truth.ndim))
        names = [name for name in OF_MASKS if "topology" not in name and name != "cl_dice"]
        cut = figures(Pair.of(truth, prediction, spacing), names)
        whole = figures(Pair(truth, prediction, spacing, truth.size, Settings()), names)
        assert cut == pytest.approx(whole, nan_ok=True), (truth.shape, names)
        for name, figure in PEERS.items():
            if math.isfinite(cut[name]) and truth.any() and not truth.all():
                assert cut[name] == pytest.approx(figure(truth.reshape(-1), prediction.reshape(-1))), name
                compared += 1
    assert compared > 60


def test_chances_are_refused_where_labels_came_and_the_other_way_round() -> None:
    mask = np.eye(3)
    with pytest.raises(ImageError, match="chances"):
        figures(Pair.of(mask, mask), ["auroc"])
    with pytest.raises(ImageError, match="within 0 and 1"):
        Pair.of_chances(mask, mask * 2)


@pytest.mark.parametrize(("dtype", "one"), [("u1", 255), (">i4", -3), ("f2", 2.5), ("<u8", 2)])
def test_a_mask_is_what_is_not_0_in_every_dtype_and_layout(dtype: str, one: float) -> None:
    rng = np.random.default_rng(5)
    truth, prediction = rng.random((2, 5, 6, 4)) < 0.6
    given = [np.asfortranarray((mask * one).astype(dtype))[::-1][::-1] for mask in (truth, prediction)]
    expected = figures(Pair.of(truth, prediction, 1.5), OF_MASKS)
    assert figures(Pair.of(*given, (1.5,) * 3), OF_MASKS) == pytest.approx(expected, abs=0, rel=0, nan_ok=True)


@pytest.mark.parametrize(
    "wrong", [{"tolerance_mm": -1}, {"outline": "voxels"}, {"connectivity": "26"}, {"iou": 50}, {"bins": 2.5}]
)
def test_no_setting_means_something_by_mistake(wrong: dict[str, object]) -> None:
    with pytest.raises((ImageError, UnknownNameError), match=r"must be|did you mean"):
        Settings(**wrong)  # type: ignore[arg-type]


def test_a_summary_counts_what_is_not_defined_and_what_is_infinite() -> None:
    found = summary([0.5, math.nan, 0.9, math.inf, 0.7], generator(0, "test"))
    assert (found.cases, found.undefined, found.infinite, found.patients) == (5, 1, 1, 4)
    assert (found.mean, found.median) == (math.inf, pytest.approx(0.8)) and math.isnan(found.deviation)
    assert found.quartiles == (pytest.approx(0.65), math.inf)
    plain = summary([1.0, 2.0, 3.0, 6.0], generator(0, "test"))
    assert (plain.mean, plain.median) == (3.0, 2.5) and plain.deviation == pytest.approx(np.std([1, 2, 3, 6], ddof=1))
    alone, nobody = summary([1.0], generator(0, "test")), summary([], generator(0, "test"))
    assert math.isnan(alone.mean_interval[0]) and math.isnan(nobody.mean) and nobody.cases == 0
    with pytest.raises(ImageError, match="patients of 1"):
        summary([1.0, 2.0], generator(0, "test"), ["a"])


def test_intervals_are_those_of_patients_drawn_one_by_one() -> None:
    """The slow way, with the same draws: two patients of three and two cases, and one of one."""
    values, patients = [0.1, 0.2, 0.9, 0.4, 0.6, math.inf], ["a", "a", "a", "b", "b", "c"]
    found = summary(values, generator(7, "bootstrap"), patients, resamples=300)
    places = generator(7, "bootstrap").integers(0, 3, (300, 3))
    own = [[v for v, p in zip(values, patients, strict=True) if p == who] for who in "abc"]
    with np.errstate(invalid="ignore"):
        pooled = [np.concatenate([own[place] for place in drawn]) for drawn in places]
        means, medians = [one.mean() for one in pooled], [np.median(one) for one in pooled]
    low, _ = np.percentile(sorted(means), (2.5, 97.5), method="lower")
    assert found.patients == 3 and found.mean_interval[0] == pytest.approx(low, abs=0.02)
    assert found.mean_interval[1] == math.inf
    assert found.median_interval[0] == pytest.approx(np.percentile(medians, 2.5, method="lower"), abs=0.05)
    independent = summary(values[:5], generator(7, "bootstrap"))
    assert independent.mean_interval[0] < 0.44 < independent.mean_interval[1]


def test_cases_are_ranked_by_how_bad_they_are() -> None:
    values = {"a": 0.5, "b": -2.0, "c": math.nan, "d": math.inf, "e": 0.5}
    assert [case for case, _ in worst_first(values, "low")] == ["d", "a", "e", "b"]
    assert [case for case, _ in worst_first(values, "high")] == ["b", "a", "e", "d"]
    assert [case for case, _ in worst_first(values, "zero")] == ["d", "b", "a", "e"]


def test_the_page_of_definitions_is_what_the_table_says() -> None:
    written = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert written.read_text() == page(), "run python -m experiments.measuring.definitions_page"
