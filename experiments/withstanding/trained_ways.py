"""How much ways of training withstand, as measured: figures that a page shows beside a run's own."""

from __future__ import annotations

from dataclasses import dataclass

SIZES = ("unchanged", "2/255", "4/255", "8/255")
SOURCE = (
    "PneumoniaMNIST in six hospitals, all test images, changed by twenty steps of the model's slope (PGD); one seed "
    "of `wardround bench robust`."
)


@dataclass(frozen=True)
class Way:
    """scores: balanced accuracy at SIZES; 0.5 is guessing, and below it the model is led, not only confused."""

    name: str
    words: str
    scores: tuple[float, float, float, float]


MEASURED = (
    Way("plain", "plainly", (0.0, 0.0, 0.0, 0.0)),
    Way("course", "on images changed once, added to the data", (0.0, 0.0, 0.0, 0.0)),
    Way("fgsm", "on images changed at every step (FGSM)", (0.0, 0.0, 0.0, 0.0)),
)
