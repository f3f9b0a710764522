"""Linear searches one after another, until one is to be believed: other similarities, and more starts.

Each ends with the images whose parts are asked, which are coarse; only the best is finished on the finer ones. Which
is best is not said by their costs, which are of unlike similarities, but by the parts of the images: how many agree
with what was found for the whole. And what was found so is held against rivals, turned, which are searched from in
turn where the parts do not clearly prefer it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from common.registration.choices import similarity_name, similarity_of
from common.registration.contest import contest, preferred
from common.registration.doubts import doubts, plain_doubts
from common.registration.information import MutualInformation, NormalisedMutualInformation
from common.registration.linear import Linear
from common.registration.linear_registration import Search, corners_apart_mm, register_linear
from common.registration.local_agreement import Agreement, agreement, judged
from common.registration.lost_field import within_fields
from common.registration.objective import Pair
from common.registration.record import Stage
from common.registration.relation import follows_lines, is_curved
from common.registration.similarity import Similarity
from common.registration.starts import ROTATIONS_OF_A_CUBE
from common.registration.transform import Transform

AGREED = 0.6
"""Share of agreeing parts from which on nothing else is tried."""
AS_GOOD = 0.15
"""Share of the parts, of which there may be forty, that is no reason to stay with a line where there is a curve."""
MOST_RIVALS = 2
"""Searched from, one after another, each better than the one before."""


@dataclass(frozen=True, eq=False)
class Attempt:
    """What one search found. against: what speaks against it. rival: where it should be searched again, if anywhere.

    turned: whether it began from another's rival. within: whether what one image lacks was left out.
    """

    search: Search
    found: Linear
    stages: list[Stage]
    agreeing: Agreement
    against: tuple[str, ...]
    rival: Linear | None = None
    turned: bool = False
    within: bool = False

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
        starts = "another way round" if self.turned else starts
        starts = "there, without what one image lacks" if self.within else starts
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
        if self.initial is None and not first.believed:
            attempts += self._others(first)
        best = max(attempts, key=lambda attempt: attempt.rank)
        if auto and (informed := self._informed(best)):
            attempts.append(informed)
            best = informed if self._is_as_good(informed, best) else best
        best, challengers = self._challenged(best)
        if auto and (informed := self._informed(best)):
            attempts.append(informed)
            best = self._finished(informed) if self._is_as_good(informed, best) else _astray(best)
        attempts += challengers
        if within := self._within(best):
            attempts.append(within)
            best = within if self._is_as_good(within, best) else best
        return _unsupported(best, attempts), attempts

    def _within(self, best: Attempt) -> Attempt | None:
        """From where it ended, without what one of the images lacks, where a line would follow that."""
        images = within_fields(self.images, best.found) if follows_lines(best.search.similarity) else None
        if images is None:
            return None
        trials = replace(self, images=images, initial=best.found)
        return replace(trials._finished(trials._attempt(best.search)), within=True)

    def _informed(self, attempt: Attempt) -> Attempt | None:
        """The same from where it ended, by mutual information, where a curve relates the intensities."""
        if not is_led_astray(self.images, attempt.found, attempt.search.similarity):
            return None
        return self._attempt(_other(attempt.search), attempt.found)

    def _is_as_good(self, informed: Attempt, other: Attempt) -> bool:
        return informed.rank >= (not other.against, other.agreeing.share - AS_GOOD)

    def _challenged(self, best: Attempt) -> tuple[Attempt, list[Attempt]]:
        """Finished, and searched again from what rivals it; the one that the parts prefer, and the others."""
        best, challengers = self._finished(best), list[Attempt]()
        while best.rival is not None and self.initial is None and len(challengers) < MOST_RIVALS:
            other = self._finished(replace(self._attempt(best.search, best.rival), turned=True))
            challengers.append(other)
            if self._prefers(best, other) >= self._prefers(other, best):
                break
            best = other
        return best, challengers

    def _prefers(self, one: Attempt, other: Attempt) -> float:
        return preferred(self.images, one.found, other.found)

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

    def _attempt(self, search: Search, start: Linear | None = None) -> Attempt:
        found, stages = register_linear(
            self.images, self.kind, search, start or self.initial, self._share, end=self._coarse or None
        )
        agreeing = agreement(self.images, found)
        return Attempt(search, found, stages, agreeing, tuple(plain_doubts(self.images, found, agreeing)))

    def _finished(self, best: Attempt) -> Attempt:
        """On the finer levels, its parts asked again unless it was believed and has hardly moved since; contested."""
        found, stages, agreeing = best.found, list[Stage](), best.agreeing
        if self._coarse:
            found, stages = register_linear(self.images, self.kind, best.search, found, first=self._coarse)
            if not (best.believed and self._near(best.found, found)):
                agreeing = agreement(self.images, found)
        contested = contest(self.images, found)
        against = doubts(self.images, found, agreeing, contested)
        return replace(best, found=found, stages=best.stages + stages, agreeing=agreeing, against=against,
                       rival=contested.rival)  # fmt: skip

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


def is_led_astray(images: Sequence[Pair], found: Transform, similarity: Similarity) -> bool:
    """Whether a similarity goes by a line where a curve relates the intensities: coarse voxels, which are means of
    several tissues, hide it, and noise does in fine ones. images: coarsest first."""
    levels = images[judged(images) :]
    return follows_lines(similarity) and any(is_curved(pair, found, similarity) for pair in levels)


def _astray(attempt: Attempt) -> Attempt:
    name = similarity_name(attempt.search.similarity)
    return replace(attempt, against=(*attempt.against, f"a curve relates the intensities, which '{name}' cannot "
                                                       "follow, and by 'mi' they fit worse"))  # fmt: skip


def _unsupported(best: Attempt, attempts: Sequence[Attempt]) -> Attempt:
    """In doubt where no search of the images themselves came to anything, and too few parts speak for what one from a
    rival came to: in tissue that repeats itself every place a period away is like that."""
    if not best.turned or best.agreeing.share >= AGREED or not all(one.against for one in attempts):
        return best
    return replace(best, against=(*best.against, "only a search from another way round came to it, and "
                                                 f"{best.agreeing.share:.0%} of the parts agree"))  # fmt: skip


def _other(search: Search) -> Search:
    informed = isinstance(search.similarity, MutualInformation | NormalisedMutualInformation)
    return replace(search, similarity=similarity_of("cc" if informed else "mi"))
