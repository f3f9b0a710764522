"""`wardround metrics --data-range`: figures of images beside true ones, as a table, files and a page."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from common.errors import ImageError
from common.files.access import write_to
from common.metrics.images.gradient_energy import sharpness
from common.metrics.images.high_frequencies import hfen
from common.metrics.images.mean_absolute import mae
from common.metrics.images.mean_squared import nmse
from common.metrics.images.of_cases import BOUNDS
from common.metrics.images.pairs import checked_range
from common.metrics.images.peak_signal import psnr
from common.metrics.images.structural_similarity import LEAST_SIDE_PX, fitting_side, ssim
from experiments.measuring.image_files import SUFFIXES, Stored, read_picture
from experiments.measuring.metrics_table import pairs
from experiments.whole_tables import print_whole
from server.reporting.markup import visible

if TYPE_CHECKING:
    from common.learning.panels import Panel

COLUMNS = {
    "psnr_db": "PSNR dB",
    "ssim": "SSIM",
    "nmse": "NMSE",
    "hfen": "HFEN",
    "sharpness": "sharpness",
    "mean_absolute": "MAE",
}
MOST_PICTURES = 50
WIDTH_IN_A_FILE = 120


@dataclass(frozen=True)
class Quality:
    """Of one image. NaN: not defined, as a share of a truth of zeros; infinite: PSNR of a perfect image."""

    case: str
    psnr_db: float
    ssim: float
    nmse: float
    hfen: float
    sharpness: float
    mean_absolute: float


def compare_images(
    prediction: Path,
    truth: Path,
    console: Console,
    data_range: float,
    csv_file: Path | None,
    json_file: Path | None,
    figure: Path | None,
) -> None:
    """Measure every case, print the table, and write what is asked for. Raises ImageError for what does not fit."""
    checked_range(data_range)
    rows: list[Quality] = []
    shown: list[tuple[str, dict[str, Panel]]] = []
    cases = pairs(prediction, truth, SUFFIXES)
    for name, image_path, true_path in track(cases, "cases", console=console, transient=True):
        image, true = read_picture(image_path), read_picture(true_path)
        rows.append(quality(name, image, true, data_range))
        if figure is not None and len(shown) < MOST_PICTURES:
            shown.append((name, _panels(image, true, data_range)))
    wide = console if console.is_terminal else Console(file=console.file, width=WIDTH_IN_A_FILE)
    print_whole(wide, _table(rows, data_range))
    if csv_file is not None:
        write_to(csv_file, _csv(rows))
    if json_file is not None:
        write_to(json_file, json.dumps(_record(rows, data_range), indent=1) + "\n")
    if figure is not None:
        from experiments.measuring.picture_page import page

        write_to(figure, page("Where images differ", shown))


def quality(name: str, image: Stored, truth: Stored, data_range: float) -> Quality:
    """Figures of one case. Raises ImageError where the two do not lie in one place."""
    if image.geometry is not None and truth.geometry is not None and not image.geometry.same_place(truth.geometry):
        raise ImageError(
            f"{image.path.name} does not lie where the truth lies: shapes {image.geometry.shape} and "
            f"{truth.geometry.shape}, spacings {image.geometry.spacing_mm} and {truth.geometry.spacing_mm} mm; "
            "resample it first."
        )
    one, true = image.values, truth.values
    side = fitting_side(true.shape)
    fits = side >= LEAST_SIDE_PX and one.shape == true.shape
    return Quality(
        name,
        psnr(one, true, data_range=data_range),
        ssim(one, true, data_range=data_range, side_px=side) if fits else math.nan,
        nmse(one, true),
        hfen(one, true),
        sharpness(one, true),
        mae(one, true),
    )


def _panels(image: Stored, truth: Stored, data_range: float) -> dict[str, Panel]:
    import torch

    from common.reconstruction.pictures import comparison

    one, true = (torch.from_numpy(np.abs(stored.values).astype(np.float64))[None] for stored in (image, truth))
    return comparison(true, {"image": one}, data_range, spacing_mm=truth.spacing_mm)


def _table(rows: Sequence[Quality], data_range: float) -> Table:
    caption = (
        f"Data range {data_range:g}. PSNR, SSIM (7 pixels, or the largest odd window that fits) and sharpness: more "
        "is better, sharpness up to 1; NMSE, HFEN, MAE: less is. A perfect image counts 100 dB in the mean."
    )
    table = Table(caption=caption, caption_justify="left")
    table.add_column("case")
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(Text(visible(row.case)), *(_spell(key, getattr(row, key)) for key in COLUMNS))
    if len(rows) > 1:
        table.add_section()
        table.add_row("mean", *(_spell(key, _mean(key, rows)) for key in COLUMNS))
    return table


def _spell(key: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if key == "psnr_db" else f"{value:.4g}"


def _mean(key: str, rows: Sequence[Quality]) -> float:
    """Of all that are defined; of PSNR within the bounds that a federation's means have."""
    values = [value for row in rows if not math.isnan(value := getattr(row, key))]
    if key == "psnr_db":
        values = [min(max(value, BOUNDS["psnr"][0]), BOUNDS["psnr"][1]) for value in values]
    return float(np.mean(values)) if values else math.nan


def _csv(rows: Sequence[Quality]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(Quality)])
    writer.writeheader()
    for row in rows:
        writer.writerow({key: "" if _is_nan(value) else value for key, value in asdict(row).items()})
    return text.getvalue()


def _record(rows: Sequence[Quality], data_range: float) -> dict[str, object]:
    """JSON has no NaN and no infinity, so they are null and "infinite"."""
    return {"settings": {"data_range": data_range}, "rows": [spelled(asdict(row)) for row in rows]}


def spelled(row: dict[str, object]) -> dict[str, object]:
    """A row as JSON can hold it."""
    return {key: None if _is_nan(value) else "infinite" if value == math.inf else value for key, value in row.items()}


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
