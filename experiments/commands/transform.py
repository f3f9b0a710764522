"""The command that applies transforms, composes them and turns them round."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.files import access as files
from experiments.commands._terminal import console, spoken_errors


def transform(
    given: Annotated[
        Path | None,
        typer.Argument(help="A NIfTI image, label map or series, or points in .csv. Without: compose only."),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="A transform of ITK: .tfm, .txt, .h5, or .nii.gz of displacements; again for more, the first is "
            "applied first. inverse:FILE turns that one round."
        ),
    ] = None,
    invert: Annotated[bool, typer.Option("--invert", help="Turn all of it round, after it was composed.")] = False,
    onto: Annotated[Path | None, typer.Option(help="Resample onto the lattice of this image: the fixed one.")] = None,
    spacing: Annotated[str, typer.Option(help="Or onto voxels of this size in mm, such as 2 or 1,1,3.")] = "",
    reading: Annotated[
        str, typer.Option(help="linear, of images; nearest or label_linear, which is smoother, of labels.")
    ] = "linear",
    outside: Annotated[
        float | None,
        typer.Option(help="What is beyond the image: found if not given, its least value, air of a CT, 0 of labels."),
    ] = None,
    points_in: Annotated[
        str, typer.Option(help="World of a .csv's columns x, y, z: LPS (ITK, ANTs, Slicer) or RAS (NIfTI).")
    ] = "",
    out: Annotated[Path | None, typer.Option(help="Write what was transformed here.")] = None,
    transform_out: Annotated[
        Path | None, typer.Option(help="Write the whole transform here: .tfm, .h5, or .nii.gz of displacements.")
    ] = None,
) -> None:
    """Apply transforms to an image, a label map, a series or points; compose them, turn them round, resample.

    A transform takes points of the fixed image to points of the moving one. An image is brought from the moving to
    the fixed world by it; points of the moving image go there by its inverse: --invert.

    Exits with 1 where nothing of the image reaches the lattice; what came out is written.
    """
    with spoken_errors():
        from experiments.commands._transform import Wanted, carry

        files.demand_writable(out, transform_out)
        wanted = Wanted(by or (), invert, onto, spacing, reading, outside, points_in, out, transform_out)
        if not carry(given, wanted, console):
            raise typer.Exit(1)
