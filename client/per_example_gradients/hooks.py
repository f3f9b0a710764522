"""Opacus' hooks: one pass of the whole batch, every layer's gradients kept case by case."""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn

from client.clipping import CaseLoss, Whole, clip_and_add, plainly_laid_out
from common.data.cases import Batch
from common.extras import needed_by
from common.sums.update import Vector


def by_hooks(loss: CaseLoss, batch: Batch, clip_norm: float) -> Vector:
    """See ClippedSum.

    Opacus 1.6.0 unfolds images by strides that it works out for channels outermost; where they are innermost its
    gradients are wrong without a word. So it gets a copy of the network that has them outermost.

    Raises StudyError without Opacus, NotImplementedError where a layer is shown several rows of a case.
    """
    with needed_by("clipping by hooks"):
        from opacus.grad_sample.grad_sample_module import GradSampleHooks

    class Learning(GradSampleHooks):  # type: ignore[misc]  # it has no types
        """Not of what for a moment does not learn, as while inputs are moved: it kept nothing of the way forward."""

        def capture_backprops_hook(self, module: nn.Module, *given: Any, **named: Any) -> Any:
            if any(parameter.requires_grad for parameter in module.parameters(recurse=False)):
                super().capture_backprops_hook(module, *given, **named)

    copied = CaseLoss(loss.task, plainly_laid_out(loss.network), loss.precision)
    Learning(copied.network, loss_reduction="sum")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Full backward hook is firing")
        copied(batch).sum().backward()
    parameters = copied.parameters_in_order()
    parts = [getattr(parameter, "grad_sample", None) for parameter in parameters]
    if rows := {len(part) for part in parts if part is not None} - {len(batch)}:
        raise NotImplementedError(f"a layer was shown {min(rows)} rows of {len(batch)} cases.")
    gradients = [
        Whole(parameter.new_zeros((len(batch), *parameter.shape)) if part is None else part.detach())
        for parameter, part in zip(parameters, parts, strict=True)
    ]
    return clip_and_add(gradients, clip_norm)
