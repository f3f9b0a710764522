"""Canaries as gradients: what an auditor measures who may put gradients of its own into private steps.

Each of m canaries is a gradient along one coordinate, no two along the same, forward or backward by a fair coin,
ten times as long as the clip norm allows, so that the hospital's own clipping has work to do (the Dirac canaries of
Steinke, Nasr and Jagielski 2023). Another fair coin says whether it belongs to the training set. Those that do are
Poisson-sampled in every step like any case. The score of a canary is what the noisy sums hold along it, summed over
the steps, less what the hospital's own clipped cases put there: an adversary that knows everything but the canary's
coin is just whom differential privacy is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.errors import StudyError
from common.sums.update import Vector
from experiments.audit.questions._epsilon_bounds import Floats, Measured, measured_epsilon

TIMES_TOO_LONG = 10.0
VALUES_A_CHUNK = 1 << 23
FEWEST_COUNTED = 10


class PrivateSteps(Protocol):
    """One hospital's private training as it is, but for the auditor's hand in its sums."""

    @property
    def length(self) -> int:
        """P, the number of parameters."""
        ...

    @property
    def clip_norm(self) -> float:
        """The most a case's gradient may add to a sum, in L2, as claimed."""
        ...

    @property
    def sampling_rate(self) -> float:
        """Chance of a case to be in a step's sum."""
        ...

    def step(self, gradients: Iterator[NDArray[np.float32]]) -> tuple[Vector, Vector]:
        """Clip these gradients too, (n, P) each time, add them in, add the noise, release the sum, and move on.

        Returns the released sum, (P,), and the clipped sum of the hospital's own cases that is in it.
        """
        ...


@dataclass(frozen=True)
class Canaries:
    """coordinates, signs, included: (m,) each; see the module."""

    coordinates: NDArray[np.int64]
    signs: NDArray[np.float32]
    included: NDArray[np.bool_]

    @classmethod
    def draw(cls, count: int, length: int, rng: np.random.Generator) -> Canaries:
        """At most as many as there are parameters."""
        if min(count, length) < FEWEST_COUNTED:
            raise StudyError(
                f"an audit of epsilon needs {FEWEST_COUNTED} canaries or more; {min(count, length)} were asked for."
            )
        coordinates = rng.permutation(length)[:count]
        signs = rng.choice(np.array([-1, 1], np.float32), len(coordinates))
        return cls(coordinates, signs, rng.random(len(coordinates)) < 0.5)

    def __len__(self) -> int:
        return len(self.coordinates)

    def sampled(
        self, rate: float, norm: float, length: int, rng: np.random.Generator
    ) -> Iterator[NDArray[np.float32]]:
        """Gradients of those that are included and drawn for this step, some rows at a time."""
        drawn = np.flatnonzero(self.included & (rng.random(len(self)) < rate))
        rows = max(1, VALUES_A_CHUNK // length)
        for start in range(0, len(drawn), rows):
            chosen = drawn[start : start + rows]
            gradients = np.zeros((len(chosen), length), np.float32)
            gradients[np.arange(len(chosen)), self.coordinates[chosen]] = self.signs[chosen] * norm
            yield gradients

    def along(self, vector: Floats) -> Floats:
        """(m,) a (P,) vector's part along each canary."""
        return np.asarray(vector[self.coordinates] * self.signs, dtype=np.float64)


def audit_gradients(
    private: PrivateSteps,
    steps: int,
    count: int,
    delta: float,
    confidence: float,
    rng: np.random.Generator,
    seconds: float = inf,
) -> tuple[Measured, int]:
    """Train for so many steps with `count` canaries, and say how much their coins were given away.

    Also returns the number of steps: when the seconds are over it ends early, and what it has found still holds.
    """
    begun, done = perf_counter(), 0
    canaries = Canaries.draw(count, private.length, rng)
    scores = np.zeros(len(canaries))
    while done < steps and not (done and perf_counter() - begun > seconds):
        norm = TIMES_TOO_LONG * private.clip_norm
        released, own = private.step(canaries.sampled(private.sampling_rate, norm, private.length, rng))
        scores += canaries.along(released.astype(np.float64) - own)
        done += 1
    return measured_epsilon(scores, canaries.included, delta, confidence), done
