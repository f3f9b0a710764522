"""Sizes and receptive fields: by hand, and against torch's own layers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from common.segmentation.arithmetic import (
    Layer,
    largest_receptive_field,
    output_size,
    output_size_of_stack,
    receptive_field,
)

layers = st.builds(Layer, st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(1, 3))
transposed_layers = st.builds(
    Layer, st.integers(1, 4), st.integers(1, 3), st.just(0), st.integers(1, 3), transposed=st.just(True)
)


def torch_stack(stack: list[Layer]) -> nn.Sequential:
    """Convolutions with every weight 1, so that no path through them cancels another."""
    network = nn.Sequential(
        *(
            (nn.ConvTranspose1d if layer.transposed else nn.Conv1d)(
                1, 1, layer.kernel, layer.stride, layer.padding, dilation=layer.dilation, bias=False
            )
            for layer in stack
        )
    ).double()
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    return network


def seen_by(network: nn.Sequential, size: int, place: int) -> torch.Tensor:
    """Places of the input that the gradient of one output reaches."""
    inputs = torch.zeros(1, 1, size, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(inputs)[0, 0, place], inputs)
    return gradient[0, 0].nonzero()[:, 0]


@pytest.mark.parametrize(
    ("size", "layer", "after"),
    [
        (28, Layer(5), 24),
        (7, Layer(3, stride=2), 3),
        (8, Layer(3, stride=2, padding=1), 4),
        (9, Layer(3, dilation=4), 1),
        (5, Layer(2, stride=2, transposed=True), 10),
        (5, Layer(4, stride=2, padding=1, transposed=True), 10),
    ],
)
def test_output_sizes_are_those_worked_out_by_hand(size: int, layer: Layer, after: int) -> None:
    assert output_size(size, layer) == after


def test_the_field_of_two_small_kernels_is_that_of_one_larger() -> None:
    assert receptive_field([Layer(3), Layer(3)]) == 5
    assert receptive_field([Layer(3), Layer(2, stride=2), Layer(3)]) == 8


def test_yu_and_koltuns_context_module_sees_67_pixels() -> None:
    assert receptive_field([Layer(3, dilation=d) for d in (1, 1, 2, 4, 8, 16, 1)]) == 67


@given(st.lists(layers, min_size=1, max_size=3), st.integers(1, 40))
def test_sizes_are_those_of_torch(stack: list[Layer], size: int) -> None:
    try:
        after = output_size_of_stack(size, stack)
    except ValueError:
        with pytest.raises(RuntimeError):
            torch_stack(stack)(torch.zeros(1, 1, size, dtype=torch.float64))
    else:
        assert torch_stack(stack)(torch.zeros(1, 1, size, dtype=torch.float64)).shape[-1] == after


@given(
    st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(1, 3), st.integers(0, 2), st.integers(1, 12)
)
def test_transposed_sizes_are_those_of_torch(
    kernel: int, stride: int, padding: int, dilation: int, extra: int, size: int
) -> None:
    assume(extra < max(stride, dilation))
    layer = Layer(kernel, stride, padding, dilation, transposed=True)
    real = nn.ConvTranspose1d(1, 1, kernel, stride, padding, extra, dilation=dilation)
    try:
        after = output_size(size, layer, extra)
    except ValueError:
        with pytest.raises(RuntimeError):
            real(torch.zeros(1, 1, size))
    else:
        assert real(torch.zeros(1, 1, size)).shape[-1] == after


@settings(deadline=None)
@given(st.lists(layers, min_size=1, max_size=3))
def test_the_gradient_of_the_central_output_reaches_the_whole_field_and_no_further(stack: list[Layer]) -> None:
    size = 260
    seen = seen_by(torch_stack(stack), size, output_size_of_stack(size, stack) // 2)
    assert int(seen.max() - seen.min()) + 1 == receptive_field(stack)


@given(st.lists(layers, max_size=4))
def test_without_enlargement_both_ways_of_counting_agree(stack: list[Layer]) -> None:
    assert largest_receptive_field(stack) == receptive_field(stack)


@settings(deadline=None, max_examples=40)
@given(st.lists(layers | transposed_layers, min_size=1, max_size=3))
def test_no_output_sees_more_than_the_largest_field(stack: list[Layer]) -> None:
    network, size = torch_stack(stack), 90
    seen = [seen_by(network, size, place) for place in range(output_size_of_stack(size, stack))]
    widths = [int(places.max() - places.min()) + 1 for places in seen if len(places)]
    assert max(widths, default=0) <= largest_receptive_field(stack)


@pytest.mark.parametrize(("kernel", "field"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)])
def test_an_enlargement_by_two_sees_what_its_kernel_covers(kernel: int, field: int) -> None:
    layer = Layer(kernel, stride=2, transposed=True)
    seen = [len(seen_by(torch_stack([layer]), 9, place)) for place in range(output_size(9, layer))]
    assert max(seen) == largest_receptive_field([layer]) == field


@pytest.mark.parametrize("wrong", [{"kernel": 0}, {"kernel": 3, "stride": 0}, {"kernel": 3, "padding": -1}])
def test_a_layer_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Layer(**wrong)


def test_the_formula_refuses_an_enlargement() -> None:
    with pytest.raises(ValueError, match="largest_receptive_field"):
        receptive_field([Layer(2, stride=2, transposed=True)])
