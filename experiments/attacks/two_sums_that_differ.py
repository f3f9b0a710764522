"""Hospitals are asked for the sum of all, and once more without one of them, at nearly the same model.

Their own halves of the protocol are asked, in memory and with made-up updates: what counts is whether they help.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.errors import StudyError, WardroundError
from common.seeding import generator
from common.study.study import Study
from common.sums.cohort import Cohort
from common.sums.cohorts import Cohorts
from common.sums.exchange import Payload
from common.sums.update import Update
from experiments.access import Need
from experiments.attack import Attack, Finding, Per, Sees
from experiments.engines._loopback_exchange import InMemoryExchange, expected_of
from experiments.evidence.recomputed_updates import aggregation_of
from experiments.observation import Observation

VALUES, NEARLY = 64, 1e-6
LOST_IN = ("round", "keys")
"""Where every share is needed a hospital must be lost before the round."""


@dataclass(frozen=True)
class TwoSumsThatDiffer:
    """It has no options: the hospital of the fewest cases is left out."""

    sees: ClassVar[Sees] = "model"
    source: ClassVar[str] = "So et al. 2021, Securing secure aggregation; Lam et al. 2021, Gradient disaggregation"
    question: ClassVar[str] = "differences"
    needs: ClassVar[tuple[Need, ...]] = ("answers",)
    per: ClassVar[Per] = "run"
    words: ClassVar[str] = "asks hospitals for the sum of all, and once more without one of them"

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """opened: 1 where both were. cosine: of their difference with the update of the hospital left out."""
        begin, study = perf_counter(), observed.study
        cohort = Cohorts.of(study, observed.sites).of_round(1)
        victim = min(cohort.sites, key=lambda site: (observed.cases[site], site))
        try:
            if aggregation_of(study).reveals == "each":
                raise StudyError("every single update is read as it is.")
            opened, cosine, refused = _two_sums(study, cohort, victim)
        except WardroundError as error:
            return Finding("two_sums_that_differ", observed.observer, False, str(error).rstrip("."))
        figures, settings = (
            {"opened": float(opened), "cosine": cosine},
            {"victim": victim, "refused": {"listed": refused}},
        )
        spent = perf_counter() - begin
        return Finding("two_sums_that_differ", observed.observer, True, "", spent, figures, settings)


def _two_sums(study: Study, cohort: Cohort, victim: SiteId) -> tuple[bool, float, str]:
    """Whether both were opened, the cosine of their difference with the victim's update, or why it was refused."""
    rng = generator(study.seed, "audit", "two sums")
    updates = {site: Update((rng.normal(0, 0.1, VALUES).astype(np.float32),), 1.0) for site in cohort.sites}
    hospitals = _Hospitals(aggregation_of(study), updates, own_cohort=cohort)
    everybody = _opened(hospitals, 1, {})
    if everybody is None:
        raise StudyError("no sum was opened in memory, not even an honest one.")
    tried = (_opened(hospitals, number, {leg: (victim,)}) for number, leg in enumerate(LOST_IN, start=2))
    others = next((one for one in tried if one is not None), None)
    if others is None:
        reasons = [reason for _, _, reason in hospitals.refused]
        return False, 0.0, reasons[0].rstrip(".") if reasons else "a share of every hospital is needed"
    return True, _cosine(everybody - others, updates[victim].vectors[0]), ""


class _Hospitals(InMemoryExchange):
    """They compute the cohort from the study, whatever the coordinator says."""

    def __init__(self, *arguments: Any, own_cohort: Cohort) -> None:
        super().__init__(*arguments)
        self.own_cohort = own_cohort

    @property
    def cohort(self) -> Cohort:
        """The study's."""
        return self.own_cohort


def _opened(hospitals: _Hospitals, number: int, lost: Mapping[str, Sequence[SiteId]]) -> NDArray[np.float64] | None:
    """A round by a coordinator that counts on its own. lost: whom it calls so, from a leg on."""
    hospitals.number, hospitals.gone, hospitals.lost = number, set(), lost
    model = np.full(VALUES, number * NEARLY, np.float32)
    requests = dict.fromkeys(hospitals.updates, Payload(model, words={"study": "{}"}))
    expected = replace(expected_of(hospitals.updates), cohort=Cohort(hospitals.own_cohort.sites))
    total = hospitals.aggregation.collect(hospitals, requests, frozenset(requests), expected).total
    return None if total is None else total.vectors[0].astype(np.float64)


def _cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.vdot(a, b)) / norms if norms else 0.0


attack: type[Attack] = TwoSumsThatDiffer
