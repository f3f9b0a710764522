"""Differences of sums, as attacks of the coordinator: read off the run's own sums, and made by one that cheats.

*Looking*: what combinations of the opened sums tell apart is worked out exactly; where one is over fewer hospitals
than a sum may be, each one's update is estimated, from the two nearest rounds that tell it apart and by least squares
over all. *Cheating*: the hospitals' own halves of the protocol are asked, in memory and with made-up updates, for two
sums that differ by one hospital. What is measured is the cosine with what the hospital truly computed, beyond that of
the opened sum it is in: hospitals alike resemble their sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from time import perf_counter
from typing import Any

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
from experiments.audit.records import Claim, Trial
from experiments.engines._loopback_exchange import InMemoryExchange, expected_of
from experiments.evidence.recomputed_updates import Orders, aggregation_of, computed_update
from experiments.evidence.told_apart import combination, fewest_told_apart, nearest, told_apart
from experiments.observation import Observation, Summed

LOOKING, CHEATING = "differences of sums", "two sums that differ"
QUESTIONS = {
    LOOKING: "Do the sums that were opened, over all rounds, tell a hospital's own update apart?",
    CHEATING: "Do hospitals help to open two sums at nearly the same model of which one lacks a hospital?",
}
KNOWLEDGE = "the sums that were opened, which hospitals each is of, and the models they were computed at"
SOURCE = "So et al. 2021, Securing secure aggregation; Lam et al. 2021, Gradient disaggregation"
MOST_ROUNDS = 3
"""Whose updates are computed again to score least squares."""
VALUES, NEARLY = 64, 1e-6
LOST_IN = ("round", "keys")
"""Where every share is needed a hospital must be lost before the round."""


def difference_trials(
    observed: Observation, orders: Orders, claim: Claim, advance: Callable[[str], None]
) -> list[Trial]:
    """One a hospital that is in a sum, and one of a coordinator that cheats; none where single updates are read."""
    if claim.reveals == "each":
        return []
    advance("differences of sums")
    return [*_looking(observed, orders), _cheating(observed)]


def _looking(observed: Observation, orders: Orders) -> Iterator[Trial]:
    opened = [one.sites for one in observed.sums]
    if not opened:
        yield _trial(LOOKING, "server", "", reason="no sum was opened in this run")
        return
    apart, fewest = told_apart(opened), fewest_told_apart(opened)
    least = Cohorts.of(observed.study, observed.sites).least
    for site in sorted({site for one in opened for site in one}):
        begin = perf_counter()
        own = min((one for one in apart if site in one), key=len)
        figures = {"rounds": float(len(opened)), "told_apart": float(len(own)), "fewest_of_any": float(fewest)}
        figures |= {"least_in_sum": float(least)}
        scores, reason = _scored(observed, orders, site, own) if fewest < least else ({}, "")
        settings: dict[str, Any] = {"told_apart": list(own), "not_scored": reason}
        trial = _trial(LOOKING, "server", site, seconds=perf_counter() - begin)
        yield replace(trial, figures=figures | scores, settings=settings)


def _scored(
    observed: Observation, orders: Orders, site: SiteId, own: Sequence[SiteId]
) -> tuple[dict[str, float], str]:
    """Cosines with the hospital's true update, of the better of both estimates; and why there are none."""
    try:
        tried = [_of_two(observed.sums, own), _of_all(observed.sums, site)]
        scores = [_score(observed.study, orders, site, *one) for one in tried if one is not None]
    except StudyError as error:
        return {}, str(error).rstrip(".")
    cosine, of_sum = max(scores)
    return {"cosine": cosine, "cosine_of_sum": of_sum, "beyond_the_sum": cosine - of_sum}, ""


Estimate = tuple[NDArray[np.float64], tuple[Summed, ...]]
"""(P,) and the sums of those rounds whose updates it is of."""


def _of_two(sums: Sequence[Summed], own: Sequence[SiteId]) -> Estimate | None:
    """The combination of the two rounds with the most alike models that tell exactly these apart."""
    pairs = [
        (float(np.abs(a.parameters - b.parameters).max()), (a, b), factors)
        for a, b in combinations(sums, 2)
        if a.sites != b.sites and (factors := combination([a.sites, b.sites], own)) is not None
    ]
    if not pairs:
        return None
    _, pair, factors = min(pairs, key=lambda one: one[0])
    return factors @ np.array([one.update.vectors[0] for one in pair]), pair


def _of_all(sums: Sequence[Summed], site: SiteId) -> Estimate:
    factors = nearest([one.sites for one in sums], site)
    return factors @ np.array([one.update.vectors[0] for one in sums]), tuple(sums)


def _score(
    study: Study, orders: Orders, site: SiteId, values: NDArray[np.float64], of: Sequence[Summed]
) -> tuple[float, float]:
    """Cosine with the mean of its true updates, and of the sums it was in."""
    inside = [one for one in of if site in one.sites]
    inside = [inside[place] for place in np.unique(np.linspace(0, len(inside) - 1, MOST_ROUNDS).astype(int))]
    true = np.mean([computed_update(study, orders, site, one.round).vectors[0] for one in inside], axis=0)
    return _cosine(values, true), _cosine(np.mean([one.update.vectors[0] for one in inside], axis=0), true)


def _cheating(observed: Observation) -> Trial:
    begin = perf_counter()
    study, cohorts = observed.study, Cohorts.of(observed.study, observed.sites)
    cohort = cohorts.of_round(1)
    victim = min(cohort.sites, key=lambda site: (observed.cases[site], site))
    try:
        opened, cosine, reason = _two_sums(study, cohort, victim)
    except WardroundError as error:
        return _trial(CHEATING, "cheating", "", reason=str(error).rstrip("."))
    trial = _trial(CHEATING, "cheating", "", seconds=perf_counter() - begin)
    settings = {"victim": victim, "refused": {"listed": reason}}
    return replace(trial, figures={"opened": float(opened), "cosine": cosine}, settings=settings)


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


def _trial(attack: str, observer: str, site: SiteId, *, reason: str = "", seconds: float = 0.0) -> Trial:
    return Trial(
        attack,
        "differences",
        observer,
        site,
        QUESTIONS[attack],
        KNOWLEDGE,
        SOURCE,
        possible=not reason,
        reason=reason,
        seconds=seconds,
    )
