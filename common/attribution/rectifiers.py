"""Signals sent back through a network whose ReLUs follow another rule than the gradient's.

The rule is put in place while the network is asked, by what it calls and not by what it is made of: a module, a
function, one that works in place or a clamp at zero are all caught, and no module is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from common.attribution.aim import Aim
from common.attribution.gradients import input_gradient
from common.errors import AttributionError

Rule = Literal["deconvnet", "guided_backpropagation"]
RELU = {torch.relu, torch.relu_, functional.relu, Tensor.relu, Tensor.relu_}
IN_PLACE = {torch.relu_, Tensor.relu_, Tensor.clamp_, Tensor.clamp_min_, torch.clamp_, torch.clamp_min_}
CLAMP = {torch.clamp, torch.clamp_, torch.clamp_min, torch.clamp_min_} | {
    Tensor.clamp,
    Tensor.clamp_,
    Tensor.clamp_min,
    Tensor.clamp_min_,
}
FLAGGED = {functional.relu: 1, functional.relu6: 1, functional.hardtanh: 3}
"""Functions that work in place where they are told to, and which of their arguments says so."""
SIX = 6.0
OTHERS: Mapping[Any, str] = {
    functional.leaky_relu: "LeakyReLU",
    functional.gelu: "GELU",
    functional.elu: "ELU",
    functional.celu: "CELU",
    functional.selu: "SELU",
    functional.silu: "SiLU",
    functional.mish: "Mish",
    functional.softplus: "Softplus",
    functional.hardswish: "Hardswish",
    functional.prelu: "PReLU",
    torch.prelu: "PReLU",
    torch.tanh: "tanh",
    Tensor.tanh: "tanh",
    torch.sigmoid: "sigmoid",
    Tensor.sigmoid: "sigmoid",
}


def rectified_gradient(network: nn.Module, inputs: Tensor, aim: Aim, rule: Rule) -> Tensor:
    """What comes back to the inputs, as they are.

    deconvnet: of the signal that reaches a ReLU from above, what is positive passes (Zeiler and Fergus 2014, section
    2.1). guided_backpropagation: of that, what lies where the ReLU was open (Springenberg et al. 2015, section 3.4).
    A max pooling passes it to where the largest value was, a pooling switch. Others pass their gradient.

    Raises AttributionError for a network without a ReLU, of which the rule would be the gradient under another name.
    """
    ruled = _Ruled(rule)
    with ruled:
        found = input_gradient(network, inputs, aim)
    if not ruled.rectified:
        met = f"what it has is {', '.join(sorted(ruled.others))}" if ruled.others else "nor anything in its place"
        raise AttributionError(
            f"{rule} changes how a signal passes ReLUs backwards, and none can be seen in this network ({met}): take"
            " saliency, gradient_x_input or integrated_gradients."
        )
    return found


class _Ruled(TorchFunctionMode):
    """While it is on, ReLUs follow the rule. rectified: whether one was met. others: which else were."""

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule, self.rectified = rule, False
        self.others: set[str] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """The function's answer, by the rule where it is a ReLU."""
        given = kwargs or {}
        if func in OTHERS:
            self.others.add(OTHERS[func])
        ceiling = _ceiling(func, args, given)
        if ceiling is None:
            return func(*args, **given)
        self.rectified = True
        values = cast(Tensor, args[0] if args else given["input"])
        apply = cast(Callable[[Tensor, float, bool], Tensor], _Rectified.apply)
        answer = apply(values, ceiling, self.rule == "guided_backpropagation")
        in_place = func in IN_PLACE or (
            func in FLAGGED and bool(given.get("inplace", args[FLAGGED[func] :][:1] == (True,)))
        )
        return values.copy_(answer) if in_place else answer


class _Rectified(torch.autograd.Function):
    """min(max(x, 0), ceiling); backwards what is positive of the signal, guided: where the ReLU was open."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, ceiling: float, guided: bool) -> Tensor:
        """As of a ReLU."""
        if guided:
            ctx.save_for_backward((values > 0) & (values < ceiling))
        return values.clamp(0.0, ceiling)

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor, None, None]:
        """By the rule."""
        (signal,) = signals
        positive = signal.clamp(min=0)
        return (positive * ctx.saved_tensors[0] if ctx.saved_tensors else positive), None, None


def _ceiling(func: Any, args: tuple[Any, ...], given: Mapping[str, Any]) -> float | None:
    """Where the function is a ReLU, what it is cut off at; None where it is none."""
    if func in RELU:
        return float("inf")
    if func is functional.relu6:
        return SIX
    if func is functional.hardtanh:  # what nn.ReLU6 calls
        bounds = [*args[1:], None, None]
        least, most = given.get("min_val", bounds[0]), given.get("max_val", bounds[1])
        return float(most) if least == 0 and most is not None else None
    if func in CLAMP:
        bounds = [*args[1:], None, None]
        least, most = given.get("min", bounds[0]), given.get("max", bounds[1])
        if isinstance(least, int | float) and least == 0 and (most is None or isinstance(most, int | float)):
            return float("inf") if most is None else float(most)
    return None
