"""As test_planted_faults_of_learning, of analyses: what hospitals add up, what follows, and how it is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from common.analyses._moments import moment_parts
from common.analyses.mean import Mean
from common.asking.analysis import Query
from common.asking.answer import Answer, Figure, Series, Table
from common.asking.exact_sums import counts, exact_sum, reals
from common.errors import AnalysisError
from tests.wardround.planted import FROZEN, broken, laws, pairs, thawed
from wardround.testing import AnalysisTests, tiny_records


class Silent(Mean):
    discloses = ""


class Absent(Mean):
    def ask(self, public: Any) -> Any:
        yield Query(moment_parts(1))
        return Answer({})


class Averaging(Mean):
    """Adds up hospitals' own means."""

    def summarise(self, records: Any, query: Any) -> Any:
        values = records.numbers(self.column)
        mean = np.nanmean(values) if np.any(~np.isnan(values)) else 0.0
        return {**super().summarise(records, query), "powers": exact_sum(np.array([[[mean, mean**2]]]))}


class Rounding(Mean):
    """Adds up doubles before they are whole numbers."""

    def summarise(self, records: Any, query: Any) -> Any:
        values = records.numbers(self.column)
        values = values[~np.isnan(values)] / 3
        return {
            **super().summarise(records, query),
            "powers": exact_sum(np.array([[[values.sum(), (values**2).sum()]]])),
        }


class Ranking(Mean):
    """What a row adds depends on who else is there."""

    def summarise(self, records: Any, query: Any) -> Any:
        return {**super().summarise(records, query), "left_out": np.array(len(records) ** 2)}


class Sensitive(Mean):
    def ask(self, public: Any) -> Any:
        total = yield Query({**moment_parts(1), "n": counts(1, most_by_one=0.5)})
        return Answer({"n": int(total.count("n")[0])}, words=("They were counted.",))


class Bounded(Mean):
    def ask(self, public: Any) -> Any:
        total = yield Query({**moment_parts(1), "powers": reals(1, 2, most_by_one=1e4)})
        return Answer({"n": int(total.count("n")[0])}, words=("They were counted.",))


class Remembering(Mean):
    asked: ClassVar[list[int]] = []

    def ask(self, public: Any) -> Any:
        self.asked.append(1)
        total = yield Query(
            moment_parts(1),
            {"time": np.array([float(len(self.asked))])},
        )
        return Answer({"n": int(total.count("n")[0])}, words=("They were counted.",))


class Drawing(Mean):
    def ask(self, public: Any) -> Any:
        total = yield Query(moment_parts(1))
        return Answer({"n": int(total.count("n")[0]) + np.random.random()}, words=("They were counted.",))


class Vast(Mean):
    """A count has room in 64 bits, and three of its size have not."""

    def summarise(self, records: Any, query: Any) -> Any:
        large = 1 << 62 if records.site == "north" else 0
        return {**super().summarise(records, query), "left_out": np.array(large)}


class Unprintable(Mean):
    def ask(self, public: Any) -> Any:
        yield Query(moment_parts(1), {"edge": np.array([np.inf])})
        return Answer({"n": 3}, words=("It was counted.",))


class Shapeless(Mean):
    def summarise(self, records: Any, query: Any) -> Any:
        return {**super().summarise(records, query), "left_out": np.zeros(2, np.int64)}


class Spoiling(Mean):
    def summarise(self, records: Any, query: Any) -> Any:
        found = super().summarise(records, query)
        records.columns[self.column][:] = 0.0
        return found


class Unchecked(Mean):
    def ask(self, public: Any) -> Any:
        total = yield Query(moment_parts(1))
        n = int(total.count("n")[0])
        return Answer(
            {"mean": float(total["powers"][0, 0]) / n if n else float("nan")}, words=("They were counted.",)
        )


class Curt(Mean):
    def ask(self, public: Any) -> Any:
        try:
            return (yield from super().ask(public))
        except AnalysisError as error:
            raise AnalysisError("no") from error


@dataclass(frozen=True)
class Shown(Mean):
    shown: Answer | None = None

    def ask(self, public: Any) -> Any:
        yield from super().ask(public)
        return self.shown


class Guessing(Mean):
    def summarise(self, records: Any, query: Any) -> Any:
        known = self.column if self.column in records.columns else "age"
        return (
            replace(self, column=known).summarise(records, query)
            if known != self.column
            else super().summarise(records, query)
        )


def shown(
    numbers: Mapping[str, Any], *tables: Table, figures: tuple[Figure, ...] = (), words: str = "So it is."
) -> Shown:
    return Shown("age", shown=Answer(numbers, tables, figures, (words,)))


UNREADABLE = (
    shown({"n": np.int64(3)}),
    shown({"by": {3: 1}}),
    shown({"mean": float("nan")}),
    shown({}, Table("t", ("one", "two"), (("1",),))),
    shown({}, Table("t", ("one",), ((np.zeros(2),),))),  # type: ignore[arg-type]
    shown({}, figures=(Figure("lines", "", "", "", (Series("", (1.0, 2.0), (1.0,)),)),)),
    shown({}, words="no sentence"),
)
ANALYSES: dict[str, tuple[Any, ...]] = {
    FROZEN: (thawed(Mean),),
    "it_says_what_it_discloses_in_a_sentence": (Silent,),
    "it_answers_of_the_tables_it_is_tested_with": (Absent,),
    "the_answer_does_not_depend_on_how_rows_are_divided_nor_on_their_order": (Averaging, Rounding),
    "a_persons_share_of_a_sum_follows_from_that_person_alone": (Averaging, Ranking, Rounding),
    "one_row_moves_no_sum_by_more_than_is_declared": (Sensitive, Bounded),
    "the_queries_and_the_answer_follow_from_the_sums_alone": (Remembering, Drawing),
    "under_every_aggregation_the_answer_is_that_of_all_rows": (Vast, Unprintable),
    "a_hospital_sends_what_was_asked_for_and_changes_nothing": (Shapeless, Spoiling),
    "whatever_the_data_are_the_answer_is_finite_or_refused_in_words": (Unchecked, Curt),
    "programs_and_people_can_read_the_answer": UNREADABLE,
    "a_column_that_does_not_exist_is_answered_with_the_nearest": (Guessing,),
}


@pytest.mark.parametrize(("law", "fault"), pairs(ANALYSES))
def test_a_faulty_analysis_is_caught(law: str, fault: Any) -> None:
    broken(AnalysisTests, law, (fault("age") if isinstance(fault, type) else fault, tiny_records()))


def test_no_law_is_without_a_planted_fault() -> None:
    assert laws(AnalysisTests) == ANALYSES.keys()
