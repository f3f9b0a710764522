"""Logistic regression, of two classes or more: one linear layer and a softmax."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from common.data.cases import Shape
from common.learning.networks._flat import fully_connected
from common.learning.networks._shapes import refuse_unusable
from common.learning.task import Network


@dataclass(frozen=True)
class Logistic:
    """No options."""

    def build(self, shape: Shape) -> nn.Module:
        """(N, ...) float32 -> (N, classes) logits. Raises StudyError below two classes."""
        refuse_unusable("logistic", shape)
        return fully_connected(shape, ())


network: type[Network] = Logistic
