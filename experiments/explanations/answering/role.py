"""The role of an answering: what of a model can be explained, case by case, and which cases are worth a look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from common.attribution.aim import Aim


@dataclass(frozen=True)
class Told:
    """One case in words. answer: the model's. truth: "" where none is known.

    answered: the class that is answered, and group: the true one, where there are classes.

    right: None where an answer is not right or wrong. sure: how sure the model is, in [0, 1]; None where that means
    nothing. score: how good the answer is, larger is better; None where there is no truth. size: the number answered,
    or how large the outlined structure is.
    """

    answer: str
    truth: str
    answered: str = ""
    group: str = ""
    right: bool | None = None
    sure: float | None = None
    score: float | None = None
    size: float = 0.0


@dataclass(frozen=True)
class Chosen:
    """place: of the case among those that were read. why: it is shown, in a few words."""

    place: int
    why: str


class Answering(Protocol):
    """A frozen dataclass."""

    @property
    def network(self) -> nn.Module:
        """What is explained, in evaluation mode on the CPU."""
        ...

    @property
    def explains(self) -> str:
        """What a map is of, for a reader: "the class that the model answers"."""
        ...

    @property
    def rule(self) -> str:
        """By which rule cases are chosen, in a sentence."""
        ...

    def tell(self, inputs: Tensor, targets: Tensor) -> list[Told]:
        """Of every case. targets: (N, 0) where no truth is known."""
        ...

    def choose(self, told: Sequence[Told], most: int) -> list[Chosen]:
        """Different cases by the rule, at most so many."""
        ...

    def aim(self, inputs: Tensor) -> Aim:
        """Of each case, what the model answers about it."""
        ...

    def one_answer(self, inputs: Tensor) -> Aim:
        """One and the same answer for all cases, so that what moves it up is up for all."""
        ...

    def chance(self, inputs: Tensor) -> Aim | None:
        """What is watched while parts of cases are taken away, best a probability; None: the aim."""
        ...

    def masks(self, inputs: Tensor, targets: Tensor) -> Tensor | None:
        """(N, *S) bool, where the truth lies that a map should point to; None where that is not known."""
        ...

    def says_anything(self, told: Told) -> bool:
        """Whether there is an answer of the case that could be explained: an outline may be empty."""
        ...

    def wishes(self, inputs: Tensor) -> Mapping[str, Aim]:
        """What a dream of the model's answers may ascend, by its name, for as many cases."""
        ...


def in_turn(wanted: Sequence[tuple[str, Sequence[int]]], most: int) -> list[Chosen]:
    """Different cases of several lists in turn, each list from its beginning. wanted: why, and places."""
    chosen: dict[int, str] = {}
    lists = [(why, list(places)) for why, places in wanted]
    while len(chosen) < most and any(places for _, places in lists):
        for why, places in lists:
            fresh = next((place for place in places if place not in chosen), None)
            if fresh is None or len(chosen) == most:
                places.clear()
            else:
                chosen[fresh] = why
    return [Chosen(place, why) for place, why in chosen.items()]
