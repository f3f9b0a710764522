"""`wardround.imaging`: images of four libraries lie where those libraries say, and come back as what they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from common.errors import ImageError
from wardround import imaging

TURN = np.deg2rad(20)
AFFINE = np.eye(4)
AFFINE[:3, :3] = np.array([[np.cos(TURN), -np.sin(TURN), 0], [np.sin(TURN), np.cos(TURN), 0], [0, 0, 1]]) * [
    1,
    1.5,
    3,
]
AFFINE[:3, 3] = [10, -20, 5]
SPACING = (1.0, 1.5, 3.0)


def blob(shape: tuple[int, int, int] = (20, 24, 16)) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    values = 0.05 * rng.normal(size=shape).astype(np.float32)
    values[5:12, 6:15, 4:11] += 1
    return values


@pytest.fixture
def stored() -> Any:
    return nib.Nifti1Image(blob(), AFFINE)  # type: ignore[no-untyped-call]


def test_an_image_of_nibabel_lies_where_it_says_and_comes_back(stored: Any) -> None:
    image = imaging.as_image(stored)
    assert np.allclose(image.geometry.affine, AFFINE) and np.array_equal(image.values, blob())
    back = imaging.as_given(image, stored)
    assert isinstance(back, nib.Nifti1Image) and np.allclose(back.affine, AFFINE)


def test_an_image_of_simpleitk_lies_where_itk_says_but_in_ras(stored: Any, tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    nib.save(stored, tmp_path / "x.nii.gz")
    theirs = sitk.ReadImage(str(tmp_path / "x.nii.gz"))
    image = imaging.as_image(theirs)
    assert np.allclose(image.geometry.affine, AFFINE, atol=1e-5) and np.array_equal(image.values, blob())
    point = np.array(theirs.TransformIndexToPhysicalPoint((3, 4, 5))) * [-1, -1, 1]
    assert np.allclose(image.geometry.voxel_to_world([3, 4, 5]), point)
    back = imaging.as_given(image, theirs)
    assert np.allclose(back.GetDirection(), theirs.GetDirection()) and np.allclose(
        back.GetOrigin(), theirs.GetOrigin()
    )
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(theirs))


def test_a_metatensor_of_monai_lies_where_it_says_and_comes_back() -> None:
    monai = pytest.importorskip("monai.data", reason="MONAI is not installed")
    theirs = monai.MetaTensor(torch.from_numpy(blob())[None], affine=torch.from_numpy(AFFINE))
    image = imaging.as_image(theirs)
    assert np.allclose(image.geometry.affine, AFFINE)
    back = imaging.as_given(image, theirs)
    assert isinstance(back, monai.MetaTensor) and back.shape == theirs.shape and np.allclose(back.affine, AFFINE)
    with pytest.raises(ImageError, match="one channel first"):
        imaging.as_image(monai.MetaTensor(torch.zeros(2, 4, 4, 4), affine=torch.eye(4)))


def test_arrays_and_tensors_have_the_spacing_that_is_given() -> None:
    array = imaging.as_image(blob(), SPACING)
    assert array.geometry.spacing_mm == pytest.approx(SPACING)
    tensor = imaging.as_image(torch.from_numpy(blob()), SPACING)
    assert np.array_equal(tensor.values, array.values)
    assert isinstance(imaging.as_given(array, torch.zeros(1)), torch.Tensor)


def test_an_image_that_knows_its_place_takes_no_spacing(stored: Any) -> None:
    with pytest.raises(ImageError, match="says itself where its voxels lie"):
        imaging.as_image(stored, 1.0)


@pytest.mark.parametrize("given", ["nothing-here.nii", np.array(["a"]), np.zeros((2, 2, 2, 2)), np.zeros(3)])
def test_what_is_no_image_is_refused(given: Any) -> None:
    with pytest.raises(ImageError):
        imaging.as_image(given)


def test_a_row_a_label_in_mm() -> None:
    truth = np.zeros((10, 10, 4), np.uint8)
    truth[2:6, 2:6, 1:3] = 1
    truth[8:, 8:, :] = 2
    moved = np.roll(truth, 1, axis=2)
    (first, second) = imaging.measure(moved, truth, spacing_mm=(1, 1, 3))
    assert (first["label"], second["label"]) == (1, 2)
    assert first["dice"] == 0.5 and first["hausdorff_mm"] == 3 and second["dice"] == 1
    assert imaging.dice(moved, truth) == {1: 0.5, 2: 1.0}
    assert imaging.hausdorff(moved, truth, spacing_mm=(1, 1, 3), labels=[1], percent=100) == {1: 3.0}
    assert imaging.surface_dice(truth, truth, 1.0, spacing_mm=(1, 1, 3)) == {1: 1.0, 2: 1.0}


def test_maps_in_other_places_or_of_other_numbers_are_not_compared(stored: Any) -> None:
    whole = nib.Nifti1Image((blob() > 0.5).astype(np.uint8), AFFINE)  # type: ignore[no-untyped-call]
    elsewhere = nib.Nifti1Image((blob() > 0.5).astype(np.uint8), np.eye(4))  # type: ignore[no-untyped-call]
    assert imaging.dice(whole, whole) == {1: 1.0}
    with pytest.raises(ImageError, match="does not lie where the truth lies"):
        imaging.dice(whole, elsewhere)
    with pytest.raises(ImageError, match="whole numbers"):
        imaging.dice(stored, whole)


def test_what_was_moved_is_brought_back_with_its_labels() -> None:
    fixed = blob()
    moving = np.roll(fixed, 2, axis=0)
    found = imaging.register(moving, fixed, "rigid", moving_spacing_mm=SPACING, fixed_spacing_mm=SPACING)
    assert isinstance(found.image, np.ndarray) and found.doubts == ()
    assert np.abs(found.image - fixed).mean() < 0.4 * np.abs(moving - fixed).mean()
    labels = found.apply(torch.from_numpy((moving > 0.5).astype(np.uint8)), labels=True, spacing_mm=SPACING)
    assert labels.dtype == torch.uint8
    assert imaging.dice(labels.numpy(), (fixed > 0.5).astype(np.uint8))[1] > 0.95


def test_an_image_is_resampled_over_the_same_space(stored: Any) -> None:
    coarse = imaging.resample(stored, spacing_mm=2.0)
    lattice = imaging.as_image(coarse).geometry
    assert lattice.spacing_mm == pytest.approx((2, 2, 2))
    assert np.allclose(lattice.centre_mm, imaging.as_image(stored).geometry.centre_mm)
    again = imaging.resample(coarse, like=stored)
    assert imaging.as_image(again).geometry.same_place(imaging.as_image(stored).geometry)
    with pytest.raises(ImageError, match="one of the two"):
        imaging.resample(stored)


def test_images_of_any_library_have_their_quality_measured() -> None:
    truth = np.random.default_rng(0).random((16, 12))
    found = imaging.quality(0.5 * truth, truth, data_range=1.0)
    assert found["nmse"] == pytest.approx(0.25)
    assert found["psnr"] == imaging.psnr(torch.from_numpy(0.5 * truth), truth, data_range=1.0)
    assert (
        found["ssim"]
        == imaging.ssim(0.5 * truth, truth, data_range=1.0)
        != imaging.ssim(0.5 * truth, truth, data_range=1.0, window="gaussian")
    )
    ours = imaging.as_image(truth, (1.0, 2.0))
    assert imaging.psnr(ours, truth, data_range=1.0) == float("inf")
    with pytest.raises(ImageError, match="does not lie where the truth lies"):
        imaging.psnr(ours, imaging.as_image(truth), data_range=1.0)


def test_any_figure_can_be_asked_for_by_name() -> None:
    truth = np.zeros((8, 8))
    truth[1:4, 1:4], truth[6, 6] = 1, 1
    (row,) = imaging.measure(truth[:, :], truth * (np.arange(8) < 5), metrics=("dice", "lesion_f1", "betti-error"))
    assert row == {"label": 1, "dice": 18 / 19, "lesion_f1": 2 / 3, "betti_error": 1.0}
