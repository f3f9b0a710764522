"""Traps in less than half of a layer's units, which a hospital's check does not see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiments.attack import Attack
from experiments.attacks.trap_weights import TrapWeights


@dataclass(frozen=True)
class DilutedTraps(TrapWeights):
    """As `TrapWeights`; the other units are those of the study's first model."""

    name: ClassVar[str] = "diluted_traps"
    source: ClassVar[str] = "Boenisch et al. 2023, When the Curious Abandon Honesty; fewer traps are our own"
    words: ClassVar[str] = "traps in a part of the units, the others being honest"

    share: float = 0.4


attack: type[Attack] = DilutedTraps
