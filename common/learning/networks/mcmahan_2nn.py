"""McMahan's 2NN: two hidden layers of 200 ReLU units, 199,210 parameters on MNIST."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from common.data.cases import Shape
from common.learning.networks._flat import fully_connected
from common.learning.networks._shapes import refuse_unusable
from common.learning.task import Network


@dataclass(frozen=True)
class McMahan2NN:
    """The multilayer perceptron of McMahan et al. 2017, Communication-Efficient Learning, section 3. No options."""

    def build(self, shape: Shape) -> nn.Module:
        """(N, ...) float32 -> (N, classes) logits. Raises StudyError below two classes."""
        refuse_unusable("mcmahan_2nn", shape)
        return fully_connected(shape, (200, 200))


network: type[Network] = McMahan2NN
