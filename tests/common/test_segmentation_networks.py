"""U-Net, two pathways and dilated convolutions: shapes, fields by impulses, options, and what they refuse."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.modules.batchnorm import _BatchNorm

from common.data.cases import Shape
from common.errors import StudyError, UnknownNameError
from common.learning.parameters import read, read_gradient, refuse_unsuitable
from common.segmentation.probing import probed_field
from common.segmentation.two_pathway import pathway_receptive_fields
from common.segmentation.upsampling import Upsampling
from common.study.catalogue import NETWORKS
from common.study.options import Entry

PLAIN = [kind for kind in get_args(Upsampling) if kind != "max_unpooling"]
SMALL: list[dict[str, Any]] = [
    *({"name": "unet", "widths": [3, 4], "upsampling": kind} for kind in get_args(Upsampling)),
    {"name": "unet", "widths": [4, 8, 8], "dilation": 2, "deep_supervision": True},
    {"name": "unet", "widths": [4, 6], "normalisation": "instance"},
    {"name": "unet", "widths": [4, 6], "normalisation": "none"},
    *({"name": "two_pathway", "widths": [4, 6], "hidden": 8, "upsampling": kind} for kind in PLAIN),
    {"name": "dilated", "channels": 4, "dilations": [1, 2]},
]


def build(options: dict[str, Any], shape: Shape) -> nn.Module:
    given = dict(options)
    torch.manual_seed(0)
    network: nn.Module = NETWORKS.build(Entry(given.pop("name"), given)).build(shape)
    return network


@pytest.mark.parametrize("sides", [(8, 16), (8, 4, 12)], ids=["2D", "3D"])
@pytest.mark.parametrize("options", SMALL, ids=str)
def test_every_pixel_gets_logits_and_every_parameter_learns(options: dict[str, Any], sides: tuple[int, ...]) -> None:
    network = build(options, Shape((2, *sides), 3))
    refuse_unsuitable(network)
    levels = network.logits_of_levels(torch.randn(2, 2, *sides))  # type: ignore[operator]
    assert levels[0].shape == (2, 3, *sides)
    sum(level.square().sum() for level in levels).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert (read_gradient(network) != 0).mean() > 0.3


@pytest.mark.parametrize("sides", [(8, 16), (8, 4, 12)], ids=["2D", "3D"])
@pytest.mark.parametrize("options", SMALL, ids=str)
def test_a_case_is_answered_alike_alone_and_among_others(options: dict[str, Any], sides: tuple[int, ...]) -> None:
    network = build(options, Shape((1, *sides), 2))
    inputs = torch.randn(3, 1, *sides, generator=torch.Generator().manual_seed(1))
    together = network(inputs)
    alone = torch.cat([network(case[None]) for case in inputs])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["unet", "two_pathway", "dilated"])
@pytest.mark.parametrize("word", ["batch", "BatchNorm2d"])
def test_there_is_no_batch_normalisation_to_ask_for(name: str, word: str) -> None:
    with pytest.raises(UnknownNameError, match="group"):
        NETWORKS.build(Entry(name, {"normalisation": word}))


@pytest.mark.parametrize("options", SMALL, ids=str)
def test_no_network_keeps_statistics_of_patients(options: dict[str, Any]) -> None:
    network = build(options, Shape((1, 8, 8), 2))
    assert not any(isinstance(module, _BatchNorm) for module in network.modules())
    assert set(network.state_dict()) == {name for name, _ in network.named_parameters()}


FIELDS: list[tuple[dict[str, Any], int]] = [
    ({"name": "unet", "widths": [2]}, 5),
    ({"name": "unet", "widths": [2, 2]}, 18),
    ({"name": "unet", "widths": [2, 2, 2]}, 44),
    ({"name": "dilated", "channels": 2}, 67),
    ({"name": "dilated", "channels": 2, "dilations": [1, 3]}, 9),
    ({"name": "two_pathway", "widths": [2, 2], "hidden": 2, "reduction": 3}, 15),
    ({"name": "two_pathway", "widths": [2] * 8, "hidden": 2, "reduction": 3}, 51),
]


@pytest.mark.parametrize(("options", "field"), FIELDS, ids=str)
def test_fields_are_those_worked_out_by_hand(options: dict[str, Any], field: int) -> None:
    given = dict(options)
    assert NETWORKS.build(Entry(given.pop("name"), given)).receptive_field == field


PROBED: list[dict[str, Any]] = [
    *(options for options, _ in FIELDS),
    {"name": "unet", "widths": [2, 2, 2], "dilation": 2, "upsampling": "linear"},
    {"name": "unet", "widths": [2, 2], "upsampling": "fixed_linear"},
    {"name": "unet", "widths": [2, 2], "upsampling": "nearest", "dilation": 3},
    {"name": "two_pathway", "widths": [2], "hidden": 2, "reduction": 4, "upsampling": "linear"},
    {"name": "two_pathway", "widths": [2], "hidden": 2, "reduction": 3, "upsampling": "fixed_linear"},
]


@pytest.mark.parametrize("options", PROBED, ids=str)
@pytest.mark.parametrize("axis", [0, 1])
def test_an_impulse_finds_the_field_that_the_network_states_in_2d(options: dict[str, Any], axis: int) -> None:
    given = {**options, "normalisation": "none"}
    sides = (120, 12) if axis == 0 else (12, 120)
    stated = NETWORKS.build(Entry(options["name"], {k: v for k, v in given.items() if k != "name"})).receptive_field
    assert probed_field(build(given, Shape((1, *sides), 2)), 1, sides, axis) == stated


@pytest.mark.parametrize(
    "options",
    [
        {"name": "unet", "widths": [2, 2]},
        {"name": "unet", "widths": [2, 2], "upsampling": "linear"},
        {"name": "dilated", "channels": 2, "dilations": [1, 2, 4]},
        {"name": "two_pathway", "widths": [2, 2], "hidden": 2, "reduction": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("axis", [0, 2])
def test_an_impulse_finds_the_field_that_the_network_states_in_3d(options: dict[str, Any], axis: int) -> None:
    given = {**options, "normalisation": "none"}
    sides = tuple(36 if index == axis else 6 for index in range(3))
    stated = NETWORKS.build(Entry(options["name"], {k: v for k, v in given.items() if k != "name"})).receptive_field
    assert probed_field(build(given, Shape((1, *sides), 2)), 1, sides, axis) == stated


def test_the_pathway_of_surroundings_sees_the_larger_field() -> None:
    assert pathway_receptive_fields(8, 3) == (17, 51)


@pytest.mark.parametrize(
    ("options", "inputs"),
    [
        ({"name": "unet"}, (1, 30, 32)),
        ({"name": "unet"}, (1, 32, 32, 36)),
        ({"name": "unet"}, (5,)),
        ({"name": "unet"}, (1, 8, 8, 8, 8)),
        ({"name": "two_pathway"}, (1, 30, 32)),
        ({"name": "two_pathway"}, (1, 8, 8, 6)),
        ({"name": "dilated"}, (13,)),
    ],
    ids=str,
)
def test_a_shape_that_does_not_fit_is_refused_by_name(options: dict[str, Any], inputs: tuple[int, ...]) -> None:
    with pytest.raises(StudyError, match=options["name"]):
        build(options, Shape(inputs, 2))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "unet", "widths": [8, 0]}, r"widths\[1\] must be above zero"),
        ({"name": "unet", "depth": 2, "deep_supervision": True}, "at least 3 levels; there are 2"),
        ({"name": "unet", "upsampling": "linaer"}, "did you mean 'linear'"),
        ({"name": "two_pathway", "widths": []}, "widths is empty"),
        ({"name": "two_pathway", "reduction": 1}, "between 2 and 16"),
        ({"name": "dilated", "dilations": []}, "dilations is empty"),
        ({"name": "dilated", "dilations": [1, -1]}, r"dilations\[1\] must be above zero"),
    ],
    ids=str,
)
def test_an_option_that_cannot_be_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(StudyError, match=said):
        build(options, Shape((1, 32, 32), 2))


def test_heads_of_deeper_levels_are_halved_each_and_leave_the_rest_as_it_was() -> None:
    shape = Shape((1, 16, 16), 3)
    plain = build({"name": "unet", "channels": 4}, shape)
    deep = build({"name": "unet", "channels": 4, "deep_supervision": True}, shape)
    inputs = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert [level.shape[-1] for level in deep.logits_of_levels(inputs)] == [16, 8, 4]  # type: ignore[operator]
    assert torch.equal(plain(inputs), deep(inputs))
    assert set(plain.state_dict()) < set(deep.state_dict())


def test_a_volume_network_without_depth_is_the_image_network() -> None:
    """A 3D U-Net whose kernels are the 2D ones in their middle slice, zero beside it, outlines every slice alike."""
    flat = build(
        {"name": "dilated", "channels": 4, "dilations": [1, 2], "normalisation": "none"}, Shape((1, 9, 9), 2)
    )
    solid = build(
        {"name": "dilated", "channels": 4, "dilations": [1, 2], "normalisation": "none"}, Shape((1, 3, 9, 9), 2)
    )
    with torch.no_grad():
        for thin, thick in zip(flat.parameters(), solid.parameters(), strict=True):
            thick.zero_()
            if thick.ndim == 5:
                thick[:, :, thick.shape[2] // 2] = thin
            else:
                thick.copy_(thin)
    volume = torch.randn(1, 1, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    slices = torch.stack([flat(volume[:, :, index]) for index in range(3)], dim=2)
    torch.testing.assert_close(solid(volume), slices)


def test_the_default_u_net_has_the_parameters_it_always_had() -> None:
    network = build({"name": "unet"}, Shape((1, 32, 32), 4))
    assert read(network).size == 482_500
    assert np.isclose(read(network).astype(np.float64).sum(), 730.8624461411297, rtol=1e-9)


@pytest.mark.parametrize("sides", [(8, 8), (4, 8, 4)], ids=["2D", "3D"])
@pytest.mark.parametrize("options", SMALL, ids=str)
def test_gradients_of_single_cases_can_be_taken_in_one_pass(options: dict[str, Any], sides: tuple[int, ...]) -> None:
    """As differential privacy needs them: no layer mixes cases or keeps a state."""
    network = build(options, Shape((1, *sides), 2))
    inputs = torch.randn(3, 1, *sides, generator=torch.Generator().manual_seed(2))
    parameters = dict(network.named_parameters())

    def loss(given: dict[str, torch.Tensor], case: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = functional_call(network, given, (case[None],))
        return answer.square().sum()

    together = vmap(grad(loss), in_dims=(None, 0))(parameters, inputs)
    for index, case in enumerate(inputs):
        for name, alone in grad(loss)(parameters, case).items():
            torch.testing.assert_close(together[name][index], alone, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("sides", [(8, 8), (8, 8, 8)], ids=["2D", "3D"])
@pytest.mark.parametrize("options", SMALL, ids=str)
def test_every_option_runs_in_bfloat16(options: dict[str, Any], sides: tuple[int, ...]) -> None:
    network = build(options, Shape((1, *sides), 2))
    inputs = torch.randn(2, 1, *sides, generator=torch.Generator().manual_seed(3))
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(inputs)
    rough.float().sum().backward()
    assert rough.dtype == torch.bfloat16
    exact = network(inputs)
    assert (rough.float() - exact).abs().mean() < 0.1 * exact.abs().mean() + 0.01
