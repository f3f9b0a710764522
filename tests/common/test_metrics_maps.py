"""What may be given as a mask or a label map: every dtype and layout means the same, and a lone slice is two axes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ImageError
from common.metrics import _rings, nearest
from common.metrics.agreement import cohen_kappa, dice_matrix, fleiss_kappa, fleiss_kappa_of_votes, majority_vote
from common.metrics.borders import border, box
from common.metrics.classification import confusion_matrix
from common.metrics.counts import Counts, f_beta
from common.metrics.maps import as_labels, as_mask
from common.metrics.merged import overlap_statistics, surface_statistics
from common.metrics.overlap import Overlap, dice
from common.metrics.roc import ScoreHistogram
from common.metrics.staple import staple
from common.metrics.surface import SurfaceDistances, surface_distances

DTYPES = ["?", *(f"{order}{kind}{size}" for order in "<>" for kind, sizes in
                 (("i", (1, 2, 4, 8)), ("u", (1, 2, 4, 8)), ("f", (2, 4, 8))) for size in sizes)]  # fmt: skip


def _not_aligned(values: np.ndarray) -> np.ndarray:
    room = np.zeros(values.nbytes + 1, np.uint8)
    shifted = (
        room[1:].view(values.dtype)
        if values.dtype.itemsize == 1
        else np.frombuffer(room.data, values.dtype, values.size, 1)
    )
    answer = shifted.reshape(values.shape)
    answer[...] = values
    return answer


def _read_only(values: np.ndarray) -> np.ndarray:
    kept = values.copy()
    kept.flags.writeable = False
    return kept


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda values: values,
    "of columns": np.asfortranarray,
    "every second": lambda values: np.repeat(values, 2, axis=-1)[..., ::2],
    "backwards": lambda values: values[..., ::-1].copy()[..., ::-1],
    "not aligned": _not_aligned,
    "read only": _read_only,
}
SEARCHES = [_rings.search_with_numpy, *([_rings.search_with_numba] if _rings.search_with_numba else [])]
REFUSED = [
    np.array([[0, 1], [None, 1]], object),
    np.array([[0, 1], [1, 1j]]),
    np.array([["0", "1"], ["1", "1"]]),
    np.array([[0, np.nan], [1, 1]]),
    np.array([[0, 1], [1, 1]], "m8[s]"),
    np.ma.masked_array([[0, 1], [1, 1]], mask=[[True, False], [False, False]]),
]


def disc(centre: tuple[int, int]) -> np.ndarray:
    rows, columns = np.ogrid[:40, :40]
    return np.asarray((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= 81)


def figures(found: SurfaceDistances) -> list[float]:
    return [
        found.hausdorff_mm,
        found.hausdorff_percentile_mm(),
        found.average_symmetric_mm,
        found.mean_average_mm,
        found.surface_dice(1.0),
    ]


def measured(truth: np.ndarray, prediction: np.ndarray, outline: nearest.Outline) -> list[object]:
    """Of every figure that takes masks."""
    one = SurfaceDistances.of(truth, prediction, (1.0, 2.0), outline)
    (many,) = SurfaceDistances.of_many(truth[None], prediction[None], (1.0, 2.0), outline)
    return [
        figures(one), one.surface_overlap(1.0), figures(many), border(truth).tolist(), box(prediction),
        ScoreHistogram.of(np.linspace(-9, 9, truth.size), truth.reshape(-1)).auc,
    ]  # fmt: skip


def measured_labels(truth: np.ndarray, prediction: np.ndarray) -> list[object]:
    """Of every figure that takes maps of class indices."""
    surfaces = surface_distances(truth, prediction, [1, 2])
    merged = {
        **overlap_statistics(truth, prediction, [1, 2], ["dice", "pooled_jaccard"]),
        **surface_statistics(truth[None], prediction[None], [1, 2], (1.0, 1.0), ["hd", "surface_dice"]),
    }
    many = Counts.of(truth, prediction, range(12))
    both = [truth, prediction]
    return [
        [figures(surfaces[label]) for label in (1, 2)], merged, many.true_positives.tolist(),
        f_beta(Counts.of(truth, prediction, [1])).tolist(), dice(Overlap.of(truth, prediction, 3)).tolist(),
        confusion_matrix(truth, prediction, 3).tolist(), dice_matrix(both, 1).tolist(), cohen_kappa(*both),
        fleiss_kappa(both), majority_vote(both).tolist(), staple(both, most_iterations=5).truth.tolist(),
    ]  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(DTYPES), st.sampled_from(DTYPES), st.sampled_from(sorted(LAYOUTS)), st.sampled_from(SEARCHES),
       st.sampled_from(["border", "mask", "elements"]), st.sampled_from([1, 2, 64, 100]))  # fmt: skip
def test_a_mask_of_any_numbers_has_the_figures_of_what_is_not_zero(
    one: str, other: str, layout: str, search: _rings.Search, outline: nearest.Outline, value: int
) -> None:
    truth, prediction = disc((20, 20))[5:20:3, ::4], disc((24, 16))[5:20:3, ::4]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_rings, "search", search)
        wanted = measured(truth, prediction, outline)
        given_as = [
            LAYOUTS[layout]((mask * np.uint8(value)).astype(dtype))
            for mask, dtype in ((truth, one), (prediction, other))
        ]
        np.testing.assert_equal(measured(given_as[0], given_as[1], outline), wanted)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(DTYPES[1:]), st.sampled_from(DTYPES[1:]), st.sampled_from(sorted(LAYOUTS)))
def test_a_map_of_labels_in_any_numbers_has_the_same_figures(one: str, other: str, layout: str) -> None:
    truth, prediction = (disc(centre).astype(np.int64)[5:20:3, ::4] for centre in ((20, 20), (24, 16)))
    truth[:2] *= 2
    given_as = [LAYOUTS[layout](values.astype(dtype)) for values, dtype in ((truth, one), (prediction, other))]
    np.testing.assert_equal(measured_labels(*given_as), measured_labels(truth, prediction))


@pytest.mark.parametrize("given_as", REFUSED, ids=lambda values: str(values.dtype))
def test_what_is_no_mask_and_no_map_is_refused_by_name(given_as: np.ndarray) -> None:
    fine = np.array([[0, 1], [1, 1]])
    for use in (
        lambda: SurfaceDistances.of(fine, given_as), lambda: SurfaceDistances.of_many(fine[None], given_as[None]),
        lambda: Counts.of(fine, given_as, [1]), lambda: surface_distances(fine, given_as, [1]),
        lambda: confusion_matrix(fine, given_as, 2), lambda: Overlap.of(fine, given_as, 2),
        lambda: overlap_statistics(fine, given_as, [1]), lambda: surface_statistics(fine, given_as, [1], (1.0,)),
    ):  # fmt: skip
        with pytest.raises(ImageError, match="the prediction must"):
            use()
    for agreed in (cohen_kappa, lambda *both: staple(both), lambda *both: majority_vote(both)):
        with pytest.raises(ImageError, match="rater 2 must"):
            agreed(fine, given_as)  # type: ignore[operator]
    with pytest.raises(ImageError, match="the mask must"):
        border(given_as)
    with pytest.raises(ImageError, match="votes must"):
        fleiss_kappa_of_votes(given_as)
    with pytest.raises(ImageError, match="the truth must"):
        ScoreHistogram.of(np.zeros((2, 2)), given_as)


def test_labels_that_are_not_whole_are_refused_and_large_ones_stay_exact() -> None:
    for values in ([0.5, 1.0], [np.inf, 1.0], [2.0**60, 1.0]):
        with pytest.raises(ImageError, match="whole numbers"):
            as_labels(values)
    with pytest.raises(ImageError, match=r"below 2\^63"):
        as_labels(np.array([2**63], np.uint64))
    assert as_labels(np.array([2**63 - 1], np.uint64)).tolist() == [2**63 - 1]
    assert as_mask([0.0, -0.0, 1e-30, -2, np.inf]).tolist() == [False, False, True, True, True]


@pytest.mark.parametrize("shape", [(40, 40, 1), (1, 40, 40), (40, 1, 40), (40, 40, 1, 1), (1, 40, 1, 40)])
@pytest.mark.parametrize(
    ("outline", "hd95", "assd", "surface_dice"), [("border", 2.0, 1.2092, 0.375), ("elements", 2.0, 1.0618, 0.5698)]
)
def test_an_axis_of_one_voxel_is_no_axis(
    shape: tuple[int, ...], outline: nearest.Outline, hd95: float, assd: float, surface_dice: float
) -> None:
    """Two discs of 9 mm two voxels apart. Were the faces of a lone slice outline, ASSD would be 0.186."""
    truth, prediction = disc((20, 20)), disc((22, 20))
    spacing = tuple(1.0 if size == 40 else 7.0 for size in shape)
    flat = figures(SurfaceDistances.of(truth, prediction, (1.0, 1.0), outline))
    assert flat[1:3] == pytest.approx([hd95, assd], abs=1e-4)
    assert flat[4] == pytest.approx(surface_dice, abs=1e-4)
    lone, other = truth.reshape(shape), prediction.reshape(shape)
    assert figures(SurfaceDistances.of(lone, other, spacing, outline)) == flat
    assert figures(SurfaceDistances.of_many(lone[None], other[None], spacing, outline)[0]) == flat
    assert np.array_equal(border(lone), border(truth).reshape(shape))
    scores = [
        surface_statistics(one[None], two[None], [1], mm, ["hd95", "assd", "surface_dice"], 1.0, outline)
        for one, two, mm in ((lone, other, spacing), (truth, prediction, (1.0, 1.0)))
    ]
    assert scores[0] == scores[1]


def test_a_structure_in_one_slice_of_many_keeps_all_axes() -> None:
    """Every voxel of it is outline, for the slices above and below are outside."""
    volume = np.zeros((5, 5, 3), bool)
    volume[1:4, 1:4, 1] = True
    assert border(volume).sum() == 9
    assert len(SurfaceDistances.of(volume, volume).to_truth_mm) == 9


def test_a_line_is_measured_along_itself_and_a_voxel_against_itself() -> None:
    truth, prediction = np.zeros((9, 1, 1)), np.zeros((9, 1, 1))
    truth[2:5], prediction[4:8] = 1, 1
    found = SurfaceDistances.of(truth, prediction, (3.0, 1.0, 1.0))
    assert found.to_truth_mm.tolist() == [0.0, 9.0] and found.to_prediction_mm.tolist() == [6.0, 0.0]
    voxel = np.ones((1, 1, 1), bool)
    assert figures(SurfaceDistances.of(voxel, voxel)) == [0.0, 0.0, 0.0, 0.0, 1.0]
    assert SurfaceDistances.of(voxel, ~voxel).hausdorff_mm == np.inf
    with pytest.raises(ImageError, match="2 or 3 axes of several voxels"):
        SurfaceDistances.of(truth, prediction, outline="elements")


def test_the_spacing_across_a_lone_slice_is_not_asked_for() -> None:
    mask = disc((20, 20))[..., None]
    assert figures(SurfaceDistances.of(mask, mask, (1.0, 1.0, 0.0)))[0] == 0
    with pytest.raises(ImageError, match="3 numbers"):
        SurfaceDistances.of(mask, mask, (1.0, 1.0))
