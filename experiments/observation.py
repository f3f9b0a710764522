"""What an adversary could see of a run, and what an attack is handed: all that it may use.

Nothing here opens a hospital, its cases or its folder: an attack that works on an Observation works on the wire. It
is rebuilt from recorded traffic by `experiments.evidence.observing`; what an adversary may do beside looking is its
`experiments.access.Access`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from common.data.cases import Shape, SiteId
from common.learning.parameters import new_network
from common.learning.start import Taken, put
from common.study.study import Study
from common.sums.update import Update, Vector
from common.wire.train_requests import Order
from experiments.access import Access

Observer = Literal["server", "hospital", "outsider", "network", "colluding", "cheating"]
"""server: reads every message addressed to it, and what an aggregation reveals to it. hospital: reads the models it
is sent. outsider: has the final model. network: reads bytes on the wire, which TLS would encrypt. colluding: the
server, told by some hospitals what they themselves sent; see `without`. cheating: the server, which sends what it
likes; what hospitals would answer is no part of a run, and is played by the audit."""


@dataclass(frozen=True)
class Single:
    """One hospital's update, read in the clear, and the order it answers."""

    round: int
    site: SiteId
    order: Order
    update: Update


@dataclass(frozen=True)
class Summed:
    """The sum of a round over `sites`, and the model it was computed at."""

    round: int
    sites: tuple[SiteId, ...]
    parameters: Vector
    update: Update


@dataclass(frozen=True)
class Opaque:
    """Bytes an adversary holds and cannot read: masked words, ciphertexts, shares."""

    round: int
    site: SiteId
    leg: str
    data: NDArray[np.uint8]


@dataclass(frozen=True)
class Observation:
    """All an attack may use.

    begun: the parameters that the study begins from, where it names a model. access: what the attacker may ask or is
    handed beside what it sees.
    study: every setting of the run, public to all who take part. shape, classes, cases: as hospitals described
    themselves (cases: of training, by hospital). models: by round, the parameters sent out at its start; the final
    model under `rounds + 1`. singles, sums, opaque: what came back, by what the observer could read of it.
    """

    observer: Observer | str
    study: Study
    shape: Shape
    classes: tuple[str, ...]
    cases: Mapping[SiteId, int]
    models: Mapping[int, Vector]
    singles: tuple[Single, ...] = ()
    sums: tuple[Summed, ...] = ()
    opaque: tuple[Opaque, ...] = ()
    orders: Mapping[int, Order] = field(default_factory=dict)
    begun: Taken | None = field(default=None, repr=False)
    access: Access = field(default_factory=Access, repr=False)

    def network(self) -> nn.Module:
        """The study's network as the federation begins with it, what is frozen included."""
        network = new_network(self.study.build_task(), self.shape, self.study.seed, self.study.training)
        put(network, self.begun or {})
        return network

    @property
    def final_model(self) -> Vector:
        """The last model there is."""
        return self.models[max(self.models)]

    @property
    def sites(self) -> tuple[SiteId, ...]:
        """All hospitals, sorted."""
        return tuple(sorted(self.cases))
