"""Who was trained on: how well an attack's scores tell a study's patients from others, and whom they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from common.data.cases import SiteId
from common.errors import StudyError
from common.learning.abilities import no_case_loss
from experiments.attack import Finding, Membership
from experiments.attacks.membership.pool import KNOWLEDGE
from experiments.audit.questions._exposed import ATTACKS, PLACES, RANKS, exposed, ranked
from experiments.audit.questions._joint_chance import Level, Parted
from experiments.audit.questions._membership_page import figure_of
from experiments.audit.questions._roc import auc_interval, curve
from experiments.audit.records import NOT_POWERFUL, Light, Reason, Report, Trial
from experiments.audit.run import Run
from experiments.evidence.membership_samples import Candidates, samples_of
from experiments.question import Attempt, Question, Severity, Test
from server.reporting.markup import Markup
from server.reporting.wording import count

ASKED = "Was this patient's data used in training?"
NOISE = "Add differential privacy for patients: privacy 'dpsgd', and lower epsilon until the finding is gone."
MORE = "Keep more patients for tests, so that an attack that tells them apart could be seen."
CHANCE, NAMED_CHANCE, COULD_SEE = "chance_of_auc", "chance_of_named", "could_be_seen"
NAMED_RED = 0.1
"""Share of a hospital's patients, surely, that are named without one false alarm, from which on it is red."""


@dataclass(frozen=True)
class WhoWasTrainedOn:
    """It has no options."""

    title: ClassVar[str] = "Telling who was a patient of the study"
    asks: ClassVar[str] = "Can one tell of a patient whether their data were used in training?"
    heading: ClassVar[str] = "Membership hidden?"
    share: ClassVar[float] = 0.25
    place: ClassVar[int] = 30
    feared: ClassVar[str] = "Somebody learns that a patient was in the study, and so what that says of them."
    severity: ClassVar[Severity] = "significant"
    bears_on: ClassVar[tuple[Test, ...]] = ("singling out", "inference")
    happened: ClassVar[str] = "one can tell who was a patient of the study"
    weakly: ClassVar[str] = "one can tell better than by guessing who was a patient of the study"

    def scored(self, attempt: Attempt, finding: Finding, run: Run) -> Sequence[Trial]:
        """One trial a hospital, and one of all together where there are several."""
        trial = attempt.trial(ASKED, finding)
        if not finding.possible:
            return [trial]
        trial = replace(trial, knowledge=str(finding.settings.get(KNOWLEDGE, trial.knowledge)))
        candidates = samples_of(run.observed).candidates
        scores = _checked(finding, candidates)
        by_patient = {site: candidates[site].by_patient(own) for site, own in scores.items()}
        parted = {site: _parted(candidates[site], own) for site, own in by_patient.items()}
        confidence = run.study.audit.confidence
        counted = max(attempt.tries, attempt.tries_of_all) + 1
        level = Level(1 - confidence, counted, len(candidates))
        trials = [
            replace(
                one, settings={**one.settings, RANKS: ranked(by_patient[site]), PLACES: _places(candidates[site])}
            )
            for site, own in parted.items()
            for one in [_trial(trial, site, own, confidence, level, run)]
        ]
        if len(parted) > 1:
            trials.append(_trial(trial, "", _pooled(list(parted.values())), confidence, level, run))
        return trials

    def reasons(self, site: SiteId, trial: Trial, run: Run) -> Iterator[Reason]:
        """By the AUC, where it is surely large and no chance; and by who is named without one false alarm."""
        audit, auc = run.study.audit, trial.intervals["auc"]
        interval = f"{auc.value:.2f} ({auc.low:.2f} to {auc.high:.2f}; 0.5 is guessing)"
        where = "" if trial.site else ", over all hospitals together"
        words = f"{trial.attack} ranks a patient of the study above another with a chance of {interval}{where}"
        by_chance = trial.figures[CHANCE] >= 1 - audit.confidence
        if by_chance or auc.low < audit.auc_amber:
            yield "green", f"{words}: not surely above {audit.auc_amber:g}.", ""
        elif auc.low >= audit.auc_red:
            yield "red", f"{words}: surely above {audit.auc_red:g}.", NOISE
        else:
            yield "amber", f"{words}: surely above {audit.auc_amber:g}.", NOISE
        if trial.figures[NAMED_CHANCE] < 1 - audit.confidence:
            named, asked = int(trial.figures["named"]), int(trial.figures["members"])
            light: Light = "red" if trial.intervals["named_share"].low >= NAMED_RED else "amber"
            words = f"{trial.attack} names {named} of {count(asked, 'patient')}{where} and nobody wrongly"
            yield light, f"{words}; {_by_chance(trial.figures[NAMED_CHANCE])}.", NOISE

    def standing(self, site: SiteId, trials: Sequence[Trial], run: Run) -> Iterator[Reason]:
        """What all attacks say together, and whether any could have been seen to succeed."""
        if reason := no_case_loss(run.study.build_task()):
            words = "Attacks that ask for a case's own loss were not tried, and may tell who was a patient"
            yield "amber", f"{words}: {reason}.", ""
        asked = samples_of(run.observed).candidates
        tried = [trial for trial in trials if trial.possible and trial.site in ("", site)]
        if tried and site in asked and not any(one.settings[COULD_SEE] for one in tried if one.site == site):
            words = "So few patients of this hospital were asked about that no attack could have been seen to tell"
            yield "amber", f"{words} them apart, whatever all hospitals show together: {NOT_POWERFUL}.", MORE
        elif site not in asked and not reason:
            words = "Whether one can tell who was a patient of this hospital was not tried: it keeps none for tests"
            yield "amber", f"{words} who is in no hospital's training.", MORE
        found = exposed(site, trials, 1 - run.study.audit.confidence, len(asked))
        if found is not None and found.chance < 1 - run.study.audit.confidence:
            words = f"Taken together, the attacks name {len(found.places)} of {count(found.asked, 'patient')}"
            yield "amber", f"{words} of this hospital and nobody wrongly; {_by_chance(found.chance)}.", NOISE

    def answer(self, trials: Sequence[Trial]) -> str:
        """The surest area, and who was named."""
        best = max((t for t in trials if "auc" in t.intervals), key=lambda t: t.intervals["auc"].low, default=None)
        if best is None:
            return "Nothing was told."
        area, sure = best.intervals["auc"], 100 * float(best.settings["confidence"])
        chance = "not surely better than guessing" if area.low <= 0.5 else "better than guessing"
        return (
            f"The best attack ({best.attack}, {best.site or 'all hospitals together'}) ranks a patient of the study "
            f"above another with a chance of {area.value:.2f} ({area.low:.2f} to {area.high:.2f}, all areas together "
            f"{sure:g} % sure); guessing gives 0.50. That is {chance}.{_named(trials)}"
        )

    def figure(self, report: Report) -> Markup | None:
        """Curves, areas, and the most exposed patients."""
        return figure_of(report)


def _named(trials: Sequence[Trial]) -> str:
    sure = [t for t in trials if t.figures.get(NAMED_CHANCE, 1.0) < 1 - float(t.settings["confidence"])]
    most = max(sure, key=lambda t: t.figures["named"], default=None)
    if most is None:
        return " No patient stands out beyond chance."
    return f" {count(int(most.figures['named']), 'patient')} stand out beyond chance, with nobody named wrongly."


def _by_chance(chance: float) -> str:
    """Counted over all attempts of the audit."""
    return f"by chance this happens in fewer than {max(1, int(np.ceil(100 * chance)))} of 100 audits"


def _checked(finding: Finding, candidates: Mapping[SiteId, Candidates]) -> dict[SiteId, np.ndarray]:
    """Scores by hospital. Raises StudyError where they are not one finite number a candidate."""
    found: dict[SiteId, np.ndarray] = {}
    for one in finding.claims:
        if not isinstance(one, Membership) or one.site not in candidates:
            raise StudyError(f"it claims {one!r:.80}, which is no Membership of a hospital that was asked about")
        scores = np.asarray(one.scores, np.float64)
        wanted = (len(candidates[one.site].cases),)
        if scores.shape != wanted or not np.isfinite(scores).all():
            raise StudyError(f"its scores of {one.site} must be finite numbers of shape {wanted}, one a candidate")
        found[one.site] = scores
    if not found:
        raise StudyError("it was possible and claims nothing of anybody")
    return found


def _parted(candidates: Candidates, scores: np.ndarray) -> Parted:
    return Parted(scores[candidates.member], scores[~candidates.member])


def _places(candidates: Candidates) -> list[int]:
    return [int(place) for place in candidates.places]


def _pooled(parted: Sequence[Parted]) -> Parted:
    return Parted(np.concatenate([one.members for one in parted]), np.concatenate([one.others for one in parted]))


def _trial(trial: Trial, site: SiteId, parted: Parted, confidence: float, level: Level, run: Run) -> Trial:
    intervals = parted.intervals(confidence, level.of(site))
    figures = {
        "members": float(len(parted.members)),
        "others": float(len(parted.others)),
        "named": float(parted.named),
        CHANCE: level.jointly(parted.chance_of_auc, site),
        NAMED_CHANCE: level.jointly(parted.chance_of_named, site),
    }
    return replace(
        trial,
        site=site,
        figures={**trial.figures, **{name: one.value for name, one in intervals.items()}, **figures},
        intervals=intervals,
        settings={
            **trial.settings,
            "confidence": confidence,
            "confidence_of_one_area": 1 - level.of(site),
            ATTACKS: level.attacks,
            COULD_SEE: _could_see(parted, level.of(site), run),
        },
        curve=curve(parted.members, parted.others),
    )


def _could_see(parted: Parted, level: float, run: Run) -> bool:
    """Whether all members above all others would have given a red light; less is no power to call it held."""
    perfect = auc_interval(np.ones(len(parted.members)), np.zeros(len(parted.others)), 1 - level)
    return parted.best_chance < level and perfect.low >= run.study.audit.auc_red


question: type[Question] = WhoWasTrainedOn
