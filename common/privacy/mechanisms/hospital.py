"""Hospital-level privacy: every hospital's update is clipped, and noise is added to the sum at the server.

Adding or removing all of one hospital's data changes the sum of clipped updates by at most the clip norm (McMahan et
al. 2018, "Learning differentially private recurrent language models"). The promise holds towards whoever sees the
models, and not towards the coordinator, which adds the noise itself; nor does it cover scores of evaluation.

A companion, a teacher or a centre, is a part of the update like any other: clipped with it, in one norm, and noised
in every coordinate, whatever moved it.

With H hospitals the noise on the mean update has standard deviation noise_multiplier * clip_norm / H in every
coordinate: with few hospitals it drowns what is learnt, and `wardround privacy plan` says by how much. Hospitals are
drawn by a seed all know, so drawing a share of them buys nothing: each is counted as often as it was asked.

Adaptive clipping (Andrew et al. 2021, "Differentially private learning with adaptive clipping", algorithm 1) moves
the clip norm towards the `target_quantile` of the updates' norms, by a noisy count of the updates below it. That
count is paid for: of 1 / noise_multiplier**2 it takes `count_share`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, sqrt
from typing import ClassVar

import numpy as np

from common.errors import StudyError
from common.privacy.accounting import check_delta, noise_for
from common.privacy.clipped import clipped
from common.privacy.mechanism import AtHospital, AtServer, Facts, Mechanism, Place, ServerState
from common.privacy.noise import add_gaussian
from common.privacy.release import Release, Unit
from common.study.checks import between, positive, probability
from common.sums.mean import Mean, Statistics
from common.sums.update import Update

BELOW = "below"
"""Statistic: the share of hospitals whose update was not clipped."""
CLIP_NORM = "clip_norm"


@dataclass(frozen=True)
class HospitalLevel:
    """clip_norm: the most an update's L2 norm may be, at first where `adaptive`. Either noise_multiplier (of the sum,
    over the clip norm) or epsilon, for all rounds, with delta. clip_learning_rate: of the adaptive clip norm.

    adaptive: whether the clip norm follows the updates' norms (Andrew et al. 2021). target_quantile: share of
    the hospitals whose update should not be clipped. count_share: share of the privacy that is spent on counting
    them.
    """

    place: ClassVar[Place] = "server"
    secret_rounding: ClassVar[bool] = False
    """The noise pays for the largest distance that any rounding can add (`AtServer.rounding`)."""
    weighs_alike: ClassVar[bool] = True
    """Every hospital counts alike, and none for more than the clip norm."""
    clip_norm: float = 1.0
    noise_multiplier: float | None = None
    epsilon: float | None = None
    delta: float = 1e-2
    adaptive: bool = False
    target_quantile: float = 0.5
    clip_learning_rate: float = 0.2
    count_share: float = 0.1

    def __post_init__(self) -> None:
        probability("privacy", delta=self.delta)
        positive("privacy", clip_norm=self.clip_norm, clip_learning_rate=self.clip_learning_rate)
        positive("privacy", noise_multiplier=self.noise_multiplier, epsilon=self.epsilon)
        between("privacy", 0, 1, target_quantile=self.target_quantile)
        between("privacy", 0.001, 0.9, count_share=self.count_share)
        if (self.noise_multiplier is None) == (self.epsilon is None):
            raise StudyError("privacy 'hospital' takes noise_multiplier or epsilon, and not both.")

    @property
    def unit(self) -> Unit:
        """All data of one hospital."""
        return "hospital"

    def check(self, facts: Facts) -> None:
        """Raise StudyError where delta promises nothing, or there is nobody to hide among."""
        if facts.hospitals < 2:
            raise StudyError(f"privacy 'hospital' hides one hospital among others; there is {facts.hospitals}.")
        check_delta(self.delta, facts.hospitals)

    def noise(self, facts: Facts) -> float:
        """Noise multiplier of a round as a whole."""
        if self.noise_multiplier is not None:
            return self.noise_multiplier
        assert self.epsilon is not None
        return noise_for(self.epsilon, self.delta, 1.0, facts.rounds)

    def sum_noise(self, facts: Facts) -> float:
        """Noise multiplier of the sum of updates: more where a part of the round is spent on the count."""
        return self.noise(facts) / sqrt(1 - self.count_share) if self.adaptive else self.noise(facts)

    def count_noise(self, facts: Facts) -> float:
        """Standard deviation of the noise on the count; each counts as +-1/2, so one hospital changes it by 1/2."""
        return self.noise(facts) / sqrt(self.count_share) / 2

    def next_clip_norm(self, clip_norm: float, noisy_share: float) -> float:
        """Algorithm 1's geometric step. noisy_share: of the updates that were not clipped.

        Noise may put the share beyond 0 or 1, where no share is: it is cut to them, so that a hospital can tell how
        far the clip norm can have come (`clip_norms`). That is a function of the noisy share alone and costs nothing.
        """
        share = min(max(noisy_share, 0.0), 1.0)
        return clip_norm * exp(-self.clip_learning_rate * (share - self.target_quantile))

    def clip_norms(self, number: int) -> tuple[float, float]:
        """The smallest and the largest clip norm that round `number` can ask for: a hospital refuses any other."""
        if not self.adaptive:
            return self.clip_norm, self.clip_norm
        fall, rise = (1 - self.target_quantile) * (number - 1), self.target_quantile * (number - 1)
        return self.clip_norm * exp(-self.clip_learning_rate * fall), self.clip_norm * exp(
            self.clip_learning_rate * rise
        )

    def round_releases(self, facts: Facts) -> tuple[Release, ...]:
        """One sum over all hospitals; with the count it costs as much as one sum of `noise`."""
        return (Release(self.noise(facts), 1.0, 1),)

    @property
    def statistics(self) -> tuple[str, ...]:
        """The count of updates below the clip norm, inside a sum."""
        return (BELOW,) if self.adaptive else ()

    def hospital_update(self, at: AtHospital) -> tuple[Update, int]:
        """Hospital half: the mean change of ordinary training, clipped, of weight 1."""
        update, steps = at.own_update()
        clip_norm = at.clip_norm or self.clip_norm
        change = update.vectors[0].astype(np.float64) / update.weight
        is_below = float(np.linalg.norm(change)) <= clip_norm
        told = {BELOW: Mean.of([float(is_below)])} if self.adaptive else {}
        return Update((clipped(change, clip_norm),), 1.0, told), steps

    def asked_clip_norm(self, kept: ServerState) -> float:
        """What hospitals clip to in the next round."""
        return float(kept[CLIP_NORM][0]) if CLIP_NORM in kept else self.clip_norm

    def release(self, total: Update, kept: ServerState, at: AtServer) -> tuple[Update, ServerState]:
        """Server half: the noisy sum, and the next clip norm. total.weight: the number of hospitals in it."""
        clip_norm = self.asked_clip_norm(kept)
        deviation = self.sum_noise(at.facts) * (clip_norm + at.rounding)
        vectors = tuple(add_gaussian(np.asarray(vector, np.float64), deviation, at.noise) for vector in total.vectors)
        noisy = replace(total, vectors=vectors, statistics={})
        if not self.adaptive:
            return noisy, {}
        count = _below(total.statistics) - total.weight / 2
        count += float(at.noise.gaussian(1, self.count_noise(at.facts))[0])
        share = count / total.weight + 0.5
        return noisy, {CLIP_NORM: np.array([self.next_clip_norm(clip_norm, share)])}


def _below(statistics: Statistics) -> float:
    mean = statistics.get(BELOW)
    return mean.value * mean.weight if mean is not None and mean.weight_units else 0.0


mechanism: type[Mechanism] = HospitalLevel
