"""The ledger of privacy spending: what every study cost this hospital's persons, and how much is left."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

from client._ledger_file import FILE, HEAD_FILE, KEY_FILE, trace
from common.files.access import is_there
from experiments.hospital.ledger import sentences
from experiments.hospital.ledger_summary import Summary, summary_of
from experiments.pages.sheet import badge, banner, bulleted
from server.reporting.charts.bars import bar, row
from server.reporting.markup import Markup, table, tag
from server.reporting.sections.layout import figure, section
from server.reporting.wording import count, score

TITLE = "What it cost its persons"
NONE = (
    "Nothing was ever charged: no study with a privacy mechanism has trained here. Studies without one cost without "
    "bound, and are counted nowhere."
)
MOST_STEPS = 12


def ledger_of(folder: Path) -> Summary | None:
    """None where there is none. Raises LedgerError where it is damaged."""
    if not any(is_there(folder, name) for name in (FILE, KEY_FILE, HEAD_FILE)) and not trace(folder):
        return None
    return summary_of(folder)


def ledger_section(summary: Summary | None) -> Markup:
    """By study and unit, and how many persons have spent how much."""
    if summary is None:
        return section("ledger", TITLE, NONE)
    head = ["Study", "Hides one", "Rounds charged", "Charges", "Persons", "Epsilon", "Delta", "Refusals"]
    rows = [
        [
            one.title or one.study[:12],
            one.unit,
            f"{one.rounds:,}",
            f"{one.charges:,}",
            f"{one.patients:,}",
            score(one.epsilon),
            f"{one.delta:g}",
            f"{one.refusals:,}",
        ]
        for one in summary.studies
    ]
    lede = (
        "Every release is written down before it is made. Epsilon bounds what anybody can learn of one person from "
        "all that was released: the smaller, the less."
    )
    return section(
        "ledger",
        TITLE,
        lede,
        _chain(summary),
        bulleted(sentences(summary)),
        table(head, rows, words=2),
        _spread(summary),
    )


def _chain(summary: Summary) -> Markup:
    if summary.fault is None:
        return tag(
            "p", badge("good", "whole"), f" The chain of {count(summary.entries, 'entry', 'entries')} is whole."
        )
    words = f"{summary.fault}. Only the {summary.entries:,} entries before are counted, so that too little is shown."
    return banner("bad", tag("b", "The ledger is not as it was written"), tag("p", words))


def _spread(summary: Summary) -> Markup | None:
    """How many persons have spent how much, the most spent first."""
    if not summary.spread:
        return None
    ceiling = summary.limit.epsilon if summary.limit else max(one for one, _ in summary.spread)
    rows = [
        row(
            f"epsilon {score(epsilon)}" if isfinite(epsilon) else "without bound",
            bar(
                _share(epsilon, ceiling),
                count(number, "person"),
                "out",
            ),
        )
        for epsilon, number in summary.spread[:MOST_STEPS]
    ]
    more = len(summary.spread) - len(rows)
    note = (
        "A full bar is this hospital's limit." if summary.limit else "A full bar is the most-spent person's epsilon."
    )
    note += f" {more} smaller sums are not drawn." if more > 0 else ""
    return figure("How many persons have spent how much", tag("div", *rows, class_="rows"), note=note)


def _share(epsilon: float, ceiling: float) -> float:
    return epsilon / ceiling if ceiling > 0 and isfinite(epsilon) else 1.0
