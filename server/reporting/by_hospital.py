"""Tables with a row a hospital: all of it on the page of a few; of many some rows, and the rest as the search's data.

A page of many hospitals holds each table once, as columns of JSON at its end (`sections/finder.py`); what is searched
and what the CSV files hold comes from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from common.data.names import SiteId
from server.reporting.markup import Markup, table, tag, visible
from server.reporting.records import Run
from server.reporting.sections.layout import numbers

MANY = 200
"""With more hospitals than this, a page names the first and the last of an order, and finds the others by name."""
ENDS = 10
"""So many are shown of each end of an order."""


@dataclass(frozen=True)
class ByHospital:
    """One table. key: its name in the page's data. head: of the cells that each of its rows has."""

    key: str
    title: str
    head: Sequence[str]
    rows: Mapping[SiteId, Sequence[str]]


def is_many(run: Run) -> bool:
    """Whether the run's hospitals are too many for a row each."""
    return len(run.sites) > MANY


def folded(run: Run, found: ByHospital, title: str, order: Sequence[SiteId], which: str) -> Markup:
    """The table under `title`; of many hospitals both ends of an order, which are `which` in words."""
    if not is_many(run):
        return numbers(
            title, table(["Hospital", *found.head], [[site, *cells] for site, cells in found.rows.items()])
        )
    return numbers(f"{title}: {which} here, all in the CSV file", some(run, found, ends(order)))


def ends(order: Sequence[SiteId]) -> list[SiteId]:
    """The first and the last of an order."""
    return [*order[:ENDS], *order[ENDS:][-ENDS:]]


def some(run: Run, found: ByHospital, sites: Sequence[SiteId]) -> Markup:
    """Rows of a few hospitals, or of all together; the page's script makes the table's CSV file of all of them."""
    known = set(run.sites)
    rows = [[linked(site) if site in known else site, *found.rows[site]] for site in sites if site in found.rows]
    return tag("div", table(["Hospital", *found.head], rows), data_every=found.key)


def linked(site: SiteId) -> Markup:
    """The name of one of many hospitals, with a link that searches for it."""
    return tag("a", site, href=address(site))


def address(site: SiteId) -> str:
    """The part of the page's address that fills in the search."""
    return f"#hospital={quote(visible(site), safe='')}"
