"""A generator as prior: one whose range holds the truth finds it, by whatever operator it was measured."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.losses import case_losses, groups_of
from common.learning.parameters import new_network
from common.learning.tasks.generator import Generator
from common.reconstruction.generator_prior import Found, Search, coarse, found, turned
from common.reconstruction.imaging_operator import LinearMap
from common.reconstruction.operators.cartesian_mri import CartesianMri
from common.reconstruction.operators.denoising import Identity
from common.reconstruction.operators.inpainting import Inpainting
from common.reconstruction.phase import smooth_phase
from common.study.catalogue import TASKS
from common.study.options import Entry

CRITICISED = {"name": "gan", "channels": 2, "halvings": 1}
SIDE, LATENTS = 8, 3
PRECISE = Search(latent_steps=300, latent_rate=0.1, adaptation_steps=0, consistency=0.0, deviation=1e-3)


class Planes(nn.Module):
    """Images that are sums of a few smooth waves: the prior's whole range."""

    def __init__(self, side: int = SIDE) -> None:
        super().__init__()
        across = (torch.pi * torch.arange(side) / side).expand(side, -1)
        down = across.T
        waves = [torch.cos(one) for one in (across, down, across + down)]
        self.waves = nn.Parameter(torch.stack(waves))

    def forward(self, latents: Tensor) -> Tensor:
        """(N, 1, S, S)."""
        return 2 + torch.einsum("nk,kij->nij", latents, self.waves)[:, None]


def truth() -> Tensor:
    image: Tensor = Planes()(torch.tensor([[0.6, -0.8, 0.3]]))
    return image.detach()


def seen_half() -> LinearMap:
    mask = (torch.rand(1, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    return Inpainting().map((1, SIDE, SIDE), {"mask": mask})


def sought(
    linear: LinearMap, measured: Tensor, search: Search = PRECISE, generator: nn.Module | None = None
) -> Found:
    return found(generator or Planes(), torch.zeros(1, LATENTS), linear, measured, search)


@pytest.mark.parametrize("linear", [Identity((1, SIDE, SIDE)), seen_half()], ids=["all", "half"])
def test_a_truth_in_the_range_is_found(linear: LinearMap) -> None:
    answer = sought(linear, linear.forward(truth()))
    torch.testing.assert_close(answer.image, truth(), rtol=0, atol=5e-3)
    torch.testing.assert_close(answer.latents, torch.tensor([[0.6, -0.8, 0.3]]), rtol=0, atol=5e-3)


def test_a_complex_truth_is_found_with_its_phase() -> None:
    side, generator = 24, Planes(24)
    magnitudes = generator(torch.tensor([[0.6, -0.8, 0.3]])).detach()
    image = torch.from_numpy(smooth_phase(magnitudes[0, 0].numpy(), 1.0, np.random.default_rng(0)))[None]
    mask = torch.ones(1, side, side)
    mask[:, 1::4] = 0
    linear = CartesianMri().map((2, side, side), {"mask": mask})
    answer = sought(linear, linear.forward(image), generator=generator)
    assert float((answer.image - image).square().mean() / image.square().mean()) < 0.01


def test_the_start_that_fits_best_is_begun_with() -> None:
    near = torch.tensor([[0.6, -0.8, 0.3]])
    answer = found(
        Planes(), torch.cat([torch.zeros(1, 3), near]), seen_half(), seen_half().forward(truth()),
        replace(PRECISE, latent_steps=0),
    )  # fmt: skip
    torch.testing.assert_close(answer.latents, near)


def test_a_truth_outside_of_the_range_is_reached_by_moving_the_generator() -> None:
    outside = truth()
    outside[..., 2:5, 2:5] += 1.0
    linear = Identity((1, SIDE, SIDE))
    within = sought(linear, outside)
    moved = sought(linear, outside, replace(PRECISE, adaptation_steps=150, adaptation_rate=0.02))
    errors = [float((one.image - outside).square().mean()) for one in (within, moved)]
    assert errors[1] < errors[0] / 3


def test_noise_is_not_followed_by_the_moving_generator() -> None:
    noisy = truth() + 0.5 * torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    search = replace(PRECISE, adaptation_steps=400, adaptation_rate=0.02, patience=30, share_held_out=0.2)
    answer = sought(Identity((1, SIDE, SIDE)), noisy, search)
    assert answer.stopped == "held_out" and len(answer.watched) < 400


def test_the_generator_that_is_asked_stays_as_it_is() -> None:
    generator = Planes()
    before = generator.waves.detach().clone()
    sought(seen_half(), seen_half().forward(truth()), replace(PRECISE, latent_steps=2, adaptation_steps=3), generator)
    assert torch.equal(generator.waves, before) and generator.waves.grad is None


def test_a_trusted_generator_is_followed_and_trusted_data_are_fitted() -> None:
    linear = seen_half()
    measured = linear.forward(truth() + 1)
    quick = replace(PRECISE, latent_steps=0)
    trusting, doubting = (sought(linear, measured, replace(quick, consistency=one)) for one in (1e6, 1e-6))
    torch.testing.assert_close(trusting.image, sought(linear, measured, quick).image, rtol=0, atol=1e-4)
    torch.testing.assert_close(linear.forward(doubting.image), measured, rtol=0, atol=1e-4)


def test_it_works_where_no_gradient_is_kept_and_seconds_end_it() -> None:
    measured = seen_half().forward(truth())
    with torch.no_grad():
        answer = found(Planes(), torch.zeros(1, LATENTS), seen_half(), measured, PRECISE, most_seconds=0)
    assert answer.stopped == "seconds" and len(answer.losses) == 1 and not answer.image.requires_grad


def test_where_nothing_was_measured_there_is_nothing() -> None:
    answer = sought(seen_half(), torch.zeros(1, 1, SIDE, SIDE))
    assert answer.stopped == "no data" and not answer.image.any()


def test_several_cases_are_refused() -> None:
    with pytest.raises(StudyError, match="one case at a time; there are data of 2"):
        sought(Identity((1, SIDE, SIDE)), torch.zeros(2, 1, SIDE, SIDE))


def test_a_critic_learns_beside_the_generator_where_the_loss_has_one() -> None:
    options = {"operator": "cartesian_mri", "width": 4, "levels": 1, "latents": 2, "loss": CRITICISED}
    task = cast(Generator, TASKS.build(Entry("generator", options)))
    network = new_network(task, Shape((3, 8, 8), 0), 1)
    batch = Batch.of(torch.zeros(2, 3, 8, 8), torch.rand(2, 2, 8, 8), ("a", "b"))
    groups = {one.name: one for one in groups_of(task, network)}
    assert set(groups) == {"critic", "images"}
    for name, group in groups.items():
        network.zero_grad()
        case_losses(task, network, batch, name).sum().backward()  # type: ignore[no-untyped-call]
        assert any(bool(one.grad.any()) for one in group.parameters if one.grad is not None)
    images = network(batch.inputs)
    assert images.shape == (2, 2, 8, 8)


def test_a_smooth_phase_is_read_of_a_coarse_grid() -> None:
    image = torch.from_numpy(smooth_phase(np.ones((24, 24), np.float32), 1.0, np.random.default_rng(2)))[None]
    again = turned(torch.ones(1, 1, 24, 24), coarse(image))
    assert float((again - image).square().sum(1).mean()) < 0.01
    torch.testing.assert_close(again.norm(dim=1), torch.ones(1, 24, 24), rtol=0, atol=1e-5)
