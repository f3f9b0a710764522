"""The role of an attribution. Entries live in `common/attribution/methods/`.

A map says how much of an answer rests on each value of an input, by the method's own notion of "rests on". Whether it
says anything of the network at all is measured apart from it, in `common/attribution/faithfulness/`.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np
from torch import Tensor, nn

from common.attribution.aim import Aim


class Attribution(Protocol):
    """A frozen dataclass of options."""

    source: ClassVar[str]
    """The paper it is from."""
    signed: ClassVar[bool]
    """Whether a value below zero speaks against the answer; otherwise only the size of a value means something."""

    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        """(N, C, *S) or (N, F) as the inputs are, or (N, 1, *S) where channels are not told apart; float32.

        The network is left as it was: its mode, its parameters, their gradients, its hooks. A case's map depends on
        no other case. Raises AttributionError in words where the method does not fit the network.
        """
        ...


class AttributionAbilities(Protocol):
    """The optional members. No attribution must have them."""

    control: ClassVar[bool]
    """Whether it does not ask the network at all, and is there to be compared with."""


def is_control(method: object) -> bool:
    """Whether an attribution, or its class, is a control that does not ask the network."""
    return bool(getattr(method, "control", False))
