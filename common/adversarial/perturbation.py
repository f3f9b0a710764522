"""The role of a perturbation: how inputs are moved to mislead. Entries live in `common/adversarial/perturbations/`.

The same entries make the audit's attacks, what the training of `adversarial` withstands, and the curve of a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np
from torch import Tensor

from common.adversarial.objective import Objective
from common.adversarial.room import Room


class Perturbation(Protocol):
    """A frozen dataclass of options."""

    source: ClassVar[str]
    """The paper it is from."""
    sees: ClassVar[str]
    """"gradients", or "answers" alone."""

    def move(self, objective: Objective, room: Room, draws: Sequence[np.random.Generator]) -> Tensor:
        """(N, ...) inputs within `room`. What a case becomes depends on no other case of the batch.

        draws: a generator for each case (`common.seeding.case_generators`, or `common.selfsupervision.held`).
        """
        ...
