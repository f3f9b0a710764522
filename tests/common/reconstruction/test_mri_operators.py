"""Cartesian and radial MRI: numbers of SigPy 0.1.27 and worked out by hand, masks, coils, and what is refused."""

import numpy as np
import pytest
import torch
from torch import Tensor

from common.errors import StudyError
from common.reconstruction import coils, sampling
from common.reconstruction.fourier import fourier, inverse_fourier
from common.reconstruction.imaging_operator import Operator
from common.reconstruction.nonuniform_fourier import NonuniformFourier
from common.reconstruction.operators.cartesian_mri import CartesianMri
from common.reconstruction.operators.radial_mri import GOLDEN_DEGREES, RadialMri, Spokes

PLANE = np.arange(12.0).reshape(3, 4) + 1j * np.arange(12.0)[::-1].reshape(3, 4) ** 2 / 10
FREQUENCIES = np.array([[0.3, -1.2], [1.4, 0.77], [0, 0], [-1.5, -2]])


def drawn(entry: Operator, shape: tuple[int, ...], seed: int = 0) -> dict[str, Tensor]:
    """One case's parameters."""
    found = entry.draw(np.random.default_rng(seed), shape)
    return {name: torch.from_numpy(values)[None] for name, values in found.items()}


@pytest.mark.parametrize("size", [(6, 8), (8, 8), (6,), (5, 4), (7, 3), (2, 4, 6)])
def test_the_fourier_transform_is_numpys_between_both_shifts(size: tuple[int, ...]) -> None:
    images = torch.randn(2, 2, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    axes = tuple(range(1, len(size) + 1))
    whole = np.fft.ifftshift(images[:, 0].numpy() + 1j * images[:, 1].numpy(), axes)
    expected = np.fft.fftshift(np.fft.fftn(whole, axes=axes, norm="ortho"), axes)
    found = fourier(images)
    np.testing.assert_allclose(found[:, 0].numpy() + 1j * found[:, 1].numpy(), expected, atol=1e-13)
    torch.testing.assert_close(inverse_fourier(found), images, rtol=0, atol=1e-13)


def test_coils_are_those_of_sigpy() -> None:
    ours = coils.birdcage(3, (4, 4))[:, 1, 2]
    theirs = [0.16352347 - 0.49057042j, -0.05380424 - 0.41601709j, -0.17020052 - 0.72640719j]
    np.testing.assert_allclose(ours, theirs, atol=1e-8)
    two_rings = coils.birdcage(9, (2, 4, 4))[[0, 8], 1, 1, 2]
    np.testing.assert_allclose(two_rings, [0.09737653 - 0.2921296j, -0.13771121 - 0.27542243j], atol=1e-8)


def test_coils_together_see_as_much_everywhere() -> None:
    for shape in ((2, 9, 8), (2, 4, 5, 6)):
        maps = drawn(CartesianMri(coils=5), shape)["sensitivities"]
        torch.testing.assert_close(maps.square().sum(1), torch.ones(1, *shape[1:]))
        image = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(coils.combined(coils.seen(image, maps), maps), image)


def test_a_fully_measured_image_comes_back_from_all_coils() -> None:
    entry, shape = CartesianMri(acceleration=1.0, coils=3), (2, 6, 5)
    linear = entry.map(shape, drawn(entry, shape))
    image = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(linear.adjoint(linear.forward(image)), image)
    torch.testing.assert_close(linear.norm(), torch.ones(1).double(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("pattern", ["random", "equispaced", "variable_density"])
def test_as_many_lines_are_measured_as_is_said_and_the_middle_is_among_them(pattern: str) -> None:
    for lines in (32, 33):
        entry = CartesianMri(4.0, 0.125, 1, pattern)  # type: ignore[arg-type]
        for seed in range(5):
            mask = entry.draw(np.random.default_rng(seed), (2, 3, lines))["mask"]
            assert (mask == mask[0]).all() and mask[0].sum() == 8
            assert mask[0, lines // 2 - 1 : lines // 2 + 2].all()


def test_equispaced_lines_are_as_far_apart_as_can_be() -> None:
    chosen = sampling.equispaced_lines(np.random.default_rng(0), 64, 16, 0)
    assert set(np.diff(np.flatnonzero(chosen))) == {4}


def test_variable_density_prefers_low_frequencies() -> None:
    many = [sampling.variable_density_lines(np.random.default_rng(seed), 64, 16, 4) for seed in range(200)]
    share = np.mean(many, axis=0)
    assert share[24:40].mean() > 2 * share[8:16].mean() > 4 * share[:4].mean() > 0


def test_poisson_disc_has_its_count_and_its_distances() -> None:
    chosen = sampling.poisson_disc(np.random.default_rng(1), (40, 32), 160, (6, 4))
    assert chosen.sum() == 160 and chosen[17:23, 14:18].all()
    points = np.argwhere(chosen)
    outside = points[np.hypot((points[:, 0] - 20) / 20, (points[:, 1] - 16) / 16) > 0.9]
    apart = np.hypot(*(outside[:, None] - outside[None]).transpose(2, 0, 1)) + 99 * np.eye(len(outside))
    assert apart.min() >= 2  # points drawn evenly touch one another


def test_the_default_mask_is_what_it_always_was() -> None:
    mask = CartesianMri().draw(np.random.default_rng(7), (2, 16, 4))["mask"]
    assert np.flatnonzero(mask[:, 0]).tolist() == [8, 9, 11, 13]


def test_the_transform_off_the_grid_is_that_of_sigpy() -> None:
    transform = NonuniformFourier.at((3, 4), torch.from_numpy(FREQUENCIES)[None])
    found = transform.forward(torch.from_numpy(PLANE)[None, None])[0, 0].numpy()
    theirs = [-0.075234 + 0.553357j, 0.011725 - 2.34487j, 19.052561 + 14.606963j, 0.57735 - 0.635086j]
    np.testing.assert_allclose(found, theirs, atol=2e-6)


@pytest.mark.parametrize("size", [(3, 4), (16, 16), (21, 12)])
def test_the_transform_off_the_grid_is_the_sum_it_stands_for(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=size) + 1j * rng.normal(size=size)
    places = rng.uniform(-0.5, 0.5, (30, 2)) * size
    rows, columns = (np.arange(side) - side // 2 for side in size)
    turns = places[:, :1, None] * rows[:, None] / size[0] + places[:, 1:, None] * columns / size[1]
    exact = (np.exp(-2j * np.pi * turns) * plane).sum((1, 2)) / np.sqrt(plane.size)
    transform = NonuniformFourier.at(size, torch.from_numpy(places)[None])
    found = transform.forward(torch.from_numpy(plane)[None, None])[0, 0].numpy()
    assert np.abs(found - exact).max() <= 5e-7 * np.abs(exact).max()


def test_spokes_on_the_grid_measure_what_cartesian_mri_does() -> None:
    """A spoke along the last axis passes the middle line of k-space, one at 90 degrees the middle column."""
    shape = (2, 8, 8)
    image = torch.randn(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole = CartesianMri(acceleration=1.0).map(shape, {"mask": torch.ones(1, 8, 8)}).forward(image)
    both = {"degrees": torch.tensor([[0.0, 90.0]]), "spokes": torch.ones(1, 2)}
    radial = RadialMri(spokes=2, samples=8).map(shape, both).forward(image)
    torch.testing.assert_close(radial[:, :, 0], whole[:, :, 4], rtol=0, atol=2e-6)
    torch.testing.assert_close(radial[:, :, 1], whole[:, :, :, 4], rtol=0, atol=2e-6)


def test_spokes_turn_by_the_golden_angle_and_the_first_ones_are_measured() -> None:
    assert abs(GOLDEN_DEGREES - 111.24611797) < 1e-7
    found = RadialMri(spokes=5, measured_spokes=3).draw(np.random.default_rng(0), (2, 8, 8))
    np.testing.assert_allclose(np.diff(found["degrees"]) % 180, GOLDEN_DEGREES, rtol=1e-5)
    assert found["spokes"].tolist() == [1, 1, 1, 0, 0]


def test_a_spokes_middle_sample_is_the_zero_frequency() -> None:
    for samples in (6, 7):
        entry = RadialMri(spokes=3, samples=samples)
        linear = entry.map((2, 5, 8), drawn(entry, (2, 5, 8)))
        assert isinstance(linear, Spokes)
        frequencies = linear.frequencies()
        assert frequencies.shape == (1, 3, samples, 2) and not frequencies[:, :, samples // 2].any()
        assert frequencies[..., 0].abs().max() <= 2.5 and frequencies[..., 1].abs().max() <= 4


def test_planted_wrong_conjugate_is_seen_by_the_adjoint() -> None:
    entry, shape = CartesianMri(acceleration=1.0, coils=2), (2, 6, 5)
    parameters = drawn(entry, shape)
    other = parameters["sensitivities"] * torch.tensor([1.0, -1, 1, -1]).reshape(1, 4, 1, 1)
    image = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    wrong = coils.combined(coils.seen(image, parameters["sensitivities"]), other)
    assert (wrong - image).norm() > 0.1 * image.norm()


@pytest.mark.parametrize(
    ("entry", "shape", "words"),
    [
        (CartesianMri(), (1, 8, 8), "two channels"),
        (CartesianMri(axis=2), (2, 8, 8), "axis"),
        (CartesianMri(coils=128), (2, 2048, 2048), "coils"),
        (RadialMri(), (1, 8, 8), "two channels"),
        (RadialMri(spokes=100_000), (2, 256, 256), "weights"),
    ],
)
def test_images_that_cannot_be_measured_so_are_refused(entry: Operator, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        entry.parameter_shapes(shape)


def test_options_that_cannot_be_are_refused() -> None:
    for options in ({"acceleration": 0.5}, {"coils": 0}, {"centre_fraction": 2.0}):
        with pytest.raises(StudyError, match=next(iter(options))):
            CartesianMri(**options)  # type: ignore[arg-type]
    with pytest.raises(StudyError, match="measured_spokes"):
        RadialMri(spokes=4, measured_spokes=5)
