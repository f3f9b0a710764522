"""Condition number, noise gain and loss of an operator against the weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from common.reconstruction.conditioning import Conditioning, conditioning, spectrum
from common.reconstruction.imaging_operator import Operator
from common.seeding import generator
from common.study.catalogue import OPERATORS
from common.study.options import Entry

DECADES = (-6, 2)
A_DECADE = 4


@dataclass(frozen=True)
class Curve:
    """name: of the operator and its options. exact: of stated singular values, else by Lanczos quadrature.

    largest: the squared norm of the map, by which the weights are to be read. points: the weight rising.
    """

    name: str
    exact: bool
    largest: float
    points: tuple[Conditioning, ...]


@dataclass(frozen=True)
class Shown:
    """An operator with options, on images of shape (C, *S)."""

    operator: str
    shape: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    words: str = ""


def shares() -> list[float]:
    """Weights as shares of the squared norm, a few a decade."""
    low, high = DECADES
    return [float(10**power) for power in np.linspace(low, high, (high - low) * A_DECADE + 1)]


def curve(shown: Shown, weights: Sequence[float] | None = None) -> Curve:
    """Of one case, whose parameters are drawn. weights: as shares of the map's squared norm."""
    entry: Operator = OPERATORS.build(Entry(shown.operator, dict(shown.options)))
    drawn = entry.draw(generator(0, "conditioning", shown.operator), shown.shape)
    linear = entry.map(shown.shape, {name: torch.from_numpy(values)[None] for name, values in drawn.items()})
    found = spectrum(linear)
    largest = float(found.eigenvalues.max())
    points = conditioning(found, [share * largest for share in (weights or shares())])
    return Curve(shown.words or shown.operator, found.exact, largest, points)
