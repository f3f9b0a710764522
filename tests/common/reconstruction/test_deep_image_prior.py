"""The deep image prior on tiny images: what follows from what, and that images are fitted before noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.deep_image_prior import DeepImagePrior, Fitted, fitted
from common.reconstruction.hourglass import Hourglass
from common.reconstruction.operators.denoising import Identity
from common.reconstruction.operators.inpainting import Inpainting

SIDE = 16
TINY = DeepImagePrior(width=8, levels=2, steps=40, window=5, patience=10)


def disc() -> Tensor:
    """(1, 1, S, S) a bright disc with a darker one in it."""
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    radius = np.hypot(rows, columns)
    return torch.from_numpy(((radius < 6) * 0.9 - (radius < 3) * 0.5).astype(np.float32))[None, None]


def noise(deviation: float) -> Tensor:
    return deviation * torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def denoised(measured: Tensor, options: DeepImagePrior = TINY, seed: int = 0) -> Fitted:
    return fitted(Identity((1, SIDE, SIDE)), measured, options, seed=seed)


def error(image: Tensor) -> float:
    return float((image - disc()).square().mean())


@pytest.mark.parametrize("stopping", ["held_out", "variance", "none"])
def test_the_same_seed_gives_the_same_image_and_another_seed_another(stopping: str) -> None:
    options = replace(TINY, stopping=stopping, steps=8)  # type: ignore[arg-type]
    first, again, other = (denoised(disc(), options, seed) for seed in (0, 0, 1))
    assert torch.equal(first.image, again.image) and first.losses == again.losses
    assert not torch.equal(first.image, other.image)


def test_shared_generators_are_left_alone() -> None:
    before = torch.random.get_rng_state()
    denoised(disc(), replace(TINY, steps=2))
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_unit_of_the_data_is_that_of_the_image() -> None:
    plain, scaled = (denoised(factor * disc(), replace(TINY, steps=8)) for factor in (1.0, 1024.0))
    torch.testing.assert_close(scaled.image, 1024 * plain.image, rtol=0, atol=0)


def test_it_works_where_no_gradient_is_kept() -> None:
    with torch.no_grad():
        inside = denoised(disc(), replace(TINY, steps=8))
    assert torch.equal(inside.image, denoised(disc(), replace(TINY, steps=8)).image)
    assert not inside.image.requires_grad


def test_hidden_pixels_are_painted() -> None:
    mask = (torch.rand(1, SIDE, SIDE, generator=torch.Generator().manual_seed(3)) < 0.6).float()
    linear = Inpainting().map((1, SIDE, SIDE), {"mask": mask})
    found = fitted(linear, linear.forward(disc()), replace(TINY, steps=150, patience=100, share_held_out=0.2))
    assert error(found.image) < error(linear.forward(disc())) / 4


def test_an_image_is_fitted_before_its_noise_and_noise_latest() -> None:
    options = replace(TINY, stopping="none", steps=60, jitter=0.0)
    losses = {
        name: denoised(measured, options).losses[-1]
        for name, measured in {"image": disc(), "noisy": disc() + noise(0.2), "noise": noise(0.2)}.items()
    }
    assert losses["image"] < losses["noisy"] < losses["noise"] / 2


def test_what_stops_it_is_said() -> None:
    assert denoised(disc() + noise(0.3), replace(TINY, steps=200)).stopped == "held_out"
    assert denoised(disc(), replace(TINY, stopping="none", steps=3)).stopped == "steps"
    assert fitted(Identity((1, SIDE, SIDE)), disc(), replace(TINY, most_seconds=1e-9)).stopped == "seconds"


def test_stopped_by_itself_it_is_nearer_to_the_image_than_after_all_steps() -> None:
    noisy = disc() + noise(0.3)
    stopped = denoised(noisy, replace(TINY, steps=150, patience=40))
    late = denoised(noisy, replace(TINY, steps=150, stopping="none"))
    assert error(stopped.image) < error(late.image)


def test_where_nothing_was_measured_there_is_nothing() -> None:
    found = denoised(torch.zeros(1, 1, SIDE, SIDE))
    assert found.stopped == "no data" and not found.image.any()


def test_several_cases_are_refused() -> None:
    with pytest.raises(StudyError, match="one case at a time; there are data of 2"):
        denoised(torch.zeros(2, 1, SIDE, SIDE))


@pytest.mark.parametrize("size", [(7, 10), (1, 5), (3, 6, 5)])
def test_the_network_takes_images_of_any_size(size: tuple[int, ...]) -> None:
    assert Hourglass(2, size, 8, 5)(torch.rand(1, 8, *size)).shape == (1, 2, *size)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"share_held_out": 1.0}, {"stopping": "never"}, {"jitter": -1.0}])
def test_options_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(StudyError, match=next(iter(wrong))):
        DeepImagePrior(**wrong)  # type: ignore[arg-type]
