"""Compiled histograms and reading are what torch finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from common.data.geometry import Geometry
from common.data.image import Image
from common.registration.histogram_kernels import KERNELS
from common.registration.information import _CompiledHistogram, _JointHistogram
from common.registration.sampling import Sampler
from common.registration.sampling_kernels import READ

REASON = "numba is not installed; both ways are then the same one"


@pytest.mark.skipif(KERNELS is None, reason=REASON)
@pytest.mark.parametrize("bins", [8, 32, 96])
def test_a_compiled_histogram_and_its_slopes_are_those_of_torch(bins: int) -> None:
    rng = np.random.default_rng(bins)
    moving, fixed, share = (torch.from_numpy(rng.uniform(*ends, 3000)) for ends in ((-0.1, 1.1), (-0.1, 1.1), (0, 1)))
    moving[:4] = torch.tensor([0.0, 1.0, 0.5, 0.25])
    share[::7] = 0
    pull = torch.from_numpy(rng.normal(size=(bins, bins)))
    found = []
    for way in (_CompiledHistogram, _JointHistogram):
        here = moving.clone().requires_grad_()
        histogram = way.apply(here, fixed, share, bins)  # type: ignore[no-untyped-call]
        found.append((histogram.detach(), torch.autograd.grad((histogram * pull).sum(), here)[0]))
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)


@pytest.mark.skipif(READ is None, reason=REASON)
@pytest.mark.parametrize("shape", [(9, 12), (7, 9, 8), (5, 1, 6)])
def test_compiled_reading_and_its_slopes_are_those_of_torch(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    sampler = Sampler.of(Image(rng.random(shape, np.float32), Geometry.of(shape)))
    cube = torch.from_numpy(rng.uniform(-1.3, 1.3, size=(4000, len(shape)))).float()
    pull = torch.from_numpy(rng.normal(size=4000)).float()
    found = []
    for dtype in (torch.float32, torch.float64):
        here = cube.to(dtype).requires_grad_()
        values = sampler.at_cube(here)
        found.append((values.detach().float(), torch.autograd.grad((values[0] * pull).sum(), here)[0].float()))
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4)
