"""What changed between two visits: a map of differences beside what they are where nothing changed.

The first visit's values are brought onto the second one's scale, and differences are divided by their deviation in
each class of brightness and of slope, for noise and misfit are larger at edges. What is left becomes normal scores,
so that no tail is heavier than another, and is averaged over a lesion's size. The same is done to noise of the same
spectrum, many times: its largest values say how often a map without a change has one voxel as large, anywhere. That
share is a voxel's p, corrected for all voxels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfftn, rfftn
from scipy.ndimage import binary_erosion, gaussian_filter, label
from scipy.stats import norm

from common.data.image import Image
from common.errors import ImageError
from common.seeding import generator

Values = NDArray[np.float64]
CLASSES = 12
"""Of brightness, and of slope, at the most."""
FEWEST_IN_CLASS = 60
"""On average."""
FEWEST_VOXELS = 200
MOST_RANKS = 32
MAD_TO_DEVIATION = 1.4826
SHELLS = 32


@dataclass(frozen=True)
class Change:
    """One connected place. volume_mm3: in 2D mm2. centre_mm: (D,) RAS. brighter: at the second visit. p: least."""

    volume_mm3: float
    centre_mm: tuple[float, ...]
    brighter: bool
    p: float


@dataclass(frozen=True, eq=False)
class Changes:
    """score: averaged normal scores, deviation 1 where nothing changed. p: of each voxel, corrected for all voxels.

    largest: of |score| in each map of noise, sorted. places: those with p <= rate, largest first.
    """

    score: Image
    p: Image
    largest: Values
    places: tuple[Change, ...]

    def threshold(self, rate: float) -> float:
        """|score| that a map of noise exceeds somewhere with this probability."""
        return float(np.quantile(self.largest, 1 - rate, method="higher"))


def detect_changes(
    before: Image,
    after: Image,
    mask: Image | None = None,
    *,
    rate: float = 0.05,
    size_mm: float = 3.0,
    maps: int = 400,
    seed: int = 0,
) -> Changes:
    """Where two registered images on one lattice differ by more than noise makes them differ.

    Args:
        before: the earlier image.
        after: the later one.
        mask: where to look; by default `inner` of the first.
        rate: share of pairs without any change in which something is reported.
        size_mm: of the lesions that are looked for, the width at half height of the average.
        maps: how many of noise are drawn.
        seed: of these draws.

    Raises:
        ImageError: where lattices differ, a number is not allowed, or fewer than 200 voxels are left.
    """
    looked = _looked_at(before, after, mask)
    if not (0 < rate < 1 and size_mm > 0 and maps * rate >= 1 and maps <= 100_000):
        raise ImageError("changes need 0 < rate < 1, size_mm above 0, and maps of noise enough for the rate.")
    sigma = [size_mm / 2.355 / one for one in before.geometry.spacing_mm]
    scores = np.zeros(before.values.shape)
    scores[looked] = _normal_scores(_left(before, after, looked))
    weight = np.sqrt(gaussian_filter(looked.astype(np.float64), sigma, mode="constant"))
    averaged = _averaged(scores, looked, sigma, weight)
    scale = _deviation(averaged[looked])
    largest = np.sort([
        float(np.abs(noise).max()) / _deviation(noise)
        for noise in (_averaged(one, looked, sigma, weight)[looked] for one in _noise(scores, looked, maps, seed))
    ])  # fmt: skip
    score = averaged / scale
    exceeding = len(largest) - np.searchsorted(largest, np.abs(score), side="left")
    p = np.where(looked, (1 + exceeding) / (1 + len(largest)), 1.0)
    geometry = before.geometry
    return Changes(Image(score, geometry), Image(p, geometry), largest, _places(Image(p, geometry), score, rate))


def _looked_at(before: Image, after: Image, mask: Image | None) -> NDArray[np.bool_]:
    for name, one in (("second image", after), ("mask", mask)):
        if one is not None and not one.geometry.same_place(before.geometry):
            raise ImageError(f"the {name} must lie on the first image's lattice: register it first.")
    if not (np.isfinite(before.values).all() and np.isfinite(after.values).all()):
        raise ImageError("both images must hold finite numbers.")
    looked = inner(before) if mask is None else mask.values != 0
    if int(looked.sum()) < FEWEST_VOXELS:
        raise ImageError(f"changes need {FEWEST_VOXELS} voxels at least; the mask has {int(looked.sum())}.")
    return np.asarray(looked, bool)


def inner(before: Image) -> NDArray[np.bool_]:
    """All above the least value, but for the outermost voxels, where any misfit is a change."""
    return np.asarray(binary_erosion(before.values > before.values.min(), border_value=1))


def _left(before: Image, after: Image, looked: NDArray[np.bool_]) -> Values:
    """(V,) differences over their deviation in their class.

    Classes are those of the mean of both visits: against the first one's values alone, its own noise would make what
    is bright there seem darker at the second.
    """
    first = before.values.astype(np.float64)
    two = after.values.astype(np.float64)[looked]
    matched = _matched(first[looked], two)
    axes = [axis for axis, size in enumerate(first.shape) if size > 1]
    slopes = np.sqrt(sum(np.gradient(gaussian_filter(first, 1.0), axis=axis) ** 2 for axis in axes))[looked]
    left = two - matched
    count = max(1, min(CLASSES, int((len(left) / FEWEST_IN_CLASS) ** 0.5)))
    classes = _quantile_class(matched + two, count) * count + _quantile_class(slopes, count)
    for which in np.unique(classes):
        here = classes == which
        left[here] /= max(_deviation(left[here]), 1e-12)
    return left


def _matched(one: Values, two: Values) -> Values:
    """The first values on the second ones' scale: means of equal ranks meet; beyond the outermost in a line."""
    count = max(2, min(MOST_RANKS, len(one) // FEWEST_IN_CLASS))
    ones, twos = (np.array([part.mean() for part in np.array_split(np.sort(values), count)]) for values in (one, two))
    ones, kept = np.unique(ones, return_index=True)
    twos = twos[kept]
    if len(ones) < 2:
        return np.full(one.shape, float(two.mean()))
    low, high = np.diff(twos)[[0, -1]] / np.diff(ones)[[0, -1]]
    beyond = low * np.minimum(one - ones[0], 0) + high * np.maximum(one - ones[-1], 0)
    return np.asarray(np.interp(one, ones, twos) + beyond)


def _quantile_class(values: Values, count: int) -> NDArray[np.int64]:
    edges = np.quantile(values, np.linspace(0, 1, count + 1)[1:-1])
    return np.asarray(np.searchsorted(edges, values, side="right"))


def _normal_scores(values: Values) -> Values:
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return np.asarray(norm.ppf((ranks + 0.5) / len(values)))


def _averaged(scores: Values, looked: NDArray[np.bool_], sigma: list[float], weight: Values) -> Values:
    """Gaussian mean; near the mask's edge, where fewer voxels are averaged, as noisy as inside."""
    mean = gaussian_filter(scores, sigma, mode="constant")
    return np.asarray(np.where(looked, mean / np.maximum(weight, 1e-6), 0.0))


def _noise(scores: Values, looked: NDArray[np.bool_], maps: int, seed: int) -> Iterator[Values]:
    """Maps of the scores' spectrum, taken as the same in all directions of the lattice; 0 beyond the mask."""
    power = np.abs(rfftn(scores)) ** 2
    axes = [*map(np.fft.fftfreq, scores.shape[:-1]), np.fft.rfftfreq(scores.shape[-1])]
    frequencies = np.sqrt(sum(part**2 for part in np.meshgrid(*axes, indexing="ij")))
    shells = np.minimum((frequencies / 0.5 * SHELLS).astype(int), SHELLS)
    counts = np.maximum(np.bincount(shells.ravel(), minlength=SHELLS + 1), 1)
    amplitude = np.sqrt((np.bincount(shells.ravel(), power.ravel(), SHELLS + 1) / counts)[shells])
    rng = generator(seed, "changes")
    for _ in range(maps):
        noise = rfftn(rng.standard_normal(scores.shape, np.float32))
        yield irfftn(noise * amplitude.astype(np.float32), scores.shape) * looked


def _deviation(values: Values) -> float:
    """From the median absolute deviation: what few lesions do not change."""
    return MAD_TO_DEVIATION * float(np.median(np.abs(values - np.median(values))))


def _places(p: Image, score: Values, rate: float) -> tuple[Change, ...]:
    found = []
    voxel = float(np.abs(np.linalg.det(p.geometry.affine[:-1, :-1])))
    for brighter in (True, False):
        connected, count = label((p.values <= rate) & ((score > 0) == brighter))
        for which in range(1, count + 1):
            places = np.argwhere(connected == which)
            centre = tuple(map(float, p.geometry.voxel_to_world(places.mean(axis=0))))
            least = float(p.values[connected == which].min())
            found.append(Change(len(places) * voxel, centre, brighter, least))
    return tuple(sorted(found, key=lambda one: -one.volume_mm3))
