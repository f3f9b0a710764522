"""What a network answers on its way, layer by layer: after every nonlinearity, whether a module or a function.

A hook of a module does not see `relu(x)` that is written in a `forward`, and what a module answered may be changed in
place by the next. So functions are watched as they are called, and what they answer is copied at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from common.attribution.gradients import asked

NONLINEAR: Mapping[str, str] = {
    "relu": "ReLU",
    "relu6": "ReLU6",
    "leaky_relu": "leaky ReLU",
    "prelu": "PReLU",
    "rrelu": "RReLU",
    "threshold": "threshold",
    "hardtanh": "hard tanh",
    "hardswish": "hard swish",
    "elu": "ELU",
    "selu": "SELU",
    "celu": "CELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "mish": "Mish",
    "softplus": "softplus",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
}
"""Functions of torch, by what they are called there but for the underscore of those in place; in words."""
See = Callable[[str, str, Tensor], None]
"""Told the module in which a nonlinearity was called, which it was, and what it answered, a tensor not to keep."""


@dataclass(frozen=True, eq=False)
class Activation:
    """path: of the module, as `named_modules` says. kind: of the nonlinearity, in words.

    values: (N, K, *S), (N, T, W) of tokens, or (N, K); a copy.
    """

    path: str
    kind: str
    values: Tensor


def activations(network: nn.Module, inputs: Tensor) -> tuple[Activation, ...]:
    """After every nonlinearity, in the order in which they were called; () of a network that has none.

    Of one that is called several times there is an activation for every call. The network is left as it was.
    """
    found: list[Activation] = []
    with watched(network, lambda path, kind, values: found.append(Activation(path, kind, _own(values)))):
        shown(network, inputs)
    return tuple(found)


def shown(network: nn.Module, inputs: Tensor) -> Tensor:
    """The network's answer, in evaluation mode, without a gradient."""
    with asked(network), torch.no_grad():
        answer: Tensor = network(inputs)
    return answer


@contextmanager
def watched(network: nn.Module, see: See) -> Iterator[None]:
    """`see` every nonlinearity that is called within."""
    within: list[str] = []
    handles = []
    for path, module in network.named_modules():
        handles.append(module.register_forward_pre_hook(_entering(within, path)))
        handles.append(module.register_forward_hook(_leaving(within), always_call=True))
    try:
        with _Watching(within, see):
            yield
    finally:
        for handle in handles:
            handle.remove()


class _Watching(TorchFunctionMode):
    def __init__(self, within: Sequence[str], see: See) -> None:
        super().__init__()
        self._within, self._see = within, see

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        kind = NONLINEAR.get(getattr(func, "__name__", "").rstrip("_"))
        if kind is not None and isinstance(answer, Tensor) and self._within:
            self._see(self._within[-1], kind, answer)
        return answer


def _entering(within: list[str], path: str) -> Callable[..., None]:
    def enter(module: nn.Module, given: object) -> None:
        within.append(path)

    return enter


def _leaving(within: list[str]) -> Callable[..., None]:
    def leave(module: nn.Module, given: object, answer: object) -> None:
        within.pop()

    return leave


def _own(values: Tensor) -> Tensor:
    return values.detach().clone(memory_format=torch.contiguous_format)
