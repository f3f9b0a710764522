"""`wardround transform`: what transforms do to an image, a label map, a series or points, and to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from common.data.geometry import Geometry
from common.data.image import SUFFIXES, as_plane, read_image, write_image
from common.data.nifti_files import stored_header
from common.data.respaced import respaced
from common.data.series import Series, read_series, write_series
from common.errors import FileError, ImageError
from common.registration.applying import applied, empty_value, moved_points, share_met
from common.registration.compose import compose
from common.registration.displacement import DisplacementField, VelocityField, sampled
from common.registration.itk_files import (
    FIELD_SUFFIXES,
    HDF5_SUFFIXES,
    LINEAR_SUFFIXES,
    read_transform,
    write_transform,
)
from common.registration.linear import Linear
from common.registration.points_files import read_points, write_points
from common.registration.transform import Composition, Transform

INVERSE = "inverse:"
POINTS_SUFFIX = ".csv"


@dataclass(frozen=True)
class Wanted:
    """What a person asked for, as in the command's help."""

    by: Sequence[str] = ()
    invert: bool = False
    onto: Path | None = None
    spacing: str = ""
    reading: str = "linear"
    outside: float | None = None
    points_in: str = ""
    out: Path | None = None
    transform_out: Path | None = None


def carry(given: Path | None, wanted: Wanted, console: Console) -> bool:
    """Do what was asked for, a line each; False where nothing of the image reached the lattice."""
    _check(given, wanted)
    transform = whole_transform(wanted.by, wanted.invert)
    found = True
    if given is not None and wanted.out is not None:
        if given.name.endswith(POINTS_SUFFIX):
            _points(given, transform, wanted, console)
        else:
            found = _image(given, transform, wanted, console)
    if wanted.transform_out is not None:
        if transform is None:
            raise ImageError("--transform-out needs a transform: name one with --by.")
        _write(transform, wanted, given, wanted.transform_out)
        console.print(f"{wanted.transform_out}: the whole transform.", soft_wrap=True, highlight=False, markup=False)
    return found


def whole_transform(names: Sequence[str], invert: bool) -> Transform | None:
    """Files as one transform, the first applied first; `inverse:` before a name turns that one round."""
    parts = []
    for name in names:
        turned = name.startswith(INVERSE)
        part = read_transform(Path(name.removeprefix(INVERSE)))
        parts.append(part.inverse() if turned else part)
    if not parts:
        return None
    whole = compose(*parts)
    return whole.inverse() if invert else whole


def _check(given: Path | None, wanted: Wanted) -> None:
    if given is None and (wanted.out is not None or wanted.transform_out is None):
        raise ImageError("name an image or points to transform and --out; or --by and --transform-out, to compose.")
    if given is not None and wanted.out is None:
        raise ImageError("--out is needed: where what was transformed is written.")
    if wanted.onto is not None and wanted.spacing:
        raise ImageError("--onto and --spacing both say where voxels shall lie; name one of them.")
    points = given is not None and given.name.endswith(POINTS_SUFFIX)
    suffixes = (POINTS_SUFFIX,) if points else SUFFIXES
    if wanted.out is not None and not wanted.out.name.endswith(suffixes):
        raise ImageError(f"{wanted.out.name} must end with {' or '.join(suffixes)}.")
    if points != bool(wanted.points_in):
        raise ImageError(
            "--points-in LPS or RAS says in which world the points of a .csv lie, and is of those alone."
        )
    if points and not wanted.by:
        raise ImageError("points need a transform: name one with --by.")
    kinds = LINEAR_SUFFIXES + HDF5_SUFFIXES + FIELD_SUFFIXES
    if wanted.transform_out is not None and not wanted.transform_out.name.endswith(kinds):
        raise ImageError(f"{wanted.transform_out.name} must end with {', '.join(kinds)}.")


def _points(given: Path, transform: Transform | None, wanted: Wanted, console: Console) -> None:
    assert transform is not None and wanted.out is not None
    table = read_points(given, wanted.points_in, transform.dimensions)
    write_points(table.moved(moved_points(table.points, transform)), wanted.out)
    console.print(f"{wanted.out}: {len(table.points)} points, {wanted.points_in}, mm.", soft_wrap=True, markup=False)


def _image(given: Path, transform: Transform | None, wanted: Wanted, console: Console) -> bool:
    assert wanted.out is not None
    series = read_series(given) if is_series(given) else None
    first = series.volumes[0] if series else read_image(given)
    if transform is not None and transform.dimensions == 2:
        first = as_plane(first)
    whole = transform or Linear.identity(first.geometry.dimensions)
    lattice = _lattice(first.geometry, wanted, whole.dimensions)
    fill = wanted.outside
    if fill is None:
        fill = empty_value(first) if wanted.reading == "linear" else 0.0
    volumes = series.volumes if series else [first]
    made = [applied(volume, lattice, whole, wanted.reading, fill) for volume in volumes]
    if series:
        write_series(Series(np.stack([one.values for one in made]), lattice, series.step_s), wanted.out)
    else:
        write_image(made[0], wanted.out)
    met = share_met(first.geometry, lattice, whole)
    shape = " x ".join(map(str, lattice.shape))
    console.print(
        f"{wanted.out}: {shape} voxels, {wanted.reading.replace('_', ' ')}; {met:.1%} of them lie in the image, "
        f"the others have {fill:g}.", soft_wrap=True, highlight=False, markup=False,
    )  # fmt: skip
    if not met:
        console.print("[bold red]Nothing of the image is left:[/] is a transform the wrong way round? See --invert.")
    return met > 0


def is_series(path: Path) -> bool:
    """Whether a NIfTI file has a fourth axis that is longer than 1."""
    try:
        shape = stored_header(path).get_data_shape()
    except FileError as error:
        raise ImageError(str(error)) from error
    return len(shape) == 4 and int(shape[3]) > 1


def _lattice(own: Geometry, wanted: Wanted, dimensions: int) -> Geometry:
    if wanted.onto is not None:
        read = read_series(wanted.onto).volumes[0] if is_series(wanted.onto) else read_image(wanted.onto)
        return (as_plane(read) if dimensions == 2 else read).geometry
    return respaced(own, _spacing(wanted.spacing)) if wanted.spacing else own


def _spacing(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ImageError(f"--spacing must be numbers in mm, such as 2 or 1,1,3; it is {text!r}.") from error


def _write(transform: Transform, wanted: Wanted, given: Path | None, path: Path) -> None:
    """Linear ones and compositions of files as they are, anything else as displacements on a lattice."""
    parts = list(_parts(transform))
    known = all(isinstance(part, (Linear, DisplacementField, VelocityField)) for part in parts)
    linear = all(isinstance(part, Linear) for part in parts)
    if known and (linear or len(parts) > 1) and not path.name.endswith(FIELD_SUFFIXES):
        write_transform(transform, path)
        return
    fields = [part.geometry for part in parts if isinstance(part, (DisplacementField, VelocityField))]
    if wanted.onto is not None or (given is not None and not given.name.endswith(POINTS_SUFFIX)):
        shown = wanted.onto or given
        assert shown is not None
        lattice = _lattice(read_image(shown).geometry, wanted, transform.dimensions)
    elif fields:
        lattice = fields[0]
    else:
        raise ImageError("displacements need a lattice: name an image of the fixed world with --onto.")
    write_transform(sampled(transform, lattice), path)


def _parts(transform: Transform) -> list[Transform]:
    if isinstance(transform, Composition):
        return [*_parts(transform.first), *_parts(transform.second)]
    return [transform]
