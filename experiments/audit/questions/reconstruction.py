"""Whether an image or a record of a patient can be rebuilt.

A reconstruction is set beside the true cases behind the update, and its patient is looked for among all patients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from common.data.cases import SiteId
from common.errors import StudyError
from common.learning.abilities import no_guessed_loss
from common.study.audit_settings import Audit
from experiments.attack import DRAWN, GUESSED, Finding, Reconstruction
from experiments.audit.questions._images_of_cases import images_shape
from experiments.audit.questions._pairs import pictured
from experiments.audit.questions._rebuilt_cases import scored, telling
from experiments.audit.records import WORST, Light, Reason, Rebuilt, Report, Trial
from experiments.audit.run import Run
from experiments.question import Attempt, Question, Severity, Test
from server.reporting.markup import Markup

ASKED = "Can a patient's data be rebuilt from what hospitals sent?"
NOISE = "Add differential privacy for patients: privacy 'dpsgd', and lower epsilon until the finding is gone."
BATCH = "Let no update rest on one or a few cases: a larger batch, more local steps, or aggregation 'secagg'."

UNKNOWN_DRAWS = (
    "What differs from case to case in the measurement, such as a mask, was drawn anew, not known: whoever knows it, "
    "as of a scanner with one protocol, may get images back where these attacks did not."
)


@dataclass(frozen=True)
class ReconstructionOfCases:
    """It has no options: its limits are the study's."""

    title: ClassVar[str] = "Rebuilding a patient's data"
    asks: ClassVar[str] = "Can an image or a record of a patient be rebuilt from what a hospital sent?"
    heading: ClassVar[str] = "Patients' data hidden?"
    share: ClassVar[float] = 0.5
    place: ClassVar[int] = 20
    feared: ClassVar[str] = "Somebody sees an image or a record of a patient."
    severity: ClassVar[Severity] = "significant"
    bears_on: ClassVar[tuple[Test, ...]] = ("singling out", "inference")
    happened: ClassVar[str] = "a patient's data came back"
    weakly: ClassVar[str] = "something like patients' data came back, in which nobody in particular is recognised"

    def scored(self, attempt: Attempt, finding: Finding, run: Run) -> Sequence[Trial]:
        """One trial, with the cases that came back best."""
        trial = attempt.trial(ASKED, finding)
        found = [_checked(one, run) for one in finding.reconstructions if len(one.inputs)]
        if not found:
            return [trial]
        figures, rebuilt = scored(run.study, found, run.everybody, run.pictures, attempt.tries_of_all)
        settings = {**trial.settings, "hospitals": sorted({site for one in found for site in one.sites})}
        return [replace(trial, figures={**trial.figures, **figures}, rebuilt=rebuilt, settings=settings)]

    def reasons(self, site: SiteId, trial: Trial, run: Run) -> Iterator[Reason]:
        """The worst light of all this hospital's cases, in the words of the most telling of that light."""
        own = [(_light(one, run.study.audit), one) for one in trial.rebuilt if one.site == site]
        if not own:
            yield from _nothing_of(site, trial)
            return
        light, one = max(own, key=lambda pair: (WORST.index(pair[0]), *telling(pair[1])))
        change = BATCH if run.claim.reveals == "each" and trial.honest else NOISE
        found = f"{trial.attack} rebuilt an input of similarity {one.ssim:.2f}"
        tells = f"{_what_it_tells(light, one, run.study.audit)}{_guessed(trial)}"
        yield light, f"{found}{tells}.", "" if light == "green" else change

    def standing(self, site: SiteId, trials: Sequence[Trial], run: Run) -> Iterator[Reason]:
        """An attack that this program does not have is no proof that there is none."""
        if reason := no_guessed_loss(run.study.build_task()):
            yield "amber", f"Attacks that ask for a case's own loss were not tried, and may succeed: {reason}.", ""
        if run.study.privacy is None and run.claim.reveals == "each" and any(map(_drew, trials)):
            yield "amber", UNKNOWN_DRAWS, BATCH

    def happening(self, site: SiteId, light: Light, trials: Sequence[Trial]) -> str:
        """Of an amber light: whether what came back is one patient's, below the limit for red, or only like one's."""
        shown = (one for trial in trials if trial.honest and trial.possible for one in trial.rebuilt)
        if light == "amber" and any(one.identifies for one in shown if one.site == site):
            return "a patient is recognised in what came back, though dimly"
        if light == "amber" and not any(one.tells for trial in trials for one in trial.rebuilt):
            return ""
        return self.happened if light == "red" else self.weakly

    def answer(self, trials: Sequence[Trial]) -> str:
        """The best of those who keep to the protocol, then of each that does not."""
        said = _best_rebuilt([trial for trial in trials if trial.honest])
        for name in dict.fromkeys(trial.observer for trial in trials if not trial.honest):
            said += f" {_on_condition([trial for trial in trials if trial.observer == name and not trial.honest])}"
        return said

    def figure(self, report: Report) -> Markup | None:
        """Originals beside reconstructions."""
        return pictured(report)


def _checked(one: Reconstruction, run: Run) -> Reconstruction:
    """Raises StudyError for one that cannot be compared with a case."""
    inputs = np.asarray(one.inputs)
    shape = images_shape(run) if one.of_images else run.observed.shape.inputs
    if inputs.shape[1:] != shape or inputs.dtype.kind not in "fiu":
        raise StudyError(f"it gave inputs {inputs.dtype}{inputs.shape[1:]}, and the network sees {shape}.")
    if strange := set(one.sites) - set(run.observed.sites):
        raise StudyError(f"it gave inputs of {', '.join(map(str, sorted(strange)))}, which took no part.")
    return replace(one, inputs=inputs.astype(np.float32))


def _nothing_of(site: SiteId, trial: Trial) -> Iterator[Reason]:
    """Of a hospital that was in a sum, and whose cases were none of those that came back best."""
    if site in trial.settings.get("hospitals", ()):
        yield "green", f"Of what {trial.attack} rebuilt from a sum nothing is most like a case of this hospital.", ""


def _light(one: Rebuilt, audit: Audit) -> Light:
    """A patient who is recognised at all is an objection, however dimly."""
    if one.identifies:
        return "red" if one.ssim >= audit.image_red else "amber"
    return "amber" if one.tells and one.ssim >= audit.image_amber else "green"


def _drew(trial: Trial) -> bool:
    return trial.possible and DRAWN in str(trial.settings.get(GUESSED, ""))


def _guessed(trial: Trial) -> str:
    """What the attack made up, where that bears on what the light is worth."""
    return f" ({words})" if (words := trial.settings.get(GUESSED)) else ""


def _what_it_tells(light: Light, one: Rebuilt, audit: Audit) -> str:
    right = f"of {one.among} patients it is most like the true one"
    if light == "red":
        return f", and {right}: a patient's data came back (limit {audit.image_red:g})"
    if one.identifies and one.ssim < audit.image_amber:
        return f", the right one of {one.among} patients, yet only dimly (below the limit of {audit.image_amber:g})"
    if light == "amber":
        whose = right if one.identifies else "but not this patient alone"
        return f" (other patients' cases have {one.decoy:.2f}; limit {audit.image_amber:g}), {whose}"
    if one.ssim >= audit.image_amber and one.ssim > one.decoy:
        return ", no more than what has nothing to do with these patients would be by chance in all that was tried"
    if one.ssim >= audit.image_amber:
        return f", no better than other patients' cases with {one.decoy:.2f}"
    return f" at best, below {audit.image_amber:g}"


def _on_condition(tried: Sequence[Trial]) -> str:
    """What came back where something was taken that nobody promised, by whether hospitals answer at all."""
    answered = [trial for trial in tried if not trial.refused]
    if not answered:
        back = any(one.identifies for trial in tried for one in trial.rebuilt)
        came = "patients' own data come back" if back else "nothing of a patient came back"
        return (
            "Models that a coordinator makes up to copy patients' data are refused by hospitals that check what they "
            f"are sent; from hospitals that check nothing {came}."
        )
    best = max(answered, key=lambda trial: max(map(telling, trial.rebuilt), default=(False, False, 0.0)))
    said = _best_rebuilt([best])
    return f"If {best.condition} {said[0].lower()}{said[1:]}"


def _best_rebuilt(tried: Sequence[Trial]) -> str:
    shown = [one for trial in tried for one in trial.rebuilt]
    if not shown:
        return "Nothing was rebuilt."
    best = max(shown, key=telling)
    start = f"The most telling attempt has a similarity of {best.ssim:.2f} to the true one (1 is the same, 0 is none)"
    if best.identifies:
        return f"{start}, and of {best.among} patients it is most like the right one.{_more_alike(best, shown)}"
    if not best.tells:
        others = f"cases of other patients reach {best.decoy:.2f}"
        what = (
            others
            if best.ssim <= best.decoy
            else "what has nothing to do with the patients reaches as much by chance"
        )
        return f"{start}; {what}, so nothing came back."
    return f"{start}; it is not clearly more like the right patient than like others."


def _more_alike(best: Rebuilt, shown: Sequence[Rebuilt]) -> str:
    """Where something is more like its patient than what is recognised, and not clearly that patient's."""
    likest = max((one.ssim for one in shown if one.tells), default=0.0)
    return f" Another has {likest:.2f}, and is not clearly of one patient." if likest > best.ssim else ""


question: type[Question] = ReconstructionOfCases
