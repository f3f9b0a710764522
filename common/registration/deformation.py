"""From a linear transform, or any other, to a deformation of one kind or another, if that is any better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from common.errors import ImageError, StudyError
from common.registration.compose import compose
from common.registration.deformable import Ground, in_voxels, register_dense
from common.registration.dense_measures import any_measure, dense_measure
from common.registration.displacement import sampled
from common.registration.doubts import doubts
from common.registration.free_form_registration import register_free_form
from common.registration.linear import KINDS, Linear
from common.registration.linear_registration import Search
from common.registration.local_agreement import Agreement, agreement
from common.registration.objective import Pair
from common.registration.plan import Plan
from common.registration.record import Stage
from common.registration.similarity import Similarity
from common.registration.transform import Transform
from common.registration.working_levels import working_levels

DEFORMABLE = ("bspline", "displacement", "velocity")
SLACK = 1e-3
"""Share of the cost by which a deformation may be worse: what stayed in place is not refused for rounding."""
LOST_COARSELY, TINY = 0.1, 1e-12
"""Share of the finest level's gain, at most all of its cost, that the coarsest may lose of its own."""
LOST_AGREEMENT = 0.1
"""Share of the images' parts that may lie worse than before."""
NO_BETTER = "a deformation fitted no better than what it began from, which is returned instead"


@dataclass(frozen=True, eq=False)
class Deformed:
    """What came out; doubts, notes: a sentence each; agreeing: the images' parts."""

    transform: Transform
    stages: list[Stage]
    doubts: tuple[str, ...]
    agreeing: Agreement
    notes: tuple[str, ...] = ()


def deformed(
    images: Sequence[Pair],
    levels: int | None,
    kind: str,
    search: Search,
    before: Transform,
    plan: Plan,
    against: tuple[str, ...],
    agreed: Agreement,
) -> Deformed:
    """x -> before(x + u(x)). images: coarsest first. against, agreed: what speaks against `before`, and for it.

    Landmarks may ask for what the images speak against; then only the cost, of which they are a part, decides.
    Where nothing speaks against `before`, that nothing fits better is no doubt but a note: it may well be right.
    """
    pairs = working_levels(images, levels)
    if kind == "bspline":
        bend, stages = register_free_form(pairs, search.similarity, search.optimiser, before, plan)
    else:
        bend, stages = register_dense(pairs, search.similarity, before, plan, invertible=kind == "velocity")
    found = bend if _is_identity(before) else compose(bend, before)
    agreeing = agreement(images, found)
    still = doubts(images, found, agreeing)
    disagrees = (still and not against) or agreeing.share < agreed.share - LOST_AGREEMENT
    if (disagrees and plan.landmarks is None) or is_worse(pairs, search.similarity, bend, before, plan):
        doubted, noted = ((*against, NO_BETTER), ()) if against else ((), (NO_BETTER,))
        return Deformed(before, stages, doubted, agreed, noted)
    return Deformed(found, stages, still, agreeing)


def check_plan(plan: Plan, kind: str, similarity: Similarity, initial: Transform | None, dimensions: int) -> None:
    """Raise StudyError or ImageError for what does not go together, before any work."""
    if kind in KINDS:
        if initial is not None and not isinstance(initial, Linear):
            raise ImageError(f"a search for '{kind}' begins from a linear transform; `initial` is a deformation.")
        if plan.landmarks is not None:
            raise StudyError(f"register.landmarks are a term of deformations' cost only; transform is '{kind}'.")
        return
    plan.check_kind(kind)
    if kind != "bspline":
        dense_measure(similarity)
    if initial is not None and initial.dimensions != dimensions:
        raise ImageError(f"the initial transform has {initial.dimensions} dimensions, the images {dimensions}.")
    if plan.landmarks is not None and plan.landmarks.dimensions != dimensions:
        raise ImageError(f"the landmarks have {plan.landmarks.dimensions} dimensions, the images {dimensions}.")


def is_worse(pairs: Sequence[Pair], similarity: Similarity, bend: Transform, before: Transform, plan: Plan) -> bool:
    """By the cost, at the finest level or at the coarsest, where texture that repeats itself is averaged away.

    Where the finest gained, the coarsest may lose a little: two images that are alike there gain nothing by truth.
    """
    measure = any_measure(similarity)

    def gain(pair: Pair) -> float:
        ground, geometry = Ground(pair, measure, before, plan), pair.fixed.geometry
        moved = in_voxels(sampled(bend, geometry).vectors, geometry)
        still = ground.cost(torch.zeros_like(moved))
        return (still - ground.cost(moved)) / max(abs(still), TINY)

    finest = gain(pairs[-1])
    return finest < -SLACK or gain(pairs[0]) < -max(SLACK, LOST_COARSELY * min(1.0, finest))


def _is_identity(transform: Transform) -> bool:
    return isinstance(transform, Linear) and torch.equal(
        transform.matrix, Linear.identity(transform.dimensions).matrix
    )
