"""Pyramids and optimisers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.data.geometry import Geometry
from common.data.image import Image
from common.errors import UnknownNameError
from common.registration.choices import OPTIMISERS, optimiser_of
from common.registration.filters import along_axes, gaussian, window
from common.registration.optimisers import MOST_STEPS_AWAY, Lbfgs, Optimiser
from common.registration.pyramid import pyramid, suited_levels

VALLEY = torch.tensor([3.0, -2.0, 0.5], dtype=torch.float64)
STRETCH = torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64)


@given(st.sampled_from(sorted(OPTIMISERS)))
def test_every_optimiser_finds_the_bottom_of_a_valley(name: str) -> None:
    optimiser: Optimiser = optimiser_of(name)
    found = optimiser.minimise(lambda p: ((p - VALLEY) ** 2 * STRETCH).sum(), torch.zeros(3, dtype=torch.float64))
    assert (found.parameters - VALLEY).abs().max() < 0.1
    assert len(found.costs) > 1


def test_the_random_optimiser_averages_noise_away() -> None:
    rng = np.random.default_rng(0)
    found = optimiser_of("sgd").minimise(
        lambda p: ((p - VALLEY + 0.3 * torch.from_numpy(rng.normal(size=3))) ** 2).sum(), torch.zeros(3).double()
    )
    assert (found.parameters - VALLEY).abs().max() < 0.2


def test_only_the_random_optimiser_asks_for_random_points() -> None:
    assert [name for name in OPTIMISERS if optimiser_of(name).stochastic] == ["sgd"]


def test_an_unknown_optimiser_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'adam'"):
        optimiser_of("adm")


def test_a_pyramid_halves_the_finest_axes_first_and_stays_in_place() -> None:
    image = Image(np.ones((64, 48, 16)), Geometry.of((64, 48, 16), (1.0, 1.0, 4.0), (5, 6, 7)))
    levels = pyramid(image, 3)
    assert [level.geometry.shape for level in levels] == [(16, 12, 16), (32, 24, 16), (64, 48, 16)]
    for level in levels:
        np.testing.assert_allclose(level.values, 1, atol=1e-6)
        np.testing.assert_allclose(level.geometry.centre_mm, image.geometry.centre_mm)


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_a_ramp_stays_the_same_ramp_away_from_the_faces(one: float, two: float) -> None:
    geometry = Geometry.of((64, 48), (1.0, 1.5), (-3, 4))
    points = geometry.voxel_to_world(np.moveaxis(np.indices(geometry.shape), 0, -1))
    coarse = pyramid(Image(points @ [one, two], geometry), 2)[0]
    places = coarse.geometry.voxel_to_world(np.moveaxis(np.indices(coarse.geometry.shape), 0, -1))
    inner = (slice(4, -4), slice(4, -4))
    np.testing.assert_allclose(coarse.values[inner], (places @ [one, two])[inner], atol=3e-3)


def test_small_images_get_few_levels() -> None:
    assert [suited_levels(Geometry.of((size, 8))) for size in (8, 31, 32, 64, 1000)] == [1, 1, 2, 3, 4]


def test_a_window_sum_equals_a_loop_and_smoothing_keeps_a_constant() -> None:
    values = torch.arange(20.0).reshape(1, 4, 5)
    sums = along_axes(values, [window(4, 1), window(5, 1)])[0]
    for i, j in np.ndindex(4, 5):
        assert sums[i, j] == values[0, max(0, i - 1) : i + 2, max(0, j - 1) : j + 2].sum()
    flat = along_axes(torch.ones(2, 6, 7), [gaussian(6, 2.0), gaussian(7, 2.0)])
    torch.testing.assert_close(flat, torch.ones(2, 6, 7))


def test_a_line_search_leaps_to_nowhere() -> None:
    """Where a cost was flat but for rounding, it leapt a hundred km, to where a matrix's exponential is no number."""

    def downhill(point: torch.Tensor) -> torch.Tensor:
        asked.append(float(point.detach().abs().max()))
        return -1e-3 * point[0]

    asked: list[float] = []
    found = Lbfgs(first_step_mm=2.0).minimise(downhill, torch.zeros(3, dtype=torch.float64))
    assert 100 < max(asked) <= 2.0 * MOST_STEPS_AWAY
    assert found.parameters[0] == max(asked)
