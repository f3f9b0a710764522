"""Thresholds and growing, as a stranger calls them: every dtype and layout, and nothing misread in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.errors import ImageError
from common.segmentation.region_growing import grow
from common.segmentation.threshold import between, classes_of, otsu

PLAIN = np.random.default_rng(0).integers(0, 7, (5, 6))
SEED = tuple(map(int, np.argwhere(PLAIN == 4)[0]))
DTYPES = ["?", "i1", "u1", "<i2", ">i2", "<u4", ">i4", "<i8", ">u8", "<f2", ">f2", "<f4", ">f4", ">f8", "g"]


def laid_out(values: np.ndarray[Any, Any], layout: str, folder: Path) -> Any:
    """The same numbers, elsewhere in memory."""
    if layout == "fortran":
        return np.asfortranarray(values)
    if layout == "strided":
        return np.repeat(np.repeat(values, 2, axis=0), 3, axis=1)[::2, ::3]
    if layout == "read only":
        fixed = values.copy()
        fixed.flags.writeable = False
        return fixed
    if layout == "mapped":
        np.save(folder / "values.npy", values)
        return np.load(folder / "values.npy", mmap_mode="r")
    return values.tolist()


@pytest.mark.parametrize("layout", ["fortran", "strided", "read only", "mapped", "list"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_and_layout_gives_the_masks_of_plain_numbers(dtype: str, layout: str, tmp_path: Path) -> None:
    plain = (PLAIN > 3).astype(np.float64) if dtype == "?" else PLAIN.astype(np.float64)
    given = laid_out(plain.astype(dtype), layout, tmp_path)
    for limits in ((0.5, 4.5), (1, np.int8(4)), (-np.inf, np.float32(3)), (-300.5, 70_000), (0.2, 0.7)):
        expected = (plain >= float(limits[0])) & (plain <= float(limits[1]))
        found = between(given, *limits)
        assert found.dtype == np.bool_ and np.array_equal(found, expected)
    assert otsu(given) == otsu(plain)
    assert np.array_equal(grow(given, [SEED], 0.5, 5, 8), grow(plain, [SEED], 0.5, 5, 8))


def test_limits_are_compared_exactly_where_a_float_would_round() -> None:
    large = np.array([2**53, 2**53 + 1, 2**63 - 1])
    assert between(large, 2**53 + 1).tolist() == [False, True, True]
    assert between(large.astype(np.uint64), upper=2**53).tolist() == [True, False, False]
    assert between(np.array([0, 255], np.uint8), -1, 300).all()
    assert not between(np.array([60_000], np.float16), 70_000).any()
    tenth = np.array([0.1], np.float32)
    assert between(tenth, 0.1).all() and not between(tenth, upper=0.1).any()


def test_nan_lies_nowhere_and_moves_no_threshold() -> None:
    values = np.array([[0.0, 1.0, np.nan, 9.0], [np.inf, 0.5, 10.0, -np.inf]])
    assert between(values).sum() == 7
    assert otsu(values) == otsu(values[np.isfinite(values)])
    assert grow(values, [(0, 0)], -np.inf, np.inf).sum() == 7 - 0
    assert not grow(values, [(0, 2)], -np.inf, np.inf).any()
    assert classes_of(values, otsu(values)).tolist() == [[0, 0, 0, 1], [1, 0, 1, 0]]


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1.0, 1e300, 1.7e308])
def test_otsu_parts_numbers_of_every_size(scale: float) -> None:
    values = scale * np.array([-1.0, -1.0, 1.0])
    (cut,) = otsu(values)
    assert (values > cut).tolist() == (values >= cut).tolist() == [False, False, True]


def test_no_value_equals_a_threshold_even_where_bins_end_at_whole_numbers() -> None:
    values = np.concatenate([np.arange(100), np.arange(157, 257)])
    (cut,) = otsu(values)
    assert 99 < cut < 157
    nearest = np.nextafter(1.0, 2)
    (tight,) = otsu(np.array([1.0, nearest]))
    assert between(np.array([1.0, nearest]), lower=tight).tolist() == [False, True]


def test_otsu_does_not_part_what_one_far_voxel_has_pushed_into_one_bin() -> None:
    values = np.array([0.0, 1.0, 2.0, 1e9])
    with pytest.raises(ImageError, match="2 of 256 equal bins, too few for 3 classes"):
        otsu(values, 3)
    assert len(otsu(values[:3], 3)) == 2


def test_a_lone_slice_of_a_volume_is_grown_as_a_plane() -> None:
    values = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    for place in (0, 1, 2):
        lone = np.expand_dims(values, place)
        seed = tuple(np.insert([0, 0], place, 0).tolist())
        found = [int(grow(lone, [seed], 1, 1, connectivity).sum()) for connectivity in (None, 4, 6, 8, 18, 26)]
        assert found == [1, 1, 1, 3, 3, 3]


def test_seeds_may_be_numpys_and_one_alone_may_stand_for_itself() -> None:
    expected = grow(PLAIN, [SEED], 3, 6)
    for seeds in (np.array([SEED], np.uint8), SEED, [list(SEED)], iter([SEED]), np.array([SEED], ">i2")):
        assert np.array_equal(grow(PLAIN, seeds, 3, 6), expected)  # type: ignore[arg-type]
    assert np.array_equal(grow(torch.from_numpy(PLAIN), [SEED], 3, 6), expected)  # type: ignore[arg-type]


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: between(PLAIN, float("nan")), "the lower threshold must be a number; it is nan"),
    (lambda: between(PLAIN, upper="9"), "the upper threshold must be a number; it is '9'"),  # type: ignore[arg-type]
    (lambda: between(PLAIN, True), "the lower threshold must be a number; it is True"),
    (lambda: between(PLAIN, 3, 2), "must not lie above the upper one"),
    (lambda: between(PLAIN + 1j, 3), "must hold whole or real numbers or bool; its dtype is complex128"),  # type: ignore[arg-type]
    (lambda: between(np.array(["a"]), 3), "must hold whole or real numbers"),
    (lambda: between(None, 3), "must hold whole or real numbers"),  # type: ignore[arg-type]
    (lambda: between([[1], [1, 2]], 3), "must be an array of numbers"),  # type: ignore[arg-type]
    (lambda: between(np.ma.masked_less(PLAIN, 3), 3), "a masked array"),
    (lambda: otsu(np.ones((3, 3))), "2 different values"),
    (lambda: otsu(np.array([])), "2 different values"),
    (lambda: otsu(np.full(4, np.nan)), "2 different values"),
    (lambda: otsu(PLAIN, 2.0), "classes of Otsu's method must be a whole number; it is 2.0"),  # type: ignore[arg-type]
    (lambda: otsu(PLAIN, True), "classes of Otsu's method must be a whole number; it is True"),
    (lambda: otsu(PLAIN, 5), "classes of Otsu's method must be at most 4"),
    (lambda: otsu(PLAIN, 1), "classes of Otsu's method must be at least 2"),
    (lambda: otsu(PLAIN, bins=1), "bins must be at least 2"),
    (lambda: grow(PLAIN, [SEED], 1, 2, "8"), r"connectivity is one of \[4, 8\]; it is '8'"),  # type: ignore[arg-type]
    (lambda: grow(PLAIN, [SEED], 1, 2, 8.0), "connectivity is one of"),  # type: ignore[arg-type]
    (lambda: grow(PLAIN, [SEED], 1, 2, 6), r"in 2D connectivity is one of \[4, 8\]; it is 6"),
    (lambda: grow(PLAIN[0], [(0,)], 1, 2), "needs two or three axes; it has 1"),
    (lambda: grow(PLAIN, [(1.0, 2.0)], 1, 2), r"must be \(N, 2\) whole numbers"),  # type: ignore[list-item]
    (lambda: grow(PLAIN, [(1.7, 2.2)], 1, 2), r"must be \(N, 2\) whole numbers"),  # type: ignore[list-item]
    (lambda: grow(PLAIN, [(1, 2, 3), (1, 2, 3)], 1, 2), r"must be \(N, 2\) whole numbers"),
    (lambda: grow(PLAIN, [(1, 2), (3,)], 1, 2), r"must be \(N, 2\) whole numbers"),
    (lambda: grow(PLAIN, [(True, 2)], 1, 2), r"must be \(N, 2\) whole numbers"),
    (lambda: grow(PLAIN, [(-1, 0)], 1, 2), r"\(5, 6\); \[\(-1, 0\)\] came"),
    (lambda: grow(PLAIN, [(0, 6)], 1, 2), r"\(5, 6\); \[\(0, 6\)\] came"),
    (lambda: grow(PLAIN, [(10**30, 0)], 1, 2), r"must be \(N, 2\) whole numbers"),
    (lambda: grow(PLAIN, PLAIN > 3, 1, 2), r"must be \(N, 2\) whole numbers"),  # type: ignore[arg-type]
    (lambda: grow(PLAIN, [], 1, 2), "none came"),
    (lambda: grow(PLAIN, None, 1, 2), r"seeds must be \(N, 2\) whole numbers, a voxel each; None came"),  # type: ignore[arg-type]
    (lambda: grow(PLAIN, ["a,b"], 1, 2), "whole numbers, a voxel each"),  # type: ignore[list-item]
    (lambda: grow(np.zeros((0, 3)), [(0, 0)], 1, 2), r"image of shape \(0, 3\)"),
    (lambda: grow(PLAIN, [SEED], 2, 1), "must not lie above the upper one"),
]


@pytest.mark.parametrize(("call", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_what_would_be_misread_is_refused_by_name(call: Callable[[], object], said: str) -> None:
    with pytest.raises(ImageError, match=said):
        call()
