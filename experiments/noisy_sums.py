"""What was sent with noise, and the same without it: values that a test of the noise works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NoisySum:
    """One noisy sum, beside the same sum made again by other code and without noise.

    sites: whose parts are in it; the server's own noise is on the sum of all. step: of a round, from 0. released,
    without: (P,). deviation: the standard deviation that was claimed of the noise in every coordinate.
    """

    round: int
    sites: tuple[SiteId, ...]
    step: int
    released: Floats
    without: Floats
    deviation: float

    @property
    def noise(self) -> Floats:
        """(P,) what is left beside the sum, in claimed standard deviations: independent normal draws, as claimed."""
        return (self.released - self.without) / self.deviation


@dataclass(frozen=True)
class Sample:
    """Which units a step took, as numbers of cases: those that the claimed draws give, and those that it did take.

    units: how many there were to choose from. rate: the claimed chance of each.
    """

    round: int
    site: SiteId
    claimed: tuple[int, ...]
    taken: tuple[int, ...]
    units: int
    rate: float


@dataclass(frozen=True)
class SentNoise:
    """Evidence on a run's noise.

    blocks: where each layer stands in a sum, by name. samples: of steps that drew any. steps: claimed and made noisy
    sums, by round and hospital. off: by how much a sent update differs at most from what the hospital's own code
    computes again, in deviations of its noise; of what was read directly, 0. loudest: the most that one unit's data,
    made as loud as can be, adds to a sum, over what was claimed. reason: why there is nothing to test, else "".
    direct: whether the noise was read off what was sent, with no step of the hospital's code in between.
    """

    sums: tuple[NoisySum, ...] = ()
    blocks: Mapping[str, slice] = field(default_factory=dict)
    samples: Sequence[Sample] = ()
    steps: Mapping[tuple[int, SiteId], tuple[int, int]] = field(default_factory=dict)
    off: float = 0.0
    loudest: float | None = None
    reason: str = ""
    direct: bool = False


class Recomputed(Protocol):
    """What hospitals sent, made again from their own data; in simulation alone."""

    def sent_noise(self, seconds: float, rng: np.random.Generator) -> SentNoise:
        """As much evidence as there is time for, at the least some. rng: of what is planted, for another run."""
        ...


@dataclass(frozen=True)
class NoiseTests:
    """What tests of the noise came to. chances: by what is tested, in words: how often claimed noise is as odd as
    what was found, 0 where it never is. level: of all tests together, at which they speak.

    deviation: of the noise found, over the claimed. resolves: how far below 1 that must be to be found in nine of
    ten cases, as a share.
    """

    chances: Mapping[str, float]
    level: float
    deviation: float
    resolves: float

    @property
    def failed(self) -> tuple[str, ...]:
        """What is not as claimed, the oddest first (Bonferroni)."""
        limit = self.level / max(len(self.chances), 1)
        return tuple(sorted((name for name, chance in self.chances.items() if chance < limit), key=self.chances.get))  # type: ignore[arg-type]
