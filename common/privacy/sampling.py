"""Poisson samples of units: how likely each is in a step, and how many steps a round has."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

from common.learning.client_work import Sends, Training


@dataclass(frozen=True)
class PoissonSteps:
    """How a hospital draws in a round: the chance of each unit to be in a step, and how many steps there are."""

    rate: float
    steps: int


def sampling_rate(batch_size: int | Literal["full"], units: int) -> float:
    """The chance of each unit at which `batch_size` are expected: at most 1, and 1 for "full"."""
    return 1.0 if batch_size == "full" or units <= batch_size else batch_size / units


def steps_a_round(training: Training, sends: Sends, rate: float) -> int:
    """One for a gradient; else the study's steps, or for each epoch as many as expect to show every unit once."""
    if sends == "gradient":
        return 1
    return training.epochs * ceil(1 / rate) if training.steps is None else training.steps
