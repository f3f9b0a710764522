"""Votes in a sum: each hospital adds one to one of many places, and nobody can say in which.

A sum proves nothing of a single part: a hospital that runs another program could add a hundred votes, or take away
those of others. Each choice therefore has PLACES places, and an honest hospital draws one of them from the system's
secret source. In an honest sum no place is below 0 and all together are as many as there are hospitals. Who adds a
second vote must take one away elsewhere for the count to be right, and whoever takes one away has to hit a place
where one lies, or leaves a place below 0 that everybody sees: with v votes for a choice the chance is v / PLACES at
most for each that is moved. Places go into no record.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Literal, get_args

from common.errors import WireError
from common.sums.mean import Mean, Statistics

VOTES = "votes"
"""What the names of these statistics begin with, before a stroke."""
PLACES = 64
Choice = Literal["worse", "fine", "silent"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
NAMES = tuple(f"{choice}_{place:02d}" for choice in CHOICES for place in range(PLACES))
VOTE = Mean(1, 0)


@dataclass(frozen=True)
class Votes:
    """How many hospitals chose what; silent: those without a validation case."""

    worse: int
    fine: int
    silent: int

    @property
    def cast(self) -> int:
        """Without the silent."""
        return self.worse + self.fine


def ballot(choice: Choice) -> dict[str, Mean]:
    """One vote, in a place that is drawn here."""
    return {f"{choice}_{secrets.randbelow(PLACES):02d}": VOTE}


def counted(statistics: Statistics, hospitals: int) -> Votes:
    """The votes of so many hospitals. Raises WireError where no honest ones add up to these."""
    if not statistics.keys() <= set(NAMES):
        raise WireError("votes came under names that are none of theirs.")
    if any(mean.weight_units or mean.total_units < 0 for mean in statistics.values()):
        raise WireError("votes were taken away that nobody had cast.")
    sums = {
        choice: sum(mean.total_units for name, mean in statistics.items() if name.startswith(choice))
        for choice in CHOICES
    }
    if sum(sums.values()) != hospitals:
        raise WireError(f"{hospitals} hospitals cast {sum(sums.values())} votes.")
    return Votes(**sums)
