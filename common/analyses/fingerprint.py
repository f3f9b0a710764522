"""What a network that configures itself must know of images: sizes, spacing, brightness, outlines, by histograms."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Total, counts
from common.asking.images import (
    AIR,
    BRIGHTNESS,
    CHANNELS,
    COUNTS,
    FILLED,
    HIGH,
    LOW,
    MOST_AXES,
    OUTLINED,
    SHARES,
    SIDES,
    SMALLEST,
    SPACINGS,
    Grid,
    counted,
    side_name,
    spacing_name,
)
from common.asking.records import Records
from common.errors import AnalysisError
from common.segmentation.self_configuration import Spread, is_uniform, target_spacing
from common.study.checks import between

RESAMPLED = "resampled"
TARGET, CASES, HOUNSFIELD = "target_mm", "cases", "hounsfield"
AIR_HU = (-1100.0, -900.0)
MOST_CHANNELS = 64
QUANTILES = (0.1, 0.5, 0.9, 0.99)
TARGETS = np.array([float(f"{mm:.3g}") for mm in SPACINGS])
"""Spacings that an answer may come to; by others between, bins would be shifted until they told a case's own size."""
CHANNEL_COUNTS = np.arange(1.0, MOST_CHANNELS + 1)


@dataclass(frozen=True)
class FingerprintOfImages:
    """axes: of a training case's image, 2 or 3 where it is a volume.

    Every case adds one to each histogram, whose bins are fixed beforehand. Where spacing differs, a second query asks
    how many voxels cases have at the spacing that they are to be brought to.
    """

    discloses: ClassVar[str] = (
        "How many training cases lie in each bin of size, spacing, brightness within outlines, and size of what is "
        "outlined; no image, and no case's own numbers finer than a bin."
    )
    images: ClassVar[bool] = True
    most_rounds: ClassVar[int] = 2
    without_noise: ClassVar[str] = (
        "noise in each of its thousands of bins would hide what is typical: name the network's settings yourself."
    )

    axes: int = 3

    def __post_init__(self) -> None:
        between("fingerprint", 2, MOST_AXES, axes=self.axes)

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round, and where cases must be resampled another."""
        total = yield Query({CASES: counts(), HOUNSFIELD: counts()} | {n: _part(g) for n, g in self._grids.items()})
        if (cases := int(total.count(CASES))) < 1:
            raise AnalysisError("no hospital has a training case to measure.")
        sides = tuple(_spread(total, side_name(axis), SIDES) for axis in range(self.axes))
        spacing = tuple(_known(total, spacing_name(axis), SPACINGS, cases) for axis in range(self.axes))
        known = tuple(one for one in spacing if one is not None)
        spacing_mm = known if len(known) == self.axes else ()
        resampled: tuple[Spread, ...] = ()
        if spacing_mm and not is_uniform(spacing_mm):
            target = np.array(target_spacing(spacing_mm, sides))
            parts = {side_name(axis): _part(SIDES) for axis in range(self.axes)}
            again = yield Query(parts, {TARGET: target}, RESAMPLED)
            resampled = tuple(_spread(again, side_name(axis), SIDES) for axis in range(self.axes))
        return self._answer(total, cases, sides, spacing_mm, resampled)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Cases by bin."""
        if query.step == RESAMPLED:
            target = np.asarray(query.tells[TARGET], np.float64)
            return {side_name(axis): counted(self._at(records, axis, target), SIDES) for axis in range(self.axes)}
        air = records.numbers(AIR)
        found = {name: counted(records.numbers(name), grid) for name, grid in self._grids.items()}
        is_air = (air >= AIR_HU[0]) & (air <= AIR_HU[1])
        return {CASES: np.array(len(records)), HOUNSFIELD: np.array(int(is_air.sum())), **found}

    @property
    def _grids(self) -> dict[str, Grid]:
        axes = range(self.axes)
        grids = {side_name(axis): SIDES for axis in axes} | {spacing_name(axis): SPACINGS for axis in axes}
        grids |= {LOW: BRIGHTNESS, HIGH: BRIGHTNESS, FILLED: SHARES, OUTLINED: SHARES, SMALLEST: COUNTS}
        return grids | {CHANNELS: CHANNEL_COUNTS}

    def _at(self, records: Records, axis: int, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """Voxels along an axis at the target spacing; NaN where the spacing is not known, or no target."""
        if target.shape != (self.axes,) or not np.isin(target, TARGETS).all():
            return np.full(len(records), np.nan)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(records.numbers(side_name(axis)) * records.numbers(spacing_name(axis)) / target[axis])

    def _answer(
        self,
        total: Total,
        cases: int,
        sides: tuple[Spread, ...],
        spacing_mm: tuple[Spread, ...],
        resampled: tuple[Spread, ...],
    ) -> Answer:
        medians = {
            name: None if (one := _known(total, name, self._grids[name], 1)) is None else one.median
            for name in (LOW, HIGH, FILLED, OUTLINED, SMALLEST, CHANNELS)
        }
        brightness = None if medians[LOW] is None or medians[HIGH] is None else [medians[LOW], medians[HIGH]]
        numbers: dict[str, Any] = {
            "cases": cases,
            "channels": round(medians[CHANNELS] or 1),
            "sides": [asdict(one) for one in sides],
            "spacing_mm": [asdict(one) for one in spacing_mm],
            "resampled": [asdict(one) for one in resampled],
            "brightness": brightness,
            "hounsfield": int(total.count(HOUNSFIELD)) / cases,
            "filled": 1.0 if medians[FILLED] is None else medians[FILLED],
            "outlined": medians[OUTLINED],
            "smallest": medians[SMALLEST],
        }
        rows = [
            (f"{name}, axis {axis + 1}", one.low, one.median, one.high, one.most)
            for name, spreads in (("voxels", sides), ("spacing, mm", spacing_mm), ("voxels, resampled", resampled))
            for axis, one in enumerate(spreads)
        ]
        header = ("of all training cases", "10 % are at most", "half", "90 %", "99 %")
        words = () if spacing_mm else ("The spacing of some cases is not known, so that none is told.",)
        return Answer(numbers, (Table("Sizes and spacing", header, tuple(rows)),), (), words)


def _part(grid: Grid) -> Any:
    """A bin for each of the grid's, and one for what is not known: a case more or less changes one of them."""
    return counts(len(grid) + 1)


def _spread(total: Total, name: str, grid: Grid) -> Spread:
    """Raises AnalysisError where no case has a number."""
    found = _known(total, name, grid, 1)
    if found is None:
        raise AnalysisError(f"no case of any hospital has a value of {name!r}.")
    return found


def _known(total: Total, name: str, grid: Grid, least: int) -> Spread | None:
    """Of the cases of which it is known; None where these are fewer than `least`."""
    each = np.maximum(total.count(name)[:-1], 0)
    n = int(each.sum())
    if n < max(1, least):
        return None
    reached = np.cumsum(each)
    return Spread(*(float(f"{grid[int(np.searchsorted(reached, at * n))]:.3g}") for at in QUANTILES))


analysis: type[Analysis] = FingerprintOfImages
