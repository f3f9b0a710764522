"""Millimetres of a NIfTI file: units, lengths that are none, lone slices, shear and planes."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from common.data.geometry import Geometry
from common.data.image import Image, as_plane, read_image, write_image
from common.data.nifti_files import read_nifti
from common.errors import FileError, ImageError
from common.registration.displacement import DisplacementField
from common.registration.itk_files import read_transform, write_transform
from experiments.measuring.metrics_table import Row, measure, read_pair

SHAPE = (6, 5, 4)


def ball(shift: int) -> np.ndarray:
    x, y, z = np.ogrid[:20, :20, :20]
    return ((x - 9 - shift) ** 2 + (y - 9) ** 2 + (z - 9) ** 2 <= 36).astype(np.uint8)


def saved(
    path: Path,
    values: np.ndarray,
    affine: np.ndarray | None = None,
    units: int = 2,
    sform: int = 1,
    qform: int = 0,
    **fields: object,
) -> Path:
    """A file with the header's own fields, stored as they are."""
    header = nib.Nifti1Header()
    header.set_data_dtype(values.dtype)
    header.set_data_shape(values.shape)
    affine = np.eye(4) if affine is None else affine
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    header["pixdim"][1:4] = lengths
    for row, name in enumerate("xyz"):
        header[f"srow_{name}"] = affine[row]
    header["xyzt_units"], header["sform_code"], header["qform_code"] = units, sform, qform
    header["vox_offset"], header["magic"] = 352, b"n+1"
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.binaryblock + bytes(4) + np.asfortranarray(values).tobytes("F"))
    return path


def row_of(predicted: Path, true: Path) -> Row:
    (row,) = measure("case", *read_pair(predicted, true))
    return row


@pytest.mark.parametrize(
    ("units", "spacing", "in_mm"),
    [(0, 0.5, 0.5), (1, 0.001, 1.0), (2, 0.5, 0.5), (3, 25.0, 0.025), (8 + 3, 25.0, 0.025), (24, 2.0, 2.0)],
)
@pytest.mark.parametrize(("sform", "qform"), [(1, 0), (0, 1), (0, 0)])
def test_lengths_are_in_mm_whatever_unit_the_header_counts_in(
    tmp_path: Path, units: int, spacing: float, in_mm: float, sform: int, qform: int
) -> None:
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = 8 * spacing
    paths = [
        saved(tmp_path / f"{shift}.nii", ball(shift), affine, units, sform, qform, qoffset_x=8 * spacing)
        for shift in (0, 2)
    ]
    geometry = read_image(paths[0]).geometry
    assert geometry.spacing_mm == pytest.approx((in_mm,) * 3, rel=1e-6)
    assert abs(geometry.origin_mm[0]) == pytest.approx((8 if sform or qform else 9.5) * in_mm, rel=1e-6)
    row = row_of(paths[0], paths[1])
    assert row.figures["hausdorff_mm"] == pytest.approx(2 * in_mm, rel=1e-6)
    assert (row.figures["surface_dice"] == 1) == (2 * in_mm <= 1)
    file = read_nifti(paths[0], 10_000)
    assert file.header.get_xyzt_units() == ("mm", {0: "unknown", 8: "sec", 24: "usec"}[units & 0x38])
    assert file.header.get_zooms() == pytest.approx((in_mm,) * 3, rel=1e-6)


def test_an_image_in_micrometres_is_written_in_mm(tmp_path: Path) -> None:
    path = saved(tmp_path / "in.nii", ball(0), np.diag([250.0, 500.0, 1000.0, 1.0]), units=3)
    write_image(read_image(path), tmp_path / "out.nii.gz")
    header = nib.load(tmp_path / "out.nii.gz").header
    assert header.get_xyzt_units()[0] == "mm"
    assert header.get_zooms() == pytest.approx((0.25, 0.5, 1.0))
    np.testing.assert_allclose(nib.load(tmp_path / "out.nii.gz").affine, np.diag([0.25, 0.5, 1.0, 1.0]))


def test_micrometres_of_a_microscope_are_an_image_too(tmp_path: Path) -> None:
    """A cube of 0.05 um: 1.25e-13 mm^3."""
    path = saved(tmp_path / "in.nii", ball(0), np.diag([0.05, 0.05, 0.05, 1.0]), units=3)
    assert read_image(path).geometry.spacing_mm == pytest.approx((5e-5,) * 3)


@pytest.mark.parametrize("code", [4, 5, 6, 7])
def test_a_unit_that_nifti_does_not_know_is_refused_by_its_code(tmp_path: Path, code: int) -> None:
    with pytest.raises(ImageError, match=f"unit of code {code}"):
        read_image(saved(tmp_path / "in.nii", ball(0), units=code))


@pytest.mark.parametrize("length", [0.0, -9.0, np.nan, np.inf])
def test_a_length_that_was_not_measured_is_refused_unless_the_sform_says_it(tmp_path: Path, length: float) -> None:
    pixdim = [1.0, 1.0, 1.0, length, 1.0, 1.0, 1.0, 1.0]
    for qform in (0, 1):
        with pytest.raises(ImageError, match="along axis 3, which is no length"):
            read_image(saved(tmp_path / "in.nii", ball(0), sform=0, qform=qform, pixdim=pixdim))
    if np.isfinite(length):
        path = saved(tmp_path / "in.nii", ball(0), np.diag([1.0, 1.0, 3.0, 1.0]), qform=1, pixdim=pixdim)
        assert read_image(path).geometry.spacing_mm == (1.0, 1.0, 3.0)


def test_an_sform_without_lengths_is_refused(tmp_path: Path) -> None:
    for affine in (np.diag([1.0, 0.0, 1.0, 1.0]), np.diag([1.0, np.nan, 1.0, 1.0])):
        with pytest.raises(ImageError, match="does not say where its voxels lie"):
            read_image(saved(tmp_path / "in.nii", ball(0), affine, pixdim=[1.0] * 8))


def test_two_sizes_of_a_voxel_are_refused_and_two_places_are_not(tmp_path: Path) -> None:
    pixdim = [1.0, 1.0, 1.0, 1.5, 1.0, 1.0, 1.0, 1.0]
    thick = np.diag([1.0, 1.0, 3.0, 1.0])
    with pytest.raises(ImageError, match=r"1 x 1 x 3 by its sform, 1 x 1 x 1\.5 by its qform"):
        read_image(saved(tmp_path / "in.nii", ball(0), thick, qform=1, pixdim=pixdim))
    elsewhere = saved(tmp_path / "in.nii", ball(0), np.eye(4), qform=1, qoffset_x=70.0)
    assert read_image(elsewhere).geometry.origin_mm.tolist() == [0, 0, 0]


@pytest.mark.parametrize("length", [0.0, np.nan])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_lone_slice_needs_no_thickness(tmp_path: Path, axis: int, length: float) -> None:
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_euler("xyz", [10, 20, 30], degrees=True).as_matrix()
    turned[:3, axis] *= length
    values = np.moveaxis(ball(0)[:, :, 9:10], 2, axis)
    spacing = read_image(saved(tmp_path / "in.nii", values, turned)).geometry.spacing_mm
    assert spacing == pytest.approx((1.0, 1.0, 1.0))


def test_a_slice_has_the_same_figures_with_two_axes_and_with_three_or_four(tmp_path: Path) -> None:
    affine = np.diag([0.5, 0.5, 4.0, 1.0])
    flat = [ball(shift)[:, :, 9] for shift in (0, 2)]
    shapes = {"xy": (20, 20), "xy1": (20, 20, 1), "xy11": (20, 20, 1, 1)}
    paths = {
        (name, index): saved(tmp_path / f"{name}{index}.nii", values.reshape(shape), affine)
        for name, shape in shapes.items()
        for index, values in enumerate(flat)
    }
    rows = [row_of(paths[one, 0], paths[other, 1]) for one in shapes for other in shapes]
    assert all(row == rows[0] for row in rows)
    assert rows[0].figures["hausdorff_mm"] == 1.0


def test_a_plane_that_is_not_axial_keeps_its_spacing(tmp_path: Path) -> None:
    """A coronal slice with two axes: of the axial plane's coordinates it has one only."""
    coronal = np.array([[2.0, 0, 0, 0], [0, 0, 1, 0], [0, 3.0, 0, 0], [0, 0, 0, 1]])
    image = read_image(saved(tmp_path / "in.nii", ball(0)[:, :, 9], coronal))
    assert image.geometry.shape == (20, 20, 1)
    assert image.geometry.spacing_mm == (2.0, 3.0, 1.0)
    assert as_plane(image) is image


def test_distances_along_sheared_axes_are_refused_and_oblique_ones_are_not(tmp_path: Path) -> None:
    tilted = np.eye(4)
    tilted[1, 2] = np.tan(np.radians(15))
    oblique = np.eye(4)
    oblique[:3, :3] = Rotation.from_euler("xyz", [10, 20, 30], degrees=True).as_matrix() * [1, 2, 3]
    paths = [saved(tmp_path / f"{shift}.nii", ball(shift), tilted) for shift in (0, 2)]
    with pytest.raises(ImageError, match="not at right angles"):
        read_pair(*paths)
    row = row_of(*(saved(tmp_path / f"{shift}.nii", ball(shift), oblique) for shift in (0, 2)))
    assert row.figures["hausdorff_mm"] == pytest.approx(2.0, rel=1e-5)


def test_a_field_of_displacements_is_read_in_mm_alone(tmp_path: Path) -> None:
    """What its vectors count in is nowhere said."""
    import torch

    path = tmp_path / "field.nii"
    write_transform(DisplacementField(torch.ones(3, *SHAPE, dtype=torch.float64), Geometry.of(SHAPE)), path)
    assert read_transform(path).dimensions == 3
    image = nib.load(path)
    image.header.set_xyzt_units("micron")
    nib.save(image, tmp_path / "micron.nii")
    with pytest.raises(ImageError, match="does not count in mm"):
        read_transform(tmp_path / "micron.nii")


def test_labels_too_large_for_32_bits_are_written(tmp_path: Path) -> None:
    labels = np.array([[0, 1 << 40]])
    write_image(Image(labels, Geometry.of((1, 2))), tmp_path / "large.nii")
    assert read_image(tmp_path / "large.nii").values.tolist() == labels.tolist()


def test_the_reason_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"in\.nii counts lengths"):
        read_nifti(saved(tmp_path / "in.nii", ball(0), units=5), 10_000)
