"""Linear searches one after another, until one is to be believed: other similarities, and more starts.

Each ends with the images whose parts are asked, which are coarse; only the best is finished on the finer ones. Which
is best is not said by their costs, which are of unlike similarities, but by the parts of the images: how many agree
with what was found for the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from common.registration.choices import similarity_name, similarity_of
from common.registration.doubts import doubts
from common.registration.information import MutualInformation, NormalisedMutualInformation
from common.registration.linear import Linear
from common.registration.linear_registration import Search, corners_apart_mm, register_linear
from common.registration.local_agreement import Agreement, agreement, judged
from common.registration.objective import Pair
from common.registration.record import Stage
from common.registration.relation import is_curved
from common.registration.starts import ROTATIONS_OF_A_CUBE

AGREED = 0.6
"""Share of agreeing parts from which on nothing else is tried."""
AS_GOOD = 0.05


@dataclass(frozen=True, eq=False)
class Attempt:
    """What one search found. against: what speaks against it."""

    search: Search
    found: Linear
    stages: list[Stage]
    agreeing: Agreement
    against: tuple[str, ...]

    @property
    def believed(self) -> bool:
        """Whether nothing else need be tried."""
        return not self.against and self.agreeing.share >= AGREED

    @property
    def rank(self) -> tuple[bool, float]:
        """Higher is better."""
        return not self.against, self.agreeing.share

    def __str__(self) -> str:
        starts = "1 rotation" if self.search.starts == 1 else f"{self.search.starts} rotations"
        return f"{similarity_name(self.search.similarity)} from {starts}: {self.agreeing}"


@dataclass(frozen=True, eq=False)
class Trials:
    """images: coarsest first. initial: where the one search begins that there is then."""

    images: Sequence[Pair]
    kind: str
    initial: Linear | None

    def surely(self, search: Search, *, auto: bool) -> tuple[Attempt, list[Attempt]]:
        """The best attempt, finished, and all. auto: whether the relation of intensities chooses the similarity."""
        first = self._attempt(search)
        attempts = [first]
        if self.initial is None:
            if auto and first.believed and is_curved(self.images[judged(self.images)], first.found):
                return self._curved(first)
            if not first.believed:
                attempts += self._others(first)
        best = max(attempts, key=lambda attempt: attempt.rank)
        return self._finished(best), attempts

    def _curved(self, first: Attempt) -> tuple[Attempt, list[Attempt]]:
        informed = self._attempt(_other(first.search))
        as_good = informed.rank >= (True, first.agreeing.share - AS_GOOD)
        return self._finished(informed if as_good else first), [first, informed]

    def _others(self, first: Attempt) -> Iterator[Attempt]:
        """Another similarity; the better of the two from all rotations of a cube; the other one so."""
        second = self._attempt(_other(first.search))
        yield second
        for attempt in sorted((first, second), key=lambda one: one.rank, reverse=True):
            if second.believed or attempt.search.starts >= ROTATIONS_OF_A_CUBE:
                return
            second = self._attempt(replace(attempt.search, starts=ROTATIONS_OF_A_CUBE))
            yield second
            if not second.against:
                return

    def _attempt(self, search: Search) -> Attempt:
        found, stages = register_linear(
            self.images, self.kind, search, self.initial, self._share, end=self._coarse or None
        )
        agreeing = agreement(self.images, found)
        return Attempt(search, found, stages, agreeing, doubts(self.images, found, agreeing, last=False))

    def _finished(self, best: Attempt) -> Attempt:
        """On the finer levels; looked at again unless it was believed and has hardly moved since."""
        found, stages = best.found, list[Stage]()
        if self._coarse:
            found, stages = register_linear(self.images, self.kind, best.search, found, first=self._coarse)
            if best.believed and self._near(best.found, found):
                return replace(best, found=found, stages=best.stages + stages)
        agreeing = agreement(self.images, found) if stages else best.agreeing
        against = () if best.believed and not stages else doubts(self.images, found, agreeing)
        return Attempt(best.search, found, best.stages + stages, agreeing, against)

    def _near(self, one: Linear, other: Linear) -> bool:
        """Within a voxel of the images that were asked."""
        geometry = self.images[judged(self.images)].fixed.geometry
        return corners_apart_mm(geometry, one, other) < max(geometry.spacing_mm)

    def _share(self, found: Linear) -> float:
        return agreement(self.images, found).share

    @property
    def _coarse(self) -> int:
        """How many levels are searched in each attempt; 0 for all."""
        return (1 + judged(self.images)) % len(self.images)


def _other(search: Search) -> Search:
    informed = isinstance(search.similarity, MutualInformation | NormalisedMutualInformation)
    return replace(search, similarity=similarity_of("cc" if informed else "mi"))
