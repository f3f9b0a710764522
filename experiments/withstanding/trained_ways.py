"""How much ways of training withstand, as measured: figures that a page shows beside a run's own."""

from __future__ import annotations

from dataclasses import dataclass

SIZES = ("unchanged", "2/255", "4/255", "8/255")


@dataclass(frozen=True)
class Way:
    """scores: balanced accuracy at SIZES; 0.5 is guessing, and below it the model is led, not only confused."""

    words: str
    scores: tuple[float, float, float, float]


@dataclass(frozen=True)
class Trial:
    """ways: of one setting, which compare. note: of what, and how it was measured."""

    name: str
    ways: tuple[Way, ...]
    note: str


TRIALS = (
    Trial(
        "A short second training, which stays near the first model",
        (
            Way("plainly", (0.900, 0.805, 0.673, 0.420)),
            Way("on images changed once, added to the data", (0.916, 0.844, 0.757, 0.532)),
            Way("on images changed at every step (FGSM)", (0.874, 0.811, 0.755, 0.642)),
        ),
        "PneumoniaMNIST in six hospitals, 524 validation images, changed by ten steps of the model's slope; one "
        "seed, six rounds, the second of them going on for four more (docs/results.md).",
    ),
    Trial(
        "A long second training",
        (
            Way("plainly", (0.814, 0.732, 0.647, 0.343)),
            Way("on images changed once, added to the data", (0.729, 0.632, 0.537, 0.371)),
        ),
        "The same hospitals, all test images, changed by twenty steps of the model's slope; one seed, twenty rounds, "
        "the second going on for twenty more, a larger network.",
    ),
)
