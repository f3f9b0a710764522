"""A method on trial: the cases and the network whose maps are tested, and what is known of them beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.attribution import Attribution
from common.errors import AttributionError
from common.seeding import generator


@dataclass(frozen=True, eq=False)
class Trial:
    """inputs: (N, C, *S) or (N, F) float32. aim: what the maps explain. chance: what is watched while values are
    taken away or given back, best a probability; None: the aim. masks: (N, *S) bool, where the truth is known to lie.
    clean: a network of the same kind that never saw what the masks mark. seed: of whatever a test draws.
    """

    method: Attribution
    network: nn.Module
    inputs: Tensor
    aim: Aim
    chance: Aim | None = None
    masks: Tensor | None = None
    clean: nn.Module | None = None
    seed: int = 0

    @cached_property
    def maps(self) -> Tensor:
        """As of `Attribution.explain`, computed once."""
        return self.maps_of(self.network)

    def maps_of(self, network: nn.Module) -> Tensor:
        """Those of another network for the same cases, by the method's `quick` form where it has one: of such maps
        it is only asked how alike they are. Raises AttributionError for a number that is not finite.
        """
        method = self.method if network is self.network else getattr(self.method, "quick", self.method)
        found = method.explain(network, self.inputs, self.aim, self.rng("maps"))
        if not found.isfinite().all():
            raise AttributionError("a map has values that are not finite, so that nothing can be said of it.")
        return found.float()

    @cached_property
    def scores(self) -> Tensor:
        """(N, P), see `by_place`."""
        return by_place(self.maps)

    @property
    def watched(self) -> Aim:
        """What curves are of."""
        return self.aim if self.chance is None else self.chance

    def rng(self, purpose: str) -> np.random.Generator:
        """The same for the same purpose."""
        return generator(self.seed, "faithfulness", purpose)


def by_place(maps: Tensor) -> Tensor:
    """(N, P) one number a place, the sum over channels, places of an image in rows; a table's columns as they are."""
    return maps.flatten(1) if maps.ndim < 3 else maps.sum(1).flatten(1)
