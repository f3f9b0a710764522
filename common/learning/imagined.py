"""Cases that are only guessed, by the image from which their inputs and their truth both follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from common.data.cases import Batch


@dataclass(frozen=True)
class Imagined:
    """form: (N, C, *S) of the images. unit: of a guess, so that images are mostly within a few units of zero.

    batch: of images, (N, C, *S), inputs and targets as a hospital would have them, differentiable by the images.
    seen: of images or targets, what a person looks at, (N, 1, *S): of complex ones the magnitude. drawn: names of
    what a hospital has by chance and an adversary does not know, such as a mask: it was drawn anew, by the rule that
    all know.
    """

    form: tuple[int, ...]
    unit: float
    batch: Callable[[Tensor], Batch]
    seen: Callable[[Tensor], Tensor]
    drawn: tuple[str, ...] = ()
