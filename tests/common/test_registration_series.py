"""Series, groups and strain, by phantoms whose motion is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from torch import Tensor

from common.data.geometry import Geometry
from common.data.image import Image
from common.data.series import Series, read_series
from common.errors import ImageError
from common.registration.displacement import DisplacementField, sampled
from common.registration.groups import centred, group_template
from common.registration.linear import Linear
from common.registration.motion import correct_motion, framewise_displacement, motion_parameters
from common.registration.sampling import resample
from common.registration.strain import strain
from common.registration.transform import NumericalInverse, Transform

PLANE = Geometry.of((24, 22), 2.0, (-23.0, -21.0))


def scene(seed: int = 0) -> Image:
    wide = Geometry.of((40, 38), 2.0, (-39.0, -37.0))
    return Image(gaussian_filter(np.random.default_rng(seed).normal(size=wide.shape), 2), wide)


def moved(transform: Transform) -> np.ndarray:
    return resample(scene(), PLANE, transform).values


def test_a_volume_that_moved_is_found_and_brought_back() -> None:
    turn = Linear.of(Rotation.from_euler("z", 4, degrees=True).as_matrix()[:2, :2], [3.0, -2.0])
    flat = Series(np.stack([moved(Linear.identity(2)), moved(turn.inverse()), moved(Linear.identity(2))]), PLANE, 2.0)
    found = correct_motion(flat, rounds=1)
    there = found.shifts_mm - found.shifts_mm[0]
    np.testing.assert_allclose(found.turns_deg[:, 0] - found.turns_deg[0, 0], [0, 4, 0], atol=0.5)
    assert np.linalg.norm(there[1] - (turn.matrix[:2, :2].numpy() @ PLANE.centre_mm + [3, -2])) < 0.4
    assert found.steps_mm[0] == 0
    assert (found.steps_mm[1:] > 5).all()
    inner = (slice(4, -4),) * 2
    spread = [float(series.values.std(axis=0)[inner].mean()) for series in (flat, found.series)]
    assert spread[1] < 0.3 * spread[0]
    assert found.series.step_s == 2.0


def test_parameters_are_about_the_point_that_is_named_and_steps_are_summed_lengths() -> None:
    centre = np.array([10.0, -5.0, 3.0])
    turn = Linear.of(Rotation.from_euler("xyz", [1, 2, 3], degrees=True).as_matrix(), [0.5, 0, -1], centre)
    shifts, turns = motion_parameters([Linear.identity(3), turn], centre)
    np.testing.assert_allclose(shifts, [[0, 0, 0], [0.5, 0, -1]], atol=1e-12)
    np.testing.assert_allclose(turns, [[0, 0, 0], [1, 2, 3]], atol=1e-9)
    np.testing.assert_allclose(framewise_displacement(shifts, turns), [0, 1.5 + 50 * np.deg2rad(6)])


def test_a_file_without_a_fourth_axis_is_no_series(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), np.float32), np.eye(4)), tmp_path / "scan.nii")
    nib.save(nib.Nifti1Image(np.full((2, 2, 2, 2), np.nan, np.float32), np.eye(4)), tmp_path / "nan.nii")
    for name, said in (("scan.nii", "must hold a series"), ("nan.nii", "not finite"), ("gone.nii", "no file")):
        with pytest.raises(ImageError, match=said):
            read_series(tmp_path / name)


def marked_blob(y_mm: float, x_mm: float) -> Image:
    """With a bright and a dark mark on it, which tell which way round it is."""
    y, x = np.moveaxis(np.indices(PLANE.shape), 0, 0) * 2.0
    parts = ((1.0, 0, 0, 7, 5), (0.8, 8, 5, 3, 3), (-0.7, -6, 6, 3, 2.5))
    values = [h * np.exp(-(((y - y_mm - a) / s) ** 2 + ((x - x_mm - b) / t) ** 2)) for h, a, b, s, t in parts]
    return Image(np.sum(values, axis=0), PLANE)


def test_a_template_lies_in_the_middle_of_its_group_whichever_image_comes_first() -> None:
    places = np.array([(16.0, 20.0), (24.0, 20.0), (23.0, 29.0)])
    group = group_template([marked_blob(*place) for place in places], "rigid", "ssd", rounds=1)
    for place, transform in zip(places + PLANE.origin_mm, group.transforms, strict=True):
        matrix = transform.matrix.numpy()
        in_template = np.linalg.solve(matrix[:2, :2], place - matrix[:2, 2]) - PLANE.origin_mm
        np.testing.assert_allclose(in_template, places.mean(axis=0), atol=0.7)
    assert group.doubts == ()


def test_blobs_without_a_mark_are_not_turned_for_the_place_they_lie_at() -> None:
    """Their mean is longer the other way than they are."""
    places = ((22.0, 8.0), (22.0, 34.0))
    y, x = np.indices(PLANE.shape) * 2.0
    blobs = [Image(np.exp(-(((y - a) / 7) ** 2 + ((x - b) / 4) ** 2)), PLANE) for a, b in places]
    group = group_template(blobs, "rigid", "ssd", rounds=1)
    for transform in group.transforms:
        assert abs(float(transform.matrix[0, 1])) < 0.1


def test_the_mean_of_what_was_centred_is_nothing() -> None:
    rng = np.random.default_rng(0)
    linear = [Linear.of(np.eye(2) + 0.1 * rng.normal(size=(2, 2)), rng.normal(size=2)) for _ in range(3)]
    logs = [torch.from_numpy(one.matrix.numpy()) for one in centred(linear, PLANE)]
    assert np.abs(np.mean([_logarithm(one.numpy()) for one in logs], axis=0)).max() < 0.01
    fields = [
        DisplacementField(torch.from_numpy(gaussian_filter(rng.normal(size=(2, 24, 22)), (0, 4, 4)) * 10), PLANE)
        for _ in range(3)
    ]
    left = torch.stack([sampled(one, PLANE).vectors for one in centred(fields, PLANE)]).mean(dim=0)
    before = torch.stack([one.vectors for one in fields]).mean(dim=0)
    assert float(left[:, 4:-4, 4:-4].abs().mean()) < 0.1 * float(before.abs().mean())


def _logarithm(matrix: np.ndarray) -> np.ndarray:
    """By its series, near the identity."""
    away, power, total = matrix - np.eye(len(matrix)), np.eye(len(matrix)), np.zeros(matrix.shape)
    for order in range(1, 60):
        power = power @ away
        total += (-1) ** (order + 1) * power / order
    return total


@pytest.mark.parametrize(
    ("matrix", "wanted"),
    [
        ([[1.0, 0.3], [0.0, 1.0]], [[0.0, 0.15], [0.15, 0.045]]),
        ([[1.2, 0.0], [0.0, 0.9]], [[0.22, 0.0], [0.0, -0.095]]),
        (Rotation.from_euler("z", 40, degrees=True).as_matrix()[:2, :2], np.zeros((2, 2))),
    ],
)
def test_strain_of_shear_stretch_and_turn_is_that_of_the_formula(matrix: object, wanted: object) -> None:
    found = strain(Linear.of(matrix, [5.0, 6.0]), PLANE)
    np.testing.assert_allclose(found.tensor, np.broadcast_to(wanted, found.tensor.shape), atol=1e-9)


@dataclass(frozen=True)
class Ring:
    """An incompressible ring that narrows: r -> sqrt(r^2 - c); the ventricle's usual phantom."""

    c: float
    dimensions: int = 2

    def map_points(self, points: Tensor) -> Tensor:
        """(..., 2)."""
        square = (points**2).sum(-1, keepdim=True)
        return points * ((square - self.c) / square).sqrt()

    def inverse(self) -> Transform:
        """Of the same kind."""
        return NumericalInverse(self)


def test_a_contracting_ring_shortens_round_and_thickens_across_as_it_must() -> None:
    """E_rr = (r^2 / (r^2 - c) - 1) / 2, E_cc = -c / (2 r^2), and no volume is lost."""
    ring, geometry = Ring(60.0), Geometry.of((12, 4), 1.0, (10.0, 6.0))
    found = strain(ring, geometry, step_voxels=0.01)
    points = np.moveaxis(np.indices(geometry.shape), 0, -1) + np.array([10.0, 6.0])
    square = (points**2).sum(-1)
    np.testing.assert_allclose(found.along(points), (square / (square - 60) - 1) / 2, rtol=1e-4)
    across = np.stack([-points[..., 1], points[..., 0]], axis=-1)
    np.testing.assert_allclose(found.along(across), -60 / (2 * square), rtol=1e-4)
    np.testing.assert_allclose(found.volume_ratio, 1, atol=1e-4)
    assert (found.principal[..., 0] < 0).all()
    assert (found.principal[..., 1] > 0).all()
