"""What a hospital is asked to do in a round, and with which settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from common.errors import StudyError
from common.study.checks import non_negative, positive

Sends = Literal["gradient", "delta"]


@dataclass(frozen=True)
class Training:
    """`[training]` of a study: how a hospital trains on its own cases.

    epochs: passes over the training cases a round (McMahan's E). steps: a number of steps instead of epochs.
    batch_size: cases a step (B), or "full". learning_rate: of the local optimiser.
    """

    epochs: int = 1
    steps: int | None = None
    batch_size: int | Literal["full"] = 32
    learning_rate: float = 0.1
    optimiser: Literal["sgd", "adam", "adamw"] = "sgd"
    momentum: float = 0.0
    weight_decay: float = 0.0
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        positive("training", epochs=self.epochs, steps=self.steps, learning_rate=self.learning_rate)
        non_negative("training", momentum=self.momentum, weight_decay=self.weight_decay)
        if self.batch_size != "full":
            positive("training", batch_size=self.batch_size)
        if self.momentum and self.optimiser != "sgd":
            raise StudyError(f"training.momentum is an option of 'sgd', not of {self.optimiser!r}.")


@dataclass(frozen=True)
class Work:
    """One round's order from a strategy to every selected hospital.

    sends: "gradient", the sum of the cases' gradients at the received model, or "delta", n_k times the change
    that local training made. proximal_mu: weight of FedProx' term. controlled: a second vector, the server's
    control variate, came with the model, and a second one goes back (SCAFFOLD).
    """

    sends: Sends
    proximal_mu: float = 0.0
    controlled: bool = False

    @property
    def vectors(self) -> int:
        """How many vectors of the model's length an update holds."""
        return 2 if self.controlled else 1
