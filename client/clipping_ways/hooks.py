"""Opacus' hooks: one pass of the whole batch, every layer's gradients kept case by case."""

from __future__ import annotations

import warnings
from copy import deepcopy

import torch
from opacus.grad_sample.grad_sample_module import GradSampleHooks
from torch import nn

from client.clipping import CaseLoss, Whole, clip_and_add
from common.cases import Batch
from common.layers import ChannelsLast
from common.update import Vector


def by_hooks(loss: CaseLoss, batch: Batch, clip_norm: float) -> Vector:
    """See ClippedSum."""
    copied = CaseLoss(loss.task, plainly_laid_out(loss.network), loss.precision)
    GradSampleHooks(copied.network, loss_reduction="sum")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Full backward hook is firing")
        copied(batch).sum().backward()
    parameters = copied.parameters_in_order()
    parts = [getattr(parameter, "grad_sample", None) for parameter in parameters]
    gradients = [
        Whole(parameter.new_zeros((len(batch), *parameter.shape)) if part is None else part.detach())
        for parameter, part in zip(parameters, parts, strict=True)
    ]
    return clip_and_add(gradients, clip_norm)


def plainly_laid_out(network: nn.Module) -> nn.Module:
    """A copy that Opacus computes rightly: channels outermost, and no activation that writes over its input.

    Opacus 1.6.0 unfolds images by strides that it works out for channels outermost; where they are innermost its
    gradients are wrong without a word.
    """
    copied = deepcopy(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for module in copied.modules():
        if isinstance(module, ChannelsLast):
            module.format = torch.contiguous_format
        if getattr(module, "inplace", False):
            module.inplace = False
    plain: nn.Module = copied
    return plain
