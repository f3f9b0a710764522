"""What ITK's files of transforms hold: records of a kind, its parameters and its fixed parameters.

A file has one transform, or a composite, whose parts follow it; the last part is applied first. ITK maps fixed to
moving points as we do, but in LPS: the first two axes run the other way. They are turned here, and in `itk_fields`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray

from common.data.geometry import Geometry
from common.data.image import MOST_VOXELS
from common.errors import ImageError
from common.registration.compose import compose
from common.registration.displacement import DisplacementField, VelocityField
from common.registration.free_form import FreeForm
from common.registration.itk_linear import linear_parts
from common.registration.itk_splines import Confined
from common.registration.linear import Linear
from common.registration.transform import Composition, Transform

Numbers = NDArray[np.float64]
COMPOSITE = "CompositeTransform"
FIELD = "DisplacementFieldTransform"
SPLINE = "BSplineTransform"
NAME = re.compile(r"([A-Za-z0-9]{1,60})_(?:double|float)_([0-9])_([0-9])")
ORDER = 3
"""Of B-splines: cubic ones are read, which ITK writes unless told otherwise."""


@dataclass(frozen=True, eq=False)
class Record:
    """kind: ITK's name without precision and dimensions. size: D. parameters, fixed: float64, in ITK's order, LPS."""

    kind: str
    size: int
    parameters: Numbers
    fixed: Numbers

    @property
    def name(self) -> str:
        """As it stands in files."""
        return f"{self.kind}_double_{self.size}_{self.size}"

    @classmethod
    def named(cls, name: str, parameters: Numbers, fixed: Numbers) -> Record:
        """From the name in a file. Raises ValueError where it is none, or a number is not finite."""
        found = NAME.fullmatch(name)
        if found is None or found[2] != found[3]:
            raise ValueError("no name of a transform")
        if found[2] not in "23":
            raise ImageError(f"a transform must have 2 or 3 dimensions; this one has {found[2]}.")
        if not (np.isfinite(parameters).all() and np.isfinite(fixed).all()):
            raise ValueError("not finite")
        return cls(found[1], int(found[2]), parameters, fixed)


def transform_of(records: Sequence[Record]) -> Transform:
    """One transform, or a composite as one. Raises ValueError or ImageError where they are none."""
    if not records:
        raise ValueError("no transform")
    first, *parts = records
    if first.kind != COMPOSITE:
        if parts:
            raise ValueError("several transforms that are no composite")
        return _single(first)
    if not parts:
        return Linear.identity(first.size)
    if any(part.size != first.size for part in parts):
        raise ValueError("a composite of different dimensions")
    return compose(*(_single(part) for part in reversed(parts)))


def records_of(transform: Transform) -> list[Record]:
    """Of linear transforms, B-splines, fields, velocities and compositions of those. Raises ImageError for others.

    Beyond the faces of the image that a B-spline was found on, ITK leaves points where they are.
    """
    parts = [_record(part) for part in _in_order(transform)]
    if len(parts) == 1:
        return parts
    return [Record(COMPOSITE, transform.dimensions, np.zeros(0), np.zeros(0)), *reversed(parts)]


def turned(matrix: Numbers) -> Numbers:
    """A homogeneous matrix between RAS and LPS, either way."""
    homogeneous = np.append(signs(len(matrix) - 1), 1.0)
    return np.asarray(homogeneous[:, None] * matrix * homogeneous)


def signs(size: int) -> Numbers:
    """(D,) by which points are multiplied between RAS and LPS."""
    return np.array([-1.0, -1.0, 1.0][:size])


def _single(record: Record) -> Transform:
    if record.kind == FIELD:
        return _field(record)
    if record.kind == SPLINE:
        return _spline(record)
    matrix, translation, centre = linear_parts(record.kind, record.size, record.parameters, record.fixed)
    return Linear(torch.from_numpy(turned(Linear.of(matrix, translation, centre).matrix.numpy())))


def _field(record: Record) -> DisplacementField:
    geometry = _lattice(record)
    vectors = record.parameters.reshape(*geometry.shape[::-1], record.size) * signs(record.size)
    return DisplacementField(torch.from_numpy(vectors.T.copy()), geometry)


def _spline(record: Record) -> Confined:
    lattice = _lattice(record)
    if min(lattice.shape) <= ORDER:
        raise ValueError("too few control points")
    control = record.parameters.reshape(record.size, *lattice.shape[::-1])
    vectors = np.stack([part.T.ravel() for part in control], axis=-1) * signs(record.size)
    return Confined(FreeForm(torch.from_numpy(vectors), lattice))


def _lattice(record: Record) -> Geometry:
    """Size, origin, spacing and direction of the fixed parameters. Raises ValueError where they fit no parameters."""
    size = record.size
    if len(record.fixed) != 3 * size + size * size:
        raise ValueError("another number of fixed parameters")
    counts, origin, spacing = record.fixed[: 3 * size].reshape(3, size)
    if not (np.rint(counts) == counts).all() or counts.min() < 1 or counts.max() > MOST_VOXELS:
        raise ValueError("no sizes of a lattice")
    shape = tuple(map(int, counts))
    if prod(shape) * size != len(record.parameters):
        raise ValueError("another number of vectors than the lattice has")
    direction = record.fixed[3 * size :].reshape(size, size)
    turn = signs(size)
    return Geometry.of(shape, spacing, turn * origin, turn[:, None] * direction)


def _in_order(transform: Transform) -> list[Transform]:
    if isinstance(transform, Composition):
        return [*_in_order(transform.first), *_in_order(transform.second)]
    return [transform]


def _record(transform: Transform) -> Record:
    if isinstance(transform, Linear):
        matrix = turned(transform.matrix.detach().numpy())
        numbers = np.concatenate([matrix[:-1, :-1].ravel(), matrix[:-1, -1]])
        return Record("AffineTransform", transform.dimensions, numbers, np.zeros(transform.dimensions))
    form = transform.form if isinstance(transform, Confined) else transform
    if isinstance(form, FreeForm):
        vectors = form.vectors.detach().double().numpy() * signs(form.dimensions)
        parts = [part.reshape(form.lattice.shape).T.ravel() for part in vectors.T]
        return Record(SPLINE, form.dimensions, np.concatenate(parts), _lattice_numbers(form.lattice))
    field = transform.displacement if isinstance(transform, VelocityField) else transform
    if not isinstance(field, DisplacementField):
        raise ImageError(f"a {type(transform).__name__} is no transform of ITK; sample it as a displacement field.")
    vectors = field.vectors.detach().double().numpy().T * signs(field.dimensions)
    return Record(FIELD, field.dimensions, vectors.ravel(), _lattice_numbers(field.geometry))


def _lattice_numbers(lattice: Geometry) -> Numbers:
    """What `_lattice` reads."""
    turn = signs(lattice.dimensions)
    fixed = (
        lattice.shape,
        turn * lattice.origin_mm,
        lattice.spacing_mm,
        (turn[:, None] * lattice.direction).ravel(),
    )
    return np.concatenate([np.asarray(part, float) for part in fixed])
