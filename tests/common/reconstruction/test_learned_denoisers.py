"""Denoisers in the place of a proximal map: where they end, and whether they must."""

from dataclasses import replace
from typing import cast

import pytest
import torch
from torch import Tensor

from common.data.cases import Shape
from common.errors import StudyError
from common.learning.tasks.denoiser import Denoiser as DenoiserTask
from common.learning.tasks.denoiser import PlugAndPlay
from common.reconstruction.denoiser import Denoiser
from common.reconstruction.expansion import expansion, rests_by_admm, rests_by_gradient
from common.reconstruction.imaging_operator import LinearMap
from common.reconstruction.inner_products import by_case
from common.reconstruction.methods.falling_denoiser import FallingDenoiser
from common.reconstruction.operators.cartesian_mri import CartesianMri
from common.reconstruction.problem import Solved
from common.reconstruction.solve import reconstruct
from common.study.catalogue import TASKS
from common.study.options import Entry

SMALL = {"name": "ffdnet", "channels": 4, "depth": 2, "fold": 1}
SHAPE, CASES = (2, 6, 5), 3
STEADY = FallingDenoiser(greatest=0.5, least=0.5, steps=1, balance=0.3, tolerance=1e-13, iterations=3000)


def linear() -> LinearMap:
    """Half the lines of three cases, each its own."""
    mask = (torch.rand(CASES, 6, 1, generator=torch.Generator().manual_seed(0)) < 0.5).float().expand(-1, -1, 5)
    return CartesianMri().map(SHAPE, {"mask": mask})


def measured() -> Tensor:
    images = torch.randn(CASES, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return linear().forward(images)


def shrinking(images: Tensor, noise: Tensor) -> Tensor:
    """x / (1 + s)."""
    return images / (1 + by_case(noise, images))


def solved(method: FallingDenoiser, at: LinearMap, data: Tensor, weight: float = 0.25) -> Solved:
    return reconstruct(at, data, method=method, prior=Denoiser(shrinking), weight=weight)


def test_with_a_shrinking_denoiser_it_ends_at_an_image_worked_out_by_hand() -> None:
    """s = .5 and rho = .3: z = x / 1.5 and (A'A + .3) x = A'y + .3 z, so (A'A + .1) x = A'y."""
    answer = solved(STEADY, linear(), measured())
    shift = torch.tensor([0.1], dtype=torch.float64)
    expected = linear().solve_shifted(linear().adjoint(measured()), shift) / 1.5  # type: ignore[attr-defined]
    assert answer.stopped == "fixed point"
    torch.testing.assert_close(answer.images, expected, rtol=0, atol=1e-9)


def test_a_case_is_answered_alone_as_among_others() -> None:
    options = replace(STEADY, tolerance=1e-4)
    together, mask = solved(options, linear(), measured()), linear().mask  # type: ignore[attr-defined]
    for case in range(CASES):
        one = CartesianMri().map(SHAPE, {"mask": mask[case : case + 1]})
        alone = solved(options, one, measured()[case : case + 1])
        torch.testing.assert_close(alone.images[0], together.images[case], rtol=0, atol=1e-12)


def test_the_noise_that_is_told_falls_by_equal_factors_to_that_of_the_data() -> None:
    told = [FallingDenoiser(greatest=0.4, steps=3).noise(torch.tensor([0.01]).double(), one) for one in range(5)]
    assert [float(one) for one in told] == pytest.approx([0.4, 0.2, 0.1, 0.1, 0.1])
    clean = FallingDenoiser(least=0.02, steps=3).noise(torch.zeros(1).double(), 2)
    assert float(clean) == pytest.approx(0.02)


def test_it_does_not_end_while_the_noise_that_is_told_still_falls() -> None:
    answer = solved(replace(STEADY, greatest=5.0, steps=6, tolerance=10.0, iterations=20), linear(), measured())
    assert answer.iterations == 7 and answer.stopped == "fixed point"


def test_the_expansion_of_a_linear_denoiser_is_the_largest_singular_value_of_its_residual() -> None:
    """D halves one channel and takes a tenth off the other."""
    kept = torch.tensor([0.5, 0.9]).reshape(1, 2, 1, 1).double()
    found = expansion(lambda images, noise: images * kept, measured(), torch.ones(CASES).double(), rounds=20)
    torch.testing.assert_close(found, torch.full((CASES,), 0.5, dtype=torch.float64), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("eps", "least", "step", "gradient", "admm"),
    [
        (0.1, 1.0, 1.0, True, True),  # |1 - 1| * 1.1 = 0;  .1 / 1.08 < 1
        (0.1, 0.0, 1.0, False, False),  # something is not measured: (1 + .1) * 1
        (0.1, 0.05, 1.0, False, False),  # 1.1 * .95 = 1.045;  .1 / (1.08 * .05) = 1.85
        (0.04, 0.05, 1.0, True, True),  # 1.04 * .95 = .988;  .04 / (1.0368 * .05) = .77
        (1.0, 1.0, 1.0, True, False),  # 2 * 0;  ADMM needs eps below 1
        (0.0, 0.0, 1.9, True, False),  # a denoiser that changes nothing
        (0.0, 0.5, 2.1, False, True),  # the gradient step is too long
    ],
)
def test_the_theorems_conditions_as_worked_out_by_hand(
    eps: float, least: float, step: float, gradient: bool, admm: bool
) -> None:
    assert rests_by_gradient(eps, least, 1.0, step) is gradient
    assert rests_by_admm(eps, least, step) is admm


@pytest.mark.parametrize("wrong", [{"greatest": 0.0}, {"balance": -1.0}, {"iterations": 0}])
def test_options_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(StudyError, match=next(iter(wrong))):
        FallingDenoiser(**wrong)  # type: ignore[arg-type]


def test_a_denoiser_of_real_images_takes_real_and_imaginary_part_each_by_itself() -> None:
    task = cast(DenoiserTask, TASKS.build(Entry("denoiser", {"operator": "denoising", "network": SMALL})))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        network = cast(PlugAndPlay, task.build_network(Shape((1, 8, 8), 0)))
    for parameter in network.parameters():
        parameter.data.add_(0.1)
    real = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    level = torch.tensor([0.1, 0.2])
    both = network.denoised(torch.cat([real, torch.zeros_like(real)], dim=1), level)
    torch.testing.assert_close(both[:, :1], network.denoised(real, level), rtol=0, atol=1e-5)
