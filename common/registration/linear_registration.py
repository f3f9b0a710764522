"""Linear registration: from coarse to fine, and from few degrees of freedom to more, from several starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from common.data.geometry import Geometry
from common.registration.families import Family, LinearMotion, Mapping
from common.registration.information import CorrelationRatio, MutualInformation, NormalisedMutualInformation
from common.registration.linear import KINDS, Linear, LinearFamily
from common.registration.local_correlation import LocalCorrelation
from common.registration.objective import Objective, Pair, Sample, random_sample, whole_sample
from common.registration.optimisers import Found, Lbfgs, Optimiser
from common.registration.record import Stage
from common.registration.relation import follows_lines, left_by_line
from common.registration.second_look import rivals
from common.registration.similarity import (
    CorrelationCoefficient,
    Similarity,
    SumOfAbsoluteDifferences,
    SumOfSquaredDifferences,
)
from common.registration.starts import ROTATIONS_OF_A_CUBE, candidates, mass_mm, rotations
from common.registration.transform import Transform
from common.registration.working_levels import coarser_pair

FEWEST_POINTS = 1500
FINEST_SIGMA_VOXELS = 1.0
"""What the finest level is smoothed by, as the coarser ones are: between voxels an image is read as a mean of them,
which has less noise, and a search would follow the noise. Not where intensities are related by a curve: the mean
of two tissues is no tissue, and has no counterpart in the other image."""
SMOOTHED = (SumOfSquaredDifferences, SumOfAbsoluteDifferences, CorrelationCoefficient, LocalCorrelation)
ENTROPIES = (MutualInformation, NormalisedMutualInformation)
FINER = 2
"""How many times as fine the finest level's lattice is made by cubic splines for the last search: read linearly
between voxels, an image is a mean of tissues that the other image's mean does not match, and is blurred by more the
further a place lies from a voxel."""
FINER_BINS = 3
"""How many times as many bins there are then: wide windows pull the optimum away as a blur does."""
FINER_POINTS, FINER_POINTS_OF_ENTROPIES = 4, 2
POINTS_FOR_FINER = 20_000
"""Fewer would leave too few in each bin, and take no longer by all voxels of a small image."""
MOST_FINER, MOST_FINER_OF_LINES = 8_000_000, 900_000
"""Voxels of the finest level, beyond which nobody has the memory, or places enough lie near voxels anyway."""
NOISY = 0.03
"""Share of the variance that a line leaves: from it on, noise loses more than reading between voxels does."""
FINELY = 1e-9
"""Relative change of the cost at which the last search of a line stops; costs of others are not as smooth."""
MOST_OF_LATTICE = 250_000
"""Voxels of a similarity that needs all of them: an affine transform has 6 or 12 numbers to be found."""
POINTS_FOR_A_LOOK = 1500
CLOSE = 0.25
"""Share of the lowest cost by which another may lie above it and still be asked about."""
MOST_UNLIKE = 3
BRISK = Lbfgs(iterations=10, relative_change=1e-4)
Judge = Callable[[Linear], float]
Followed = tuple[Linear, Linear, Stage]
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
        ways, two = [], self.similarity.both_ways and family.mapped_back(torch.zeros(1, 1)) is not None
        for channel in pair.channels:
            ways.append(Objective(channel, family.mapped, family.penalty, self.similarity, self.draw(channel)))
            if two:
                back = channel.swapped()
                ways.append(Objective(back, family.mapped_back, family.penalty, self.similarity, self.draw(back)))
        return ways


def register_linear(
    pyramid: Sequence[Pair],
    kind: str,
    search: Search,
    start: Linear | None,
    judge: Judge | None = None,
    *,
    first: int = 0,
    end: int | None = None,
) -> tuple[Linear, list[Stage]]:
    """The transform and one record a stage. pyramid: coarsest first; start: none to look for one.

    The coarsest level is searched rigidly first, then by similarity, then by affine as far as `kind` allows, the
    finer ones by `kind` alone. judge: chooses, the highest, among starts that end far apart at about the same cost;
    by default the cost does. first, end: of the levels to search.
    """
    stages: list[Stage] = []
    levels = _levels(pyramid, search)[first:end]
    kinds = KINDS[: KINDS.index(kind) + 1] if first == 0 else (kind,)
    here = start
    if here is None:
        here, stage = _best_start(levels[0], search, judge)
        stages.append(stage)
        kinds = kinds[1:]
    refined = end is None and _is_refined(pyramid[-1], search)
    for level, pair in enumerate(levels):
        last = end is None and not refined and level == len(levels) - 1
        for freedom in kinds if level == 0 else (kind,):
            here, stage = _stage(pair, freedom, _fine(search) if last else search, here)
            stages.append(stage)
    if refined:
        here, stage = _stage(*_refined(pyramid[-1], search, here, kind), here)
        stages.append(stage)
    return here, stages


def _is_refined(finest: Pair, search: Search) -> bool:
    """Where there are places enough, and few enough voxels."""
    kind = follows_lines(search.similarity) or isinstance(search.similarity, ENTROPIES)
    chosen = finest.fixed.values.size if finest.fixed_mask is None else int(finest.fixed_mask.values.sum())
    return kind and min(chosen, search.points) >= POINTS_FOR_FINER and _largest(finest) <= MOST_FINER


def _largest(pair: Pair) -> int:
    return max(pair.fixed.values.size, pair.moving.values.size)


def _refined(finest: Pair, search: Search, here: Linear, kind: str) -> tuple[Pair, str, Search]:
    """What the last search takes: for a line smoothed as little as the noise allows."""
    if isinstance(search.similarity, ENTROPIES):
        similarity = replace(search.similarity, bins=FINER_BINS * search.similarity.bins)
        finer = replace(search, similarity=similarity, points=FINER_POINTS_OF_ENTROPIES * search.points)
        return finest.refined(FINER), kind, finer
    finer = replace(_fine(search), points=FINER_POINTS * search.points)
    pays = _largest(finest) <= MOST_FINER_OF_LINES and left_by_line(finest, here) < NOISY
    return (finest.refined(FINER) if pays else finest).smoothed(FINEST_SIGMA_VOXELS), kind, finer


def _fine(search: Search) -> Search:
    if search.optimiser != Lbfgs() or not follows_lines(search.similarity):
        return search
    return replace(search, optimiser=Lbfgs(relative_change=FINELY))


def _levels(pyramid: Sequence[Pair], search: Search) -> list[Pair]:
    """Without the finest where it is to be refined anyway; those of windows and structures no finer than is cheap."""
    if search.similarity.needs_lattice:
        pyramid = _few_enough(pyramid)
    *coarser, finest = pyramid
    if coarser and _is_refined(finest, search):
        return coarser
    return [*coarser, finest.smoothed(FINEST_SIGMA_VOXELS) if isinstance(search.similarity, SMOOTHED) else finest]


def _few_enough(pyramid: Sequence[Pair]) -> list[Pair]:
    """Levels of more voxels than MOST_OF_LATTICE made so coarse, or the level before where that is hardly coarser."""
    levels: list[Pair] = []
    for pair in pyramid:
        size, axes = pair.fixed.values.size, sum(length > 1 for length in pair.fixed.geometry.shape)
        if size <= MOST_OF_LATTICE:
            levels.append(pair)
        elif levels and levels[-1].fixed.values.size > MOST_OF_LATTICE / 2:
            levels.append(levels[-1])
        else:
            levels.append(coarser_pair(pair, (size / MOST_OF_LATTICE) ** (1 / axes)))
    return levels


def _best_start(pair: Pair, search: Search, judge: Judge | None) -> tuple[Linear, Stage]:
    began = perf_counter()
    sample = search.draw(pair)
    ranked = sorted(candidates(pair, search.starts, search.rng), key=_cost_of_places(pair, search.similarity, sample))
    followed = _followed(pair, search, ranked[: STARTS_TO_FOLLOW + search.starts // 3])
    start, best, _ = _lowest(followed)
    followed += _followed(pair, search, _overlooked(pair, search, sample, start, best))
    best, stage = rigid_search(pair, search, _chosen(pair, followed, judge)[1])
    return best, replace(stage, seconds=perf_counter() - began)


def rigid_search(pair: Pair, search: Search, start: Linear) -> tuple[Linear, Stage]:
    """From one start, on one level."""
    return _stage(pair, "rigid", search, start)


def _followed(pair: Pair, search: Search, starts: Sequence[Linear]) -> list[Followed]:
    """Start, end and record of a short rigid search from each: far enough to tell one valley from another."""
    brisk = replace(search, optimiser=BRISK) if search.optimiser == Lbfgs() else search
    return [(start, *rigid_search(pair, brisk, start)) for start in starts]


def _lowest(followed: Sequence[Followed]) -> Followed:
    return min(followed, key=_cost)


def _cost(followed: Followed) -> float:
    return min(followed[2].costs)


def _chosen(pair: Pair, followed: Sequence[Followed], judge: Judge | None) -> Followed:
    """The lowest, or which of the low ones far apart most parts of the images agree with."""
    best, *others = sorted(followed, key=_cost)
    unlike = [best]
    for other in others:
        close = _cost(other) - _cost(best) <= CLOSE * abs(_cost(best))
        if close and len(unlike) < MOST_UNLIKE and all(_apart(pair, other, one) for one in unlike):
            unlike.append(other)
    if judge is None or len(unlike) == 1:
        return best
    return max(unlike, key=lambda one: judge(one[1]))


def _apart(pair: Pair, one: Followed, other: Followed) -> bool:
    """By a fifth of the image's radius at its corners."""
    return corners_apart_mm(pair.fixed.geometry, one[1], other[1]) > radius_mm(pair.fixed.geometry) / 5


def corners_apart_mm(geometry: Geometry, one: Transform, other: Transform) -> float:
    """Mean distance of where two transforms take the corners of a lattice."""
    ends = np.stack(np.meshgrid(*([0.0, size - 1.0] for size in geometry.shape)), axis=-1)
    corners = torch.from_numpy(geometry.voxel_to_world(ends.reshape(-1, geometry.dimensions)))
    return float((one.map_points(corners) - other.map_points(corners)).norm(dim=-1).mean())


def _cost_of_places(pair: Pair, similarity: Similarity, sample: Sample) -> Callable[[Linear], float]:
    """The cost of a transform as it is, without a search."""

    def mapped(points: Tensor) -> Mapping:
        return lambda flat: Linear(flat.reshape(size, size)).map_points(points)

    size = pair.fixed.geometry.dimensions + 1
    once = Objective(pair, mapped, lambda flat: flat.new_zeros(()), similarity, sample)

    def cost(place: Linear) -> float:
        with torch.no_grad():
            return float(once(place.matrix.reshape(-1)))

    return cost


def _overlooked(pair: Pair, search: Search, sample: Sample, start: Linear, found: Linear) -> list[Linear]:
    """Places about as good as what was found before any search: see second_look.

    Entropies fall steeply and late, and windows need a lattice: the correlation ratio stands for them, whose valleys
    are wider.
    """
    step = max(1, len(sample.points) // POINTS_FOR_A_LOOK)
    some = Sample(sample.points[::step], sample.values[::step], sample.weight[::step], None)
    narrow = search.similarity.needs_lattice or isinstance(search.similarity, ENTROPIES)
    similarity = CorrelationRatio() if narrow else search.similarity
    turns = rotations(pair.fixed.geometry.dimensions, ROTATIONS_OF_A_CUBE, search.rng)[1:]
    return rivals(_cost_of_places(pair, similarity, some), start, found, mass_mm(pair.fixed), turns)


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
