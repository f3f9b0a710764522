"""Whether the model withstands, or only hides the way: the alarm for masked gradients, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np
from torch import nn

from common.adversarial.aims import loss_of
from common.adversarial.inner_step import not_learning
from common.adversarial.masking import Sign, probed
from common.data.cases import Cases, SiteId, concatenate
from common.errors import StudyError
from common.learning.task import Task
from experiments.explanations.clock import Clock
from experiments.explanations.section import Section
from experiments.explanations.subject import Subject
from experiments.withstanding.asked import Asked
from experiments.withstanding.moving import Range, size_words
from experiments.withstanding.shown import cases_shown, task_of
from server.reporting.markup import Markup, tag
from server.reporting.sections.layout import section
from server.reporting.wording import capital, count, duration

KEY, TITLE = "hiding", "Does it withstand, or does it only hide?"
LEDE = (
    "A model can look safe because the usual attacks find nothing to follow: it rounds its inputs, or is always so "
    "sure that its answers have no slope. Whoever only asks for answers, and keeps what worked, misleads it all the "
    "same. So some cases are changed in six ways, and ways that should win are compared with ways that should not."
)
MOST, LEAST = 64, 16
"""Cases: fewer tell nothing by a sign test, and more hardly more."""
QUERIES, PASSES = 100, 250
"""Answers asked for of each case; and how often in all a case goes through the network and back, about."""
TRIED = 3


@dataclass(frozen=True)
class Hiding:
    """signs: of masking. cases: that were changed. size: in words."""

    signs: tuple[Sign, ...]
    cases: int
    size: str

    @property
    def word(self) -> str:
        """In the contents."""
        return "Hiding"

    def facts(self) -> Mapping[str, Any]:
        """Signs by name and in words."""
        return {"signs": [asdict(one) for one in self.signs], "cases": self.cases, "size": self.size}

    def finding(self) -> str:
        """The verdict."""
        if not self.signs:
            return (
                f"Nothing says that the model only hides: among {count(self.cases, 'case')}, changed by {self.size}, "
                "whoever knows more misleads it more."
            )
        return (
            "The figures above flatter: the model hides the way to mislead it, and does not withstand "
            f"({count(len(self.signs), 'sign')} of four)."
        )

    def markup(self) -> Markup:
        """The verdict, and each sign."""
        signs = tag("ul", *(tag("li", capital(one.words)) for one in self.signs)) if self.signs else None
        note = "No sign is no proof: a model can hide in ways that nobody has thought of (Athalye et al. 2018)."
        return section(KEY, TITLE, LEDE, tag("p", self.finding()), signs, tag("p", note, class_="note"))


def make(subject: Subject, asked: Asked, clock: Clock) -> Section | None:
    """None where no case is here. Raises StudyError where there are too few, or too little time."""
    tests = cases_shown(subject, asked.cases)
    if not tests:
        return None
    allowed, task, network = Range.of(tests), task_of(subject), subject.trained.network
    sizes = asked.sizes_of(is_table=len(next(iter(tests.values())).shape.inputs) == 1)
    size = sizes[len(sizes) // 2]
    clock.say("Looking whether the model hides")
    shown = _of_one_shape(tests)
    if len(shown) < LEAST:
        raise StudyError(f"{count(len(shown), 'case')} of one shape are too few: {LEAST} at least tell hiding apart.")
    seconds = PASSES * min(_seconds(task, network, shown) for _ in range(TRIED))
    fit = min(len(shown), int(clock.left / max(seconds, 1e-9)))
    if fit < LEAST:
        raise StudyError(
            f"looking takes about {duration(seconds * LEAST)}, and {duration(max(clock.left, 0.0))} were left: name "
            "more --seconds."
        )
    batch = shown.take(np.arange(fit)).batch()
    with not_learning(network):
        signs = probed(task, network, batch, allowed.room(size), QUERIES, asked.seed).signs()
    return Hiding(signs, fit, f"{size_words(size, allowed.words)} {allowed.words}")


def _seconds(task: Task, network: nn.Module, shown: Cases) -> float:
    """Of a case there and back, among others."""
    batch = shown.batch(np.arange(LEAST))
    began = perf_counter()
    with not_learning(network):
        loss_of(task, network, batch).gradient(batch.inputs)
    return (perf_counter() - began) / LEAST


def _of_one_shape(tests: Mapping[SiteId, Cases]) -> Cases:
    """Of all hospitals in turn, of the shape that most have."""
    few = max(1, -(-MOST // len(tests)))
    every = concatenate([cases.take(np.arange(min(few, len(cases)))) for cases in tests.values()])
    shapes = [case.shape for case in every.pieces("inputs")]
    usual = Counter(shapes).most_common(1)[0][0]
    return every.take(np.flatnonzero([shape == usual for shape in shapes]))
