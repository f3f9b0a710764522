"""`probe.html`, `probe.json` and `probe.csv`: areas under the curve by share of labels, beside the floor."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from math import hypot, log10
from pathlib import Path
from typing import Any

from common.analyses._probe_scores import ALL
from common.files.access import write
from common.files.json_files import write_json
from experiments.probing.curves import FLOOR, PRETRAINED, Asked, Row
from experiments.probing.summary import Cell, cells_of
from server.reporting.charts.lines import Band, Line, line_chart
from server.reporting.markup import Markup, table, tag
from server.reporting.page import document
from server.reporting.sections.layout import beside, figure, numbers, section
from server.reporting.wording import NOTHING, score

PAGE, FIGURES, ROWS = "probe.html", "probe.json", "probe.csv"
SCHEMA = "wardround/probe/1"
LOOKS = ("everybody", "c2", "c3", "c4", "c5")
HEAD = ("Encoder", "Labels used", "Labels", "AUC", "95 % interval", "Draws", "Above the floor", "Balanced accuracy")


@dataclass(frozen=True)
class Probed:
    """title: of the run's study. run: its folder. rows: all that was measured."""

    title: str
    run: str
    asked: Asked
    rows: tuple[Row, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Over draws."""
        return cells_of(self.rows)

    @property
    def finding(self) -> str:
        """In a sentence: how far above the floor the encoder is where labels are fewest."""
        least = min(self.asked.shares)
        held = {one.encoder: one for one in self.cells if one.site == ALL and one.share == least}
        own, floor = held.get(PRETRAINED), held.get(FLOOR)
        if own is None or floor is None or own.auc is None or floor.auc is None:
            return f"With {share_words(least)} of the labels there is no area under the curve to compare."
        return (
            f"With {share_words(least)} of the labels ({own.labels:.0f}) the pretrained encoder reaches an area "
            f"under the curve of {score(own.auc)}{between(own)}; untrained it reaches "
            f"{score(floor.auc)}{between(floor)}: {_beside(own, floor)}."
        )


def _beside(own: Cell, floor: Cell) -> str:
    """Whether the difference is more than the two intervals would make of none."""
    assert own.auc is not None
    assert floor.auc is not None
    above = own.auc - floor.auc
    halves = [(one.high - one.low) / 2 for one in (own, floor) if one.low is not None and one.high is not None]
    if len(halves) == 2 and abs(above) <= hypot(*halves):
        return "intervals as wide as these do not tell the two apart"
    return f"it is {'above' if above > 0 else 'not above'} its floor"


def write_probed(probed: Probed, folder: Path) -> Path:
    """All three files; the page's path."""
    write_json(folder, FIGURES, figures_of(probed))
    write(folder, ROWS, csv_of(probed.rows))
    return write(folder, PAGE, page_of(probed))


def figures_of(probed: Probed) -> dict[str, Any]:
    """Everything that the page shows, as numbers."""
    return {
        "schema": SCHEMA,
        "title": probed.title,
        "run": probed.run,
        "method": probed.asked.method,
        "options": dict(probed.asked.options),
        "shares": list(probed.asked.shares),
        "draws": probed.asked.draws,
        "finding": probed.finding,
        "summary": [asdict(one) for one in probed.cells],
        "rows": [asdict(one) for one in probed.rows],
    }


def csv_of(rows: Sequence[Row]) -> str:
    """A line for every encoder, share, draw and hospital."""
    names = ("n", "auc", "auc_low", "auc_high", "accuracy", "balanced_accuracy")
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("encoder", "share", "draw", "hospital", "labels", *names))
    for row in rows:
        for site, found in row.scores.items():
            values = ["" if found[name] is None else found[name] for name in names]
            writer.writerow((row.encoder, row.share, row.draw, site, sum(row.labels.values()), *values))
    return text.getvalue()


def page_of(probed: Probed) -> str:
    """The HTML."""
    title = f"Few labels: {probed.title}"
    head = tag("header", tag("h1", title), tag("p", probed.finding, class_="finding"))
    lacking = [
        f"{row.encoder}, {share_words(row.share)}, draw {row.draw}: {row.why}" for row in probed.rows if row.why
    ]
    said = section("lacking", "Without an answer", None, *(tag("p", one) for one in lacking)) if lacking else None
    return document(title, tag("main", head, _curves(probed), *_of_hospitals(probed), said))


def share_words(share: float) -> str:
    """ "10 %"."""
    return f"{100 * share:g} %"


def between(cell: Cell) -> str:
    """Its interval, where it has one."""
    return "" if cell.low is None or cell.high is None else f" ({score(cell.low)} to {score(cell.high)})"


def cells(one: Cell) -> list[str]:
    """A row of a table, under HEAD."""
    interval = NOTHING if one.low is None or one.high is None else f"{score(one.low)} to {score(one.high)}"
    above = NOTHING if one.above_floor is None else f"{one.above_floor:+.3f}"
    spread = "" if one.draws < 2 or one.lowest is None else f" ({score(one.lowest)} to {score(one.highest)})"
    return [
        one.encoder,
        share_words(one.share),
        f"{one.labels:.0f}",
        NOTHING if one.auc is None else score(one.auc),
        interval,
        f"{one.draws}{spread}",
        above,
        NOTHING if one.balanced_accuracy is None else score(one.balanced_accuracy),
    ]


def _curves(probed: Probed) -> Markup:
    whole = [one for one in probed.cells if one.site == ALL]
    return section(
        "curves",
        "Labels and what they make of the encoder",
        f"A {probed.asked.method} probe of frozen features, exactly as on pooled features; labels are drawn class by "
        "class in every hospital. The floor is the same network, never trained: what is not above it was not "
        "learned.",
        figure("Area under the curve on all hospitals' test cases", _chart(whole, probed.asked.encoders)),
        table(HEAD, [cells(one) for one in whole]),
        tag(
            "p",
            "Intervals are over other test patients and other draws of labels; in brackets the lowest and highest.",
            class_="note",
        ),
    )


def _of_hospitals(probed: Probed) -> list[Markup]:
    sites = sorted({one.site for one in probed.cells} - {ALL})
    if not sites:
        return []
    found = []
    for site in sites:
        own = [one for one in probed.cells if one.site == site]
        known = any(one.auc is not None for one in own)
        drawn = _chart(own, probed.asked.encoders) if known else tag("p", "Its test cases are of one class.")
        found.append(figure(site, drawn, numbers("Numbers", table(HEAD, [cells(one) for one in own]))))
    lede = "The same probes, of all hospitals' labels, on each hospital's own test cases."
    return [section("hospitals", "Hospital by hospital", lede, beside(*found))]


def _chart(found: Sequence[Cell], encoders: Sequence[str]) -> Markup:
    lines, bands = [], []
    for name, look in zip(encoders, LOOKS, strict=False):
        own = sorted((one for one in found if one.encoder == name and one.auc is not None), key=lambda one: one.share)
        lines.append(Line(name, tuple((_place(one.share), one.auc) for one in own), look))
        known = [one for one in own if one.low is not None]
        if name == PRETRAINED and known:
            low, high = (tuple((_place(one.share), getattr(one, end)) for one in known) for end in ("low", "high"))
            bands.append(Band("95 % interval", low, high, "outer"))
    return line_chart(
        lines,
        bands,
        describe="Area under the curve by share of labels",
        x_word="labels used",
        words=score,
        x_names={_place(share): f"{100 * share:g} %" for share in sorted({one.share for one in found})},
    )


def _place(share: float) -> float:
    return log10(100 * share)
