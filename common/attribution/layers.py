"""What a layer of any network answers, found by its name, without changing the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from common.attribution.gradients import asked
from common.errors import AttributionError
from common.study.spelling import unknown


def layer_named(network: nn.Module, name: str) -> nn.Module:
    """A module as `named_modules` calls it. Raises UnknownNameError, which names the nearest."""
    known: dict[str, nn.Module] = {found: module for found, module in network.named_modules() if found}
    if name not in known:
        raise unknown("layer", name, known)
    return known[name]


@contextmanager
def kept(layer: nn.Module) -> Iterator[list[Tensor]]:
    """While the block lasts, what the layer answers at each call, in the graph of the network's answer.

    What follows is shown a copy, so that a ReLU in place does not change what is kept.
    """
    answers: list[Tensor] = []

    def keep(module: nn.Module, given: object, answer: object) -> object:
        if not isinstance(answer, Tensor):
            return None
        answers.append(answer)
        return answer.clone()

    handle = layer.register_forward_hook(keep)
    try:
        yield answers
    finally:
        handle.remove()


def activations(network: nn.Module, name: str, inputs: Tensor) -> Tensor:
    """What the layer answers, (N, ...), differentiable by the inputs; of a layer that is used again, the last.

    Raises UnknownNameError for a layer that there is not, AttributionError for one that answers with no tensor.
    """
    with kept(layer_named(network, name)) as answers:
        network(inputs)
    if not answers:
        raise AttributionError(f"layer {name!r} answers with no tensor in this network, or is not used by it.")
    return answers[-1]


def answers_by_layer(network: nn.Module, inputs: Tensor) -> Mapping[str, Tensor]:
    """What each layer answers with a tensor of a row a case, in the order in which layers are done; no gradient.

    The network's own answer is left out, whichever layer gave it.
    """
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def keep(name: str, answer: object) -> None:
        if isinstance(answer, Tensor) and answer.ndim > 1 and len(answer) == len(inputs):
            found.pop(name, None)
            found[name] = answer, answer.clone()

    with ExitStack() as hooks, asked(network), torch.no_grad():
        for name, module in network.named_modules():
            if name:
                handle = module.register_forward_hook(lambda _module, _given, answer, name=name: keep(name, answer))
                hooks.callback(handle.remove)
        answer = network(inputs)
    return {name: copy for name, (given, copy) in found.items() if given is not answer}
