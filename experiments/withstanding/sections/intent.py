"""What somebody can do who wants a wrong answer: the score of every hospital as more may be changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from experiments.explanations.clock import Clock
from experiments.explanations.section import Section
from experiments.explanations.subject import Subject
from experiments.withstanding.asked import Asked
from experiments.withstanding.moving import Moves, Range, moves, size_words
from experiments.withstanding.scored import mean_of, scored_all
from experiments.withstanding.sections._scores import distances
from experiments.withstanding.shown import cases_shown, task_of
from server.reporting.charts.lines import Line, line_chart
from server.reporting.markup import Markup, table, tag
from server.reporting.sections.layout import figure, numbers, section
from server.reporting.wording import capital, score, score_name

KEY, TITLE = "intent", "When somebody changes an input on purpose"
LITTLE = 0.01
WORDS = {
    "chance": "chance, all values by all that is allowed",
    "fgsm": "one step by the model's own slope",
    "pgd": "ten steps by the model's own slope",
    "apgd_ce": "steps of their own length by the model's slope",
    "square": "asking for answers alone",
    "noise": "chance, each value by a share of what is allowed",
}
LOOKS = ("quiet", "c2", "everybody", "c3", "c4", "c5")
LEDE = (
    "Every value of an input may be changed by so much and no more, by chance or by somebody who knows the model and "
    "the right answer. What chance does is what size alone does; what is below it is what knowing the model is worth."
)


@dataclass(frozen=True)
class Intent:
    """sizes: without 0, in units of `unit`. tried: chance first, then what is worse. left: for want of time.

    guess: score of who always answers the same, mean over hospitals.
    """

    sizes: tuple[float, ...]
    unit: str
    tried: tuple[Moves, ...]
    left: tuple[str, ...] = ()
    guess: float | None = None

    @property
    def word(self) -> str:
        """In the contents."""
        return "Changes on purpose"

    @property
    def nothing_to_lose(self) -> bool:
        """Whether the model is hardly better than who always answers the same."""
        first = self.tried[0].mean[0]
        return self.guess is not None and first is not None and first < self.guess + LITTLE

    def facts(self) -> Mapping[str, Any]:
        """Every score."""
        return {
            "sizes": [0.0, *self.sizes],
            "unit": self.unit,
            "tried": [asdict(one) for one in self.tried],
            "untried": list(self.left),
            "guess": self.guess,
        }

    def finding(self) -> str:
        """How far the score falls at the smallest size that matters, and at which hospital most."""
        first = self.tried[0].mean[0]
        if first is None:
            return "No test case has a score, so that nothing can be said."
        name = score_name(self.tried[0].score)
        if self.nothing_to_lose:
            return (
                f"This model has hardly anything to lose: its {name} of {score(first)} is about that of always "
                f"giving the same answer, {score(self.guess)}. That it does not move says nothing good."
            )
        for place, size in enumerate(self.sizes, start=1):
            worst = min(self.tried, key=lambda one: _or_infinite(one.mean[place]))
            if _or_infinite(worst.mean[place]) < first - LITTLE:
                return self._fall(worst, place, size)
        largest = f"{size_words(self.sizes[-1], self.unit)} {self.unit}"
        return f"No change of up to {largest} takes {LITTLE} from its {name} of {score(first)}."

    def _fall(self, worst: Moves, place: int, size: float) -> str:
        first, after, chance = worst.mean[0], worst.mean[place], self.tried[0].mean[place]
        by_chance = "" if worst is self.tried[0] or chance is None else f"; by chance it would be {score(chance)}"
        return (
            f"Changes of {size_words(size, self.unit)} {self.unit} take the {score_name(worst.score)} from "
            f"{score(first)} to {score(after)}, on average over hospitals{by_chance}.{_where(worst, place)}"
        )

    def markup(self) -> Markup:
        """The chart of all hospitals, and a table of each."""
        said = [tag("p", f"Not tried, for want of time: {', '.join(self.left)}.", class_="note")] * bool(self.left)
        sizes = tuple(size_words(one, self.unit) for one in (0.0, *self.sizes))
        rows = [
            [site, WORDS.get(one.perturbation, one.perturbation), *map(score, row)]
            for one in self.tried
            for site, row in one.rows.items()
        ]
        others = [
            figure(capital(WORDS.get(one.perturbation, one.perturbation)), *distances(one.beside, sizes))
            for one in self.tried
            if one.beside
        ]
        name = score_name(self.tried[0].score)
        return section(
            KEY,
            TITLE,
            LEDE,
            figure(f"{capital(name)}, mean over hospitals", self._chart(), note=f"Sizes: {self.unit}."),
            numbers("Every hospital", table(("Hospital", "Changed by", *sizes), rows)),
            numbers("How far outlines lie from the truth", *others) if others else None,
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
            x_names={place: size_words(place, self.unit) for place in places},
        )


def make(subject: Subject, asked: Asked, clock: Clock) -> Section | None:
    """None where no case is here. Raises StudyError where the task's loss does not depend on the inputs."""
    tests = cases_shown(subject, asked.cases)
    if not tests:
        return None
    allowed, task, network = Range.of(tests), task_of(subject), subject.trained.network
    sizes = asked.sizes_of(is_table=len(next(iter(tests.values())).shape.inputs) == 1)
    clean = scored_all(task, network, tests)
    found: list[Moves] = []
    left: list[str] = []
    for entry in asked.ways:
        if found and clock.left <= 0:
            left.append(entry.name)
            continue
        clock.say(f"Changing inputs: {WORDS.get(entry.name, entry.name)}")
        found.append(moves(entry, task, network, tests, clean, allowed, sizes, asked.seed))
    guesses = [one.guess for one in clean.values() if one.guess is not None]
    return Intent(sizes, allowed.words, tuple(found), tuple(left), mean_of(guesses))


def _or_infinite(value: float | None) -> float:
    return float("inf") if value is None else value


def _where(worst: Moves, place: int) -> str:
    """The hospital that loses most at that size."""
    falls = {
        site: before - after
        for site, row in worst.rows.items()
        if (before := row[0]) is not None and (after := row[place]) is not None
    }
    if len(falls) < 2 or max(falls.values()) <= 0:
        return ""
    site = max(falls, key=lambda one: falls[one])
    before, after = worst.rows[site][0], worst.rows[site][place]
    return f" Most is lost at {site}: from {score(before)} to {score(after)}."
