"""Tests whether what hospitals sent, less the same made again without noise, is the noise that was promised.

As large, of its shape, in every layer, and new every time; and whether samples, steps and clipping are as claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar

import numpy as np

from experiments.access import Need
from experiments.attack import Attack, Finding, Per, Sees
from experiments.attacks.noise import normality
from experiments.noisy_sums import NoiseTests, NoisySum, SentNoise
from experiments.observation import Observation

NOT_HANDED = "what was sent can be made again without noise in a simulation alone"
OTHER_CODE = (
    "what was sent is not what the hospitals' own code computes again on the same orders, so that its single steps "
    "are not known: it came from another program, or from another machine's arithmetic"
)
ALIKE = 1e-3
"""In deviations of the noise: rounding to whole numbers in a sum, and float32, are far below."""
LOUDER = 1e-3


@dataclass(frozen=True)
class SentNoiseTest:
    """level: the chance that claimed noise fails any of the tests, at most."""

    sees: ClassVar[Sees] = "sum"
    source: ClassVar[str] = "Abadi et al. 2016, algorithm 1; classical tests of a normal distribution, Bonferroni"
    question: ClassVar[str] = "epsilon"
    needs: ClassVar[tuple[Need, ...]] = ("recomputed",)
    called: ClassVar[str] = "taking the training out of what was sent"
    words: ClassVar[str] = (
        "makes every noisy sum again without its noise, and tests whether what is left is the noise that was promised"
    )
    per: ClassVar[Per] = "run"
    share: ClassVar[float] = 0.3

    level: float = 0.001

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Within the seconds, but for a first round."""
        begun = perf_counter()
        if observed.access.recomputed is None:
            return Finding("sent_noise", observed.observer, False, NOT_HANDED)
        sent = observed.access.recomputed.sent_noise(budget_seconds, rng)
        reason = sent.reason or (OTHER_CODE if sent.off > ALIKE and not sent.direct else "")
        if reason:
            return Finding("sent_noise", observed.observer, False, reason, perf_counter() - begun)
        found = tests_of(sent, self.level)
        return Finding(
            "sent_noise",
            observed.observer,
            True,
            seconds=perf_counter() - begun,
            figures=_figures(sent, found),
            settings={"level": self.level, "tests": dict(found.chances)},
            claims=(found,),
        )


def tests_of(sent: SentNoise, level: float) -> NoiseTests:
    """Every test that the evidence allows."""
    noise = np.stack([one.noise for one in sent.sums])
    chances = {
        "size of the noise": normality.of_size(noise),
        "size in every layer": normality.of_size_by_part(noise, list(sent.blocks.values())),
        "normal shape": normality.of_shape(noise),
        "new in every sum": normality.of_largest_similarity(noise),
        "no part that stays": normality.of_constant_part(noise),
        "coordinates independent": min(
            1.0, 2 * min(normality.of_largest_similarity(noise.T), normality.of_common_part(noise))
        ),
        "sums clipped and added as claimed": normality.of_share_of(noise, _in_deviations(sent.sums)),
    }
    if sent.samples:
        chances["samples drawn as claimed"] = float(
            all(sorted(one.claimed) == sorted(one.taken) for one in sent.samples)
        )
    if sent.steps:
        chances["as many noisy steps as claimed"] = float(
            all(made <= claimed for claimed, made in sent.steps.values())
        )
    if sent.loudest is not None:
        chances["one patient adds no more than claimed"] = float(sent.loudest <= 1 + LOUDER)
    deviation = float(np.sqrt((noise**2).mean()))
    return NoiseTests(chances, level, deviation, normality.resolved(noise.size, level / len(chances)))


def _in_deviations(sums: Sequence[NoisySum]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.stack([one.without / one.deviation for one in sums])


def _figures(sent: SentNoise, found: NoiseTests) -> dict[str, float]:
    figures = {
        "noisy_sums": float(len(sent.sums)),
        "values_of_noise": float(sum(one.released.size for one in sent.sums)),
        "deviation_over_claimed": found.deviation,
        "resolves_share_too_small": found.resolves,
        "smallest_chance": min(found.chances.values()),
        "failed_tests": float(len(found.failed)),
        "off_in_deviations": sent.off,
    }
    if sent.loudest is not None:
        figures["loudest_over_clip_norm"] = sent.loudest
    return figures


attack: type[Attack] = SentNoiseTest
