"""Operators on a pretended GPU: nothing is made on the wrong device, and the numbers are the CPU's."""

import numpy as np
import pytest
import torch

from common.learning.device import repeatable
from common.reconstruction.first_image import first_image
from common.reconstruction.imaging_operator import Shifted, Spectral
from tests.common.reconstruction.test_every_operator import TRIED, Tried
from tests.pretended_device import GPU, NOT_REPEATABLE, pretended_gpu

WITHOUT_SPARSE = [one for one in TRIED if one.name != "ct"]
"""The pretence holds dense tensors alone."""


def worked_out(tried: Tried, parameters: dict[str, torch.Tensor], image: torch.Tensor) -> list[torch.Tensor]:
    """Whatever a solver or a network asks."""
    linear = tried.entry().map(tried.shape, parameters)
    given = image.requires_grad_()
    data = linear.forward(given)
    (gradient,) = torch.autograd.grad(data.square().sum(), [given])
    found = [data.detach(), gradient, linear.norm(), first_image(linear, data.detach())]
    if isinstance(linear, Shifted):
        found.append(linear.solve_shifted(image.detach(), linear.norm()))
    if isinstance(linear, Spectral):
        found.append(linear.singular_values())
    return found


@pytest.mark.parametrize("tried", WITHOUT_SPARSE, ids=lambda one: f"{one.name}-{'x'.join(map(str, one.shape))}")
def test_what_operators_compute_is_the_cpus(tried: Tried) -> None:
    drawn = tried.entry().draw(np.random.default_rng(0), tried.shape)
    parameters = {name: torch.from_numpy(values)[None] for name, values in drawn.items()}
    image = torch.randn(1, *tried.shape, generator=torch.Generator().manual_seed(0))
    ours = worked_out(tried, parameters, image.clone())
    with pretended_gpu() as asked, repeatable(GPU):
        there = {name: values.to(GPU) for name, values in parameters.items()}
        found = [one.cpu() for one in worked_out(tried, there, image.clone().to(GPU))]
    assert not asked & set(NOT_REPEATABLE)
    for one, other in zip(found, ours, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-4)
