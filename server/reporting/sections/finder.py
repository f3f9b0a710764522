"""On a page of many hospitals: a search by name that shows all that the page knows of one, and its data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from common.data.names import SiteId
from server.reporting.by_hospital import ByHospital, is_many
from server.reporting.comparison import Comparison
from server.reporting.markup import Markup, tag, visible
from server.reporting.records import Run
from server.reporting.sections.datasets import held
from server.reporting.sections.duration import mean_seconds, mean_times
from server.reporting.sections.fine_tuning import tuned
from server.reporting.sections.layout import section
from server.reporting.sections.participation_of_many import replies
from server.reporting.sections.privacy import spent
from server.reporting.sections.result import compared, gained
from server.reporting.sections.result_of_many import scored
from server.reporting.sections.subgroups import counted
from server.reporting.sections.traffic import moved
from server.reporting.wording import count

MOST_CHARACTERS = 3_500_000
"""Columns that would make the data longer are left out, and the page says so."""
SEPARATOR = "|"
HELP = (
    "Type a name or a part of it. An address of this page that ends with #hospital= and a name opens that hospital; "
    "every name in a table is such a link."
)
UNSEARCHED = "The search needs this page's script. summary.json has the same figures of every hospital."


def finder(run: Run, comparison: Comparison) -> Markup | None:
    """None where every hospital has its rows on the page."""
    if not is_many(run):
        return None
    data, left_out = data_of(run.sites, list(_tables(run, comparison)))
    more = f" Too long for this page, and in the run's folder alone: {count(left_out, 'column')} of figures."
    box = tag(
        "div",
        tag("label", "Name of a hospital", for_="hospital-name"),
        tag("input", type="search", id="hospital-name", autocomplete="off", spellcheck="false"),
        class_="find",
    )
    return section(
        "find",
        "Find a hospital",
        f"{count(len(run.sites), 'hospital')} are too many for a row each. {HELP}{more * bool(left_out)}",
        box,
        tag("div", id="hospital-found", aria_live="polite"),
        tag("noscript", tag("p", UNSEARCHED, class_="banner warn")),
        tag("script", Markup(data), type="application/json", id="every-hospital"),
    )


def _tables(run: Run, comparison: Comparison) -> Iterator[ByHospital]:
    """All that the page knows of single hospitals, what is asked for most first."""
    found = [
        compared(comparison),
        replies(run),
        gained(run, comparison),
        tuned(run),
        held(run.roster) if run.roster.holdings else None,
        moved(run),
        None if run.privacy is None else spent(run.privacy),
        mean_times(mean_seconds(run)),
        scored(run, comparison.split),
        counted(run),
    ]
    return (one for one in found if one is not None and one.rows)


def data_of(sites: Sequence[SiteId], tables: Sequence[ByHospital]) -> tuple[str, int]:
    """JSON that may stand in a page, and how many columns were too long for it.

    A column is one string of cells with a separator between, of a single cell where all are equal, or a list where
    a cell holds the separator. A hospital that a table has not has empty cells.
    """
    names = [visible(site) for site in sites]
    room = MOST_CHARACTERS - sum(map(len, names))
    kept: list[dict[str, Any]] = []
    left_out = 0
    for one in tables:
        blank = [""] * len(one.head)
        rows = [one.rows.get(site, blank) for site in sites]
        head, columns = [], []
        for k, title in enumerate(one.head):
            column = _column([visible(row[k]) for row in rows])
            length = len(column) if isinstance(column, str) else sum(len(cell) + 3 for cell in column)
            if length > room:
                left_out += 1
                continue
            room -= length
            head.append(visible(title))
            columns.append(column)
        kept.append({"key": one.key, "title": one.title, "head": head, "columns": columns})
    text = json.dumps({"names": names, "tables": kept}, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c"), left_out


def _column(cells: Sequence[str]) -> str | list[str]:
    if any(SEPARATOR in cell for cell in cells):
        return list(cells)
    return cells[0] if len(set(cells)) == 1 else SEPARATOR.join(cells)
