"""`[fine_tuning]`: after the last round each hospital goes on alone, from the federation's model."""

from __future__ import annotations

from dataclasses import dataclass

from common.errors import StudyError
from common.study.checks import listed, positive

FINE_TUNED = "fine_tuned"
"""Beside the splits that are scored: the test cases again, by the hospital's fine-tuned model."""


@dataclass(frozen=True)
class FineTuning:
    """The hospital's model stays with it; of its test patients the scores before and after are told.

    Attributes:
        epochs: passes over the hospital's own training cases.
        steps: a number of steps instead of epochs.
        learning_rate: training's, as it is in the last round, if it is not given. All else is as in [training].
        parameters: patterns of the names of those that are trained, such as "head.*"; (): all that learned before.
    """

    epochs: int = 1
    steps: int | None = None
    learning_rate: float | None = None
    parameters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        positive("fine_tuning", epochs=self.epochs, steps=self.steps, learning_rate=self.learning_rate)
        listed("fine_tuning", least=0, parameters=self.parameters)


def check_fine_tuning(wanted: FineTuning | None, rounds: int, privacy: str | None) -> None:
    """Raise StudyError where nothing comes before it, or its scores would break a promise."""
    if wanted is None:
        return
    if not rounds:
        raise StudyError("rounds = 0 trains nothing, and [fine_tuning] goes on from what was trained: remove it.")
    if privacy is not None:
        raise StudyError(
            f"privacy {privacy!r} promises to hide its patients, and scores of a fine-tuned model would tell of "
            "those it was trained on without noise: remove [fine_tuning]. Each hospital can fine-tune by itself."
        )
