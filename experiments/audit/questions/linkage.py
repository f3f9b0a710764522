"""Whether people are found in a release by what is known of them from elsewhere, beside what k lets expect.

k-anonymity promises that whoever knows a person's quasi-identifiers can do no better than take one of k rows. So the
chance of each person is that of drawing from the rows that these fit, and a red light needs more rows found than that
surely gives (Hoeffding 1956: of draws with unequal chances, no tail is heavier than the binomial one of their mean).
A row counts as the person's where all that it holds is true of the person; so the chance is no less than that of a
stranger's row, which agrees in whatever the adversary did not know as often as two rows do by chance. A diagnosis
that is told is beside the most frequent one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.errors import StudyError
from experiments.adversary import View
from experiments.attack import Finding, Links
from experiments.audit.records import NOT_POWERFUL, Reason, Report, Trial
from experiments.audit.run import Run
from experiments.evidence.releases import AuditedRelease, Released, fitting
from experiments.question import Attempt, Plant, Question, Severity, Test
from server.reporting.charts.plane import Curve, Plane, Spot, plane
from server.reporting.markup import Markup, table
from server.reporting.sections.layout import figure, section
from server.reporting.wording import percent

ASKED = "Whose row in the release can be found by what is known of the person from elsewhere?"
ANOTHER_WAY = (
    "Release answers with noise in its place (`wardround ask --epsilon`), fewer columns, or a larger k: "
    "`wardround anonymise` draws who is found against what is lost."
)
PEOPLE, FOUND, RIGHT, EXPECTED, CHANCE = "people", "rows_claimed", "rows_right", "rows_right_by_chance", "chance"
TOLD, TOLD_RIGHT, TOLD_CHANCE = "values_told", "values_right", "chance_of_values"
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class FoundInARelease:
    """It has no options."""

    title: ClassVar[str] = "Finding people in a release"
    asks: ClassVar[str] = "Can somebody who knows a person find their row in what was released?"
    heading: ClassVar[str] = "Released rows nobody's?"
    share: ClassVar[float] = 0.02
    place: ClassVar[int] = 57
    feared: ClassVar[str] = "Somebody finds a patient's row in a release, and learns all that it holds."
    severity: ClassVar[Severity] = "significant"
    bears_on: ClassVar[tuple[Test, ...]] = ("singling out", "linkability", "inference")
    happened: ClassVar[str] = "patients' rows were found in a release"
    weakly: ClassVar[str] = "rows that seem to be patients' were found in a release"

    def scored(self, attempt: Attempt, finding: Finding, run: Run) -> Sequence[Trial]:
        """One trial a hospital whose people were looked for."""
        trial = attempt.trial(ASKED, finding)
        if not finding.possible:
            return [trial]
        audited, released = run.release, attempt.view.observed.access.release
        if audited is None or released is None:
            raise StudyError("there is no release whose rows it could have found")
        if len(finding.claims) != 1 or not isinstance(finding.claims[0], Links):
            raise StudyError("it claims no rows of people (Links)")
        links = finding.claims[0]
        _check(links, released)
        sites = np.array(audited.sites)
        looks = len(set(audited.sites)) * max(attempt.tries, attempt.tries_of_all)
        right, told = _right(links, released, audited), _told(links, audited, released.sensitive)
        agree = _agreeing(released, audited), _usual(released)
        return [
            replace(trial, site=site, figures={**trial.figures, **_figures(links, right, told, agree, mine, looks)})
            for site in sorted(set(audited.sites))
            for mine in [sites == site]
        ]

    def reasons(self, site: SiteId, trial: Trial, run: Run) -> Iterator[Reason]:
        """Red where more rows are found, or more values told, than chance surely gives."""
        found = trial.figures
        if not trial.site or PEOPLE not in found:
            return
        allowed = 1 - run.study.audit.confidence
        words = (
            f"{trial.attack} found the rows of {found[RIGHT]:.0f} of {found[PEOPLE]:.0f} people, where taking any "
            f"row that fits their {_listed(trial)} finds {found[EXPECTED]:.1f}"
        )
        if found[RIGHT] > found[EXPECTED] and found[CHANCE] < allowed:
            yield "red", f"{words}.", ANOTHER_WAY
        elif found[RIGHT] > found[EXPECTED] + 1:
            yield "amber", f"{words}: {NOT_POWERFUL}, of so few.", ANOTHER_WAY
        else:
            yield "green", f"{words}.", ""
        if found.get(TOLD_RIGHT, 0.0) and found[TOLD_CHANCE] < allowed:
            said = f"{trial.attack} told {trial.settings.get('sensitive')} of {found[TOLD]:.0f} people"
            yield (
                "red",
                f"{said}, right for {found[TOLD_RIGHT]:.0f}: all rows that fit them have the same.",
                ANOTHER_WAY,
            )

    def answer(self, trials: Sequence[Trial]) -> str:
        """Of all hospitals together."""
        own = [one for one in trials if PEOPLE in one.figures]
        if not own:
            return "Nobody was looked for."
        people, right, expected = (sum(one.figures[name] for one in own) for name in (PEOPLE, RIGHT, EXPECTED))
        return (
            f"Of {people:.0f} people {right:.0f} ({percent(right / max(people, 1))}) were found; whoever takes any "
            f"row that fits finds {expected:.0f}."
        )

    def plants(self, run: Run) -> Iterator[Plant]:
        """The same people's rows as they were: who does not find these would find nobody."""
        if run.release is not None:
            observed = run.handed
            access = replace(observed.access, release=run.release.as_it_was())
            yield Plant("rows released as they are", View(replace(observed, access=access)))

    def figure(self, report: Report) -> Markup | None:
        """Found beside chance, hospital by hospital."""
        own = [one for one in report.trials if one.kind == "linkage" and one.possible and PEOPLE in one.figures]
        if not own:
            return None
        shares = [
            (one.figures[EXPECTED] / one.figures[PEOPLE], one.figures[RIGHT] / one.figures[PEOPLE]) for one in own
        ]
        spots = [
            Spot(x, y, "federated", f"{one.site}: {percent(y)} found, {percent(x)} by chance")
            for one, (x, y) in zip(own, shares, strict=True)
        ]
        drawn = plane(
            Plane((0, 1), (0, 1), "share found by taking any row that fits", "share found"),
            describe="People found beside chance",
            curves=[Curve([(0.0, 0.0), (1.0, 1.0)], "diagonal")],
            spots=spots,
        )
        rows = [
            (one.site, f"{one.figures[PEOPLE]:.0f}", percent(y), percent(x), f"{one.figures.get(TOLD_RIGHT, 0):.0f}")
            for one, (x, y) in zip(own, shares, strict=True)
        ]
        note = "On the line nobody is found whom k does not let be found; a point above it is a hospital's people."
        header = ("hospital", "people", "found", "by chance", "told a value, rightly")
        return section(
            "linkage",
            self.title,
            self.answer(own),
            figure("Found beside chance", drawn, note=note),
            table(header, rows),
        )


def _check(links: Links, released: Released) -> None:
    people = released.people
    if not len(links.rows) == len(links.values) == len(links.alike) == people:
        raise StudyError(f"it claims rows of {len(links.rows)} people, and {people} were looked for")
    if people and (links.rows.max() >= len(released) or links.rows.min() < -1 or (links.alike < 0).any()):
        raise StudyError("it claims rows that are not in the release")


def _right(links: Links, released: Released, audited: AuditedRelease) -> Mask:
    """(N,) whether the claimed row is the person's: all that it holds is true of the person."""
    claimed = np.flatnonzero(links.rows >= 0)
    right = np.zeros(len(links.rows), np.bool_)
    right[claimed] = True
    for name, said in released.rows.items():
        if name not in audited.people.columns:
            continue
        if name in released.quasi:
            values = audited.people.columns[name]
            fine = [bool(fitting(said[links.rows[at]], values[at : at + 1])[0]) for at in claimed.tolist()]
            right[claimed] &= np.array(fine, np.bool_)
        else:
            right[claimed] &= audited.people.words(name)[claimed] == said[links.rows[claimed]]
    return right


def _told(links: Links, audited: AuditedRelease, sensitive: str) -> tuple[Mask, Mask]:
    """(N,) of whom a value is told, and rightly."""
    values = np.array(links.values, dtype=np.str_)
    told = values != ""
    return told, told & (values == audited.people.words(sensitive)) if sensitive else np.zeros_like(told)


def _agreeing(released: Released, audited: AuditedRelease) -> float:
    """How often a row and a person agree by chance in all columns that were not known."""
    hidden = [name for name in released.rows if name not in released.known and name in audited.people.columns]
    if not hidden:
        return 1.0
    rows = Counter(zip(*(released.rows[name].tolist() for name in hidden), strict=True))
    people = Counter(zip(*(audited.people.words(name).tolist() for name in hidden), strict=True))
    pairs = sum(many * people[held] for held, many in rows.items())
    return pairs / max(rows.total() * people.total(), 1)


def _usual(released: Released) -> float:
    """Share of the most frequent value."""
    if not released.sensitive or not len(released):
        return 1.0
    return float(np.unique(released.rows[released.sensitive], return_counts=True)[1].max() / len(released))


def _figures(
    links: Links, right: Mask, told: tuple[Mask, Mask], agree: tuple[float, float], mine: Mask, looks: int
) -> dict[str, float]:
    claimed = mine & (links.rows >= 0)
    by_chance = np.maximum(1 / np.maximum(links.alike[claimed], 1), agree[0])
    every = 1 / links.alike[mine & (links.alike > 0)]
    many, hits = int((told[0] & mine).sum()), int((told[1] & mine).sum())
    return {
        PEOPLE: float(mine.sum()),
        FOUND: float(claimed.sum()),
        RIGHT: float((right & mine).sum()),
        EXPECTED: float(every.sum()),
        CHANCE: min(1.0, looks * _tail(int((right & mine).sum()), by_chance)),
        TOLD: float(many),
        TOLD_RIGHT: float(hits),
        TOLD_CHANCE: min(1.0, looks * _tail(hits, np.full(many, agree[1]))),
    }


def _tail(hits: int, chances: NDArray[np.float64]) -> float:
    """At least so many of independent draws; 1 where these are expected."""
    from scipy.stats import binom

    mean = float(chances.mean()) if len(chances) else 1.0
    return 1.0 if hits <= len(chances) * mean else float(binom.sf(hits - 1, len(chances), mean))


def _listed(trial: Trial) -> str:
    quasi = trial.settings.get("quasi")
    return ", ".join(map(str, quasi)) if isinstance(quasi, Sequence) and not isinstance(quasi, str) else "columns"


question: type[Question] = FoundInARelease
