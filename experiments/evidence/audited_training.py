"""Which private training can be done again with an auditor's hand in it: by where its mechanism's noise goes in."""

from __future__ import annotations

from collections.abc import Sequence

from client.hospital import Hospital
from common.data.cases import SiteId
from common.privacy.abilities import can, no_noisy_steps
from common.privacy.study_facts import mechanism_of
from common.study.study import Study
from experiments.access import PrivateTraining
from experiments.evidence.handed_sums import ServerAgain, SharesAgain
from experiments.evidence.planted import Fault
from experiments.evidence.private_steps import NO_FAULT, Repeatable

NO_PROMISE = "no differential privacy was promised, so there is no epsilon to measure against"
NOT_DECLARED = "privacy {name!r} does not declare how its sums are made ({reason})"


def why_not(study: Study) -> str:
    """Why a study's private training cannot be done again; "" where it can."""
    mechanism = mechanism_of(study)
    if mechanism is None or study.privacy is None:
        return NO_PROMISE
    needed = {"shares": ("poisson", "clip_norm", "grid"), "server": ("release", "clip_norm")}
    lacking = ", ".join(one for one in needed.get(mechanism.place, ()) if not can(mechanism, one))
    reason = no_noisy_steps(mechanism) if mechanism.place == "hospital" else lacking
    return NOT_DECLARED.format(name=study.privacy.name, reason=reason) if reason else ""


def training_of(
    hospital: Hospital, fault: Fault = NO_FAULT, repeat: int = 0, most_steps: int | None = None
) -> PrivateTraining:
    """By the mechanism's own code, of a study that `why_not` has nothing against.

    fault: planted in it; repeat: for the so-manyth time, with draws of its own; most_steps: of those done again.
    """
    mechanism = mechanism_of(hospital.study)
    assert mechanism is not None
    if mechanism.place == "server":
        return ServerAgain(hospital, fault, repeat, most_steps)
    if mechanism.place == "shares":
        return SharesAgain(hospital, fault, repeat, most_steps)
    return Repeatable(hospital, mechanism, fault=fault, repeat=repeat, most_steps=most_steps)


def promised_by(study: Study, sites: Sequence[SiteId]) -> tuple[SiteId, ...]:
    """Hospitals each of whose sums is promised something by itself; the first for all, where it is the sum of all."""
    mechanism = mechanism_of(study)
    return tuple(sites) if mechanism is None or mechanism.place == "hospital" else tuple(sites)[:1]
