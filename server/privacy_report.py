"""`privacy.json`: what a run promised to whom, and what it has spent: every round that a hospital was charged for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from common.data.names import SiteId
from common.learning.abilities import unlabelled
from common.privacy.abilities import clip_norm_of
from common.privacy.mechanism import Facts, Mechanism
from common.privacy.relation import in_words, relation_of
from common.privacy.study_facts import facts_of
from common.study.catalogue import AGGREGATIONS
from common.study.study import Study
from server.members import Member
from server.not_covered import not_covered
from server.privacy_spent import beside, spent_by


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
            site: facts_of(study, member.patients["train"], member.cases["train"], len(members), site)
            for site, member in members.items()
        }
        for each in facts.values():
            mechanism.check(each)
        return cls(study, mechanism, facts, simulated)

    def table(self, charged: Mapping[SiteId, int]) -> dict[str, Any]:
        """The promise, and what was spent of it. charged: how often each hospital was charged for a round."""
        study, entry, mechanism = self.study, self.study.privacy, self.mechanism
        assert entry is not None
        reveals = AGGREGATIONS.load(study.aggregation.name).reveals
        expected = study.federation.expected_patients
        relation = relation_of(study, mechanism.unit)
        sites = {site: self._spent(site, charged.get(site, 0)) for site in self.facts}
        return {
            "mechanism": entry.name,
            "unit": mechanism.unit,
            "place": mechanism.place,
            "delta": mechanism.delta,
            "relation": {"name": relation, "words": in_words(relation, mechanism.unit)},
            "noise_source": "seed (simulation)" if self.simulated else "operating system",
            "not_covered": not_covered(
                mechanism.unit,
                mechanism.place,
                reveals,
                expected,
                self.simulated,
                self._compared,
                started=study.start is not None,
                squares=bool(study.federation.final_intervals),
                features=unlabelled(study.build_task()),
            ),
            "beside": beside(sites, mechanism.delta, mechanism.place == "hospital"),
            "sites": sites,
        }

    @property
    def _compared(self) -> bool:
        return self.simulated and (self.study.baselines.local or self.study.baselines.pooled)

    def _spent(self, site: SiteId, rounds: int) -> dict[str, Any]:
        facts = self.facts[site]
        releases = self.mechanism.round_releases(facts)
        (first, *_) = releases
        return {
            "patients": facts.patients,
            "cases": facts.cases,
            "steps_a_round": sum(release.steps for release in releases),
            "noise_multiplier": first.noise_multiplier,
            "sampling_rate": first.sampling_rate,
            "clip_norm": clip_norm_of(self.mechanism),
            **spent_by(releases, rounds, self.mechanism.delta),
        }


def noise_on_mean(noise_multiplier: float, clip_norm: float, hospitals: int, parameters: int) -> float:
    """L2 norm to expect of the noise on a mean of clipped updates; the clip norm is the most the mean itself has."""
    return noise_multiplier * clip_norm * sqrt(parameters) / hospitals
