"""Transforms of ITK on disk: linear ones as .tfm text, dense ones as NIfTI files of vectors.

ITK maps fixed to moving points as we do, but in LPS: the first two axes run the other way. They are turned here
and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from common.data.geometry import Geometry
from common.data.image import MOST_VOXELS
from common.data.nifti_files import UNREADABLE, read_nifti, write_nifti
from common.errors import FileError, ImageError
from common.files.access import read_all, write_to
from common.registration.displacement import DisplacementField, VelocityField
from common.registration.linear import Linear
from common.registration.transform import Transform

HEADER = "#Insight Transform File V1.0"
VECTOR_INTENT = 1007
LARGEST_TEXT_BYTES = 1 << 16
FIELD_SUFFIXES = (".nii", ".nii.gz")
LINEAR_SUFFIXES = (".tfm", ".txt")


def write_transform(transform: Transform, path: Path) -> None:
    """A Linear as .tfm or .txt, a displacement or velocity field as .nii or .nii.gz; raises ImageError for others."""
    if isinstance(transform, Linear) and path.name.endswith(LINEAR_SUFFIXES):
        text = linear_as_text(transform)
        write_to(path, text)
        return
    field = transform.displacement if isinstance(transform, VelocityField) else transform
    if isinstance(field, DisplacementField) and path.name.endswith(FIELD_SUFFIXES):
        _write_field(field, path)
        return
    raise ImageError(
        f"{path.name} cannot hold this transform: linear ones are written as .tfm or .txt, "
        "displacement fields as .nii or .nii.gz; sample any other as a displacement field first."
    )


def read_transform(path: Path) -> Transform:
    """What write_transform or ITK wrote. Raises ImageError for what is absent, broken or of another kind."""
    if not path.is_file():
        raise ImageError(f"there is no file {path}.")
    if path.name.endswith(FIELD_SUFFIXES):
        return _read_field(path)
    if path.stat().st_size > LARGEST_TEXT_BYTES:
        raise ImageError(f"{path} is too long for a linear transform.")
    try:
        return linear_from_text(read_all(path, LARGEST_TEXT_BYTES).decode("ascii"))
    except FileError as error:
        raise ImageError(str(error)) from error
    except ValueError as error:
        raise ImageError(f"{path} is not a readable linear transform of ITK.") from error


def linear_as_text(transform: Linear) -> str:
    """An AffineTransform about the origin, in LPS."""
    size = transform.dimensions
    turned = _turned(transform.matrix.detach().numpy())
    numbers = [*turned[:-1, :-1].ravel(), *turned[:-1, -1]]
    return (
        f"{HEADER}\n#Transform 0\nTransform: AffineTransform_double_{size}_{size}\n"
        f"Parameters: {_spelled(numbers)}\nFixedParameters: {_spelled([0.0] * size)}\n"
    )


def linear_from_text(text: str) -> Linear:
    """AffineTransform, MatrixOffsetTransformBase, Euler2D, Euler3D or TranslationTransform; one in a file.

    Raises ValueError or ImageError where the text is no such transform.
    """
    if not text.startswith(HEADER.rsplit(" ", 1)[0]):
        raise ValueError("no header")
    lines = [line.partition(":") for line in text.splitlines() if ":" in line]
    fields = {name.strip(): value.strip() for name, _, value in lines}
    if text.count("Transform:") != 1 or {"Transform", "Parameters", "FixedParameters"} - fields.keys():
        raise ValueError("not one transform with its parameters")
    name, size = fields["Transform"].split("_")[0], int(fields["Transform"].split("_")[-1])
    parameters, fixed = (_numbers(fields[key]) for key in ("Parameters", "FixedParameters"))
    matrix, translation = _itk_matrix(name, size, parameters, fixed)
    centre = fixed[:size] if name != "TranslationTransform" else [0.0] * size
    turned = _turned(Linear.of(matrix, translation, centre).matrix.numpy())
    return Linear(torch.from_numpy(turned))


def _itk_matrix(
    name: str, size: int, parameters: Sequence[float], fixed: Sequence[float]
) -> tuple[NDArray[np.float64], Sequence[float]]:
    """The matrix (D, D) and the translation (D,), in LPS."""
    if size not in (2, 3):
        raise ImageError(f"a transform must have 2 or 3 dimensions; this one has {size}.")
    wanted = {
        "AffineTransform": size * size + size,
        "MatrixOffsetTransformBase": size * size + size,
        "TranslationTransform": size,
        "Euler2DTransform": 3,
        "Euler3DTransform": 6,
    }
    if name not in wanted:
        raise ImageError(f"no transform of the kind {name[:40]!r} is read here; there are: {', '.join(wanted)}.")
    if len(parameters) != wanted[name] or (name != "TranslationTransform" and len(fixed) < size):
        raise ValueError("another number of parameters")
    if name == "TranslationTransform":
        return np.eye(size), parameters
    if name == "Euler2DTransform":
        return np.asarray(Rotation.from_euler("z", parameters[0]).as_matrix()[:2, :2]), parameters[1:]
    if name == "Euler3DTransform":
        # ITK turns about y first, then x, then z; its last fixed parameter asks for x, then y, then z instead.
        order = "xyz" if len(fixed) > 3 and fixed[3] else "yxz"
        angles = dict(zip("xyz", parameters[:3], strict=True))
        turn = Rotation.from_euler(order, [angles[axis] for axis in order])
        return np.asarray(turn.as_matrix()), parameters[3:]
    return np.reshape(parameters[: size * size], (size, size)), parameters[size * size :]


def _write_field(field: DisplacementField, path: Path) -> None:
    """(X, Y, Z, 1, D) float32 in LPS mm with the vector intent, as ITK writes it."""
    size = field.dimensions
    vectors = np.moveaxis(field.vectors.detach().numpy(), 0, -1) * _signs(size)
    shape = (*field.geometry.shape, *[1] * (4 - size), size)
    affine = np.eye(4)
    rows = (0, 1, 3) if size == 2 else (0, 1, 2, 3)
    affine[np.ix_(rows, rows)] = field.geometry.affine
    file: Any = nib.Nifti1Image(vectors.astype(np.float32).reshape(shape), affine)  # type: ignore[no-untyped-call]
    file.header.set_intent(VECTOR_INTENT)
    file.header.set_xyzt_units("mm")
    write_nifti(file, path)


def _read_field(path: Path) -> DisplacementField:
    try:
        file = read_nifti(path, 3 * MOST_VOXELS, of_lengths=True)
        shape, affine = tuple(map(int, file.shape)), np.asarray(file.affine, np.float64)
        values = np.asarray(file.dataobj, dtype=np.float64)
    except FileError as error:
        raise ImageError(str(error)) from error
    except UNREADABLE as error:
        raise ImageError(f"{path} is not a readable NIfTI file.") from error
    size = shape[-1] if len(shape) == 5 else 0
    if size not in (2, 3) or shape[3] != 1 or (size == 2 and shape[2] != 1):
        raise ImageError(f"{path} must hold vectors, X x Y x Z x 1 x 3 or X x Y x 1 x 1 x 2; it is {shape}.")
    vectors = values.reshape(*shape[:size], size) * _signs(size)
    rows = (0, 1, 3) if size == 2 else (0, 1, 2, 3)
    geometry = Geometry(shape[:size], affine[np.ix_(rows, rows)])
    return DisplacementField(torch.from_numpy(np.moveaxis(vectors, -1, 0).copy()), geometry)


def _turned(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Between RAS and LPS, either way."""
    signs = np.append(_signs(len(matrix) - 1), 1.0)
    return np.asarray(signs[:, None] * matrix * signs)


def _signs(size: int) -> NDArray[np.float64]:
    return np.array([-1.0, -1.0, 1.0][:size])


def _spelled(numbers: Sequence[float]) -> str:
    return " ".join(repr(float(number) + 0.0) for number in numbers)


def _numbers(text: str) -> list[float]:
    numbers = [float(part) for part in text.split()]
    if not np.isfinite(numbers).all():
        raise ValueError("not finite")
    return numbers
