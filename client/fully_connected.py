"""Steps of fully connected layers without autograd's bookkeeping, to the bit what autograd makes of them.

Of a small network's step autograd itself is a third: nodes that are made and walked through, and memory for gradients
that is asked for again at every step. Here the loss alone is autograd's. What is behind the answers is worked out by
the same products in the same order (Rumelhart et al. 1986, equations 6 to 8), into gradients that are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from common.learning.abilities import optimised
from common.learning.client_work import Training
from common.learning.task import Task

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True)
class _Layer:
    """weights: (units, inputs), and bias: (units,), as they are at any time. rectified: whether a ReLU follows."""

    module: nn.Linear
    weights: Tensor
    bias: Tensor
    turned: Tensor
    of_weights: Tensor
    of_bias: Tensor
    rectified: bool

    @classmethod
    def of(cls, module: nn.Linear, rectified: bool) -> _Layer:
        weights, bias = module.weight.detach(), module.bias.detach()
        return cls(module, weights, bias, weights.t(), torch.empty_like(weights), torch.empty_like(bias), rectified)

    def answer(self, inputs: Tensor) -> Tensor:
        """(N, units) of (N, inputs)."""
        answers = torch.addmm(self.bias, inputs, self.turned)
        return answers.relu_() if self.rectified else answers

    def take(self, derivatives: Tensor, inputs: Tensor) -> None:
        """Add to the parameters' gradients. derivatives: (N, units) of what is before the ReLU."""
        weights, bias = self.module.weight, self.module.bias
        if weights.grad is None or bias.grad is None:
            weights.grad = torch.mm(derivatives.t(), inputs, out=self.of_weights)
            bias.grad = torch.sum(derivatives, 0, out=self.of_bias)
            return
        weights.grad.add_(torch.mm(derivatives.t(), inputs))
        bias.grad.add_(torch.sum(derivatives, 0))


class FullyConnected(nn.Module):
    """What a loss asks in place of the network, whose parameters it shares; `backward` follows the loss's own."""

    def __init__(self, layers: list[_Layer]) -> None:
        super().__init__()
        self._layers = layers
        self._shown: list[Tensor] = []

    @classmethod
    def of(cls, task: Task, network: nn.Module, training: Training) -> FullyConnected | None:
        """Of a network of such layers alone, on the CPU, that a task asks for nothing but answers; None of others."""
        plain = training.precision == "float32" and _asks_for_answers(task) and type(network) is nn.Sequential
        return cls(_layers(network)) if plain and _is_fully_connected(cast(nn.Sequential, network)) else None

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, answers) of (N, ...), by which a loss can be differentiated."""
        self._shown[:] = [inputs.flatten(1)]
        for layer in self._layers:
            self._shown.append(layer.answer(self._shown[-1]))
        return self._shown[-1].requires_grad_()

    def backward(self) -> None:
        """Add to the parameters' gradients, after the loss's own `backward` and once after each."""
        derivatives = self._shown[-1].grad
        if derivatives is None:
            return
        for index in reversed(range(len(self._layers))):
            layer, inputs = self._layers[index], self._shown[index]
            layer.take(derivatives, inputs)
            if index:
                derivatives = torch.mm(derivatives, layer.weights)
                if self._layers[index - 1].rectified:
                    derivatives = torch.ops.aten.threshold_backward(derivatives, inputs, 0)


def _asks_for_answers(task: Task) -> bool:
    """As the class says whose `loss` it is: who inherits the word may have another, or one a group."""
    if optimised(task):
        return False
    owners = [one for one in (task, *type(task).__mro__) if "loss" in getattr(one, "__dict__", {})]
    return bool(owners) and vars(owners[0]).get("loss_of_answers") is True


def _is_fully_connected(network: nn.Sequential) -> bool:
    first, *others = network if len(network) > 1 else (None,)
    kinds = [type(one) for one in others]
    linear = [one for one in others if isinstance(one, nn.Linear)]
    parameters = [parameter for one in linear for parameter in (one.weight, one.bias)]
    return (
        type(first) is nn.Flatten
        and (first.start_dim, first.end_dim) == (1, -1)
        and kinds[0] is kinds[-1] is nn.Linear
        and set(kinds) <= {nn.Linear, nn.ReLU}
        and (nn.ReLU, nn.ReLU) not in pairwise(kinds)
        and all(_is_plain(parameter) for parameter in parameters)
        and len({id(parameter) for parameter in parameters}) == len(parameters)
        and not _has_any_global_hook()  # type: ignore[no-untyped-call]
        and not any(vars(one).get(name) for one in network.modules() for name in (*HOOKS, "forward"))
    )


def _is_plain(parameter: Tensor | None) -> bool:
    if parameter is None:
        return False
    is_whole = parameter.is_cpu and parameter.dtype == torch.float32 and parameter.is_contiguous()
    is_watched = parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None)
    return is_whole and parameter.requires_grad and not is_watched


def _layers(network: nn.Module) -> list[_Layer]:
    parts = [*cast(nn.Sequential, network), None]
    return [_Layer.of(one, isinstance(then, nn.ReLU)) for one, then in pairwise(parts) if isinstance(one, nn.Linear)]
