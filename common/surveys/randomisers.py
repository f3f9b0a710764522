"""How a person's answer is randomised before anybody sees it, so that whatever is heard keeps epsilon for that
person.

*One of k* (Warner 1965 for two answers; Kairouz, Bonawitz and Ramage 2016): the true one with chance p = e^epsilon /
(e^epsilon + k - 1), each other one with q = 1 / (e^epsilon + k - 1); p / q = e^epsilon. *OUE*, optimised unary
encoding (Wang, Blocki, Li and Jha 2017): one bit for each answer; the true one's is 1 with chance 1/2, each other's
with q = 1 / (e^epsilon + 1). Two answers differ in two bits, whose ratios multiply to e^epsilon. Its variance does
not grow with k, and it is better from k > 3 e^epsilon + 2 on.

Chances are whole numbers of 2^-64, the false one's rounded upwards: the promise holds for what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal, localcontext
from functools import cached_property
from math import exp, isfinite
from typing import Literal

from common.errors import StudyError
from common.privacy.lazy_chances import RandomBytes
from common.study.spelling import nearest

Kind = Literal["one-of-k", "oue"]
KINDS: tuple[Kind, ...] = ("one-of-k", "oue")
MOST_ANSWERS = 10_000
MOST_EPSILON = 20.0
_BITS = 64
_WHOLE = 1 << _BITS
_DIGITS = Context(prec=60)

Heard = tuple[int, ...]
"""Places of answers: of the one that was given, or of all whose bit is 1."""


@dataclass(frozen=True)
class Randomiser:
    """answers: all that can be given. epsilon: of one interview."""

    answers: tuple[str, ...]
    epsilon: float
    kind: Kind = "one-of-k"

    def __post_init__(self) -> None:
        if len(set(self.answers)) != len(self.answers) or not 2 <= len(self.answers) <= MOST_ANSWERS:
            raise StudyError(
                f"a question needs 2 answers or more, all different; they are {list(self.answers)[:10]}."
            )
        if "" in self.answers:
            raise StudyError("an answer must be a word; one of them is empty.")
        if not (isfinite(self.epsilon) and 0 < self.epsilon <= MOST_EPSILON):
            raise StudyError(f"epsilon must be above 0 and at most {MOST_EPSILON:g}; it is {self.epsilon!r}.")
        if self.kind not in KINDS:
            raise StudyError(f"no kind {self.kind!r} of randomised answer; there are: {', '.join(KINDS)}.")

    @property
    def if_false(self) -> float:
        """q: the chance that an answer is heard of one who would not give it."""
        return self._false / _WHOLE

    @property
    def if_true(self) -> float:
        """p: the chance that the true answer is heard."""
        return 0.5 if self.kind == "oue" else 1 - (len(self.answers) - 1) * self._false / _WHOLE

    def randomise(self, answer: str, random_bytes: RandomBytes) -> Heard:
        """What is heard of one person. Raises StudyError for what is no answer."""
        if answer not in self.answers:
            near = nearest(answer, self.answers)
            raise StudyError(f"{answer!r} is none of the answers" + (f"; did you mean {near!r}?" if near else "."))
        true = self.answers.index(answer)
        if self.kind == "oue":
            ones = (_uniform(random_bytes) < (_WHOLE // 2 if at == true else self._false) for at in range(self._k))
            return tuple(at for at, one in enumerate(ones) if one)
        other = _uniform(random_bytes) // self._false
        return (true if other >= self._k - 1 else other + (other >= true),)

    def counts(self, heard: Sequence[Heard]) -> tuple[int, ...]:
        """How often each answer was heard."""
        found = [0] * self._k
        for one in heard:
            for at in one:
                found[at] += 1
        return tuple(found)

    @property
    def _k(self) -> int:
        return len(self.answers)

    @cached_property
    def _false(self) -> int:
        others = 1 if self.kind == "oue" else self._k - 1
        with localcontext(_DIGITS):
            chance = _WHOLE / (Decimal(self.epsilon).exp() + others)
            return int(chance.to_integral_value(ROUND_CEILING))


def best_kind(answers: int, epsilon: float) -> Kind:
    """Of the smaller variance where most persons have another answer."""
    return "oue" if answers > 3 * exp(epsilon) + 2 else "one-of-k"


def _uniform(random_bytes: RandomBytes) -> int:
    return int.from_bytes(random_bytes(_BITS // 8), "little")
