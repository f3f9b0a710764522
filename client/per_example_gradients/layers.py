"""One pass of the whole batch, where each layer works out its weight's gradient case by case, and never the batch's.

Ordinary training needs of a layer's backward pass the gradient of its inputs, and that of its weight summed over the
batch. Here the second is made for one case after the other, which takes as many multiplications, and kept; once the
backward pass is through, all norms are known, and the clipped sum is one product of a vector and a matrix. (Bu et
al. 2023, "Differentially private optimization on large foundation model", call this book-keeping; their norms come
from products of all pairs of pixels, which pays where the gradients do not fit into memory.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from client.clipping import CaseLoss, clip_and_add
from client.per_example_gradients._layer_gradients import LAYERS, CaseGradients
from common.data.cases import Batch
from common.sums.update import Vector

_SINGLE = (int, float, str, torch.dtype, torch.device, torch.memory_format, type(None))


def by_layers(loss: CaseLoss, batch: Batch, clip_norm: float) -> Vector:
    """See ClippedSum. NotImplementedError where a parameter is used by another function than those of LAYERS."""
    if loss.precision != "float32":
        raise NotImplementedError(f"gradients by layers are of float32, not of {loss.precision}.")
    parameters = loss.parameters_in_order()
    kept = CaseGradients(len(batch), {})
    with _CaseByCase(parameters, kept):
        losses = loss(batch)
    if losses.requires_grad:
        losses.sum().backward()
    return clip_and_add([kept.of(parameter) for parameter in parameters], clip_norm)


class _CaseByCase(TorchFunctionMode):
    """Layers called within are replaced by those that keep a gradient a case."""

    def __init__(self, parameters: Sequence[nn.Parameter], kept: CaseGradients) -> None:
        super().__init__()
        self.learned = {id(parameter) for parameter in parameters}
        self.kept = kept

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if not (self._is_shown(args) or (given and self._is_shown(given.values()))):
            return func(*args, **given)  # as also where what is learned for a moment is not
        if func in LAYERS:
            if "input" in given:
                args = (given.pop("input"), *args)
            return LAYERS[func](self.kept, *args, **given)
        answer = func(*args, **given)
        if any(isinstance(value, Tensor) and value.requires_grad for value in tree_leaves(answer)):
            raise NotImplementedError(f"no gradients case by case of {getattr(func, '__name__', func)}.")
        return answer

    def _is_shown(self, values: Iterable[Any]) -> bool:
        """Whether what is learned is among them. PyTorch's own way through what functions are given takes longer."""
        for value in values:
            if isinstance(value, _SINGLE):
                continue
            if isinstance(value, Tensor):
                found = self._learns(value)
            elif isinstance(value, tuple | list):
                found = self._is_shown(value)
            else:
                found = any(self._learns(leaf) for leaf in tree_leaves(value))
            if found:
                return True
        return False

    def _learns(self, value: Any) -> bool:
        return id(value) in self.learned and bool(value.requires_grad)
