"""What speaks against a registration that was found: a search that failed does not know it by its cost.

Costs have no absolute scale: -.95 is a failure for one pair of images and a success for another. These are looked at
instead, of the coarsest images, which have the least noise: how much of the smaller image met the other, whether its
size was kept, whether what met has anything in common, and whether the parts agree with the whole. What is left is
whether another way of laying them on each other would have fitted as well: see `contest`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from common.registration.contest import Contest, contest
from common.registration.local_agreement import Agreement
from common.registration.objective import LEAST_OVERLAP, Pair, volume
from common.registration.relation import explained, places
from common.registration.transform import Transform, jacobian_determinants

LEAST_EXPLAINED = 0.1
"""Share of the moving image's variance that the fixed one must explain by any curve; noise explains a hundredth."""
LARGEST_SCALE = 2.0
"""By which a length may grow or shrink; patients' do by less."""
LEAST_AGREEING = 0.45
"""Share of the parts. Right places had .5 to 1, wrong ones .04 to .43."""
MOST_LUCK = 0.001
"""Chance that so many parts agree where none should; the best of several searches is looked at."""


def doubts(
    images: Sequence[Pair], found: Transform, agreeing: Agreement, contested: Contest | None = None
) -> tuple[str, ...]:
    """Each a sentence without its end; empty where nothing speaks against it.

    images: coarsest first. agreeing: of their parts with what was found. contested: against its rivals, if it is.
    """
    plain = tuple(plain_doubts(images, found, agreeing))
    if plain and contested is None:
        return plain
    contested = contested or contest(images, found)
    return plain if plain and not contested.is_mirrored else tuple(_rivalled(contested))


def plain_doubts(images: Sequence[Pair], found: Transform, agreeing: Agreement) -> Iterator[str]:
    """Those that need no rivals."""
    pair = images[0]
    points = places(pair)
    share, met = explained(pair, found, points)
    smaller = min(1.0, volume(pair.moving, pair.moving_mask) / volume(pair.fixed, pair.fixed_mask))
    if met < LEAST_OVERLAP * smaller:
        yield f"only {met / smaller:.1%} of the smaller image has a counterpart"
    growth = float(jacobian_determinants(found, points).abs().median()) ** (1 / found.dimensions)
    if not 1 / LARGEST_SCALE < growth < LARGEST_SCALE:
        yield f"lengths are multiplied by {growth:.3g} on the way"
    if agreeing.share >= LEAST_AGREEING:
        if agreeing.luck > MOST_LUCK:
            yield f"{agreeing}, which are too few to tell"
        return
    if share >= LEAST_EXPLAINED:
        yield f"{agreeing}: the others would fit better elsewhere"
    else:
        yield f"where they overlap, the images share next to nothing: {max(share, 0):.1%} of the variance"


def _rivalled(contested: Contest) -> Iterator[str]:
    """The one that says most."""
    if contested.is_mirrored:
        yield "the images fit better with one of them mirrored, as if a file were flipped left to right"
    elif contested.is_open:
        share = (
            f", {1 - contested.preferred:.0%} of the parts better" if contested.preferred < contested.least else ""
        )
        yield (
            f"turned or shifted far they would fit about as well{share}: there is no telling which way round, or "
            "where, is right"
        )
