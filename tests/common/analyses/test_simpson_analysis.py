from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from common.analyses._reversal import Difference, crossing_p_value
from common.analyses.simpson import Simpson
from common.asking.analysis import Public
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.errors import AnalysisError, StudyError
from experiments.benchmarks._simpson import (
    BERKELEY,
    KIDNEY_STONES,
    QUESTION,
    Kind,
    answer,
    detect,
    hospital,
    of_counts,
)


def test_berkeley_as_six_hospitals() -> None:
    """+.142 of all together, -.043 within: 44.5 and 30.4 % of 2,691 men and 1,835 women."""
    found = answer(BERKELEY)
    numbers = found.numbers
    assert numbers["aggregate"]["difference"] == pytest.approx(1198 / 2691 - 557 / 1835, abs=1e-15)
    rows = {site: n1 + n0 for site, (_, n1, _, n0) in BERKELEY.items()}
    within = sum(rows[site] * (k1 / n1 - k0 / n0) for site, (k1, n1, k0, n0) in BERKELEY.items()) / sum(rows.values())
    assert numbers["adjusted"]["difference"] == pytest.approx(within, abs=1e-15)
    assert (round(numbers["aggregate"]["difference"], 3), round(within, 3)) == (0.142, -0.043)
    assert numbers["verdict"] == "paradox" and numbers["against_aggregate"] == ["A", "B", "D", "F"]
    assert numbers["strata"]["A"]["beyond_chance"] and not numbers["every_stratum_against"]
    assert found.words[0].startswith(
        "Simpson's paradox: of all hospitals together, died = 1 is 14.2 percentage points"
    )
    assert "within hospitals it is 4.3 percentage points less often" in found.words[0]
    assert "Against the aggregate point 4 of 6 hospitals (A, B, D, F); of A that is beyond chance." in found.words
    reason = "treated = 1 is most common in hospitals where died = 1 is more frequent for everybody"
    assert any(reason in sentence for sentence in found.words)


def test_kidney_stones_turn_in_both_strata_though_chance_may_have_a_hand() -> None:
    numbers = answer(KIDNEY_STONES).numbers
    assert round(numbers["aggregate"]["difference"], 3) == -0.046
    assert round(numbers["adjusted"]["difference"], 3) == 0.054
    assert numbers["found"] and numbers["verdict"] == "probable paradox" and numbers["every_stratum_against"]
    assert 0.05 < numbers["p_same_sign"] < 0.1 and numbers["p_no_confounding"] < 1e-6


def test_strata_may_be_a_column() -> None:
    """The same stones with the size as a column, spread over two hospitals."""
    tables = of_counts(KIDNEY_STONES)
    rows = {name: np.concatenate([one.columns[name] for one in tables]) for name in ("treated", "died")}
    size = np.concatenate([np.full(len(one), one.site) for one in tables])
    whole = Records({**rows, "size": size}, np.array([f"{k}" for k in range(len(size))]), "all")
    half = np.arange(len(size)) % 2 == 0
    divided = [replace(whole.take(half), site="a"), replace(whole.take(~half), site="b")]
    question = replace(QUESTION, strata="size", levels=(*QUESTION.levels, "size=small|large"))
    found = ask_tables(question, divided).answer
    assert found.numbers["adjusted"] == answer(KIDNEY_STONES).numbers["adjusted"]
    assert "within levels of size it is 5.4 percentage points more often" in found.words[0]
    assert found == ask_tables(question, [whole]).answer


def test_of_signs_alone_the_same_is_found_and_no_hospital_shown() -> None:
    asked = ask_tables(replace(QUESTION, reveal="signs"), of_counts(BERKELEY))
    numbers, open_ones = asked.answer.numbers, answer(BERKELEY).numbers
    assert numbers["verdict"] == "paradox" and "strata" not in numbers
    assert numbers["signs"] == {
        "surely more": 0, "more": 2, "less": 3, "surely less": 1, "not known": 0
    }  # fmt: skip
    for name in ("aggregate", "adjusted"):
        assert numbers[name] == pytest.approx(open_ones[name], abs=1e-12)
    assert numbers["p_no_confounding"] == pytest.approx(open_ones["p_no_confounding"])
    assert [query.step for query, _ in asked.rounds] == ["cells", "signs"]
    assert all(part.shape[0] != 6 for query, _ in asked.rounds for part in query.parts.values() if part.shape)


@pytest.mark.parametrize("kind", ["alike", "effect", "confounded"])
def test_a_hundred_federations_without_one_are_left_in_peace(kind: Kind) -> None:
    """One in a hundred is confounded by chance; that its signs turn as well is rarer."""
    assert detect(kind, 100, seed=1).found <= 1


def test_where_nothing_is_left_within_hospitals_a_sign_is_seldom_made_of_chance() -> None:
    """The worst case there is: .05 surely and .1 probably, by the level of the test."""
    found = detect("explained away", 120, seed=2)
    assert found.beyond_chance <= 12 and found.found <= 20


def test_where_it_is_it_is_found() -> None:
    assert detect("paradox", 60, seed=3).found >= 48


def test_variances_are_those_of_redrawn_hospitals() -> None:
    """Aggregate, adjusted and their gap, beside the spread over a bootstrap of Berkeley's rows."""
    rng = np.random.default_rng(4)
    cells = [(s, t, d) for s in BERKELEY for t in (1, 0) for d in (1, 0)]
    counts = np.array([n for k1, n1, k0, n0 in BERKELEY.values() for n in (k1, n1 - k1, k0, n0 - k0)])
    drawn = rng.multinomial(counts.sum(), counts / counts.sum(), size=4000).reshape(4000, len(BERKELEY), 2, 2)
    events, rows = drawn[..., 0], drawn.sum(axis=-1)
    whole = events.sum(axis=1) / rows.sum(axis=1)
    aggregate = whole[:, 0] - whole[:, 1]
    shares = events / rows
    weights = rows.sum(axis=2) / rows.sum(axis=(1, 2))[:, None]
    adjusted = (weights * (shares[:, :, 0] - shares[:, :, 1])).sum(axis=1)
    numbers = answer(BERKELEY).numbers
    assert len(cells) == counts.size
    assert numbers["aggregate"]["standard_error"] == pytest.approx(aggregate.std(), rel=0.05)
    assert numbers["adjusted"]["standard_error"] == pytest.approx(adjusted.std(), rel=0.05)
    z = (aggregate.mean() - adjusted.mean()) / (aggregate - adjusted).std()
    assert numbers["p_no_confounding"] == pytest.approx(0, abs=1e-20) and z > 9


def test_hospitals_that_treat_everybody_or_nobody_tell_nothing_of_a_difference() -> None:
    tables = [hospital("a", [(1, 1, 5), (1, 0, 5)]), hospital("b", [(0, 1, 3), (0, 0, 7)])]
    found = ask_tables(QUESTION, tables).answer
    assert found.numbers["verdict"] == "not comparable" and found.numbers["adjusted"] is None
    assert "no hospital has both groups" in found.words[0]


def test_what_has_no_answer_is_refused_in_words() -> None:
    with pytest.raises(AnalysisError, match="nobody has treated = '0'"):
        ask_tables(QUESTION, [hospital("a", [(1, 1, 5)]), hospital("b", [(1, 0, 5)])])
    with pytest.raises(StudyError, match="has one level"):
        ask_tables(QUESTION, [hospital("a", [(1, 1, 5)])])
    with pytest.raises(StudyError, match="nobody named the levels of column 'treated'"):
        ask_tables(Simpson("died", "treated"), of_counts(KIDNEY_STONES))
    with pytest.raises(StudyError, match="reveal = 'signs' is of hospitals"):
        ask_tables(replace(QUESTION, reveal="signs", strata="died"), of_counts(KIDNEY_STONES))
    with pytest.raises(StudyError, match="No level of died 'x'"):
        ask_tables(replace(QUESTION, event_is="x"), of_counts(KIDNEY_STONES))


def test_a_mean_is_compared_in_its_own_unit() -> None:
    """Two hospitals; within each the second group is 1 lower, and together 2 higher."""
    rng = np.random.default_rng(6)
    tables, differences = [], []
    for site, base, n0, n1 in (("a", 10.0, 400, 100), ("b", 15.0, 100, 400)):
        group = np.repeat([0.0, 1.0], [n0, n1])
        value = base - group + rng.normal(0, 1, n0 + n1)
        differences.append(value[group == 1].mean() - value[group == 0].mean())
        tables.append(Records({"group": group, "score": value}, np.array([f"{k}" for k in range(500)]), site))
    found = ask_tables(Simpson("score", "group"), tables, Public(("a", "b"), {"group": ("0", "1")})).answer
    assert found.numbers["verdict"] == "paradox"
    assert found.numbers["adjusted"]["difference"] == pytest.approx(np.mean(differences), abs=1e-12)
    assert "lower" in found.words[0] and "%" not in found.words[0]


def test_signs_cross_where_two_strata_are_sure_of_opposite_ones() -> None:
    """Gail and Simon's statistic of two strata is the smaller square; p is half a chi-squared of one."""
    assert crossing_p_value([Difference(3.0, 1.0), Difference(-1.96, 1.0)]) == pytest.approx(0.025, abs=1e-4)
    assert crossing_p_value([Difference(3.0, 1.0), Difference(2.0, 1.0)]) == 1.0
