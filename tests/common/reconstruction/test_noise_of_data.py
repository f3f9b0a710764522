"""Noise of data: its size, where it is, and what it follows from."""

import numpy as np
import pytest
import torch

from common.errors import StudyError
from common.reconstruction.noise import GaussianNoise, Noise, PhotonNoise
from common.reconstruction.operators.cartesian_mri import CartesianMri
from common.reconstruction.operators.ct import Ct
from common.reconstruction.operators.denoising import Denoising

PLAIN = Denoising().map((1, 40, 40), {})


def test_gaussian_noise_has_the_deviation_that_is_said() -> None:
    added = GaussianNoise(0.1).added(torch.zeros(4, 1, 40, 40), PLAIN, np.random.default_rng(0))
    assert abs(float(added.std()) / 0.1 - 1) < 0.03 and added.dtype == torch.float32


def test_noise_in_k_space_is_as_great_in_the_image() -> None:
    linear = CartesianMri().map((2, 40, 40), {"mask": torch.ones(4, 40, 40)})
    added = GaussianNoise(0.1).added(torch.zeros(4, 2, 40, 40).double(), linear, np.random.default_rng(0))
    assert abs(float(linear.adjoint(added).std()) / 0.1 - 1) < 0.03


def test_nothing_is_added_where_nothing_is_measured() -> None:
    entry = CartesianMri(coils=2)
    drawn = entry.draw(np.random.default_rng(0), (2, 16, 8))
    linear = entry.map((2, 16, 8), {name: torch.from_numpy(values)[None] for name, values in drawn.items()})
    added = GaussianNoise(1.0).added(torch.zeros(1, *linear.measured_shape), linear, np.random.default_rng(0))
    assert bool(((added != 0) == (torch.from_numpy(drawn["mask"]) > 0)).all())


def test_photon_noise_is_that_of_counts() -> None:
    """The variance of a depth p from n exp(-p) counts is about exp(p) / n; its mean is p."""
    linear = Ct(1, detectors=1).map((1, 1, 1), {"views": torch.ones(20_000, 1)})
    depth = torch.full((20_000, 1, 1, 1), 4.0).double()
    added = PhotonNoise(1e4, 0.5).added(depth, linear, np.random.default_rng(0)) * 0.5
    assert abs(float(added.mean()) - 2) < 1e-3
    assert abs(float(added.var()) / (np.exp(2) / 1e4) - 1) < 0.05


def test_a_body_that_lets_nothing_through_has_a_finite_depth() -> None:
    linear = Ct(1, detectors=1).map((1, 1, 1), {"views": torch.ones(1, 1)})
    found = PhotonNoise(100.0).added(torch.full((1, 1, 1, 1), 1e3), linear, np.random.default_rng(0))
    torch.testing.assert_close(found, torch.full((1, 1, 1, 1), np.log(200.0)).float())
    with pytest.raises(StudyError, match="more photons"):
        PhotonNoise(100.0).added(torch.full((1, 1, 1, 1), -1e3), linear, np.random.default_rng(0))


@pytest.mark.parametrize("noise", [GaussianNoise(0.3), PhotonNoise(50.0)])
def test_noise_follows_from_its_generator_alone(noise: Noise) -> None:
    data = torch.rand(2, 1, 40, 40)
    one, other = (noise.added(data, PLAIN, np.random.default_rng(5)) for _ in range(2))
    assert torch.equal(one, other) and not torch.equal(one, noise.added(data, PLAIN, np.random.default_rng(6)))


def test_noise_that_cannot_be_is_refused() -> None:
    with pytest.raises(StudyError, match="deviation"):
        GaussianNoise(-1.0)
    with pytest.raises(StudyError, match="photons"):
        PhotonNoise(0.0)
    with pytest.raises(StudyError, match="photons"):
        PhotonNoise(1e16)
