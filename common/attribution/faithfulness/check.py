"""The role of a test that maps pass or fail, one file each in this folder.

What it measures are means over cases, so that hospitals' add up; what it finds follows from the sums alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from common.attribution.faithfulness.trial import Trial
from common.sums.mean import Mean, Statistics

Word = Literal["passed", "failed", "not applicable"]


@dataclass(frozen=True)
class Finding:
    """word: the outcome. sentence: why, with the figures, for a reader who knows no statistics."""

    word: Word
    sentence: str

    @property
    def passed(self) -> bool | None:
        """None where it is not applicable."""
        return None if self.word == "not applicable" else self.word == "passed"


class Check(Protocol):
    """A frozen dataclass of options."""

    name: ClassVar[str]
    """How its sums' names begin."""
    question: ClassVar[str]
    """What it asks, in a sentence."""
    source: ClassVar[str]
    """The paper it is from."""

    def measured(self, trial: Trial) -> dict[str, Mean]:
        """Sums over the cases, by names that begin with the check's own; {} where it does not apply."""
        ...

    def found(self, sums: Statistics) -> Finding:
        """What follows from the sums of all cases, of one hospital or of many."""
        ...
