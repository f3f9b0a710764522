"""The role of an attack: what it must see, what it tries, what came back. Entries live in `experiments/attacks/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from experiments.observation import Observation, Observer

Sees = Literal["each", "sum", "model"]
"""The least an attack needs: single updates, a sum of updates (which single ones also make), or a model."""


@dataclass(frozen=True)
class Reconstruction:
    """Inputs an attack believes some hospital trained on.

    inputs: (N, *shape) float32, as the network sees them. labels: (N,) or None. sites: whom the update is from.
    """

    round: int
    sites: tuple[SiteId, ...]
    inputs: NDArray[np.float32]
    labels: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Membership:
    """Scores of cases: the higher, the surer the attack is that the case was trained on, in the order given."""

    scores: NDArray[np.float64]


UNTRIED = "untried"
"""Setting of a finding that was not possible because this attack does not know the study's way of training, although
its observer sees what an attack would need: another may succeed."""


@dataclass(frozen=True)
class Finding:
    """What came of one attack.

    possible: False where the observer does not see what the attack needs; `reason` then says what it sees instead.
    figures: measured numbers by name, unit in the name. settings: all that one needs to do it again.
    """

    attack: str
    observer: Observer
    possible: bool
    reason: str = ""
    seconds: float = 0.0
    figures: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    reconstructions: tuple[Reconstruction, ...] = ()


class Attack(Protocol):
    """A frozen dataclass of options. Everything random comes from `rng`; it ends soon after `budget_seconds`."""

    sees: ClassVar[Sees]
    source: ClassVar[str]
    """The paper."""

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Try. Nothing is read but `observed`."""
        ...
