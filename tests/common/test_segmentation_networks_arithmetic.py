"""Sizes and receptive fields: by hand, and against torch's own layers."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d

from common.errors import LayerSizeError, UnknownNameError
from common.segmentation.arithmetic import (
    Field,
    Layer,
    field_of,
    largest_receptive_field,
    output_size,
    output_size_of_stack,
    receptive_field,
)
from common.segmentation.probing import probed
from common.segmentation.upsampling import Upsampling, layer_of

CONFIGURATIONS = 3000
DEPTHS = (0.0, 0.3, 0.6, 0.1)
"""Shares of stacks of no layer, of one, two and three."""


def drawn(rng: np.random.Generator, transposed: bool) -> Layer:
    """NumPy's own integers, small ones, whose products would overflow."""
    kernel, stride, padding, dilation = rng.integers((1, 1, 0, 1), (5, 4, 3, 4), dtype=np.int8)
    return Layer(kernel, stride, padding, dilation, transposed)


def by_torch(rows: torch.Tensor, layer: Layer, output_padding: int = 0) -> torch.Tensor:
    """(1, 1, rows, size): the layer along each row. RuntimeError where nothing is left.

    Every weight is 1, so that no way through a stack cancels another.
    """
    ones = torch.ones(1, 1, 1, layer.kernel)
    steps, cut, apart = (1, layer.stride), (0, layer.padding), (1, layer.dilation)
    if layer.transposed:
        return conv_transpose2d(rows, ones, None, steps, cut, (0, output_padding), 1, apart)
    return conv2d(rows, ones, None, steps, cut, apart)


def fields_by_torch(stack: list[Layer], size: int) -> Field:
    """Gradients of all outputs at once: what each impulse of the input changes."""
    answers = torch.eye(size)[None, None]
    for layer in stack:
        answers = (by_torch(answers, layer) > 0.5).float()
    reached = answers[0, 0].numpy() > 0
    if not reached.any():
        return Field(0, 0)
    noticed = reached[:, reached.any(axis=0)]
    first, last = noticed.argmax(axis=0), size - 1 - noticed[::-1].argmax(axis=0)
    return Field(int((last - first).max()) + 1, int(noticed.sum(axis=0).max()))


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


def test_three_thousand_layers_have_torchs_sizes_or_are_refused_as_it_refuses_them() -> None:
    rng, wrong = np.random.default_rng(0), []
    for index in range(CONFIGURATIONS):
        layer = drawn(rng, transposed=index % 2 == 1)
        size, extra = int(rng.integers(1, 14)), int(rng.integers(0, 4)) if layer.transposed else 0
        try:
            expected: int | None = by_torch(torch.zeros(1, 1, 1, size), layer, extra).shape[-1]
        except RuntimeError:
            expected = None
        try:
            found: int | None = output_size(size, layer, extra)
        except LayerSizeError:
            found = None
        wrong += [(size, layer, extra, found, expected)] if found != expected else []
    assert not wrong


def test_three_thousand_stacks_see_what_gradients_of_torch_say() -> None:
    """Some outputs see nothing, some pixels are seen by none, and which output sees most depends on its place."""
    rng, wrong, with_gaps = np.random.default_rng(1), [], 0
    for _ in range(CONFIGURATIONS):
        stack = [drawn(rng, transposed=bool(rng.random() < 0.3)) for _ in range(rng.choice(4, p=DEPTHS))]
        found = field_of(stack)
        period = prod(layer.stride for layer in stack if not layer.transposed)
        size = found.extent + 2 * period + 4 * len(stack)
        try:
            expected = fields_by_torch(stack, size)
        except RuntimeError:  # padding has cut everything off
            continue
        stated = largest_receptive_field(stack)
        wrong += [(stack, size, found, expected)] if found != expected or stated != expected.extent else []
        with_gaps += found.seen < found.extent
    assert not wrong
    assert with_gaps > CONFIGURATIONS // 10


def test_a_stack_is_one_layer_after_another() -> None:
    stack = [Layer(3, stride=2, padding=1), Layer(2, stride=2, transposed=True), Layer(5)]
    assert (
        output_size_of_stack(9, stack) == output_size(output_size(output_size(9, stack[0]), stack[1]), stack[2]) == 6
    )
    assert output_size_of_stack(9, []) == 9


@pytest.mark.parametrize(
    ("stack", "extent", "seen"),
    [
        ([], 1, 1),
        ([Layer(1, stride=2), Layer(3)], 5, 3),
        ([Layer(2, stride=5), Layer(2)], 7, 4),
        ([Layer(3, dilation=4)], 9, 3),
        ([Layer(1, stride=3, transposed=True)], 1, 1),
        ([Layer(1, stride=2, transposed=True), Layer(2, dilation=3)], 1, 1),
        ([Layer(3, stride=2, padding=1, transposed=True), Layer(1, stride=2)], 1, 1),
        ([Layer(3, stride=2, transposed=True), Layer(1, stride=2)], 2, 2),
    ],
    ids=str,
)
def test_gaps_are_no_pixels_that_are_seen(stack: list[Layer], extent: int, seen: int) -> None:
    assert field_of(stack) == Field(extent, seen)
    network = nn.Sequential(
        *(
            (nn.ConvTranspose2d if layer.transposed else nn.Conv2d)(
                1, 1, layer.kernel, layer.stride, layer.padding, dilation=layer.dilation
            )
            for layer in stack
        )
    )
    assert probed(network, 1, (29, 31), 0) == probed(network, 1, (28, 30), 1) == Field(extent, seen)


@pytest.mark.parametrize("value", [True, 3.0, "3", None, np.float32(3), np.bool_(1), 0, -1])
@pytest.mark.parametrize("name", ["kernel", "stride", "dilation"])
def test_a_layer_that_cannot_be_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(LayerSizeError, match=f"{name} must be"):
        Layer(**{"kernel": 3, name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Layer(3, padding=-1), "padding must be zero or more"),
        (lambda: Layer(3, padding=0.5), "padding must be a whole number"),  # type: ignore[arg-type]
        (lambda: Layer(3, transposed=1), "transposed must be True or False"),  # type: ignore[arg-type]
        (lambda: output_size(8.0, Layer(3)), "size must be a whole number"),  # type: ignore[arg-type]
        (lambda: output_size(8, Layer(3), 1), "output_padding is of transposed layers"),
        (lambda: output_size(8, Layer(3, transposed=True), True), "output_padding must be a whole number"),
        (lambda: output_size_of_stack(0, []), "size must be at least 1"),
        (lambda: field_of([3]), "made of Layer; 3 came"),  # type: ignore[list-item]
        (lambda: field_of([Layer(2, stride=60, transposed=True)] * 6), "too large to be counted"),
        (lambda: probed(nn.Conv1d(1, 1, 3), 1, (9,), 1), "axis must be at most 0"),
        (lambda: probed(nn.Conv1d(1, 1, 3), 1, (9.0,)), r"sides\[0\] must be a whole number"),  # type: ignore[arg-type]
        (lambda: layer_of("nearest", 2.0), "factor must be a whole number"),  # type: ignore[arg-type]
        (lambda: layer_of("linaer"), "did you mean 'linear'"),  # type: ignore[arg-type]
    ],
)
def test_what_no_calculator_can_answer_is_refused_by_name(call: Callable[[], object], said: str) -> None:
    with pytest.raises((LayerSizeError, UnknownNameError), match=said):
        call()


def test_the_formula_refuses_an_enlargement() -> None:
    with pytest.raises(ValueError, match="largest_receptive_field"):
        receptive_field([Layer(2, stride=2, transposed=True)])


@pytest.mark.parametrize("kind", get_args(Upsampling))
@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_every_enlargement_has_the_size_that_its_layer_says(kind: Upsampling, factor: int) -> None:
    assert output_size(5, layer_of(kind, factor)) == 5 * factor
