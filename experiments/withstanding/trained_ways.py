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
        "Six hospitals, twelve rounds",
        (
            Way("plainly", (0.858, 0.667, 0.434, 0.069)),
            Way("on images changed once, added to the data", (0.865, 0.706, 0.519, 0.285)),
            Way("on images changed at every step but in the first rounds (FGSM)", (0.850, 0.784, 0.705, 0.516)),
            Way("on images changed by five steps, but in the first rounds (PGD)", (0.849, 0.789, 0.723, 0.565)),
        ),
        "PneumoniaMNIST, 624 test images, changed by twenty steps of the model's slope from two starts; means of "
        "three seeds. Images changed once made the model weaker on one seed, and stronger on two (docs/results.md).",
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
