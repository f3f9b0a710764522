"""A pipeline of steps, each of which may be off: what our augmentations are made of.

Of each case every step is given uniform numbers, so that thousands of cases are drawn at once and yet each of them as
it is drawn alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.errors import StudyError

Chances = NDArray[np.float64]


class Step(Protocol):
    """One change of an image."""

    def chances(self, axes: int) -> int:
        """How many uniform numbers it takes of a case with so many spatial axes."""
        ...

    def drawn(self, chances: Chances, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """(N, numbers) of (N, chances) uniform numbers in [0, 1). shape: of a case, channels first."""
        ...

    def numbers(self, axes: int) -> int:
        """How many numbers it draws; 0 where it is off."""
        ...

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """(N, C, *S) images, changed. drawn: (N, numbers)."""
        ...


class Resizing(Step, Protocol):
    """The first step, which may give another size."""

    def resized(self, images: Tensor, drawn: Tensor, size: tuple[int, ...]) -> Tensor:
        """(N, C, *size)."""
        ...


class Pipeline:
    """What an augmentation made of steps inherits; it says which, in their order."""

    def steps(self) -> tuple[Resizing, *tuple[Step, ...]]:
        """The first one gives a view its size."""
        raise NotImplementedError

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """(P,) numbers of all steps."""
        return np.asarray(self.draw_each([rng], shape)[0])

    def draw_each(self, generators: Sequence[np.random.Generator], shape: tuple[int, ...]) -> NDArray[np.float32]:
        """(N, P): of each case what `draw` gives of its generator."""
        axes = len(shape) - 1
        if not 1 <= axes <= 3:
            raise StudyError(
                f"augmentations of ours are for images of 1 to 3 axes, and not for cases of shape {shape}."
            )
        steps = [step for step in self.steps() if step.numbers(axes)]
        counts = [step.chances(axes) for step in steps]
        chances = np.array([rng.random(sum(counts)) for rng in generators]).reshape(-1, sum(counts))
        parts = np.split(chances, np.cumsum(counts)[:-1], axis=1)
        drawn = [step.drawn(part, shape) for step, part in zip(steps, parts, strict=True)]
        return np.concatenate(drawn, axis=1).astype(np.float32)

    def apply(self, images: Tensor, drawn: Tensor, size: tuple[int, ...]) -> Tensor:
        """(N, C, *size) views."""
        first, *rest = self.steps()
        axes = images.ndim - 2
        others = [step for step in rest if step.numbers(axes)]
        parts = iter(torch.split(drawn, [step.numbers(axes) for step in (first, *others)], dim=1))
        seen = first.resized(images, next(parts), size)
        for step, part in zip(others, parts, strict=True):
            seen = step.apply(seen, part)
        return seen
