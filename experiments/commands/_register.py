"""`wardround register`: two NIfTI files in, a transform, a resampled image and a page of pictures out."""

from __future__ import annotations

import base64
import io
import json
from html import escape
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from rich.console import Console
from rich.markup import escape as escape_markup
from rich.table import Table

from common.data.image import Image, read_image, write_image
from common.errors import ImageError
from common.files.access import write_to
from common.registration.displacement import sampled
from common.registration.itk_files import FIELD_SUFFIXES, LINEAR_SUFFIXES, write_transform
from common.registration.linear import Linear
from common.registration.pictures import checkerboard, difference, scaled
from common.registration.record import Registration
from common.registration.register import register
from common.registration.sampling import least_value, resample
from experiments.whole_tables import print_whole

DOUBTFUL = 4
"""Exit code of a search that has probably failed, other than that of an error."""
SIDE = 280
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1b1f24; }
figure { display: inline-block; margin: 0 1rem 1rem 0; } figcaption { color: #57606a; font-size: 13px; }
img { image-rendering: pixelated; display: block; border: 1px solid #d0d7de; }
"""


def align(
    moving_file: Path,
    fixed_file: Path,
    console: Console,
    transform: str,
    similarity: str,
    starts: int,
    seed: int,
    out: Path | None,
    transform_out: Path | None,
    pictures: Path | None,
    outside: float | None = None,
    json_file: Path | None = None,
) -> bool:
    """Register, print what came out, write what was asked for; whether nothing speaks against the result.

    outside: what --out holds beyond the moving image; by default that image's least value. Raises ImageError before
    any work for bad names.
    """
    _check_names(transform, out, transform_out)
    moving, fixed = read_image(moving_file), read_image(fixed_file)
    torch.set_num_threads(1)  # two fight over a busy machine, and gain little on a quiet one
    found = register(moving, fixed, transform, similarity, starts=starts, seed=seed, outside=outside)
    for doubt in found.doubts:
        console.print(
            f"[bold red]This has probably failed:[/] {escape_markup(doubt)}.", soft_wrap=True, highlight=False
        )
    for number, trial in enumerate(found.tried if len(found.tried) > 1 else (), start=1):
        console.print(f"Search {number}, {escape_markup(trial)}.", style="dim", soft_wrap=True, highlight=False)
    print_whole(console, _table(found))
    if out is not None:
        write_image(found.image, out)
    if transform_out is not None:
        _write(found, fixed, transform_out)
    if json_file is not None:
        write_to(json_file, json.dumps(found.as_json(), indent=1) + "\n")
    if pictures is not None:
        write_to(pictures, page(moving, fixed, found))
    return not found.doubts


def _check_names(transform: str, out: Path | None, transform_out: Path | None) -> None:
    linear = transform in ("rigid", "similarity", "affine")
    suffixes = LINEAR_SUFFIXES + FIELD_SUFFIXES if linear else FIELD_SUFFIXES
    if out is not None and not out.name.endswith(FIELD_SUFFIXES):
        raise ImageError(f"{out.name} must end with .nii or .nii.gz.")
    if transform_out is not None and not transform_out.name.endswith(suffixes):
        raise ImageError(f"{transform_out.name} must end with {' or '.join(suffixes)} for a transform '{transform}'.")


def _write(found: Registration, fixed: Image, path: Path) -> None:
    """Linear as text where the name says so, anything else as its displacements on the fixed lattice."""
    as_text = isinstance(found.transform, Linear) and path.name.endswith(LINEAR_SUFFIXES)
    write_transform(found.transform if as_text else sampled(found.transform, fixed.geometry), path)


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


def page(moving: Image, fixed: Image, found: Registration) -> str:
    """Self-contained HTML: checkerboards and differences, before and after, through the middle of each axis."""
    still = Linear.identity(fixed.geometry.dimensions)
    before = resample(moving, fixed.geometry, still, outside=least_value(moving))
    figures = "".join(
        f"<h2>{name}</h2>{_figures(scaled(fixed.values.astype(float)), scaled(image.values.astype(float)), fixed)}"
        for name, image in (("Before", before), ("After", found.image))
    )
    failed = "".join(f"<p><b>This has probably failed: {escape(doubt)}.</b></p>" for doubt in found.doubts)
    words = f"overlap {found.overlap:.1%}, folded {found.negative_jacobian:.2%}, cost {found.cost:.5f}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Registration</title>'
        f"<style>{STYLE}</style></head><body><h1>Registration</h1>{failed}<p>{escape(words)}. "
        f"In a checkerboard, edges run on where images agree; a difference is grey there.</p>"
        f"{figures}</body></html>\n"
    )


def _figures(fixed: NDArray[np.float64], moving: NDArray[np.float64], image: Image) -> str:
    axes = range(3) if fixed.ndim == 3 else (None,)
    return "".join(
        _figure(checkerboard(one, two), spacing, "checkerboard")
        + _figure(0.5 + difference(one, two) / 2, spacing, "difference")
        for one, two, spacing in (_slices(fixed, moving, image, axis) for axis in axes)
    )


def _slices(
    fixed: NDArray[np.float64], moving: NDArray[np.float64], image: Image, axis: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[float, ...]]:
    if axis is None:
        return fixed, moving, image.geometry.spacing_mm
    middle = fixed.shape[axis] // 2
    left = tuple(size for other, size in enumerate(image.geometry.spacing_mm) if other != axis)
    return fixed.take(middle, axis), moving.take(middle, axis), left


def _figure(values: NDArray[np.float64], spacing_mm: tuple[float, ...], caption: str) -> str:
    """First axis to the right, second axis up, in true proportions."""
    grey = np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)
    lengths = np.array(values.shape) * spacing_mm
    width, height = np.maximum(1, np.round(SIDE * lengths / lengths.max())).astype(int)
    buffer = io.BytesIO()
    Picture.fromarray(grey.T[::-1].copy()).resize((int(width), int(height)), Picture.Resampling.NEAREST).save(
        buffer, "PNG"
    )
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}"><figcaption>{caption}</figcaption></figure>'
    )
