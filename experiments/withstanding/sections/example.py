"""One image, what was added to it, and what the model then sees: how sure it was before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from common.adversarial.perturbations.pgd import Pgd
from common.data.cases import Cases, SiteId
from experiments.explanations.answering.role import Told
from experiments.explanations.answering.which import answering_of
from experiments.explanations.clock import Clock
from experiments.explanations.pictures import grey_picture, shown, sliced, tile
from experiments.explanations.section import Section
from experiments.explanations.subject import Subject
from experiments.withstanding.asked import Asked
from experiments.withstanding.moving import Range, moved, size_words
from experiments.withstanding.tests_shown import task_of, tests_of
from server.reporting.markup import Markup, tag
from server.reporting.sections.layout import section

KEY, TITLE = "example", "What that looks like"
LEDE = (
    "Cases that the model answers well, and the least change among the sizes above that misleads it, where one does. "
    "The change is drawn far stronger than it is; added to the image as it is, hardly anybody would see it."
)
MOST, WORTH_SHOWING = 3, 0.05
TRIED = 24
"""Cases of all hospitals among which examples are looked for."""


@dataclass(frozen=True)
class Example:
    """Of one case, (C, *S) inputs. before, after: the model's answer in words. truth: "" where none is known."""

    site: SiteId
    size: str
    image: Tensor
    changed: Tensor
    before: str
    after: str
    truth: str

    def markup(self) -> Markup:
        """Three pictures in a row."""
        change = (self.changed - self.image).sum(0, keepdim=True)
        return tag(
            "div",
            shown(grey_picture(sliced(self.image)), f"{self.site}: {self.before}", _truth(self.truth)),
            shown(tile(sliced(change)[0], signed=True, side=168), f"what was added, at most {self.size}"),
            shown(grey_picture(sliced(self.changed)), self.after),
            class_="filmstrip large",
        )


@dataclass(frozen=True)
class Examples:
    """examples: of hospitals in turn."""

    examples: tuple[Example, ...]

    @property
    def word(self) -> str:
        """In the contents."""
        return "Examples"

    def facts(self) -> Mapping[str, Any]:
        """In words: no picture is in the JSON."""
        return {
            "examples": [
                {"hospital": one.site, "size": one.size, "before": one.before, "after": one.after, "truth": one.truth}
                for one in self.examples
            ]
        }

    def finding(self) -> str:
        """The first of them, in a sentence."""
        one = self.examples[0]
        return f"At {one.site} a change of {one.size} turns the answer “{one.before}” into “{one.after}”."

    def markup(self) -> Markup:
        """One row a case."""
        return section(KEY, TITLE, LEDE, *(one.markup() for one in self.examples))


def make(subject: Subject, asked: Asked, clock: Clock) -> Section | None:
    """None where inputs are no images, or nothing is misled by any size."""
    tests = tests_of(subject, asked.cases)
    if not tests or len(next(iter(tests.values())).shape.inputs) < 3:
        return None
    clock.say("Looking for examples")
    allowed = Range.of(tests)
    found: list[Example] = []
    for site, cases in tests.items():
        if len(found) < MOST and (one := _example(subject, site, _few(cases), allowed, asked)) is not None:
            found.append(one)
    return Examples(tuple(found)) if found else None


def _few(cases: Cases) -> Cases:
    return cases.take(np.arange(min(TRIED, len(cases))))


def _example(subject: Subject, site: SiteId, cases: Cases, allowed: Range, asked: Asked) -> Example | None:
    """The case, and the least size, by which the answer's worth falls most; None where it hardly falls."""
    task, network = task_of(subject), subject.trained.network
    answering = answering_of(subject.trained)
    if len({case.shape for case in cases.pieces("inputs")}) > 1:
        return None
    batch = cases.batch()
    before = answering.tell(batch.inputs, batch.targets)
    for size in asked.sizes_of(is_table=False):
        changed = moved(cases, task, network, Pgd(), allowed.room(size), (asked.seed, site)).batch()
        after = answering.tell(changed.inputs, changed.targets)
        falls = [_fall(one, other) for one, other in zip(before, after, strict=True)]
        place = int(np.argmax(falls))
        if falls[place] > 0.25 or size == asked.sizes_of(is_table=False)[-1]:
            if falls[place] < WORTH_SHOWING:
                return None
            first, other = before[place], after[place]
            image, moved_image = batch.inputs[place].detach(), changed.inputs[place].detach()
            return Example(site, size_words(size), image, moved_image, first.answer, other.answer, first.truth)
    return None


def _fall(before: Told, after: Told) -> float:
    """Of the answer's worth; nothing where it was wrong to begin with."""
    if before.right is False or before.score is None or after.score is None:
        return 0.0
    fall = before.score - after.score
    return fall if np.isfinite(fall) else 0.0


def _truth(truth: str) -> str | None:
    return f"truth: {truth}" if truth else None
