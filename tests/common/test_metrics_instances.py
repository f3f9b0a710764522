"""Lesions one by one: figures by hand, a slow oracle, and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import variation_of_information

from common.errors import ImageError, UnknownNameError
from common.metrics.instances import Detection, instances
from common.metrics.merged_lesions import lesion_statistics
from common.metrics.partition_information import segmentation_entropies
from common.sums.mean import merge


def drawn(text: str) -> np.ndarray:
    """Rows of digits as a map."""
    return np.array([[int(one) for one in row] for row in text.split()])


TRUTH = drawn("11000022 11000022 00000000 33330000 00000044")
PREDICTION = drawn("11100000 11100000 00000000 22033000 00000044")


def test_lesions_are_found_missed_invented_and_split_by_hand() -> None:
    """IoU 4 / 6 and 1 of two; the row of 4 is split in 2 (IoU 2 / 4) and 2 (1 / 5); one is missed."""
    found = Detection.of_maps(TRUTH, PREDICTION, threshold=0.6)
    assert found == Detection(2, 2, 2, 4 / 6 + 1, split=0, merged=0)
    assert (found.sensitivity, found.precision, found.f1) == (0.5, 0.5, 0.5)
    assert found.segmentation_quality == pytest.approx(5 / 6)
    assert found.panoptic_quality == pytest.approx(5 / 12)
    halves = Detection.of_maps(drawn("1111000 0000000"), drawn("1102200 0000000"))
    assert (halves.matched, halves.missed, halves.invented, halves.split) == (1, 0, 1, 0)
    assert Detection.of_maps(drawn("11111"), drawn("11022")).split == 1
    assert Detection.of_maps(drawn("11022"), drawn("11111")).merged == 1


def test_the_best_sum_is_not_what_the_best_pair_leads_to() -> None:
    """Greedy takes .5 and leaves .33 without a partner; together .4 and .33 are more."""
    truth = drawn("1111122200")
    prediction = drawn("0011222220")
    greedy, optimal = (Detection.of_maps(truth, prediction, 0.1, way) for way in ("greedy", "optimal"))
    assert greedy.matched_iou <= optimal.matched_iou and (greedy.matched, optimal.matched) == (2, 2)
    crossed = drawn("111122"), drawn("211112")
    assert Detection.of_maps(*crossed, 0.1).matched_iou == pytest.approx(3 / 5 + 1 / 3)


@pytest.mark.parametrize(
    ("true", "predicted", "expected"),
    [(0, 0, (None,) * 5), (0, 1, (0, None, 0, None, 0)), (1, 0, (0, 0, None, None, 0))],
)
def test_empty_masks_follow_the_table(true: int, predicted: int, expected: tuple[float | None, ...]) -> None:
    found = Detection.of(np.full((3, 3), true), np.full((3, 3), predicted))
    figures = (found.f1, found.sensitivity, found.precision, found.segmentation_quality, found.panoptic_quality)
    assert tuple(None if np.isnan(one) else one for one in figures) == expected


def test_corners_join_what_faces_part_and_a_lone_slice_is_a_plane() -> None:
    diagonal = np.eye(3)[:, :, None]
    assert instances(diagonal).max() == 1 and instances(diagonal, "faces").max() == 3


def test_what_cannot_be_matched_is_named() -> None:
    mask = np.ones((2, 2))
    with pytest.raises(UnknownNameError, match="did you mean 'corners'"):
        instances(mask, "corner")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="did you mean 'optimal'"):
        Detection.of(mask, mask, matching="hungarian")  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="must be one number from 1e-12 to 1"):
        Detection.of(mask, mask, threshold=50)
    with pytest.raises(ImageError, match="one shape"):
        Detection.of(mask, np.ones((2, 3)))


maps = st.lists(st.integers(0, 4), min_size=24, max_size=24).map(lambda values: np.array(values).reshape(4, 6))


@settings(max_examples=30)
@given(truth=maps, prediction=maps, threshold=st.sampled_from((0.1, 0.5, 1.0)))
def test_figures_are_those_of_sets_of_voxels(truth: np.ndarray, prediction: np.ndarray, threshold: float) -> None:
    true, predicted = (
        [{*map(tuple, np.argwhere(values == one))} for one in np.unique(values) if one]
        for values in (truth, prediction)
    )
    iou = {(i, j): len(a & b) / len(a | b) for i, a in enumerate(true) for j, b in enumerate(predicted)}
    left = {pair: value for pair, value in iou.items() if value >= threshold}
    total, count = 0.0, 0
    while left:
        best = max(left, key=lambda pair: left[pair])
        total, count = total + left[best], count + 1
        left = {pair: value for pair, value in left.items() if pair[0] != best[0] and pair[1] != best[1]}
    found = Detection.of_maps(truth, prediction, threshold)
    if threshold >= 0.5:
        assert found.matched == count and found.matched_iou == pytest.approx(total)
    assert found.matched + found.missed == len(true) and found.matched + found.invented == len(predicted)
    assert found.split == sum(
        len(parts := [b for b in predicted if 2 * len(a & b) > len(b)]) > 1
        and 2 * sum(len(a & b) for b in parts) > len(a)
        for a in true
    )
    back = Detection.of_maps(prediction, truth, threshold)
    assert (back.matched, back.missed, back.merged) == (found.matched, found.invented, found.split)
    assert Detection.of_maps(truth, prediction, threshold, "optimal").matched_iou >= found.matched_iou - 1e-12
    expected = variation_of_information(*(np.pad(values, ((0, 6), (0, 0))) for values in (truth, prediction)))
    assert segmentation_entropies(truth, prediction, outside=36) == pytest.approx(tuple(expected), abs=1e-12)


def test_hospitals_means_are_the_figures_of_all_their_lesions() -> None:
    parts = [Detection(3, 1, 2, 2.25), Detection(0, 4, 0), Detection(0, 0, 5), Detection()]
    merged, together = merge(part.statistics() for part in parts), sum(parts, Detection())
    assert merged["lesion_f1"].value == pytest.approx(together.f1)
    assert merged["panoptic_quality"].value == pytest.approx(together.panoptic_quality)
    assert merged["segmentation_quality"].value == pytest.approx(together.segmentation_quality)
    assert merged["lesion_sensitivity"].value == pytest.approx(together.sensitivity)
    assert np.isnan(Detection().statistics()["lesion_precision"].value)


def test_a_patients_slices_are_counted_one_by_one_and_merge_with_other_patients() -> None:
    truth, prediction = np.stack([TRUTH > 0, TRUTH == 1]), np.stack([PREDICTION > 0, TRUTH == 1])
    empty = np.zeros((1, 4, 4))
    parts = [
        lesion_statistics(*pair, [1, 2], ["lesion_f1", "dice"]) for pair in ((truth, prediction), (empty, empty))
    ]
    slices = [Detection.of(*pair) for pair in zip(truth, prediction, strict=True)]
    found = merge(parts)
    assert set(found) == {"lesion_f1", "lesion_f1_1", "lesion_f1_2"} and np.isnan(found["lesion_f1_2"].value)
    assert found["lesion_f1"].value == pytest.approx(sum(slices, Detection()).f1)
    assert lesion_statistics(truth, prediction, [1], ["dice"]) == {}
