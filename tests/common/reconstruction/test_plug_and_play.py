"""Plug-and-play: with a denoiser that is a proximal map it solves what that map belongs to."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.imaging_operator import LinearMap
from common.reconstruction.operators.cartesian_mri import CartesianMri
from common.reconstruction.plug_and_play import PlugAndPlay, played

SHAPE = (2, 6, 5)
CASES = 3
STEADY = PlugAndPlay(iterations=2000, first_strength=0.5, last_strength=0.5, falling=0, balance=0.3, tolerance=1e-13)


def linear() -> LinearMap:
    """Half the lines of three cases, each its own."""
    mask = (torch.rand(CASES, 6, 1, generator=torch.Generator().manual_seed(0)) < 0.5).float().expand(-1, -1, 5)
    return CartesianMri().map(SHAPE, {"mask": mask})


def measured() -> Tensor:
    images = torch.randn(CASES, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return linear().forward(images)


def shrinking(images: Tensor, deviation: Tensor) -> Tensor:
    """The proximal map of deviation / 2 |x|^2."""
    return images / (1 + deviation.reshape(-1, 1, 1, 1))


@pytest.mark.parametrize(
    ("scheme", "weight"),
    [("fbs", 0.5 / 0.8), ("hqs", 0.3 * 0.5 / 1.5), ("admm", 0.3 * 0.5)],
)
def test_with_a_shrinking_denoiser_each_scheme_ends_at_its_tikhonov_image(scheme: str, weight: float) -> None:
    """Fixed points worked out by hand: fbs s / step, hqs w s / (1 + s), admm w s; hqs answers the shrunken image."""
    answer = played(linear(), measured(), shrinking, replace(STEADY, scheme=scheme, step=0.8))  # type: ignore[arg-type]
    shift = torch.tensor([weight], dtype=torch.float64)
    tikhonov = linear().solve_shifted(linear().adjoint(measured()), shift)  # type: ignore[attr-defined]
    expected = tikhonov / 1.5 if scheme == "hqs" else tikhonov
    assert answer.stopped == "fixed point"
    torch.testing.assert_close(answer.images, expected, rtol=0, atol=1e-9)


def test_the_expansion_of_a_shrinking_denoiser_is_told() -> None:
    """D - I is -s / (1 + s) = -1 / 3 times the image."""
    answer = played(linear(), measured(), shrinking, STEADY)
    torch.testing.assert_close(answer.expansion, torch.full((CASES,), 1 / 3, dtype=torch.float64), rtol=1e-6, atol=0)


@pytest.mark.parametrize("scheme", ["hqs", "fbs", "admm"])
def test_a_case_is_answered_alone_as_among_others(scheme: str) -> None:
    options = replace(STEADY, scheme=scheme, tolerance=1e-4)  # type: ignore[arg-type]
    together, mask = played(linear(), measured(), shrinking, options), linear().mask  # type: ignore[attr-defined]
    for case in range(CASES):
        one = CartesianMri().map(SHAPE, {"mask": mask[case : case + 1]})
        alone = played(one, measured()[case : case + 1], shrinking, options)
        torch.testing.assert_close(alone.images[0], together.images[case], rtol=0, atol=1e-12)


def test_strengths_fall_by_equal_factors_to_the_last() -> None:
    options = PlugAndPlay(first_strength=0.4, last_strength=0.1, falling=2)
    assert [options.strength(one) for one in range(4)] == pytest.approx([0.4, 0.2, 0.1, 0.1])
    assert [options.weight(one) / options.balance for one in range(3)] == pytest.approx([1 / 16, 1 / 4, 1.0])


def test_a_denoiser_that_doubles_everything_is_refused_as_diverging() -> None:
    with pytest.raises(StudyError, match="diverged"):
        played(linear(), measured(), lambda images, deviation: images * 1e30, STEADY)


def test_the_limit_of_iterations_is_told() -> None:
    answer = played(linear(), measured(), shrinking, replace(STEADY, iterations=3))
    assert answer.stopped == "iterations" and answer.changes.shape == (3, CASES)


@pytest.mark.parametrize("wrong", [{"scheme": "hqz"}, {"step": 2.0}, {"first_strength": 0.01}, {"iterations": 0}])
def test_options_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(StudyError, match=next(iter(wrong))):
        PlugAndPlay(**wrong)  # type: ignore[arg-type]
