"""What comes to the doors of the metrics: masks in any numbers and form, against a slow loop; options, by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from itertools import product
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.data.geometry import Geometry
from common.errors import ImageError, UnknownNameError, WardroundError
from common.metrics import _rings
from common.metrics.agreement import cohen_kappa, majority_vote
from common.metrics.bias_variance import of_classes
from common.metrics.borders import box, box_of_both
from common.metrics.calibration import calibration_statistics
from common.metrics.classification import confusion_matrix
from common.metrics.counts import Counts, f_beta
from common.metrics.images import psnr, scores_of_each, ssim
from common.metrics.intervals import wilson
from common.metrics.maps import as_mask
from common.metrics.merged import surface_statistics
from common.metrics.roc import ScoreHistogram
from common.metrics.staple import staple
from common.metrics.strokes import stroke_intensity
from common.metrics.subgroups import opened
from common.metrics.surface import SurfaceDistances, surface_distances
from common.segmentation.atlases import segment
from wardround import imaging

Form = Callable[[np.ndarray], Any]
FORMS: dict[str, Form] = {
    "float64 beyond 1": lambda mask: np.where(mask, np.where(np.indices(mask.shape).sum(0) % 2, -0.5, np.inf), 0),
    "long double": lambda mask: mask.astype(np.longdouble),
    "big-endian, columns first": lambda mask: np.asfortranarray(mask.astype(">i8") * 300),
    "uint8 of 255 backwards": lambda mask: (mask.astype(np.uint8) * np.uint8(255))[::-1].copy()[::-1],
    "uint8 of 255 seen as bool": lambda mask: (mask.astype(np.uint8) * np.uint8(255)).view(np.bool_),
    "memory-mapped": lambda mask: mapped(mask.astype("<u2") * np.uint16(2)),
    "a list": lambda mask: mask.tolist(),
    "every third": lambda mask: np.repeat(mask.astype(np.int8), 3, axis=0)[::3] * np.int8(-1),
    "a tensor": lambda mask: torch.from_numpy(mask).to(torch.bfloat16).requires_grad_(),
}
SEARCHES = [_rings.search_with_numpy, *([_rings.search_with_numba] if _rings.search_with_numba else [])]


def mapped(values: np.ndarray) -> np.ndarray:
    with TemporaryFile() as file:
        file.write(values.tobytes())
        file.flush()
        return np.memmap(file, values.dtype, "r", shape=values.shape)


def outline(mask: np.ndarray) -> list[tuple[int, ...]]:
    """Voxels of the mask with a neighbour outside, along axes of more than one voxel; a slow loop."""
    axes = [axis for axis, size in enumerate(mask.shape) if size > 1] or [mask.ndim - 1]
    found = []
    for place in np.ndindex(mask.shape):
        steps = [(*place[:axis], place[axis] + step, *place[axis + 1 :]) for axis, step in product(axes, (-1, 1))]
        inside = [all(0 <= a < n for a, n in zip(one, mask.shape, strict=True)) and mask[one] for one in steps]
        if mask[place] and not all(inside):
            found.append(place)
    return found


def distances(places: list[tuple[int, ...]], others: list[tuple[int, ...]], side_mm: float) -> list[float]:
    return [min((side_mm * math.dist(place, one) for one in others), default=math.inf) for place in places]


@settings(max_examples=70, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from(sorted(FORMS)), st.sampled_from(sorted(FORMS)),
       st.sampled_from(SEARCHES), st.sampled_from([1.0, 0.5, 3.0]))  # fmt: skip
def test_distances_of_masks_in_any_form_are_those_of_a_slow_loop(
    seed: int, dimensions: int, one: str, other: str, search: _rings.Search, side_mm: float
) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 14 // dimensions, dimensions))
    truth, prediction = rng.random((2, *shape)) < rng.uniform(0.1, 0.9)
    of_truth, of_prediction = outline(truth), outline(prediction)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_rings, "search", search)
        first, second = FORMS[one](truth), FORMS[other](prediction)
        found = SurfaceDistances.of(first, second, side_mm)
    np.testing.assert_allclose(found.to_prediction_mm, distances(of_truth, of_prediction, side_mm))
    np.testing.assert_allclose(found.to_truth_mm, distances(of_prediction, of_truth, side_mm))
    np.testing.assert_array_equal(as_mask(FORMS[one](truth)), truth)


MASK = np.pad(np.ones((2, 3), bool), 2)
IMAGE = np.pad(np.ones((3, 3)), 2)


@cache
def apart() -> SurfaceDistances:
    return SurfaceDistances.of(MASK, np.roll(MASK, 1, 0))


@cache
def nowhere() -> SurfaceDistances:
    return SurfaceDistances.of(MASK, ~MASK & MASK)


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: SurfaceDistances.of(MASK, MASK, outline="voxels"), "No outline 'voxels'; did you mean 'border'"),
    (lambda: SurfaceDistances.of(MASK, MASK, outline="Elements"), "did you mean 'elements'"),
    (lambda: SurfaceDistances.of_many(MASK[None], MASK[None], outline=None), "No outline 'None'"),
    (lambda: surface_distances(MASK, MASK, [1], None, "bogus"), "No outline 'bogus'"),
    (lambda: surface_statistics(MASK[None], MASK[None], [1], (1.0, 1.0), outline="voxel"), "mean 'border'"),
    (lambda: surface_statistics(MASK[None], MASK[None, 1:], [1], (1.0, 1.0)), "maps of one shape"),
    (lambda: surface_statistics(MASK[0], MASK[0], [1], (1.0,)), "one volume"),
    (lambda: apart().hausdorff_percentile_mm(0.95), "from 1 to 100.*is 0.95; did you mean 95"),
    (lambda: nowhere().hausdorff_percentile_mm(101), "percent must"),
    (lambda: apart().hausdorff_percentile_mm(math.nan), "percent must"),
    (lambda: apart().hausdorff_percentile_mm("95"), "percent must"),
    (lambda: apart().hausdorff_percentile_mm(95, "bogus"), "larger, pooled"),
    (lambda: nowhere().surface_dice(-1.0), "tolerance_mm must.*at least 0; it is -1"),
    (lambda: apart().surface_dice(math.nan), "tolerance_mm must"),
    (lambda: apart().surface_overlap([1.0, 2.0]), "tolerance_mm must be one number"),
    (lambda: apart().surface_dice(True), "tolerance_mm must"),
    (lambda: SurfaceDistances.of(MASK, MASK, 0.0), "spacing must be 2 numbers.*or one for all"),
    (lambda: SurfaceDistances.of(MASK, MASK, ("1", "2")), "spacing must be 2 numbers"),
    (lambda: SurfaceDistances.of(MASK, MASK, (1e-200, 1.0)), "spacing must be 2 numbers"),
    (lambda: SurfaceDistances.pooled([]), "one pair or more"),
    (
        lambda: SurfaceDistances.pooled([apart(), SurfaceDistances.of(MASK, MASK, 1, "elements")]),
        "one kind of outline",
    ),
    (lambda: box_of_both(MASK, MASK[1:]), "one shape"),
    (lambda: Counts.of(MASK, MASK, [1.5]), "labels must hold labels, whole"),
    (lambda: Counts.of(MASK, MASK, "12"), "labels must"),
    (lambda: surface_distances(MASK, MASK, [[1], [2]]), "labels must be whole numbers in a row"),
    (lambda: f_beta(Counts.of(MASK, MASK, 1), -1.0), "beta must"),
    (lambda: confusion_matrix(MASK, MASK, 2.5), "classes must be a whole number"),
    (lambda: confusion_matrix(MASK, MASK, 1), "the truth holds"),
    (lambda: confusion_matrix(MASK, MASK[1:], 2), "differ in shape"),
    (lambda: cohen_kappa(MASK, MASK, ["linear"]), "equal, linear, quadratic"),
    (lambda: majority_vote([np.zeros((0, 3)), np.zeros((0, 3))]), "needs a voxel"),
    (lambda: staple(np.float64(3.0)), "two raters or more; 1 came"),
    (lambda: staple([MASK, MASK], -1.0), "tolerance must"),
    (lambda: staple([MASK, MASK], most_iterations=0), "most_iterations must"),
    (lambda: ScoreHistogram.of([0.1, 0.2], [-1, 1]), "0 where a case is negative"),
    (lambda: ScoreHistogram.of(["a", "b"], [0, 1]), "log-odds must"),
    (lambda: calibration_statistics([0.1, math.nan], [0, 1]), "predictions must"),
    (lambda: calibration_statistics([0.1], [0, 1]), "each prediction needs"),
    (lambda: of_classes([[0, 1]], [0, 0.5]), "targets must"),
    (lambda: wilson(0.5, 0), "cases must"),
    (lambda: opened([[1, 2]], 1), r"column 0 must be \(cells, persons\)"),
    (lambda: stroke_intensity(IMAGE.astype(np.uint8) * 255), "of which white is 1"),
    (lambda: psnr(IMAGE, IMAGE, data_range="1"), "data_range must"),
    (lambda: ssim(IMAGE, IMAGE, data_range=1, side_px=3.0001), "side_px of SSIM must"),
    (lambda: scores_of_each(IMAGE[None, None], IMAGE[None, None], data_range=1, names="psnr"), "names must"),
    (lambda: segment(None, [], "bogus"), "No fusion of atlases 'bogus'"),
    (lambda: Geometry.of((3, 4), (1, 1, 1)), "spacing must be numbers of shape"),
    (lambda: Geometry.of((3, 4), "wide"), "spacing must"),
    (lambda: Geometry.of(5), "2 or 3 axes"),
    (lambda: imaging.hausdorff(MASK, MASK, percent=0.95), "did you mean 95"),
    (lambda: imaging.hausdorff(MASK, MASK, percent=50), "95 or 100"),
    (lambda: imaging.measure(MASK, MASK, surface="Voxels"), "did you mean 'voxels'"),
    (lambda: imaging.surface_dice(MASK, MASK, -1.0), "tolerance_mm must"),
    (lambda: imaging.dice(MASK, MASK, "95"), "labels must"),
    (lambda: imaging.measure(MASK, np.ma.masked_array(MASK, MASK)), "a masked array"),
]  # fmt: skip


def test_what_an_option_cannot_be_is_refused_and_the_option_named() -> None:
    for number, (use, said) in enumerate(REFUSED):
        with pytest.raises(WardroundError, match=said) as refused:
            use()
        assert isinstance(refused.value, (ImageError, UnknownNameError)), number


def test_what_an_option_may_be_is_taken_as_it_is_meant() -> None:
    """One spacing for all axes, labels alone or as floats, seeds of an array, truths of any numbers."""
    by_axis = SurfaceDistances.of(MASK, np.roll(MASK, 1, 0), (2.0, 2.0))
    for spacing in (2, np.float32(2), np.array(2), [2, 2], torch.tensor([2.0, 2.0])):
        assert SurfaceDistances.of(MASK, np.roll(MASK, 1, 0), spacing).hausdorff_mm == by_axis.hausdorff_mm
    for labels in (1, np.uint8(1), [1.0], {1}, range(1, 2), (one for one in (1,))):
        assert Counts.of(MASK, MASK, labels).true_positives.tolist() == [6]
    assert apart().hausdorff_percentile_mm(np.float32(100)) == apart().hausdorff_mm
    assert SurfaceDistances.of_many(np.zeros((0, 4, 4)), np.zeros((0, 4, 4))) == []
    assert box(np.ones(())) == ()
    by_bool = opened([MASK], 1)[0].tolist()
    assert opened([MASK.astype(int) * 2], 1)[0].tolist() == by_bool
    for truth in (
        [0, 1, 1, 0],
        [0.0, 0.5, 2, 0],
        np.array([0, 256, 1, 0], ">i2"),
        torch.tensor([False, True, True, False]),
    ):
        assert ScoreHistogram.of([-3, 4, 5, -2], truth).auc == 1.0
