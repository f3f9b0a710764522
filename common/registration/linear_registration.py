"""Linear registration: from coarse to fine, and from few degrees of freedom to more, from several starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from common.geometry import Geometry
from common.registration.families import Family, LinearMotion
from common.registration.information import MutualInformation, NormalisedMutualInformation
from common.registration.linear import KINDS, Linear, LinearFamily
from common.registration.local_correlation import LocalCorrelation
from common.registration.objective import Objective, Pair, Sample, random_sample, whole_sample
from common.registration.optimisers import Found, Optimiser
from common.registration.record import Stage
from common.registration.similarity import (
    CorrelationCoefficient,
    Similarity,
    SumOfAbsoluteDifferences,
    SumOfSquaredDifferences,
)
from common.registration.starts import candidates

FEWEST_POINTS = 1500
FINEST_SIGMA_VOXELS = 0.6
"""What the finest level is smoothed by, as the coarser ones are: between voxels an image is read as a mean of them,
which has less noise, and a search would follow the noise. Not where intensities are related by a curve: the mean
of two tissues is no tissue, and has no counterpart in the other image."""
SMOOTHED = (SumOfSquaredDifferences, SumOfAbsoluteDifferences, CorrelationCoefficient, LocalCorrelation)
REFINED = (MutualInformation, NormalisedMutualInformation)
FINER = 2
"""How many times as fine the finest level's lattice is made by cubic splines where an entropy is taken: read linearly
between voxels, an image is a mean of tissues that the other image's mean does not match."""
FINER_BINS = 3
"""How many times as many bins there are then: wide windows pull the optimum away as a blur does."""
POINTS_FOR_FINER_BINS = 20_000
"""Fewer would leave too few in each bin."""
STARTS_TO_FOLLOW = 3
"""Searches begun from the best of all starts, and one more for every three of them; the lowest cost wins."""


@dataclass(frozen=True)
class Search:
    """How to search. points: how many places the cost is taken at; starts: how many rotations to begin from."""

    similarity: Similarity
    optimiser: Optimiser
    points: int
    starts: int
    rng: np.random.Generator

    def draw(self, pair: Pair) -> Sample:
        """Points for this similarity."""
        if self.similarity.needs_lattice:
            return whole_sample(pair)
        count = min(self.points, max(FEWEST_POINTS, pair.fixed.values.size))
        return random_sample(pair, count, self.rng)

    def climb(self, pair: Pair, family: Family) -> Found:
        """The best parameters of a family."""
        ways = self._ways(pair, family)

        def cost(parameters: Tensor) -> Tensor:
            if self.optimiser.stochastic:
                for way in ways:
                    way.use(self.draw(way.pair))
            return torch.stack([way(parameters) for way in ways]).mean()

        return self.optimiser.minimise(cost, family.parameters)

    def _ways(self, pair: Pair, family: Family) -> list[Objective]:
        ways = [Objective(pair, family.mapped, family.penalty, self.similarity, self.draw(pair))]
        if self.similarity.both_ways and family.mapped_back(torch.zeros(1, 1)) is not None:
            back = pair.swapped()
            ways.append(Objective(back, family.mapped_back, family.penalty, self.similarity, self.draw(back)))
        return ways


def register_linear(
    pyramid: Sequence[Pair], kind: str, search: Search, start: Linear | None
) -> tuple[Linear, list[Stage]]:
    """The transform and one record a stage. pyramid: coarsest first; start: none to look for one.

    The coarsest level is searched rigidly first, then by similarity, then by affine as far as `kind` allows, the
    finer ones by `kind` alone.
    """
    stages: list[Stage] = []
    levels = _levels(pyramid, search)
    kinds = KINDS[: KINDS.index(kind) + 1]
    here = start
    if here is None:
        here, stage = _best_start(levels[0], search)
        stages.append(stage)
        kinds = kinds[1:]
    for level, pair in enumerate(levels):
        for freedom in kinds if level == 0 else (kind,):
            here, stage = _stage(pair, freedom, search, here)
            stages.append(stage)
    if _worth_refining(pyramid[-1], search):
        here, stage = _stage(pyramid[-1].refined(FINER), kind, _finer(search), here)
        stages.append(stage)
    return here, stages


def _worth_refining(finest: Pair, search: Search) -> bool:
    """In 3D, where the similarity is an entropy and there are places enough; a slice takes half as long again."""
    solid = finest.fixed.geometry.dimensions == 3
    chosen = finest.fixed.values.size if finest.fixed_mask is None else int(finest.fixed_mask.values.sum())
    return solid and isinstance(search.similarity, REFINED) and min(chosen, search.points) >= POINTS_FOR_FINER_BINS


def _finer(search: Search) -> Search:
    assert isinstance(search.similarity, REFINED)
    return replace(search, similarity=replace(search.similarity, bins=FINER_BINS * search.similarity.bins))


def _levels(pyramid: Sequence[Pair], search: Search) -> list[Pair]:
    """Without the finest where it is to be refined anyway."""
    *coarser, finest = pyramid
    if coarser and _worth_refining(finest, search):
        return coarser
    return [*coarser, finest.smoothed(FINEST_SIGMA_VOXELS) if isinstance(search.similarity, SMOOTHED) else finest]


def _best_start(pair: Pair, search: Search) -> tuple[Linear, Stage]:
    began = perf_counter()
    sample = search.draw(pair)

    def cost(start: Linear) -> float:
        with torch.no_grad():
            family = _family("rigid", pair.fixed.geometry, start)
            once = Objective(pair, family.mapped, family.penalty, search.similarity, sample)
            return float(once(family.parameters))

    ranked = sorted(candidates(pair, search.starts, search.rng), key=cost)
    followed = [_stage(pair, "rigid", search, start) for start in ranked[: STARTS_TO_FOLLOW + search.starts // 3]]
    best, stage = min(followed, key=lambda pair: min(pair[1].costs))
    return best, replace(stage, seconds=perf_counter() - began)


def _stage(pair: Pair, kind: str, search: Search, start: Linear) -> tuple[Linear, Stage]:
    began = perf_counter()
    family = _family(kind, pair.fixed.geometry, start)
    found = search.climb(pair, family)
    with torch.no_grad():
        transform = family.family.at(found.parameters)
    return transform, Stage(kind, pair.fixed.geometry.shape, found.costs, perf_counter() - began)


def _family(kind: str, geometry: Geometry, start: Linear) -> LinearMotion:
    return LinearMotion(LinearFamily(kind, torch.tensor(geometry.centre_mm), radius_mm(geometry), start))


def radius_mm(geometry: Geometry) -> float:
    """Root mean square distance of the image's points to its middle."""
    lengths = np.array(geometry.shape) * geometry.spacing_mm
    return float(np.sqrt((lengths**2).sum() / 12))
