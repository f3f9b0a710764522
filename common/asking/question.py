"""Question: an analysis with its options, of which rows, in which groups; as a study lists it and as it travels."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from common.asking.abilities import SITE, compared_of, encoder_read, most_rounds_of, of_hospitals, without_noise_of
from common.asking.analysis import Analysis
from common.asking.grouped import Grouped
from common.asking.noise_law import Kind
from common.errors import StudyError
from common.study.catalogue import AGGREGATIONS, ANALYSES
from common.study.options import Entry, convert, options_of
from common.sums.wide_sums import demand_wide

if TYPE_CHECKING:
    from common.asking.noise import SumNoise

BESIDE: Mapping[str, Any] = {"where": tuple[str, ...], "by": str, "title": str, "epsilon": float, "delta": float}
"""What stands beside an analysis's own options."""
BY, LEVELS, COMPARED = "by", "levels", ("group", "strata")
"""Options that name the groups which an analysis compares: `ttest age by sex` is `ttest age sex`."""


@dataclass(frozen=True)
class Question:
    """analysis: its name and own options. where: predicates that all have to hold of a row. by: the column in whose
    groups it is answered, or several with commas; with its levels where nobody named them, "sex=female|male"; "" for
    all rows together. title: for people, and no part of what is asked. epsilon, delta:
    of the noise that hides every person in all of its queries together; 0: it is answered as it is. Without delta
    the noise is geometric, with one it is Gaussian.
    """

    analysis: Entry
    where: tuple[str, ...] = ()
    by: str = ""
    title: str = ""
    epsilon: float = 0.0
    delta: float = 0.0

    def __post_init__(self) -> None:
        if self.epsilon < 0 or not 0 <= self.delta < 1 or (self.delta and not self.epsilon):
            raise StudyError(
                f"question {self.analysis.name!r}: epsilon is above 0 (0 for no noise), and delta beside it from 0 "
                f"to 1; they are {self.epsilon} and {self.delta}."
            )

    @classmethod
    def of(cls, entry: Entry) -> Question:
        """Of one of a study's [[analyses]]. Raises StudyError where what is beside its options is of another kind."""
        beside = {
            name: convert(entry.options[name], kind, f"analysis {entry.name!r}.{name}")
            for name, kind in BESIDE.items()
            if name in entry.options
        }
        own = {name: value for name, value in entry.options.items() if name not in BESIDE}
        own, beside[BY] = grouped_by(entry.name, own, beside.get(BY, ""))
        return cls(Entry(entry.name, own), **beside)

    @property
    def entry(self) -> Entry:
        """As a study lists it; what is at its default is left out."""
        beside = {name: getattr(self, name) for name in BESIDE if getattr(self, name)}
        return Entry(self.analysis.name, {**self.analysis.options, **beside})

    @property
    def json(self) -> str:
        """All of what is asked, in one line: equal questions are equal texts."""
        beside: dict[str, Any] = {"where": list(self.where), "by": self.by}
        beside |= {"epsilon": self.epsilon, "delta": self.delta} if self.epsilon else {}
        return json.dumps(
            {"name": self.analysis.name, "options": _plain(self.analysis.options), **beside}, sort_keys=True
        )

    @property
    def words(self) -> str:
        """As somebody would type it: the title, or the analysis, what it is of and how."""
        options = self.analysis.options
        said = [
            self.analysis.name.replace("_", " "),
            *(_said(options[name]) for name in asked_of(self) if name in options),
        ]
        compared = str(options.get(compared_of(ANALYSES.load(self.analysis.name)), ""))
        if groups := ",".join(filter(None, (compared, self.by))):
            said += ["by", groups]
        said += [f"where {' and '.join(self.where)}"] * bool(self.where)
        said += [f"with noise of epsilon {self.epsilon:g}"] * bool(self.epsilon)
        return self.title or " ".join(said)

    def noise(self, shares: int = 1) -> SumNoise | None:
        """Of all its queries; None where it is answered as it is. shares: hospitals whose noise is counted on.

        Raises StudyError for an epsilon or delta that cannot be.
        """
        if not self.epsilon:
            return None
        from common.asking.noise import SumNoise

        analysis = self.build()
        if why := without_noise_of(analysis):
            raise StudyError(f"question {self.words!r} has no answer with noise: {why}")
        rounds = most_rounds_of(analysis)
        kind: Kind = "gaussian" if self.delta else "geometric"
        return SumNoise(self.epsilon, self.delta, kind, shares, rounds=rounds)

    @property
    def tells_hospitals(self) -> bool:
        """Whether its sums are of single hospitals: in groups by hospital, or as the analysis says."""
        columns = [one.partition("=")[0].strip() for one in self.by.split(",")]
        return SITE in columns or of_hospitals(self.build())

    @property
    def encoder(self) -> str:
        """Whose features it reads; "" for most."""
        return encoder_read(self.build())

    def build(self) -> Analysis:
        """The analysis, its options checked, in its groups. Raises StudyError."""
        analysis = cast(Analysis, ANALYSES.build(self.analysis))
        for group in filter(None, (one.strip() for one in self.by.split(","))):
            column, named, _ = (part.strip() for part in group.partition("="))
            analysis = cast(Analysis, Grouped(analysis, column, (group,) if named else ()))
        return analysis


def asked_of(question: Question) -> tuple[str, ...]:
    """Names of the options without a default, in order."""
    return named_fields(ANALYSES.load(question.analysis.name))


def grouped_by(name: str, own: Mapping[str, Any], by: str) -> tuple[dict[str, Any], str]:
    """The analysis's own options, and what is left of `by`.

    Its first column goes to the option that the analysis declares as `compared`, or to one of `COMPARED` that it
    cannot do without, unless that is given already; levels named with it, to option levels.
    """
    options, cls = dict(own), ANALYSES.load(name)
    first, _, left = by.partition(",")
    needed = (one for one in named_fields(cls) if one in COMPARED)
    places = [one for one in (compared_of(cls), *needed) if one in options_of(cls) and one not in options]
    if not first.strip() or not places:
        return options, by
    column, named, _ = (part.strip() for part in first.partition("="))
    options[places[0]] = column
    given = options.get(LEVELS, ())
    if named and LEVELS in options_of(cls):
        options[LEVELS] = [*([given] if isinstance(given, str) else given), first.strip()]
    return options, left.strip()


def named_fields(cls: type[Any]) -> tuple[str, ...]:
    """The fields without a default, in order: what stands after an analysis's name on the command line."""
    from dataclasses import MISSING

    fields = options_of(cls).items()
    return tuple(name for name, field in fields if field.default is MISSING and field.default_factory is MISSING)


def check_questions(entries: Iterable[Entry], aggregation: Entry, has_start: bool) -> None:
    """Raise StudyError for a question that cannot be asked, or a sum that cannot carry any.

    has_start: whether the study begins from a model.
    """
    demand_wide(AGGREGATIONS.build(aggregation), aggregation.name)
    seen: dict[str, Question] = {}
    for entry in entries:
        question = Question.of(entry)
        question.build()
        if question.json in seen:
            raise StudyError(f"[[analyses]] lists the same question twice: {question.words!r}.")
        seen[question.json] = question
    demand_encoder(seen.values(), has_start)


def reads_start(entries: Iterable[Entry]) -> bool:
    """Whether any of a study's questions reads features of the encoder that the study begins from."""
    return any(Question.of(entry).encoder == "start" for entry in entries)


def demand_encoder(questions: Iterable[Question], has_start: bool) -> None:
    """Raise StudyError for a question that reads features of an encoder where the study begins from no model."""
    for question in questions:
        if question.encoder == "start" and not has_start:
            raise StudyError(
                f"question {question.words!r} reads features of the encoder that the study begins from, and it "
                'begins from none: add [start] model = RUN (a pretraining run\'s folder), part = "encoder" where the '
                "study's task is another, or ask with encoder = 'random'."
            )


def _said(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
