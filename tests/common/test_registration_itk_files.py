"""Transforms of ITK on disk. Golden numbers: SimpleITK 2.5.7, its own files and its own TransformPoint."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.data.geometry import Geometry
from common.data.image import Image
from common.errors import ImageError
from common.registration.displacement import DisplacementField, VelocityField
from common.registration.free_form import FreeForm
from common.registration.itk_files import linear_as_text, linear_from_text, read_transform, write_transform
from common.registration.linear import Linear
from common.registration.sampling import resample
from common.registration.transform import NumericalInverse

HEAD = "#Insight Transform File V1.0\n#Transform 0\nTransform: {}\nParameters: {}\nFixedParameters: {}\n"
LPS = [-1, -1, 1]
FROM_SIMPLEITK = [
    ("Euler3DTransform_double_3_3", "0.1 0.2 0.3 4 5 6", "1 2 3 0", (25.7480435319, -12.0737953105, 31.3541723633)),
    ("Euler3DTransform_double_3_3", "0.1 0.2 0.3 4 5 6", "1 2 3 1", (25.3742168182, -12.432525955, 31.3890201671)),
    ("AffineTransform_double_3_3", "1.1 0.1 0.2 -0.1 0.9 0.05 0.02 -0.03 1.2 4 5 6", "1 2 3", (18.1, -12.35, 42.24)),
    ("Euler2DTransform_double_2_2", "0.3 4 5", "1 2", (20.099472948679924, -11.357720900811275)),
    ("TranslationTransform_double_3_3", "1 2 3", "", (11, -18, 33)),
]
LATTICE = Geometry.of((6, 5, 4), (2.0, 3.0, 2.5), (-1.0, -8.0, -2.0))


@pytest.mark.parametrize(("name", "parameters", "fixed", "wanted"), FROM_SIMPLEITK)
def test_itks_own_files_move_a_point_as_itk_does(name: str, parameters: str, fixed: str, wanted: tuple) -> None:
    """The point (10, -20, 30) in LPS, where ITK takes it in LPS."""
    signs = np.array(LPS[: len(wanted)])
    transform = linear_from_text(HEAD.format(name, parameters, fixed))
    got = transform.map_points(torch.from_numpy(np.array([10.0, -20.0, 30.0][: len(wanted)]) * signs))
    np.testing.assert_allclose(got.numpy() * signs, wanted, atol=1e-9)


def test_itk_resamples_by_our_file_as_we_do() -> None:
    """SimpleITK read the file that we wrote and resampled this image linearly: 47.635 and 48.3775."""
    i, j, k = np.indices(LATTICE.shape)
    image = Image((7 * i + 3 * j * j + 5.0 * k).astype(np.float32), LATTICE)
    ours = Linear.of([[1.1, 0.1, 0.05], [-0.1, 0.95, 0.02], [0.03, -0.02, 1.05]], [1.0, -0.5, 0.7])
    values = resample(image, LATTICE, linear_from_text(linear_as_text(ours))).values
    assert values[3, 2, 2] == pytest.approx(47.635, abs=1e-4)
    assert values[2, 3, 1] == pytest.approx(48.3775, abs=1e-4)


@pytest.mark.parametrize(
    ("labels", "wanted"), [(False, [[6, 7, 0], [9, 10, 0], [0, 0, 0]]), (True, [[8, 9, 0], [11, 12, 0], [0, 0, 0]])]
)
def test_a_shift_by_half_a_voxel_is_resampled_as_itk_does(labels: bool, wanted: list[list[float]]) -> None:
    """SimpleITK 2.5.7's own values: an upper face is outside already, and half-way goes upwards."""
    lattice = Geometry.of((3, 3), (2.0, 1.0))
    image = Image(np.arange(4.0, 13).reshape(3, 3), lattice)
    shifted = resample(image, lattice, Linear.of(np.eye(2), [1.0, 0.5]), labels=labels)
    np.testing.assert_allclose(shifted.values, wanted, atol=1e-5)


def test_itk_reads_our_field_as_we_do(tmp_path: Path) -> None:
    """SimpleITK read this file and moved (-3, 2.5, 4) LPS to (-3.7, 3.13333, 4.72)."""
    i, j, k = np.indices(LATTICE.shape)
    vectors = np.stack([0.5 + 0.1 * i, -1 + 0.2 * j, 0.3 * k]).astype(float)
    write_transform(DisplacementField(torch.from_numpy(vectors), LATTICE), tmp_path / "field.nii.gz")
    moved = read_transform(tmp_path / "field.nii.gz").map_points(torch.tensor([3.0, -2.5, 4.0]).double())
    assert moved.tolist() == pytest.approx([3.699999988079071, -3.1333333551883698, 4.720000004768371])
    stored = nib.load(tmp_path / "field.nii.gz")
    assert (stored.shape, stored.header.get_intent()[0]) == ((6, 5, 4, 1, 3), "vector")
    assert stored.get_fdata()[0, 0, 1, 0].tolist() == pytest.approx([-0.5, 1.0, 0.3])


@given(st.sampled_from([2, 3]), st.integers(0, 2**32 - 1))
def test_a_linear_transform_comes_back_bit_for_bit(dimensions: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    transform = Linear.of(rng.normal(size=(dimensions, dimensions)), rng.normal(size=dimensions) * 100)
    assert torch.equal(linear_from_text(linear_as_text(transform)).matrix, transform.matrix)


def test_flat_fields_and_flows_come_back(tmp_path: Path) -> None:
    flat = Geometry.of((5, 4), (1.0, 2.0), (3.0, 4.0))
    vectors = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)).double()
    write_transform(DisplacementField(vectors, flat), tmp_path / "new" / "flat.nii")
    back = read_transform(tmp_path / "new" / "flat.nii")
    assert isinstance(back, DisplacementField)
    torch.testing.assert_close(back.vectors, vectors)
    assert back.geometry.same_place(flat)
    flow = VelocityField(0.1 * vectors, flat)
    write_transform(flow, tmp_path / "flow.nii.gz")
    point = torch.tensor([[4.0, 6.0]]).double()
    torch.testing.assert_close(read_transform(tmp_path / "flow.nii.gz").map_points(point), flow.map_points(point))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        HEAD.format("AffineTransform_double_3_3", "1 2 3", "0 0 0"),
        HEAD.format("AffineTransform_double_3_3", "nan " * 12, "0 0 0"),
        HEAD.format("AffineTransform_double_9_9", "1 " * 90, "0 " * 9),
        HEAD.format("BSplineTransform_double_3_3", "1 2 3", "0 0 0"),
        HEAD.format("AffineTransform_double_2_2", "1 0 0 1 0 0", "0 0") * 2,
        HEAD.format("AffineTransform", "1 0 0 1 0 0", "0 0"),
        "#Insight Transform File V1.0\nTransform: AffineTransform_double_2_2\n",
        "#Insight Transform File é",
    ],
)
def test_a_file_that_is_no_linear_transform_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.tfm"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ImageError):
        read_transform(path)


def test_files_that_are_absent_too_long_or_no_field_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.registration.itk_files.LARGEST_TEXT_BYTES", 1 << 16)
    (tmp_path / "long.tfm").write_text("#" * 100_000)
    (tmp_path / "text.nii").write_text("no image")
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), np.float32), np.eye(4)), tmp_path / "scan.nii")
    for name, said in (("gone.tfm", "no file"), ("long.tfm", "too long"), ("text.nii", "readable"),
                       ("scan.nii", "must hold vectors")):  # fmt: skip
        with pytest.raises(ImageError, match=said):
            read_transform(tmp_path / name)


def test_a_transform_that_a_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    form = FreeForm(torch.zeros(16, 2).double(), Geometry.of((4, 4)))
    back = NumericalInverse(form)
    for transform, name in ((form, "a.nii"), (Linear.identity(2), "a.nii"), (back, "a.tfm")):
        with pytest.raises(ImageError, match="cannot hold"):
            write_transform(transform, tmp_path / name)
