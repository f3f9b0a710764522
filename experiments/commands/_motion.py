"""`wardround register SERIES`: motion of a series found, undone, tabulated and drawn."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.markup import escape as escape_markup
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from common.data.series import Series, read_series, write_series
from common.errors import ImageError
from common.files.access import write_to
from common.registration.itk_files import FIELD_SUFFIXES
from common.registration.motion import Motion, correct_motion
from server.reporting.charts.lines import Line, line_chart
from server.reporting.markup import table, tag
from server.reporting.page import document

AXES = "xyz"
ABOUT = (
    "Shifts are of the image's middle, turns about its axes, to the mean of all volumes; the step is the length that "
    "both changed by since the volume before, turns as they move the surface of a head of 50 mm."
)
STRONG_MM = 0.5
"""Framewise displacement from which Power et al. 2012 leave a volume out."""


def follow(
    file: Path,
    console: Console,
    transform: str,
    similarity: str,
    rounds: int,
    seed: int,
    out: Path | None,
    csv_file: Path | None,
    pictures: Path | None,
) -> bool:
    """Correct, say how much moved, write what was asked for; whether nothing speaks against the result."""
    if out is not None and not out.name.endswith(FIELD_SUFFIXES):
        raise ImageError(f"{out.name} must end with .nii or .nii.gz.")
    series = read_series(file)
    torch.set_num_threads(1)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("Volumes", total=rounds * len(series.values))
        found = correct_motion(
            series, transform, similarity, rounds, seed, lambda done, all_: progress.update(task, completed=done)
        )
    for doubt in found.doubts:
        console.print(f"[bold red]This has probably failed:[/] {escape_markup(doubt)}.", soft_wrap=True)
    for line in summary(series, found):
        console.print(line, soft_wrap=True, highlight=False)
    if out is not None:
        write_series(found.series, out)
    if csv_file is not None:
        write_to(csv_file, as_csv(found))
    if pictures is not None:
        write_to(pictures, page(series, found))
    return not found.doubts


def summary(before: Series, found: Motion) -> list[str]:
    """How much moved, and how much steadier each voxel is."""
    largest = int(found.steps_mm.argmax())
    steady = [float(series.values.std(axis=0).mean()) for series in (before, found.series)]
    return [
        f"{len(found.steps_mm)} volumes: {found.steps_mm[1:].mean():.2f} mm from one to the next on average, at most "
        f"{found.steps_mm[largest]:.2f} before volume {largest + 1}; {int((found.steps_mm > STRONG_MM).sum())} above "
        f"{STRONG_MM} mm.",
        f"A voxel's deviation over time: {steady[0]:.4g} before, {steady[1]:.4g} after.",
    ]


def as_csv(found: Motion) -> str:
    """A row a volume: shifts in mm of the image's middle, turns in degrees, RAS, and framewise displacement."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_head(found))
    for index, row in enumerate(_rows(found)):
        writer.writerow([index + 1, *(repr(round(float(value), 6)) for value in row)])
    return text.getvalue()


def page(before: Series, found: Motion) -> str:
    """Self-contained HTML: curves of shifts, turns and steps over the volumes, and the table."""
    dimensions, turns = found.shifts_mm.shape[1], found.turns_deg.shape[1]
    names = AXES if turns == 3 else "z"
    parts = [tag("p", " ".join(summary(before, found))), tag("p", ABOUT)]
    parts += [tag("p", tag("b", f"This has probably failed: {doubt}.")) for doubt in found.doubts]
    for title, values, words in (
        ("Shift, mm", found.shifts_mm, AXES[:dimensions]),
        ("Turn, degrees", found.turns_deg, names),
        ("From the volume before, mm", found.steps_mm[:, None], ["step"]),
    ):
        lines = [
            Line(str(word), tuple((float(at + 1), float(value)) for at, value in enumerate(column)), f"c{which}")
            for which, (word, column) in enumerate(zip(words, values.T, strict=True), 1)
        ]
        chart = line_chart(lines, describe=title, x_word="volume", words=lambda value: f"{value:.3g}")
        parts.append(tag("section", tag("h2", title), chart))
    rows = [[str(index + 1), *(f"{value:.3f}" for value in row)] for index, row in enumerate(_rows(found))]
    parts += [tag("h2", "Volume by volume"), table(_head(found), rows)]
    return document("Motion of a series", tag("main", tag("h1", "Motion of a series"), *parts))


def _head(found: Motion) -> list[str]:
    turns = AXES if found.turns_deg.shape[1] == 3 else "z"
    shifts = AXES[: found.shifts_mm.shape[1]]
    return ["volume", *(f"shift {axis} mm" for axis in shifts), *(f"turn {axis} deg" for axis in turns), "step mm"]


def _rows(found: Motion) -> np.ndarray:
    return np.concatenate([found.shifts_mm, found.turns_deg, found.steps_mm[:, None]], axis=1)
