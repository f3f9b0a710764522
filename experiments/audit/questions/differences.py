"""Is a hospital's own update hidden: what is read of it, and what combinations of sums tell apart.

What is measured is the cosine with what the hospital truly computed, beyond that of the opened sum it is in:
hospitals alike resemble their sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.errors import StudyError
from experiments.attack import Finding
from experiments.attacks.differences_of_sums import Estimate, ToldApart
from experiments.audit.records import Claim, Reason, Trial
from experiments.audit.run import Run
from experiments.evidence.recomputed_updates import computed_update
from experiments.question import Attempt, Question, Severity, Test
from server.reporting.wording import count

ASKED = "Do the sums that were opened, or that hospitals help to open, tell a hospital's own update apart?"
GROUPS = (
    "Let sums be opened of whole groups only (federation.groups = 'whole'), under keys that hospitals do not share "
    "(aggregation 'secagg', or 'bfv' with keys = 'distributed')."
)
SUM = "Make the coordinator see only sums: aggregation 'secagg' or 'bfv'."
NEARER = 0.05
"""Of cosine with the hospital's true update, beyond that of the opened sum."""
NOISY = "the promised noise is still on it, so that epsilon alone hides its patients"
MOST_ROUNDS = 3
"""Whose updates are computed again to score least squares."""


@dataclass(frozen=True)
class DifferencesBetweenSums:
    """It has no options."""

    title: ClassVar[str] = "Telling a hospital apart"
    asks: ClassVar[str] = "Do the sums that the coordinator reads, taken together, give a single hospital's update?"
    heading: ClassVar[str] = "What it sends hidden?"
    share: ClassVar[float] = 0.02
    place: ClassVar[int] = 10
    feared: ClassVar[str] = "Somebody reads what one hospital sent, and attacks it alone."
    severity: ClassVar[Severity] = "limited"
    bears_on: ClassVar[tuple[Test, ...]] = ("linkability",)
    happened: ClassVar[str] = "what a single hospital sent can be worked out from sums that are opened"

    def scored(self, attempt: Attempt, finding: Finding, run: Run) -> Sequence[Trial]:
        """One trial a hospital that is told apart, or one of all."""
        trial = attempt.trial(ASKED, finding)
        claims = [one for one in finding.claims if isinstance(one, ToldApart)]
        return [self._of(one, trial, run) for one in claims] if claims else [trial]

    def _of(self, one: ToldApart, trial: Trial, run: Run) -> Trial:
        scores, reason = _scored(one, run) if one.estimates else ({}, "")
        figures = {**trial.figures, "told_apart": float(len(one.own)), **scores}
        settings = {**trial.settings, "told_apart": list(one.own), "not_scored": reason}
        return replace(trial, site=one.site, figures=figures, settings=settings)

    def reasons(self, site: SiteId, trial: Trial, run: Run) -> Iterator[Reason]:
        """What the run's own sums tell of a hospital, or what one that cheats is helped to."""
        if "told_apart" not in trial.figures:
            yield from _of_a_cheat(trial, run.claim)
        elif trial.figures["fewest_of_any"] >= trial.figures["least_in_sum"]:
            yield (
                "green",
                f"Adding and subtracting the {count(int(trial.figures['rounds']), 'opened sum')} leads to no sum of "
                f"fewer than {trial.figures['told_apart']:.0f} hospitals, this one among them.",
                "",
            )
        else:
            yield _of_sums(trial, run.claim)

    def standing(self, site: SiteId, trials: Sequence[Trial], run: Run) -> Iterator[Reason]:
        """Whether single updates are read at all."""
        if run.claim.reveals == "each":
            yield "amber", "The coordinator could read this hospital's single updates.", SUM
        else:
            yield "green", "The coordinator could read only sums over several hospitals.", ""

    def answer(self, trials: Sequence[Trial]) -> str:
        """What was told apart, how near, and what one that cheats is helped to."""
        looked = [trial for trial in trials if "fewest_of_any" in trial.figures]
        fewest = min((int(trial.figures["fewest_of_any"]) for trial in looked), default=0)
        apart = f"Adding and subtracting the opened sums leads to no sum of fewer than {count(fewest, 'hospital')}."
        if fewest == 1:
            apart = "Adding and subtracting the opened sums leads to a single hospital's update."
        said = [apart] if looked else []
        near = max((trial.figures["cosine"] for trial in looked if "cosine" in trial.figures), default=None)
        if near is not None:
            said.append(f"The best estimate of a hospital's update has a cosine of {near:.3f} with the true one.")
        for trial in (one for one in trials if "opened" in one.figures):
            helped = (
                f"is refused: {trial.refused}"
                if trial.refused
                else "gets them: their difference is what that one sent"
            )
            said.append(f"A coordinator that cheats, and asks for sums that differ by one hospital, {helped}.")
        return " ".join(said)


def _scored(one: ToldApart, run: Run) -> tuple[dict[str, float], str]:
    """Cosines with the hospital's true update, of the better of all estimates; and why there are none."""
    try:
        cosine, of_sum = max(_score(one.site, estimate, run) for estimate in one.estimates)
    except StudyError as error:
        return {}, str(error).rstrip(".")
    return {"cosine": cosine, "cosine_of_sum": of_sum, "beyond_the_sum": cosine - of_sum}, ""


def _score(site: SiteId, estimate: Estimate, run: Run) -> tuple[float, float]:
    """Cosine with the mean of its true updates, and of the sums it was in."""
    inside = [one for one in estimate.of if site in one.sites]
    inside = [inside[place] for place in np.unique(np.linspace(0, len(inside) - 1, MOST_ROUNDS).astype(int))]
    true = np.mean([computed_update(run.study, run.orders, site, one.round).vectors[0] for one in inside], axis=0)
    return _cosine(estimate.values, true), _cosine(np.mean([o.update.vectors[0] for o in inside], axis=0), true)


def _cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.vdot(a, b)) / norms if norms else 0.0


def _of_sums(trial: Trial, claim: Claim) -> Reason:
    several = int(trial.figures["told_apart"])
    what = "this hospital's own update" if several == 1 else f"the sum of {several} hospitals, this one among them,"
    if several >= trial.figures["least_in_sum"]:
        what = f"over {trial.figures['fewest_of_any']:.0f} hospitals only, and of {several} with this one their sum"
    rounds = count(int(trial.figures["rounds"]), "opened sum")
    words = f"A combination of the {rounds} is {what}{_how_near(trial)}"
    if _is_noisy(claim):
        return "amber", f"{words}; {NOISY}.", ""
    return ("red" if _is_read(trial, several) else "amber"), f"{words}.", GROUPS


def _is_read(trial: Trial, several: int) -> bool:
    """Whether the hospital's own update is known as good as exactly; one that is told alone and not measured is."""
    if "cosine" not in trial.figures:
        return several == 1
    beyond, close = trial.figures["beyond_the_sum"] > NEARER, trial.figures["cosine"] > 1 - NEARER
    return (several == 1 and (beyond or close)) or (beyond and close)


def _how_near(trial: Trial) -> str:
    """Measured, or why not."""
    if "cosine" not in trial.figures:
        return f" (not compared with the true one: {trial.settings.get('not_scored') or 'no reason is known'})"
    cosine, of_sum = trial.figures["cosine"], trial.figures["cosine_of_sum"]
    return f": cosine {cosine:.3f} with the true one, where the opened sum has {of_sum:.3f}"


def _of_a_cheat(trial: Trial, claim: Claim) -> Iterator[Reason]:
    cosine = trial.figures.get("cosine", 0.0)
    if not trial.figures.get("opened"):
        yield "green", "Two sums which differ by one hospital were not opened.", ""
        return
    words = f"Two sums were opened which differ by one hospital: it is their difference (cosine {cosine:.3f})"
    yield "red", f"{words}; {NOISY}." if _is_noisy(claim) else f"{words}.", "" if _is_noisy(claim) else GROUPS


def _is_noisy(claim: Claim) -> bool:
    """Whether what a hospital sends has noise on it already: a coordinator's own is added later."""
    return bool(claim.mechanism) and claim.binds_coordinator


question: type[Question] = DifferencesBetweenSums
