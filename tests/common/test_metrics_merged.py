"""Scores of outlines as statistics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import UnknownNameError
from common.metrics import counts as figures
from common.metrics import merged
from common.metrics.counts import Counts
from common.metrics.merged import OVERLAPS, POOLED, SCORES, overlap_statistics, surface_statistics
from common.metrics.surface import SurfaceDistances
from common.study.catalogue import TASKS
from common.study.options import Entry
from common.sums.mean import Mean, Statistics, merge


def test_slices_are_taken_together_and_what_one_lacks_is_counted_apart() -> None:
    truths, predictions = np.zeros((4, 5, 5), int), np.zeros((4, 5, 5), int)
    truths[0, 2, 0], predictions[0, 2, 3] = 1, 1
    truths[1, 1, 1], predictions[1, 1, 1] = 1, 1
    truths[2, 0, 0] = 1
    found = surface_statistics(truths, predictions, [1, 2], (1.0, 2.0))
    assert found["hd95"].value == pytest.approx(np.percentile([6.0, 0.0], 95))
    assert found["missed"].value == pytest.approx(1 / 3)
    scores = ("hd", "assd", "masd", "surface_dice")
    others = surface_statistics(truths, predictions, [1, 2], (1.0, 2.0), scores, tolerance_mm=1.0)
    assert {name: mean.value for name, mean in others.items()} == pytest.approx(
        {"hd": 6, "assd": 3, "masd": 3, "surface_dice": 2 / 5, "missed": 1 / 3}
    )


def test_a_structure_that_nobody_drew_weighs_nothing_and_one_that_is_missed_is_not_lost() -> None:
    empty, full = np.zeros((1, 4, 4), int), np.ones((1, 4, 4), int)
    neither, missed = surface_statistics(empty, empty, [1], ()), surface_statistics(full, empty, [1], ())
    assert neither["hd95_voxels"].weight_units == neither["missed"].weight_units == 0
    assert missed["hd95_voxels"].weight_units == 0
    assert missed["missed"].value == 1
    assert surface_statistics(full, empty, [1], (), ["surface_dice"]) == {"surface_dice_voxels": Mean.of([0.0])}


def test_a_figure_that_is_not_defined_is_counted() -> None:
    """Label 1 is missed, 2 invented, 3 in neither, 4 found."""
    truth, prediction = np.array([[1, 0, 4, 0]]), np.array([[0, 2, 4, 0]])
    found = overlap_statistics(truth, prediction, [1, 2, 3, 4], ("precision", "sensitivity", "jaccard"))
    assert found["precision"].value == 0.5 and found["precision_undefined"].value == pytest.approx(1 / 3)
    assert found["sensitivity"].value == 0.5 and found["sensitivity_undefined"].value == pytest.approx(1 / 3)
    assert found["jaccard"].value == pytest.approx(1 / 3)
    weights = {name: mean.weight for name, mean in found.items()}
    assert (weights["precision_1"], weights["precision_2"], weights["sensitivity_2"], weights["jaccard_3"]) == (
        0,
        1,
        0,
        0,
    )


def test_outlines_of_elements_are_measured_as_such() -> None:
    truths, predictions = np.random.default_rng(0).integers(0, 2, (2, 1, 6, 7, 5))
    scores = ("hd", "hd95", "assd", "masd", "surface_dice")
    found = surface_statistics(truths, predictions, [1], (1.0, 2.0, 3.0), scores, 1.0, "elements")
    alone = SurfaceDistances.of(truths[0] == 1, predictions[0] == 1, (1.0, 2.0, 3.0), "elements")
    assert found["assd"].value == pytest.approx(alone.average_symmetric_mm)
    assert found["surface_dice"].value == pytest.approx(alone.surface_dice(1.0))
    assert found["hd95"].value == pytest.approx(alone.hausdorff_percentile_mm())


def patient(seed: int, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, *S) maps of three labels, some of which either map may lack."""
    rng = np.random.default_rng(seed)
    shape = (2, 5, 6) if dimensions == 2 else (1, 3, 4, 5)
    truth, prediction = (rng.integers(0, rng.integers(1, 5), shape) for _ in range(2))
    return truth, np.where(rng.random(shape) < 0.5, truth, prediction)


def statistics(maps: tuple[np.ndarray, np.ndarray]) -> Statistics:
    labels, spacing = (1, 2, 3), (1.0,) * (maps[0].ndim - 1)
    return {**overlap_statistics(*maps, labels, SCORES), **surface_statistics(*maps, labels, spacing, SCORES)}


@settings(max_examples=30, deadline=None)
@given(st.data(), st.integers(2, 3))
def test_every_score_of_any_split_equals_the_pooled_one(data: st.DataObject, dimensions: int) -> None:
    """Merged in any order over any split, means are exactly those of all patients, and to rounding the figures that
    a plain mean over all patients, or the counts of all their voxels together, give.
    """
    seeds = data.draw(st.lists(st.integers(0, 2**31), min_size=1, max_size=6))
    hospital = data.draw(st.lists(st.integers(0, 2), min_size=len(seeds), max_size=len(seeds)))
    patients = [patient(seed, dimensions) for seed in seeds]
    parts = [
        merge(statistics(maps) for maps, own in zip(patients, hospital, strict=True) if own == index)
        for index in range(3)
    ]
    found = merge(parts[index] for index in data.draw(st.permutations(range(3))))
    assert found == merge(map(statistics, patients))
    truths, predictions = (np.concatenate([maps[side] for maps in patients]) for side in range(2))
    together = Counts.of(truths, predictions, (1, 2, 3))
    for name in POOLED:
        figure = OVERLAPS[name.removeprefix("pooled_")](together)
        values = [found[f"{name}_{label}"].value for label in (1, 2, 3)]
        np.testing.assert_allclose(values, figure, rtol=1e-12)
    for name, figure_of in OVERLAPS.items():
        each = np.array([figure_of(Counts.of(*maps, (1, 2, 3))) for maps in patients])
        for index, label in enumerate((1, 2, 3)):
            defined = each[:, index][~np.isnan(each[:, index])]
            assert found[f"{name}_{label}"].weight == len(defined)
            if len(defined):
                assert found[f"{name}_{label}"].value == pytest.approx(defined.mean(), abs=1e-11)
    assert set(found) >= set(SCORES)


def test_pooled_scores_of_all_labels_are_those_of_their_counts_added() -> None:
    truth, prediction = patient(3, 3)
    counts = Counts.of(truth, prediction, (1, 2, 3))
    added = Counts(*(np.array([getattr(counts, name).sum()]) for name in counts.__dataclass_fields__))
    found = overlap_statistics(truth, prediction, (1, 2, 3), ["pooled_dice", "pooled_f2"])
    assert found["pooled_dice"].value == pytest.approx(figures.f_beta(added)[0], rel=1e-12)
    assert found["pooled_f2"].value == pytest.approx(figures.f_beta(added, 2.0)[0], rel=1e-12)


def test_of_very_many_labels_only_means_are_given() -> None:
    labels = range(1, merged.MOST_NAMES + 2)
    truth = np.array([labels])
    assert set(overlap_statistics(truth, truth, labels)) == {"dice"}


def test_a_study_chooses_its_scores_and_an_unknown_one_is_refused() -> None:
    assert TASKS.build(Entry("segmentation")).scores == ("dice", "hd95")
    assert TASKS.build(Entry("segmentation", {"scores": ["assd"], "surface": "elements"})).scores == ("assd",)
    with pytest.raises(UnknownNameError, match="did you mean 'hd95'"):
        TASKS.build(Entry("segmentation", {"scores": ["dice", "hd96"]}))
    with pytest.raises(UnknownNameError, match="did you mean 'elements'"):
        TASKS.build(Entry("segmentation", {"surface": "element"}))
