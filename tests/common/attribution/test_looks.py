"""What is inside a network: activations however they are written, sparsity by hand, filters as pictures, dreams."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import relu

from common.attribution.aim import Aim, Logits
from common.attribution.looks.activations import activations
from common.attribution.looks.dream import Dream, dream, noise_within
from common.attribution.looks.filters import filters_of
from common.attribution.looks.sparsity import hoyer, sparsity_by_depth
from common.attribution.methods.grad_cam import as_map
from common.data.cases import Shape
from common.errors import StudyError
from common.learning.parameters import new_network
from common.learning.task import Task
from common.seeding import torch_generator
from common.study.catalogue import NETWORKS, TASKS
from common.study.options import Entry

ZERO, ONE = torch.zeros(1), torch.ones(1)
SHAPES = {
    "conditional_ladder": Shape((3, 8, 8), 1),
    "affine_pair": Shape((2, 16, 16), 0),
    "voxelmorph": Shape((2, 16, 16), 0),
}
SOLID = ("groupnorm_cnn", "unet", "vit", "dilated")
"""Networks that are tried on volumes too."""


def built(name: str, shape: Shape) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        network: nn.Module = NETWORKS.build(Entry(name)).build(shape)
    return network.eval()


def every_network() -> list[tuple[str, Shape]]:
    ours = [name for name in NETWORKS.names() if name not in ("onnx", "torchscript")]
    flat = [(name, SHAPES.get(name, Shape((1, 16, 16), 3))) for name in ours]
    return [*flat, *((name, Shape((1, 8, 8, 8), 3)) for name in SOLID)]


@dataclass(frozen=True)
class Sum:
    """The sum of a case's answers, of whatever shape."""

    words: str = "the sum"

    def values(self, network: nn.Module, inputs: Tensor) -> Tensor:
        answers: Tensor = network(inputs)
        return answers.flatten(1).sum(1)

    def take(self, cases: slice | Tensor) -> Aim:
        return self


class Written(nn.Module):
    """ReLUs as a module, in place, and as a function; then one more that works in place on what was answered."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.ReLU(), nn.ReLU(inplace=True)

    def forward(self, inputs: Tensor) -> Tensor:
        one = self.first(inputs)
        two = self.second(one - 1)
        return relu(two.mul_(2) - 3)


@pytest.mark.parametrize(("name", "shape"), every_network(), ids=lambda one: str(getattr(one, "inputs", one)))
def test_every_network_can_be_looked_into_and_is_left_as_it_was(name: str, shape: Shape) -> None:
    network = built(name, shape)
    network.train()
    inputs = torch.rand((2, *shape.inputs), generator=torch_generator(0, name))
    before = {key: one.clone() for key, one in network.state_dict().items()}
    rows, layers = sparsity_by_depth(network, inputs), filters_of(network, inputs[:1])
    found = activations(network, inputs)
    assert [row.path for row in rows] == [one.path for one in found]
    assert all(0 <= row.zeros <= 1 and 0 <= row.silent <= 1 for row in rows)
    assert layers[0].pictures is None or layers[0].pictures.shape[0] == len(layers[0].norms)
    dreamt = dream(network, inputs, Sum(), ZERO, ONE, Dream(steps=2, octaves=2, jitter=1), torch_generator(1))
    assert bool(dreamt.images.isfinite().all()) and 0 <= float(dreamt.images.min()) <= float(dreamt.images.max()) <= 1
    assert network.training and not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(before[key], one) for key, one in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_relu_is_seen_as_a_module_in_place_and_as_a_function_and_later_changes_do_not_reach_what_is_kept() -> None:
    found = activations(Written(), torch.tensor([[-1.0, 2.0, 4.0]]))
    assert [(one.path, one.kind) for one in found] == [("first", "ReLU"), ("second", "ReLU"), ("", "ReLU")]
    assert [one.values.tolist() for one in found] == [[[0, 2, 4]], [[0, 1, 3]], [[0, 0, 3]]]


def test_tokens_of_a_transformer_lie_where_their_patches_lie() -> None:
    network, image = built("vit", Shape((1, 16, 16), 2)), torch.zeros(1, 1, 16, 16)
    image[..., 4:8, 8:12] = 1
    (plain, bright) = (activations(network, one)[0].values for one in (torch.zeros_like(image), image))
    moved = as_map(network, (bright - plain).abs(), image)
    assert moved is not None and moved.shape[2:] == (4, 4)
    assert moved.sum(1)[0].argmax().item() == 1 * 4 + 2


def test_zeros_hoyer_and_silent_channels_are_those_worked_out_by_hand() -> None:
    cases = torch.tensor([[[[1.0, -1.0]], [[-1.0, -2.0]]], [[[0.0, 3.0]], [[-4.0, -1.0]]]])
    (row,) = sparsity_by_depth(nn.ReLU(), cases)
    assert (row.zeros, row.silent, row.numbers) == (0.75, 0.5, 4)
    assert row.hoyer == pytest.approx(1.0)


@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=20))
def test_hoyer_is_within_0_and_1_or_unknown_whatever_the_numbers(numbers: list[float]) -> None:
    found = hoyer(torch.tensor(numbers, dtype=torch.float64))
    assert found is None or 0 <= found <= 1


def test_hoyer_of_one_number_among_equals() -> None:
    assert hoyer(torch.tensor([2.0, 2, 2, 2])) == pytest.approx(0.0)
    assert hoyer(torch.tensor([1.0, 1, 0, 0])) == pytest.approx((2 - 2 / 2**0.5) / 1)
    assert hoyer(torch.zeros(4)) is None and hoyer(torch.ones(1)) is None


def test_the_first_filters_are_pictures_of_what_they_weigh_and_deeper_ones_are_sizes() -> None:
    cnn = built("groupnorm_cnn", Shape((3, 8, 8), 2))
    first, *deeper = filters_of(cnn, torch.zeros(1, 3, 8, 8))
    assert first.pictures is not None and first.pictures.shape == (32, 3, 3, 3)
    assert [one.pictures for one in deeper] == [None] * 3 and [len(one.norms) for one in deeper] == [64, 128, 2]
    vit = built("vit", Shape((3, 8, 8), 2))
    (patches, *_), weight = filters_of(vit, torch.zeros(1, 3, 8, 8)), vit.get_parameter("embed.weight")
    image = torch.rand(1, 3, 4, 4)
    assert patches.pictures is not None
    by_hand = (patches.pictures * image).flatten(1).sum(1)
    assert torch.allclose(by_hand, image[0].permute(1, 2, 0).reshape(-1) @ weight.T, atol=1e-5)
    (flat,) = filters_of(built("logistic", Shape((1, 8, 8), 2)), torch.zeros(1, 1, 8, 8))
    assert flat.pictures is not None and flat.pictures.shape == (2, 1, 8, 8)


def test_two_steps_up_a_linear_logit_are_those_worked_out_by_hand() -> None:
    """Its gradient is (1, -3), of mean size 2; the range is 10 wide."""
    network = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1.0, -3.0]]))
    aim, low, high = Logits(torch.tensor([0])), torch.tensor([-5.0, -5.0]), torch.tensor([5.0, 5.0])
    found = dream(network, torch.zeros(1, 2), aim, low, high, Dream(steps=2, step_size=0.1), torch_generator(0))
    assert found.images.tolist() == [[pytest.approx(1.0), pytest.approx(-3.0)]]
    assert found.values == (0.0, pytest.approx(5.0), pytest.approx(10.0)) and not found.stuck


def trained() -> nn.Module:
    task: Task = TASKS.build(Entry("classification", {"network": {"name": "groupnorm_cnn", "channels": 4}}))
    return new_network(task, Shape((1, 12, 12), 2), 0).eval()


@pytest.mark.parametrize("options", [Dream(), Dream(steps=5, octaves=3, jitter=2, smoothness=0.3)])
def test_a_dream_answers_more_than_what_it_began_with_within_the_range_and_again_the_same(options: Dream) -> None:
    begin = noise_within(ZERO, ONE, (2, 1, 12, 12), 0.05, torch_generator(3))
    aim = Logits(torch.tensor([0, 1]))
    one, other = (dream(trained(), begin, aim, ZERO, ONE, options, torch_generator(5)) for _ in range(2))
    assert torch.equal(one.images, other.images) and one.values == other.values
    assert one.values[-1] > one.values[0] and 0 <= float(one.images.min()) <= float(one.images.max()) <= 1


class Wave(nn.Module):
    """Highest at 0.55, and steep beside it: a step of 0.3 leaps over it."""

    def forward(self, inputs: Tensor) -> Tensor:
        return -(inputs - 0.55).abs()


def test_of_steps_that_leap_too_far_the_best_image_is_kept() -> None:
    found = dream(Wave(), torch.full((1, 1), 0.2), Sum(), ZERO, ONE, Dream(4, step_size=0.3), torch_generator(0))
    assert found.images.item() == pytest.approx(0.5) and found.reached == pytest.approx(-0.05)
    assert found.values[-1] < found.reached or found.values.count(found.reached) > 1


def test_coarse_octaves_begin_with_what_is_smooth() -> None:
    begin = torch.full((1, 1, 12, 12), 0.5)
    aim = Logits(torch.tensor([1]))

    def grain(octaves: int) -> float:
        made = dream(trained(), begin, aim, ZERO, ONE, Dream(8 // octaves, 0.02, octaves), torch_generator(0)).images
        return float(made.diff(dim=-1).abs().mean() / (made - 0.5).abs().mean())

    assert grain(4) < grain(1)


def test_smoothness_takes_grain_away() -> None:
    begin, aim = torch.full((1, 1, 12, 12), 0.5), Logits(torch.tensor([1]))
    rough, smooth = (
        dream(trained(), begin, aim, ZERO, ONE, Dream(10, smoothness=weight), torch_generator(0)).images
        for weight in (0.0, 2.0)
    )
    assert float(smooth.diff(dim=-1).abs().mean()) < float(rough.diff(dim=-1).abs().mean())


def test_what_cannot_be_climbed_is_said_and_stays_finite() -> None:
    silent = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with torch.no_grad():
        silent[0].bias.fill_(-1e9)  # type: ignore[union-attr]
    found = dream(silent, torch.zeros(1, 2), Sum(), ZERO, ONE, Dream(steps=3), torch_generator(0))
    assert found.stuck and found.images.tolist() == [[0, 0]]


class Exploding(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs * 100).exp()


def test_an_ascent_that_overflows_ends_before_it_does() -> None:
    found = dream(Exploding(), torch.zeros(1, 4), Sum(), ZERO, ONE, Dream(steps=80), torch_generator(0))
    assert bool(found.images.isfinite().all()) and all(np.isfinite(found.values))
    assert all(one < other for one, other in pairwise(found.values))


def test_what_is_beyond_the_range_is_brought_into_it_first() -> None:
    begin = torch.tensor([[-7.0, 9.0]])
    found = dream(nn.Identity(), begin, Sum(), ZERO, ONE, Dream(steps=1, step_size=1e-6), torch_generator(0))
    assert found.images.tolist() == [[pytest.approx(1e-6), 1.0]]


def test_options_that_cannot_be_are_refused() -> None:
    with pytest.raises(StudyError, match="step_size"):
        Dream(step_size=0)
    with pytest.raises(StudyError, match="octaves"):
        Dream(octaves=0)
