"""Noise that the server itself adds to a sum, and the clip norm it steers: hospital-level differential privacy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from common.privacy.mechanism import Facts
from common.privacy.mechanisms.hospital import Hospital
from common.privacy.noise import add_gaussian
from common.privacy.noise_source import NoiseSource
from common.sums.mean import Statistics
from common.sums.update import Update
from server.strategy import State

CLIP_NORM = "privacy/clip_norm"
BELOW = "training/below"
BELOW_ALONE = "below"


@dataclass(frozen=True)
class CentralNoise:
    """noise: a source of draws for a round. facts: of any hospital; they are the same for this mechanism.

    rounding: by how much updates rounded to whole numbers may lie farther apart in L2; noise pays for it.
    """

    mechanism: Hospital
    facts: Facts
    noise: Callable[[int], NoiseSource]
    rounding: float = 0.0

    def clip_norm(self, state: State) -> float:
        """What hospitals clip to in the next round."""
        return float(state[CLIP_NORM][0]) if CLIP_NORM in state else self.mechanism.clip_norm

    @property
    def statistics(self) -> tuple[str, ...]:
        """Names of what comes beside an update, inside a sum."""
        return (BELOW,) if self.mechanism.adaptive else ()

    def release(self, number: int, state: State, total: Update) -> tuple[Update, State]:
        """The noisy sum, which alone goes on, and what is kept of the clip norm. total.weight: hospitals."""
        source, clip_norm = self.noise(number), self.clip_norm(state)
        deviation = self.mechanism.sum_noise(self.facts) * (clip_norm + self.rounding)
        vectors = tuple(add_gaussian(np.asarray(vector, np.float64), deviation, source) for vector in total.vectors)
        noisy = replace(total, vectors=vectors, statistics={})
        if not self.mechanism.adaptive:
            return noisy, {}
        count = _below(total.statistics) - total.weight / 2
        count += float(source.gaussian(1, self.mechanism.count_noise(self.facts))[0])
        share = count / total.weight + 0.5
        return noisy, {CLIP_NORM: np.array([self.mechanism.next_clip_norm(clip_norm, share)])}


def own_state(state: State) -> State:
    """Without what others keep there, all under names with a stroke: what the strategy knows of."""
    return {name: value for name, value in state.items() if "/" not in name}


def _below(statistics: Statistics) -> float:
    mean = statistics.get(BELOW) or statistics.get(BELOW_ALONE)
    return mean.value * mean.weight if mean is not None and mean.weight_units else 0.0
