"""Commands that measure: benchmarks, outlines and images."""

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
    hospitals: Annotated[int | None, typer.Option(help="Of scale: the most hospitals; 1,000 if not said.")] = None,
    parameters: Annotated[float | None, typer.Option(help="Of scale: the most parameters; 1e6 if not said.")] = None,
    gigabytes: Annotated[float | None, typer.Option(help="Of scale: the most data; 0.1 if not said.")] = None,
) -> None:
    """Run a benchmark and print its table; exits 0 when it could measure, whatever came out."""
    with spoken_errors(), trusting(ANYTHING):
        if peers_python is not None:
            os.environ[PEERS_PYTHON] = peers_python
        for limit, most in (("HOSPITALS", hospitals), ("PARAMETERS", parameters), ("GIGABYTES", gigabytes)):
            if most is not None:
                os.environ[f"WARDROUND_SCALE_{limit}"] = str(most)
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
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="A predicted NIfTI label map or image and the true one, or two folders of files of the same names. "
            "Of answers about whole cases two CSV files: case and label, or chance_CLASS. With --raters: the raters' "
            "files or folders, two or more, written NAME=PATH to name an observer.",
        ),
    ],
    chosen: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            help="Which figures, as dice,hd95,lesion_f1,cldice, or all: docs/metrics.md lists them. Those of chances "
            "(auroc, average_precision, brier, ece) want a prediction of chances within 0 and 1.",
        ),
    ] = None,
    raters: Annotated[
        bool,
        typer.Option(
            "--raters",
            help="Compare raters with each other, within and between observers, and with their consensus (STAPLE). "
            "Two paths of one NAME are one observer twice.",
        ),
    ] = False,
    tolerance: Annotated[float, typer.Option(help="Of surface Dice and boundary IoU, in mm.")] = 1.0,
    surface: Annotated[
        str, typer.Option(help="Outlines as voxels of the border, or as elements that count by length or area.")
    ] = "voxels",
    connectivity: Annotated[
        str, typer.Option(help="What joins voxels into a lesion: corners (26 in 3D) or faces (6).")
    ] = "corners",
    iou: Annotated[float, typer.Option(help="The overlap from which on two lesions are one and the same.")] = 0.5,
    label: Annotated[list[int] | None, typer.Option(help="Measure this label; all but 0 if none is given.")] = None,
    patients: Annotated[
        Path | None,
        typer.Option(help="A CSV with the columns case and patient: intervals then are over patients, not cases."),
    ] = None,
    data_range: Annotated[
        float | None,
        typer.Option(
            help="Compare images, not label maps: what their values may span, such as 1 or 255. Arrays (.npy, .h5) "
            "too; complex ones by magnitude."
        ),
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write the table here too, and its summary beside it.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write table and summary here too.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Write a page here that shows where the errors lie.")] = None,
) -> None:
    """Compare predicted with true outlines, label by label: overlap, distances in mm, lesions, topology, chances.

    Of several cases also mean, median, spread, 95 % intervals and the worst. With --raters, outlines of several
    raters with each other. With --data-range, images with true ones: PSNR, SSIM, NMSE, HFEN, sharpness and mean
    absolute error.
    """
    with spoken_errors():
        files.demand_writable(csv_file, json_file, figure)
        of_maps = (chosen, raters, label, patients, surface, connectivity, tolerance, iou)
        if data_range is not None:
            if of_maps != (None, False, None, None, "voxels", "corners", 1.0, 0.5):
                raise ImageError(
                    "--metrics, --raters, --label, --patients, --surface, --connectivity, --tolerance and --iou are "
                    "of label maps; --data-range is of images."
                )
            from experiments.measuring.image_quality import compare_images
            from experiments.measuring.metrics_table import two_of

            compare_images(*two_of(paths), console, data_range, csv_file, json_file, figure)
            return
        from experiments.measuring.command import Outputs, compare
        from experiments.measuring.metrics_table import names_of, settings_of, two_of

        settings, outputs = settings_of(tolerance, surface, connectivity, iou), Outputs(csv_file, json_file, figure)
        if raters:
            from experiments.measuring.rater_command import compare_raters

            if chosen is not None or patients is not None:
                raise ImageError("--metrics and --patients are of a prediction and its truth; --raters has neither.")
            compare_raters(paths, console, settings, label, outputs)
            return
        if all(path.name.lower().endswith(".csv") for path in paths):
            from experiments.measuring.answer_command import compare_answers

            if of_maps != (chosen, False, None, patients, "voxels", "corners", 1.0, 0.5):
                raise ImageError(
                    "of answers in CSV only --metrics and --patients can be said; the others are of images."
                )
            compare_answers(*two_of(paths), console, chosen, patients, outputs)
            return
        compare(*two_of(paths), console, settings, label, outputs, names_of(chosen), patients)
