"""The image that data give by themselves: near the truth, also of noisy data."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from common.reconstruction.first_image import first_image
from common.reconstruction.imaging_operator import LinearMap, Operator
from common.reconstruction.noise import GaussianNoise
from common.reconstruction.operators.ct import Ct
from common.study.catalogue import OPERATORS
from common.study.options import Entry

SIZE = 32


def smooth(channels: int) -> Tensor:
    """(1, C, 32, 32) a disc with a softened edge and a bright spot, from 0 to 1."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    disc = 0.7 / (1 + np.exp(np.hypot(x, y) - 11)) + 0.3 * np.exp(-((x - 3) ** 2 + (y + 2) ** 2) / 8)
    return torch.from_numpy(np.stack([disc / (1 + channel) for channel in range(channels)]))[None]


def measured(name: str, options: dict[str, Any], truth: Tensor, noise: float) -> tuple[LinearMap, Tensor]:
    entry: Operator = OPERATORS.build(Entry(name, options))
    shape = tuple(truth.shape[1:])
    drawn = entry.draw(np.random.default_rng(0), shape)
    linear = entry.map(shape, {key: torch.from_numpy(values)[None] for key, values in drawn.items()})
    return linear, GaussianNoise(noise).added(linear.forward(truth), linear, np.random.default_rng(1))


@pytest.mark.parametrize(
    ("name", "options", "noise", "most"),
    [
        ("ct", {"views": 60}, 0.1, 0.12),
        ("ct", {"views": 90, "kernel": "strip", "detector_pixels": 0.7, "range_degrees": 360.0}, 0.0, 0.12),
        ("ct", {"views": 90, "measured_views": 45, "kernel": "line"}, 0.0, 0.12),
        ("radial_mri", {"spokes": 60}, 0.02, 0.1),
        ("radial_mri", {"spokes": 60, "measured_spokes": 50, "coils": 3, "samples": 64}, 0.02, 0.1),
        ("cartesian_mri", {"acceleration": 1.0, "coils": 4}, 0.02, 0.1),
        ("blur", {}, 0.02, 0.12),
        ("blur", {"boundary": "reflect", "point_spread": "motion"}, 0.02, 0.25),
        ("blur", {"boundary": "zero"}, 0.02, 0.12),
        ("downsampling", {"kernel": "gaussian"}, 0.02, 0.2),
        ("downsampling", {}, 0.02, 0.2),
        ("chain", {"operators": ["blur", {"name": "ct", "views": 60}]}, 0.02, 0.15),
    ],
)
def test_it_is_near_a_smooth_image(name: str, options: dict[str, Any], noise: float, most: float) -> None:
    truth = smooth(2 if name.endswith("mri") else 1)
    linear, data = measured(name, options, truth, noise)
    assert (first_image(linear, data) - truth).norm() < most * truth.norm()


def test_filtered_back_projection_keeps_the_mean_of_a_disc() -> None:
    truth = smooth(1)
    linear, data = measured("ct", {"views": 90}, truth, 0.0)
    inside = truth[0, 0] > 0.65
    found = first_image(linear, data)[0, 0][inside].mean()
    assert abs(found / truth[0, 0][inside].mean() - 1) < 0.02


def test_views_that_lack_leave_its_scale() -> None:
    truth = smooth(1)
    linear, data = measured("ct", {"views": 90, "measured_views": 30}, truth, 0.0)
    whole = Ct(90).map((1, SIZE, SIZE), {"views": torch.ones(1, 90)})
    ours, theirs = first_image(linear, data).sum(), first_image(whole, whole.forward(truth)).sum()
    assert abs(ours / theirs - 1) < 0.01
