"""Commands that measure: benchmarks, outlines, and one image brought onto another."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import ImageError
from common.files import access as files
from common.study.plugins import ANYTHING, Reference, resolved, trusting
from common.study.spelling import unknown
from experiments.catalogue import BENCHMARKS
from experiments.commands._terminal import console, spoken_errors

if TYPE_CHECKING:
    from rich.console import Console

PEERS_PYTHON = "WARDROUND_PEERS_PYTHON"
SHORT = {"ssl": "self-supervision"}
"""A file ssl.py beside others would stand in the way of Python's own, where one of them is run as a program."""


def bench(
    name: Annotated[str, typer.Argument(help="A name of `wardround list benchmarks`, a module or a file.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write rows and targets here too.")] = None,
    peers_python: Annotated[
        str | None,
        typer.Option(help=f"A Python that has the programs to compare with; else {PEERS_PYTHON} names it."),
    ] = None,
) -> None:
    """Run a benchmark and print its table; exits 0 when it could measure, whatever came out."""
    with spoken_errors(), trusting(ANYTHING):
        if peers_python is not None:
            os.environ[PEERS_PYTHON] = peers_python
        from experiments.benchmark import show

        files.demand_writable(json_file)
        names = {one.replace("_", "-"): one for one in BENCHMARKS.names()}
        spelled, other = SHORT.get(name, name).replace("_", "-"), Reference.of(name) or name in BENCHMARKS.plugged()
        if spelled not in names and not other:
            raise unknown("benchmark", name, names)
        found = names.get(spelled) or resolved(name, Path.cwd())
        measure: Callable[[Console], object] = BENCHMARKS.load(found)
        show(measure(console), console, json_file)  # type: ignore[arg-type]


def metrics(
    prediction: Annotated[Path, typer.Argument(help="A NIfTI label map or image, or a folder of them.")],
    truth: Annotated[Path, typer.Argument(help="The true one, or a folder with files of the same names.")],
    tolerance: Annotated[float, typer.Option(help="Of surface Dice, in mm.")] = 1.0,
    surface: Annotated[
        str, typer.Option(help="Outlines as voxels of the border, or as elements that count by length or area.")
    ] = "voxels",
    label: Annotated[list[int] | None, typer.Option(help="Measure this label; all but 0 if none is given.")] = None,
    data_range: Annotated[
        float | None,
        typer.Option(
            help="Compare images, not label maps: what their values may span, such as 1 or 255. Arrays (.npy, .h5) "
            "too; complex ones by magnitude."
        ),
    ] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the table here too.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the table here too.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Write a page here that shows where the errors lie.")] = None,
) -> None:
    """Compare predicted with true outlines, label by label: overlap and distances in mm.

    With --data-range, images with true ones: PSNR, SSIM, NMSE, HFEN, sharpness and mean absolute error.
    """
    with spoken_errors():
        files.demand_writable(csv_file, json_file, figure)
        if data_range is not None:
            if label or surface != "voxels" or tolerance != 1.0:
                raise ImageError("--label, --surface and --tolerance are of label maps; --data-range is of images.")
            from experiments.measuring.image_quality import compare_images

            compare_images(prediction, truth, console, data_range, csv_file, json_file, figure)
            return
        from experiments.measuring.command import compare

        compare(prediction, truth, console, tolerance, label, csv_file, json_file, figure, surface)


def register(
    moving: Annotated[Path, typer.Argument(help="The NIfTI file to bring over.")],
    fixed: Annotated[Path, typer.Argument(help="The NIfTI file to bring it onto.")],
    transform: Annotated[
        str, typer.Option(help="rigid, similarity, affine, bspline, displacement or velocity.")
    ] = "affine",
    similarity: Annotated[str, typer.Option(help="auto, or ssd, sad, cc, local_cc, mi, nmi or cr.")] = "auto",
    starts: Annotated[int, typer.Option(help="Rotations to begin from; more are tried in doubt.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the random places.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the moving image on the fixed lattice here.")] = None,
    transform_out: Annotated[
        Path | None, typer.Option(help="Write the transform here for ITK: .tfm, or .nii.gz of displacements.")
    ] = None,
    outside: Annotated[
        float | None,
        typer.Option(help="What --out holds beyond the moving image; its least value if not given: air, in CT too."),
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="Write a page of checkerboards and differences here.")] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Write here whether it failed, why, what was tried, and the figures."),
    ] = None,
) -> None:
    """Register one image to another: the transform, the resampled image, and how it went.

    Exits with 4 where the search has probably failed, and says why in its first lines; what was found is written.
    """
    with spoken_errors():
        from experiments.commands._register import DOUBTFUL, align

        files.demand_writable(out, transform_out, pictures, json_file)
        if not align(
            moving,
            fixed,
            console,
            transform,
            similarity,
            starts,
            seed,
            out,
            transform_out,
            pictures,
            outside,
            json_file,
        ):
            raise typer.Exit(DOUBTFUL)
