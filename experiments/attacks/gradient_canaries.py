"""Plants signals in a private training done again, and tells from every noisy sum which of them were let in.

Each canary is a gradient along one coordinate, no two along the same, forward or backward by a fair coin, ten times
as long as the clip norm allows, so that the hospital's own clipping has work to do (the Dirac canaries of Steinke,
Nasr and Jagielski 2023). Another fair coin says whether it belongs to the training set. Those that do are sampled,
clipped and noised by the hospital's own code in every step, like any case. What is released along a canary, less what
the hospital's own cases put there, is all that is looked at: an adversary that knows everything but the canary's coin
is just whom differential privacy is about.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.study.checks import positive
from experiments.access import Need, PrivateSteps, PrivateTraining, Signals
from experiments.attack import Attack, Finding, Per, Sees
from experiments.attacks.canaries.claim import CanaryScores
from experiments.attacks.canaries.scores import Received, likelihood_ratios
from experiments.evidence.budget import Budget, WorkClock
from experiments.observation import Observation

TIMES_TOO_LONG = 10.0
FEWEST_COUNTED = 10
SHARE_BESIDE = 6
"""Of so many places one stays without a canary, to show the noise."""
MOST_BESIDE = 4000
MOST_RECEIVED = 1 << 25
"""Numbers that are kept of all steps; with many steps there are fewer canaries, and never fewer than 1000."""
LEAST_NUMBERS = 7_200_000
"""Of noise that are looked at, whatever time there is: 600 steps of 12,000 places, a second or two of work."""
TRIED_STEPS = 3
"""By which it is seen whether there is time for the hospital's own cases in all others."""
NOT_HANDED = "it takes private training that can be done again, which only a simulation has"
TOO_SMALL = "a network of {length} parameters holds too few canaries to count"


@dataclass(frozen=True)
class Canaries:
    """coordinates, signs, included: (m,) each. beside: (F,) places without any."""

    coordinates: NDArray[np.int64]
    signs: NDArray[np.float32]
    included: NDArray[np.bool_]
    beside: NDArray[np.int64]

    @classmethod
    def draw(cls, count: int, length: int, rng: np.random.Generator) -> Canaries:
        """At most as many as leave one place in six."""
        places = rng.permutation(length)
        beside = min(MOST_BESIDE, max(2, length // SHARE_BESIDE))
        count = max(0, min(count, length - beside))
        signs = rng.choice(np.array([-1, 1], np.float32), count)
        return cls(places[:count], signs, rng.random(count) < 0.5, places[count : count + beside])

    def __len__(self) -> int:
        return len(self.coordinates)

    def signals(self, norm: float) -> Signals:
        """Those that the coins let in, each of so long a gradient."""
        return Signals(self.coordinates[self.included], self.signs[self.included] * np.float32(norm))


@dataclass(frozen=True)
class GradientCanaries:
    """canaries: at most; a network of fewer parameters holds fewer."""

    sees: ClassVar[Sees] = "model"
    source: ClassVar[str] = (
        "Steinke, Nasr and Jagielski 2023, Privacy auditing with one (1) training run; Mahloujifar, Melis and "
        "Chaudhuri 2025, Auditing f-differential privacy in one run"
    )
    question: ClassVar[str] = "epsilon"
    needs: ClassVar[tuple[Need, ...]] = ("training",)
    called: ClassVar[str] = "planted signals"
    words: ClassVar[str] = (
        "plants signals in the training done again and counts how many can be told from noise afterwards"
    )
    per: ClassVar[Per] = "site"
    share: ClassVar[float] = 1.0

    canaries: int = 10_000

    def __post_init__(self) -> None:
        positive("attack", canaries=self.canaries)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Every hospital's private training, for its part of the seconds."""
        training, budget = observed.access.training, Budget(budget_seconds)
        if not training:
            return self._impossible(observed, NOT_HANDED)
        found = [self._claim(site, training[site], rng, budget_seconds / len(training)) for site in sorted(training)]
        claims = tuple(claim for claim in found if claim is not None)
        if not claims:
            lengths = (one.begun().length for one in training.values())
            return self._impossible(observed, TOO_SMALL.format(length=max(lengths)))
        settings, seconds = asdict(self), budget.spent
        return Finding(
            "gradient_canaries", observed.observer, True, seconds=seconds, settings=settings, claims=claims
        )

    def _claim(
        self, site: SiteId, training: PrivateTraining, rng: np.random.Generator, seconds: float
    ) -> CanaryScores | None:
        private = training.begun()
        own = self._has_time(private, training.steps, rng, seconds)
        private = training.begun() if own else training.alone()
        canaries = self._drawn(private, training.steps, rng)
        if len(canaries) < FEWEST_COUNTED:
            return None
        along, beside = received(private, canaries, training.steps, seconds)
        return CanaryScores(
            site,
            likelihood_ratios(along, beside, private.sampling_rate),
            canaries.included,
            promised=training.promised(len(along)),
            whole=training.promised(training.steps),
            delta=training.delta,
            apart=True,
            beside_own=own,
        )

    def _drawn(self, private: PrivateSteps, steps: int, rng: np.random.Generator) -> Canaries:
        most = max(1000, MOST_RECEIVED // steps * (SHARE_BESIDE - 1) // SHARE_BESIDE)
        return Canaries.draw(min(self.canaries, most), private.length, rng)

    def _has_time(self, private: PrivateSteps, steps: int, rng: np.random.Generator, seconds: float) -> bool:
        """Whether all steps can be done on the hospital's own cases too."""
        signals = self._drawn(private, steps, rng).signals(TIMES_TOO_LONG * private.clip_norm)
        clock = WorkClock()
        for _ in range(TRIED_STEPS):
            private.step(signals)
        return clock() / TRIED_STEPS * steps <= seconds

    def _impossible(self, observed: Observation, reason: str) -> Finding:
        return Finding("gradient_canaries", observed.observer, False, reason, settings=asdict(self))


def received(private: PrivateSteps, canaries: Canaries, steps: int, seconds: float) -> tuple[Received, Received]:
    """(T, m) along each canary and (T, F) beside them, less the hospital's own part, in clip norms.

    T is `steps`, or as many as there is time for: what those release is judged by what they may. seconds: of work.
    """
    least = min(steps, max(1, LEAST_NUMBERS // private.length))
    budget, signals = Budget(seconds, WorkClock()), canaries.signals(TIMES_TOO_LONG * private.clip_norm)
    along: list[Received] = []
    beside: list[Received] = []
    while len(along) < steps and (len(along) < least or budget.left):
        released, own = private.step(signals)
        rest = (released - own) / np.float32(private.clip_norm)
        along.append(rest[canaries.coordinates] * canaries.signs)
        beside.append(rest[canaries.beside])
    return np.stack(along), np.stack(beside)


attack: type[Attack] = GradientCanaries
