"""`wardround metrics`: figures of predicted and true label maps, as a table, files and a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from common.data.image import Image
from common.files.access import write_to
from experiments.measuring.error_page import page
from experiments.measuring.metrics_table import Row, measure, outline_of, pairs, read_pair, write_csv, write_json
from experiments.whole_tables import print_whole
from server.reporting.markup import visible

COLUMNS = {
    "dice": "Dice",
    "jaccard": "Jaccard",
    "precision": "PPV",
    "sensitivity": "TPR",
    "volume_similarity": "vol. sim.",
    "hausdorff_mm": "HD mm",
    "hausdorff_95_mm": "HD95 mm",
    "average_symmetric_mm": "ASSD mm",
    "mean_average_mm": "MASD mm",
    "surface_dice": "surf. Dice",
}
MOST_PICTURES = 50
WIDTH_IN_A_FILE = 160


def compare(
    prediction: Path,
    truth: Path,
    console: Console,
    tolerance_mm: float,
    labels: Sequence[int] | None,
    csv_file: Path | None,
    json_file: Path | None,
    figure: Path | None,
    surface: str = "voxels",
) -> None:
    """Measure every case, print the table, and write what is asked for. Raises ImageError for what does not fit.

    surface: "voxels" or "elements"; UnknownNameError for another word.
    """
    outline = outline_of(surface)
    rows: list[Row] = []
    shown: list[tuple[str, Image, Image]] = []
    for name, predicted_path, true_path in track(pairs(prediction, truth), "cases", console=console, transient=True):
        predicted, true = read_pair(predicted_path, true_path)
        rows += measure(name, predicted, true, tolerance_mm, labels, outline)
        if figure is not None and len(shown) < MOST_PICTURES:
            shown.append((name, predicted, true))
    wide = console if console.is_terminal else Console(file=console.file, width=WIDTH_IN_A_FILE)
    print_whole(wide, _table(rows, tolerance_mm, surface))
    if csv_file is not None:
        write_csv(rows, csv_file)
    if json_file is not None:
        write_json(rows, tolerance_mm, json_file, outline)
    if figure is not None:
        write_to(figure, page(shown))


def _table(rows: Sequence[Row], tolerance_mm: float, surface: str) -> Table:
    caption = (
        f"-: neither has the label. inf: one of them lacks it, missed or invented. "
        f"Surface Dice at {tolerance_mm:g} mm; outlines as {surface}."
    )
    table = Table(caption=caption, caption_justify="left")
    table.add_column("case")
    for heading in ("label", *COLUMNS.values()):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(Text(visible(row.case)), str(row.label), *(_spell(getattr(row, key)) for key in COLUMNS))
    if len({row.case for row in rows}) > 1:
        table.add_section()
        for label in sorted({row.label for row in rows}):
            own = [row for row in rows if row.label == label]
            table.add_row("mean", str(label), *(_mean([getattr(row, key) for row in own]) for key in COLUMNS))
    return table


def _spell(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _mean(values: list[float]) -> str:
    """Of all that are defined; an infinite one makes the mean infinite, so that a missed structure is not hidden."""
    defined = [value for value in values if not math.isnan(value)]
    return _spell(float(np.mean(defined))) if defined else "-"
