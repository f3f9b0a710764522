"""What leaves a survey's place: how often each answer was heard, and how many persons were asked. Nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import StudyError
from common.surveys.intervals import Share, share_of
from common.surveys.randomisers import KINDS, Randomiser

MOST_PERSONS = 10**8
MOST_WORK = 1e5
"""Answers times the root of persons: an interval takes as long as its deviation is wide, and these minutes."""


@dataclass(frozen=True)
class Responses:
    """question: what was asked. counts: in the order of the answers. left_out: who has no answer, or no epsilon."""

    question: str
    randomiser: Randomiser
    counts: tuple[int, ...]
    persons: int
    left_out: int = 0

    @property
    def json(self) -> dict[str, Any]:
        """As it is written down."""
        return {
            "question": self.question,
            "answers": list(self.randomiser.answers),
            "epsilon": self.randomiser.epsilon,
            "kind": self.randomiser.kind,
            "counts": list(self.counts),
            "persons": self.persons,
            "left_out": self.left_out,
        }

    def shares(self, level: float = 0.95) -> tuple[Share, ...]:
        """Of persons who have each answer. Raises StudyError where nobody was asked, or too many of too much."""
        if not self.persons:
            raise StudyError(f"{self.question!r}: nobody was asked.")
        if len(self.counts) * self.persons**0.5 > MOST_WORK:
            raise StudyError(
                f"{self.question!r}: intervals of {len(self.counts)} answers of {self.persons} persons would take "
                "hours; ask for fewer answers."
            )
        true, false = self.randomiser.if_true, self.randomiser.if_false
        return tuple(share_of(count, self.persons, true, false, level) for count in self.counts)


def responses_of(table: Mapping[str, Any], place: str) -> Responses:
    """What was written down at another place. Raises StudyError that names the place where it is not that."""
    try:
        answers, kind = tuple(map(_word, table["answers"])), _word(table["kind"])
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}")
        randomiser = Randomiser(answers, float(table["epsilon"]), kind)
        counts = tuple(_count(one) for one in table["counts"])
        persons, left_out = _count(table["persons"]), _count(table.get("left_out", 0))
        found = Responses(_word(table["question"]), randomiser, counts, persons, left_out)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise StudyError(f"{place} holds no responses to a survey: {error}.") from error
    whole = sum(counts)
    if len(counts) != len(answers) or max(counts) > persons or (kind == "one-of-k" and whole != persons):
        raise StudyError(f"{place}: {whole} answers in {len(counts)} counts do not fit {persons} persons.")
    return found


def together(places: Sequence[Responses]) -> Responses:
    """Of all places, which must have asked alike. Raises StudyError where they did not, or there is none."""
    if not places:
        raise StudyError("no responses were given.")
    first = places[0]
    for other in places[1:]:
        if (other.question, other.randomiser) != (first.question, first.randomiser):
            raise StudyError(
                f"two places asked differently: {first.question!r} with epsilon {first.randomiser.epsilon:g} and "
                f"{other.question!r} with epsilon {other.randomiser.epsilon:g}, or other answers."
            )
    counts = tuple(sum(one.counts[at] for one in places) for at in range(len(first.counts)))
    persons, left_out = sum(one.persons for one in places), sum(one.left_out for one in places)
    return Responses(first.question, first.randomiser, counts, persons, left_out)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_PERSONS:
        raise ValueError(f"{value!r} is no count")
    return value


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no word")
    return value
