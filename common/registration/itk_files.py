"""Transforms of ITK on disk: text (.tfm, .txt), HDF5 (.h5), and NIfTI files of displacements.

Text and HDF5 hold one transform or a composite of several, see `itk_records`; a NIfTI file holds one field.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.data.array_files import UNREADABLE
from common.errors import FileError, ImageError, WardroundError
from common.files.access import opened, read_all, write_to
from common.registration.displacement import DisplacementField, VelocityField
from common.registration.free_form import FreeForm
from common.registration.itk_fields import read_field, write_field
from common.registration.itk_hdf5 import read_records, written_records
from common.registration.itk_records import COMPOSITE, Numbers, Record, records_of, transform_of
from common.registration.itk_splines import Confined
from common.registration.linear import Linear
from common.registration.transform import Composition, Transform

HEADER = "#Insight Transform File V1.0"
LARGEST_TEXT_BYTES = 1 << 27
FIELD_SUFFIXES = (".nii", ".nii.gz")
LINEAR_SUFFIXES = (".tfm", ".txt")
HDF5_SUFFIXES = (".h5", ".hdf5")
WANTED = {"Transform", "Parameters", "FixedParameters"}


def write_transform(transform: Transform, path: Path) -> None:
    """Write a transform as ITK reads it.

    Args:
        transform: a Linear, B-spline, field or composition of them.
        path: .tfm, .txt or .h5; or .nii or .nii.gz, of a field alone.

    Raises:
        ImageError: for others.
        StudyError: for .h5 where h5py is not installed.
    """
    field = transform.displacement if isinstance(transform, VelocityField) else transform
    if isinstance(field, DisplacementField) and path.name.endswith(FIELD_SUFFIXES):
        write_field(field, path)
        return
    kept = isinstance(field, (Linear, DisplacementField, FreeForm, Confined, Composition))
    if not kept or not path.name.endswith(LINEAR_SUFFIXES + HDF5_SUFFIXES):
        raise ImageError(
            f"{path.name} cannot hold this transform: linear ones, B-splines, fields and compositions are written as "
            ".tfm, .txt or .h5, displacement fields as .nii or .nii.gz; sample any other one as a field."
        )
    records = records_of(field)
    write_to(path, written_records(records) if path.name.endswith(HDF5_SUFFIXES) else _as_text(records))


def read_transform(path: Path) -> Transform:
    """What write_transform or ITK wrote. Raises ImageError for what is absent, broken or of another kind."""
    if not path.is_file():
        raise ImageError(f"there is no file {path}.")
    if path.name.endswith(FIELD_SUFFIXES):
        return read_field(path)
    try:
        return transform_of(_records(path))
    except FileError as error:
        raise ImageError(str(error)) from error
    except WardroundError:
        raise
    except UNREADABLE as error:
        raise ImageError(f"{path} is not a readable transform of ITK.") from error


def linear_as_text(transform: Linear) -> str:
    """An AffineTransform about the origin, in LPS."""
    return _as_text(records_of(transform))


def linear_from_text(text: str) -> Linear:
    """One linear transform. Raises ValueError or ImageError where the text is no such transform."""
    found = transform_of(_from_text(text))
    if not isinstance(found, Linear):
        raise ImageError("the text holds a transform that is not linear.")
    return found


def _records(path: Path) -> list[Record]:
    if path.name.endswith(HDF5_SUFFIXES):
        with opened(path) as file:
            return read_records(file)
    if path.stat().st_size > LARGEST_TEXT_BYTES:
        raise ImageError(f"{path} is too long for a transform as text; ITK writes large ones as .h5.")
    return _from_text(read_all(path, LARGEST_TEXT_BYTES).decode("ascii"))


def _as_text(records: Sequence[Record]) -> str:
    lines = [HEADER]
    for index, record in enumerate(records):
        lines += [f"#Transform {index}", f"Transform: {record.name}"]
        if record.kind != COMPOSITE:
            lines += [f"Parameters: {_spelled(record.parameters)}", f"FixedParameters: {_spelled(record.fixed)}"]
    return "\n".join([*lines, ""])


def _from_text(text: str) -> list[Record]:
    if not text.startswith(HEADER.rsplit(" ", 1)[0]):
        raise ValueError("no header")
    found: list[dict[str, str]] = []
    for line in text.splitlines():
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or name not in WANTED:
            continue
        if name == "Transform":
            found.append({})
        if not found or name in found[-1]:
            raise ValueError("parameters of no transform, or twice")
        found[-1][name] = value
    return [_record(fields) for fields in found]


def _record(fields: dict[str, str]) -> Record:
    if fields["Transform"].startswith(COMPOSITE):
        return Record.named(fields["Transform"], np.zeros(0), np.zeros(0))
    if WANTED - fields.keys():
        raise ValueError("a transform without its parameters")
    return Record.named(fields["Transform"], *(_numbers(fields[key]) for key in ("Parameters", "FixedParameters")))


def _spelled(numbers: Numbers) -> str:
    return " ".join(repr(float(number) + 0.0) for number in numbers)


def _numbers(text: str) -> Numbers:
    return np.array(text.split(), np.float64)
