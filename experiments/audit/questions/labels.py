"""How many cases of each class an update rests on: counts that were read from it, beside the true ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.special import gammaln

from common.data.cases import SiteId
from common.errors import StudyError
from experiments.attack import Finding, Reconstruction
from experiments.audit.records import CHANCE, NOT_POWERFUL, Reason, Trial
from experiments.audit.run import Run
from experiments.evidence.ground_truth import truth_of
from experiments.observation import Observation
from experiments.question import Attempt, Question, Severity, Test

ASKED = "Can one read from what hospitals sent how many of its cases have which diagnosis?"
SUM = "Make the coordinator see only sums: aggregation 'secagg' or 'bfv'."
NOISE = "Add differential privacy for patients: privacy 'dpsgd', and lower epsilon until the finding is gone."

MORE = "Audit a run whose updates rest on more cases, so that counts that are read can be told from guesses."


@dataclass(frozen=True)
class CountsOfLabels:
    """It has no options."""

    title: ClassVar[str] = "Reading diagnoses off an update"
    asks: ClassVar[str] = "Can one read from what a hospital sent how many of its patients have a disease?"
    heading: ClassVar[str] = "Diagnoses hidden?"
    share: ClassVar[float] = 0.03
    place: ClassVar[int] = 50
    feared: ClassVar[str] = "Somebody learns how many patients of a hospital have a disease."
    severity: ClassVar[Severity] = "limited"
    bears_on: ClassVar[tuple[Test, ...]] = ("inference",)

    def scored(self, attempt: Attempt, finding: Finding, run: Run) -> Sequence[Trial]:
        """One trial over all updates whose counts were read."""
        trial = attempt.trial(ASKED, finding)
        if not finding.possible:
            return [trial]
        if not finding.reconstructions or any(one.labels is None for one in finding.reconstructions):
            raise StudyError("it gave no labels.")
        return [replace(trial, figures={**trial.figures, **figures(run.observed, finding.reconstructions)})]

    def reasons(self, site: SiteId, trial: Trial, run: Run) -> Iterator[Reason]:
        """Every count is right, and guessing would seldom be; or would be too often for anything to be told."""
        by_chance = trial.figures.get("exact_by_chance", 0.0) ** trial.figures.get("updates", 1.0)
        whose = "an update" if trial.site else "the sum of all hospitals"
        words = f"How many cases of each class {whose} rests on was"
        if trial.figures.get("exact_share", 0.0) < 1:
            yield "green", f"{words} not read from it for certain ({trial.attack}).", ""
        elif by_chance >= CHANCE:
            guessed = f"guessed right, as chance alone does in {100 * by_chance:.0f} of 100 tries ({trial.attack})"
            yield "amber", f"{words} {guessed}: {NOT_POWERFUL}.", MORE
        else:
            change = SUM if run.claim.reveals == "each" else NOISE
            yield "amber", f"{words} read from it ({trial.attack}).", change

    def answer(self, trials: Sequence[Trial]) -> str:
        """The best attack's share of right counts."""
        shares = [trial.figures["exact_share"] for trial in trials if "exact_share" in trial.figures]
        if not shares:
            return "Nothing was read."
        return (
            f"Counts of cases by diagnosis were read exactly in {100 * max(shares):.0f} % of the best attack's tries."
        )


def figures(observed: Observation, found: Sequence[Reconstruction]) -> Mapping[str, float]:
    """exact_share: of updates whose every count is right. mean_absolute_error: cases a class. presence_accuracy:

    share of classes of which it is rightly said whether there is any case at all. exact_by_chance: how often one who
    knows only how many cases there are guesses all counts of an update, classes being equally frequent. updates: how
    many were read.
    """
    errors, present, guessed = [], [], []
    for one in found:
        assert one.labels is not None
        counts = np.bincount(one.labels, minlength=observed.shape.classes)
        truth = truth_of(observed.study, one.round, one.sites)
        true = np.bincount(truth.targets.reshape(-1).astype(np.int64), minlength=observed.shape.classes)
        errors.append(np.abs(counts - true))
        present.append((counts > 0) == (true > 0))
        guessed.append(guessed_share(int(true.sum()), len(true)))
    return {
        "exact_share": float(np.mean([not error.any() for error in errors])),
        "mean_absolute_error": float(np.mean(errors)),
        "presence_accuracy": float(np.mean(present)),
        "exact_by_chance": float(np.mean(guessed)),
        "updates": float(len(found)),
    }


def guessed_share(cases: int, classes: int) -> float:
    """The chance of the likeliest counts: the multinomial's, with cases spread as evenly as they can be."""
    even = np.full(classes, cases // classes) + (np.arange(classes) < cases % classes)
    return float(np.exp(gammaln(cases + 1) - gammaln(even + 1).sum() - cases * np.log(classes)))


question: type[Question] = CountsOfLabels
