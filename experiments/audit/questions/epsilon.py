"""Whether a promise of privacy is kept: the noise that was sent is tested, and what canaries give away is counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from common.data.cases import SiteId
from experiments.attack import Finding
from experiments.audit.questions import _canaries as canaries
from experiments.audit.questions import _sent_noise as sent_noise
from experiments.audit.questions._epsilon_page import figure_of
from experiments.audit.records import Light, Reason, Report, Trial
from experiments.audit.run import Run
from experiments.question import Attempt, Plant, Question, Severity, Test
from server.reporting.markup import Markup

NOISE = "Add differential privacy for patients: privacy 'dpsgd', and lower epsilon until the finding is gone."
MEASURE = "Have the promise measured in a simulation on this study's settings before you rely on it."


@dataclass(frozen=True)
class Epsilon:
    """It has no options."""

    title: ClassVar[str] = "Measuring the promise of privacy"
    asks: ClassVar[str] = "Does the training give away more than the epsilon that was promised?"
    heading: ClassVar[str] = "A promise, and kept?"
    share: ClassVar[float] = 0.25
    place: ClassVar[int] = 40
    feared: ClassVar[str] = "The promise is not kept: every limit that rests on epsilon falls."
    severity: ClassVar[Severity] = "significant"
    bears_on: ClassVar[tuple[Test, ...]] = ("singling out", "linkability", "inference")
    happened: ClassVar[str] = "a promise of privacy was broken"
    weakly: ClassVar[str] = "a promise of privacy is weak, or was not shown to be kept"

    def happening(self, site: SiteId, light: Light, trials: Sequence[Trial]) -> str:
        """Of an amber light: whether there is a promise that was measured at all."""
        if light == "amber" and not any(trial.possible for trial in trials):
            return "no limit on what the model tells of a patient was both promised and measured"
        return self.happened if light == "red" else self.weakly

    def scored(self, attempt: Attempt, finding: Finding, run: Run) -> Sequence[Trial]:
        """By what is claimed: noise, or scores of canaries."""
        if attempt.attack == sent_noise.ATTACK:
            return sent_noise.scored(attempt, finding)
        return canaries.scored(attempt, finding, run)

    def reasons(self, site: SiteId, trial: Trial, run: Run) -> Iterator[Reason]:
        """Of two tests, each named; bounds are no light."""
        if sent_noise.is_of(trial):
            for light, words, change in sent_noise.reasons(site, trial):
                yield light, f"{words[:1].upper()}{words[1:].rstrip('.')}.", change
        elif canaries.is_of(trial):
            yield from canaries.reasons(trial)

    def standing(self, site: SiteId, trials: Sequence[Trial], run: Run) -> Iterator[Reason]:
        """What was promised, to whom; and whether it was measured at all."""
        claim, limit = run.claim, run.study.audit.epsilon_amber
        epsilon = claim.epsilon.get(site)
        if epsilon is None:
            yield "amber", "Nothing was promised about what the model itself tells of a patient (no epsilon).", NOISE
            return
        if epsilon > limit:
            yield "amber", f"The promised epsilon of {epsilon:.3g} is above {limit:g}: a weak promise.", NOISE
        elif not claim.binds_coordinator:
            words = f"An epsilon of {epsilon:.3g} was promised, but not towards the coordinator"
            yield "amber", f"{words}, which adds the noise itself.", NOISE
        else:
            yield "green", f"An epsilon of {epsilon:.3g} was promised, at most {limit:g}.", ""
        if not any(trial.possible for trial in trials):
            reason = next((trial.reason for trial in trials if trial.reason), "it was not tried")
            yield "amber", f"The promised epsilon was not measured here: {reason}.", MEASURE

    def answer(self, trials: Sequence[Trial]) -> str:
        """What both tests say, and the bounds by what they assume."""
        return " ".join(_said(trials)) or "Nothing was measured."

    def plants(self, run: Run) -> Iterator[Plant]:
        """Of both tests, where anything was promised."""
        if run.claim.epsilon:
            yield from sent_noise.plants(run)
            yield from canaries.plants(run)

    def figure(self, report: Report) -> Markup | None:
        """Promised beside measured epsilon, and what each bound assumes."""
        return figure_of(report)


def _said(trials: Sequence[Trial]) -> Iterator[str]:
    noise = [trial for trial in trials if sent_noise.is_of(trial)]
    if noise:
        failed = any(trial.settings.get(sent_noise.NOT_AS_CLAIMED) for trial in noise)
        found = "is not" if failed else "could not be told from"
        yield f"The noise that was sent {found} the noise that was promised."
    told = [trial for trial in trials if canaries.is_of(trial)]
    if told:
        failed = any(light == "red" for trial in told for light, _, _ in canaries.reasons(trial))
        verb = "more are" if failed else "no more are"
        yield f"Of signals planted in training {verb} told apart than the promised noise allows."
        best = max(trial.figures.get(canaries.LOWER_BOUND, 0.0) for trial in told)
        yield (
            f"If the noise is of the promised kind, of whatever size, epsilon is at least {best:.2f} (all bounds "
            f"together {100 * float(told[0].settings['confidence']):g} % sure). A sound promise lies above what is "
            "measured; how far above, no measurement can say."
        )


question: type[Question] = Epsilon
