"""`wardround metrics --raters`: agreement within and between observers, and of each with their consensus."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from common.data.image import Image
from common.files.access import write_to
from common.metrics.definitions import METRICS
from common.metrics.pair import Settings
from common.metrics.summary import summary
from common.seeding import generator
from experiments.measuring.command import MOST_PICTURES, WIDTH_IN_A_FILE, Outputs, spell, spell_interval
from experiments.measuring.metrics_table import spelled, write_lines
from experiments.measuring.rater_groups import EVERY, SEED, Group, groups
from experiments.measuring.readings import (
    BETWEEN,
    WITH_CONSENSUS,
    Agreement,
    Reading,
    agreements,
    cases_of,
    counted,
    fleiss,
    observers_of,
    read_case,
    readings_of,
)
from experiments.whole_tables import print_whole
from server.reporting.markup import visible


def compare_raters(
    paths: Sequence[Path], console: Console, settings: Settings, labels: Sequence[int] | None, outputs: Outputs
) -> None:
    """Measure every case, print the tables, and write what is asked for. Raises ImageError for what does not fit."""
    readings = readings_of(paths)
    found: list[Agreement] = []
    kappas: list[tuple[str, int, float]] = []
    shown: list[tuple[str, list[Image]]] = []
    cases = cases_of(readings)
    for case, files in track(cases, "cases", console=console, transient=True):
        images = read_case(files)
        found += agreements(case, readings, images, settings, labels)
        kappas += [(case, label, kappa) for label, kappa in fleiss(case, readings, images, labels).items()]
        if outputs.figure is not None and len(shown) < MOST_PICTURES:
            shown.append((case, images))
    grouped = groups(found)
    wide = console if console.is_terminal else Console(file=console.file, width=WIDTH_IN_A_FILE)
    print_whole(wide, _between(grouped))
    print_whole(wide, _with_consensus(grouped))
    wide.print(Text(fleiss_line(kappas, readings)))
    blank = [case for case, _ in cases if case not in {one.row.case for one in found}]
    if blank:
        wide.print(Text(f"No label in any map: {', '.join(map(visible, blank))}."))
    if outputs.csv_file is not None:
        write_lines([one.flat for one in found], outputs.csv_file)
    if outputs.json_file is not None:
        record = _record(readings, settings, found, grouped, kappas) | {"without_labels": blank}
        write_to(outputs.json_file, json.dumps(spelled(record), indent=1) + "\n")
    if outputs.figure is not None:
        from experiments.measuring.rater_page import page

        write_to(outputs.figure, page(readings, grouped, fleiss_line(kappas, readings), shown))


def fleiss_line(kappas: Sequence[tuple[str, int, float]], readings: Sequence[Reading]) -> str:
    """Fleiss' kappa, label by label, in words."""
    who = ", ".join(visible(readings[place].name) for place in counted(readings))
    parts = []
    for label in sorted({label for _, label, _ in kappas}):
        one = summary([kappa for _, other, kappa in kappas if other == label], generator(SEED, "fleiss", label))
        undefined = f", not defined in {one.undefined}" if one.undefined else ""
        parts.append(
            f"label {label}: {spell(one.mean)} over {one.cases} {'case' if one.cases == 1 else 'cases'}{undefined}"
        )
    return f"Fleiss' kappa of {who}, mean over cases: {'; '.join(parts) or 'no label'}."


def _between(grouped: Sequence[Group]) -> Table:
    caption = (
        "intra: one observer at different times; inter: two observers. Mean over cases, standard deviation in "
        "brackets; inf: one of them lacks the label in some case. kappa: Cohen's, over voxels. Of all pairs also the "
        "95 % interval of the mean, bootstrap over cases."
    )
    table = Table(title="Agreement of readings", caption=caption, caption_justify="left")
    for heading in ("kind", "first", "second"):
        table.add_column(heading)
    for heading in ("label", "cases", *(METRICS[name].heading for name in BETWEEN)):
        table.add_column(heading, justify="right")
    for own in _by_pair(grouped, ("intra", "inter")):
        one = own[0]
        cells = [_cell(group) for group in own]
        table.add_row(
            one.kind,
            Text(visible(one.first)),
            Text(visible(one.second)),
            str(one.label),
            str(one.summary.patients),
            *cells,
        )
    return table


def _with_consensus(grouped: Sequence[Group]) -> Table:
    caption = (
        "Consensus: STAPLE of the first reading of every observer. Volume error above 0: more than the consensus."
    )
    table = Table(title="Each reading with the consensus", caption=caption, caption_justify="left")
    table.add_column("reading")
    for heading in ("label", "cases", *(METRICS[name].heading for name in WITH_CONSENSUS)):
        table.add_column(heading, justify="right")
    for own in _by_pair(grouped, ("consensus",)):
        one = own[0]
        cells = [_cell(group) for group in own]
        table.add_row(Text(visible(one.second)), str(one.label), str(one.summary.patients), *cells)
    return table


def _by_pair(grouped: Sequence[Group], kinds: Sequence[str]) -> list[list[Group]]:
    """Groups of one pair and label together, in the order of kinds, all pairs last."""
    held: dict[tuple[str, str, str, int], list[Group]] = {}
    for one in grouped:
        held.setdefault((one.kind, one.first, one.second, one.label), []).append(one)
    return [own for kind in kinds for key, own in held.items() if key[0] == kind]


def _cell(group: Group) -> Text:
    one = group.summary
    if group.first == EVERY:
        return Text(f"{spell(one.mean)} {spell_interval(one.mean_interval)}")
    return Text(f"{spell(one.mean)} ({spell(one.deviation)})")


def _record(
    readings: Sequence[Reading],
    settings: Settings,
    found: Sequence[Agreement],
    grouped: Sequence[Group],
    kappas: Sequence[tuple[str, int, float]],
) -> dict[str, object]:
    return {
        "settings": asdict(settings),
        "observers": observers_of(readings),
        "consensus_of": [readings[place].name for place in counted(readings)],
        "rows": [
            {
                key: one.flat[key]
                for key in one.flat
                if key in ("kind", "first", "second", "case", "label") or key in one.row.figures
            }
            | {"found": one.row.found}
            for one in found
        ],
        "summary": [asdict(one) for one in grouped],
        "fleiss": [{"case": case, "label": label, "kappa": kappa} for case, label, kappa in kappas],
        "definitions": {name: METRICS[name].meaning for name in dict.fromkeys((*BETWEEN, *WITH_CONSENSUS))},
    }
