"""For whom the model works: scores by groups of persons, and whom the data represent."""

from __future__ import annotations

from collections.abc import Sequence

from server.reporting.by_hospital import ByHospital, is_many
from server.reporting.charts.forest import Estimate, forest
from server.reporting.markup import Child, Markup, joined, table, tag
from server.reporting.patients import Cell, Represented
from server.reporting.records import Run
from server.reporting.sections.layout import figure, numbers, section
from server.reporting.wording import NOTHING, capital, count, named, percent, score, score_name

NOBODY = "none of these, or not told"


def subgroups(run: Run) -> Markup | None:
    """None where the study names no groups of persons."""
    cells, source = _cells(run)
    if not cells:
        return None
    headline = run.about.headline
    columns = list(dict.fromkeys(one.column for one in cells))
    return section(
        "subgroups",
        "For whom does it work?",
        f"{capital(score_name(headline))} by groups of test patients that the study names, with 95 % intervals. "
        f"{source} Intervals that overlap widely do not tell groups apart; small groups have wide ones.",
        *(_forest(column, [one for one in cells if one.column == column], headline) for column in columns),
        numbers("All scores by group", _table(run, cells)),
        _represented(run),
    )


def _cells(run: Run) -> tuple[tuple[Cell, ...], str]:
    """The groups of a simulation's patients, else those from sums; and where they are from, in words."""
    if run.patients is not None and run.patients.subgroups:
        return run.patients.subgroups, "They are of all hospitals' patients, who are simulated here."
    for split in ("test", "validation"):
        if run.subgroups.get(split):
            words = (
                "They come from sums. A hospital with few persons of a group tells nothing of it, nor of another "
                "group that would give it away: the numbers of persons are of those told of. Of a group that one "
                "hospital alone tells of, the score is that hospital's."
            )
            return run.subgroups[split], words
    return (), ""


def _forest(column: str, cells: Sequence[Cell], headline: str) -> Child:
    told = [one for one in cells if headline in one.scores]
    hidden = [one.name for one in cells if headline not in one.scores]
    drawn = []
    for one in told:
        low, high = one.intervals.get(headline, (None, None))
        drawn.append(Estimate(one.name, one.scores[headline], low, high, note=count(one.persons, "person")))
    note = f"Too few persons to be told: {', '.join(hidden)}." if hidden else None
    if not told and not any(one.persons for one in cells):
        note = (
            f"Nobody is told of. Either there are too few persons everywhere, or the data write {column} otherwise "
            f"than the study, which names {', '.join(hidden)}."
        )
    return figure(capital(column.replace("_", " ")), forest(drawn, score) if drawn else None, note=note)


def _table(run: Run, cells: Sequence[Cell]) -> Markup:
    names = sorted({name for one in cells for name in one.scores if name != "auc_error"})
    rows = [
        [one.column, one.name, f"{one.persons:,}" if one.scores else NOTHING, *(_value(one, name) for name in names)]
        for one in cells
    ]
    return table(["Column", "Group", "Persons", *(named(name, run.roster.classes) for name in names)], rows, words=2)


def _value(cell: Cell, name: str) -> str:
    ends = cell.intervals.get(name)
    value = score(cell.scores.get(name))
    return value if ends is None else f"{value} ({score(ends[0])} to {score(ends[1])})"


def _represented(run: Run) -> Child:
    """Who the data are of, by hospital; of real hospitals only the sums above are known."""
    found = run.patients.represented if run.patients is not None else ()
    if not found:
        words = (
            "How many persons of each group a single hospital holds is not written down: the run keeps their sums."
        )
        return figure("Who the data represent", tag("p", words, class_="quiet"))
    known = {site for one in found for site in one.hospitals}
    sites = [site for site in run.sites if site in known]
    columns = list(dict.fromkeys(one.column for one in found))
    note = "Persons of all parts of the data, and their share."
    if is_many(run):
        sites, note = [], f"{note} A single hospital's are found by its name."
    parts = [_of_column([one for one in found if one.column == column], sites) for column in columns]
    return figure("Who the data represent", joined(parts), note=note)


def counted(run: Run) -> ByHospital | None:
    """Persons of each group in every hospital of a simulation."""
    found = run.patients.represented if run.patients is not None else ()
    head = [f"{capital(one.column.replace('_', ' '))}: {one.name or NOBODY}" for one in found]
    rows = {site: [f"{one.hospitals.get(site, 0):,}" for one in found] for site in run.sites}
    return ByHospital("groups", "Persons by group", head, rows) if head else None


def _of_column(rows: Sequence[Represented], sites: Sequence[str]) -> Markup:
    totals = {site: sum(one.hospitals.get(site, 0) for one in rows) for site in sites}
    everybody = sum(sum(one.hospitals.values()) for one in rows)
    shown = [
        [
            one.name or NOBODY,
            _share(sum(one.hospitals.values()), everybody),
            *(_share(one.hospitals.get(site, 0), totals[site]) for site in sites),
        ]
        for one in rows
        if one.name or sum(one.hospitals.values())
    ]
    head = [capital(rows[0].column.replace("_", " ")), f"All ({count(everybody, 'person')})", *sites]
    return table(head, shown)


def _share(number: int, whole: int) -> str:
    return f"{number:,} ({percent(number / whole)})" if whole else str(number)
