"""Volumes on a common spacing, intensities on a scale, and what of the truth is lost by that."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.sources._nifti_volume import Volume
from client.sources._volume_fitting import first_voxel, fitted
from client.sources._volume_intensity import NORMALISATIONS, Normalisation, normalised, windowed
from client.sources._volume_preparation import Preparation, Prepared
from client.sources._volume_sampling import Lattice, resampled
from common.data.geometry import Geometry
from common.data.image import Image
from common.errors import SourceError
from common.metrics.counts import Counts, f_beta
from common.registration.linear import Linear
from common.registration.sampling import resample


def volume(
    labels: Any, image: Any = None, spacing_mm: tuple[float, ...] = (1.0, 1.0, 1.0), classes: int = 3
) -> Volume:
    outlined = np.asarray(labels, np.uint8)
    channel = np.asarray(outlined if image is None else image, np.float32)
    return Volume((channel,), outlined, np.diag([*spacing_mm, 1.0]), np.zeros(classes, np.int64))


def prepared(given: Volume, **options: Any) -> Prepared:
    usual = {
        "sides": (),
        "spacing_mm": (),
        "interpolation": "linear",
        "label_interpolation": "linear",
        "window": (),
        "normalisation": "none",
        "axis": None,
        "slices_per_patient": 0,
        "classes": len(given.hidden),
    }
    return Preparation(**{**usual, **options}).prepared(given)


def test_a_voxel_that_size_cuts_off_lowers_dice_as_the_whole_truth_would() -> None:
    labels = np.zeros((6, 4, 4))
    labels[0, 1, 1], labels[2:4, 1, 1] = 1, 1
    one = prepared(volume(labels), sides=(4, 4, 4))
    assert one.removed.tolist() == [[0, 1, 0]]
    whole = f_beta(Counts.of(labels == 1, (labels == 1) & (np.arange(6) > 0)[:, None, None], [1]))[0]
    assert whole == 2 * 2 / (2 * 2 + 0 + 1)


def test_what_is_cut_from_a_slice_is_counted_there_and_slices_that_are_not_drawn_apart() -> None:
    labels = np.zeros((6, 4, 5))
    labels[0, 1, :], labels[3, 2, :] = 2, 1
    every = prepared(volume(labels), sides=(4, 4), axis=2)
    assert every.removed.tolist() == [[0, 0, 1]] * 5
    some = prepared(volume(labels), sides=(4, 4), axis=2, slices_per_patient=2)
    assert some.removed.tolist() == [[0, 0, 1]] * 2
    assert some.unsampled.tolist() == [[0, 3, 3], [0, 0, 0]]


def test_a_structure_that_vanishes_in_resampling_is_counted_in_new_voxels() -> None:
    labels = np.zeros((9, 9, 9))
    labels[1:7, 1:7, 1:7], labels[8, 8, 8] = 1, 2
    labels[0, 8, 0] = 1
    one = prepared(volume(labels), spacing_mm=(3.0, 3.0, 3.0))
    assert one.targets.shape == (1, 3, 3, 3)
    assert np.count_nonzero(one.targets == 1) == 8
    assert one.removed.tolist() == [[0, 1, 1]]


@pytest.mark.parametrize("how", ["linear", "nearest"])
def test_what_stays_is_not_counted(how: Any) -> None:
    labels = np.zeros((8, 8, 8))
    labels[2:6, 2:6, 2:6] = 1
    for spacing_mm in ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0), (1.0, 2.0, 2.0), (1.3, 0.7, 1.9)):
        assert prepared(volume(labels), spacing_mm=spacing_mm, label_interpolation=how).removed.sum() == 0


def test_halving_the_spacing_of_a_slope_puts_values_between() -> None:
    ramp = np.broadcast_to(np.arange(4.0)[:, None, None], (4, 2, 2))
    new, _ = resampled(volume(np.zeros((4, 2, 2)), ramp), (0.5, 1.0, 1.0), "linear", "nearest")
    assert new.channels[0][:, 0, 0].tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]
    assert new.spacing_mm == (0.5, 1.0, 1.0)
    assert (new.affine @ [0, 0, 0, 1])[0] == -0.25


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_resampling_agrees_with_that_of_registration(data: st.DataObject) -> None:
    draw = data.draw
    shape = tuple(draw(st.integers(2, 7)) for _ in range(3))
    old, new = (tuple(draw(st.sampled_from([0.7, 1.0, 1.5, 2.0])) for _ in range(3)) for _ in range(2))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    values = rng.normal(size=shape).astype(np.float32)
    given_volume = volume(np.zeros(shape), values, old)
    found, _ = resampled(given_volume, new, "linear", "nearest")
    lattice = Geometry(found.channels[0].shape, found.affine)
    assert np.allclose(lattice.centre_mm, Geometry(shape, given_volume.affine).centre_mm)
    expected = resample(
        Image(values, Geometry(shape, given_volume.affine)), lattice, Linear.identity(3), outside=np.nan
    )
    inside = np.isfinite(expected.values)
    np.testing.assert_allclose(found.channels[0][inside], expected.values[inside], atol=1e-4)


def test_cubic_follows_a_parabola_where_linear_cuts_it() -> None:
    parabola = np.broadcast_to((np.arange(12.0) ** 2)[:, None, None], (12, 2, 2))
    lattice = Lattice((12, 2, 2), (1.0, 1.0, 1.0), (0.5, 1.0, 1.0))
    places = (lattice.scale[0] * np.arange(lattice.shape[0]) + lattice.start[0])[8:-8]
    errors = {
        order: np.abs(lattice.sampled(parabola.astype(np.float32), order)[8:-8, 0, 0] - places**2).max()
        for order in (1, 3)
    }
    assert errors[3] < 0.02
    assert errors[1] > 0.05


def test_labels_of_a_third_class_are_never_made_between_two() -> None:
    labels = np.zeros((6, 3, 3))
    labels[3:] = 2
    for how in ("linear", "nearest"):
        new = prepared(volume(labels), spacing_mm=(0.4, 1.0, 1.0), label_interpolation=how)
        assert set(np.unique(new.targets)) == {0, 2}


def test_a_spacing_that_would_fill_the_memory_is_refused() -> None:
    with pytest.raises(SourceError, match="makes 64000000000000 voxels"):
        Lattice((4, 4, 4), (1.0, 1.0, 1.0), (1e-4, 1e-4, 1e-4))


def test_a_lone_slice_keeps_its_one_voxel() -> None:
    assert prepared(volume(np.ones((4, 4, 1))), spacing_mm=(2.0, 2.0, 5.0)).targets.shape == (1, 2, 2, 1)


@pytest.mark.parametrize("axis", [None, 0, 1, 2])
def test_the_affine_says_where_each_voxel_of_a_case_came_from(axis: int | None) -> None:
    shape = (5, 7, 9)
    affine = np.array([[0, -2.0, 0, 5], [1.0, 0, 0, -3], [0, 0, 3.0, 8], [0, 0, 0, 1]])
    places = np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    sides = (4,) * (3 if axis is None else 2)
    for world in range(3):
        one = Volume(
            (places[..., world].astype(np.float32),), np.ones(shape, np.uint8), affine, np.zeros(2, np.int64)
        )
        cases = prepared(one, axis=axis, sides=sides)
        for image, own in zip(cases.inputs[:, 0], cases.affines, strict=True):
            whole = image if axis is None else np.expand_dims(image, axis)
            found = np.moveaxis(np.indices(whole.shape), 0, -1) @ own[:3, :3].T + own[:3, 3]
            np.testing.assert_allclose(found[..., world], whole)


def test_cropping_and_filling_keep_the_middle_where_it_was() -> None:
    values = np.arange(5)[None]
    assert fitted(values, (3,), np.int64(-1)).tolist() == [[1, 2, 3]]
    assert fitted(values, (8,), np.int64(-1)).tolist() == [[-1, 0, 1, 2, 3, 4, -1, -1]]
    assert (first_voxel((5,), (3,)), first_voxel((5,), (8,)), first_voxel((5,), ())) == ((1,), (-1,), (0,))


def test_intensities_by_hand() -> None:
    image = np.array([-1000, 0, 100, 300, 3000], np.float32)
    cut = windowed(image, (-100.0, 300.0))
    assert cut.tolist() == [-100, 0, 100, 300, 300]
    assert normalised(cut, "minmax", (-100.0, 300.0)).tolist() == [0, 0.25, 0.5, 1, 1]
    assert normalised(np.array([2, 4], np.float32), "minmax").tolist() == [0, 1]
    assert normalised(np.array([2, 4], np.float32), "zscore").tolist() == [-1, 1]
    assert normalised(np.array([0, 2, 4, 0], np.float32), "zscore_nonzero").tolist() == [0, -1, 1, 0]
    assert normalised(image, "none").tolist() == image.tolist()


@pytest.mark.parametrize("how", NORMALISATIONS)
@pytest.mark.parametrize("value", [0.0, 7.0])
def test_an_image_of_one_value_is_finite(how: Normalisation, value: float) -> None:
    assert np.isfinite(normalised(np.full((3, 3), value, np.float32), how)).all()
    assert set(NORMALISATIONS) == set(get_args(Normalisation))


def test_what_lies_beyond_is_the_least_of_its_own_channel() -> None:
    channels = (np.full((2, 2, 2), 3, np.float32), np.full((2, 2, 2), -7, np.float32))
    one = Volume(channels, np.zeros((2, 2, 2), np.uint8), np.eye(4), np.zeros(2, np.int64))
    assert prepared(one, sides=(4, 4, 4)).inputs[0, :, 0, 0, 0].tolist() == [3, -7]
