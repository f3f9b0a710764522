"""The step within a step: inputs are moved against a network that is not learned meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


@contextmanager
def not_learning(network: nn.Module) -> Iterator[None]:
    """While it lasts no parameter has a gradient: half of a backward pass is spared, and nothing of it is left.

    What keeps gradients of single cases, by layers or by hooks, looks at the same flag, and sees nothing.
    """
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)


def followed(moved: Tensor, inputs: Tensor) -> Tensor:
    """`moved`, through which a gradient of the inputs goes as if their change were a constant.

    An attack that searches inputs asks for it; in training, inputs have no gradient, and bits stay as they are.
    """
    return inputs + (moved - inputs).detach() if inputs.requires_grad else moved
