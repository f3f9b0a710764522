"""Points in CSV: columns x, y and z in mm, as 3D Slicer, ANTs and spreadsheets write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from common.data.geometry import Points
from common.errors import FileError, ImageError
from common.files.access import read_all_text, write_to
from common.registration.itk_records import signs

WORLDS = ("LPS", "RAS")
LARGEST_BYTES = 1 << 26
AXES = ("x", "y", "z")


@dataclass(frozen=True, eq=False)
class PointTable:
    """rows: of text, the header first where there is one. columns: places of x, y and z. points: (N, D) mm, RAS."""

    rows: tuple[tuple[str, ...], ...]
    header: bool
    columns: tuple[int, ...]
    points: Points
    world: str

    def moved(self, points: Points) -> PointTable:
        """The same rows with other places."""
        return replace(self, points=points)


def read_points(path: Path, world: str, dimensions: int | None = None) -> PointTable:
    """Points that are stored in `world`, LPS or RAS; with a header, columns are found by the names x, y and z.

    dimensions: how many columns are taken; without it as many as there are. Raises ImageError for what is absent, no
    table of finite numbers, or another world.
    """
    if world not in WORLDS:
        raise ImageError(f"points lie in LPS (ITK, ANTs, DICOM) or in RAS (NIfTI, FreeSurfer); {world!r} is neither.")
    try:
        text = read_all_text(path, LARGEST_BYTES)
        rows = tuple(tuple(row) for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row)
    except FileError as error:
        raise ImageError(str(error)) from error
    except csv.Error as error:
        raise ImageError(f"{path} is not a readable CSV file.") from error
    header = bool(rows) and not all(_is_number(cell) for cell in rows[0])
    columns = _columns(rows[0], header, dimensions, path) if rows else ()
    body = rows[header:]
    if not body:
        raise ImageError(f"{path} holds no points.")
    try:
        found = np.array([[float(row[column]) for column in columns] for row in body], np.float64)
    except (ValueError, IndexError) as error:
        raise ImageError(f"{path}: every row must have a number in each of x, y and z.") from error
    if not np.isfinite(found).all():
        raise ImageError(f"{path} holds places that are not finite.")
    return PointTable(rows, header, columns, _turned(found, world), world)


def write_points(table: PointTable, path: Path) -> None:
    """As the table was read: its world, its columns, all other cells."""
    turned = _turned(table.points, table.world)
    lines = [list(row) for row in table.rows]
    for row, point in zip(lines[table.header :], turned, strict=True):
        for column, number in zip(table.columns, point, strict=True):
            row[column] = repr(float(number))
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    write_to(path, text.getvalue())


def _columns(first: Sequence[str], header: bool, dimensions: int | None, path: Path) -> tuple[int, ...]:
    if not header:
        size = dimensions or len(first)
        if size not in (2, 3) or len(first) < size:
            raise ImageError(f"{path} has {len(first)} columns and no header; points have 2 or 3, x, y and z.")
        return tuple(range(size))
    names = [cell.strip().lower() for cell in first]
    wanted = AXES[: dimensions or (3 if "z" in names else 2)]
    if any(names.count(axis) != 1 for axis in wanted):
        raise ImageError(
            f"{path} must have the columns {', '.join(wanted)}, each once; it has {', '.join(first)[:80]}."
        )
    return tuple(names.index(axis) for axis in wanted)


def _turned(points: Points, world: str) -> Points:
    return np.asarray(points * signs(points.shape[1])) if world == "LPS" else points


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
