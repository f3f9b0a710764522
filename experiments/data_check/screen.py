"""The check on a terminal: a table of the hospitals, then what was found, gravest first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from common.wire.train_requests import SPLITS
from experiments.data_check.checked import PRIVATE, Checked
from experiments.data_check.figures import figures_of, in_words, shape_words, spacing_words
from experiments.data_check.finding import MEANINGS, Finding, Grade
from experiments.data_check.holding import Holding
from experiments.whole_tables import print_whole
from server.reporting.markup import visible
from server.reporting.sections.layout import MOST_ROWS
from server.reporting.wording import shortened

MOST_NAMES = {"error": 6, "warning": 6, "note": 2}
LONGEST_NAME = 160
STYLES: dict[Grade, str] = {"error": "bold red", "warning": "yellow", "note": "dim"}
SHORT = {"train": "train", "validation": "val.", "test": "test"}


def show(checked: Checked, console: Console, page: Path | None) -> None:
    """All of it. page: where the whole lists are, if anywhere."""
    _say(console, PRIVATE)
    print_whole(console, _table(checked))
    if len(checked.holdings) <= MOST_ROWS:
        for line in _facts(checked):
            _say(console, line)
    for finding in checked.findings:
        _show(finding, console, page)
    _say(console, "")
    _say(console, checked.verdict, "bold green" if checked.may_train else "bold red")
    if grades := [grade for grade, number in checked.counts.items() if number and grade != "note"]:
        _say(console, "; ".join(f"{grade}: {MEANINGS[grade]}" for grade in grades) + ".", "dim")


def _say(console: Console, text: str, style: str | None = None) -> None:
    console.print(visible(text), style=style, markup=False, highlight=False)


def _table(checked: Checked) -> Table:
    table = Table(title=Text(visible(f"{checked.title}: persons")), title_justify="left", box=None, pad_edge=False)
    table.add_column("hospital", overflow="fold", max_width=24)
    for head in ("cases", "persons", *SHORT.values(), "left out"):
        table.add_column(head, justify="right")
    table.add_column("shape")
    for holding in checked.holdings:
        table.add_row(*_row(holding))
    return table


def _row(holding: Holding) -> list[str | Text]:
    return [
        Text(visible(holding.site)),
        f"{len(holding):,}",
        f"{len(holding.persons):,}",
        *(f"{holding.persons_of[place]:,}" for place in SPLITS),
        f"{len(holding.quarantined):,}",
        shape_words(holding),
    ]


def _facts(checked: Checked) -> Iterator[str]:
    """Classes, targets, values and spacing, a line each of every hospital."""
    for holding in checked.holdings:
        figures = figures_of(holding)
        if totals := figures["classes"]:
            counted = ", ".join(f"{name} {total:,}" for name, total in totals.items())
            yield f"{holding.site}: {figures['classes_count']} of {counted}"
        if figures["targets"]:
            yield f"{holding.site}: targets {in_words(figures['targets'])}"
        if holding.levels:
            least, low, middle, high, most = (f"{level:.4g}" for level in holding.levels)
            spacing = f"; spacing {spacing_words(figures['spacing_mm'])} mm" if figures["spacing_mm"] else ""
            yield f"{holding.site}: values {least} to {most}, 98 % of them {low} to {high}, median {middle}{spacing}"


def _show(finding: Finding, console: Console, page: Path | None) -> None:
    where = f"{finding.site}: " if finding.site else ""
    console.print()
    said = Text.assemble((finding.grade, STYLES[finding.grade]), "  ", visible(f"{where}{finding.words}"))
    console.print(said, highlight=False)
    most = MOST_NAMES[finding.grade]
    for name in finding.names[:most]:
        _say(console, f"    {shortened(' '.join(name.split()), LONGEST_NAME)}")
    if (more := len(finding.names) - most) > 0:
        _say(console, f"    and {more:,} more: {f'see {page}' if page else '--html PAGE lists all of them'}")
