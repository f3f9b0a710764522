"""What stands for "nothing to see" where something of an image is taken away, or an integral begins."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from common.errors import AttributionError, StudyError
from common.study.checks import between, one_of

Fill = Literal["zero", "mean", "black", "value"]
LARGEST = 1e30


def checked_fill(where: str, fill: str, value: float) -> None:
    """Raise StudyError for no fill, or a value that would not be used."""
    one_of(where, get_args(Fill), fill=fill)
    between(where, -LARGEST, LARGEST, value=value)
    if value and fill != "value":
        raise StudyError(f"{where}.value is of fill 'value', and fill is {fill!r}: remove one of them.")


def filled(inputs: Tensor, fill: Fill, value: float = 0.0) -> Tensor:
    """(N, C, *S) as the inputs are, of each case by itself, the same all over a channel.

    zero: of standardised tables the mean. mean: of the case's channel. black: the least of the case's channel. Raises
    AttributionError for mean and black of a table, whose columns are not of one unit.
    """
    if fill in ("zero", "value"):
        return torch.full_like(inputs, value)
    if inputs.ndim < 3:
        raise AttributionError(
            f"fill {fill!r} is of images: a table's columns have no common mean or black. Take 'zero', the mean of a "
            "column that is standardised, or 'value'."
        )
    axes = tuple(range(2, inputs.ndim))
    found = inputs.mean(axes, keepdim=True) if fill == "mean" else inputs.amin(axes, keepdim=True)
    return found.expand_as(inputs).contiguous()
