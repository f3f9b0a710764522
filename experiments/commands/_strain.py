"""`wardround strain`: a series followed, its strain tabulated and drawn."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import torch
from rich.console import Console
from rich.markup import escape as escape_markup
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from common.data.geometry import Points
from common.data.image import as_plane, read_image
from common.data.series import read_series
from common.files.access import write_to
from common.registration.following import FIGURES, follow
from common.registration.objective import check_mask
from server.reporting.charts.lines import Line, line_chart
from server.reporting.markup import table, tag
from server.reporting.page import document

ABOUT = (
    "Means over the mask, or over all of the image. Strain of .1 is a length that grew by a tenth, or a little less; "
    "radial is away from the mask's middle, round is along circles about it. A volume of 1 is that of the start."
)
CHARTS = (("Moved, mm", FIGURES[:1]), ("Strain", FIGURES[1:5]), ("Volume, as a share of the start's", FIGURES[5:]))


def show(
    file: Path,
    console: Console,
    mask_file: Path | None,
    transform: str,
    similarity: str,
    smoothness: float,
    csv_file: Path | None,
    pictures: Path | None,
) -> bool:
    """Follow, say what came out, write what was asked for; whether nothing speaks against the result."""
    series, mask = read_series(file), None if mask_file is None else as_plane(read_image(mask_file))
    check_mask(mask, as_plane(series.volumes[0]).geometry, "series'")
    torch.set_num_threads(1)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("Volumes", total=len(series.values) - 1)
        found = follow(
            series, transform, similarity, smoothness, lambda done, _: progress.update(task, completed=done)
        )
    for doubt in found.doubts:
        console.print(f"[bold red]This has probably failed:[/] {escape_markup(doubt)}.", soft_wrap=True)
    for note in found.notes:
        console.print(f"[yellow]To know:[/] {escape_markup(note)}.", soft_wrap=True, highlight=False)
    figures = found.figures(mask)
    console.print(summary(figures), soft_wrap=True, highlight=False)
    if csv_file is not None:
        write_to(csv_file, as_csv(figures))
    if pictures is not None:
        write_to(pictures, page(figures, found.doubts))
    return not found.doubts


def summary(figures: Points) -> str:
    """Of the volume in which points lie farthest from where they were."""
    farthest = int(figures[:, 0].argmax())
    moved, radial, around, least, largest, volume = figures[farthest]
    return (
        f"Farthest in volume {farthest + 1} of {len(figures)}: moved by {moved:.2f} mm on average; strain radial "
        f"{radial:+.3f}, round {around:+.3f}, least {least:+.3f}, largest {largest:+.3f}; volume {volume:.3f} of "
        "what it was."
    )


def as_csv(figures: Points) -> str:
    """A row a volume."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["volume", *FIGURES])
    writer.writerows(
        [index, *(repr(round(float(value), 6)) for value in row)] for index, row in enumerate(figures, 1)
    )
    return text.getvalue()


def page(figures: Points, doubts: tuple[str, ...]) -> str:
    """Self-contained HTML: curves over the volumes, and the table."""
    parts = [tag("p", summary(figures)), tag("p", ABOUT)]
    parts += [tag("p", tag("b", f"This has probably failed: {doubt}.")) for doubt in doubts]
    for title, names in CHARTS:
        lines = [
            Line(
                name,
                tuple((float(at), float(row[FIGURES.index(name)])) for at, row in enumerate(figures, 1)),
                f"c{which}",
            )
            for which, name in enumerate(names, 1)
        ]
        chart = line_chart(lines, describe=title, x_word="volume", words=lambda value: f"{value:.3g}")
        parts.append(tag("section", tag("h2", title), chart))
    rows = [[str(index), *(f"{value:.3f}" for value in row)] for index, row in enumerate(figures, 1)]
    parts += [tag("h2", "Volume by volume"), table(["volume", *FIGURES], rows)]
    return document("Strain of a series", tag("main", tag("h1", "Strain of a series"), *parts))
