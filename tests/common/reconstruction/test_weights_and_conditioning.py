"""Choice of a regulariser's weight, and what a weight does to noise and to equations."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from common.errors import StudyError
from common.reconstruction.choice_of_weight import (
    Tried,
    by_discrepancy,
    by_l_curve,
    by_training_images,
    corner,
    curvatures,
)
from common.reconstruction.conditioning import conditioning, spectrum
from common.reconstruction.imaging_operator import LinearMap
from common.reconstruction.regularisers.identity import Identity
from common.reconstruction.regularisers.tv import TotalVariation
from common.reconstruction.solve import reconstruct
from common.study.catalogue import OPERATORS
from common.study.options import Entry

NOISE = 0.1


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def made(name: str, shape: tuple[int, ...], **options: object) -> LinearMap:
    entry = OPERATORS.build(Entry(name, options))
    drawn = entry.draw(np.random.default_rng(0), shape)
    found: LinearMap = entry.map(shape, {key: torch.from_numpy(value)[None] for key, value in drawn.items()})
    return found


def shrunk(signal: float, cases: int = 50):
    """Denoising of white images of a standard deviation by the identity: all is known in closed form."""
    linear = made("denoising", (1, 8, 8))
    truth = signal * numbers(cases, 1, 8, 8)
    data = truth + NOISE * numbers(cases, 1, 8, 8, seed=1)
    return linear, truth, data, partial(reconstruct, linear, data, method="closed_form", prior="identity")


def test_training_images_find_the_weight_of_wiener() -> None:
    """x = y / (1 + w) is nearest where w is the variance of noise over that of the signal."""
    linear, truth, data, solution = shrunk(signal=0.5)
    found = by_training_images(solution, linear, data, truth, span=(1e-4, 10.0), looks=16)
    assert found.weight == pytest.approx(NOISE**2 / 0.5**2, rel=0.1)
    assert found.how == "nearest to the truth" and len(found.tried) == 16
    assert [row.weight for row in found.tried] == sorted(row.weight for row in found.tried)
    assert "an end of the span" in by_training_images(solution, linear, data, truth, span=(1.0, 10.0)).how


def test_the_discrepancy_is_that_of_the_noise() -> None:
    """|y - y / (1 + w)| = |y| w / (1 + w): so w = f / (1 - f), f the noise over the data's size."""
    linear, _, data, solution = shrunk(signal=0.5)
    share = NOISE / float(data.square().mean().sqrt())
    found = by_discrepancy(solution, linear, data, NOISE, looks=24)
    assert found.weight == pytest.approx(share / (1 - share), rel=1e-3)
    assert max(row.misfit for row in found.tried if row.weight <= found.weight) <= NOISE
    loose = by_discrepancy(solution, linear, data, 10.0)
    assert loose.weight == 10.0 and "any weight" in loose.how
    assert "no weight" in by_discrepancy(solution, linear, data, 1e-9).how


def test_only_what_is_measured_counts_in_a_misfit() -> None:
    linear = made("inpainting", (1, 8, 8), hidden=0.75)
    data = linear.forward(numbers(1, 1, 8, 8))
    solution = partial(reconstruct, linear, data, method="closed_form", prior="identity")
    row = by_discrepancy(solution, linear, data, 0.1).tried[-1]
    image = solution(weight=row.weight).images
    expected = (linear.forward(image) - data).square().sum() / 16
    assert row.misfit == pytest.approx(float(expected.sqrt()))


def test_a_curve_is_bent_most_at_its_corner() -> None:
    bends = curvatures([0.0, 0.0, 0.0, 1.0, 2.0], [2.0, 1.0, 0.0, 0.0, 0.0])
    assert bends[0] == bends[-1] == -math.inf and bends[1] == bends[3] == 0
    assert bends[2] == pytest.approx(math.sqrt(2))  # of a circle through a right angle of sides one
    assert curvatures([0.0, 1.0, 2.0], [0.0, 0.0, 1.0])[1] > 0 > curvatures([0.0, 1.0, 2.0], [0.0, 1.0, 1.0])[1]


def test_the_l_curve_of_a_blur_has_a_corner_between_noise_and_loss() -> None:
    linear = made("blur", (1, 16, 16), sd_pixels=1.5)
    truth = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    truth[..., 4:11, 5:12] = 1
    clean = linear.forward(truth)
    data = clean + 0.01 * numbers(*clean.shape)
    solution = partial(reconstruct, linear, data, method="closed_form", prior="identity")
    found = by_l_curve(solution, linear, data, Identity().value, span=(1e-8, 10.0), looks=28)
    best = by_training_images(solution, linear, data, truth, span=(1e-8, 10.0), looks=20)
    assert found.how == "the corner of the L-curve"
    assert abs(math.log10(found.weight / best.weight)) < 1.5
    flat = by_l_curve(solution, linear, data, lambda images: torch.ones(1), span=(1e-3, 1.0))
    assert flat.how in ("the L-curve has no corner", "the corner of the L-curve")


def test_spans_and_noise_that_cannot_be_are_refused() -> None:
    linear, truth, data, solution = shrunk(0.5, cases=2)
    with pytest.raises(StudyError, match="two rising weights"):
        by_training_images(solution, linear, data, truth, span=(1.0, 0.1))
    with pytest.raises(StudyError, match="at least 4"):
        by_l_curve(solution, linear, data, Identity().value, looks=2)
    with pytest.raises(StudyError, match="above zero"):
        by_discrepancy(solution, linear, data, 0.0)


def test_denoising_by_hand() -> None:
    """All singular values are one: condition number one, noise 1 / (1 + w), and w / (1 + w) lost."""
    (found,) = conditioning(spectrum(made("denoising", (1, 4, 4))), [1.0])
    assert (found.condition_number, found.noise_gain, found.lost) == pytest.approx((1.0, 0.5, 0.5))


def test_what_is_hidden_is_lost_and_the_pseudo_inverse_has_a_condition_of_its_own() -> None:
    found = spectrum(made("inpainting", (1, 8, 8), hidden=0.75))
    none, some = conditioning(found, [0.0, 0.01])
    assert (none.condition_number, none.noise_gain, none.lost) == pytest.approx((1.0, 0.5, 0.75))
    assert some.condition_number == pytest.approx(101) and some.noise_gain == pytest.approx(0.5 / 1.01)


class Unstated:
    """A map that states no singular values."""

    def __init__(self, linear: LinearMap) -> None:
        self.image_shape, self.measured_shape = linear.image_shape, linear.measured_shape
        self.forward, self.adjoint, self.norm = linear.forward, linear.adjoint, linear.norm


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("blur", (1, 10, 9), {"sd_pixels": 1.0, "point_spread_pixels": 5}),
        ("cartesian_mri", (2, 8, 8), {"acceleration": 2.0}),
        ("ct", (1, 8, 8), {"views": 5}),
    ],
)
def test_lanczos_finds_what_a_dense_decomposition_says(
    name: str, shape: tuple[int, ...], options: dict[str, object]
) -> None:
    linear = made(name, shape, **options)
    size = math.prod(shape)
    columns = [linear.forward(unit.reshape(1, *shape)).flatten() for unit in torch.eye(size, dtype=torch.float64)]
    values = torch.linalg.svdvals(torch.stack(columns, dim=1)).square()
    values = torch.cat([values, values.new_zeros(size - len(values))])
    found = spectrum(Unstated(linear), steps=size, probes=12)
    assert not found.exact and float(found.shares.sum()) == pytest.approx(1)
    for weight in (0.01, 0.3):
        (ours,) = conditioning(found, [weight * float(values.max())])
        shifted = values + weight * float(values.max())
        assert ours.condition_number == pytest.approx(float(shifted.max() / shifted.min()), rel=1e-3)
        gain = float((values / shifted.square()).mean().sqrt())
        assert ours.noise_gain == pytest.approx(gain, rel=0.15)
        assert ours.lost == pytest.approx(1 - float((values / shifted).mean()), abs=0.08)


def test_noise_gain_is_what_noise_becomes() -> None:
    linear = made("blur", (1, 16, 16), sd_pixels=1.0)
    images = torch.stack(
        [
            reconstruct(
                linear, numbers(1, 1, 16, 16, seed=k), method="closed_form", prior="identity", weight=0.01
            ).images
            for k in range(40)
        ]
    )
    (found,) = conditioning(spectrum(linear), [0.01])
    assert float(images.square().mean().sqrt()) == pytest.approx(found.noise_gain, rel=0.05)


def test_a_well_posed_operator_has_no_corner_and_points_that_a_solver_left_together_make_none() -> None:
    """Noise is not made larger where pixels are seen as they are: the curve waves, and no wave is a corner."""
    linear = made("denoising", (1, 16, 16))
    truth = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    truth[..., 4:11, 5:12] = 1
    solution = partial(reconstruct, linear, truth + NOISE * numbers(*truth.shape), method="fista", prior="tv")
    found = by_l_curve(solution, linear, truth + NOISE * numbers(*truth.shape), TotalVariation().value, looks=10)
    assert not found.found and found.how == "the L-curve has no corner"
    bent = [Tried(1e-4, 0.1, 50.0), Tried(1e-3, 0.101, 10.0), Tried(1e-2, 0.3, 9.0), Tried(0.1, 0.9, 8.0)]
    together = [Tried(2e-4 * (1 + k), 0.1 + 1e-7 * (k % 2), 50.0 - 1e-6 * k) for k in range(4)]
    flat = [Tried(1.0, 0.91, 1e-9), Tried(2.0, 0.91, 1e-12), Tried(3.0, 0.9100001, 1e-12)]
    assert corner([*bent[:1], *together, *bent[1:], *flat])[0] == 1e-3
    assert corner(flat[1:])[1] == -math.inf
