"""Learning rates that change from round to round, as functions of the round's number alone.

Server and hospitals work them out alike, and a run that is resumed goes on where it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import cos, pi
from typing import Literal

from common.errors import StudyError
from common.study.checks import between, non_negative, positive

Kind = Literal["constant", "step", "exponential", "linear", "cosine"]
OPTIONS = {"step": ("factor", "every", "at"), "exponential": ("factor",), "linear": ("lowest", "over")}
OPTIONS["cosine"] = OPTIONS["linear"]


@dataclass(frozen=True)
class Schedule:
    """A factor of a learning rate in every round.

    Attributes:
        kind: "constant"; "step", times `factor` every `every` rounds, or at the rounds `at`; "exponential", times
            `factor` every round; "linear" and "cosine", down towards `lowest` (Loshchilov and Hutter 2017, SGDR,
            equation 5, without restarts).
        warm_up_rounds: so many first rounds rise evenly to the full rate (Goyal et al. 2017, section 2.2); what
            `kind` says begins after them.
        factor: 0.1 for steps and 0.95 for exponential where not given.
        every: rounds between two steps.
        at: rounds from which the rate is a step lower, in rising order, in the place of `every`.
        lowest: share of the rate that is approached.
        over: rounds that "linear" and "cosine" take, warm-up included; not given: the study's rounds, as they are
            when the study is first read. In rounds beyond it the rate stays.
    """

    kind: Kind = "constant"
    warm_up_rounds: int = 0
    factor: float | None = None
    every: int | None = None
    at: tuple[int, ...] = ()
    lowest: float | None = None
    over: int | None = None

    def __post_init__(self) -> None:
        non_negative("schedule", warm_up_rounds=self.warm_up_rounds)
        positive("schedule", factor=self.factor, every=self.every, over=self.over)
        if self.lowest is not None:
            between("schedule", 0, 1, lowest=self.lowest)
        self._refuse_options_of_others()
        if self.at and (self.every is not None or self.at[0] < 2 or not _rises(self.at)):
            raise StudyError(
                f"schedule.at lists rounds from 2 in rising order, in the place of schedule.every; it is {self.at}."
            )
        if self.kind == "step" and not self.at and self.every is None:
            raise StudyError("schedule.every is missing: the rounds between two steps; or name the rounds in at.")
        if self.over is not None and self.over <= self.warm_up_rounds:
            raise StudyError(
                f"schedule.warm_up_rounds = {self.warm_up_rounds} leaves no round of {self.over} at the full rate."
            )

    def resolved(self, rounds: int) -> Schedule:
        """With `over` said where it matters, so that a run that is made longer keeps the rates it had."""
        needs_length = self.kind in ("linear", "cosine") and self.over is None
        return replace(self, over=rounds) if needs_length else self

    def factor_of(self, number: int) -> float:
        """Of the learning rate in round `number`, from 1; above 0."""
        if number <= self.warm_up_rounds:
            return number / (self.warm_up_rounds + 1)
        after = number - self.warm_up_rounds - 1
        if self.kind == "step":
            return self._step_factor ** (sum(number >= one for one in self.at) if self.at else after // self._every)
        if self.kind == "exponential":
            return float((0.95 if self.factor is None else self.factor) ** after)
        return self._towards_lowest(after) if self.kind in ("linear", "cosine") else 1.0

    @property
    def _step_factor(self) -> float:
        return 0.1 if self.factor is None else self.factor

    @property
    def _every(self) -> int:
        assert self.every is not None
        return self.every

    def _towards_lowest(self, after: int) -> float:
        """The last round is one stride above `lowest`, so that none is wasted at a rate of 0."""
        assert self.over is not None
        length, lowest = self.over - self.warm_up_rounds, self.lowest or 0.0
        gone = min(after, length - 1) / length
        left = 1 - gone if self.kind == "linear" else (1 + cos(pi * gone)) / 2
        return lowest + (1 - lowest) * left

    def _refuse_options_of_others(self) -> None:
        for name in ("factor", "every", "at", "lowest", "over"):
            if getattr(self, name) not in (None, ()) and name not in OPTIONS.get(self.kind, ()):
                kinds = " and ".join(repr(kind) for kind, names in OPTIONS.items() if name in names)
                raise StudyError(f"schedule.{name} has no effect on kind {self.kind!r}: it is an option of {kinds}.")


def _rises(numbers: tuple[int, ...]) -> bool:
    return all(first < second for first, second in pairwise(numbers))


def rate_in_round(learning_rate: float, schedule: Schedule | None, number: int) -> float:
    """The learning rate of round `number`; the very number that was given where there is no schedule."""
    return learning_rate if schedule is None else learning_rate * schedule.factor_of(number)
