"""What a study's privacy will cost in every hospital, before any training: from its settings and counts alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from client.hospital import open_hospital, site_names
from common.data.cases import SiteId
from common.errors import StudyError
from common.privacy.accounting import Bound, epsilon_curve, epsilon_of
from common.privacy.mechanism import Facts, Mechanism
from common.privacy.relation import in_words, relation_of
from common.privacy.release import Release
from common.privacy.study_facts import facts_of, mechanism_of
from common.study.study import Study
from server.privacy_spent import beside

MOST_POINTS = 30


@dataclass(frozen=True)
class PlannedSite:
    """One hospital. releases: of one round. steps: noisy sums in all rounds. curve: (round, epsilon after it)."""

    patients: int
    cases: int
    releases: tuple[Release, ...]
    steps: int
    bound: Bound
    curve: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Plan:
    """unit: whose presence is hidden. A hospital that misses rounds spends less than its line says.

    relation: which two data sets epsilon is about, in words. beside: as in `privacy.json`.
    """

    mechanism: str
    unit: str
    delta: float
    rounds: int
    sites: Mapping[SiteId, PlannedSite]
    relation: str = ""
    beside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def worst(self) -> PlannedSite:
        """The hospital that spends most."""
        return max(self.sites.values(), key=lambda one: one.bound.epsilon)

    def json(self) -> dict[str, Any]:
        """As a table for a JSON file."""
        return {**asdict(self), "sites": {site: asdict(one) for site, one in self.sites.items()}}


@dataclass(frozen=True)
class Counted:
    """A study with its hospitals opened and counted. parameters: of the network."""

    study: Study
    facts: Mapping[SiteId, Facts]
    parameters: int


def count(study: Study) -> Counted:
    """Open every hospital here and count its training patients and cases. Raises SourceError without their data."""
    names = site_names(study)
    facts, parameters = {}, 0
    for index, site in enumerate(names):
        hospital = open_hospital(study.json, index)
        patients = len(np.unique(hospital.train.patients))
        facts[site] = facts_of(study, patients, len(hospital.train), len(names), site)
        parameters = sum(each.numel() for each in hospital.network.parameters())
    return Counted(study, facts, parameters)


def plan_of(counted: Counted) -> Plan | None:
    """None where the study names no mechanism. Raises StudyError, naming the hospital, where it cannot be kept."""
    mechanism = mechanism_of(counted.study)
    if mechanism is None or counted.study.privacy is None:
        return None
    sites = {site: planned_site(mechanism, facts, site) for site, facts in counted.facts.items()}
    study, unit, delta = counted.study, mechanism.unit, mechanism.delta
    relation = in_words(relation_of(study, unit), unit)
    spent = {
        site: {
            "rounds": study.rounds,
            "epsilon": one.bound.epsilon,
            "releases": [asdict(release) for release in one.releases],
        }
        for site, one in sites.items()
    }
    others = beside(spent, delta, mechanism.place == "hospital")
    return Plan(counted.study.privacy.name, unit, delta, study.rounds, sites, relation, others)


def planned_site(mechanism: Mechanism, facts: Facts, site: SiteId) -> PlannedSite:
    """One hospital's line. Raises StudyError where the mechanism cannot keep its promise there."""
    try:
        mechanism.check(facts)
        releases = mechanism.round_releases(facts)
    except StudyError as error:
        raise StudyError(f"in {site}: {error}") from error
    whole = tuple(replace(release, steps=release.steps * facts.rounds) for release in releases)
    after = marks(facts.rounds)
    curve = epsilon_curve(releases, facts.rounds, mechanism.delta, after)
    return PlannedSite(
        facts.patients,
        facts.cases,
        releases,
        sum(release.steps for release in whole),
        epsilon_of(whole, mechanism.delta),
        tuple(zip(after, curve, strict=True)),
    )


def marks(rounds: int) -> tuple[int, ...]:
    """The first round, the last, and evenly spaced ones between: at most MOST_POINTS."""
    spaced = np.linspace(1, rounds, min(rounds, MOST_POINTS))
    return tuple(sorted({round(float(each)) for each in spaced}))
