"""`wardround metrics`: figures of predicted and true label maps, as a table, files and a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from common.data.image import Image
from common.files.access import write_to
from common.metrics.calibration import CalibrationBin
from common.metrics.chances import reliability_curve
from common.metrics.definitions import DEFAULT, METRICS
from common.metrics.pair import Settings
from common.metrics.summary import worst_first
from experiments.measuring.error_page import page
from experiments.measuring.metrics_table import (
    Row,
    measure,
    needs_chances,
    pairs,
    read_pair,
    with_absent,
    write_csv,
    write_json,
    write_lines,
)
from experiments.measuring.summaries import Line, read_patients, summaries
from experiments.whole_tables import print_whole
from server.reporting.markup import visible

MOST_PICTURES = 50
WIDTH_IN_A_FILE = 160


@dataclass(frozen=True)
class Outputs:
    """Where the table goes beside the terminal; None: nowhere."""

    csv_file: Path | None = None
    json_file: Path | None = None
    figure: Path | None = None


def compare(
    prediction: Path,
    truth: Path,
    console: Console,
    settings: Settings,
    labels: Sequence[int] | None,
    outputs: Outputs,
    names: Sequence[str] = DEFAULT,
    patients: Path | None = None,
) -> None:
    """Measure every case, print the table, and write what is asked for. Raises ImageError for what does not fit."""
    cases = pairs(prediction, truth)
    whose = None if patients is None else read_patients(patients, [name for name, _, _ in cases])
    rows: list[Row] = []
    voxels: dict[str, int] = {}
    shown = _Shown(names[0])
    curves: list[tuple[str, tuple[CalibrationBin, ...]]] = []
    for name, predicted_path, true_path in track(cases, "cases", console=console, transient=True):
        predicted, true = read_pair(predicted_path, true_path, needs_chances(names))
        own = list(measure(name, predicted, true, settings, labels, names))
        rows += own
        voxels[name] = true.values.size
        if outputs.figure is not None:
            if needs_chances(names):
                curves.append((name, reliability_curve(predicted.values, true.values == own[0].label, settings.bins)))
                predicted = Image((predicted.values >= 0.5) * np.int64(own[0].label), predicted.geometry)
            shown.add(own, name, predicted, true)
    every = with_absent(rows, voxels, true.values.ndim, settings)
    lines = list(summaries(every, names, whose))
    wide = console if console.is_terminal else Console(file=console.file, width=WIDTH_IN_A_FILE)
    print_whole(wide, _table(rows, names, settings))
    if len(cases) > 1 and lines:
        print_whole(wide, _summary_table(lines))
    blank = [name for name in voxels if name not in {row.case for row in rows}]
    if blank:
        wide.print(Text(f"No label in either map: {', '.join(map(visible, blank))}."))
    _write(rows, lines, settings, outputs, blank)
    if outputs.figure is not None:
        write_to(outputs.figure, page(shown.worst_first(), every, lines, settings, curves))


def _write(
    rows: Sequence[Row], lines: Sequence[Line], settings: Settings, outputs: Outputs, blank: Sequence[str]
) -> None:
    if outputs.csv_file is not None:
        write_csv(rows, outputs.csv_file)
        write_lines([line.flat for line in lines], summary_file(outputs.csv_file))
    if outputs.json_file is not None:
        definitions = {
            name: {"meaning": METRICS[name].meaning, "equals": METRICS[name].equals}
            for name in dict.fromkeys(line.metric for line in lines)
        }
        told = {"without_labels": blank, "summary": [line.record for line in lines], "definitions": definitions}
        write_json(rows, settings, outputs.json_file, told)


def summary_file(csv_file: Path) -> Path:
    """Where the summary of a CSV file goes: figures.csv has figures-summary.csv beside it."""
    return csv_file.with_name(f"{csv_file.name.removesuffix('.csv')}-summary.csv")


class _Shown:
    """The cases that are drawn: of many, those whose figure, the first that was asked for, is worst."""

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._cases: dict[str, tuple[Image, Image]] = {}
        self._values: dict[str, float] = {}

    def add(self, rows: Sequence[Row], name: str, predicted: Image, true: Image) -> None:
        """One case; of one that is not defined nothing is known to be wrong."""
        values = [row.figures[self._metric] for row in rows if not math.isnan(row.figures[self._metric])]
        self._cases[name], self._values[name] = (predicted, true), float(np.mean(values)) if values else math.nan
        if len(self._cases) > MOST_PICTURES:
            del self._cases[self._order()[-1]]

    def worst_first(self) -> list[tuple[str, Image, Image]]:
        """Name, prediction and truth of each."""
        return [(name, *self._cases[name]) for name in self._order()]

    def _order(self) -> list[str]:
        kept = {name: self._values[name] for name in self._cases}
        ranked = [name for name, _ in worst_first(kept, METRICS[self._metric].best)]
        return [*ranked, *(name for name in kept if name not in {*ranked})]


def _table(rows: Sequence[Row], names: Sequence[str], settings: Settings) -> Table:
    table = Table(caption=_caption(names, settings), caption_justify="left")
    table.add_column("case")
    for heading in ("label", *(METRICS[name].heading for name in names)):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(Text(visible(row.case)), str(row.label), *(spell(row.figures[name]) for name in names))
    if len({row.case for row in rows}) > 1:
        table.add_section()
        for label in sorted({row.label for row in rows}):
            own = [row for row in rows if row.label == label]
            table.add_row("mean", str(label), *(_mean([row.figures[name] for row in own]) for name in names))
    return table


def _caption(names: Sequence[str], settings: Settings) -> str:
    caption = (
        f"-: not defined, as where neither has the label. inf: one of them lacks it, missed or invented. "
        f"Surface Dice at {settings.tolerance_mm:g} mm; "
        f"outlines as {'voxels' if settings.outline == 'border' else 'elements'}."
    )
    if any("lesion" in name or name in {"segmentation_quality", "panoptic_quality"} for name in names):
        caption += (
            f" Lesions: connected by {settings.connectivity}, matched from an IoU of {settings.iou:g} on "
            f"({settings.matching})."
        )
    return caption


def _summary_table(lines: Sequence[Line]) -> Table:
    caption = (
        "[ ]: 95 %, bootstrap over patients (each case one, unless --patients says otherwise). sd: standard "
        "deviation. not defined, infinite: cases that are so; an infinite one makes the mean infinite, "
        "and ranks last in the median."
    )
    table = Table(title="All cases", caption=caption, caption_justify="left")
    for heading in ("figure", "label", "mean", "95 %", "median", "95 %", "sd", "cases", "not defined", "infinite"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    table.add_column("worst case")
    for line in lines:
        one = line.summary
        table.add_row(
            METRICS[line.metric].heading,
            str(line.label),
            spell(one.mean),
            Text(spell_interval(one.mean_interval)),
            spell(one.median),
            Text(spell_interval(one.median_interval)),
            spell(one.deviation),
            str(one.cases),
            str(one.undefined),
            str(one.infinite),
            Text(visible(line.worst[0][0])) if line.worst else "-",
        )
    return table


def spell(value: float) -> str:
    """Three places; a dash where not defined."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def spell_interval(ends: tuple[float, float]) -> str:
    """[low, high], or a dash."""
    return "-" if math.isnan(ends[0]) else f"[{spell(ends[0])}, {spell(ends[1])}]"


def _mean(values: list[float]) -> str:
    """Of all that are defined; an infinite one makes the mean infinite, so that a missed structure is not hidden."""
    defined = [value for value in values if not math.isnan(value)]
    return spell(float(np.mean(defined))) if defined else "-"
