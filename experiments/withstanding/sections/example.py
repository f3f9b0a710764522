"""One image or row of a table, what was added to it, and what the model then sees: its answer before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from common.adversarial.perturbations.pgd import Pgd
from common.data.cases import Batch, Cases, SiteId
from common.learning.abilities import outlines
from common.learning.task import Task
from experiments.explanations.answering.role import Told
from experiments.explanations.answering.which import answering_of
from experiments.explanations.clock import Clock
from experiments.explanations.pictures import Pixels, grey_picture, shown, sliced, tile, tinted
from experiments.explanations.section import Section
from experiments.explanations.sections.columns import names_of
from experiments.explanations.subject import Subject
from experiments.withstanding.asked import Asked
from experiments.withstanding.moving import Range, moved, size_words
from experiments.withstanding.sections._rows import RowExample
from experiments.withstanding.shown import cases_shown, task_of
from server.reporting.markup import Markup, tag
from server.reporting.sections.layout import section
from server.reporting.wording import score

KEY, TITLE = "example", "What that looks like"
LEDE = (
    "Cases that the model answers well, and the least change among the sizes above that misleads it, where one does. "
    "The change is drawn far stronger than it is; added to the image as it is, hardly anybody would see it."
)
LEDE_OF_ROWS = (
    "Rows that the model answers well, and the least change among the sizes above that misleads it, where one does. "
    "No column moves by more than that. Columns of yes and no move too, to values that no form holds: whoever can "
    "change a table in truth is less free than this."
)
SLICES = "Of each volume the middle slice is shown; all of it was changed."
IN_GREEN = "Green is where the outline is wrong."
MOST, WORTH_SHOWING, CLEARLY = 3, 0.05, 0.25
TRIED = 24
"""Cases of all hospitals among which examples are looked for."""


@dataclass(frozen=True)
class Example:
    """Of one case, (C, *S) inputs. before, after: the model's answer in words. truth: "" where none is known.

    wrong: (*S) of outlines, where the answer about the image is wrong, and where that about the changed one is.
    """

    site: SiteId
    size: str
    image: Tensor
    changed: Tensor
    before: str
    after: str
    truth: str
    wrong: tuple[Tensor, Tensor] | None = None

    @property
    def pictures(self) -> tuple[Pixels, Pixels, Pixels]:
        """The image, what was added, and the changed image; what is outlined wrongly is green."""
        change = (self.changed - self.image).sum(0, keepdim=True)
        first, last = (grey_picture(sliced(one)) for one in (self.image, self.changed))
        if self.wrong is not None:
            before, after = (sliced(one[None])[0] for one in self.wrong)
            first, last = tinted(sliced(self.image), before), tinted(sliced(self.changed), after)
        return first, tile(sliced(change)[0], signed=True, side=168), last

    def markup(self) -> Markup:
        """Three pictures in a row."""
        first, added, last = self.pictures
        return tag(
            "div",
            shown(first, f"{self.site}: {self.before}", _truth(self.truth)),
            shown(added, f"what was added, at most {self.size}"),
            shown(last, self.after),
            class_="filmstrip large",
        )


@dataclass(frozen=True)
class Examples:
    """examples: of hospitals in turn."""

    examples: tuple[Example | RowExample, ...]

    @property
    def word(self) -> str:
        """In the contents."""
        return "Examples"

    def facts(self) -> Mapping[str, Any]:
        """In words: no picture is in the JSON."""
        return {
            "examples": [
                {
                    "hospital": one.site,
                    "size": one.size,
                    "before": one.before,
                    "after": one.after,
                    "truth": one.truth,
                    **(one.facts() if isinstance(one, RowExample) else {}),
                }
                for one in self.examples
            ]
        }

    def finding(self) -> str:
        """The first of them, in a sentence."""
        one = self.examples[0]
        return f"At {one.site} a change of {one.size} turns the answer “{one.before}” into “{one.after}”."

    def markup(self) -> Markup:
        """One row a case."""
        one = self.examples[0]
        if isinstance(one, RowExample):
            return section(KEY, TITLE, LEDE_OF_ROWS, *(each.markup() for each in self.examples))
        lede = " ".join((LEDE, *[IN_GREEN] * (one.wrong is not None), *[SLICES] * (one.image.ndim == 4)))
        return section(KEY, TITLE, lede, *(one.markup() for one in self.examples))


def make(subject: Subject, asked: Asked, clock: Clock) -> Section | None:
    """None where inputs are neither images nor rows, or nothing is misled by any size."""
    tests = cases_shown(subject, asked.cases)
    if not tests or len(next(iter(tests.values())).shape.inputs) == 2:
        return None
    clock.say("Looking for examples")
    allowed = Range.of(tests)
    found: list[Example | RowExample] = []
    for site, cases in tests.items():
        if len(found) < MOST and (one := _example(subject, site, _few(cases), allowed, asked)) is not None:
            found.append(one)
    return Examples(tuple(found)) if found else None


def _few(cases: Cases) -> Cases:
    return cases.take(np.arange(min(TRIED, len(cases))))


def _example(
    subject: Subject, site: SiteId, cases: Cases, allowed: Range, asked: Asked
) -> Example | RowExample | None:
    """The case, and the least size, by which the answer's worth falls most; None where it hardly falls."""
    if len({case.shape for case in cases.pieces("inputs")}) > 1:
        return None
    task, network, batch = task_of(subject), subject.trained.network, cases.batch()
    answering, sizes = answering_of(subject.trained), asked.sizes_of(is_table=batch.inputs.ndim == 2)
    before = answering.tell(batch.inputs, batch.targets)
    for size in sizes:
        changed = moved(cases, task, network, Pgd(), allowed.room(size), (asked.seed, site)).batch()
        after = answering.tell(changed.inputs, changed.targets)
        falls = [_fall(one, other) for one, other in zip(before, after, strict=True)]
        place = int(np.argmax(falls))
        if falls[place] > CLEARLY or (size == sizes[-1] and falls[place] >= WORTH_SHOWING):
            told = (before[place], after[place])
            make_one = _row if batch.inputs.ndim == 2 else _image
            return make_one(subject, site, allowed, size, batch.take([place]), changed.inputs[place].detach(), told)
    return None


def _row(
    subject: Subject, site: SiteId, allowed: Range, size: float, case: Batch, changed: Tensor, told: tuple[Told, Told]
) -> RowExample:
    row, (before, after) = case.inputs[0].detach(), told
    return RowExample(
        site,
        f"{size_words(size, allowed.words)} {allowed.words}",
        names_of(subject.trained.source, len(row)),
        row.double().numpy(),
        changed.double().numpy(),
        np.broadcast_to(allowed.unit, row.shape),
        before.answer,
        after.answer,
        before.truth,
    )


def _image(
    subject: Subject, site: SiteId, allowed: Range, size: float, case: Batch, changed: Tensor, told: tuple[Told, Told]
) -> Example:
    task, network, image, (before, after) = task_of(subject), subject.trained.network, case.inputs[0].detach(), told
    return Example(
        site,
        size_words(size, allowed.words),
        image,
        changed,
        _said(before, task),
        _said(after, task),
        "" if outlines(task) else before.truth,
        _wrong(task, network, image, changed, case.targets[0]) if outlines(task) else None,
    )


def _fall(before: Told, after: Told) -> float:
    """Of the answer's worth; nothing where it was wrong to begin with."""
    if before.right is False or before.score is None or after.score is None:
        return 0.0
    fall = before.score - after.score
    return fall if np.isfinite(fall) else 0.0


def _said(told: Told, task: Task) -> str:
    return f"{told.answer}, Dice {score(told.score)}" if outlines(task) else told.answer


def _wrong(task: Task, network: nn.Module, image: Tensor, changed: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        first, last = (task.predict(network, one[None])[0] != truth for one in (image, changed))
    return first, last


def _truth(truth: str) -> str | None:
    return f"truth: {truth}" if truth else None
