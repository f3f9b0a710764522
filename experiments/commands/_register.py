"""`wardround register`: two NIfTI files in, a transform, a resampled image and a page of pictures out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.markup import escape as escape_markup
from rich.table import Table

from common.data.geometry import Points
from common.data.image import Image, read_image, read_labels, write_image
from common.errors import ImageError
from common.files.access import write_to
from common.registration.displacement import sampled
from common.registration.evaluation import label_dice, target_registration_error_mm
from common.registration.itk_files import (
    FIELD_SUFFIXES,
    HDF5_SUFFIXES,
    LINEAR_SUFFIXES,
    read_transform,
    write_transform,
)
from common.registration.landmarks import Landmarks
from common.registration.linear import KINDS, Linear
from common.registration.points_files import read_points
from common.registration.record import Registration
from common.registration.register import register
from common.registration.transform import Transform
from common.registration.used import Used
from experiments.commands._register_page import page
from experiments.whole_tables import print_whole

Files = tuple[Path, Path]
FEW_NUMBERS = (*KINDS, "bspline")
"""Transforms that text can hold."""


@dataclass(frozen=True)
class Asked:
    """What a person asked for, as in the command's help."""

    transform: str = "affine"
    similarity: str = "auto"
    starts: int = 1
    seed: int = 0
    levels: int | None = None
    mask: Path | None = None
    moving_mask: Path | None = None
    initial: Path | None = None
    landmarks: Files | None = None
    smoothness: float | None = None
    iterations: int | None = None
    check_points: Files | None = None
    points_in: str = ""
    check_labels: Files | None = None
    out: Path | None = None
    transform_out: Path | None = None
    pictures: Path | None = None
    json_file: Path | None = None
    outside: float | None = None
    also: tuple[str, ...] = ()


def align(moving_file: Path, fixed_file: Path, console: Console, asked: Asked) -> bool:
    """Register, print what came out, write what was asked for; whether nothing speaks against the result.

    Raises ImageError before any work for bad names.
    """
    _check_names(asked)
    moving, fixed = read_image(moving_file), read_image(fixed_file)
    options = _options(asked, fixed.geometry.dimensions)
    judged = _Judged.read(asked, fixed.geometry.dimensions, _used(asked, moving, fixed, options))
    torch.set_num_threads(1)  # two fight over a busy machine, and gain little on a quiet one
    found = register(moving, fixed, asked.transform, asked.similarity, **options)
    for doubt in found.doubts:
        console.print(
            f"[bold red]This has probably failed:[/] {escape_markup(doubt)}.", soft_wrap=True, highlight=False
        )
    for note in found.notes:
        console.print(f"[yellow]To know:[/] {escape_markup(note)}.", soft_wrap=True, highlight=False)
    for number, trial in enumerate(found.tried if len(found.tried) > 1 else (), start=1):
        console.print(f"Search {number}, {escape_markup(trial)}.", style="dim", soft_wrap=True, highlight=False)
    print_whole(console, _table(found))
    for line in judged.lines(found.transform):
        console.print(line, soft_wrap=True, highlight=False)
    if asked.out is not None:
        write_image(found.image, asked.out)
    if asked.transform_out is not None:
        _write(found, fixed, asked)
    if asked.json_file is not None:
        write_to(asked.json_file, json.dumps(found.as_json(), indent=1) + "\n")
    if asked.pictures is not None:
        write_to(asked.pictures, page(moving, fixed, found))
    return not found.doubts


def _options(asked: Asked, dimensions: int) -> dict[str, Any]:
    """Of `register`, read from files where they are named."""
    options: dict[str, Any] = {
        "starts": asked.starts, "seed": asked.seed, "levels": asked.levels, "outside": asked.outside,
        "fixed_mask": None if asked.mask is None else read_image(asked.mask),
        "moving_mask": None if asked.moving_mask is None else read_image(asked.moving_mask),
    }  # fmt: skip
    if asked.also:
        options["also"] = [_channel(pair) for pair in asked.also]
    if asked.initial is not None:
        options["initial"] = read_transform(asked.initial)
    if asked.landmarks is not None:
        options["landmarks"] = Landmarks(*_pair_of_points(asked.landmarks, asked.points_in, dimensions))
    if asked.smoothness is not None:
        options["smoothness"] = asked.smoothness
    if asked.iterations is not None:
        options["iterations"] = asked.iterations
    return options


def _channel(pair: str) -> tuple[Image, Image]:
    moving, equals, fixed = pair.partition("=")
    if not (moving and equals and fixed):
        raise ImageError(f"--also is MOVING=FIXED, two files of another channel; it is {pair!r}.")
    return read_image(Path(moving)), read_image(Path(fixed))


def _pair_of_points(files: Files, world: str, dimensions: int) -> tuple[Points, Points]:
    one, two = (read_points(path, world, dimensions).points for path in files)
    return one, two


def _used(asked: Asked, moving: Image, fixed: Image, options: dict[str, Any]) -> Used:
    """What the search will be driven by, known before it begins."""
    masks = [options[name] for name in ("moving_mask", "fixed_mask") if options[name] is not None]
    kept = (Image(mask.values != 0, mask.geometry) for mask in masks)
    channels = (image for pair in options.get("also", ()) for image in pair)
    return Used(asked.similarity, options.get("landmarks"), (moving, fixed, *kept, *channels))


@dataclass(frozen=True)
class _Judged:
    """What no search used, read before it so that a bad file costs no time. points, labels: of fixed and moving."""

    points: tuple[Points, Points] | None
    labels: tuple[Image, Image] | None

    @classmethod
    def read(cls, asked: Asked, dimensions: int, used: Used) -> _Judged:
        """Raises ImageError where something was used."""
        points = labels = None
        if asked.check_points is not None:
            points = _pair_of_points(asked.check_points, asked.points_in, dimensions)
            target_registration_error_mm(Linear.identity(dimensions), *points, used)
        if asked.check_labels is not None:
            first, second = map(read_labels, asked.check_labels)
            label_dice(Linear.identity(dimensions), first, second, used=used)
            labels = first, second
        return cls(points, labels)

    def lines(self, transform: Transform) -> list[str]:
        """Before and after, of each."""
        still, found = Linear.identity(transform.dimensions), []
        if self.points is not None:
            before, after = (target_registration_error_mm(one, *self.points) for one in (still, transform))
            found.append(
                f"Distance of {len(before)} pairs of points that were not used: mean {before.mean():.2f} mm before, "
                f"{after.mean():.2f} after; the largest {before.max():.2f} and {after.max():.2f}."
            )
        if self.labels is not None:
            dices = [label_dice(one, *self.labels) for one in (still, transform)]
            means = [float(np.nanmean(one)) if np.isfinite(one).any() else float("nan") for one in dices]
            found.append(
                f"Dice of {len(dices[0])} labels that were not used: mean {means[0]:.3f} before, {means[1]:.3f} "
                f"after; after, label by label: {', '.join(f'{one:.3f}' for one in dices[1])}."
            )
        return found


def _check_names(asked: Asked) -> None:
    if (asked.check_points is None and asked.landmarks is None) != (not asked.points_in):
        raise ImageError("--landmarks and --check-points need --points-in LPS or RAS, the world of x, y and z.")
    few = asked.transform in FEW_NUMBERS
    suffixes = (*LINEAR_SUFFIXES, *HDF5_SUFFIXES, *FIELD_SUFFIXES) if few else (*FIELD_SUFFIXES, *HDF5_SUFFIXES)
    if asked.out is not None and not asked.out.name.endswith(FIELD_SUFFIXES):
        raise ImageError(f"{asked.out.name} must end with .nii or .nii.gz.")
    name = "" if asked.transform_out is None else asked.transform_out.name
    if name and not name.endswith(suffixes):
        raise ImageError(f"{name} must end with {' or '.join(suffixes)} for a transform '{asked.transform}'.")


def _write(found: Registration, fixed: Image, asked: Asked) -> None:
    """Linear ones and B-splines as they are where the name allows, all else as displacements on the fixed lattice."""
    path = asked.transform_out
    assert path is not None
    few = isinstance(found.transform, Linear) or asked.transform in FEW_NUMBERS
    as_it_is = few and not path.name.endswith(FIELD_SUFFIXES)
    write_transform(found.transform if as_it_is else sampled(found.transform, fixed.geometry), path)


def _table(found: Registration) -> Table:
    words = f"{found.seconds:.2f} s, {found.similarity}, overlap {found.overlap:.1%}"
    table = Table(title=f"{words}, folded {found.negative_jacobian:.2%}")
    for column in ("stage", "fixed image", "cost before", "after", "evaluations", "seconds"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for stage in found.stages:
        costs = (f"{stage.costs[0]:.5f}", f"{min(stage.costs):.5f}") if stage.costs else ("-", "-")
        shape = " x ".join(map(str, stage.shape))
        table.add_row(stage.kind, shape, *costs, str(len(stage.costs)), f"{stage.seconds:.2f}")
    return table
