from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest
from torch import nn

from client.hospital import open_hospital
from common.data.cases import Cases
from common.errors import StudyError
from common.study.study import Study
from common.sums.update import Vector
from experiments.audit.canaries import audit_gradients
from experiments.audit.canary_cases import audit_cases, canary_cases
from experiments.audit.epsilon_trials import EpsilonAudit, epsilon_trials
from experiments.audit.questions._epsilon_bounds import (
    Measured,
    ceiling,
    epsilon_lower_bound,
    gaussian_epsilon,
    measured_epsilon,
    most_telling_count,
    p_value,
)
from experiments.evidence.private_steps import HandedTrainer, audited_mechanism, trainer_steps


def test_all_right_guesses_give_the_bound_that_can_be_computed_by_hand() -> None:
    """Without delta the chance of r right guesses is q^r: q = 0.05^(1/r), epsilon = log(q / (1 - q))."""
    assert epsilon_lower_bound(1000, 1000, 1000, 0, 0.95) == pytest.approx(5.80907, abs=1e-5)
    assert epsilon_lower_bound(2, 2, 5, 0, 0.75) == pytest.approx(0, abs=1e-9)
    assert epsilon_lower_bound(1, 1, 1, 0, 0.2) == pytest.approx(log(0.8 / 0.2))
    assert ceiling(1000, 0.95) == pytest.approx(5.80907, abs=1e-5)


def test_the_p_value_of_three_guesses_by_hand() -> None:
    """Epsilon log 3: each guess is right with chance 3/4. Two or more of three: 54/64.

    Just below two: P[W = 1] = 9/64, and P[0 <= W <= 1] / 2 = 5/64; the larger counts, times 2 m delta = 0.1.
    """
    assert p_value(2, 3, 5, log(3), 0) == pytest.approx(54 / 64)
    assert p_value(2, 3, 5, log(3), 0.01) == pytest.approx(54 / 64 + 0.1 * 9 / 64)
    assert p_value(0, 3, 5, log(3), 0.01) == 1


def slow_p_value(correct: int, guesses: int, canaries: int, epsilon: float, delta: float) -> float:
    """Every sum of the theorem written out, from products of single chances."""
    right = np.exp(epsilon) / (1 + np.exp(epsilon))
    chances = np.array([1.0])
    for _ in range(guesses):
        chances = np.append(chances * (1 - right), 0) + np.append(0, chances * right)
    below = [chances[max(0, correct - i) : correct].sum() / i for i in range(1, canaries + 1)]
    return min(1.0, chances[correct:].sum() + 2 * canaries * delta * max(below))


@given(st.integers(1, 25), st.data(), st.floats(0, 6), st.floats(0, 0.1))
def test_the_p_value_is_the_sum_written_out(canaries: int, data: st.DataObject, epsilon: float, delta: float) -> None:
    guesses = data.draw(st.integers(1, canaries))
    correct = data.draw(st.integers(0, guesses))
    slow = slow_p_value(correct, guesses, canaries, epsilon, delta)
    assert p_value(correct, guesses, canaries, epsilon, delta) == pytest.approx(slow, abs=1e-9)


@given(st.integers(1, 300), st.data())
def test_without_delta_the_bound_is_that_of_clopper_and_pearson(guesses: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, guesses))
    low = binomtest(correct, guesses, alternative="greater").proportion_ci(0.95, method="exact").low
    expected = max(0.0, log(low / (1 - low))) if low > 0 else 0.0
    assert epsilon_lower_bound(correct, guesses, guesses, 0, 0.95) == pytest.approx(expected, abs=1e-6)


@given(st.integers(10, 200), st.data(), st.sampled_from([0.0, 1e-5, 1e-3]))
def test_more_right_guesses_never_certify_less_and_delta_never_certifies_more(
    guesses: int, data: st.DataObject, delta: float
) -> None:
    correct = data.draw(st.integers(0, guesses - 1))
    bound = epsilon_lower_bound(correct, guesses, 200, delta, 0.95)
    assert bound <= epsilon_lower_bound(correct + 1, guesses, 200, delta, 0.95) + 1e-9
    assert bound <= epsilon_lower_bound(correct, guesses, 200, 0, 0.95) + 1e-9
    assert bound <= epsilon_lower_bound(correct, guesses, 200, delta, 0.9) + 1e-9


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(StudyError, match="correct"):
        epsilon_lower_bound(3, 2, 5, 0, 0.95)


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
def test_randomised_response_is_overestimated_no_oftener_than_the_confidence_allows(epsilon: float) -> None:
    """Each coin is told truly with chance e^epsilon / (1 + e^epsilon): exactly epsilon-DP, and nothing tells more."""
    rng = np.random.default_rng(5)
    exceeded = 0
    for _ in range(200):
        coins = rng.random(400) < 0.5
        truly = rng.random(400) < 1 / (1 + np.exp(-epsilon))
        scores = np.where(coins == truly, 1.0, 0.0) + 0.5 * rng.random(400)
        exceeded += measured_epsilon(scores, coins, 0.0, 0.9).lower_bound > epsilon
    assert exceeded <= binomtest(20, 200).k + 13, "0.1 of 200 and three standard deviations"


@pytest.mark.parametrize("mu", [0.5, 1.0, 2.0])
def test_gaussian_noise_is_never_overestimated_and_the_fit_comes_near(mu: float) -> None:
    rng = np.random.default_rng(6)
    true = gaussian_epsilon(mu, 1e-5)
    bounds, estimates = [], []
    for _ in range(20):
        coins = rng.random(4000) < 0.5
        found = measured_epsilon(coins * mu + rng.normal(size=4000), coins, 1e-5)
        bounds.append(found.lower_bound)
        estimates.append(found.estimate)
    assert 0.15 * true < np.mean(bounds)
    assert max(bounds) < true
    assert np.mean(estimates) == pytest.approx(true, rel=0.05)


def test_gaussian_epsilon_is_that_of_another_accountant() -> None:
    accounting = pytest.importorskip("dp_accounting")
    event = accounting.GaussianDpEvent(1.0)
    accountant = accounting.pld.PLDAccountant().compose(event)
    assert gaussian_epsilon(1.0, 1e-5) == pytest.approx(accountant.get_epsilon(1e-5), rel=1e-3)


@dataclass
class Hospital:
    """DP-SGD on a linear model as the textbook has it, and three ways to get it wrong."""

    noise_multiplier: float
    rng: np.random.Generator
    sampling_rate: float = 1.0
    clip_norm: float = 0.5
    length: int = 20_000
    noise_really: float = 1.0
    clip_really: float = 1.0
    parameters: Vector = field(init=False)

    def __post_init__(self) -> None:
        self.parameters = np.zeros(self.length, np.float32)
        self.inputs = self.rng.normal(size=(20, self.length)).astype(np.float32)
        self.targets = self.rng.normal(size=20).astype(np.float32)

    def step(self, gradients: Iterator[NDArray[np.float32]]) -> tuple[Vector, Vector]:
        drawn = self.rng.random(20) < self.sampling_rate
        errors = self.inputs @ self.parameters - self.targets
        own = self.clipped_sum((errors[:, None] * self.inputs)[drawn])
        total = own + sum(self.clipped_sum(part) for part in gradients)
        noise = self.rng.normal(size=self.length) * self.clip_norm * self.noise_multiplier * self.noise_really
        released = (total + noise).astype(np.float32)
        self.parameters -= np.float32(1e-3) * released
        return released, own

    def clipped_sum(self, gradients: NDArray[np.float32]) -> Vector:
        norms = np.linalg.norm(gradients, axis=1)
        most = self.clip_norm * self.clip_really
        return np.asarray(np.minimum(1, most / norms)[:, None] * gradients).sum(0).astype(np.float32)


STEPS, CLAIMED_MU, DELTA = 2, 0.5, 1e-5
CLAIMED = gaussian_epsilon(CLAIMED_MU, DELTA)
"""Steps over everybody are together one Gaussian mechanism, whose epsilon is known exactly."""


def audited(seed: int, **bugs: float) -> Measured:
    hospital = Hospital(np.sqrt(STEPS) / CLAIMED_MU, np.random.default_rng(seed), **bugs)
    return audit_gradients(hospital, STEPS, 20_000, DELTA, 0.95, np.random.default_rng(seed + 100))[0]


@pytest.mark.parametrize("seed", range(2))
def test_a_correct_client_never_exceeds_its_claim(seed: int) -> None:
    found = audited(seed)
    assert 0.2 * CLAIMED < found.lower_bound < CLAIMED
    assert found.estimate == pytest.approx(CLAIMED, rel=0.1)


@pytest.mark.parametrize("seed", range(2))
def test_a_client_that_forgets_the_noise_is_caught(seed: int) -> None:
    assert audited(seed, noise_really=0.0).lower_bound > 3 * CLAIMED


@pytest.mark.parametrize("seed", range(2))
def test_a_client_that_adds_half_the_noise_is_caught(seed: int) -> None:
    assert audited(seed, noise_really=0.5).lower_bound > CLAIMED


@pytest.mark.parametrize("seed", range(2))
def test_a_client_that_clips_to_twice_the_norm_is_caught(seed: int) -> None:
    assert audited(seed, clip_really=2.0).lower_bound > CLAIMED


def test_fewer_than_ten_canaries_are_refused() -> None:
    with pytest.raises(StudyError, match="10 canaries"):
        audit_gradients(
            Hospital(1.0, np.random.default_rng(0), length=9), 1, 100, 1e-5, 0.95, np.random.default_rng()
        )


class Forgetful(HandedTrainer):
    """A client that leaves the noise out."""

    def noisy_sum(self) -> Vector:
        self.hand.released = self.clipped_sum()
        return self.hand.released


class Quiet(HandedTrainer):
    """A client that adds half the noise."""

    def noisy_sum(self) -> Vector:
        return HandedTrainer.noisy_sum(replace(self, noised=lambda total: (total + self.noised(total)) / 2))


class Generous(HandedTrainer):
    """A client that clips to twice the norm and adds noise for once the norm."""

    def clipped_sum(self) -> Vector:
        return HandedTrainer.clipped_sum(replace(self, clip_norm=2 * self.clip_norm))


PRIVATE = (
    "rounds=1",
    "task.network={name='mlp', hidden=[520]}",
    "training={steps=2, batch_size='full', learning_rate=0.1}",
    f"privacy={{name='dpsgd', clip_norm=0.5, noise_multiplier={np.sqrt(2) / CLAIMED_MU}, delta={DELTA}}}",
)


def real_audit(study: Study, trainer: type[HandedTrainer]) -> Measured:
    mechanism = audited_mechanism(study)
    assert mechanism is not None
    private = trainer_steps(open_hospital(study.json, 0), mechanism, trainer)
    assert private.length > 20_000
    return audit_gradients(private, 2, 20_000, DELTA, 0.95, np.random.default_rng(1))[0]


def test_the_private_trainer_keeps_its_promise(tiny: Callable[..., Study]) -> None:
    found = real_audit(tiny(*PRIVATE), HandedTrainer)
    assert 0.2 * CLAIMED < found.lower_bound < CLAIMED
    assert found.estimate == pytest.approx(CLAIMED, rel=0.1)


@pytest.mark.parametrize("trainer", [Forgetful, Quiet, Generous])
def test_a_private_trainer_with_a_bug_is_caught(tiny: Callable[..., Study], trainer: type[HandedTrainer]) -> None:
    assert real_audit(tiny(*PRIVATE), trainer).lower_bound > CLAIMED


def test_what_is_claimed_is_the_mechanisms_own_epsilon(tiny: Callable[..., Study]) -> None:
    trials = epsilon_trials(tiny(*PRIVATE, "task.network.hidden=[8]"), ["hospital-0", "hospital-1"], 0.95, 300)
    assert [(trial.attack, trial.site) for trial in trials] == [
        ("gradient_canaries", "hospital-0"),
        ("canary_cases", "hospital-0"),
        ("gradient_canaries", "hospital-1"),
    ]
    for trial in trials:
        assert trial.figures["epsilon_claimed"] == pytest.approx(CLAIMED, rel=1e-3)
        assert trial.figures["epsilon_lower_bound"] < CLAIMED
        assert trial.figures["steps"] == 2
    wrong = [1 - trial.settings["confidence_of_one_bound"] for trial in trials]
    assert sum(wrong) == pytest.approx(0.05), "all bounds hold at once with 95 %"


def test_a_study_that_samples_patients_is_never_found_to_break_its_promise(tiny: Callable[..., Study]) -> None:
    study = tiny(
        "rounds=3",
        "training={steps=3, batch_size=8, learning_rate=0.1}",
        "privacy={name='dpsgd', epsilon=2.0, delta=1e-4, clip_norm=1.0}",
    )
    (first, second) = epsilon_trials(study, ["hospital-0"], 0.95, 300)
    assert first.figures["epsilon_claimed"] <= 2.0
    assert first.figures["epsilon_lower_bound"] < 2.0 and second.figures["epsilon_lower_bound"] < 2.0


def test_cases_planted_in_a_training_with_little_noise_give_it_away(tiny: Callable[..., Study]) -> None:
    """A network that can learn every case by heart, and noise that does not keep it from doing so."""
    study = tiny(
        "task.network={name='mlp', hidden=[300]}",
        "training={steps=200, batch_size='full', learning_rate=1.0}",
        "privacy={name='dpsgd', clip_norm=20.0, noise_multiplier=0.005, delta=1e-4}",
        "rounds=1",
    )
    mechanism = audited_mechanism(study)
    assert mechanism is not None
    found = EpsilonAudit(open_hospital(study.json, 0), mechanism, 0.95).by_cases(60)
    assert found.figures["steps"] == 200
    assert found.figures["epsilon_lower_bound"] > 0.8


def test_a_network_too_small_for_canaries_is_said_to_be_the_reason(tiny: Callable[..., Study]) -> None:
    study = tiny(*PRIVATE, "task.network=logistic")
    hospital = open_hospital(study.json, 0)
    mechanism = audited_mechanism(study)
    assert mechanism is not None
    small = replace(hospital, network=nn.Linear(1, 2))
    trial = EpsilonAudit(small, mechanism, 0.95).by_gradients(1.0)
    assert not trial.possible and "4 parameters" in trial.reason


def test_without_a_promise_there_is_nothing_to_measure_against(tiny: Callable[..., Study]) -> None:
    (trial,) = epsilon_trials(tiny(), ["hospital-0"], 0.95, 1.0)
    assert not trial.possible and "no differential privacy was promised" in trial.reason


def test_cases_of_noise_give_away_a_training_without_noise() -> None:
    """What learns by heart lowers the loss of every canary it was trained on."""
    rng = np.random.default_rng(3)
    cases = Cases.of(
        rng.normal(size=(30, 5)).astype(np.float32),
        rng.integers(0, 3, 30),
        np.arange(30).astype(str),
        ("a", "b", "c"),
    )

    def by_heart(trained_on: Cases, canaries: Cases) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        known = np.isin(canaries.patients, trained_on.patients)
        assert len(trained_on) == 30 + known.sum()
        return np.ones(len(canaries)), np.where(known, 0.1, 1.0)

    found = audit_cases(by_heart, cases, 200, 1e-5, 0.95, rng)
    assert found.lower_bound > 3
    canaries = canary_cases(cases, 50, np.random.default_rng(0))
    assert canaries.inputs.shape == (50, 5) and len(set(canaries.patients)) == 50
    assert set(canaries.targets) <= {0, 1, 2}


def test_canaries_of_segmentation_have_every_pixel_of_another_class() -> None:
    targets = np.random.default_rng(0).integers(0, 3, (4, 6, 6))
    cases = Cases.of(np.ones((4, 1, 6, 6), np.float32), targets, np.arange(4).astype(str), ("a", "b", "c"))
    found = canary_cases(cases, 9, np.random.default_rng(7))
    source = np.random.default_rng(7).integers(0, 4, 9)
    assert found.targets.shape == (9, 6, 6)
    assert (found.targets != targets[source]).all()


def test_the_number_of_canaries_is_what_tells_most() -> None:
    """A large delta makes many canaries useless; a small one makes few of them poor."""
    assert most_telling_count(8.0, 1e-3, 0.95, 2000) <= 500
    assert most_telling_count(2.0, 1e-7, 0.95, 20_000) == 20_000
    assert most_telling_count(2.0, 1e-5, 0.95, 50) == 50
