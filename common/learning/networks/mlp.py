"""Multilayer perceptron: fully connected layers with ReLU between them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from common.data.cases import Shape
from common.learning.networks._flat import fully_connected
from common.learning.networks._shapes import refuse_unusable
from common.learning.task import Network
from common.study.checks import WIDEST, sized


@dataclass(frozen=True)
class Mlp:
    """hidden: units of each hidden layer, first to last; none at all is logistic regression."""

    hidden: tuple[int, ...] = (64,)

    def __post_init__(self) -> None:
        for index, units in enumerate(self.hidden):
            sized("network", WIDEST, **{f"hidden[{index}]": units})

    def build(self, shape: Shape) -> nn.Module:
        """(N, ...) float32 -> (N, classes) logits. Raises StudyError below two classes."""
        refuse_unusable("mlp", shape)
        return fully_connected(shape, self.hidden)


network: type[Network] = Mlp
