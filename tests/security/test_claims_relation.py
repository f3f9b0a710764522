"""What a promise is about: with expected numbers of patients nothing but noisy sums tells that one was there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from client import handlers as answers
from client.hospital import Hospital, open_hospital
from client.privacy import Sources
from common.errors import StudyError
from common.learning.parameters import new_network, read
from common.privacy.noise import SeededNoise
from common.study.catalogue import STRATEGIES
from common.study.study import Study
from common.sums import identity
from common.sums.aggregation import Local
from common.sums.exchange import Payload
from common.wire.train_requests import Order, to_payload
from experiments.engines._quiet import run_quietly

EXPECTED = "federation.expected_patients=17"
BY_EPSILON = 'privacy={name="dpsgd",epsilon=5.0,delta=1e-3}'
SHARES = 'privacy={name="distributed",epsilon=5.0,delta=1e-3,sampling_rate=0.5,grid_bits=10}'
WAYS: Mapping[str, tuple[str, ...]] = {
    "a gradient": (BY_EPSILON, "strategy=fedsgd", "training={batch_size=4}"),
    "local epochs": (BY_EPSILON, "training={batch_size=4,epochs=2,learning_rate=0.1}"),
    "every option of local steps": (
        BY_EPSILON,
        "strategy=fedprox",
        "training={batch_size=4,epochs=2,momentum=0.9,nesterov=true,weight_decay=0.01,decayed='weights',l1=0.001,"
        "clip_gradient_norm=0.5,class_weights=[1.0,3.0],freeze=['*bias'],schedule={kind='cosine'}}",
        "federation.final_intervals=true",
    ),
    "adaptive steps": (BY_EPSILON, "training={batch_size=4,steps=3,optimiser='rmsprop',learning_rate=0.01}"),
    "steps corrected by control variates": (BY_EPSILON, "strategy=scaffold", "training={batch_size=4,steps=3}"),
    "a share of the noise": (SHARES, "strategy=fedsgd", "training={batch_size=4}"),
}


@dataclass(frozen=True)
class NoNoise:
    """All noise is nought, so that what leaves can be compared."""

    def gaussian(self, size: int, standard_deviation: float) -> np.ndarray:
        return np.zeros(size)

    def discrete_gaussian(self, size: int, sigma: float) -> np.ndarray:
        return np.zeros(size, np.int64)


def without_one_patient(hospital: Hospital) -> Hospital:
    train = hospital.train
    kept = train.take(np.flatnonzero(train.patients != train.patients[0]))
    return replace(hospital, splits={**hospital.splits, "train": kept})


def everything_sent(hospital: Hospital, order: Order) -> tuple[Payload, Payload]:
    """The hello and the round's reply, in the clear; no generator's draw depends on who is there."""
    sources = Sources(lambda _: np.random.default_rng(0), lambda _: NoNoise(), None)

    def local() -> Local:
        own = identity.simulated(hospital.site, (hospital.site,), 0)
        return Local(hospital.site, order.round, hospital.digest, own, {}, np.random.default_rng(0), None)

    kept = answers.RequestContext({}, local, sources, True)
    said = answers.hello(hospital, Payload(words={"study": order.study_json}), kept)
    return said, answers.round_(hospital, to_payload(order), kept)


def beside_the_sum(payload: Payload) -> tuple[object, ...]:
    """All but the values of the noisy sum: its length is there."""
    array = None if payload.array is None else payload.array.shape
    return array, dict(payload.numbers), dict(payload.words), None if payload.data is None else payload.data.tobytes()


def order_of(study: Study, hospital: Hospital) -> Order:
    work = STRATEGIES.build(study.strategy).work()
    start = read(new_network(hospital.task, hospital.train.shape, study.seed, study.training))
    return Order(study.json, 1, start, work, np.zeros_like(start) if work.controlled else None, ())


@pytest.mark.parametrize("way", WAYS)
def test_a_patient_more_or_less_changes_nothing_that_leaves_but_the_noisy_sum(
    tiny: Callable[..., Study], way: str
) -> None:
    study = tiny(*WAYS[way], EXPECTED, "federation.least_in_sum=4")
    hospital = open_hospital(study.json, 0)
    with_all = everything_sent(hospital, order_of(study, hospital))
    without = everything_sent(without_one_patient(hospital), order_of(study, hospital))
    for one, other in zip(with_all, without, strict=True):
        assert beside_the_sum(one) == beside_the_sum(other)
    assert not np.array_equal(with_all[1].array, without[1].array)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_told_where_numbers_are_public_tells_how_many_patients_there_are(
    tiny: Callable[..., Study], way: str
) -> None:
    """The planted case: the comparison above notices a count."""
    study = tiny(*WAYS[way], "federation.least_in_sum=4")
    hospital = open_hospital(study.json, 0)
    with_all = everything_sent(hospital, order_of(study, hospital))
    without = everything_sent(without_one_patient(hospital), order_of(study, hospital))
    assert any(beside_the_sum(one) != beside_the_sum(two) for one, two in zip(with_all, without, strict=True))


def test_the_weight_that_travels_is_the_public_number(tiny: Callable[..., Study]) -> None:
    """Of 17 expected patients and a share of one half, 8.5; of local training, 17."""
    weights = {}
    for way in ("a share of the noise", "local epochs"):
        study = tiny(*WAYS[way], EXPECTED, "federation.least_in_sum=4")
        hospital = open_hospital(study.json, 0)
        weights[way] = everything_sent(hospital, order_of(study, hospital))[1].numbers["weight"]
    assert weights == {"a share of the noise": 8.5, "local epochs": 17.0}


def test_how_long_private_training_took_is_not_told(tiny: Callable[..., Study]) -> None:
    told = {}
    for name, overrides in (("private", WAYS["local epochs"]), ("not", ("training={batch_size=4}",))):
        study = tiny(*overrides)
        hospital = open_hospital(study.json, 0)
        told[name] = "seconds/training" in everything_sent(hospital, order_of(study, hospital))[1].numbers
    assert told == {"private": False, "not": True}


@pytest.mark.parametrize("aggregation", ["plain", "secagg"])
@pytest.mark.parametrize("way", ["local epochs", "a share of the noise", "steps corrected by control variates"])
def test_a_study_runs_on_expected_numbers_alone(
    tiny: Callable[..., Study], tmp_path: Path, way: str, aggregation: str
) -> None:
    study = tiny(*WAYS[way], EXPECTED, "federation.least_in_sum=4", f"aggregation={aggregation}", "rounds=1")
    outcome = run_quietly(study, tmp_path)
    assert outcome.about["state"] == "completed" and not outcome.rounds[0]["dropped"]
    promise = json.loads((tmp_path / "privacy.json").read_text())
    assert {one["patients"] for one in promise["sites"].values()} == {17}
    roster = json.loads((tmp_path / "roster.json").read_text())
    assert all(not site["cases"] and not site["patients"] for site in roster["sites"])


def test_a_table_of_expected_numbers_names_the_hospital_that_it_leaves_out(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    study = tiny(BY_EPSILON, "federation.expected_patients={hospital-0=5,hospital-1=6,hospital-2=7}")
    with pytest.raises(StudyError, match="no number for 'hospital-3'"):
        run_quietly(study, tmp_path)


@pytest.mark.parametrize("given", ["0", "-3", "true", '"many"', "{}", "{hospital-0=1.5}", "10000001"])
def test_impossible_expected_numbers_are_refused(tiny: Callable[..., Study], given: str) -> None:
    with pytest.raises(StudyError, match=r"federation\.expected_patients"):
        tiny(BY_EPSILON, f"federation.expected_patients={given}")


def test_expected_patients_do_not_stand_for_numbers_of_cases(tiny: Callable[..., Study]) -> None:
    with pytest.raises(StudyError, match="whose numbers would still be told"):
        tiny('privacy={name="dpsgd",epsilon=5.0,delta=1e-3,unit="sample"}', EXPECTED)


def test_seeded_noise_is_what_simulation_draws() -> None:
    """The stand-in above has the methods of the real one."""
    assert {name for name in dir(NoNoise()) if not name.startswith("_")} <= set(dir(SeededNoise))
