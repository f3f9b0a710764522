"""What nnU-Net decides of a data set's summary: spacing, patch, levels, batch and normalisation, by fixed rules.

Isensee et al. 2021, Nature Methods 18:203, "Rule-based parameters". What is otherwise here, and why: levels halve all
axes alike, as the U-Net of this house does, so that the shortest axis bounds them; where all cases fit, whole cases
are shown and no patches; a batch is at most a twentieth of what a hospital has on average, not of all cases, since
steps are taken in hospitals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import floor, inf, log2, prod

from common.errors import StudyError

ANISOTROPIC = 3.0
"""Times the other axes' spacing from which on an axis is thick, if its voxels are as many times fewer."""
SMALLEST_MAP = 4
MOST_HALVINGS = {2: 7, 3: 5}
LEAST_BATCH = {2: 8, 3: 2}
MOST_BATCH = 32
SHARE_OF_A_HOSPITAL = 0.05
WIDEST = {2: 16, 3: 10}
"""Times the first level's channels that a level has at most: 512 and 320 of nnU-Net's 32."""
FIELD = {2: 2048, 3: 256}
"""Side of the patch, were all voxels cubes, from which the search begins."""
MAPS_KEPT = 15
"""Of a level's width and size, that training keeps of a case: two blocks of three on both ways, and the join."""
BYTES = 4
HOUNSFIELD_SHARE = 0.5
CROPPED_SHARE = 0.75
"""Of a case, that what is not empty fills at most where normalisation leaves the empty rest out."""
UNIFORM = 1.05
"""Times the least spacing that the largest is at most where nothing needs to be resampled."""
WHOLE = 2.0
"""Times the median case that whole cases may be."""


@dataclass(frozen=True)
class Spread:
    """Of a quantity over all cases: its 10th percentile, median, 90th percentile and the most (99th)."""

    low: float
    median: float
    high: float
    most: float


@dataclass(frozen=True)
class Fingerprint:
    """What hospitals' sums say of all training cases together.

    sides: voxels along each axis, as cases are; resampled: at the target spacing. spacing_mm: (); where it is not
    known. brightness: 0.5th and 99.5th percentile in outlines of the first channel, medians over cases.
    """

    cases: int
    hospitals: int
    channels: int
    sides: tuple[Spread, ...]
    spacing_mm: tuple[Spread, ...] = ()
    resampled: tuple[Spread, ...] = ()
    brightness: tuple[float, float] | None = None
    hounsfield: float = 0.0
    filled: float = 1.0
    outlined: float | None = None
    smallest: float | None = None

    def __post_init__(self) -> None:
        if len(self.sides) not in (2, 3) or min(self.cases, self.hospitals, self.channels) < 1:
            raise StudyError("a fingerprint is of images with 2 or 3 axes, of at least one case and hospital.")
        if len({len(self.sides), len(self.spacing_mm or self.sides), len(self.resampled or self.sides)}) > 1:
            raise StudyError("a fingerprint has as many spacings as sides.")


@dataclass(frozen=True)
class Budget:
    """What a plan may use, and what it may change.

    channels: of the first level. memory_mb: of what training keeps of a batch. resamples, normalises: whether the
    source would bring cases to a spacing, and scale their intensities. patch: () where it is the plan's to choose.
    """

    channels: int = 8
    memory_mb: float = 512.0
    resamples: bool = True
    normalises: bool = True
    patch: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """spacing_mm: () where cases stay as they are. patch: the shape that the network is shown; whole: it holds every
    case. widths: of the levels. window: of intensities, () for none. reasons: a sentence for every decision.
    """

    spacing_mm: tuple[float, ...]
    patch: tuple[int, ...]
    whole: bool
    widths: tuple[int, ...]
    batch_size: int
    normalisation: str
    window: tuple[float, ...]
    memory_mb: float
    reasons: tuple[str, ...] = field(default=())


def target_spacing(spacing: Sequence[Spread], sides: Sequence[Spread]) -> tuple[float, ...]:
    """Medians; of a thick axis the 10th percentile, never finer than the others (section "Target spacing")."""
    target = [one.median for one in spacing]
    worst = max(range(len(target)), key=lambda axis: target[axis])
    others = [mm for axis, mm in enumerate(target) if axis != worst]
    voxels = [one.median for axis, one in enumerate(sides) if axis != worst]
    if target[worst] > ANISOTROPIC * max(others) and sides[worst].median * ANISOTROPIC < min(voxels):
        target[worst] = max(spacing[worst].low, *others)
    return tuple(float(f"{mm:.3g}") for mm in target)


def is_uniform(spacing: Sequence[Spread]) -> bool:
    """Whether all cases have nearly one spacing."""
    return all(one.high <= UNIFORM * one.low for one in spacing)


def halvings(patch: Sequence[int]) -> int:
    """How often every axis can be halved and keeps SMALLEST_MAP voxels."""
    most = MOST_HALVINGS[len(patch)]
    return max(0, min(most, *(floor(log2(max(side, 1) / SMALLEST_MAP)) for side in patch)))


def widths_of(channels: int, levels: int, dimensions: int) -> tuple[int, ...]:
    """Doubled from level to level, up to the widest."""
    return tuple(min(channels * 2**level, channels * WIDEST.get(dimensions, 1)) for level in range(levels))


def levels_of(patch: Sequence[int]) -> int:
    """As many as its sides can be halved to, which is at most what the rules say."""
    return 1 + max(count for count in range(halvings(patch) + 1) if all(side % 2**count == 0 for side in patch))


def memory_mb(patch: Sequence[int], channels: int) -> float:
    """What training keeps of one case, in MB, as far as maps and their gradients go."""
    widths = widths_of(channels, levels_of(patch), len(patch))
    values = sum(width * prod(patch) * 2.0 ** (-len(patch) * level) for level, width in enumerate(widths))
    return 2 * MAPS_KEPT * BYTES * values / 2**20


def divisible(sides: Sequence[float]) -> tuple[int, ...]:
    """The sides, each raised to a multiple of what the levels halve it by."""
    whole = [max(1, round(side)) for side in sides]
    step = 2 ** halvings(whole)
    return tuple(-(-side // step) * step for side in whole)


def first_patch(spacing: Sequence[float], sides: Sequence[float]) -> tuple[int, ...]:
    """As many millimetres along every axis, and nowhere more than the median case."""
    dimensions = len(sides)
    inverse = [1 / mm for mm in spacing]
    scale = FIELD[dimensions] / prod(inverse) ** (1 / dimensions)
    return divisible([min(scale * one, side) for one, side in zip(inverse, sides, strict=True)])


def fitted_patch(patch: tuple[int, ...], sides: Sequence[float], budget: Budget) -> tuple[int, ...]:
    """Shortened, always along the axis that sees most of the median case, until the least batch fits the memory."""
    least = LEAST_BATCH[len(patch)]
    while memory_mb(patch, budget.channels) * least > budget.memory_mb:
        step = 2 ** halvings(patch)
        shares = [one / side if one - step >= SMALLEST_MAP else -inf for one, side in zip(patch, sides, strict=True)]
        axis = max(range(len(patch)), key=lambda one: shares[one])
        if shares[axis] == -inf:
            raise StudyError(
                f"no patch of {budget.channels} channels fits {budget.memory_mb:g} MB: raise memory_mb of network "
                "'auto', or lower its channels."
            )
        patch = divisible([side - step * (place == axis) for place, side in enumerate(patch)])
    return patch


def plan_of(found: Fingerprint, budget: Budget) -> Plan:
    """The plan that follows from a fingerprint: the same one from the same sums."""
    spacing, said = _spacing(found, budget)
    sides = (found.resampled or found.sides) if spacing else found.sides
    mm = spacing or tuple(one.median for one in found.spacing_mm) or (1.0,) * len(sides)
    patch, whole, why = _patch(mm, sides, budget)
    widths = widths_of(budget.channels, levels_of(patch), len(patch))
    batch, counted = _batch(patch, found, sides, budget)
    normalisation, window, scaled = _normalisation(found)
    deep = (
        f"{len(widths)} levels: {_times(patch)} is halved {len(widths) - 1} times, to {SMALLEST_MAP} voxels or more."
    )
    reasons = (said, why, deep, counted, *[scaled] * budget.normalises)
    used = batch * memory_mb(patch, budget.channels)
    return Plan(spacing, patch, whole, widths, batch, normalisation, window, used, reasons)


def _spacing(found: Fingerprint, budget: Budget) -> tuple[tuple[float, ...], str]:
    if not found.spacing_mm:
        return (), "The spacing of some cases is not known, so that all stay as they are."
    medians = _times(float(f"{one.median:.3g}") for one in found.spacing_mm)
    if is_uniform(found.spacing_mm):
        return (), f"Spacing is {medians} mm nearly everywhere, so that nothing is resampled."
    if not budget.resamples:
        return (), f"Spacing differs about {medians} mm, and cases stay as they are: nothing here resamples them."
    target = target_spacing(found.spacing_mm, found.sides)
    thick = "" if _times(target) == medians else "; of the thick axis the 10th percentile"
    return target, f"All cases are brought to {_times(target)} mm, by a median spacing of {medians} mm{thick}."


def _patch(mm: Sequence[float], sides: Sequence[Spread], budget: Budget) -> tuple[tuple[int, ...], bool, str]:
    if budget.patch:
        return budget.patch, False, f"Patches of {_times(budget.patch)} voxels, as the study has them."
    median, most = [one.median for one in sides], [one.most for one in sides]
    every = divisible(most)
    fits = memory_mb(every, budget.channels) * LEAST_BATCH[len(every)] <= budget.memory_mb
    if fits and prod(every) <= WHOLE * prod(divisible(median)):
        return every, True, f"Cases are shown whole: {_times(every)} voxels hold them."
    patch = fitted_patch(first_patch(mm, median), median, budget)
    said = f"Patches of {_times(patch)} voxels of a median case of {_times(median)}"
    return patch, False, f"{said}, as {budget.memory_mb:g} MB allow."


def _batch(patch: tuple[int, ...], found: Fingerprint, sides: Sequence[Spread], budget: Budget) -> tuple[int, str]:
    least = LEAST_BATCH[len(patch)]
    by_memory = floor(budget.memory_mb / memory_mb(patch, budget.channels))
    voxels = found.cases / found.hospitals * prod(one.median for one in sides)
    by_cases = round(SHARE_OF_A_HOSPITAL * voxels / prod(patch))
    batch = max(least, min(by_memory, by_cases, MOST_BATCH))
    return batch, (
        f"Batches of {batch}: {by_memory} fit {budget.memory_mb:g} MB, and {by_cases} are a twentieth of what a "
        f"hospital has on average; never below {least} or above {MOST_BATCH}."
    )


def _times(numbers: Iterable[float]) -> str:
    return " x ".join(f"{one:g}" for one in numbers)


def _normalisation(found: Fingerprint) -> tuple[str, tuple[float, ...], str]:
    if found.hounsfield > HOUNSFIELD_SHARE and found.brightness is not None:
        low, high = (float(round(one)) for one in found.brightness)
        if low < high:
            return (
                "minmax",
                (low, high),
                f"Most cases have air at -1000: CT, clipped to {low:g} to {high:g} HU as outlined.",
            )
    if found.filled < CROPPED_SHARE:
        return (
            "zscore_nonzero",
            (),
            f"Mean 0 and deviation 1 of each case's voxels that are not 0, which fill {found.filled:.0%}.",
        )
    return "zscore", (), "Mean 0 and deviation 1 of each case and channel: intensities have no common unit."
