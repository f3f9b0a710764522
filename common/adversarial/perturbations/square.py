"""A random square of every image is moved by all that is allowed, and kept where the model then answers worse.

Only answers are asked for, no gradient: what this finds and ascent does not is hidden from ascent, not withstood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.adversarial.objective import Objective
from common.adversarial.perturbation import Perturbation
from common.adversarial.room import Room
from common.adversarial.starts import chosen
from common.study.checks import between, sized

MOST_QUERIES = 100_000
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Of ten thousand queries, after which the squares' share of an image is halved (section 4.1)."""


@dataclass(frozen=True)
class Square:
    """queries: answers that are asked for, of each case. first_share: of the values of an image, in the first
    squares; it shrinks as queries pass.
    """

    source: ClassVar[str] = (
        "Andriushchenko et al. 2020, Square attack: a query-efficient black-box adversarial attack via random search "
        "(ECCV), algorithms 1 and 2"
    )
    sees: ClassVar[str] = "answers"

    queries: int = 1000
    first_share: float = 0.8

    def __post_init__(self) -> None:
        sized("perturbation 'square'", MOST_QUERIES, queries=self.queries)
        between("perturbation 'square'", 1e-6, 1, first_share=self.first_share)

    def move(self, objective: Objective, room: Room, draws: Sequence[np.random.Generator]) -> Tensor:
        """The best so far, of which a case takes a square more wherever that raises its value, until it is misled.

        Stripes first, along the last axis. Of a table, squares are columns that stand beside each other.
        """
        inputs, size = objective.inputs, room.share(1.0, objective.inputs)
        if not len(inputs):
            return inputs
        best, highest = inputs, objective.values(inputs)
        stripes = _signs(draws, _stripes(inputs)).to(inputs)
        best, highest = _better(objective, room.in_range(inputs + size * stripes), best, highest)
        channels, *sides = inputs.shape[1:] if inputs.ndim > 2 else (1, *inputs.shape[1:])
        random = _Squares.drawn(draws, self.queries, channels, len(sides))
        for query in range(self.queries):
            if bool((highest > objective.enough).all()):
                break
            side = self._side(query, sides)
            moved = best + 2 * size * random.moves(query, side, sides, inputs)
            moved = room.in_range(moved.maximum(inputs - size).minimum(inputs + size))
            best, highest = _better(objective, moved, best, highest)
        return best

    def _side(self, query: int, sides: Sequence[int]) -> int:
        """Of the square, in pixels; the schedule is stretched or pressed to the number of queries."""
        at = int(query / self.queries * 10_000)
        share = self.first_share / 2 ** sum(at > one for one in HALVINGS)
        side = round((share * prod(sides)) ** (1 / len(sides)))
        return int(min([max(side, 1), *sides]))


def _better(objective: Objective, moved: Tensor, best: Tensor, highest: Tensor) -> tuple[Tensor, Tensor]:
    """Of each case that is not misled yet, the one of the higher value."""
    values = objective.values(moved)
    higher = (values > highest) & (highest <= objective.enough)
    return chosen(higher, moved, best), torch.where(higher, values, highest)


def _stripes(inputs: Tensor) -> tuple[int, ...]:
    """Shape of one case's signs: alike along all axes but channels and the last."""
    shape = tuple(inputs.shape[1:])
    return shape if len(shape) < 3 else (shape[0], *(1,) * (len(shape) - 2), shape[-1])


def _signs(draws: Sequence[np.random.Generator], shape: tuple[int, ...]) -> Tensor:
    drawn = np.stack([rng.choice(np.array([-1, 1], np.float32), shape) for rng in draws])
    return torch.from_numpy(drawn)


@dataclass(frozen=True)
class _Squares:
    """places: (N, queries, axes) in 0 to 1. signs: (N, queries, channels)."""

    places: NDArray[np.float32]
    signs: NDArray[np.float32]

    @classmethod
    def drawn(cls, draws: Sequence[np.random.Generator], queries: int, channels: int, axes: int) -> _Squares:
        """Of every case by its own generator."""
        places = np.stack([rng.random((queries, axes), np.float32) for rng in draws])
        signs = np.stack([rng.choice(np.array([-1, 1], np.float32), (queries, channels)) for rng in draws])
        return cls(places, signs)

    def moves(self, query: int, side: int, sides: Sequence[int], inputs: Tensor) -> Tensor:
        """(N, ...) of the inputs' shape: a channel's sign within the square of a case, 0 elsewhere."""
        inside = torch.ones((len(inputs), *(1,) * len(sides)), dtype=torch.bool)
        for axis, length in enumerate(sides):
            starts = torch.from_numpy((self.places[:, query, axis] * (length - side + 1)).astype(np.int64))
            along = torch.arange(length)[None] - starts.clamp(max=length - side)[:, None]
            within = (along >= 0) & (along < side)
            inside = inside & within.reshape(-1, *(length if one == axis else 1 for one in range(len(sides))))
        signs = torch.from_numpy(self.signs[:, query]).reshape(len(inputs), -1, *(1,) * len(sides))
        return (signs * inside[:, None]).reshape(inputs.shape).to(inputs)


perturbation: type[Perturbation] = Square
