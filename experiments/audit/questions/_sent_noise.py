"""How the sent-noise test is scored: its light, its words, and the faults that are planted to see whether it sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from common.data.cases import SiteId
from experiments.access import Access
from experiments.adversary import View
from experiments.attack import Finding
from experiments.audit.records import Reason, Trial
from experiments.audit.run import Run
from experiments.evidence.ground_truth import hospital_of
from experiments.evidence.planted import faults_of
from experiments.evidence.sent_noise import Recorded
from experiments.noisy_sums import NoiseTests
from experiments.question import Attempt, Plant

ATTACK = "sent_noise"
NAME = "sent-noise test"
ASKED = "Is what is left of a recorded update, less the same update made again without noise, the promised noise?"
NOT_AS_CLAIMED = "not_as_claimed"
PLANTED_VALUES, PLANTED_REPEATS = 2500, 5
RED = "the noise that was sent is not the noise that was promised ({name}): {failed}"
GREEN = (
    "the noise that was sent is what was promised ({name}): of {sums:.0f} noisy sums, {values:.0f} values of noise "
    "whose deviation is {deviation:.3f} of the promised one; one {resolves:.0%} too small would have been found"
)
ADVICE = "Do not use this program with patients' data before its noise is mended; the details name what is wrong."


def is_of(trial: Trial) -> bool:
    """Whether the trial is of this test."""
    return trial.attack == ATTACK


def scored(attempt: Attempt, finding: Finding) -> Sequence[Trial]:
    """One trial of the whole run."""
    trial = attempt.trial(ASKED, finding)
    tests = next((one for one in finding.claims if isinstance(one, NoiseTests)), None)
    if tests is None:
        return (trial,)
    return (replace(trial, settings={**trial.settings, NOT_AS_CLAIMED: list(tests.failed)}),)


def reasons(site: SiteId, trial: Trial) -> Iterator[Reason]:
    """Red where any test fails, else green; the same for every hospital, whose noise was tested together."""
    failed = trial.settings.get(NOT_AS_CLAIMED)
    if not isinstance(failed, Sequence):
        return
    if failed:
        yield "red", RED.format(name=NAME, failed=", ".join(map(str, failed))), ADVICE
        return
    yield "green", GREEN.format(name=NAME, **_told(trial.figures)), ""


def _told(figures: Mapping[str, float]) -> dict[str, float]:
    return {
        "sums": figures["noisy_sums"],
        "values": figures["values_of_noise"],
        "deviation": figures["deviation_over_claimed"],
        "resolves": figures["resolves_share_too_small"],
    }


def plants(run: Run) -> Iterator[Plant]:
    """Every fault that the run's own code can have, on orders of this run."""
    if run.study.privacy is None or not run.orders:
        return
    hospital = hospital_of(run.study, min(site for _, site in run.orders))
    for fault in faults_of(hospital):
        recorded = Recorded(run.observed, run.orders, fault, PLANTED_VALUES)
        view = View(replace(run.observed, access=Access(recomputed=recorded)))
        yield Plant(fault.name, view, PLANTED_REPEATS, attacks=(ATTACK,))
