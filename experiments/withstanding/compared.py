"""Two runs beside each other: which of them withstands more, in the same tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from experiments.withstanding.moving import size_words
from experiments.withstanding.sections.artefacts import Artefacts, share
from experiments.withstanding.sections.example import Examples
from experiments.withstanding.sections.intent import LITTLE, Intent
from experiments.withstanding.withstood import Withstood
from server.reporting.charts.lines import Line, line_chart
from server.reporting.markup import Markup, table, tag
from server.reporting.sections.layout import figure, section
from server.reporting.wording import MINUS, NOTHING, capital, difference, score, score_name

KEY, TITLE = "beside", "Beside another run"
LEDE = (
    "Both runs were tried by the same artefacts, ways to mislead and sizes, each against its own model. What counts "
    "is how far apart the lines are where inputs are changed, and what that costs where they are not."
)
HERE, APART = "this run", "this run minus the other"
OTHER_CASES = (
    "The runs' test cases are not the same, so that part of any difference is theirs: compare runs of the same data."
)
Values = Sequence[float | None]
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Compared:
    """same_cases: whether both were tried on the very same inputs."""

    own: Withstood
    other: Withstood
    same_cases: bool

    @property
    def word(self) -> str:
        """In the contents."""
        return "Beside another run"

    def facts(self) -> Mapping[str, Any]:
        """What the other run's page would say, and the scores at every size, misled in the worst way tried."""
        told: dict[str, Any] = {
            "run": self.other.run,
            "title": self.other.title,
            "cases": dict(self.other.cases),
            "same_cases": self.same_cases,
            "findings": self.other.findings,
            **{name: one.facts() for name, one in self.other.sections.items()},
            "nothing_to_show": dict(self.other.failed),
        }
        if (pair := self._pair("intent", Intent)) is not None:
            told["worst"] = {"this_run": list(worst(pair[0])), "beside_it": list(worst(pair[1]))}
        return told

    def finding(self) -> str:
        """What is gained and what it costs, in a sentence or two."""
        pair = self._pair("intent", Intent)
        warning = "" if self.same_cases else f" {OTHER_CASES}"
        if pair is None:
            return f"Of one of the two runs no changed input was scored, so that they cannot be compared.{warning}"
        own, other = map(worst, pair)
        apart = _apart(own, other)
        known = [place for place in range(1, len(apart)) if apart[place] is not None]
        if apart[0] is None or not known:
            return f"One of the two runs has no score, so that they cannot be compared.{warning}"
        if (idle := self._idle(pair)) is not None:
            return idle + warning
        widest = max(known, key=lambda place: abs(cast(float, apart[place])))
        size = f"{size_words(pair[0].sizes[widest - 1], pair[0].unit)} {pair[0].unit}"
        return (
            f"{_verdict(apart[widest])} than {self.other.run}: changed by {size}, in the worst way tried, it keeps a "
            f"{score_name(pair[0].tried[0].score)} of {score(own[widest])}, and the other {score(other[widest])}. "
            f"Unchanged it has {score(own[0])}, and the other {score(other[0])}.{warning}"
        )

    def _idle(self, pair: tuple[Intent, Intent]) -> str | None:
        """Of a model that always says about the same, which keeps its score whatever is done to its inputs."""
        named = [name for name, one in zip(("this run", self.other.run), pair, strict=True) if one.nothing_to_lose]
        if not named:
            return None
        return (
            f"Which of the two withstands more cannot be told: {' and '.join(named)} answered little better than who "
            "always says the same before anything was changed, so that hardly anything could be lost."
        )

    def markup(self) -> Markup:
        """A chart and a table of what is left, a table of artefacts, and the other run's examples."""
        parts = [self._intent(), self._artefacts(), self._examples()]
        said = [] if self.same_cases else [tag("p", OTHER_CASES, class_="note")]
        return section(KEY, TITLE, LEDE, *said, *(one for one in parts if one is not None))

    def _pair(self, name: str, kind: type[Kind]) -> tuple[Kind, Kind] | None:
        pair = tuple(run.sections.get(name) for run in (self.own, self.other))
        return cast("tuple[Kind, Kind]", pair) if all(isinstance(one, kind) for one in pair) else None

    def _intent(self) -> Markup | None:
        if (pair := self._pair("intent", Intent)) is None:
            return None
        own, other = map(worst, pair)
        sizes = (0.0, *pair[0].sizes)
        rows = [
            [size_words(size, pair[0].unit), score(one), score(two), difference(gap)]
            for size, one, two, gap in zip(sizes, own, other, _apart(own, other), strict=True)
        ]
        lines = [
            Line(label, tuple(zip(sizes, values, strict=True)), look)
            for label, values, look in ((HERE, own, "everybody"), (self.other.run, other, "c2"))
        ]
        name = score_name(pair[0].tried[0].score)
        chart = line_chart(
            lines,
            describe=f"{name} of both runs by size of the change",
            x_word="changed by",
            words=score,
            x_names={size: size_words(size, pair[0].unit) for size in sizes},
        )
        note = f"Mean over hospitals, by whichever way tried misleads most. Sizes: {pair[0].unit}."
        return figure(
            f"{capital(name)} as inputs are changed on purpose",
            chart,
            table(("Changed by", HERE, self.other.run, APART), rows),
            note=note,
        )

    def _artefacts(self) -> Markup | None:
        if (pair := self._pair("artefacts", Artefacts)) is None:
            return None
        lost = [{one.corruption: one.mean_lost for one in run.curves} for run in pair]
        rows = [
            [name.replace("_", " "), share(own), share(lost[1].get(name)), _points(own, lost[1].get(name))]
            for name, own in lost[0].items()
        ]
        note = "The less is lost, the better; the mean over severities and hospitals."
        title = "Share of the score that an artefact takes"
        return figure(title, table(("Artefact", HERE, self.other.run, APART), rows), note=note)

    def _examples(self) -> Markup | None:
        found = self.other.sections.get("example")
        if not isinstance(found, Examples):
            return None
        return figure(f"What misleads {self.other.run}", *(one.markup() for one in found.examples))


def worst(intent: Intent) -> tuple[float | None, ...]:
    """At every size the lowest mean score of all ways that were tried."""
    columns = zip(*(one.mean for one in intent.tried), strict=True)
    return tuple(min((one for one in column if one is not None), default=None) for column in columns)


def _apart(own: Values, other: Values) -> list[float | None]:
    return [None if one is None or two is None else one - two for one, two in zip(own, other, strict=True)]


def _verdict(gap: float | None) -> str:
    if gap is None or abs(gap) < LITTLE:
        return "This run withstands changes no more and no less"
    return f"This run withstands changes {'better' if gap > 0 else 'worse'}"


def _points(own: float | None, other: float | None) -> str:
    if own is None or other is None:
        return NOTHING
    gap = round(100 * (own - other))
    return f"{'+' if gap > 0 else MINUS if gap < 0 else ''}{abs(gap)} points"
