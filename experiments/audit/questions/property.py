"""What a hospital's patients have in common: shares of groups that were read off updates, beside the true ones.

The chance is that of estimates that have nothing to do with the hospital: the same estimates dealt out to the
hospitals in any other order would be as close to the truth (a permutation test, exact). A light needs it below what
is allowed, counted over all columns, and an error smaller than that of one who saw no update.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, permutations
from math import factorial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from client.subgroups import cells_of_persons
from common.data.cases import SiteId
from common.errors import StudyError
from experiments.attack import Finding, Shares
from experiments.audit.records import NOT_POWERFUL, Reason, Trial
from experiments.audit.run import Run
from experiments.evidence.ground_truth import hospital_of
from experiments.question import Attempt, Question, Severity, Test

ASKED = "Which share of a hospital's patients is of a group that the model was not asked to learn?"
SUM = "Make the coordinator see only sums: aggregation 'secagg' or 'bfv'."
COLUMN, CHANCE, ERROR, BLIND = "column", "chance", "mean_error", "mean_error_of_a_guess"
LEAST_CHANCE = "least_chance"
MOST_ORDERS = 5040
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SharesOfGroups:
    """It has no options."""

    title: ClassVar[str] = "Reading what patients have in common off updates"
    asks: ClassVar[str] = "Can one read from what a hospital sent which groups its patients are of?"
    heading: ClassVar[str] = "Groups hidden?"
    share: ClassVar[float] = 0.05
    place: ClassVar[int] = 55
    feared: ClassVar[str] = "Somebody learns which groups of people a hospital's patients are of."
    severity: ClassVar[Severity] = "limited"
    bears_on: ClassVar[tuple[Test, ...]] = ("inference",)
    weakly: ClassVar[str] = "which groups its patients are of can be read off what it sent"

    def scored(self, attempt: Attempt, finding: Finding, run: Run) -> Sequence[Trial]:
        """One trial a hospital and column."""
        trial = attempt.trial(ASKED, finding)
        if not finding.possible:
            return [trial]
        if not finding.claims or not all(isinstance(one, Shares) for one in finding.claims):
            raise StudyError("it claims no shares of groups (Shares)")
        columns = dict.fromkeys(one.column for one in finding.claims)
        looks = len(columns) * max(attempt.tries, attempt.tries_of_all)
        return [
            scored
            for column in columns
            for scored in _of_column(trial, [one for one in finding.claims if one.column == column], run, looks)
        ]

    def reasons(self, site: SiteId, trial: Trial, run: Run) -> Iterator[Reason]:
        """Amber where shares are told beyond chance, of a hospital and of no patient, or could not have been."""
        if not trial.site:
            return
        allowed, column = 1 - run.study.audit.confidence, trial.settings[COLUMN]
        surely = trial.figures[CHANCE] < allowed and trial.figures[ERROR] < trial.figures[BLIND]
        read = f"{trial.attack} read shares of {column} with a mean error of {trial.figures[ERROR]:.2f}"
        words = f"{read}; one who saw no update has {trial.figures[BLIND]:.2f}"
        if surely:
            yield "amber", f"{words}, and by chance one is so close in {_hundreds(trial)} of 100 audits.", SUM
        elif trial.figures[LEAST_CHANCE] >= allowed:
            few = "so few hospitals, in all that was tried, that no shares would be surely better than chance"
            yield "amber", f"{words}. There are {few}: {NOT_POWERFUL}.", SUM
        else:
            yield "green", f"{words}: not surely better than chance.", ""

    def answer(self, trials: Sequence[Trial]) -> str:
        """The surest column."""
        best = min(
            (one for one in trials if CHANCE in one.figures), key=lambda one: one.figures[CHANCE], default=None
        )
        if best is None:
            return "Nothing was read."
        return (
            f"Shares of {best.settings[COLUMN]} were read with a mean error of {best.figures[ERROR]:.2f}, and "
            f"{best.figures[BLIND]:.2f} without any update; by chance in {_hundreds(best)} of 100 audits."
        )


def _hundreds(trial: Trial) -> str:
    chance = trial.figures[CHANCE]
    return f"{100 * chance:.0f}" if chance >= 0.01 else "fewer than 1"


def _of_column(trial: Trial, own: Sequence[Shares], run: Run, looks: int) -> Iterator[Trial]:
    cells = tuple(own[0].shares)
    if any(tuple(one.shares) != cells or one.site not in run.observed.cases for one in own):
        raise StudyError(f"its shares of {own[0].column!r} are not of the same cells, or of no hospital of the run")
    truth = np.array([true_shares(run, one.site, one.column, cells) for one in own])
    told = np.array([[one.shares[cell] for cell in cells] for one in own])
    guessed = np.array([[one.guessed[cell] for cell in cells] for one in own])
    figures = {
        CHANCE: min(1.0, looks * chance_of(told, truth)),
        LEAST_CHANCE: min(1.0, looks * chance_of(truth, truth)),
        ERROR: float(np.abs(told - truth).mean()),
        BLIND: float(np.abs(guessed - truth).mean()),
    }
    for row, one in enumerate(own):
        shares = {f"{cell}, told": float(told[row, place]) for place, cell in enumerate(cells)}
        shares |= {f"{cell}, true": float(truth[row, place]) for place, cell in enumerate(cells)}
        shares |= {f"{cell}, guessed": float(guessed[row, place]) for place, cell in enumerate(cells)}
        settings = {**trial.settings, COLUMN: one.column}
        yield replace(trial, site=one.site, figures={**trial.figures, **figures, **shares}, settings=settings)


def true_shares(run: Run, site: SiteId, column: str, cells: Sequence[str]) -> Floats:
    """Of the hospital's cases in training whose person is of a cell, as `Shares` has them."""
    cases = hospital_of(run.study, site).train
    grouping = next((one for one in run.study.report.groupings if one.column == column), None)
    if grouping is None or tuple(grouping.cells) != tuple(cells):
        raise StudyError(f"{column!r} with cells {', '.join(cells)} is no group that the study names")
    persons, of_case = np.unique(cases.patients, return_inverse=True)
    masks = cells_of_persons(grouping, cases, persons, of_case.reshape(-1))
    counts = masks[:, of_case.reshape(-1)].sum(1)
    return np.asarray(counts / max(1, counts.sum()))


def chance_of(told: Floats, truth: Floats) -> float:
    """That estimates (H, cells) in another order are as close to the truth; at least 1 over the number of orders."""
    reached = float(((told - truth) ** 2).sum())
    many = factorial(len(told))
    if many <= MOST_ORDERS:
        orders = [list(order) for order in islice(permutations(range(len(told))), many)]
    else:
        rng = np.random.default_rng(0)
        orders = [list(range(len(told))), *(rng.permutation(len(told)).tolist() for _ in range(MOST_ORDERS - 1))]
    as_close = sum(float(((told[order] - truth) ** 2).sum()) <= reached + 1e-12 for order in orders)
    return as_close / len(orders)


question: type[Question] = SharesOfGroups
