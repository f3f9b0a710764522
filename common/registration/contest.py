"""What was found against other ways of laying one image on the other, turned, shifted or mirrored.

The outline of a head fits nearly as well when the head is turned, so that a search that failed is seldom told by what
it found alone. But a few steps from another way round lead to a rival, and small parts of the images, inside as well
as at the outline, can be asked which of the two fits them better. Where the right place was found nearly all prefer
it; from a wrong one, some rival is preferred by as many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from common.data.geometry import Matrix
from common.registration.information import CorrelationRatio
from common.registration.linear import Linear
from common.registration.linear_registration import Search, corners_apart_mm, rigid_search
from common.registration.objective import Pair, volume
from common.registration.optimisers import Lbfgs
from common.registration.parts import Parts, in_fewer_voxels
from common.registration.relation import explained, places
from common.registration.shifts import shifts
from common.registration.starts import ROTATIONS_OF_A_CUBE, mass_mm, rotations
from common.registration.transform import Composition, Transform
from common.seeding import generator

RADIUS = {2: 2, 3: 1}
"""Parts are of 5 pixels or 3 voxels a side."""
MOST_VOXELS = {2: 96, 3: 36}
SUITED_VOXELS = {2: 64, 3: 32}
"""Of the longest axis, beyond which images are made coarser, and to what."""
MUCH_SMALLER = 0.5
POINTS, ITERATIONS = 2000, 12
FIRST_LOOK, LOOK_TURNED, LOOK_MIRRORED = 2, 6, 3
"""Rivals searched from; the later ones only where an earlier one was not clearly beaten."""
CLEARLY = 0.95
PREFERRED = {2: 0.6, 3: 0.7}
"""Share of the parts that must prefer what was found. Of 2D pairs right places had .62 to 1 but in noise as strong as
the image, wrong ones .01 to .52; of 3D pairs .67 to 1, and .1 to .66."""
MIRRORED = 0.45
"""Below which a mirror image fits better. Right places had .5 to 1, mirrored heads 0 to .2."""
AS_WELL = 0.99
"""Of the fit, from which on another place is as good whatever the parts prefer: a ball, turned, loses by rounding."""
LEAST_SCORE = 0.4
"""Of the correlation's score of what was found, from which on a shift is searched from."""
REPEATED = ((0.85, 0.8), (LEAST_SCORE, 0.9))
"""Of the score, and of the fit then, what a place a period further must reach. At right places in tissue with
landmarks the fit is .44 at most. Shifts by whole voxels lose half of the score where a period is no whole number."""
FOR_SHIFTS = {2: 64, 3: 24}
"""Voxels of the longest axis."""
SHARED = 20
"""Parts that both meet, from which on they are compared one by one."""
APART_VOXELS = 3.0
LEAST_TURNED = 1.5
"""Trace of a rotation: from a turn by less than 45 degrees a search mostly comes back."""


@dataclass(frozen=True, eq=False)
class Contest:
    """preferred, mirrored: share of the parts that prefer what was found to the best rival, as it is or mirrored.

    alike: whether another place fits as well. rival: where to search again; none where what was found is preferred.
    least: share of the parts that is needed.
    """

    preferred: float
    mirrored: float
    alike: bool
    rival: Linear | None
    least: float

    @property
    def is_mirrored(self) -> bool:
        """Whether a mirror image fits better than what was found, and than any other place."""
        return self.mirrored < MIRRORED and self.mirrored < self.preferred

    @property
    def is_open(self) -> bool:
        """Whether at another place too many parts fit as well."""
        return self.preferred < self.least or self.alike


def contest(images: Sequence[Pair], found: Transform) -> Contest:
    """images: coarsest first. Rivals of a deformation are not searched from: its linear start had its own contest."""
    images, found, swapped = _of_the_smaller(images, found)
    jury, coarse = _Jury(_asked(images), found), images[0]
    turns = rotations(found.dimensions, ROTATIONS_OF_A_CUBE, generator(0, "turned"))
    flip = np.diag([-1.0, *[1.0] * (found.dimensions - 1)])
    others = [*_shifted(jury.pair, found)] if isinstance(found, Linear) else []
    hardest = min(
        _hardest(
            jury, coarse, _ways(coarse, found, [turn for turn in turns if np.trace(turn) < LEAST_TURNED], LOOK_TURNED)
        ),
        _hardest(jury, coarse, (other for other, _ in others)),
        key=lambda one: one[0],
    )
    mirrored, _ = _hardest(jury, coarse, _ways(coarse, found, [turn @ flip for turn in turns], LOOK_MIRRORED))
    share, rival = hardest
    alike = rival is not None and share < CLEARLY and jury.ratio(rival) >= AS_WELL
    alike = alike or any(_repeats(jury, coarse, other, score) for other, score in others)
    least = PREFERRED[found.dimensions]
    if share >= least or not isinstance(rival, Linear):
        rival = None
    elif swapped:
        rival = rival.inverse()
    return Contest(share, mirrored, alike, rival, least)


def _repeats(jury: _Jury, coarse: Pair, other: Linear, score: float) -> bool:
    """As it is, or improved: coarse images may lack the very cells that repeat themselves, and lead astray."""
    wanted = [fit for least, fit in REPEATED if score >= least]
    return bool(wanted) and any(jury.ratio(one) >= min(wanted) for one in (other, _improved(coarse, other)))


def preferred(images: Sequence[Pair], found: Linear, rival: Linear) -> float:
    """Share of the parts, from 0 to 1, that fit better with what was found than with a rival."""
    images, placed, swapped = _of_the_smaller(images, found)
    return _Jury(_asked(images), placed).preferring(rival.inverse() if swapped else rival)


def _of_the_smaller(images: Sequence[Pair], found: Transform) -> tuple[Sequence[Pair], Transform, bool]:
    """Turned round where the moving image is much smaller: most parts of the fixed one would have no counterpart."""
    first = images[0]
    share = volume(first.moving, first.moving_mask) / volume(first.fixed, first.fixed_mask)
    if share < MUCH_SMALLER and isinstance(found, Linear):
        return [pair.swapped() for pair in images], found.inverse(), True
    return images, found, False


def _asked(images: Sequence[Pair]) -> Pair:
    """The coarsest that is fine enough, in no more voxels than are needed."""
    dimensions = images[0].fixed.geometry.dimensions
    sizes = [max(pair.fixed.geometry.shape) for pair in images]
    enough = [number for number, size in enumerate(sizes) if size >= SUITED_VOXELS[dimensions]]
    number = enough[0] if enough else len(images) - 1
    if sizes[number] <= MOST_VOXELS[dimensions]:
        return images[number]
    return in_fewer_voxels(images[number], sizes[number] / SUITED_VOXELS[dimensions])


class _Jury:
    """The parts of a pair as it is, and made smooth, which tells more where there is noise."""

    def __init__(self, pair: Pair, found: Transform) -> None:
        self.pair, self.found = pair, found
        radius = RADIUS[found.dimensions]
        self._sharp, self._radius = Parts(pair, radius), radius
        self._sharp_fit = _fit(self._sharp, found)

    @cached_property
    def _smooth(self) -> tuple[Parts, Tensor]:
        parts = Parts(self.pair.smoothed(1.0), self._radius)
        return parts, _fit(parts, self.found)

    def preferring(self, rival: Transform) -> float:
        """The share that prefers what was found; of smooth parts where those are surer."""
        share = _preferring(self._sharp_fit, _fit(self._sharp, rival))
        if share >= CLEARLY:
            return share
        parts, own = self._smooth
        return max(share, _preferring(own, _fit(parts, rival)))

    def is_elsewhere(self, rival: Transform) -> bool:
        """Whether a rival lies further from what was found than a search may be off."""
        geometry = self.pair.fixed.geometry
        return corners_apart_mm(geometry, rival, self.found) >= APART_VOXELS * max(geometry.spacing_mm)

    def ratio(self, rival: Transform) -> float:
        """Of the fit of what was found, a rival's, over the parts that both meet; 0 for one that is no other."""
        if not self.is_elsewhere(rival):
            return 0.0
        benches = ((self._sharp, self._sharp_fit), self._smooth)
        return min(_ratio(own, _fit(parts, rival)) for parts, own in benches)


def _ratio(own: Tensor, other: Tensor) -> float:
    both = (own > 0) & (other > 0)
    return float(other[both].mean() / own[both].mean()) if int(both.sum()) >= SHARED else 0.0


def _fit(parts: Parts, found: Transform) -> Tensor:
    """(N,) of those with structure."""
    return parts.fits(parts.read(found)[None])[0][parts.structured]


def _preferring(own: Tensor, other: Tensor) -> float:
    """One by one where enough parts are met by both; else as the chance that one of the first fits better than one of
    the second. A part that is met by neither says nothing."""
    both = (own > 0) & (other > 0)
    if int(both.sum()) >= SHARED:
        return _wins(own[both], other[both])
    own, other = own[own > 0, None], other[None, other > 0]
    if len(own) == 0 or other.numel() == 0:
        return float(len(own) > 0)
    return _wins(own, other)


def _wins(own: Tensor, other: Tensor) -> float:
    """Share of comparisons; half of one that is drawn."""
    return float(((own > other).double() + (own >= other).double()).mean() / 2)


def _hardest(jury: _Jury, coarse: Pair, starts: Iterator[Transform]) -> tuple[float, Transform | None]:
    """The lowest preference over the rivals near some places, and for whom."""
    lowest, hardest, looked = 1.0, None, 0
    for start in starts:
        if looked >= FIRST_LOOK and lowest >= CLEARLY:
            break
        if not jury.is_elsewhere(start):
            continue
        rival = _improved(coarse, start) if isinstance(start, Linear) else start
        if jury.is_elsewhere(rival):
            share, looked = jury.preferring(rival), looked + 1
            if hardest is None or share < lowest:
                lowest, hardest = share, rival
    if isinstance(hardest, Linear) and lowest < CLEARLY:
        closer = _improved(jury.pair, hardest)
        share = jury.preferring(closer) if jury.is_elsewhere(closer) else 1.0
        lowest, hardest = min((lowest, hardest), (share, closer), key=lambda one: one[0])
    return lowest, hardest


def _shifted(pair: Pair, found: Linear) -> Iterator[tuple[Linear, float]]:
    """Peaks of the correlation, as the images are turned now and as they lie; and what they reach of the score."""
    longest, suited = max(pair.fixed.geometry.shape), FOR_SHIFTS[found.dimensions]
    fewer = in_fewer_voxels(pair, longest / suited) if longest > suited else pair
    lying = Linear.of(np.eye(found.dimensions), pair.moving.geometry.centre_mm - pair.fixed.geometry.centre_mm)
    yield from ((place, score) for place, score in shifts(fewer, found, 2) if score >= LEAST_SCORE)
    yield from ((place, 0.0) for place, _ in shifts(fewer, lying, 1))


def _ways(pair: Pair, found: Transform, turns: Sequence[Matrix], most: int) -> Iterator[Transform]:
    """What was found after the fixed image was turned about its mass, the best explained first."""
    centre, points = mass_mm(pair.fixed), places(pair)
    ways = [Linear.of(turn, np.zeros(len(turn)), centre) for turn in turns]

    def worth(way: Linear) -> float:
        share, met = explained(pair, Composition(way, found), points)
        return -share * met

    for way in sorted(ways, key=worth)[:most]:
        yield found.after(way) if isinstance(found, Linear) else Composition(way, found)


def _improved(pair: Pair, start: Linear) -> Linear:
    """By a few steps."""
    search = Search(CorrelationRatio(), Lbfgs(ITERATIONS), POINTS, 1, generator(0, "rival"))
    return rigid_search(pair, search, start)[0]
