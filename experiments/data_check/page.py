"""The check as one page for a hospital's own eyes: no network, no other file, the style of a run's report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from common.wire.train_requests import SPLITS
from experiments.data_check.checked import PRIVATE, Checked
from experiments.data_check.figures import features_of, histogram, in_words, spacing_of, spacing_words, targets_of
from experiments.data_check.finding import MEANINGS, Finding
from experiments.data_check.holding import Holding
from server.reporting.charts.bars import Part, legend, row, stacked_bar
from server.reporting.markup import Child, Markup, joined, table, tag
from server.reporting.page import document
from server.reporting.sections.layout import MOST_ROWS, beside, facts, figure, numbers, section
from server.reporting.wording import NOTHING, count, percent, plain

LOOKS = {"error": ("bad", "✕"), "warning": ("warn", "!"), "note": ("note", "i")}
SPLIT_WORDS = {"train": "training", "validation": "validation", "test": "test"}
BINS = 60
MOST_LOOKS = 8
SHOWN_AT_ONCE = 12
MOST_LISTED = 20_000


def page_of(checked: Checked) -> str:
    """The HTML."""
    parts = {
        "Findings": _findings(checked),
        "Hospitals": _hospitals(checked),
        "Labels": _labels(checked),
        "Images": _images(checked),
        "Columns": _columns(checked),
        "Left out": _left_out(checked),
    }
    shown = {word: part for word, part in parts.items() if part is not None}
    links = (tag("a", word, href=f"#{_key(word)}") for word in shown)
    nav = tag("nav", *links, aria_label="Sections")
    foot = tag("footer", f"Data folder: {checked.folder}. {PRIVATE}")
    return document(f"{checked.title}, data check", tag("main", _opening(checked), nav, *shown.values(), foot))


def _key(word: str) -> str:
    return word.casefold().replace(" ", "-")


def _opening(checked: Checked) -> Markup:
    counts = checked.counts
    look = "bad" if counts["error"] else "warn" if counts["warning"] else "good"
    word = {"bad": "✕ Not yet", "warn": "! Look first", "good": "✓ Yes"}[look]
    cases, persons = (sum(map(len, of)) for of in (checked.holdings, [one.persons for one in checked.holdings]))
    left_out = sum(len(one.quarantined) for one in checked.holdings)
    tiles = [
        (f"{len(checked.holdings):,}", "hospital" if len(checked.holdings) == 1 else "hospitals"),
        (f"{persons:,}", "person" if persons == 1 else "persons"),
        (f"{cases:,}", "usable case" if cases == 1 else "usable cases"),
        (f"{left_out:,}", "left out"),
    ]
    return tag(
        "header",
        tag(
            "p",
            tag("span", "Data check. May this be trained on?", class_="kind"),
            tag("span", word, class_=f"badge {look}"),
            class_="overline",
        ),
        tag("h1", checked.title),
        tag("p", checked.verdict, class_="finding"),
        tag("p", PRIVATE, class_="banner warn"),
        tag("div", *(tag("div", tag("b", n), tag("span", w), class_="tile") for n, w in tiles), class_="tiles"),
    )


def _findings(checked: Checked) -> Markup:
    if not checked.findings:
        return section("findings", "What was found", "Nothing.")
    rows = [
        [tag("span", f"{LOOKS[one.grade][1]} {one.grade}", class_=f"badge {LOOKS[one.grade][0]}"), *_cells(one)]
        for one in checked.findings
    ]
    grades = [grade for grade, number in checked.counts.items() if number]
    lede = "; ".join(f"{grade}: {MEANINGS[grade]}" for grade in grades)
    return section("findings", "What was found", f"{lede}.", table(["Grade", "Hospital", "Finding"], rows, words=3))


def _cells(finding: Finding) -> list[Child]:
    if not finding.names:
        return [finding.site or "all", finding.words]
    return [finding.site or "all", joined([tag("p", finding.words), _names(finding.names)])]


def _names(names: Sequence[str]) -> Markup:
    listed = tag("ul", *(tag("li", name) for name in names[:MOST_LISTED]))
    if len(names) > MOST_LISTED:
        listed = joined([listed, tag("p", f"and {len(names) - MOST_LISTED:,} more: see the JSON file (--json).")])
    if len(names) <= SHOWN_AT_ONCE:
        return listed
    return numbers(f"All {len(names):,}", listed)


def _hospitals(checked: Checked) -> Markup:
    head = ["Hospital", "Cases", "Persons", "Files or series"]
    head += [f"{what}, {word}" for what in ("Persons", "Cases") for word in SPLIT_WORDS.values()] + ["Left out"]
    rows = [
        [
            one.site,
            f"{len(one):,}",
            f"{len(one.persons):,}",
            NOTHING if one.scans is None else f"{one.scans:,}",
            *(f"{of[place]:,}" for of in (one.persons_of, one.cases_of) for place in SPLITS),
            f"{len(one.quarantined):,}",
        ]
        for one in checked.holdings
    ]
    largest = max(1, *(len(one.persons) for one in checked.holdings))
    bars = [
        row(one.site, _splits(one, largest), note=f"{len(one.persons):,}") for one in checked.holdings[:MOST_ROWS]
    ]
    keys = legend((word, place) for place, word in SPLIT_WORDS.items())
    more = len(checked.holdings) - len(bars)
    note = f"The first {len(bars)}; the table has all." if more else None
    return section(
        "hospitals",
        "Who is where",
        "Persons, and the part of the split that the study would put them in.",
        figure("Persons", keys, tag("div", *bars, class_="rows"), note=note),
        table(head, rows),
    )


def _splits(one: Holding, largest: int) -> Markup:
    parts = [
        Part(word, one.persons_of[place], place, f"{one.persons_of[place]:,}") for place, word in SPLIT_WORDS.items()
    ]
    return stacked_bar(parts, largest, shares=False)


def _labels(checked: Checked) -> Markup | None:
    there = [one for one in checked.holdings if len(one)]
    known = [one for one in there if one.class_totals]
    if not known:
        told: list[tuple[str, Child]] = [(one.site, in_words(found)) for one in there if (found := targets_of(one))]
        return section("labels", "Targets", "What is to be learned are numbers.", facts(told)) if told else None
    masks = any(one.has_masks for one in known)
    what = known[0].counted
    names = list(dict.fromkeys(name for one in known for name in one.classes))
    drawn = names[1 if masks and len(names) > 2 else 0 :][:MOST_LOOKS]
    looks = {name: f"c{k}" for k, name in enumerate(drawn, 1)}
    bars = [row(one.site, stacked_bar(_class_parts(one, looks))) for one in known[:MOST_ROWS]]
    rows = [[one.site, *(f"{one.class_totals.get(name, 0):,}" for name in names)] for one in known]
    left_out = f" Shares are of the marked {what}, without {names[0]}." if len(drawn) < len(names) and masks else ""
    lede = f"How many {what} are of each class.{left_out}"
    lost = [line for one in known for line in _lost_rows(one)]
    lost_table = table(["Hospital", "Truth lost", "Class", "Voxels"], lost, words=3) if lost else None
    return section(
        "labels",
        "Labels",
        lede,
        figure("Shares", legend(looks.items()), tag("div", *bars, class_="rows")),
        table(["Hospital", *names], rows),
        lost_table,
    )


def _class_parts(one: Holding, looks: dict[str, str]) -> list[Part]:
    totals = {name: one.class_totals.get(name, 0) for name in looks}
    whole = sum(totals.values()) or 1
    return [Part(name, total, looks[name], percent(total / whole)) for name, total in totals.items()]


def _lost_rows(one: Holding) -> Iterator[list[Child]]:
    for column, words in (("removed", "cut away by preprocessing"), ("unsampled", "in slices that are not drawn")):
        if column in one.rows:
            lost = one.rows[column].sum(axis=0).tolist()
            for name, number in zip(one.classes, lost, strict=False):
                if number:
                    yield [one.site, words, name, f"{number:,}"]


def _images(checked: Checked) -> Markup | None:
    there = [one for one in checked.holdings if one.levels]
    if not there:
        return None
    low, high = min(one.levels[1] for one in there), max(one.levels[3] for one in there)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    figures = [figure(one.site, _histogram(one, edges)) for one in there[:MOST_ROWS]]
    rows = [
        [
            one.site,
            ", ".join(f"{shape} ({number:,})" for shape, number in list(one.shapes.items())[:MOST_LOOKS]),
            f"{len(one.shapes):,}",
            _spacing(one),
            *(plain(float(f"{level:.4g}")) for level in one.levels),
            f"{int(one.is_constant.sum()):,}",
            f"{int((one.rows['not_finite'] > 0).sum()):,}",
        ]
        for one in there
    ]
    head = ["Hospital", "Shapes", "Different", "Spacing in mm", "Least", "1 %", "Median", "99 %", "Largest"]
    dtypes = ", ".join(f"{name} {dtype}" for name, dtype in there[0].dtypes.items())
    lede = (
        "As the network would be shown them, after the source's preparation. Histograms go from "
        f"{plain(float(f'{low:.4g}'))} to {plain(float(f'{high:.4g}'))}, without the outer 1 % of values."
    )
    return section(
        "images",
        "Images",
        lede,
        beside(*figures),
        table([*head, "Constant", "With NaN"], rows),
        tag("p", f"Types of the columns: {dtypes}.", class_="note"),
    )


def _spacing(one: Holding) -> str:
    spacing = spacing_of(one)
    if spacing is None:
        return NOTHING
    if spacing["different"] == 1:
        return spacing_words(spacing)
    median = " x ".join(f"{value:.4g}" for value in spacing["median"])
    return f"{spacing_words(spacing)}; {spacing['different']:,} different ones, in the median {median}"


def _histogram(one: Holding, edges: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Markup:
    shares = histogram(one.rows["quantiles"], edges.tolist())
    tallest = float(shares.max()) or 1.0
    width = 100 / len(shares)
    bars = [
        tag(
            "rect",
            tag("title", f"{left:.4g} to {right:.4g}: {percent(share)} of the values"),
            x=f"{k * width:.3f}%",
            width=f"{0.9 * width:.3f}%",
            y=f"{100 - 100 * share / tallest:.2f}%",
            height=f"{100 * share / tallest:.2f}%",
            class_="fill median hit",
        )
        for k, (share, left, right) in enumerate(zip(shares.tolist(), edges[:-1], edges[1:], strict=True))
    ]
    return tag("svg", *bars, height=64, role="img", aria_label=f"values of {one.site}")


def _columns(checked: Checked) -> Markup | None:
    told = [(one, features_of(one)) for one in checked.holdings]
    rows = [
        [one.site, each["name"], *(_cell(each.get(key)) for key in (*KEYS, "missing"))]
        for one, features in told
        for each in features
    ]
    if not rows:
        return None
    head = ["Hospital", "Column", "Least", "25 %", "Median", "75 %", "Largest", "Missing"]
    lede = (
        "The columns of the inputs as the network would be shown them. Missing: values that a constant stands in for."
    )
    return section("columns", "Columns", lede, table(head, rows, words=2))


KEYS = ("min", "25 %", "50 %", "75 %", "max")


def _cell(value: float | None) -> str:
    return NOTHING if value is None else plain(float(f"{value:.5g}"))


def _left_out(checked: Checked) -> Markup | None:
    rows = [[one.site, case.name, case.reason] for one in checked.holdings for case in one.quarantined]
    if not rows:
        return None
    lede = f"{count(len(rows), 'case')} cannot be used. Each is named with its reason; nothing else happens to it."
    return section("left-out", "Left out", lede, table(["Hospital", "Case", "Reason"], rows[:MOST_LISTED], words=3))
