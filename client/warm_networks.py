"""Networks of hospitals that share a process: a few are kept, others are made again when their hospital is asked.

What a hospital's network holds between two requests is not relied on: a node may be a process of its own for every
request. A thousand hospitals in one process would otherwise hold a thousand networks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from copy import deepcopy

from torch import nn

BYTES_KEPT_WARM = 1 << 28
FEWEST_KEPT_WARM = 4


class WarmNetworks:
    """By whose they are. Beyond `most_bytes` and `fewest` the one that was asked for longest ago is let go."""

    def __init__(self, most_bytes: int = BYTES_KEPT_WARM, fewest: int = FEWEST_KEPT_WARM) -> None:
        self._most_bytes, self._fewest = most_bytes, fewest
        self._kept: OrderedDict[Hashable, nn.Module] = OrderedDict()
        self._pattern: tuple[Hashable, nn.Module] | None = None

    def of(self, whose: Hashable, kind: Hashable, make: Callable[[], nn.Module]) -> nn.Module:
        """The network of `whose`. kind: what decides how it begins; make: called where it must be made.

        From the second of a kind on they are copied from a pattern, which is faster than to draw them.
        """
        if whose in self._kept:
            self._kept.move_to_end(whose)
            return self._kept[whose]
        network = self._copied(kind, make) if self._kept else make()
        self._kept[whose] = network
        most = max(self._fewest, self._most_bytes // max(1, _bytes_of(network)))
        while len(self._kept) > most:
            self._kept.popitem(last=False)
        return network

    def _copied(self, kind: Hashable, make: Callable[[], nn.Module]) -> nn.Module:
        """Made where it cannot be copied, as with `torch.nn.utils.weight_norm`, whose weights are no leaves."""
        try:
            return deepcopy(self._pattern_of(kind, make))
        except RuntimeError:
            return make()

    def _pattern_of(self, kind: Hashable, make: Callable[[], nn.Module]) -> nn.Module:
        if self._pattern is None or self._pattern[0] != kind:
            self._pattern = (kind, make())
        return self._pattern[1]

    def clear(self) -> None:
        """Let all go."""
        self._kept.clear()
        self._pattern = None


def _bytes_of(network: nn.Module) -> int:
    tensors = (*network.parameters(), *network.buffers())
    return sum(one.numel() * one.element_size() for one in tensors)
