"""Composites, fields and splines of ITK on disk; SimpleITK is the second library, by its own TransformPoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as Sitk
import torch

from common.data.geometry import Geometry
from common.errors import ImageError
from common.registration.compose import compose
from common.registration.displacement import DisplacementField
from common.registration.free_form import FreeForm, control_lattice_of
from common.registration.itk_files import read_transform, write_transform
from common.registration.linear import Linear
from common.registration.transform import Transform

h5py = pytest.importorskip("h5py")
LPS = np.array([-1.0, -1.0, 1.0])
LATTICE = Geometry.of((6, 5, 4), (2.0, 3.0, 2.5), (-4.0, -8.0, -3.0), [[0, 1, 0], [1, 0, 0], [0, 0, -1]])
POINTS = np.random.default_rng(0).uniform(-4, 4, (20, 3))


def ours(transform: Transform, points_lps: np.ndarray) -> np.ndarray:
    turn = LPS[: points_lps.shape[1]]
    return transform.map_points(torch.from_numpy(points_lps * turn)).numpy() * turn


def theirs(transform: Any, points_lps: np.ndarray) -> np.ndarray:
    return np.array([transform.TransformPoint(point.tolist()) for point in points_lps])


def filled(made: Any, rng: np.random.Generator, scale: float = 0.2) -> Any:
    made.SetParameters((np.array(made.GetParameters()) + scale * rng.normal(size=len(made.GetParameters()))).tolist())
    return made


def centred(made: Any, rng: np.random.Generator) -> Any:
    made.SetCenter(rng.normal(size=made.GetDimension()).tolist())
    return filled(made, rng)


def itk_field(rng: np.random.Generator) -> Any:
    size = (6, 5, 4)
    image = Sitk.GetImageFromArray(0.3 * rng.normal(size=(*size[::-1], 3)), isVector=True)
    image.SetSpacing((3.0, 3.0, 4.0))
    image.SetOrigin((-7.0, -6.0, 6.0))
    image.SetDirection((1, 0, 0, 0, 1, 0, 0, 0, -1))
    return Sitk.DisplacementFieldTransform(image)


def itk_spline(rng: np.random.Generator) -> Any:
    spline = Sitk.BSplineTransform(3, 3)
    spline.SetTransformDomainOrigin((-3.0, -3.0, -3.0))
    spline.SetTransformDomainPhysicalDimensions((6.0, 6.0, 6.0))
    spline.SetTransformDomainMeshSize((3, 2, 4))
    return filled(spline, rng, 0.5)


KINDS: dict[str, Callable[[np.random.Generator], Any]] = {
    "versor": lambda rng: centred(Sitk.VersorTransform(), rng),
    "rigid": lambda rng: centred(Sitk.VersorRigid3DTransform(), rng),
    "similarity": lambda rng: centred(Sitk.Similarity3DTransform(), rng),
    "scale": lambda rng: centred(Sitk.ScaleTransform(3), rng),
    "identity": lambda _: Sitk.Transform(3, Sitk.sitkIdentity),
    "flat similarity": lambda rng: centred(Sitk.Similarity2DTransform(), rng),
    "field": itk_field,
    "spline, and what is beyond it": itk_spline,
    "composite": lambda rng: Sitk.CompositeTransform([centred(Sitk.AffineTransform(3), rng), itk_field(rng),
                                                      centred(Sitk.Euler3DTransform(), rng), itk_spline(rng)]),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_itk_wrote_moves_points_as_itk_does(kind: str, tmp_path: Path) -> None:
    made = KINDS[kind](np.random.default_rng(3))
    points = POINTS[:, : made.GetDimension()]
    for name in ("made.tfm", "made.h5"):
        Sitk.WriteTransform(made, str(tmp_path / name))
        np.testing.assert_allclose(ours(read_transform(tmp_path / name), points), theirs(made, points), atol=1e-6)


@pytest.mark.parametrize("name", ["ours.tfm", "ours.h5"])
def test_itk_moves_points_as_our_composite_does(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    field = DisplacementField(torch.from_numpy(rng.normal(size=(3, *LATTICE.shape))), LATTICE)
    turn = Linear.of([[0.9, 0.1, 0], [-0.2, 1.1, 0.1], [0, 0, 1]], [1, 2, 3])
    middle = (LATTICE.centre_mm + 0.3 * POINTS) * LPS
    cells = control_lattice_of(Geometry.of((16, 12, 10), 1.5, LATTICE.centre_mm - [11.25, 8.25, 6.75]), (3, 2, 4))
    bend = FreeForm(torch.from_numpy(rng.normal(size=(6 * 5 * 7, 3))), cells)
    for whole in (compose(field, turn), compose(turn.inverse(), turn, field), compose(bend, turn), bend):
        write_transform(whole, tmp_path / name)
        np.testing.assert_allclose(
            theirs(Sitk.ReadTransform(str(tmp_path / name)), middle), ours(whole, middle), atol=1e-6
        )


def written(path: Path, change: Callable[[Any, Any], None]) -> Path:
    write_transform(Linear.identity(3), path)
    with h5py.File(path, "a") as file:
        change(file, file["TransformGroup/0"])
    return path


def elsewhere(file: Any, group: Any) -> None:
    del group["TransformParameters"]
    group["TransformParameters"] = h5py.ExternalLink("other.h5", "/x")


def promised(file: Any, group: Any) -> None:
    del group["TransformParameters"]
    group.create_dataset("TransformParameters", (3 << 29,), "f8", chunks=(1 << 20,))


def outside(file: Any, group: Any) -> None:
    del group["TransformParameters"]
    group.create_dataset("TransformParameters", (12,), "f8", external=[("other.bin", 0, 96)])


def renumbered(file: Any, group: Any) -> None:
    file.move("TransformGroup/0", "TransformGroup/7")


def two(file: Any, group: Any) -> None:
    file.copy("TransformGroup/0", file["TransformGroup"], "1")


def infinite(file: Any, group: Any) -> None:
    group["TransformParameters"][3] = np.inf


def lattice_of_billions(file: Any, group: Any) -> None:
    del group["TransformFixedParameters"], group["TransformType"]
    group["TransformType"] = ["DisplacementFieldTransform_double_3_3"]
    group["TransformFixedParameters"] = [1e9, 1e9, 1e9, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1]


@pytest.mark.parametrize(
    "change", [elsewhere, promised, outside, renumbered, two, infinite, lattice_of_billions], ids=lambda f: f.__name__
)
def test_hdf5_that_is_no_transform_is_refused(change: Callable[[Any, Any], None], tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="not a readable transform"):
        read_transform(written(tmp_path / "hostile.h5", change))


def test_text_that_says_it_is_hdf5_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("#Insight Transform File V1.0\n")
    with pytest.raises(ImageError, match="not a readable transform"):
        read_transform(tmp_path / "text.h5")
