"""Epsilon from first principles: an oracle in NumPy and SciPy alone, which brackets the truth.

One noisy sum shows one of two distributions, P or Q. Their outputs are cut into cells by the privacy loss
ln(P / Q), at whole multiples of a width. Two pairs of distributions on that grid then bracket (P, Q):

*below*: which cell an output lies in, and nothing else. That is a function of the output, so it tells no more. A
cell's loss is ln(its P / its Q), taken a hair too low to lie on the grid again.
*above*: each cell's P and Q shared out between the cell's two edges so that neither sum changes. Whoever sees an edge
can draw an output that has the cell's own distribution, so it tells no less.

Steps are composed by multiplying Fourier transforms. What wraps round is bounded by Chernoff's inequality and counted
as lost to delta above and as gained below, and so are ALLOWANCE for rounding in sums of a million chances.
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
FARTHEST = 9.0
CELLS_A_DEVIATION = 100


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
    """Chances of P and of Q that the loss lies between whole multiples first + j and first + j + 1 of `width`."""

    width: float
    first: int
    p: Floats
    q: Floats
    p_above: float
    p_below: float

    def above(self) -> Grid:
        low = (self.first + np.arange(len(self.p))) * self.width
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            upper = (self.p - self.q * np.exp(low)) / -np.expm1(-self.width)
        upper = np.clip(np.nan_to_num(upper, nan=0.0), 0.0, self.p)
        chances = np.append(self.p - upper, 0.0)
        chances[1:] += upper
        chances[0] += self.p_below
        return Grid(self.width, self.first, chances, self.p_above)

    def below(self) -> Grid:
        """Of all grids' offsets the one that costs least."""
        seen = (self.p > 1e-15) & (self.q > 0)
        chances, losses = self.p[seen], np.log(self.p[seen] / self.q[seen]) / self.width
        offset = max(np.linspace(0.3, 0.6, 601), key=lambda one: float(chances @ np.floor(losses - one)) + one)
        places = np.floor(losses - offset).astype(int)
        first = int(places.min())
        return Grid(self.width, first, np.bincount(places - first, chances), 0.0, float(offset))


def subsampled(rate: float, units: int = 1) -> Mixture:
    """How far `units` that are each in the sample with chance `rate` move the sum, each by 1."""
    return [(float(i), comb(units, i) * rate**i * (1 - rate) ** (units - i)) for i in range(units + 1)]


def normal_cells(p: Mixture, q: Mixture, deviation: float, width: float = 0.0) -> Cells:
    """No centre of Q above one of P. width: 0: a small share of the deviation of the loss."""
    p, q = ([(centre, chance) for centre, chance in each if chance > 0] for each in (p, q))

    def loss(x: Floats) -> Floats:
        return _log_density(p, x, deviation) - _log_density(q, x, deviation)

    low = min(centre for centre, _ in q) - FARTHEST * deviation
    high = max(centre for centre, _ in p) + FARTHEST * deviation
    middle = np.linspace(low, high, 20_001)
    density = np.exp(_log_density(p, middle, deviation))
    density /= density.sum()
    mean = density @ loss(middle)
    width = width or float(np.sqrt(density @ (loss(middle) - mean) ** 2)) / CELLS_A_DEVIATION
    ends = loss(np.array([low, high]))
    first, last = floor(ends[0] / width), ceil(ends[1] / width)
    places = _inverse(loss, np.arange(first, last + 1) * width, low - deviation, high + deviation)
    p_mass, q_mass = (_chance_between(each, places, deviation) for each in (p, q))
    p_above, p_below = (
        sum(chance * ndtr(side * (place - centre) / deviation) for centre, chance in p)
        for place, side in ((places[-1], -1), (places[0], 1))
    )
    return Cells(width, first, p_mass, q_mass, float(p_above), float(p_below))


def lattice_cells(p: Floats, q: Floats, width: float) -> Cells:
    """P and Q: chances of the same whole numbers, one by one."""
    both = (p > 0) & (q > 0)
    place = np.floor(np.log(p[both] / q[both]) / width).astype(int)
    first = int(place.min())
    p_cells, q_cells = (np.bincount(place - first, each[both]) for each in (p, q))
    return Cells(width, first, p_cells, q_cells, float(p[~both].sum()), 0.0)


def discrete_gaussian(sigma: float, farthest: int) -> Floats:
    """Chances of -farthest, ..., farthest, proportional to exp(-k^2 / (2 sigma^2))."""
    whole = np.arange(-farthest, farthest + 1)
    chances: Floats = np.exp(-0.5 * (whole / sigma) ** 2)
    return chances / chances.sum()


def bracket(directions: Sequence[Sequence[tuple[Cells, int]]], delta: float) -> tuple[float, float]:
    """Epsilon at delta from below and from above. directions: of each pair of neighbours, cells and how many steps."""
    below = [_epsilon([(cells.below(), steps) for cells, steps in one], delta, -1) for one in directions]
    above = [_epsilon([(cells.above(), steps) for cells, steps in one], delta, +1) for one in directions]
    return max(below), max(above)


def one_normal(distance: float, epsilon: float) -> float:
    """Balle and Wang 2018, theorem 8: delta where normal distributions of deviation 1 lie so far apart."""
    return float(ndtr(distance / 2 - epsilon / distance) - exp(epsilon) * ndtr(-distance / 2 - epsilon / distance))


def epsilon_of_one_normal(distance: float, delta: float) -> float:
    return float(brentq(lambda epsilon: one_normal(distance, epsilon) - delta, 0.0, 500.0, xtol=1e-12))


def _epsilon(grids: Sequence[tuple[Grid, int]], delta: float, sign: int) -> float:
    """All widths are made the smallest first: a multiple of a coarse width is no multiple of a fine one."""
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
    size = 1 << ceil(np.log2(max(24 * spread, 2 * longest, 1024)))
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
    for strength in (1.0, 2.0, 4.0, 8.0, 12.0):
        turn = way * strength / spread
        exponent = -turn * edge
        for grid, steps in grids:
            places = grid.first + np.arange(len(grid.chances))
            seen = grid.chances > 0
            exponent += steps * float(_log_sum_exp(np.log(grid.chances[seen]) + turn * places[seen]))
        found = min(found, exp(min(exponent, 0.0)))
    return found


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


def _inverse(loss, wanted: Floats, low: float, high: float) -> Floats:  # type: ignore[no-untyped-def]
    """By halving, to the last bits."""
    lows, highs = np.full_like(wanted, low), np.full_like(wanted, high)
    for _ in range(60):
        middle = (lows + highs) / 2
        below = loss(middle) < wanted
        lows, highs = np.where(below, middle, lows), np.where(below, highs, middle)
    return (lows + highs) / 2
