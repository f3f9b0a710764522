"""The noise of recorded updates, of every mechanism and under sums: as claimed, and every planted fault is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from common.study.study import Study
from experiments.access import Access
from experiments.attack import Finding
from experiments.attacks.sent_noise import OTHER_CODE, SentNoiseTest
from experiments.engines._quiet import run_quietly
from experiments.evidence.ground_truth import hospital_of
from experiments.evidence.observing import observe, sent_orders
from experiments.evidence.planted import DOUBLE_CLIP, NO_POISSON, ONE_STEP_MORE, TENTH_LESS, Fault, faults_of
from experiments.evidence.recomputed_updates import Orders
from experiments.evidence.sent_noise import NO_PROMISE, Recorded
from experiments.observation import Observation

QUICK = (
    "rounds=2",
    "federation.record_traffic=true",
    "federation.evaluate_every=0",
    "baselines={local=false,pooled=false}",
)
STEPS = ("strategy=fedavg", "training={steps=3,batch_size=4,learning_rate=0.1}")
GRADIENTS = ("strategy=fedsgd", "training={batch_size=4}")
DPSGD = 'privacy={name="dpsgd",noise_multiplier=1.0,delta=1e-3,clip_norm=0.5}'
SHARES = 'privacy={name="distributed",noise_multiplier=1.0,delta=1e-3,sampling_rate=0.5}'
SERVER = 'privacy={name="hospital",noise_multiplier=1.0,delta=1e-2}'
CASES = {
    "noisy steps, read alone": (DPSGD, *STEPS, "aggregation=plain"),
    "noisy steps with a proximal term, in sums": (DPSGD, *STEPS, "strategy=fedprox", "aggregation=secagg"),
    "noisy gradients, in encrypted sums": (DPSGD, *GRADIENTS, "aggregation=additive"),
    "shares of noise": (SHARES, "strategy=fedsgd", "aggregation=secagg"),
    "the server's noise": (SERVER, *STEPS, "strategy=fedadam", "aggregation=secagg"),
}
SEEN_BY = {
    DOUBLE_CLIP.name: "one patient adds no more than claimed",
    ONE_STEP_MORE.name: "as many noisy steps as claimed",
}

Recording = tuple[Observation, Orders]


@pytest.fixture(scope="module")
def runs() -> dict[str, Recording]:
    return {}


@pytest.fixture
def recorded(runs: dict[str, Recording], tiny: Callable[..., Study], tmp_path: Path) -> Callable[[str], Recording]:
    """The tiny study's run by a mechanism, made once."""

    def run(case: str) -> Recording:
        if case not in runs:
            run_quietly(tiny(*QUICK, *CASES[case]), tmp_path / "run")
            runs[case] = observe(tmp_path / "run"), sent_orders(tmp_path / "run")
        return runs[case]

    return run


@pytest.fixture(params=CASES)
def recording(request: pytest.FixtureRequest, recorded: Callable[[str], Recording]) -> Recording:
    """A run by each mechanism."""
    return recorded(request.param)


def finding_of(recording: Recording, fault: Fault | None = None, seed: int = 0) -> Finding:
    observed, orders = recording
    values = 8000 if fault is None else 3000
    handed = replace(observed, access=Access(recomputed=Recorded(observed, orders, fault, values)))
    return SentNoiseTest().run(handed, np.random.default_rng(seed), 60.0)


def test_noise_that_is_right_is_found_right(recording: Recording) -> None:
    found = finding_of(recording)
    assert found.possible, found.reason
    assert found.claims[0].failed == ()
    assert found.figures["deviation_over_claimed"] == pytest.approx(1, abs=0.08)
    assert found.figures["loudest_over_clip_norm"] == pytest.approx(1, abs=2e-3)
    assert found.figures["off_in_deviations"] < 1e-4


def test_every_planted_fault_is_found_by_the_code_that_found_nothing(recording: Recording) -> None:
    observed, _ = recording
    faults = faults_of(hospital_of(observed.study, observed.sites[0]))
    assert len(faults) >= 7
    for number, fault in enumerate(faults):
        failed = finding_of(recording, fault, number).claims[0].failed
        assert failed, fault.name
        assert SEEN_BY.get(fault.name, failed[0]) in failed
    assert finding_of(recording, Fault("nothing")).claims[0].failed == ()


def test_faults_are_those_that_the_study_can_have(tiny: Callable[..., Study]) -> None:
    def names(*settings: str) -> set[str]:
        study = tiny(*settings)
        return {fault.name for fault in faults_of(hospital_of(study, "hospital-0"))}

    whole = names(DPSGD, "strategy=fedsgd", 'training={batch_size="full"}', "aggregation=plain")
    some = names(DPSGD, *STEPS, "aggregation=secagg")
    assert {NO_POISSON.name, ONE_STEP_MORE.name, "noise on the scale of the mean in place of the sum"} == some - whole
    assert TENTH_LESS.name in whole
    assert names() == set()


def test_what_another_program_sent_is_not_called_right_or_wrong(recorded: Callable[[str], Recording]) -> None:
    observed, orders = recorded("noisy steps, read alone")
    first = observed.singles[0]
    sent = replace(first.update, vectors=(first.update.vectors[0] * np.float32(1.01),))
    other = replace(observed, singles=(replace(first, update=sent), *observed.singles[1:]))
    assert finding_of((other, orders)).reason == OTHER_CODE


def test_of_a_gradient_what_was_sent_speaks_for_itself(recorded: Callable[[str], Recording]) -> None:
    """A program that adds half the noise sent it; ours, run again, adds all. What counts is what was sent."""
    observed, orders = recorded("noisy gradients, in encrypted sums")
    halved = tuple(
        replace(one, update=replace(one.update, vectors=(one.update.vectors[0] * 0.5,))) for one in observed.sums
    )
    found = finding_of((replace(observed, sums=halved), orders))
    assert "size of the noise" in found.claims[0].failed
    assert found.figures["deviation_over_claimed"] == pytest.approx(0.5, abs=0.1)


def test_without_a_promise_there_is_nothing_to_test(recorded: Callable[[str], Recording]) -> None:
    observed, orders = recorded("noisy steps, read alone")
    assert finding_of((replace(observed, study=replace(observed.study, privacy=None)), orders)).reason == NO_PROMISE
