"""Networks that learn to reconstruct: what they are without their learned part, and one step by hand."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.parameters import new_network
from common.learning.tasks.denoiser import Denoiser, PlugAndPlay
from common.learning.tasks.direct import AlongAxes
from common.learning.tasks.unrolled import Unrolled
from common.reconstruction.operators.cartesian_mri import CartesianMri, MaskedFourier, fourier, inverse_fourier
from common.reconstruction.packing import Layout
from common.study.catalogue import TASKS
from common.study.options import Entry

MRI = Entry("cartesian_mri", {"acceleration": 2.0})
SMALL = Entry("ffdnet", {"channels": 4, "depth": 2})
SHAPE = (2, 8, 8)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def measured(cases: int = 3) -> tuple[Tensor, MaskedFourier, Tensor]:
    """Packed inputs, the map, and the data, of images of noise."""
    masks = np.stack([CartesianMri(2.0).draw(np.random.default_rng(one), SHAPE)["mask"] for one in range(cases)])
    linear = MaskedFourier(SHAPE, torch.from_numpy(masks).double())
    data = linear.forward(drawn(cases, *SHAPE))
    return Layout.of(CartesianMri(2.0), SHAPE).pack(data, {"mask": linear.mask}), linear, data


def network_of(zero: bool, **options: Any) -> nn.Module:
    inputs, _, _ = measured()
    task = TASKS.build(Entry("unrolled", {"operator": MRI, "network": SMALL, "iterations": 3, **options}))
    network = new_network(task, Shape(tuple(inputs.shape[1:]), 0), 1).double()
    if zero:
        for name, parameter in network.named_parameters():
            if name.startswith("networks."):
                nn.init.zeros_(parameter)
    return network


def test_with_networks_of_zeros_it_is_gradient_descent() -> None:
    inputs, linear, data = measured()
    network = network_of(zero=True)
    with torch.no_grad():
        cast(Any, network).steps.copy_(torch.tensor([-0.1, 0.02, 0.05]))
    image = linear.adjoint(data)
    for step in torch.exp(10 * torch.tensor([-0.1, 0.02, 0.05])):
        image = image - step * linear.adjoint(linear.forward(image) - data)
    torch.testing.assert_close(network(inputs), image, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shared", [False, True])
def test_steps_share_one_network_where_the_study_says_so(shared: bool) -> None:
    network = network_of(zero=False, shared=shared)
    assert len(cast(Any, network).networks) == (1 if shared else 3)


def test_one_step_worked_out_by_hand() -> None:
    """Denoising y = 3 from the start 3 at a strength of 3: the network sees 1, answers 2 * 1 + 0.5, and 3 * 2.5 is
    added."""
    task = Unrolled(Entry("denoising"), network=SMALL, iterations=1)
    network = cast(Any, new_network(task, Shape((1, 8, 8), 0), 1))
    network.networks[0] = nn.Conv2d(1, 1, 1)
    nn.init.constant_(network.networks[0].weight, 2.0)
    nn.init.constant_(network.networks[0].bias, 0.5)
    torch.testing.assert_close(network(torch.full((1, 1, 8, 8), 3.0)), torch.full((1, 1, 8, 8), 10.5))


@pytest.mark.parametrize("consistency", ["gradient", "proximal", "projection"])
def test_twice_the_data_make_twice_the_image(consistency: str) -> None:
    """Whatever unit a scanner writes."""
    inputs, linear, data = measured()
    network = network_of(zero=False, consistency=consistency)
    doubled = Layout.of(CartesianMri(2.0), SHAPE).pack(2 * data, {"mask": linear.mask})
    torch.testing.assert_close(network(doubled), 2 * network(inputs), rtol=1e-5, atol=1e-6)


def test_projection_leaves_measured_lines_as_they_are_but_for_what_the_last_network_adds() -> None:
    inputs, linear, data = measured()
    network = cast(Any, network_of(zero=False, consistency="projection"))
    for parameter in network.networks[-1].parameters():
        nn.init.zeros_(parameter)
    mask = linear.mask[:, None].bool().expand(len(data), *SHAPE)
    torch.testing.assert_close(fourier(network(inputs))[mask], data[mask], rtol=1e-9, atol=1e-9)


def test_projection_is_refused_of_an_operator_without_a_pseudo_inverse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.learning.tasks.unrolled.Invertible", int)
    with pytest.raises(StudyError, match="pseudo-inverse"):
        network_of(zero=False, consistency="projection")


@pytest.mark.parametrize("name", ["direct", "postprocessed", "unrolled", "denoiser"])
def test_cases_of_another_operator_are_refused_by_name(name: str) -> None:
    task = TASKS.build(Entry(name, {"operator": MRI, "network": SMALL}))
    with pytest.raises(StudyError, match="operator"):
        new_network(task, Shape((7, 8, 8), 0), 1)


def test_a_transform_along_axes_can_be_the_fourier_transform() -> None:
    """One term is enough, since it is a product along the axes (dAUTOMAP)."""
    transform = AlongAxes((2, 4, 6), (2, 4, 6), terms=1).double()
    with torch.no_grad():
        for axis, side in ((0, 4), (1, 6)):
            units = torch.eye(2 * side, dtype=torch.float64).reshape(2 * side, 2, side)
            along = inverse_fourier(units).reshape(2 * side, 2, side)
            transform.matrices[axis].copy_(along.movedim(0, -1).reshape(2, side, 2, side))
    images = drawn(3, 2, 4, 6)
    torch.testing.assert_close(transform(fourier(images)), images, rtol=1e-12, atol=1e-12)


def test_a_denoiser_that_changes_nothing_makes_plug_and_play_fit_the_data() -> None:
    inputs, linear, data = measured()
    task = Denoiser(MRI, network=SMALL, data_noise=1e-4)
    network = new_network(task, Shape(tuple(inputs.shape[1:]), 0), 1).double()
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    torch.testing.assert_close(linear.forward(network(inputs)), data, rtol=1e-4, atol=1e-4)


def test_levels_of_noise_fall_and_the_data_are_trusted_less_as_they_do() -> None:
    """DPIR: the weight is lambda (noise of the data / level) squared."""
    levels_of = {"iterations": 3, "greatest_level": 0.4, "least_level": 0.1, "data_noise": 4.0}
    task = TASKS.build(Entry("denoiser", {"operator": MRI, "network": SMALL, "data_range": 200.0, **levels_of}))
    network = cast(PlugAndPlay, task.build_network(Shape((3, 8, 8), 0)))
    levels, weights = zip(*network.steps, strict=True)
    assert levels == pytest.approx((0.4, 0.2, 0.1))
    assert weights == pytest.approx((0.23 * 0.05**2, 0.23 * 0.1**2, 0.23 * 0.2**2))


def test_noise_to_be_taken_off_is_drawn_between_the_levels_and_of_each_case_alone() -> None:
    task = Denoiser(Entry("denoising"), network=SMALL, least_level=0.1, greatest_level=0.3)
    images = torch.zeros(200, 1, 8, 8)
    batch = task.augment(Batch.of(images, images, ["p"] * 200), np.random.default_rng(0))
    levels, spreads = batch.tensor("noise_level"), batch.tensor("noise").flatten(1).std(1)
    assert 0.1 <= levels.min() < 0.12 and 0.27 < levels.max() <= 0.3
    assert ((spreads / levels - 1).abs() < 0.35).all()


def test_a_classical_inverse_comes_before_a_network_that_mends_it() -> None:
    """argmin |x - 3|^2 / 2 + 0.5 |x|^2 / 2 is 2; a network of zeros adds nothing."""
    inverse = {"prior": "identity", "prior_weight": 0.5, "method": "closed_form"}
    task = TASKS.build(Entry("postprocessed", {"operator": "denoising", "network": SMALL, **inverse}))
    network = new_network(task, Shape((1, 8, 8), 0), 1)
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    inputs = torch.full((1, 1, 8, 8), 3.0)
    torch.testing.assert_close(network(inputs), torch.full((1, 1, 8, 8), 2.0))
    torch.testing.assert_close(task.start(inputs), torch.full((1, 1, 8, 8), 2.0))
