"""What every analysis must do: the answer of all rows from hospitals' sums, bit for bit, and nothing beside them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, replace
from fractions import Fraction
from importlib.util import find_spec
from typing import Any, ClassVar, cast
from zlib import crc32

import numpy as np
import pytest

from common.asking.abilities import of_hospitals, whole_hospitals, without_noise_of
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer
from common.asking.exact_sums import Integers, Total, added, checked
from common.asking.grouped import Grouped
from common.asking.pooled import Asked, conduct
from common.asking.question import BESIDE
from common.asking.records import Records
from common.asking.totals import flat, form_of, total_of
from common.errors import AnalysisError, HospitalError, StudyError
from common.study.catalogue import AGGREGATIONS
from common.study.options import Entry
from common.sums.update import Update
from common.wire.questions import query_table, read_query
from experiments.engines._loopback_exchange import InMemoryExchange, collect_numbers
from wardround.testing.laws import check_options, no_global_draw
from wardround.testing.records import LEVELS, Tables, awkward, joined, moved, parted, tiny_records

MOST_ROUNDS = 400
FARTHEST = ("as given", "with gaps", "huge")
"""What `awkward` tables are called, of which rows move a sum the most."""
ENCRYPTED = ("bfv", "ckks")
Made = tuple[Analysis, Tables]


class AnalysisTests:
    """Inherit, and bind `analysis` to one, its options naming columns of `records()`.

    records: tables of some hospitals, with an answer. levels: categories of their columns. one_in: whoever tests many
    analyses tries one in so many of the awkward tables on each, and all of them on some. Those that stand here have
    the columns that `wardround.testing.records.tiny_records` names.
    """

    analysis: Analysis
    levels: ClassVar[Mapping[str, tuple[str, ...]]] = LEVELS
    one_in: ClassVar[int] = 1
    aggregations: ClassVar[tuple[str, ...]] = ("plain", "secagg", "additive", *ENCRYPTED)

    def records(self) -> Tables:
        """Tables of three hospitals."""
        return tiny_records()

    @pytest.fixture
    def made(self) -> Made:
        """The analysis and the tables."""
        return self.analysis, tuple(self.records())

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Made) -> None:
        """Both halves build it from the study, each for itself. Mend: @dataclass(frozen=True); another name for an
        option that is called as what stands beside every analysis's own."""
        check_options(made[0])
        taken = {field.name for field in fields(cast(Any, made[0]))} & BESIDE.keys()
        assert not taken or isinstance(made[0], Grouped), f"{', '.join(taken)} is said of every question by itself"

    def test_it_says_what_it_discloses_in_a_sentence(self, made: Made) -> None:
        """Whoever permits it reads that. Mend: `discloses` names what its sums and its answer tell of patients."""
        said = made[0].discloses
        assert isinstance(said, str) and len(said.split()) > 4, f"`discloses` is {said!r}"
        assert said[:1].isupper() and said.endswith("."), "`discloses` begins with a capital and ends with a stop"

    def test_it_answers_of_the_tables_it_is_tested_with(self, made: Made) -> None:
        """Else no law says anything. Mend: `records()` with what it needs, `test_options` that name its columns."""
        analysis, tables = made
        answer = self._asked(analysis, tables).answer
        assert isinstance(answer, Answer) and answer.numbers, "its answer has no numbers"
        assert answer.tables or answer.words, "its answer has nothing for people to read"

    def test_the_answer_does_not_depend_on_how_rows_are_divided_nor_on_their_order(self, made: Made) -> None:
        """It is that of all rows, to the last bit, or the same refusal. Mend: sum with `exact_sum` and
        `exact_products`, decide nothing from one hospital's rows; say of_hospitals = True where a row's hospital
        matters."""
        analysis, tables = made
        for name, changed in self._awkward(analysis, tables):
            divided = self._outcome(analysis, changed)
            for other in self._divisions(analysis, changed)[: None if name == "as given" else 1]:
                assert self._outcome(analysis, other) == divided, (
                    f"{name}: rows divided otherwise give another answer"
                )

    def test_a_persons_share_of_a_sum_follows_from_that_person_alone(self, made: Made) -> None:
        """Else one patient moves what another adds. Mend: nothing of other rows, such as their mean, in `summarise`;
        what needs it is a round of its own, and comes back in `query.tells`."""
        analysis, tables = made
        if whole_hospitals(analysis):
            pytest.skip("a hospital's part follows from all its rows together, as `whole_hospitals` says")
        for query, _ in self._asked(analysis, tables).rounds[:8]:
            for table in tables:
                alone = (table.take(table.persons == person) for person in np.unique(table.persons))
                together = added(query.parts, [self._sums(analysis, table, query)])
                apart = added(query.parts, [self._sums(analysis, one, query) for one in alone])
                assert _integers(together) == _integers(apart), (
                    f"step {query.step!r}: persons' parts add up otherwise"
                )

    def test_one_row_moves_no_sum_by_more_than_is_declared(self, made: Made) -> None:
        """The noise of private answers is made for it. Mend: `most_by_one` of a part is by how much its entries
        change at most, all added up, where a row comes or goes; clip what has no bound, or say None."""
        analysis, tables = made
        rows = [one for name, changed in self._awkward(analysis, tables) for one in changed if name in FARTHEST]
        for query, _ in self._asked(analysis, tables).rounds[:8]:
            for table in rows:
                self._check_bounds(analysis, table, query)

    def test_the_queries_and_the_answer_follow_from_the_sums_alone(self, made: Made) -> None:
        """A server has nothing else, and whoever checks it must find the same. Mend: `ask` keeps nothing, reads no
        records, no clock and no generator."""
        analysis, tables = made
        asked = self._asked(analysis, tables)
        recorded = iter(asked.rounds)

        def replayed(query: Query) -> Total:
            expected, total = next(recorded)
            assert _shown(query) == _shown(expected), f"step {query.step!r}: the same sums, and another query"
            return total

        with no_global_draw("ask"):
            again = conduct(copy.deepcopy(analysis), self._public(tables), replayed)
        assert _text(again.answer) == _text(asked.answer), "the same sums, and another answer"

    def test_under_every_aggregation_the_answer_is_that_of_all_rows(self, made: Made) -> None:
        """Hospitals choose how their sums are hidden, and nobody should see it in an answer. Mend: names of parts and
        tells that can be printed, no number that is not finite, counts far below 2**63."""
        analysis, tables = made
        wanted = _text(self._asked(analysis, tables).answer)
        for name in self.aggregations:
            if name in ENCRYPTED and find_spec("tenseal") is None:
                continue
            aggregation = AGGREGATIONS.build(Entry(name))

            def summed(query: Query, aggregation: Any = aggregation) -> Total:
                return added_by(aggregation, analysis, tables, query)

            answer = conduct(analysis, self._public(tables), summed).answer
            assert _text(answer) == wanted, f"under {name} it has another answer"

    def test_a_hospital_sends_what_was_asked_for_and_changes_nothing(self, made: Made) -> None:
        """Sums of another shape cannot be added up. Mend: every part of the query in its shape; counts of NumPy's
        whole numbers, real numbers as `exact_sum` gives them; work on a copy of a column."""
        analysis, tables = made
        for query, _ in self._asked(analysis, tables).rounds[:8]:
            for _, changed in self._awkward(analysis, tables):
                for table in changed:
                    before = {name: values.tobytes() for name, values in table.columns.items()}
                    with no_global_draw("summarise"):
                        self._sums(analysis, table, query)
                    assert before == {name: values.tobytes() for name, values in table.columns.items()}

    def test_whatever_the_data_are_the_answer_is_finite_or_refused_in_words(self, made: Made) -> None:
        """NaN is no answer, and a traceback neither. Mend: raise AnalysisError that says what is lacking; None for a
        number that does not exist beside others that do."""
        analysis, tables = made
        for name, changed in self._awkward(analysis, tables):
            outcome = self._outcome(analysis, changed)
            if isinstance(outcome, str):
                assert len(outcome.split()) > 3, f"{name}: it is refused with {outcome!r}"
                continue
            for where, value in _leaves(outcome):
                assert not isinstance(value, float) or np.isfinite(value), f"{name}: {where} is {value}"

    def test_counts_with_noise_are_answered_or_refused_in_words(self, made: Made) -> None:
        """Noise makes counts that no rows have, below 0 too. Mend: np.maximum(total.count(...), 0), and AnalysisError
        where nothing is left; where noise makes an answer wrong, `without_noise` says why, and what takes it.
        """
        analysis, tables = made
        if without_noise_of(analysis):
            pytest.skip(f"noise is refused: {without_noise_of(analysis)}")
        rounds = self._asked(analysis, tables).rounds
        if any(part.most_by_one is None for query, _ in rounds for part in query.parts.values()):
            pytest.skip("one row can change a part without bound, so that no noise makes it private")
        for seed in range(6):
            try:
                answer = conduct(analysis, self._public(tables), _Noisy(analysis, tables, seed).summed).answer
            except AnalysisError:
                continue
            assert json.dumps(_plain(asdict(answer)), allow_nan=False)

    def test_programs_and_people_can_read_the_answer(self, made: Made) -> None:
        """It becomes JSON, tables and figures. Mend: Python's own numbers, words, lists and mappings by name; rows as
        wide as their header; as many low, high and y as x; sentences."""
        analysis, tables = made
        answer = self._asked(analysis, tables).answer
        json.dumps(_plain(answer.numbers), allow_nan=False)
        for table in answer.tables:
            for row in table.rows:
                assert len(row) == len(table.header), f"table {table.title!r}: {row} under {table.header}"
                assert all(cell is None or isinstance(cell, (str, int, float)) for cell in row), f"{row} has others"
        for figure in answer.figures:
            for series in figure.series:
                lengths = {len(series.y), *(len(one) for one in (series.low, series.high) if one)}
                assert lengths == {len(series.x)}, f"figure {figure.title!r}: series {series.name!r} is uneven"
        for sentence in answer.words:
            assert len(sentence.split()) > 2 and sentence.endswith((".", "?", "!")), f"{sentence!r} is no sentence"

    def test_a_column_that_does_not_exist_is_answered_with_the_nearest(self, made: Made) -> None:
        """People misspell. Mend: read columns by `records.numbers` and `records.words` alone."""
        analysis, tables = made
        for spelt, wrong in _misspelt(analysis, tables[0]):
            with pytest.raises(StudyError) as raised:
                conduct_few(wrong, tables, self._public(tables))
            assert spelt in str(raised.value), f"{raised.value} does not name {spelt!r}"

    def _public(self, tables: Tables) -> Public:
        return Public(tuple(sorted({one.site for one in tables})), self.levels)

    def _asked(self, analysis: Analysis, tables: Tables) -> Asked:
        return conduct_few(analysis, tables, self._public(tables))

    def _outcome(self, analysis: Analysis, tables: Tables) -> Any:
        """The answer as plain values, or what it is refused with."""
        try:
            return json.loads(_text(self._asked(analysis, tables).answer))
        except AnalysisError as error:
            return str(error)
        except (HospitalError, StudyError) as error:
            return f"{type(error).__name__} of a hospital's half"

    def _awkward(self, analysis: Analysis, tables: Tables) -> Iterator[tuple[str, Tables]]:
        turn = crc32(repr(analysis).encode()) % self.one_in
        for index, (name, changed) in enumerate(awkward(tables)):
            if index == 0 or index % self.one_in == turn:
                yield name, changed

    def _divisions(self, analysis: Analysis, tables: Tables) -> list[Tables]:
        rng = np.random.default_rng(7)
        if whole_hospitals(analysis):
            return [tuple(one.take(rng.permutation(len(one))) for one in tables)]
        within = tuple(piece for one in tables for piece in parted(one, 3, rng))
        return [within] if of_hospitals(analysis) else [moved(tables, rng), (joined(tables),), within]

    def _sums(self, analysis: Analysis, table: Records, query: Query) -> Mapping[str, Integers]:
        return checked(query.parts, analysis.summarise(table, query))

    def _check_bounds(self, analysis: Analysis, table: Records, query: Query) -> None:
        if all(part.most_by_one is None for part in query.parts.values()):
            return
        whole = self._sums(analysis, table, query)
        for row in range(min(len(table), 12)):
            less = self._sums(analysis, table.take(np.arange(len(table)) != row), query)
            for name, part in query.parts.items():
                moved_by = sum(abs(change) for change in (whole[name].ravel() - less[name].ravel()).tolist())
                bound = part.most_by_one
                assert bound is None or Fraction(moved_by, part.units) <= Fraction(bound), (
                    f"step {query.step!r}: a row moved {name!r} by {moved_by / part.units:.6g}, beyond {bound}"
                )
            moved_parts = [name for name in query.either if (whole[name] != less[name]).any()]
            assert len(moved_parts) < 2, f"step {query.step!r}: a row moved {moved_parts}, of which it may move one"


def conduct_few(analysis: Analysis, tables: Tables, public: Public) -> Asked:
    """As `ask_tables`; one that asks for ever is stopped."""
    left = iter(range(MOST_ROUNDS))

    def summed(query: Query) -> Total:
        assert next(left, None) is not None, f"it asks for more than {MOST_ROUNDS} sums"
        return added(query.parts, [checked(query.parts, analysis.summarise(table, query)) for table in tables])

    return conduct(analysis, public, summed)


class _Noisy:
    """Sums of hospitals in memory, with noise that is larger than their counts."""

    rounds = 0

    def __init__(self, analysis: Analysis, tables: Tables, seed: int) -> None:
        self.analysis, self.tables, self.rng = analysis, tables, np.random.default_rng(seed)

    def summed(self, query: Query) -> Total:
        """One round."""
        self.rounds += 1
        assert self.rounds <= MOST_ROUNDS, f"with noise it asks for more than {MOST_ROUNDS} sums"
        total = added(query.parts, [checked(query.parts, self.analysis.summarise(one, query)) for one in self.tables])
        noisy = {}
        for name, part in query.parts.items():
            noise = self.rng.integers(-60, 61, part.size).astype(object) * part.units
            noisy[name] = (total.integers[name].ravel() + noise).reshape(part.shape)
        return Total(query.parts, noisy)


def added_by(aggregation: Any, analysis: Analysis, tables: Tables, query: Query) -> Total:
    """A query as hospitals read it, and its sum as an aggregation makes it, over hospitals in memory."""
    read = read_query(json.loads(json.dumps(query_table(query), allow_nan=False)))
    numbers = {one.site: flat(read.parts, checked(read.parts, analysis.summarise(one, read))) for one in tables}
    exchange = InMemoryExchange(aggregation, {site: Update((), 1.0) for site in numbers}, numbers=numbers)
    collected = collect_numbers(exchange, form_of(query.parts))
    assert collected.total is not None, f"step {query.step!r}: no sum; {exchange.refused or exchange.dropped}"
    return total_of(query.parts, collected.total)


def _misspelt(analysis: Any, table: Records) -> Iterator[tuple[str, Any]]:
    """Each name of a column among the options, with the analysis where it is misspelt."""
    for field in fields(analysis):
        value = getattr(analysis, field.name)
        if not field.init:
            continue
        if isinstance(value, str) and value in table.columns:
            yield value, replace(analysis, **{field.name: f"{value}z"})
        elif isinstance(value, tuple) and value and value[-1] in table.columns:
            yield value[-1], replace(analysis, **{field.name: (*value[:-1], f"{value[-1]}z")})


def _text(answer: Answer) -> str:
    return json.dumps(asdict(answer), sort_keys=True)


def _shown(query: Query) -> str:
    tells = {
        name: told.tolist() if isinstance(told, np.ndarray) else list(told) for name, told in query.tells.items()
    }
    return json.dumps([{name: asdict(part) for name, part in query.parts.items()}, tells, query.step], sort_keys=True)


def _integers(total: Total) -> dict[str, list[int]]:
    return {name: values.ravel().tolist() for name, values in total.integers.items()}


def _leaves(value: Any, where: str = "answer") -> Iterator[tuple[str, Any]]:
    inner: Any = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else None
    )
    if inner is None:
        yield where, value
        return
    for key, one in inner:
        yield from _leaves(one, f"{where}.{key}")


def _plain(value: Any) -> Any:
    """The value, all of it as JSON knows it."""
    if isinstance(value, Mapping):
        assert all(isinstance(key, str) for key in value), f"keys {list(value)} are no words"
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    assert value is None or isinstance(value, (str, int, float)), f"{value!r} is {type(value).__name__}"
    return value
