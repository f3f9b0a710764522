"""What a study's mechanism promises of the sums it lets out, in numbers: the one file here that knows mechanisms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, sqrt

import numpy as np

from client.hospital import Hospital
from common.privacy.abilities import abilities, can, clip_norm_of, colluding, grid_of
from common.privacy.mechanism import AtServer, Mechanism, ServerState
from common.privacy.mechanisms.hospital import CLIP_NORM, HospitalLevel
from common.privacy.noise_source import NoiseSource
from common.privacy.release import Unit
from common.privacy.study_facts import mechanism_of
from common.study.catalogue import AGGREGATIONS
from common.study.expected_patients import expected_patients
from common.study.options import Entry
from common.study.study import Study
from common.sums.abilities import room_for_whole_steps, stated_error
from common.sums.exchange import Expected
from common.sums.update import Update
from experiments.evidence.ground_truth import facts_of_hospital

NOT_KNOWN = "what privacy {name!r} promises of single sums is not declared"


@dataclass(frozen=True)
class Promise:
    """Of the sums of one hospital in one round.

    deviation: of the noise in every coordinate. clip_norm: the most a unit adds, in L2. sampling_rate: chance of each
    unit to be in a sum. steps: noisy sums. grid: of which sums are rounded to multiples, 0 where they are not. most:
    to which each coordinate is cut before the noise.
    """

    unit: Unit
    deviation: float
    clip_norm: float
    sampling_rate: float
    steps: int
    grid: float = 0.0
    most: float = inf


def adds_at_server(study: Study) -> bool:
    """Whether the server adds the noise, to the sum of all."""
    mechanism = mechanism_of(study)
    return mechanism is not None and mechanism.place == "server"


def promise_of(hospital: Hospital, parameters: int) -> Promise | None:
    """None where hospitals add no noise, or what they add is not declared. parameters: in a sum.

    Rounding to a grid moves neighbours' sums apart, and is counted into the sensitivity; noise that is promised of a
    sum is cut into shares of equal variance.
    """
    mechanism, facts = mechanism_of(hospital.study), facts_of_hospital(hospital)
    if mechanism is None or mechanism.place == "server" or not can(mechanism, "poisson"):
        return None
    releases, clip_norm = mechanism.round_releases(replace(facts, reveals="sum")), clip_norm_of(mechanism)
    if len(releases) != 1 or clip_norm is None:
        return None
    drawn, grid = abilities(mechanism).poisson(facts), grid_of(mechanism) or 0.0
    deviation = releases[0].noise_multiplier * (clip_norm + grid * sqrt(parameters))
    if mechanism.place == "shares":
        deviation /= sqrt(max(facts.fewest - colluding(mechanism), 1))
    most = _room(hospital, mechanism, parameters) * grid if grid else inf
    return Promise(mechanism.unit, deviation, clip_norm, drawn.rate, drawn.steps, grid, most)


def _room(hospital: Hospital, mechanism: Mechanism, parameters: int) -> int:
    entry = hospital.study.aggregation
    room = room_for_whole_steps(AGGREGATIONS.build(entry), entry.name, len(hospital.roster))
    return abilities(mechanism).value_room(facts_of_hospital(hospital), parameters, room)


def expected_units(hospital: Hospital, promise: Promise) -> float:
    """By which a step's sum is divided before it moves a model: how many units are expected in it, as is public."""
    public = expected_patients(hospital.study.federation, hospital.site)
    patients, cases = hospital.sizes("train")
    counted = cases if promise.unit == "sample" else patients
    return promise.sampling_rate * (counted if public is None else public)


@dataclass(frozen=True)
class ServerHalf:
    """What the server adds to a round's sum, by the mechanism's own code."""

    hospital: Hospital
    parameters: int

    def deviation(self, clip_norm: float) -> float:
        """Of the noise in every coordinate of a sum of updates that were clipped to this norm."""
        mechanism, facts = mechanism_of(self.hospital.study), facts_of_hospital(self.hospital)
        assert mechanism is not None
        if isinstance(mechanism, HospitalLevel):
            multiplier = mechanism.sum_noise(facts)
        else:
            multiplier = mechanism.round_releases(facts)[0].noise_multiplier
        return multiplier * (clip_norm + self.rounding)

    @property
    def rounding(self) -> float:
        """By how much updates of weight 1, rounded to whole numbers, may lie farther apart in L2."""
        aggregation = AGGREGATIONS.build(self.hospital.study.aggregation)
        return stated_error(aggregation, 1, Expected(self.parameters, 1, {"": 1.0})) * sqrt(self.parameters)

    def clip_norm(self, asked: float) -> float:
        """Of a round whose order asked for it; 0: the study's own."""
        mechanism = mechanism_of(self.hospital.study)
        assert mechanism is not None
        return asked or clip_norm_of(mechanism) or 0.0

    def release(self, total: Update, asked: float, source: NoiseSource) -> Update:
        """The noisy sum. asked: the round's clip norm, as its order says."""
        mechanism, facts = mechanism_of(self.hospital.study), facts_of_hospital(self.hospital)
        assert mechanism is not None
        kept: ServerState = {CLIP_NORM: np.array([asked])} if asked else {}
        return abilities(mechanism).release(total, kept, AtServer(facts, source, self.rounding))[0]


def clipping_at_twice(study: Study, hospital: Hospital) -> Study:
    """The same study, whose hospitals clip to twice the norm and add the noise they added before."""
    mechanism = mechanism_of(study)
    if mechanism is None or study.privacy is None or mechanism.place == "server":
        return study
    clip_norm = clip_norm_of(mechanism)
    assert clip_norm is not None
    (release,) = mechanism.round_releases(replace(facts_of_hospital(hospital), reveals="sum"))
    options = {name: value for name, value in study.privacy.options.items() if name != "epsilon"}
    options |= {"clip_norm": 2 * clip_norm, "noise_multiplier": release.noise_multiplier / 2}
    return replace(study, privacy=Entry(study.privacy.name, options))
