"""`ablation.html`: what the score loses without a hospital, a column or a region, and what that does not say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from common.files.access import write
from experiments.ablating.figures import Figures, write_figures
from experiments.ablating.losses import Summed
from experiments.tuning.choice import is_lower_better
from server.reporting.charts.forest import Estimate, forest
from server.reporting.markup import Markup, table, tag
from server.reporting.page import document
from server.reporting.sections.layout import facts, figure, numbers, section
from server.reporting.wording import capital, count, difference, duration, listed, score, score_name

PAGE = "ablation.html"
MOST_DRAWN = 40
TITLES = {
    "hospitals": "Without one hospital",
    "features": "Without a column, or a group of them",
    "regions": "Without a region of the image",
}
TELLS = {
    "hospitals": (
        "The model was trained again without one hospital's cases, and tested on the persons of all, that hospital's "
        "too. A loss says that what was learned there is learned nowhere else. No loss does not say that it is of no "
        "use: others may have had cases like its own."
    ),
    "features": (
        "The model was trained again with the column at one value for everybody, in training as in tests. A loss "
        "says that the column tells something that no other one does. No loss does not say that it means nothing: "
        "of two columns that tell the same, either can be left out. A group shows what they tell together."
    ),
    "regions": (
        "The model was trained again with the region black in every image, in training as in tests. A loss says that "
        "something is seen there and nowhere else. No loss where a map is bright says that the model has others "
        "to look at, not that the map is wrong. A loss in a corner, where there is no anatomy, is a sign of a mark."
    ),
}
CAUSE = (
    "What a model can do without is not what causes an illness, and what it cannot do without may be a mark in the "
    "image or a habit of who filled in the table."
)
SURE = (
    "Lines are 95 % intervals over test persons, both models being scored on the same samples of them; of several "
    "seeds, each end is the mean. Where a line crosses 0, other persons could turn the finding round, and the row is "
    "grey. A point without a line: in one seed no test person's answer changed, or there are too few for an interval."
)


def write_page(found: Figures, folder: Path) -> Path:
    """Page and numbers; the page's path."""
    write_figures(found, folder)
    return write(folder, PAGE, page_of(found))


def page_of(found: Figures) -> str:
    """The HTML."""
    title = f"What the model cannot do without: {found.title}"
    head = tag(
        "header",
        tag("p", tag("span", "Ablation. Trained again without one thing, what is lost?", class_="kind"),
            class_="overline"),
        tag("h1", found.title),
        tag("p", finding_of(found), class_="finding"),
        facts(
            [
                ("Score", f"{capital(score_name(found.headline))} of all hospitals' test persons"),
                ("Of the whole study", listed([score(value) for value in found.before.values()])),
                ("Runs", count(len(found.rows) + len(found.before), "run")),
                ("A whole run took", duration(found.whole_s)),
            ]
        ),
    )  # fmt: skip
    return document(title, tag("main", head, *sections_of(found), tag("footer", CAUSE)))


def finding_of(found: Figures) -> str:
    """What is surely lost, in a sentence or two."""
    worse = sorted((one for one in found.variants if one.sure > 0), key=lambda one: -(one.lost or 0))
    name = score_name(found.headline)
    if not worse:
        return f"Nothing that was left out is surely missed: no interval of what the {name} loses is above 0."
    said = [f"{one.name} ({_size(found, one)})" for one in worse]
    return f"Without these the {name} is surely worse: {listed(said, 5)}."


def sections_of(found: Figures) -> list[Markup]:
    """One of each kind of what was left out; for other pages too."""
    parts = list(dict.fromkeys(one.part for one in found.variants))
    return [_section(found, part, [one for one in found.variants if one.part == part]) for part in parts]


def _section(found: Figures, part: str, variants: Sequence[Summed]) -> Markup:
    known = sorted((one for one in variants if one.lost is not None), key=lambda one: -(one.lost or 0))
    drawn = [
        Estimate(one.name, one.lost or 0.0, one.low, one.high, "federated" if one.sure else "local")
        for one in known[:MOST_DRAWN]
    ]
    better = "more" if not is_lower_better(found.headline) else "less"
    title = f"What the {score_name(found.headline)} loses ({better} of it is better; right of 0: it is worse without)"
    failed = [f"{one.name}: {one.failed}" for one in variants if one.failed]
    return section(
        part,
        TITLES.get(part, part),
        TELLS.get(part, ""),
        figure(title, forest(drawn, difference, 0.0), note=SURE) if drawn else None,
        *(tag("p", f"Not trained: {one}", class_="note") for one in failed),
        numbers("As numbers", _table(part, known)),
    )


def _table(part: str, known: Sequence[Summed]) -> Markup:
    head = ["Without", "Lost", "from", "to", "Deviation over seeds", "Seeds", "Sure"]
    rows = [
        [
            one.name, *map(difference, (one.lost, one.low, one.high)), score(one.deviation), str(one.seeds),
            {1: "worse without", -1: "better without"}.get(one.sure, "not told apart from 0"),
        ]
        for one in known
    ]  # fmt: skip
    if part == "hospitals":
        head = [*head[:2], "Its own persons lose", "All others lose", *head[2:]]
        rows = [
            [*row[:2], difference(one.own), difference(one.others), *row[2:]]
            for row, one in zip(rows, known, strict=True)
        ]
    return table(head, rows)


def _size(found: Figures, one: Summed) -> str:
    worse = -1.0 if not is_lower_better(found.headline) else 1.0
    return difference(worse * (one.lost or 0.0))
