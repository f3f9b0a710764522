"""The noise that is really sent, mechanism by mechanism: whole runs, whose sums are measured against their settings.

Pictures are black, so that no weight of a linear layer has a gradient: what the server's strategy gets there is noise
and nothing else. A check counts its variance in the sum over all hospitals, and whether rounds resemble each other; a
white picture then shows how far one patient moves the sum. Every check is also made of planted faults, which it must
find. A mechanism that joins the catalogue needs a case here.

False alarms have a chance below 1e-9 a check, and none is left to chance: noise is the seed's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

import client.private_training
import common.privacy.clipped
from common.learning.client_work import Training
from common.privacy.mechanism import Facts
from common.privacy.mechanisms.distributed import Distributed
from common.privacy.mechanisms.hospital import BELOW, CLIP_NORM, HospitalLevel
from common.privacy.noise import SeededNoise
from common.privacy.study_facts import facts_of
from common.seeding import generator
from common.study.catalogue import MECHANISMS
from common.study.study import Study, parse
from common.sums.mean import Mean
from common.sums.update import Update
from experiments.engines._quiet import run_quietly
from server.server_half import PREFIX, TOLD, CentralNoise
from server.strategies.fedavg import FedAvg
from server.strategies.fedsgd import FedSGD

HOSPITALS, ROUNDS, CLIP_NORM_SET, NOISE = 5, 3, 0.1, 0.8
PIXELS, CLASSES = 28 * 28, 2
FALSE_ALARM = 1e-10
FARTHEST_CORRELATION = 7.0
"""In its own standard deviations: a chance of 3e-12."""
TEXT = f"""
title = "Noise"
rounds = {ROUNDS}
seed = 5
engine = "inline"
source = {{ name = "medmnist", classes = ["a", "b"] }}
partition = {{ name = "iid", hospitals = {HOSPITALS} }}
task = {{ name = "classification", network = {{ name = "logistic" }} }}
federation = {{ least_in_sum = {HOSPITALS}, noise_shares = {HOSPITALS}, evaluate_every = 0 }}
"""


@dataclass(frozen=True)
class Case:
    """options: of the mechanism. settings: of the study beside it. draws: of noise in one round, in all hospitals.

    variance: of one value of the sum, from the study and the hospitals' numbers of training patients.
    """

    options: str
    settings: tuple[str, ...]
    draws: int
    variance: Callable[[Study, list[int]], float]

    def study(self, mechanism: str, folder: Path, *more: str) -> Study:
        privacy = f'privacy={{name="{mechanism}",clip_norm={CLIP_NORM_SET},delta=1e-2,{self.options}}}'
        return parse(TEXT, [f'source.folder="{folder}"', privacy, *self.settings, *more])


def of_own_noise(study: Study, patients: list[int]) -> float:
    """Each hospital's noise is enough for itself: so much of it in the sum."""
    return sum((NOISE * CLIP_NORM_SET) ** 2 for _ in patients)


def of_noisy_steps(study: Study, patients: list[int]) -> float:
    """n_k times the change, and every step moves along a noisy sum over the units that were expected."""
    steps, batch = study.training.steps, study.training.batch_size
    assert steps is not None and batch != "full"
    one_step = (study.training.learning_rate * NOISE * CLIP_NORM_SET / batch) ** 2
    return sum(count**2 * steps * one_step for count in patients)


def of_shares(study: Study, patients: list[int]) -> float:
    """The whole sum's noise is cut into as many shares as the promise counts on; more hospitals make more of it."""
    counted = facts_of(study, min(patients), min(patients), HOSPITALS).fewest
    return len(patients) * (NOISE * CLIP_NORM_SET) ** 2 / counted


def of_shares_but_one(study: Study, patients: list[int]) -> float:
    """One may be known to the coordinator, and the others make up for it."""
    return of_shares(study, patients) * HOSPITALS / (HOSPITALS - 1)


def of_one_noise(study: Study, patients: list[int]) -> float:
    """The server's, for the whole sum."""
    return (NOISE * CLIP_NORM_SET) ** 2


def of_one_noise_beside_a_count(study: Study, patients: list[int]) -> float:
    """The count has a tenth of the round's precision, the sum what is left."""
    return of_one_noise(study, patients) / 0.9


FULL, SOME = "training.batch_size=full", "training.batch_size=4"
STEPS = ("strategy=fedavg", SOME, "training.steps=2")
NOISY = f"noise_multiplier={NOISE}"
CASES: dict[str, tuple[Case, ...]] = {
    "dpsgd": (
        Case(NOISY, ("strategy=fedsgd", SOME), HOSPITALS, of_own_noise),
        Case(NOISY, STEPS, 2 * HOSPITALS, of_noisy_steps),
        Case(NOISY + ',unit="sample"', ("strategy=fedsgd", FULL), HOSPITALS, of_own_noise),
    ),
    "distributed": (
        Case(NOISY + ",sampling_rate=0.5", ("strategy=fedsgd",), HOSPITALS, of_shares),
        Case(NOISY + ",sampling_rate=0.5,colluding=1", ("strategy=fedsgd",), HOSPITALS, of_shares_but_one),
    ),
    "hospital": (
        Case(NOISY, STEPS, 1, of_one_noise),
        Case(NOISY + ",adaptive=true,clip_learning_rate=1e-6", STEPS, 1, of_one_noise_beside_a_count),
    ),
}
SUMS = ("plain", "secagg")
EVERY = [
    (mechanism, case, SUMS[number % 2]) for mechanism, cases in CASES.items() for number, case in enumerate(cases)
]
"""Both sums of every mechanism; its cases take turns."""


def pictures(folder: Path, brightness: int) -> Path:
    """60 patients' black pictures for training, the first of them of this brightness, and a few for scores."""
    folder.mkdir()
    arrays = {}
    for part, count in (("train", 60), ("val", 10), ("test", 10)):
        arrays[f"{part}_images"] = np.zeros((count, 28, 28), np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % CLASSES)[:, None].astype(np.uint8)
    arrays["train_images"][0] = brightness
    np.savez(folder / "pictures.npz", **arrays)
    return folder


@pytest.fixture(scope="module")
def black(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("pictures") / "black", 0)


@pytest.fixture(scope="module")
def one_white(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("pictures") / "white", 255)


@pytest.fixture
def plant() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def run(study: Study, folder: Path) -> tuple[list[np.ndarray], list[int]]:
    """Every round's sum as the strategy gets it, in the places of the linear layer's weights, which come after the
    biases; and numbers of patients by hospital."""
    sums: list[np.ndarray] = []
    with pytest.MonkeyPatch.context() as patch:
        for strategy in (FedSGD, FedAvg):
            patch.setattr(strategy, "step", listening(strategy.step, sums))
        run_quietly(study, folder)
    roster = json.loads((folder / "roster.json").read_text())
    return sums, [site["patients"]["train"] for site in roster["sites"]]


def listening(step, sums: list[np.ndarray]):
    def listen(self, state, parameters, contributions):
        sums.append(np.asarray(contributions.total.vectors[0][-PIXELS * CLASSES :], np.float64))
        return step(self, state, parameters, contributions)

    return listen


def faults(sums: list[np.ndarray], variance: float) -> list[str]:
    """What is wrong with the noise, in words; nothing where it is what the settings say."""
    assert len(sums) == ROUNDS and all(one.size == PIXELS * CLASSES for one in sums)
    found = spread_faults(np.concatenate(sums), variance)
    for one, other in combinations(sums, 2):
        norms = float(np.linalg.norm(one) * np.linalg.norm(other))
        if norms and abs(float(one @ other)) / norms * sqrt(one.size) > FARTHEST_CORRELATION:
            found.append("rounds resemble each other")
    return found


def spread_faults(noise: np.ndarray, variance: float) -> list[str]:
    squares = float(noise @ noise) / variance
    if squares < chi2.ppf(FALSE_ALARM, noise.size):
        return ["too little noise"]
    return ["too much noise"] if squares > chi2.isf(FALSE_ALARM, noise.size) else []


def test_every_mechanism_has_a_case() -> None:
    assert set(CASES) == set(MECHANISMS.names())


@pytest.mark.parametrize(("mechanism", "case", "way"), EVERY)
def test_the_noise_in_the_sum_is_what_the_settings_say(black, tmp_path, mechanism, case, way) -> None:
    study = case.study(mechanism, black, f"aggregation={way}")
    sums, patients = run(study, tmp_path)
    assert faults(sums, case.variance(study, patients)) == []


Draw = Callable[[SeededNoise, int, float], np.ndarray]
Fault = Callable[[Draw, int], Draw]
"""From how noise is drawn, and how often in a round, to how a faulty program draws it."""


def no_noise(draw: Draw, draws: int) -> Draw:
    return lambda self, size, sigma: np.zeros(size, np.int64)


def half_the_noise(draw: Draw, draws: int) -> Draw:
    return lambda self, size, sigma: draw(self, size, sigma / 2)


def a_share_of_a_share(draw: Draw, draws: int) -> Draw:
    """sigma / n in place of sigma / sqrt(n)."""
    return lambda self, size, sigma: draw(self, size, sigma / sqrt(HOSPITALS))


def a_share_that_is_missing(draw: Draw, draws: int) -> Draw:
    calls = iter(range(10**6))
    return lambda self, size, sigma: draw(self, size, sigma) * (next(calls) % HOSPITALS != 0)


def one_noise_for_all_hospitals(draw: Draw, draws: int) -> Draw:
    calls = iter(range(10**6))
    return lambda self, size, sigma: draw(SeededNoise(generator(next(calls) // HOSPITALS)), size, sigma)


def one_noise_for_all_rounds(draw: Draw, draws: int) -> Draw:
    calls = iter(range(10**6))
    return lambda self, size, sigma: draw(SeededNoise(generator(next(calls) % draws)), size, sigma)


FAULTS: dict[Fault, str] = {
    no_noise: "too little noise",
    half_the_noise: "too little noise",
    a_share_of_a_share: "too little noise",
    a_share_that_is_missing: "too little noise",
    one_noise_for_all_hospitals: "too much noise",
    one_noise_for_all_rounds: "rounds resemble each other",
}
DRILLS = bool(os.environ.get("WARDROUND_DRILLS"))
"""In which every mechanism is tried with every fault and every sum; else they take turns."""
OF_HOSPITALS = (a_share_that_is_missing, one_noise_for_all_hospitals)
"""Not where the server draws one noise for all of them."""
POSSIBLE = {
    fault: [one for one in CASES if not (MECHANISMS.load(one).place == "server" and fault in OF_HOSPITALS)]
    for fault in FAULTS
}
PLANTED = [
    pytest.param(mechanism, fault, id=f"{mechanism}-{fault.__name__}")
    for turn, (fault, mechanisms) in enumerate(POSSIBLE.items())
    for mechanism in (mechanisms if DRILLS else [mechanisms[turn % len(mechanisms)]])
]


@pytest.mark.parametrize(("mechanism", "fault"), PLANTED)
def test_a_fault_of_the_noise_is_found(black, tmp_path, plant, mechanism, fault) -> None:
    case = CASES[mechanism][0]
    plant.setattr(SeededNoise, "discrete_gaussian", fault(SeededNoise.discrete_gaussian, case.draws))
    study = case.study(mechanism, black, "aggregation=plain")
    sums, patients = run(study, tmp_path)
    assert FAULTS[fault] in faults(sums, case.variance(study, patients))


def test_noise_for_a_share_more_than_there_is_is_found(black, tmp_path, plant) -> None:
    """A colluding hospital that the shares do not make up for."""
    case = CASES["distributed"][1]
    plant.setattr(Distributed, "_shares", lambda self, facts: facts.fewest)
    study = case.study("distributed", black, "aggregation=secagg")
    sums, patients = run(study, tmp_path)
    assert faults(sums, case.variance(study, patients)) == ["too little noise"]


EVERYBODY: dict[str, Case] = {
    "dpsgd": Case(NOISY, ("strategy=fedsgd", FULL), HOSPITALS, of_own_noise),
    "distributed": Case(NOISY + ",sampling_rate=1.0", ("strategy=fedsgd",), HOSPITALS, of_shares),
    "hospital": Case(NOISY, ("strategy=fedsgd", FULL), 1, of_one_noise),
}
"""All patients are in every sum, so that one that changes is seen."""


def moved_by_one(mechanism: str, black: Path, one_white: Path, folder: Path, way: str) -> float:
    """How far one patient's picture moves the first round's sum, in clip norms. Noise is the same in both runs.

    Where pictures are black these places have no gradient; the white one's is some 20 in L2, or 200 clip norms, and
    its hospital's mean gradient is still 14 clip norms.
    """
    first = []
    for name, pictures_of in (("black", black), ("white", one_white)):
        study = EVERYBODY[mechanism].study(mechanism, pictures_of, "rounds=1", f"aggregation={way}")
        first.append(run(study, folder / name)[0][0])
    return float(np.linalg.norm(first[1] - first[0])) / CLIP_NORM_SET


def test_every_mechanism_has_a_case_with_everybody_in_the_sum() -> None:
    assert set(EVERYBODY) == set(MECHANISMS.names())


@pytest.mark.parametrize("way", SUMS if DRILLS else SUMS[1:])
@pytest.mark.parametrize("mechanism", EVERYBODY)
def test_one_patient_moves_the_sum_by_the_clip_norm_and_no_more(black, one_white, tmp_path, mechanism, way) -> None:
    assert 0.98 < moved_by_one(mechanism, black, one_white, tmp_path, way) <= 1.005


@pytest.mark.parametrize("mechanism", EVERYBODY)
def test_a_clip_twice_as_large_is_found(black, one_white, tmp_path, plant, mechanism) -> None:
    clipped = client.private_training.clipped_sum
    plant.setattr(client.private_training, "clipped_sum", lambda loss, units, norm: clipped(loss, units, 2 * norm))
    plant.setattr(common.privacy.clipped, "SHRINKING", 2.0)
    assert 1.9 < moved_by_one(mechanism, black, one_white, tmp_path, "plain") <= 2.01


def counts(noise: Callable[[int], SeededNoise], releases: int) -> np.ndarray:
    """Noise on the count of updates below the clip norm, as the next clip norm tells it."""
    mechanism = HospitalLevel(noise_multiplier=NOISE, adaptive=True, count_share=0.1, delta=1e-2)
    facts = Facts(10, 10, HOSPITALS, releases, "delta", Training())
    central = CentralNoise(mechanism, facts, noise, statistics=mechanism.statistics, steers=True)
    total = Update((np.zeros(2),), float(HOSPITALS), {TOLD + BELOW: Mean.of([1.0, 1.0, 1.0, 0.0, 0.0])})
    found = []
    for number in range(releases):
        _, state = central.release(number, {}, total)
        told = 0.5 - np.log(float(state[PREFIX + CLIP_NORM][0])) / mechanism.clip_learning_rate
        found.append(told * HOSPITALS - 3)
    return np.array(found)


VARIANCE_OF_THE_COUNT = (NOISE * 0.5) ** 2 / 0.1
"""Half a hospital is what one moves a count of halves by; it has a tenth of the round's precision."""


def seeded(number: int) -> SeededNoise:
    return SeededNoise(generator(7, number))


def test_the_count_that_steers_clip_norms_has_its_own_noise() -> None:
    assert spread_faults(counts(seeded, 400), VARIANCE_OF_THE_COUNT) == []


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_too_little_noise_on_the_count_is_found(plant, share) -> None:
    draw = SeededNoise.gaussian
    plant.setattr(SeededNoise, "gaussian", lambda self, size, deviation: share * draw(self, size, deviation))
    assert spread_faults(counts(seeded, 400), VARIANCE_OF_THE_COUNT) == ["too little noise"]
