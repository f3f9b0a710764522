"""A hospital answers questions by its policy: as they are, with noise, or refused by a word; and what it keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client import charge_once
from client.asking import answered
from client.asking.asked import Asked
from client.asking.decision import decide
from client.audit_log import lines, verify
from client.ledger import Ledger
from client.policy import Policy, read_policy
from client.policy_rules import broken
from common.analyses.attribution_maps import AttributionMaps
from common.asking.analysis import Public
from common.asking.question import Question
from common.errors import HospitalError, RefusedError, StudyError
from common.study.options import Entry
from common.wire.refusals import SENTENCES
from tests.security.asked_hospital import SOURCE, Asker, first_power, mean

FREE = "questions.free = true\n"
COUNT = {"name": "count", "where": ["sick = yes"]}
NOISY = {**COUNT, "epsilon": 1.0}


def word(asker: Asker, **question: Any) -> str:
    with pytest.raises(RefusedError) as refusal:
        asker.total(**question)
    assert refusal.value.reason in SENTENCES
    return refusal.value.reason


REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    ("", "free", COUNT),
    ("", "free", NOISY),
    ("analyses = ['mean']", "analyses", COUNT),
    (FREE, "unbounded", {"name": "mean", "column": "chol", "epsilon": 1.0}),
    (FREE + "questions.largest_epsilon = 0.5", "epsilon", NOISY),
    ("questions.exact = false", "noise", mean()),
    ("required_noise = { epsilon = 3 }", "noise", mean()),
    ("largest_epsilon_a_person = { epsilon = 3, delta = 1e-5 }", "noise", mean()),
    (FREE + "required_noise = { epsilon = 0.5 }", "noise", NOISY),
    (FREE + "required_noise = { unit = 'hospital' }", "noise", NOISY),
    (FREE + "required_noise = { noise_multiplier = 2 }", "noise", NOISY),
    ("questions.least_cell = 25", "cells", mean(by="sex")),
    ("required_sums = true", "sums", mean(by="site")),
    ("questions.columns = ['age']", "columns", mean()),
    (FREE, "epsilon", {**COUNT, "epsilon": 100.0}),
    ("", "query", {**COUNT, "where": ["sick >"]}),
    ("", "query", {**COUNT, "where": ["sick = maybe"]}),
]


@pytest.mark.parametrize(("policy", "reason", "question"), REFUSED)
def test_what_the_policy_refuses_and_by_which_word(
    policy: str, reason: str, question: dict[str, Any], tmp_path: Path
) -> None:
    asker = Asker(tmp_path, [mean(), mean(by="sex"), mean(by="site")], policy=policy)
    if reason == "query":
        with pytest.raises(StudyError, match=r"write it as in|No word of column 'sick' 'maybe'"):
            asker.total(**question)
        return
    assert word(asker, **question) == reason
    assert not (tmp_path / "folder" / "log.jsonl").exists() and not Ledger(tmp_path / "folder").charges_of("")


def test_a_listed_question_is_answered_as_it_is_and_is_in_the_log(tmp_path: Path) -> None:
    asker = Asker(tmp_path, [mean("age >= 60", title="the old")])
    assert first_power(asker.total(column="chol", where=["not age < 60"])) == sum(range(320, 340))
    (line,) = lines(tmp_path / "folder")
    assert line.facts["answer"] == "exact" and line.facts["listed"] and "age < 60" in line.facts["asked"]
    assert verify(tmp_path / "folder").fault is None


def test_a_study_that_promises_privacy_answers_nothing_as_it_is(tmp_path: Path) -> None:
    study = {"privacy": {"name": "dpsgd", "epsilon": 1.0, "delta": 1e-3}}
    study["source"] = {**SOURCE, "decimal": "."}
    study["split"] = {"assignment": "independent"}
    assert word(Asker(tmp_path, [mean()], study=study), column="chol") == "noise"


def test_maps_are_summed_with_noise_alone_whatever_is_listed(tmp_path: Path) -> None:
    study, levels = Asker(tmp_path).hospital.study, {"class": ("no", "yes")}
    query = next(AttributionMaps().ask(Public(("a", "b", "c"), levels)))
    asked = Asked(Question(Entry("attribution_maps")), query, 1, None, (), is_listed=True, text="")
    with pytest.raises(RefusedError, match="exact sums of maps name whose they are") as refusal:
        decide(asked, study, levels, Policy(), persons=1000)
    assert refusal.value.reason == "noise"


def test_noise_is_charged_to_everybody_here_before_it_leaves_and_once(tmp_path: Path) -> None:
    asker = Asker(tmp_path, policy=FREE)
    first, again = asker.total(**NOISY), asker.total(**NOISY)
    assert first.integers["rows"] == again.integers["rows"]
    contents = Ledger(tmp_path / "folder").contents()
    (entry,) = contents.entries
    assert len(contents.sets[entry.patients]) == 40 and entry.releases[0].noise == "geometric"
    assert [line.facts["charged"] for line in lines(tmp_path / "folder")] == [True, False]


def test_a_crash_between_charge_and_answer_is_charged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asker = Asker(tmp_path, policy=FREE)

    def crash(*_: object) -> None:
        raise OSError("no power")

    with monkeypatch.context() as patched:
        patched.setattr(answered, "keep_noisy", crash)
        with pytest.raises(OSError, match="no power"):
            asker.total(**NOISY)
    charge_once.let_go()
    asker.total(**NOISY)
    assert len(Ledger(tmp_path / "folder").contents().entries) == 1


def test_other_noise_and_another_state_of_the_data_are_other_answers(tmp_path: Path) -> None:
    asker = Asker(tmp_path, policy=FREE)
    asker.total(**NOISY)
    asker.total(**{**NOISY, "epsilon": 0.5})
    replace(asker, withdrawn=frozenset(["p01"])).total(**NOISY)
    assert len(Ledger(tmp_path / "folder").contents().entries) == 3


def test_so_many_questions_and_no_more(tmp_path: Path) -> None:
    asker = Asker(tmp_path, [mean()], policy=FREE + "questions.most = 2\n")
    asker.total(column="chol")
    asker.total(**NOISY)
    assert word(asker, **{**NOISY, "where": ["sick = no"]}) == "questions"
    asker.total(**NOISY)
    asker.total(column="chol")


def test_exact_answers_after_a_change_wait_for_the_hospitals_people(tmp_path: Path) -> None:
    asker = Asker(tmp_path, [mean()])
    asker.total(column="chol")
    later = replace(asker, withdrawn=frozenset(["p01"]))
    assert word(later, column="chol") == "changed"
    again = replace(later, policy="questions.since = '2999-01-01'\n")
    assert first_power(again.total(column="chol")) == sum(range(300, 340)) - 301


def test_a_study_of_other_columns_is_of_the_same_data_and_one_of_other_persons_is_not(tmp_path: Path) -> None:
    Asker(tmp_path, [mean()]).total(column="chol")
    fewer = {"source": {**SOURCE, "features": ["chol"], "categorical": {}}}
    assert first_power(Asker(tmp_path, [mean()], study=fewer).total(column="chol")) == sum(range(300, 340))
    levels = {"sex": ["f", "m"], "age": [str(age) for age in range(41, 80)]}
    others = {"source": {**SOURCE, "categorical": levels}}
    assert word(Asker(tmp_path, [mean()], study=others), column="chol") == "changed"


def test_memory_that_was_damaged_stops_every_answer(tmp_path: Path) -> None:
    asker = Asker(tmp_path, [mean()])
    asker.total(column="chol")
    (path,) = (tmp_path / "folder" / answered.FOLDER).glob("exact-*.json")
    assert path.stat().st_mode & 0o777 == 0o600
    for text in ("{", "[]", '{"format": 2}', '{"format": 1}', '{"format": 1, "answers": [{"where": "a >"}]}'):
        path.write_text(text)
        with pytest.raises(HospitalError, match="put a copy"):
            asker.total(column="chol")


def test_a_hospital_without_a_promise_of_others_adds_all_of_the_noise(tmp_path: Path) -> None:
    """Aggregation 'plain' shows single parts: whatever a coordinator asks, shares are by the approved study."""
    asker = Asker(tmp_path, policy=FREE)
    spread = np.std([int(asker.total(**{**NOISY, "where": [f"age > {k}"]}).integers["rows"][()]) for k in range(8)])
    assert spread > 0.3


def test_approval_sees_what_listed_questions_tell_together(tmp_path: Path) -> None:
    asker = Asker(tmp_path, [mean(), mean("age != 47"), {"name": "count"}], policy="analyses = ['mean']")
    found = broken(asker.hospital.study, read_policy(tmp_path / "folder"))
    assert {one.word for one in found} == {"analyses", "difference"}
    assert "all rows but those with age != 47" in next(one.sentence for one in found if one.word == "difference")
    assert broken(Asker(tmp_path, [mean(), mean(by="sex")]).hospital.study, read_policy(tmp_path / "folder")) == ()
