"""What one hospital's maps show in a place where the other hospitals' do not: a mark that a model reads there.

For every hospital, class and block there is an interval for the mean share of a map, all of them together right with
a chance of `LEVEL`. A finding is a block whose interval begins so many times above where those of the other hospitals
end, by the median of these, so that as many as half of the others may have the mark as well. So many times: `TIMES`,
or `DEVIATIONS` of how much hospitals differ anyway, where that is more. Patients and scanners differ, and maps with
them; how much is read off all blocks together, of which a mark changes few, by the median deviation of logarithms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.asking.exact_sums import Total

LEVEL, TIMES = 0.95, 1.5
DEVIATIONS = 4.0
ORDINARY = 0.25
"""Of an even share: blocks that hold less than this are left out where hospitals' differences are measured."""
NORMAL = 1.4826
"""Of a normal distribution, its standard deviation by its median absolute deviation."""
FEWEST_OTHERS = 2
"""Hospitals with cases of a class, beside the one that is compared with them."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Maps:
    """cases: (hospitals, classes). mean, half: (hospitals, classes, blocks) mean share, and half of its interval; NaN
    where cases are fewer than `least`.
    """

    cases: NDArray[np.int64]
    mean: Values
    half: Values

    @classmethod
    def of(cls, total: Total, least: int) -> Maps:
        """From sums, with whatever noise they have."""
        from scipy import stats

        cases = np.maximum(total.count("cases"), 0)
        n = np.where(cases >= max(least, 2), cases, np.nan)[..., None]
        mean = total["shares"] / n
        spread = np.maximum(total["squares"] / n - mean**2, 0.0) * n / (n - 1)
        chance = (1 - LEVEL) / (2 * mean.size)
        doubt = np.sqrt(spread / n + total.noise_variance("shares") / n**2)
        return cls(cases, mean, stats.t.isf(chance, n - 1) * doubt)

    @property
    def low(self) -> Values:
        """Where the intervals begin."""
        return np.maximum(self.mean - self.half, 0.0)

    @property
    def high(self) -> Values:
        """Where they end."""
        return np.minimum(self.mean + self.half, 1.0)

    def others(self, hospital: int, of: Values) -> Values:
        """(classes, blocks) the median over all hospitals but one; NaN where fewer than FEWEST_OTHERS are known."""
        rest = np.delete(of, hospital, axis=0)
        known = np.isfinite(rest).sum(axis=0)
        ordered = np.sort(rest, axis=0)
        upper = np.minimum(known // 2, len(rest) - 1)
        middle = np.take_along_axis(ordered, upper[None], axis=0)[0]
        return np.where(known >= FEWEST_OTHERS, middle, np.nan)

    def times(self, hospital: int) -> Values:
        """(classes, 1) how many times above the others' a share must lie at a hospital."""
        rest = np.delete(self.mean, hospital, axis=0)
        middle = self.others(hospital, self.mean)
        ordinary = (middle >= ORDINARY / middle.shape[-1]) & (rest > 0)
        ratios = np.abs(np.log(np.divide(rest, middle, out=np.full_like(rest, np.nan), where=ordinary)))
        by_class = np.moveaxis(ratios, 1, 0).reshape(rest.shape[1], -1)
        deviation = [float(np.nanmedian(one)) if np.isfinite(one).any() else np.nan for one in by_class]
        # One of the others is their median itself, and its ratio is 1: the others' deviation is larger by so much.
        many = len(rest)
        differs = NORMAL * np.array(deviation) * many / max(many - 1, 1)
        return np.asarray(np.maximum(TIMES, np.exp(DEVIATIONS * differs))[:, None], np.float64)

    def limit(self, hospital: int) -> Values:
        """(classes, blocks) the least mean share at a hospital that would have been found there."""
        return np.asarray(self.times(hospital) * self.others(hospital, self.high) + self.half[hospital], np.float64)


@dataclass(frozen=True)
class Found:
    """A place where a hospital's maps of a class hold more than the other hospitals'. All by number, not by name.

    share, low: of the maps there, and where its interval begins. others: of the median of the other hospitals.
    needed: above which `low` is a finding. excess: of the share over the others', in units of the largest such
    difference of any other hospital.
    """

    hospital: int
    label: int
    block: int
    share: float
    low: float
    others: float
    needed: float
    excess: float


def findings(maps: Maps, most: int) -> tuple[Found, ...]:
    """The surest first, one a hospital and class at most: blocks beside the place of a mark are of the same mark."""
    return tuple(one for one in _candidates(maps) if one.low > one.needed)[:most]


def strongest(maps: Maps) -> Found | None:
    """The likeliest place of a mark, whether or not it is a finding; None where nothing can be compared."""
    return next(iter(_candidates(maps)), None)


def _candidates(maps: Maps) -> list[Found]:
    """Of every hospital and class the block that lies highest above what is needed, the surest first."""
    hospitals = range(len(maps.mean))
    over = np.stack([maps.mean[one] - maps.others(one, maps.mean) for one in hospitals])
    found = []
    for hospital in hospitals:
        others, needed = maps.others(hospital, maps.mean), maps.times(hospital) * maps.others(hospital, maps.high)
        margins = maps.low[hospital] - needed
        for label in np.flatnonzero(np.isfinite(margins).any(axis=1)).tolist():
            block = int(np.nanargmax(margins[label]))
            largest = float(np.nanmax(np.delete(over[:, label], hospital, axis=0), initial=0.0))
            share, low = float(maps.mean[hospital, label, block]), float(maps.low[hospital, label, block])
            excess = float(over[hospital, label, block]) / largest if largest > 0 else float("inf")
            other, least = float(others[label, block]), float(needed[label, block])
            found.append(Found(hospital, label, block, share, low, other, least, excess))
    return sorted(found, key=lambda one: one.needed - one.low)


def place_words(block: int, side: int, axes: int) -> str:
    """Where a block is, counted from 1 from the first row and column."""
    cells = [int(one) + 1 for one in np.unravel_index(block, (side,) * axes)]
    names: Sequence[str] = ("row", "column") if axes == 2 else ("slice", "row", "column")[-axes:]
    return ", ".join(f"{name} {cell} of {side}" for name, cell in zip(names, cells, strict=True))
