"""The coordinate convention: voxel, world, cube."""

from __future__ import annotations

import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.data.geometry import Geometry
from common.data.image import Image, read_image, read_labels, write_image
from common.errors import ImageError


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=3, max_size=3)))
    spacing = draw(st.lists(st.floats(0.1, 5), min_size=3, max_size=3))
    origin = draw(st.lists(st.floats(-100, 100), min_size=3, max_size=3))
    return Geometry.of(shape, spacing, origin, _rotation(draw(st.floats(-3, 3))))


def test_points_go_where_they_were_worked_out_by_hand() -> None:
    geometry = Geometry.of((4, 2), (2.0, 3.0), (10.0, 20.0))
    assert geometry.voxel_to_world([1, 1]).tolist() == [12.0, 23.0]
    assert geometry.voxel_to_cube([-0.5, -0.5]).tolist() == [-1.0, -1.0]
    assert geometry.voxel_to_cube([3.5, 1.5]).tolist() == [1.0, 1.0]
    assert geometry.centre_mm.tolist() == [13.0, 21.5]


@given(geometries(), st.integers(0, 2**32 - 1))
def test_every_way_there_and_back_ends_where_it_began(geometry: Geometry, seed: int) -> None:
    points = np.random.default_rng(seed).normal(scale=10, size=(5, 3))
    np.testing.assert_allclose(geometry.world_to_voxel(geometry.voxel_to_world(points)), points, atol=1e-8)
    np.testing.assert_allclose(geometry.world_to_cube(geometry.cube_to_world(points)), points, atol=1e-8)
    np.testing.assert_allclose(geometry.cube_to_voxel(geometry.voxel_to_cube(points)), points, atol=1e-8)


@given(geometries())
def test_spacing_origin_and_direction_make_the_geometry_again(geometry: Geometry) -> None:
    again = Geometry.of(geometry.shape, geometry.spacing_mm, geometry.origin_mm, geometry.direction)
    assert again.same_place(geometry, 1e-9)


@given(geometries(), st.tuples(*[st.integers(1, 9)] * 3))
def test_a_resized_image_fills_the_same_cube(geometry: Geometry, shape: tuple[int, int, int]) -> None:
    corners = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T
    np.testing.assert_allclose(
        geometry.resized(shape).cube_to_world(corners), geometry.cube_to_world(corners), atol=1e-9
    )


def test_the_cube_is_torchs_own() -> None:
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    point = Geometry.of((3, 4)).voxel_to_cube([2, 1])
    grid = torch.tensor(point[::-1].copy(), dtype=torch.float32).reshape(1, 1, 1, 2)
    assert torch.nn.functional.grid_sample(image, grid, align_corners=False).item() == pytest.approx(9.0)


@pytest.mark.parametrize(
    ("shape", "affine", "said"),
    [
        ((3,), np.eye(2), "2 or 3 axes"),
        ((3, 0), np.eye(3), "none of them empty"),
        ((3, 3), np.eye(4), "must be 3 x 3"),
        ((3, 3), np.diag([1, np.nan, 1]), "finite"),
        ((3, 3), np.diag([1.0, 0.0, 1.0]), "cannot be inverted"),
        ((3, 3), np.diag([1.0, 1.0, 2.0]), "last row"),
    ],
)
def test_a_geometry_that_cannot_be_is_refused(shape: tuple[int, ...], affine: np.ndarray, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        Geometry(shape, affine)


def test_an_image_comes_back_from_its_file(tmp_path: Path) -> None:
    geometry = Geometry.of((3, 4, 5), (1, 2, 0.5), (-7, 8, 9), _rotation(0.3))
    values = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    write_image(Image(values, geometry), tmp_path / "new/image.nii.gz")
    back = read_image(tmp_path / "new/image.nii.gz")
    np.testing.assert_array_equal(back.values, values)
    assert back.geometry.same_place(geometry, 1e-4)


def test_labels_come_back_whole_and_a_flat_image_stays_flat(tmp_path: Path) -> None:
    labels = np.array([[0, 300], [70000, 2]])
    write_image(Image(labels, Geometry.of((2, 2), (2, 3), (4, 5))), tmp_path / "flat.nii")
    back = read_labels(tmp_path / "flat.nii")
    np.testing.assert_array_equal(back.values, labels)
    assert (back.geometry.shape, back.geometry.spacing_mm) == ((2, 2), (2.0, 3.0))


def test_files_that_cannot_be_used_are_named_with_the_reason(tmp_path: Path) -> None:
    for name, values in (("half", np.full((2, 2, 2), 0.5)), ("hole", np.full((2, 2, 2), np.nan))):
        nib.save(nib.Nifti1Image(values.astype(np.float32), np.eye(4)), tmp_path / f"{name}.nii")
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 3), np.float32), np.eye(4)), tmp_path / "film.nii")
    (tmp_path / "text.nii").write_text("not an image")
    whole = (tmp_path / "half.nii").read_bytes()
    (tmp_path / "cut.nii").write_bytes(whole[:-5])
    for name, said in (("half", "whole numbers"), ("hole", "not finite"), ("film", "2 or 3 axes")):
        with pytest.raises(ImageError, match=said):
            read_labels(tmp_path / f"{name}.nii")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, said in (("text", "not a readable"), ("cut", "ends before"), ("gone", "no file")):
            with pytest.raises(ImageError, match=said):
                read_image(tmp_path / f"{name}.nii")
