"""One case after the other through ordinary autograd: any network, and memory for one gradient only."""

from __future__ import annotations

import torch
from torch.nn.utils import get_total_norm

from client.clipping import CaseLoss, as_vector, case_of, clipping_factors
from common.data.cases import Batch
from common.sums.update import Vector


def by_loop(loss: CaseLoss, batch: Batch, clip_norm: float) -> Vector:
    """See ClippedSum."""
    parameters = loss.parameters_in_order()
    total = [torch.zeros_like(parameter) for parameter in parameters]
    for index in range(len(batch)):
        loss.zero_grad()
        loss(case_of(batch, index)).sum().backward()
        gradients = [parameter.grad for parameter in parameters]
        factor = float(clipping_factors(get_total_norm(g for g in gradients if g is not None), clip_norm))
        for part, gradient in zip(total, gradients, strict=True):
            if factor and gradient is not None:
                part.add_(gradient, alpha=factor)
    loss.zero_grad()
    return as_vector(total)
