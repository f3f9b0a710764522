"""How a promise is judged: by two named tests, with bounds beside the light and faults planted for both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from client.hospital import open_hospital
from common.privacy.release import Release
from common.study.study import Study
from experiments.access import Access
from experiments.adversary import View
from experiments.attack import Finding
from experiments.attacks.canaries.claim import CanaryScores
from experiments.attacks.canary_cases import CanaryCases
from experiments.attacks.gradient_canaries import GradientCanaries
from experiments.audit.questions import _canaries as canaries
from experiments.audit.questions.epsilon import Epsilon
from experiments.audit.records import Claim, Trial
from experiments.audit.run import Run
from experiments.evidence.audited_training import training_of
from experiments.evidence.planted import HALF_NOISE, NO_NOISE
from experiments.observation import Observation
from experiments.question import Attempt

PRIVATE = 'privacy={name="dpsgd",epsilon=4.0,delta=1e-4,clip_norm=0.5}'
STEPS = ("training={steps=40, batch_size=4, learning_rate=0.1}", "rounds=1", "partition.hospitals=2")
SITES = ("hospital-0", "hospital-1")


def run_of(study: Study, epsilon: float | None = 4.0) -> Run:
    hospital = open_hospital(study.json, 0)
    seen = Observation("server", study, hospital.train.shape, (), dict.fromkeys(SITES, 40), {})
    promised = {} if epsilon is None else dict.fromkeys(SITES, epsilon)
    return Run(Path(), seen, {}, Claim("plain", "each", "", epsilon=promised, delta=1e-4))


def scored(run: Run, claim: CanaryScores, adversary: str = "auditor") -> Trial:
    attempt = Attempt("gradient_canaries", "", adversary, View(run.observed), question="epsilon")
    (trial,) = Epsilon().scored(attempt, Finding("gradient_canaries", "server", True, claims=(claim,)), run)
    return trial


def scores(mu: float, steps: int = 1) -> CanaryScores:
    """Of 2000 canaries in one Gaussian sum that promises mu = 1, and of one that gives away `mu`."""
    rng = np.random.default_rng(5)
    included = rng.random(2000) < 0.5
    promised = Release(np.sqrt(steps), 1.0, steps)
    return CanaryScores("hospital-0", rng.normal(size=2000) + mu * included, included, promised, promised, 1e-4, True)


def test_what_keeps_its_promise_is_green_with_three_bounds_beside(tiny: Callable[..., Study]) -> None:
    run = run_of(tiny(PRIVATE, *STEPS))
    trial = scored(run, scores(1.0))
    ((light, words, _),) = Epsilon().reasons("hospital-0", trial, run)
    assert light == "green" and "canary test" in words and "Epsilon is at least" in words
    bounds = [trial.figures[name] for name in (canaries.ANY_MECHANISM, canaries.LOWER_BOUND, canaries.OWN_NOISE)]
    assert 0 < bounds[0] < bounds[1] < bounds[2] < trial.figures["epsilon_claimed"]
    assert "at least" in Epsilon().answer([trial])


def test_twice_what_was_promised_is_red_and_no_bound_is_asked_of_a_planted_fault(tiny: Callable[..., Study]) -> None:
    run = run_of(tiny(PRIVATE, *STEPS))
    trial = scored(run, scores(2.0), adversary="")
    ((light, words, change),) = Epsilon().reasons("hospital-0", trial, run)
    assert light == "red" and "by chance in fewer than 1 of" in words and change
    assert canaries.LOWER_BOUND not in trial.figures


def test_a_promise_that_nothing_measured_is_amber_and_says_why(tiny: Callable[..., Study]) -> None:
    run = run_of(tiny(PRIVATE, *STEPS))
    missing = Trial("gradient_canaries", "epsilon", "auditor", "", "", "", "", possible=False, reason="nobody could")
    lights = list(Epsilon().standing("hospital-0", [missing], run))
    assert [light for light, _, _ in lights] == ["green", "amber"]
    assert "was not measured here: nobody could" in lights[1][1]
    (nothing,) = Epsilon().standing("hospital-0", [], run_of(tiny(*STEPS), None))
    assert nothing[0] == "amber" and "no epsilon" in nothing[1]


def test_planted_faults_are_the_mechanisms_own_and_are_seen(tiny: Callable[..., Study]) -> None:
    run = run_of(tiny(PRIVATE, *STEPS))
    planted = {plant.fault: plant for plant in canaries.plants(run)}
    assert {NO_NOISE.name, HALF_NOISE.name} <= set(planted)
    plant = planted[HALF_NOISE.name]
    found = GradientCanaries().run(plant.view.observed, np.random.default_rng(1), 0.0)
    attempt = Attempt("gradient_canaries", "", "", plant.view, question="epsilon")
    (trial,) = Epsilon().scored(attempt, found, run)
    ((light, _, _),) = Epsilon().reasons("hospital-0", trial, run)
    assert light == "red"


@pytest.mark.parametrize(
    "privacy",
    [
        'privacy={name="distributed",epsilon=4.0,delta=1e-3,sampling_rate=0.5}',
        'privacy={name="hospital",epsilon=4.0,delta=1e-2}',
    ],
    ids=["shares of noise", "noise at the server"],
)
def test_of_every_mechanism_no_noise_is_red_and_the_promise_kept_is_not(
    tiny: Callable[..., Study], privacy: str
) -> None:
    strategy = "strategy=fedsgd" if "distributed" in privacy else "strategy=fedavg"
    study = tiny(privacy, strategy, "aggregation=secagg", "training={batch_size=4}", "rounds=2")
    run = run_of(study)
    for fault, wanted in ((None, "green"), (NO_NOISE, "red")):
        hospital = open_hospital(study.json, 0)
        training = training_of(hospital) if fault is None else training_of(hospital, fault)
        seen = replace(run.observed, access=Access(training={"hospital-0": training}))
        (claim,) = GradientCanaries(1500).run(seen, np.random.default_rng(3), 0.0).claims
        ((light, _, _),) = Epsilon().reasons("hospital-0", scored(run, claim, ""), run)
        assert light == wanted
    if '"hospital"' in privacy:
        odd = CanaryCases().run(seen, np.random.default_rng(0), 1.0)
        assert not odd.possible and "no case" in odd.reason
