"""What each method's maps were found to be worth on this model, in words that a map can carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.explanations.methods import Method
from server.reporting.markup import Child, tag

CONTROL = "control: never asks the model"
NOT_TRIED = "not tested"
LOOKS = {True: "good", False: "bad", None: "warn"}


@dataclass(frozen=True)
class Verdict:
    """passed: whether a method may be believed on this model; None: it was not tested, or by too little. words: below
    every map. tests: each test's finding in words, by its name. figures: their numbers.
    """

    passed: bool | None
    words: str
    tests: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdicts:
    """By method. why_none: why none was tested, in a sentence."""

    found: Mapping[str, Verdict] = field(default_factory=dict)
    why_none: str = ""

    def of(self, method: Method) -> Verdict:
        """A control fails by what it is."""
        if method.control:
            return Verdict(False, CONTROL, self.found[method.name].tests if method.name in self.found else {})
        return self.found.get(method.name, Verdict(None, NOT_TRIED))


def badge(verdict: Verdict) -> Child:
    """As it stands below a map."""
    return tag("span", verdict.words, class_=f"verdict {LOOKS[verdict.passed]}")
