"""A cheating coordinator's imprint under a little noise, so that a hospital's check does not know it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiments.attack import Attack
from experiments.attacks.imprint import Imprint


@dataclass(frozen=True)
class BlurredImprint(Imprint):
    """As `Imprint`, of rows that are less alike."""

    name: ClassVar[str] = "blurred_imprint"
    words: ClassVar[str] = "an imprint under a little noise, so that a hospital's check does not know it"

    blur: float = 0.05


attack: type[Attack] = BlurredImprint
