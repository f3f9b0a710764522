"""Breaks in questions to hospitals found by somebody who did not write them; each worked before it was mended."""

from __future__ import annotations

import json
import re
from collections.abc import MutableMapping
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from client.ledger import NO_ROUND, Charge, Ledger
from common.asking.analysis import Public
from common.asking.exact_sums import Total, checked
from common.asking.following import follow
from common.asking.pooled import ask_tables
from common.asking.predicates import Beyond, parse
from common.asking.public import public_of
from common.asking.question import Question
from common.asking.records import Records
from common.asking.shared_noise import noise_of
from common.asking.small_cells import held_back
from common.errors import AnalysisError, RefusedError, RoundsSpentError, StudyError
from common.privacy.group_privacy import group_epsilon, substitution_epsilon
from common.privacy.release import Release
from common.study.options import Entry
from common.study.study import parse_json
from common.sums.cohorts import Cohorts
from common.sums.wide import FIRST_ROUND
from common.wire.questions import AskedQuery
from experiments.anonymising.table import read_table
from server.asking.words import answer_table
from tests.security.asked_hospital import SOURCE, Asker, mean


def test_a_bound_beside_the_listed_one_is_another_question(tmp_path: Path) -> None:
    """Of 15 digits both were one text, and the difference of two exact answers was whoever is exactly 47."""
    asker = Asker(tmp_path, [mean("age >= 47")])
    asker.sum_of("chol", "age >= 47")
    with pytest.raises(RefusedError) as refusal:
        asker.sum_of("chol", "age >= 47.00000000000001")
    assert refusal.value.reason == "free"


def test_a_condition_read_from_its_text_is_the_same_condition() -> None:
    for number in ("47.00000000000001", "0.30000000000000004", "5e-324", "1.7976931348623157e308", "1e20"):
        condition = parse(f"age >= {number}")
        assert isinstance(condition, Beyond) and condition.bound == float(number)
        assert parse(condition.text) == condition
    assert parse("age >= 47.50").text == "age >= 47.5"


def test_edges_that_are_told_within_rounding_of_the_studys_are_not_what_is_counted_by(tmp_path: Path) -> None:
    """A cheating coordinator shifts an edge by less than rounding is forgiven: over whoever is exactly 50."""
    asker = Asker(tmp_path)
    question = Question.of(Entry("histogram", {"column": "age", "low": 40, "high": 80, "bins": 4}))
    analysis, public = question.build(), public_of(asker.hospital.study, asker.hospital.roster)
    honest = next(analysis.ask(public))
    memory: MutableMapping[str, bytes] = {}
    shifted = {
        name: told * (1 + 2e-5) if not isinstance(told, tuple) else told for name, told in honest.tells.items()
    }
    assert any(not np.array_equal(told, honest.tells[name]) for name, told in shifted.items())
    came = follow(AskedQuery(question, 1, replace(honest, tells=shifted)), analysis, public, memory)
    for name, told in honest.tells.items():
        assert np.array_equal(told, came.tells[name])


def test_pure_epsilon_of_two_persons_is_twice_that_of_one() -> None:
    """It was counted as a Gaussian's: 14.19 for an exchange of 1 where 2 is the truth."""
    noise = (Release(1.0, 1.0, 1, "geometric"),)
    assert substitution_epsilon(noise, 1e-6) == pytest.approx(2.0)
    assert group_epsilon(noise, 1e-6, 3) == pytest.approx(3.0)
    gaussian = Release(4.0, 1.0, 1)
    alone = substitution_epsilon((gaussian,), 1e-6)
    assert alone < substitution_epsilon((gaussian, *noise), 1e-6) <= alone + 2.0 + 1e-9


LONG = [f"chol in ({', '.join(map(str, range(at, at + 150)))})" for at in (300, 310)]


@pytest.mark.parametrize(
    "where", [["age < 1e20"], LONG, [f"not ({' and '.join(['age < 99'] * 40)})", "age > 1" + " and age > 2" * 40]]
)
def test_a_hospital_reads_again_what_it_kept_of_any_condition(where: list[str], tmp_path: Path) -> None:
    """Its own memory counted as damaged, and no question of any study was answered any more."""
    asker = Asker(tmp_path, [mean(*where)])
    first = asker.sum_of("chol", *where)
    assert asker.sum_of("chol", *where) == first


def test_questions_use_up_no_rounds_of_the_study_that_they_are_asked_through(tmp_path: Path) -> None:
    """Four free questions, and a study of three rounds was not trained any more."""
    asker = Asker(tmp_path, policy="questions.free = true\n")
    for age in range(4):
        asker.total("count", where=[f"age > {age}"], epsilon=0.5)
    ledger, noise = Ledger(tmp_path / "folder"), (Release(1.0, 1.0, 1),)
    assert [one.round for one in ledger.contents().entries] == [NO_ROUND] * 4
    for number in (1, 2, 3):
        ledger.spend(Charge(asker.hospital.digest, "t", number, "patient", 1e-6, noise, ("p07",), most=3))
    with pytest.raises(RoundsSpentError):
        ledger.spend(Charge(asker.hospital.digest, "t", 4, "patient", 1e-6, noise, ("p07",), most=3))


def test_bounds_so_far_apart_that_no_number_is_their_distance_are_refused() -> None:
    """Whether a value was beyond one of them was told by an incident, without any noise or charge."""
    with pytest.raises(StudyError):
        Question.of(Entry("bounded_mean", {"column": "age", "low": -1e308, "high": 1e308})).build()


@pytest.mark.parametrize(("groups", "least"), [("whole", 4), ("off", 1)])
def test_the_difference_of_any_two_sums_holds_all_of_the_noise(groups: str, least: int) -> None:
    """Asked again while one hospital of six was away, with the same shares: the difference held one share of four."""
    hospitals = tuple("ABCDEF")
    table = {"title": "t", "rounds": 1, "seed": 1, "strategy": "fedavg", "aggregation": "secagg"}
    table |= {"task": {"name": "classification", "network": "logistic"}, "federation": {"groups": groups}}
    study = parse_json(json.dumps(table | {"source": {**SOURCE, "folder": "/"}}))
    cohort = Cohorts.of(study, hospitals).of_round(FIRST_ROUND)
    opened = {cohort.openable(some) for size in range(7) for some in combinations(hospitals, size)} - {()}
    differences = [set(one) - set(other) for one in opened for other in opened if set(other) < set(one)]
    assert min(map(len, [*opened, *differences])) >= least
    noise = noise_of(Question.of(Entry("count", {"epsilon": 1.0})), study, len(hospitals))
    assert noise is not None and noise.shares <= least


def test_times_of_events_that_a_lie_makes_more_and_more_of_are_not_looked_for_without_end() -> None:
    """Where every span that is asked about has events they doubled from round to round, to gigabytes."""
    analysis = Question.of(Entry("kaplan_meier", {"time": "time", "event": "died"})).build()
    conversation = analysis.ask(Public(("A", "B", "C")))
    query = next(conversation)
    told = {"rows": 10**6, "events": 10**6, "between": 10**5, "missing": 0, "unfit": 0, "not decimal": 0}
    sums = {name: np.full(part.shape, told[name], dtype=object) for name, part in query.parts.items()}
    with pytest.raises(AnalysisError, match="a hospital came or went"):
        conversation.send(Total(query.parts, sums))


@pytest.mark.parametrize("width", [0.0, 0.5])
def test_an_event_alone_between_others_is_one_time(width: float) -> None:
    """A bin between two spans held times that were found already: they were looked for again, and told twice."""
    rng = np.random.default_rng(5)
    times = np.concatenate([rng.integers(1, 2000, 60) / 1000, rng.integers(64000, 128000, 60) / 1000, [1.999]])
    columns = {"time": times, "died": np.ones(len(times))}
    table = Records(columns, np.array([f"p{k}" for k in range(len(times))]), "A")
    answer = ask_tables(
        Question.of(Entry("kaplan_meier", {"time": "time", "event": "died", "width": width})).build(), [table]
    )
    found = answer.answer.numbers["times"]
    assert found == sorted(set(np.ceil(times / width) * width if width else times.tolist()))


def test_keys_and_names_do_not_pass_for_what_may_be_released(tmp_path: Path) -> None:
    """Names of which two are alike, numbers that are keys, and what is called otherwise were released as they are."""
    lines = ["lastname;nhs;number of a case at the desk;who;age;sex;platelets"]
    for k in range(40):
        lines.append(f"Smith;{k % 3};{81000 + 7 * k};person {k % 38};{30 + k};{'fm'[k % 2]};{90000 + 1700 * k}")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    found = set(read_table(tmp_path / "t.csv").identifying)
    assert {"lastname", "nhs", "number of a case at the desk", "who"} <= found and "sex" not in found


LEVELS = {"sex": ("f", "m"), "ill": ("no", "yes"), "grade": ("1", "2", "3")}
RARE, TOLD = 7, 987.625
SHOWN: list[tuple[str, dict[str, object]]] = [
    ("count", {"by": "grade"}),
    ("mean", {"column": "chol", "by": "grade"}),
    ("anova", {"column": "chol", "group": "grade"}),
    ("levene", {"column": "chol", "group": "grade"}),
    ("kruskal_wallis", {"column": "chol", "group": "grade"}),
    ("proportion", {"column": "grade"}),
    ("data_quality", {"columns": ["grade"]}),
    ("baseline", {"by": "grade", "columns": ["chol"]}),
    ("baseline", {"by": "sex", "columns": ["grade"]}),
    ("cross_table", {"rows": "grade", "columns": "sex"}),
    ("cross_table", {"rows": "sex", "columns": "grade"}),
    ("simpson", {"exposure": "sex", "outcome": "ill", "strata": "grade"}),
    ("auc", {"score": "age", "truth": "ill", "by": "grade", "edges": [40, 50, 60]}),
]


@pytest.mark.parametrize(("name", "options"), SHOWN)
def test_of_a_group_of_few_nothing_is_shown_by_any_analysis(name: str, options: dict[str, object]) -> None:
    """Numbers that stood elsewhere than beside a column `n` were shown: sizes, means and quartiles of seven."""
    rng, rows = np.random.default_rng(2), 600
    columns = {column: rng.choice(words, rows) for column, words in LEVELS.items()}
    columns |= {"age": rng.normal(50, 9, rows), "chol": rng.normal(200, 9, rows)}
    columns["grade"] = np.array(["3"] * RARE + ["1", "2"] * 296 + ["1"])
    columns["chol"][:RARE], columns["sex"][:RARE] = TOLD, ["f"] * 3 + ["m"] * 4
    table = Records(columns, np.arange(rows).astype(np.str_), "A")
    answer = ask_tables(Question.of(Entry(name, options)).build(), [table], Public(("A",), LEVELS)).answer
    held = held_back(answer, 10)
    shown = json.dumps(answer_table(replace(held, numbers={**held.numbers, "withheld": 0}, words=answer.words[:0])))
    assert not re.search(rf"[^0-9.]({RARE}|3|4)[,}}\]]", shown) and "987.6" not in shown
    assert not any(f" {RARE} " in word for word in held.words)


NOISY: list[tuple[str, dict[str, object]]] = [
    ("count", {"columns": ["age", "sex"]}),
    ("bounded_mean", {"column": "age", "low": 0, "high": 40}),
    ("quantile_tree", {"column": "age", "low": 0, "high": 40, "fan": 3}),
    ("private_quantile", {"column": "age", "low": 0, "high": 40, "share": 0.1}),
    ("heavy_hitters", {"column": "grade", "buckets": 16, "hashes": 3}),
    ("cross_table", {"rows": "sex", "columns": "ill"}),
    ("proportion", {"column": "grade"}),
    ("histogram", {"column": "age", "edges": [0, 1, 40]}),
    ("data_quality", {"columns": ["age", "sex"]}),
]


@pytest.mark.parametrize("by", ["", "sex", "grade=3|1,site"])
@pytest.mark.parametrize(("name", "options"), NOISY)
def test_no_person_changes_a_query_by_more_than_its_noise_is_made_for(
    name: str, options: dict[str, object], by: str
) -> None:
    """By brute force: every person of small tables left out, of values on, beside and beyond every bound."""
    question = Question.of(Entry(name, {**options, "by": by, "epsilon": 1.0}))
    analysis, noise, rng = question.build(), question.noise(), np.random.default_rng(4)
    assert noise is not None
    query = next(analysis.ask(Public(("A", "B"), LEVELS)))
    ages = [0.0, 1.0, 40.0, -3.0, 39.99999999999999, 1e300, 5e-324, np.nan, 7.3]
    columns = {"age": rng.choice(ages, 40)} | {key: rng.choice([*words, ""], 40) for key, words in LEVELS.items()}
    table = Records(columns, np.arange(40).astype(np.str_), "A")
    plan, whole = noise.plan(query), checked(query.parts, analysis.summarise(table, query))
    for person in range(40):
        rest = table.take(np.arange(40) != person)
        less, lost = checked(query.parts, analysis.summarise(rest, query)), Fraction(0)
        for part, own in plan.items():
            unit = 1 if own is None else own.step_units
            pairs = zip(whole[part].ravel().tolist(), less[part].ravel().tolist(), strict=True)
            moved = sum(abs((2 * a + unit) // (2 * unit) - (2 * b + unit) // (2 * unit)) for a, b in pairs)
            lost += moved / own.scale if own else moved * Fraction(10**9)
        assert lost <= Fraction(noise.epsilon) / noise.rounds
