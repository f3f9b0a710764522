"""A question in a message: what arrives is what was sent, and nothing else is taken for one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.asking.analysis import Public, Query
from common.asking.exact_sums import Part, added, checked, counts, reals
from common.asking.following import alike, follow
from common.asking.pooled import ask_tables
from common.asking.question import Question
from common.asking.records import Records
from common.asking.totals import flat, form_of, total_of
from common.errors import RefusedError, StudyError
from common.study.options import Entry
from common.sums.exchange import Payload
from common.wire.questions import AskedQuery, from_payload, read_query, to_payload

QUESTION = Question(Entry("quantiles", {"column": "age"}), ("age > 50",), "sex", "How old?")
QUERY = Query(
    {"n": counts(2, 3), "x": reals(4), "one": counts()},
    {"edges": np.array([[0.1, -2.5e300], [3.0, 5e-324]]), "names": ("f", "m"), "none": np.zeros(0)},
    "second",
)


def sent(asked: AskedQuery) -> Payload:
    return to_payload(asked, "{}", "0" * 32, 16)


def test_a_query_arrives_as_it_was_sent() -> None:
    asked = AskedQuery(QUESTION, 2, QUERY, (0, -1, 1 << 255, -(1 << 255)))
    arrived = from_payload(sent(asked))
    assert arrived.question == replace(QUESTION, title="")
    assert (arrived.number, arrived.before) == (2, asked.before)
    assert dict(arrived.query.parts) == dict(QUERY.parts) and arrived.query.step == "second"
    assert arrived.query.tells["names"] == ("f", "m")
    for name in ("edges", "none"):
        np.testing.assert_array_equal(arrived.query.tells[name], QUERY.tells[name])


def changed(word: str, value: object) -> Payload:
    payload = sent(AskedQuery(QUESTION, 1, QUERY))
    text = value if isinstance(value, str) else json.dumps(value)
    return replace(payload, words={**payload.words, word: text})


def with_query(**more: object) -> Payload:
    table = json.loads(str(sent(AskedQuery(QUESTION, 1, QUERY)).words["query"]))
    return changed("query", {**table, **more})


def told(value: object) -> Payload:
    return with_query(tells={"edges": value})


HOSTILE = {
    "no JSON": changed("query", "{"),
    "deep": changed("query", "[" * 5000),
    "no table": changed("query", []),
    "a list for a question": changed("question", []),
    "another member": changed("question", {"name": "mean", "options": {}, "where": [], "by": "", "more": 1}),
    "options that are none": changed("question", {"name": "mean", "options": 3, "where": [], "by": ""}),
    "title among options": changed("question", {"name": "mean", "options": {"title": "x"}, "where": [], "by": ""}),
    "conditions without end": changed("question", {"name": "mean", "options": {}, "where": ["a"] * 99, "by": ""}),
    "by a number": changed("question", {"name": "mean", "options": {}, "where": [], "by": 3}),
    "no parts": with_query(parts={}),
    "a part of words": with_query(parts={"n": ["words", [], 1.0]}),
    "a huge part": with_query(parts={"n": ["counts", [1 << 23, 1 << 23], 1.0]}),
    "parts that are too large together": with_query(parts={str(k): ["reals", [1 << 19], None] for k in range(3)}),
    "a negative axis": with_query(parts={"n": ["counts", [-1], 1.0]}),
    "an axis that is true": with_query(parts={"n": ["counts", [True], 1.0]}),
    "a part changed by minus one": with_query(parts={"n": ["counts", [], -1]}),
    "a name with a line feed": with_query(parts={"n\n": ["counts", [], 1.0]}),
    "NaN": changed(
        "query", '{"step": "", "parts": {"n": ["counts", [], 1]}, "tells": {"x": {"shape": [], "numbers": [NaN]}}}'
    ),
    "infinity": told({"shape": [1], "numbers": [10**400]}),
    "fewer numbers than the shape": told({"shape": [3], "numbers": [1.0]}),
    "a word among numbers": told({"shape": [1], "numbers": ["1"]}),
    "a number among words": told({"words": [1]}),
    "totals of a first query": changed("total", ["1"]),
    "step that is no word": with_query(step=3),
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_query_is_refused_by_a_word(payload: Payload) -> None:
    with pytest.raises(RefusedError) as caught:
        from_payload(payload)
    assert caught.value.reason == "query"


@pytest.mark.parametrize("number", [0, -1, 10_001, 1.0, True, [1]])
def test_a_query_of_an_impossible_number_is_refused(number: Any) -> None:
    payload = sent(AskedQuery(QUESTION, 1, QUERY))
    with pytest.raises(RefusedError):
        from_payload(replace(payload, numbers={**payload.numbers, "query": number}))


@settings(max_examples=15, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.floats(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_comes_is_a_query_or_refused(value: object) -> None:
    for word in ("query", "question", "total"):
        with pytest.raises(RefusedError):
            from_payload(changed(word, json.dumps(value)))


def test_a_query_that_is_longer_than_hospitals_read_is_not_sent() -> None:
    query = Query({"n": counts()}, {"edges": np.linspace(0, 1, 60_000)})
    with pytest.raises(StudyError, match="ask for fewer numbers at once"):
        sent(AskedQuery(QUESTION, 1, query))


parts = st.dictionaries(
    st.text("abc", min_size=1, max_size=3),
    st.builds(
        Part,
        st.lists(st.integers(0, 3), max_size=3).map(tuple),
        st.sampled_from(["counts", "reals"]),
        st.none() | st.floats(0, 9),
    ),
    min_size=1,
).filter(lambda found: any(part.size for part in found.values()))


@settings(max_examples=40, deadline=None)
@given(parts, st.randoms(use_true_random=False))
def test_numbers_come_back_to_the_parts_that_they_are_of(found: dict[str, Part], random: Any) -> None:
    sums = {
        name: np.array([random.randint(-99, 99) for _ in range(part.size)]).reshape(part.shape)
        for name, part in found.items()
    }
    integers = checked(found, {name: one.astype(np.int64) for name, one in sums.items()})
    numbers = flat(found, integers)
    form = form_of(found)
    assert form.unpack(form.pack(numbers)) == tuple(numbers)
    total = total_of(found, numbers)
    assert all((total.integers[name] == integers[name]).all() for name in found)
    assert (
        dict(
            read_query(
                {
                    "step": "",
                    "parts": {n: [p.kind, list(p.shape), p.most_by_one] for n, p in found.items()},
                    "tells": {},
                }
            ).parts
        )
        == found
    )
    assert added(found, [integers]).integers.keys() == found.keys()


# What a hospital checks of a conversation


def conversation() -> tuple[Question, Public, list[AskedQuery]]:
    """The queries of an exact median, with the totals that led to each."""
    question = Question(Entry("median", {"column": "age"}))
    ages = np.arange(40.0, 80.0)
    tables = [
        Records({"age": ages[place::3]}, ages[place::3].astype(np.str_), site) for place, site in enumerate("abc")
    ]
    public = Public(("a", "b", "c"))
    rounds = ask_tables(question.build(), tables, public).rounds
    asked, before = [], None
    for number, (query, total) in enumerate(rounds, 1):
        asked.append(AskedQuery(question, number, query, before))
        before = tuple(flat(query.parts, total.integers))
    assert len(asked) > 2
    return question, public, asked


def test_a_hospital_follows_an_honest_conversation_and_one_that_is_asked_again() -> None:
    question, public, asked = conversation()
    memory: dict[str, bytes] = {}
    for one in [*asked, asked[-1], *asked[:2], *asked[1:]]:
        follow(one, question.build(), public, memory)


def test_a_query_that_does_not_follow_from_the_totals_is_refused() -> None:
    question, public, asked = conversation()
    second = asked[1]
    assert second.before is not None
    moved = {
        name: np.asarray(told, np.float64) + 0.5
        for name, told in second.query.tells.items()
        if not isinstance(told, tuple)
    }
    false = {
        "other cuts": replace(second, query=replace(second.query, tells={**second.query.tells, **moved})),
        "another part": replace(second, query=replace(second.query, parts={**second.query.parts, "more": counts()})),
        "another step": replace(second, query=replace(second.query, step="none")),
        "fewer totals": replace(second, before=second.before[:-1]),
    }
    for what, one in false.items():
        memory: dict[str, bytes] = {}
        follow(asked[0], question.build(), public, memory)
        with pytest.raises(RefusedError, match="query 2"):
            follow(one, question.build(), public, memory)
        assert what


def test_a_query_that_skips_others_is_refused() -> None:
    question, public, asked = conversation()
    with pytest.raises(RefusedError, match="came after"):
        follow(asked[2], question.build(), public, {})


def test_numbers_that_differ_by_the_last_bits_of_a_processor_are_the_same_query() -> None:
    one = Query({"n": counts()}, {"beta": np.array([1.0, -2e5, 0.0])})
    assert alike(one, replace(one, tells={"beta": np.array([1.0 + 1e-12, -2e5 - 1e-7, 1e-15])}))
    assert not alike(one, replace(one, tells={"beta": np.array([1.01, -2e5, 0.0])}))
    assert not alike(one, replace(one, tells={"beta": ("a", "b", "c")}))
