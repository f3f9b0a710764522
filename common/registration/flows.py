"""What the updates of a dense registration accumulate in: a displacement, a velocity, or convex problems' answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from common.registration.displacement import LARGEST_STEP_VOXELS
from common.registration.folding import mended_velocity, unfolded
from common.registration.newton import Quadratic
from common.registration.total_variation import Variation, least_variation
from common.registration.warping import Lattice

Smoother = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Step:
    """damping: see newton.Quadratic. longest: of an update, voxels."""

    damping: float
    longest: float

    def of(self, model: Quadratic) -> Tensor:
        """(D, *shape) voxels: the model's minimum, or so much of the way to it."""
        return self.shortened(model.minimum(self.damping))

    def shortened(self, update: Tensor) -> Tensor:
        """At most `longest` at each voxel."""
        shorter: Tensor = update * (self.longest / update.norm(dim=0).clamp(min=self.longest))
        return shorter


class Flow(Protocol):
    """field: (D, *shape) voxels, of whatever it is that accumulates."""

    field: Tensor

    def displacement(self) -> Tensor:
        """(D, *shape) voxels."""
        ...

    def follow(self, model: Quadratic) -> None:
        """One more update. model: of the cost near the displacement."""
        ...

    def mend(self) -> None:
        """Make it fold nowhere."""
        ...


class Free:
    """A displacement, updates composed before it."""

    def __init__(self, lattice: Lattice, field: Tensor, step: Step, smoother: Smoother) -> None:
        self._lattice, self.field, self._step, self._smoother = lattice, field, step, smoother

    def displacement(self) -> Tensor:
        """Itself."""
        return self.field

    def follow(self, model: Quadratic) -> None:
        """u <- smooth(v + u o (x + v))."""
        self.field = self._smoother(self._lattice.composed(self.field, self._step.of(model)))

    def mend(self) -> None:
        """Folds are smoothed away."""
        self.field = unfolded(self.field)


class Stationary:
    """A velocity, updates added: the first order of the Baker-Campbell-Hausdorff formula."""

    def __init__(self, lattice: Lattice, field: Tensor, step: Step, smoother: Smoother) -> None:
        self._lattice, self.field, self._step, self._smoother = lattice, field, step, smoother

    def displacement(self) -> Tensor:
        """The flow."""
        return self._flow(self.field)

    def _flow(self, velocity: Tensor, first: float = 0.5) -> Tensor:
        """Scaling and squaring from steps below `first` voxels."""
        largest = float(velocity.norm(dim=0).max())
        squarings = max(0, int(np.ceil(np.log2(max(largest, 1e-9) / first))))
        moved: Tensor = velocity / 2**squarings
        for _ in range(squarings):
            moved = self._lattice.composed(moved, moved)
        return moved

    def follow(self, model: Quadratic) -> None:
        """v <- smooth(v + update)."""
        self.field = self._smoother(self.field + self._step.of(model))

    def mend(self) -> None:
        """The flow folds neither forwards nor backwards."""
        self.field = mended_velocity(self.field, lambda velocity: self._flow(velocity, LARGEST_STEP_VOXELS))


class Sliding:
    """A displacement that minimises the model and its own total variation, at most a step from where it was."""

    def __init__(self, lattice: Lattice, field: Tensor, step: Step, variation: Variation) -> None:
        self._lattice, self.field, self._step, self._variation = lattice, field, step, variation

    def displacement(self) -> Tensor:
        """Itself."""
        return self.field

    def follow(self, model: Quadratic) -> None:
        """The convex problem's answer."""
        wanted = least_variation(model, self.field, self._variation, self._step.damping)
        self.field = self.field + self._step.shortened(wanted - self.field)

    def mend(self) -> None:
        """Folds are smoothed away."""
        self.field = unfolded(self.field)
