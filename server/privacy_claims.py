"""`privacy.json`: what a run promised to whom, and what it has spent, from its rounds' records alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from common.cases import SiteId
from common.privacy.accounting import epsilon_curve, epsilon_of
from common.privacy.facts import facts_of
from common.privacy.mechanism import Facts, Mechanism
from common.study import Study
from server.conversation import REFUSALS
from server.roster import Member

NOT_COVERED = (
    "scores of evaluation, and seconds, which are sent without noise",
    "numbers of cases and patients of each hospital, which are taken to be public",
    "validation and test cases: the promise is about training cases",
)
MOST_POINTS = 40


@dataclass(frozen=True)
class Claims:
    """One run's promise. simulated: whether noise came from the seed, which protects nobody."""

    study: Study
    mechanism: Mechanism
    facts: Mapping[SiteId, Facts]
    simulated: bool

    @classmethod
    def of(cls, study: Study, mechanism: Mechanism, members: Mapping[SiteId, Member], simulated: bool) -> Claims:
        """Raises StudyError where the mechanism cannot keep its promise in one of these hospitals."""
        facts = {
            site: facts_of(study, member.patients["train"], member.cases["train"], len(members))
            for site, member in members.items()
        }
        for each in facts.values():
            mechanism.check(each)
        return cls(study, mechanism, facts, simulated)

    def table(self, records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """The promise and what `records`, lines of rounds.jsonl, spent of it. A hospital asked is one that spent."""
        asked = dict.fromkeys(self.facts, 0)
        for record in records:
            refused = {drop["site"] for drop in record["dropped"] if drop["reason"] in REFUSALS.values()}
            for site in set(record["selected"]) - refused:
                asked[site] += 1
        entry = self.study.privacy
        assert entry is not None
        return {
            "mechanism": entry.name,
            "unit": self.mechanism.unit,
            "place": self.mechanism.place,
            "delta": self.mechanism.delta,
            "noise_source": "seed (simulation)" if self.simulated else "operating system",
            "not_covered": list(NOT_COVERED),
            "sites": {site: self._spent(site, rounds) for site, rounds in asked.items()},
        }

    def _spent(self, site: SiteId, rounds: int) -> dict[str, Any]:
        facts = self.facts[site]
        releases = self.mechanism.round_releases(facts)
        (first, *_) = releases
        spent: dict[str, Any] = {
            "patients": facts.patients,
            "cases": facts.cases,
            "rounds": rounds,
            "steps_a_round": sum(release.steps for release in releases),
            "noise_multiplier": first.noise_multiplier,
            "sampling_rate": first.sampling_rate,
            "clip_norm": getattr(self.mechanism, "clip_norm", None),
            "epsilon": 0.0,
            "epsilon_rdp": 0.0,
            "curve": [],
        }
        if not rounds:
            return spent
        bound = epsilon_of(releases * rounds, self.mechanism.delta)
        every = max(1, -(-rounds // MOST_POINTS))
        after = sorted({*range(every, rounds + 1, every), rounds})
        points = list(zip(after, epsilon_curve(releases, rounds, self.mechanism.delta, after), strict=True))
        return {**spent, "epsilon": bound.epsilon, "epsilon_rdp": bound.epsilon_rdp, "curve": points}


def noise_on_mean(noise_multiplier: float, clip_norm: float, hospitals: int, parameters: int) -> float:
    """L2 norm to expect of the noise on a mean of clipped updates; the clip norm is the most the mean itself has."""
    return noise_multiplier * clip_norm * sqrt(parameters) / hospitals
