"""Canaries in the hospital's own private training: told apart as the promise allows, and as planted faults do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from client.hospital import open_hospital
from common.data.cases import Cases
from common.study.study import Study
from experiments.access import Access, Signals
from experiments.attack import Finding
from experiments.attacks.canaries.claim import CanaryScores
from experiments.attacks.canaries.scores import likelihood_ratios
from experiments.attacks.canary_cases import CanaryCases, canary_cases
from experiments.attacks.gradient_canaries import Canaries, GradientCanaries
from experiments.audit.questions._canary_results import chance_of
from experiments.evidence.planted import CONSTANT, DOUBLE_CLIP, HALF_NOISE, LAYER_LEFT_OUT, NO_NOISE, Fault
from experiments.evidence.private_steps import (
    ROOM_FOR_SIGNALS,
    Repeatable,
    audited_mechanism,
    clipped_signals,
)
from experiments.observation import Observation

SUMS = (
    "training={steps=2, batch_size='full', learning_rate=0.1}",
    "rounds=1",
    "privacy={name='dpsgd', clip_norm=0.5, noise_multiplier=2.8, delta=1e-5}",
)
SAMPLED = (
    "training={steps=40, batch_size=4, learning_rate=0.1}",
    "rounds=1",
    "privacy={name='dpsgd', clip_norm=0.5, epsilon=4.0, delta=1e-4}",
)


def training_of(study: Study, fault: Fault | None = None) -> Repeatable:
    mechanism = audited_mechanism(study)
    assert mechanism is not None
    training = Repeatable(open_hospital(study.json, 0), mechanism)
    return training if fault is None else replace(training, fault=fault)


def told(training: Repeatable, canaries: int = 4000) -> CanaryScores:
    found = GradientCanaries(canaries).run(observed({"a": training}), np.random.default_rng(1), 600.0)
    (claim,) = found.claims
    assert isinstance(claim, CanaryScores)
    return claim


def observed(training: dict[str, Repeatable]) -> Observation:
    study = next(iter(training.values())).hospital.study
    shape = next(iter(training.values())).hospital.train.shape
    return Observation("server", study, shape, (), {}, {}, access=Access(training=dict(training)))


@pytest.mark.parametrize("options", [SUMS, SAMPLED])
def test_a_promise_that_is_kept_is_not_accused(tiny: Callable[..., Study], options: tuple[str, ...]) -> None:
    claim = told(training_of(tiny(*options)))
    assert len(claim.scores) == 4000 and claim.beside_own and claim.apart
    assert claim.promised == claim.whole
    assert chance_of(claim.promised, claim.scores, claim.included, True) > 0.01


@pytest.mark.parametrize("fault", [NO_NOISE, HALF_NOISE, DOUBLE_CLIP], ids=lambda fault: fault.name)
@pytest.mark.parametrize("options", [SUMS, SAMPLED], ids=["whole", "sampled"])
def test_less_noise_than_promised_is_told(tiny: Callable[..., Study], options: tuple[str, ...], fault: Fault) -> None:
    claim = told(training_of(tiny(*options), fault))
    assert chance_of(claim.promised, claim.scores, claim.included, True) < 1e-4


@pytest.mark.parametrize("fault", [CONSTANT, LAYER_LEFT_OUT], ids=lambda fault: fault.name)
def test_noise_that_is_there_and_hides_nothing_is_seen_through(tiny: Callable[..., Study], fault: Fault) -> None:
    claim = told(training_of(tiny(*SAMPLED), fault))
    assert chance_of(claim.promised, claim.scores, claim.included, True) < 1e-6


def test_where_there_is_no_time_for_the_hospitals_own_cases_canaries_are_alone(tiny: Callable[..., Study]) -> None:
    training = training_of(tiny(*SAMPLED))
    (claim,) = GradientCanaries(100).run(observed({"a": training}), np.random.default_rng(1), 0.0).claims
    assert not claim.beside_own and claim.promised.steps == claim.whole.steps == 40


def test_a_small_network_gets_idle_places_and_trains_as_before(tiny: Callable[..., Study]) -> None:
    training = training_of(tiny(*SUMS))
    steps = training.begun()
    released, own = steps.step(Signals(np.array([ROOM_FOR_SIGNALS - 1]), np.array([7.0], np.float32)))
    network = ROOM_FOR_SIGNALS - steps.trainer.idle
    assert steps.length == len(released) == len(own) == ROOM_FOR_SIGNALS
    assert own[:network].any() and not own[network:].any()
    assert released[network:].std() == pytest.approx(2.8 * 0.5, rel=0.05)


def test_signals_are_clipped_by_the_hospitals_own_code() -> None:
    signals = Signals(np.array([4, 1, 2]), np.array([3.0, -0.25, -9.0], np.float32))
    np.testing.assert_allclose(clipped_signals(signals, 6, 0.5), [0, -0.25, -0.5, 0, 0.5, 0], atol=1e-5)


def test_likelihood_ratios_of_two_steps_by_hand() -> None:
    """Noise of deviation 1 beside: log(0.5 + 0.5 e^((2x - 1) / 2)), summed."""
    along = np.array([[1.0, 0.0], [2.0, -1.0]], np.float32)
    beside = np.tile(np.array([1.0, -1.0], np.float32), (2, 500))
    expected = [
        sum(np.log(0.5 + 0.5 * np.exp(x - 0.5)) for x in (1.0, 2.0)),
        sum(np.log(0.5 + 0.5 * np.exp(x - 0.5)) for x in (0.0, -1.0)),
    ]
    np.testing.assert_allclose(likelihood_ratios(along, beside, 0.5), expected, rtol=1e-5)


def test_what_all_places_share_in_a_step_hides_nothing() -> None:
    rng = np.random.default_rng(2)
    included, noise = rng.random(500) < 0.5, rng.normal(size=(40, 600)).astype(np.float32)
    sampled = (rng.random((40, 500)) < 0.2) & included
    shared = 100 * rng.normal(size=(40, 1)).astype(np.float32)
    plain = likelihood_ratios(0.1 * noise[:, :500] + sampled, 0.1 * noise[:, 500:], 0.2)
    behind = likelihood_ratios(0.1 * noise[:, :500] + sampled + shared, 0.1 * noise[:, 500:] + shared, 0.2)
    np.testing.assert_allclose(behind, plain, rtol=0.02, atol=0.5)


def test_canaries_leave_places_without_any_and_none_is_used_twice() -> None:
    canaries = Canaries.draw(10**6, 60, np.random.default_rng(0))
    places = np.concatenate([canaries.coordinates, canaries.beside])
    assert len(canaries) == 50 and len(set(places)) == 60
    assert len(canaries.signals(2.0)) == canaries.included.sum()


def test_without_training_to_do_again_nothing_is_measured(tiny: Callable[..., Study]) -> None:
    nothing = replace(observed({"a": training_of(tiny(*SUMS))}), access=Access())
    for attack in (GradientCanaries(), CanaryCases()):
        found: Finding = attack.run(nothing, np.random.default_rng(0), 1.0)
        assert not found.possible and "only a simulation has" in found.reason


def test_cases_planted_in_a_training_with_little_noise_give_it_away(tiny: Callable[..., Study]) -> None:
    """A network that can learn every case by heart, and noise that does not keep it from doing so."""
    study = tiny(
        "task.network={name='mlp', hidden=[300]}",
        "training={steps=150, batch_size='full', learning_rate=1.0}",
        "privacy={name='dpsgd', clip_norm=20.0, noise_multiplier=0.005, delta=1e-4}",
        "rounds=1",
    )
    found = CanaryCases().run(observed({"a": training_of(study)}), np.random.default_rng(0), 600.0)
    (claim,) = found.claims
    assert isinstance(claim, CanaryScores) and not claim.apart
    assert claim.scores[claim.included].mean() > claim.scores[~claim.included].mean() + 1


def test_canaries_of_segmentation_have_every_pixel_of_another_class() -> None:
    targets = np.random.default_rng(0).integers(0, 3, (4, 6, 6))
    cases = Cases.of(np.ones((4, 1, 6, 6), np.float32), targets, np.arange(4).astype(str), ("a", "b", "c"))
    found = canary_cases(cases, 9, np.random.default_rng(7))
    source = np.random.default_rng(7).integers(0, 4, 9)
    assert found.targets.shape == (9, 6, 6) and len(set(found.patients)) == 9
    assert (found.targets != targets[source]).all()
