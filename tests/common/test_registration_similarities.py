"""Similarities: worked out by hand on a few pixels, over the overlap only, with the derivatives autograd gives."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from common.errors import UnknownNameError
from common.registration.choices import SIMILARITIES, similarity_of
from common.registration.information import (
    POINTS_AT_ONCE,
    CorrelationRatio,
    MutualInformation,
    NormalisedMutualInformation,
    entropy,
    joint_histogram,
    parzen,
)
from common.registration.local_correlation import FLAT, LocalCorrelation
from common.registration.similarity import CorrelationCoefficient, Similarity, cubic_spline

seeds = st.integers(0, 2**32 - 1)
SHAPE = (6, 5)
names = st.sampled_from(sorted(SIMILARITIES))


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def drawn(seed: int, shape: tuple[int, ...] = SHAPE) -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    moving, fixed = (torch.from_numpy(rng.uniform(0.05, 0.95, size=shape)) for _ in range(2))
    return moving, fixed, torch.from_numpy((rng.uniform(size=shape) < 0.8).astype(float))


def test_squared_and_absolute_differences_by_hand() -> None:
    moving, fixed, weight = tensor(1, 2, 5, 100), tensor(1, 4, 2, 0), tensor(1, 1, 1, 0)
    assert float(SIMILARITIES["ssd"]().cost(moving, fixed, weight)) == pytest.approx((0 + 4 + 9) / 3)
    assert float(SIMILARITIES["sad"]().cost(moving, fixed, weight)) == pytest.approx((0 + 2 + 3) / 3)


def test_correlation_by_hand() -> None:
    """(-1, 0, 1) and (-1, 1, 0): cov 1/3, variances 2/3."""
    cost = CorrelationCoefficient().cost(tensor(1, 2, 3, 9), tensor(1, 3, 2, 0), tensor(1, 1, 1, 0))
    assert float(cost) == pytest.approx(-0.5)


@given(seeds)
def test_correlation_equals_numpys(seed: int) -> None:
    moving, fixed, _ = drawn(seed)
    wanted = -np.corrcoef(moving.numpy().ravel(), fixed.numpy().ravel())[0, 1]
    assert float(CorrelationCoefficient().cost(moving, fixed, torch.ones(SHAPE))) == pytest.approx(wanted)


def test_a_constant_image_correlates_with_nothing_and_is_no_nan() -> None:
    moving = tensor(0.3, 0.3, 0.3).requires_grad_()
    cost = CorrelationCoefficient().cost(moving, tensor(0.1, 0.2, 0.3), torch.ones(3))
    (gradient,) = torch.autograd.grad(cost, moving)
    assert cost.item() == pytest.approx(0)
    assert torch.isfinite(gradient).all()


@given(seeds)
def test_local_correlation_equals_a_slow_loop_over_windows(seed: int) -> None:
    moving, fixed, weight = drawn(seed)
    total = 0.0
    for i, j in np.argwhere(weight.numpy()):
        part = (slice(max(0, i - 1), i + 2), slice(max(0, j - 1), j + 2))
        inside = weight[part] > 0
        one, two = moving[part][inside].numpy(), fixed[part][inside].numpy()
        covariance = (one * two).mean() - one.mean() * two.mean()
        total += covariance**2 / ((one.var() + FLAT) * (two.var() + FLAT))
    cost = LocalCorrelation(radius=1).cost(moving, fixed, weight)
    assert float(cost) == pytest.approx(-total / max(float(weight.sum()), 1e-9), abs=1e-9)


def test_entropies_of_two_equal_bins_by_hand() -> None:
    assert float(entropy(tensor(0.5, 0.5, 0))) == pytest.approx(log(2))


def test_a_value_on_a_bin_has_the_splines_weights() -> None:
    """With 8 bins, 0.625 lies at 1.5 + 0.625 x 4 = 4: a sixth, two thirds, a sixth."""
    assert parzen(tensor(0.625), 8)[0].tolist() == pytest.approx([0, 0, 0, 1 / 6, 2 / 3, 1 / 6, 0, 0])


@given(seeds)
def test_parzen_weights_equal_the_spline_at_every_bin_and_sum_to_one(seed: int) -> None:
    values = torch.from_numpy(np.random.default_rng(seed).uniform(0, 1, size=9))
    wanted = cubic_spline(1.5 + values[:, None] * 12 - torch.arange(16))
    torch.testing.assert_close(parzen(values, 16), wanted, atol=1e-12, rtol=0)
    torch.testing.assert_close(parzen(values, 16).sum(1), torch.ones(9, dtype=torch.float64))


def test_mutual_information_of_two_far_values_is_that_of_a_coin_less_the_windows_width() -> None:
    """0 and 1 never share a bin, so the joint histogram is two separate blobs p = w w' / 2, and MI = log 2."""
    ends = tensor(0, 1, 0, 1)
    same = MutualInformation(bins=32).cost(ends, 1 - ends, torch.ones(4))
    crossed = MutualInformation(bins=32).cost(ends, tensor(0, 0, 1, 1), torch.ones(4))
    assert float(same) == pytest.approx(-log(2))
    assert float(crossed) == pytest.approx(0, abs=1e-12)


def test_normalised_mutual_information_of_independent_values_is_one() -> None:
    ends = tensor(0, 1, 0, 1)
    cost = NormalisedMutualInformation(bins=32).cost(ends, tensor(0, 0, 1, 1), torch.ones(4))
    assert float(cost) == pytest.approx(-1)


@given(seeds)
def test_the_joint_histogram_equals_a_slow_loop(seed: int) -> None:
    moving, fixed, weight = drawn(seed)
    wanted = torch.zeros(8, 8, dtype=torch.float64)
    for one, two, share in zip(moving.ravel(), fixed.ravel(), weight.ravel(), strict=True):
        row, column = (cubic_spline(1.5 + value * 4 - torch.arange(8)) for value in (one, two))
        wanted += share * torch.outer(row, column)
    torch.testing.assert_close(joint_histogram(moving, fixed, weight, 8), wanted / weight.sum().clamp(min=1e-9))


def test_a_correlation_ratio_by_hand() -> None:
    """Fixed is 0 or 1; moving is 0, 2 and 4, 6 there: the means 1 and 5 explain 4 of the variance 5."""
    cost = CorrelationRatio(bins=64).cost(tensor(0, 2, 4, 6), tensor(0, 0, 1, 1), torch.ones(4))
    assert float(cost) == pytest.approx(-0.8)


def test_information_does_not_mind_an_inverted_contrast_and_correlation_does() -> None:
    fixed = torch.linspace(0, 1, 200).double()
    for name in ("mi", "nmi", "cr"):
        measure = SIMILARITIES[name]()
        plain, inverted = (float(measure.cost(moving, fixed, torch.ones(200))) for moving in (fixed, 1 - fixed))
        assert plain == pytest.approx(inverted, abs=1e-9)
    assert float(CorrelationCoefficient().cost(1 - fixed, fixed, torch.ones(200))) == pytest.approx(1)


@given(names, seeds)
def test_what_lies_outside_the_overlap_changes_nothing(name: str, seed: int) -> None:
    moving, fixed, weight = drawn(seed)
    other, _, _ = drawn(seed + 1)
    measure = similarity_of(name)
    changed = torch.where(weight > 0, moving, other)
    assert float(measure.cost(moving, fixed, weight)) == pytest.approx(float(measure.cost(changed, fixed, weight)))


@given(names, seeds)
def test_every_cost_has_the_derivative_that_differences_give(name: str, seed: int) -> None:
    moving, fixed, weight = drawn(seed)
    weight[0, 0] = 1
    measure = similarity_of(name)
    moving.requires_grad_()
    (gradient,) = torch.autograd.grad(measure.cost(moving, fixed, weight), moving)
    direction = torch.from_numpy(np.random.default_rng(seed).normal(size=SHAPE))
    step = 1e-6 * direction
    with torch.no_grad():
        wanted = (measure.cost(moving + step, fixed, weight) - measure.cost(moving - step, fixed, weight)) / 2e-6
    assert float((gradient * direction).sum()) == pytest.approx(float(wanted), rel=1e-3, abs=1e-6)


@given(names, seeds)
def test_equal_images_cost_no_more_than_others(name: str, seed: int) -> None:
    moving, fixed, _ = drawn(seed, (12, 12))
    measure, weight = similarity_of(name), torch.ones(12, 12, dtype=torch.float64)
    assert float(measure.cost(fixed, fixed, weight)) <= float(measure.cost(moving, fixed, weight)) + 1e-9


def test_an_unknown_similarity_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'nmi'"):
        similarity_of("nmii")
    assert similarity_of(MutualInformation(bins=8)) == MutualInformation(bins=8)


@pytest.mark.parametrize("similarity", [MutualInformation(12), NormalisedMutualInformation(12)], ids=str)
def test_the_slopes_of_information_are_those_of_finite_differences(similarity: Similarity) -> None:
    """Over more points than are taken at once, and beyond both ends of the range, where the slope is none."""
    rng = np.random.default_rng(6)
    count = 2 * POINTS_AT_ONCE + 5
    moving, fixed, weight = (torch.from_numpy(rng.uniform(-0.1, 1.1, size=count)) for _ in range(3))
    moving.requires_grad_()
    (slopes,) = torch.autograd.grad(similarity.cost(moving, fixed, weight.abs()), moving)
    direction = torch.from_numpy(rng.normal(size=count)) * (slopes != 0)
    with torch.no_grad():
        ends = [similarity.cost(moving + step * direction, fixed, weight.abs()) for step in (1e-6, -1e-6)]
    assert float(slopes @ direction) == pytest.approx(float(ends[0] - ends[1]) / 2e-6, rel=1e-3)
    assert bool(((slopes == 0) == ((moving < 0) | (moving > 1))).all())
