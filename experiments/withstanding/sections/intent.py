"""What somebody can do who wants a wrong answer: the score of every hospital as more may be changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from common.study.options import Entry
from experiments.explanations.clock import Clock
from experiments.explanations.section import Section
from experiments.explanations.subject import Subject
from experiments.withstanding.asked import Asked
from experiments.withstanding.moving import CHANCE, Moves, Range, moves, size_words
from experiments.withstanding.tests_shown import tests_of
from server.reporting.charts.lines import Line, line_chart
from server.reporting.markup import Markup, table, tag
from server.reporting.sections.layout import figure, numbers, section
from server.reporting.wording import NOTHING, score

KEY, TITLE = "intent", "When somebody changes an input on purpose"
WAYS = (Entry(CHANCE), Entry("fgsm"), Entry("pgd"))
WORDS = {
    "fgsm": "one step by the model's own slope",
    "pgd": "ten steps by the model's own slope",
}
LOOKS = ("quiet", "c2", "everybody", "c3", "c4", "c5")
LEDE = (
    "Every value of an input may be changed by so much and no more, by chance or by somebody who knows the model and "
    "the right answer. What chance does is what size alone does; what is below it is what knowing the model is worth."
)


@dataclass(frozen=True)
class Intent:
    """sizes: without 0, in units of `unit`. tried: chance first, then what is worse. left: for want of time."""

    sizes: tuple[float, ...]
    unit: str
    tried: tuple[Moves, ...]
    left: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """In the contents."""
        return "Changes on purpose"

    def facts(self) -> Mapping[str, Any]:
        """Every score."""
        return {
            "sizes": [0.0, *self.sizes],
            "unit": self.unit,
            "tried": [asdict(one) for one in self.tried],
            "untried": list(self.left),
        }

    def finding(self) -> str:
        """How far the score falls at the smallest size."""
        worst = min(self.tried, key=lambda one: one.mean[1] if one.mean[1] is not None else float("inf"))
        chance = self.tried[0].mean[1]
        first, after = worst.mean[0], worst.mean[1]
        if first is None or after is None:
            return "No test case has a score, so that nothing can be said."
        by_chance = "" if worst is self.tried[0] or chance is None else f"; by chance it would be {score(chance)}"
        return (
            f"Changes of {size_words(self.sizes[0])} {self.unit} take the {worst.score} from {score(first)} to "
            f"{score(after)}, on average over hospitals{by_chance}."
        )

    def markup(self) -> Markup:
        """The chart of all hospitals, and a table of each."""
        said = [tag("p", f"Not tried, for want of time: {', '.join(self.left)}.", class_="note")] * bool(self.left)
        head = ("Hospital", "Changed by", *(size_words(one) for one in (0.0, *self.sizes)))
        rows = [
            [
                site,
                WORDS.get(one.perturbation, one.perturbation),
                *(NOTHING if value is None else score(value) for value in row),
            ]
            for one in self.tried
            for site, row in one.rows.items()
        ]
        return section(
            KEY,
            TITLE,
            LEDE,
            tag("p", self.finding(), class_="finding"),
            figure(f"{self.tried[0].score}, mean over hospitals", self._chart(), note=f"Sizes: {self.unit}."),
            numbers("Every hospital", table(head, rows)),
            *said,
        )

    def _chart(self) -> Markup:
        places = [0.0, *self.sizes]
        lines = [
            Line(WORDS.get(one.perturbation, one.perturbation), tuple(zip(places, one.mean, strict=True)), look)
            for one, look in zip(self.tried, LOOKS, strict=False)
        ]
        return line_chart(
            lines,
            describe="Score by size of the change",
            x_word="changed by",
            words=score,
            x_names={place: size_words(place) for place in places},
        )


def make(subject: Subject, asked: Asked, clock: Clock) -> Section | None:
    """None where no case is here. Raises StudyError where the task's loss does not depend on the inputs."""
    tests = tests_of(subject, asked.cases)
    if not tests:
        return None
    allowed = Range.of(tests)
    sizes = asked.sizes_of(is_table=len(next(iter(tests.values())).shape.inputs) == 1)
    found: list[Moves] = []
    left: list[str] = []
    for entry in WAYS:
        if found and clock.left <= 0:
            left.append(entry.name)
            continue
        clock.say(f"Changing inputs: {WORDS.get(entry.name, entry.name)}")
        found.append(moves(entry, subject.trained.task, subject.trained.network, tests, allowed, sizes, asked.seed))
    return Intent(sizes, allowed.words, tuple(found), tuple(left))
