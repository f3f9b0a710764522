"""How little a test case must be moved for the final model to be wrong, hospital by hospital."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from common.adversarial.masking import Scored, signs_of_scores
from common.data.cases import Batch, Cases, SiteId
from common.errors import StudyError
from common.learning.device import home, placed
from common.learning.parameters import write
from common.learning.task import Task
from common.sums.mean import merge
from experiments.attack import Evasion, Finding
from experiments.attacks.evasion.ascent import READS
from experiments.audit.records import Reason, Trial
from experiments.audit.run import Run
from experiments.question import Attempt, Question, Severity
from server.reporting.wording import count

ASKED = "How little must an input be changed for the final model to be wrong?"
KNOWLEDGE = "the final model, the cases it is asked about and their true answers"
ROUNDING = 1e-5
"""Of the range: of float32 additions."""


@dataclass(frozen=True)
class ErrorsByChange:
    """It has no options."""

    title: ClassVar[str] = "Misleading the model"
    asks: ClassVar[str] = ASKED
    heading: ClassVar[str] = "Not easily misled?"
    share: ClassVar[float] = 0.07
    place: ClassVar[int] = 60
    feared: ClassVar[str] = "Somebody changes an image a little, and a patient is treated by a wrong answer."
    severity: ClassVar[Severity] = "significant"

    def scored(self, attempt: Attempt, finding: Finding, run: Run) -> Sequence[Trial]:
        """One trial a hospital: the task's headline score of its cases as they are, and moved by each size."""
        trial = replace(attempt.trial(ASKED, finding), knowledge=KNOWLEDGE)
        if not finding.possible:
            return [trial]
        if not finding.claims or not all(isinstance(one, Evasion) for one in finding.claims):
            raise StudyError("it claims no moved inputs (Evasion)")
        observed, task = run.observed, run.study.build_task()
        network = placed(observed.network())
        write(network, observed.final_model)
        network.eval()
        by_site: dict[SiteId, list[Evasion]] = {}
        for one in finding.claims:
            by_site.setdefault(one.site, []).append(one)
        tests = attempt.view.observed.access.tests
        return [_scored(trial, site, own, tests.get(site), network, task) for site, own in by_site.items()]

    def reasons(self, site: SiteId, trial: Trial, run: Run) -> Iterator[Reason]:
        """None: scores are told, and no limit was agreed on."""
        return iter(())

    def answer(self, trials: Sequence[Trial]) -> str:
        """The deepest fall at the smallest change."""
        deepest = max((one for one in map(_fall, trials) if one), key=lambda one: one[2] - one[3], default=None)
        sites = len({trial.site for trial in trials if trial.site})
        if deepest is None:
            return "Nothing was moved."
        trial, size, before, after = deepest
        return (
            f"Tried on {count(sites, 'hospital')}. Where it falls most ({trial.attack}, {trial.site}), a change of "
            f"{100 * size:g} % of the range of values takes {_score(trial)} from {before:.2f} to {after:.2f}; all "
            f"sizes are in the table of all attempts.{_masked(trials)}"
        )


def _scored(
    trial: Trial, site: SiteId, own: Sequence[Evasion], tests: Cases | None, network: nn.Module, task: Task
) -> Trial:
    if tests is None:
        raise StudyError(f"it moved cases of {site}, which has no tests")
    many = len(own[0].inputs)
    cases = tests.take(np.arange(many))
    figures = {f"{task.headline} at 0": headline(network, task, cases), "cases": float(many)}
    for one in own:
        check_moved(one, cases)
        moved = cases.with_columns(inputs=one.inputs)
        figures[f"{task.headline} at {one.size:g}"] = headline(network, task, moved)
    return replace(trial, site=site, figures={**trial.figures, **figures})


def check_moved(one: Evasion, cases: Cases) -> None:
    """Raises StudyError where a value left the range of the data, or was moved further than was said."""
    room = (one.size + ROUNDING) * (one.high - one.low)
    slack = ROUNDING * (one.high - one.low)
    for index, moved in enumerate(one.inputs):
        case = cases.columns["inputs"].gather(slice(index, index + 1))[0]
        if moved.shape != case.shape or not np.isfinite(moved).all():
            raise StudyError(f"case {index} of {one.site} came back as no input of the network")
        if (np.abs(moved - case) > room).any():
            raise StudyError(
                f"a value of case {index} of {one.site} was moved further than {one.size:g} of the range"
            )
        if (moved < one.low - slack).any() or (moved > one.high + slack).any():
            raise StudyError(f"a value of case {index} of {one.site} was moved out of the range of the data")


def headline(network: nn.Module, task: Task, cases: Cases) -> float:
    """The task's headline score of the cases, in one batch, so that patients are whole."""
    batch: Batch = cases.batch().to(home(network))
    with torch.no_grad():
        return merge([task.score(network, batch)])[task.headline].value


def _fall(trial: Trial) -> tuple[Trial, float, float, float] | None:
    """The trial, its smallest size, and the score before and after."""
    at = {float(name.rpartition(" at ")[2]): value for name, value in trial.figures.items() if " at " in name}
    sizes = sorted(size for size in at if size > 0)
    return (trial, sizes[0], at[0.0], at[sizes[0]]) if sizes and 0.0 in at else None


def _masked(trials: Sequence[Trial]) -> str:
    """A warning where who asks for answers alone finds more than who follows gradients, at any size."""
    own: dict[tuple[SiteId, float], list[tuple[Scored, float]]] = {}
    for trial in trials:
        reads = trial.settings.get(READS)
        for name, value in trial.figures.items():
            if reads and " at " in name and (size := float(name.rpartition(" at ")[2])):
                one = Scored(trial.attack, str(reads), value)
                own.setdefault((trial.site, size), []).append((one, trial.figures.get("cases", 0.0)))
    for (site, size), found in sorted(own.items()):
        cases = int(min(many for _, many in found))
        if signs := signs_of_scores([one for one, _ in found], cases):
            return f" Do not trust the smallest falls: at {site}, changed by {100 * size:g} %, {signs[0].words}"
    return ""


def _score(trial: Trial) -> str:
    return next(name for name in trial.figures if " at " in name).rpartition(" at ")[0]


question: type[Question] = ErrorsByChange
