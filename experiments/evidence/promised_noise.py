"""What a study's mechanism promises of the sums it lets out, in numbers: the one file here that knows mechanisms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, sqrt

from client.hospital import Hospital
from common.privacy.facts import mechanism_of
from common.privacy.mechanisms.distributed import Distributed
from common.privacy.mechanisms.dpsgd import Dpsgd
from common.privacy.mechanisms.hospital import Hospital as HospitalLevel
from common.privacy.release import Unit
from common.study.catalogue import AGGREGATIONS
from common.study.expected_patients import expected_patients
from common.study.options import Entry
from common.study.study import Study
from common.sums.aggregation import stated_error
from common.sums.aggregations._fixed_point import share_room
from common.sums.exchange import Expected
from experiments.evidence.ground_truth import facts_of_hospital

NOT_KNOWN = "what privacy {name!r} promises of single sums is not known here"


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
    """None where hospitals add no noise, or what they add is not known. parameters: in a sum."""
    mechanism, facts = mechanism_of(hospital.study), facts_of_hospital(hospital)
    if isinstance(mechanism, Dpsgd):
        return Promise(
            mechanism.unit,
            mechanism.noise(facts) * mechanism.clip_norm,
            mechanism.clip_norm,
            mechanism.sampling_rate(facts),
            mechanism.steps_a_round(facts),
        )
    if isinstance(mechanism, Distributed):
        room = mechanism.value_room(facts, parameters, share_room(AGGREGATIONS.build(hospital.study.aggregation)))
        return Promise(
            mechanism.unit,
            mechanism.share_sigma(facts, parameters) * mechanism.grid,
            mechanism.clip_norm,
            mechanism.sampling_rate,
            1,
            mechanism.grid,
            room * mechanism.grid,
        )
    return None


def expected_units(hospital: Hospital, promise: Promise) -> float:
    """By which a step's sum is divided before it moves a model: how many units are expected in it, as is public."""
    public = expected_patients(hospital.study.federation, hospital.site)
    patients, cases = hospital.sizes("train")
    counted = cases if promise.unit == "sample" else patients
    return promise.sampling_rate * (counted if public is None else public)


def server_deviation(hospital: Hospital, parameters: int, clip_norm: float) -> float | None:
    """Of the noise that the server adds to a round's sum; None where it adds none. clip_norm: of that round."""
    mechanism = mechanism_of(hospital.study)
    if not isinstance(mechanism, HospitalLevel):
        return None
    return mechanism.sum_noise(facts_of_hospital(hospital)) * (clip_norm + rounding(hospital.study, parameters))


def rounding(study: Study, parameters: int) -> float:
    """By how much updates of weight 1, rounded to whole numbers, may lie farther apart in L2: see `server`'s half."""
    aggregation = AGGREGATIONS.build(study.aggregation)
    return stated_error(aggregation, 1, Expected(parameters, 1, {"": 1.0})) * sqrt(parameters)


def clipping_at_twice(study: Study, hospital: Hospital, parameters: int) -> Study:
    """The same study, whose hospitals clip to twice the norm and add the noise they added before."""
    mechanism, promise = mechanism_of(study), promise_of(hospital, parameters)
    if promise is None or study.privacy is None:
        return study
    options = {**study.privacy.options, "clip_norm": 2 * promise.clip_norm}
    options.pop("epsilon", None)
    if isinstance(mechanism, Distributed):
        options["grid_bits"] = mechanism.grid_bits + 1
        sensitivity = 2 * promise.clip_norm / promise.grid + sqrt(parameters)
        ours = mechanism.noise(facts_of_hospital(hospital)) * mechanism.sensitivity(parameters)
        options["noise_multiplier"] = ours / sensitivity
    else:
        options["noise_multiplier"] = promise.deviation / promise.clip_norm / 2
    return replace(study, privacy=Entry(study.privacy.name, options))
