"""Runs of heart under each mechanism, and both tests of the noise on them, with a fault planted or without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from time import process_time

import numpy as np
from numpy.typing import NDArray

from client.hospital import Hospital, site_names
from common.data.cases import SiteId
from common.privacy.release import Release
from common.study.study import Study, parse
from experiments.attacks.canaries.scores import likelihood_ratios
from experiments.attacks.gradient_canaries import Canaries, received
from experiments.attacks.sent_noise import SentNoiseTest, tests_of
from experiments.audit.questions._canaries import ALARM, planted_steps
from experiments.audit.questions._canary_results import chance_of
from experiments.audit.questions._sent_noise import PLANTED_VALUES
from experiments.benchmarks.heart import STUDY
from experiments.engines._quiet import run_quietly
from experiments.evidence.audited_training import training_of
from experiments.evidence.ground_truth import hospital_of
from experiments.evidence.observing import observe, sent_orders
from experiments.evidence.planted import Fault
from experiments.evidence.recomputed_updates import Orders
from experiments.evidence.sent_noise import Recorded
from experiments.noisy_sums import Floats
from experiments.observation import Observation

CANARIES, TIMES_TOO_LONG = 10_000, 10.0
GRADIENTS = ("strategy={name='fedsgd',learning_rate=0.5}", "training={batch_size=32}", "rounds=15")
STEPS = ("rounds=15",)
ROUNDS, ROUNDS_RUN = 15, 2
"""Rounds of many steps hold noise enough in two."""
STEPS_A_ROUND = "100 steps a round"
STUDIES = Path(__file__).parents[1] / "studies"
DEFAULT_STUDIES: Mapping[str, float] = {"heart": 1e-4, "demo": 1e-3}
"""Delta of each."""
MECHANISMS: Mapping[str, tuple[str, ...]] = {
    f"dpsgd, {STEPS_A_ROUND}, plain": (*STEPS, "aggregation=plain", "privacy={name='dpsgd',delta=1e-4,epsilon=%g}"),
    "dpsgd, gradients, secagg": (*GRADIENTS, "aggregation=secagg", "privacy={name='dpsgd',delta=1e-4,epsilon=%g}"),
    "distributed, additive": (
        *GRADIENTS,
        "aggregation=additive",
        "privacy={name='distributed',delta=1e-4,sampling_rate=0.2,epsilon=%g}",
    ),
    "hospital, secagg": (
        "strategy=fedavg",
        "rounds=15",
        "training={steps=10,batch_size=8,learning_rate=0.01}",
        "aggregation=secagg",
        "privacy={name='hospital',delta=1e-2,epsilon=%g}",
    ),
}


@dataclass(frozen=True)
class Scores:
    """Of canaries in one training done again. plain: noisy sums along each, added up, as was scored before."""

    plain: Floats
    ratios: Floats
    included: NDArray[np.bool_]
    promised: Release
    delta: float
    seconds: float


@dataclass(frozen=True)
class Recording:
    """A mechanism's run of a few rounds at one claim, whose orders serve every claim: a fault's updates are made
    again anyway. study: at the claim in question, for all its rounds. observed: None where nothing was run."""

    study: Study
    observed: Observation | None = None
    orders: Orders = field(default_factory=dict)

    @cached_property
    def hospital(self) -> Hospital:
        """The first by name."""
        return hospital_of(self.study, self.sites[0])

    @property
    def sites(self) -> tuple[SiteId, ...]:
        """Of the study."""
        return site_names(self.study) if self.observed is None else self.observed.sites

    def sent_noise_sees(self, fault: Fault, repeat: int) -> bool:
        """Whether the sent-noise test says that noise is not as claimed. Of a run."""
        assert self.observed is not None
        seen = replace(self.observed, study=self.study)
        recorded = Recorded(seen, self.orders, fault, PLANTED_VALUES)
        sent = recorded.sent_noise(60.0, np.random.default_rng(repeat))
        return bool(tests_of(sent, SentNoiseTest.level).failed)

    def canary_test_sees(self, scores: Scores) -> bool:
        """Whether the canary test says that more is given away than is claimed."""
        level = ALARM / (len(self.sites) + 1)
        return chance_of(scores.promised, scores.ratios, scores.included, True) < level

    def scores(self, fault: Fault, repeat: int, whole: bool = False) -> Scores:
        """Of the steps that planted faults are looked for in, or of the study's whole number of them."""
        begun, rng = process_time(), np.random.default_rng(repeat)
        steps = training_of(self.hospital).steps
        some = steps if whole else planted_steps(steps)
        training = training_of(self.hospital, fault, repeat + 1, some)
        private = training.alone()
        canaries = Canaries.draw(CANARIES, private.length, rng)
        along, beside = received(private, canaries, some, 1e9)
        ratios = likelihood_ratios(along, beside, private.sampling_rate)
        plain = along.sum(axis=0, dtype=np.float64)
        promised, seconds = training.promised(len(along)), process_time() - begun
        return Scores(plain, ratios, canaries.included, promised, training.delta, seconds)


def recording(folder: Path, place: Path, mechanism: str, claims: tuple[float, ...]) -> dict[float, Recording]:
    """By claim."""
    own = [f'source.folder="{folder}"', "federation.record_traffic=true"]
    studies = {claim: parse(STUDY, [*own, *_settings(mechanism, claim)]) for claim in claims}
    few = f"rounds={ROUNDS_RUN if STEPS_A_ROUND in mechanism else ROUNDS}"
    run_quietly(parse(STUDY, [*own, *_settings(mechanism, claims[0]), few]), place / mechanism)
    seen, orders = observe(place / mechanism), sent_orders(place / mechanism)
    return {claim: Recording(study, seen, orders) for claim, study in studies.items()}


def of_default_study(name: str, folder: Path, claims: Sequence[float]) -> dict[float, Recording]:
    """By claim, a study as it comes with the program under DP-SGD; nothing is run. folder: of heart's patients."""
    text, delta = (STUDIES / f"{name}.toml").read_text(encoding="utf-8"), DEFAULT_STUDIES[name]
    source = [f'source.folder="{folder}"'] if name == "heart" else []
    promise = "privacy={name='dpsgd',epsilon=%g,delta=%g}"
    return {claim: Recording(parse(text, [*source, "baselines={}", promise % (claim, delta)])) for claim in claims}


def _settings(mechanism: str, claim: float) -> list[str]:
    return [one % claim if "%g" in one else one for one in MECHANISMS[mechanism]]
