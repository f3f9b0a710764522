"""Epsilon from first principles: an oracle in NumPy and SciPy alone, which brackets the truth.

One noisy sum shows one of two distributions, P or Q. Two pairs of distributions whose privacy loss ln(P / Q) lies on
a grid of whole multiples of a width bracket (P, Q):

*below*: which cell an output lies in, and nothing else. That is a function of the output, so it tells no more. A
cell's loss is ln(its P / its Q), taken a hair too low to lie on the grid.
*above*: each cell's P and Q shared out between two points of the grid, below and above all losses in the cell, so
that neither sum changes. Whoever sees the point can draw an output of the cell's distribution: it tells no less.

Steps are composed by multiplying Fourier transforms. What wraps round is bounded by Chernoff's inequality and counted
as lost to delta above and as gained below, and so is ALLOWANCE for rounding in sums of a million chances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, comb, exp, floor, inf, log

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

Floats = NDArray[np.float64]
Mixture = Sequence[tuple[float, float]]
"""Centres of normal distributions of one deviation, with the chance of each."""

NOTHING: Mixture = ((0.0, 1.0),)
ALLOWANCE = 1e-9
FARTHEST = 8.5
PLACES = 50_001
POINTS_A_DEVIATION, POINTS_OF_A_STEP, MOST_POINTS, LATTICE_POINTS = 120, 5_000, 300_000, 100_000


@dataclass(frozen=True)
class Grid:
    """Chances of whole multiples first, first + 1, ... of a loss of `width`; beyond: of a loss of infinity."""

    width: float
    first: int
    chances: Floats
    beyond: float
    offset: float = 0.0


@dataclass(frozen=True)
class Cells:
    """(N,) each: chances of P and of Q of an output in each cell, and the least and largest loss there.

    p_above, p_below: chance of P beyond all cells, where losses are larger or smaller than in any.
    """

    width: float
    p: Floats
    q: Floats
    least: Floats
    largest: Floats
    p_above: float
    p_below: float

    def above(self) -> Grid:
        low, high = np.floor(self.least / self.width), np.ceil(self.largest / self.width)
        high = np.maximum(high, low + 1)
        with np.errstate(over="ignore", invalid="ignore"):
            upper = (self.p - self.q * np.exp(low * self.width)) / -np.expm1((low - high) * self.width)
        upper = np.clip(upper, 0.0, self.p)
        first = int(low.min())
        chances = np.bincount((high - first).astype(int), upper)
        lower = np.bincount((low - first).astype(int), self.p - upper)
        chances[: len(lower)] += lower
        chances[0] += self.p_below
        return Grid(self.width, first, chances, self.p_above)

    def below(self) -> Grid:
        """Of all offsets of the grid the one that costs least."""
        cell = np.floor(0.5 * (self.least + self.largest) / self.width).astype(int)
        p, q = (np.bincount(cell - cell.min(), each) for each in (self.p, self.q))
        seen = (p > 1e-15) & (q > 0)
        chances, losses = p[seen], np.log(p[seen] / q[seen]) / self.width
        likely = chances > 1e-7
        bulk, lost = chances[likely], losses[likely]
        offset = max(np.linspace(0.0, 1.0, 2001), key=lambda one: float(bulk @ np.floor(lost - one)) + one)
        places = np.floor(losses - offset).astype(int)
        first = int(places.min())
        return Grid(self.width, first, np.bincount(places - first, chances), 0.0, float(offset))


def subsampled(rate: float, units: int = 1) -> Mixture:
    """How far `units` that are each in the sample with chance `rate` move the sum, each by 1."""
    return [(float(i), comb(units, i) * rate**i * (1 - rate) ** (units - i)) for i in range(units + 1)]


def normal_cells(p: Mixture, q: Mixture, deviation: float, steps: int, width: float = 0.0) -> Cells:
    """No centre of Q above one of P, so that losses grow. width: 0: fine enough for so many steps."""
    p, q = ([(centre, chance) for centre, chance in each if chance > 0] for each in (p, q))
    low = min(centre for centre, _ in q) - FARTHEST * deviation
    high = max(centre for centre, _ in p) + FARTHEST * deviation
    coarse = np.linspace(low, high, PLACES)
    at_coarse = _loss(p, q, coarse, deviation)
    width = width or _width(_chance_between(p, coarse, deviation), at_coarse[1:], steps)
    on_grid = np.arange(floor(at_coarse[0] / width) + 1, ceil(at_coarse[-1] / width)) * width
    places = np.union1d(coarse, np.interp(on_grid, at_coarse, coarse))
    losses = np.maximum.accumulate(_loss(p, q, places, deviation))
    p_mass, q_mass = (_chance_between(each, places, deviation) for each in (p, q))
    p_above, p_below = (
        float(sum(chance * ndtr(side * (place - centre) / deviation) for centre, chance in p))
        for place, side in ((high, -1), (low, 1))
    )
    return Cells(width, p_mass, q_mass, losses[:-1], losses[1:], p_above, p_below)


def lattice_cells(p: Floats, q: Floats) -> Cells:
    """P and Q: chances of the same whole numbers, one by one."""
    both = (p > 0) & (q > 0)
    losses = np.log(p[both] / q[both])
    return Cells(float(np.ptp(losses)) / LATTICE_POINTS, p[both], q[both], losses, losses, float(p[~both].sum()), 0.0)


def _width(chances: Floats, losses: Floats, steps: int) -> float:
    mean = chances @ losses / chances.sum()
    deviation = float(np.sqrt(chances @ (losses - mean) ** 2))
    return max(deviation / max(POINTS_A_DEVIATION, POINTS_OF_A_STEP / steps), float(np.ptp(losses)) / MOST_POINTS)


def discrete_gaussian(sigma: float, farthest: int) -> Floats:
    """Chances of -farthest, ..., farthest, proportional to exp(-k^2 / (2 sigma^2))."""
    whole = np.arange(-farthest, farthest + 1)
    chances: Floats = np.exp(-0.5 * (whole / sigma) ** 2)
    return chances / chances.sum()


def bracket(directions: Sequence[Sequence[tuple[Cells, int]]], delta: float) -> tuple[float, float]:
    """Epsilon at delta, from below and from above. directions: cells and steps, of adding and of removing."""
    below = [_epsilon([(cells.below(), steps) for cells, steps in one], delta, -1) for one in directions]
    above = [_epsilon([(cells.above(), steps) for cells, steps in one], delta, +1) for one in directions]
    return max(below), max(above)


def one_normal(distance: float, epsilon: float) -> float:
    """Balle and Wang 2018, theorem 8: delta where normal distributions of deviation 1 lie so far apart."""
    return float(ndtr(distance / 2 - epsilon / distance) - exp(epsilon) * ndtr(-distance / 2 - epsilon / distance))


def epsilon_of_one_normal(distance: float, delta: float) -> float:
    return float(brentq(lambda epsilon: one_normal(distance, epsilon) - delta, 0.0, 500.0, xtol=1e-12))


def _epsilon(grids: Sequence[tuple[Grid, int]], delta: float, sign: int) -> float:
    losses, chances, beyond = _composed(grids, sign)

    def excess(epsilon: float) -> float:
        over = losses > epsilon
        return beyond - delta + float(chances[over] @ -np.expm1(epsilon - losses[over]))

    if excess(0.0) <= 0:
        return 0.0
    highest = float(losses[-1]) + 1.0
    return inf if excess(highest) > 0 else float(brentq(excess, 0.0, highest, xtol=1e-9))


def _composed(grids: Sequence[tuple[Grid, int]], sign: int) -> tuple[Floats, Floats, float]:
    (width,) = {grid.width for grid, _ in grids}
    moments = [(_moments(grid), steps) for grid, steps in grids]
    mean = sum(steps * each[0] for each, steps in moments)
    spread = sum(steps * each[1] for each, steps in moments) ** 0.5
    longest = max(len(grid.chances) for grid, _ in grids)
    size = 1 << ceil(np.log2(24 * spread + 2 * longest))
    start = floor(mean - size / 2)
    spectrum = np.ones(size // 2 + 1, np.complex128)
    for grid, steps in grids:
        spectrum *= np.fft.rfft(grid.chances, size) ** steps
    base = sum(grid.first * steps for grid, steps in grids)
    chances = np.maximum(np.roll(np.fft.irfft(spectrum, size), (base - start) % size), 0.0)
    offset = sum(grid.offset * steps for grid, steps in grids)
    losses = (start + np.arange(size) + offset) * width
    outside = sum(_tail(grids, edge, way, spread) for edge, way in ((start, -1), (start + size, 1)))
    beyond = -sum(steps * np.log1p(-grid.beyond) for grid, steps in grids)
    return losses, chances, float(beyond + sign * (outside + ALLOWANCE))


def _moments(grid: Grid) -> tuple[float, float]:
    places = grid.first + np.arange(len(grid.chances))
    whole = grid.chances.sum()
    mean = float(grid.chances @ places / whole)
    return mean, float(grid.chances @ (places - mean) ** 2 / whole)


def _tail(grids: Sequence[tuple[Grid, int]], edge: float, way: int, spread: float) -> float:
    """Chernoff's bound of the chance that the sum of losses lies beyond the edge."""
    found = 1.0
    width = grids[0][0].width
    for strength in (1 / spread, 4 / spread, 12 / spread, width, 3 * width, 10 * width):
        turn = way * strength
        exponent = -turn * edge
        for grid, steps in grids:
            places = grid.first + np.arange(len(grid.chances))
            seen = grid.chances > 0
            exponent += steps * float(_log_sum_exp(np.log(grid.chances[seen]) + turn * places[seen]))
        found = min(found, exp(min(exponent, 0.0)))
    return found


def _loss(p: Mixture, q: Mixture, x: Floats, deviation: float) -> Floats:
    return _log_density(p, x, deviation) - _log_density(q, x, deviation)


def _log_density(mixture: Mixture, x: Floats, deviation: float) -> Floats:
    terms = [log(chance) - 0.5 * ((x - centre) / deviation) ** 2 for centre, chance in mixture]
    return np.asarray(np.logaddexp.reduce(np.array(terms), axis=0))


def _chance_between(mixture: Mixture, places: Floats, deviation: float) -> Floats:
    """From each place to the next, by the tail on the side where it is small."""
    found = np.zeros(len(places) - 1)
    for centre, chance in mixture:
        low, high = (places[:-1] - centre) / deviation, (places[1:] - centre) / deviation
        found += chance * np.where(low > 0, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))
    return found


def _log_sum_exp(values: Floats) -> float:
    highest = values.max()
    return float(highest + np.log(np.exp(values - highest).sum()))
