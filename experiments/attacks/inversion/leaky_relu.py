"""A network whose ReLUs let some of the negative through, so that descent does not end where units are silent."""

from __future__ import annotations

from copy import deepcopy

from torch import nn


class Softened:
    """A copy of a network that has leaky ReLUs instead of its ReLUs, of a slope that can be set."""

    def __init__(self, network: nn.Module) -> None:
        self.network = deepcopy(network)
        self._leaks: list[nn.LeakyReLU] = []
        for module in list(self.network.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.ReLU):
                    self._leaks.append(nn.LeakyReLU(0.0))
                    setattr(module, name, self._leaks[-1])

    def leak(self, slope: float) -> None:
        """Of negative values from now on; 0 is the network itself."""
        for one in self._leaks:
            one.negative_slope = slope
