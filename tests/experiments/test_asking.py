"""Questions to simulated hospitals, from words to what is left in a folder: the same bits however they are summed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wardround
from client import questions
from client.handlers import RequestContext
from client.hospital import Hospital, open_hospital, site_names
from client.records import records_of
from common.analyses.anova import Anova
from common.asking.analysis import Analysis
from common.asking.levels import levels_of
from common.asking.pooled import ask_tables
from common.asking.predicates import parse_all
from common.asking.public import public_of
from common.asking.question import Question
from common.errors import AnalysisError, HospitalError, StudyError, WardroundError
from common.files.json_files import read_lines, read_table
from common.study.options import Entry
from common.study.plugins import ANYTHING, trusting
from common.study.study import Study, parse
from common.sums.exchange import Payload
from experiments.asking.asking import ask_study
from experiments.asking.spoken import question_of
from experiments.engines._quiet import ask_quietly

AGGREGATIONS = ("plain", "secagg", "additive", "bfv", "ckks")
SITES = ("hospital-0", "hospital-1", "hospital-2")
QUESTIONS = ("mean age by site", "median age", "cox time died age dose", "mean age where age > 50")
OPTIONS = {"cox time died age dose": {"width": 10.0}}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 90 persons, a file of each hospital."""
    rng, folder = np.random.default_rng(3), tmp_path_factory.mktemp("asked")
    ages, doses = rng.integers(30, 90, 90), rng.normal(size=90).round(3)
    times = rng.exponential(20 / np.exp(0.02 * (ages - 60))).round(1) + 0.1
    rows = [f"p{k};{ages[k]};{doses[k]};{times[k]};{int(rng.random() < 0.6)};{'fm'[k % 2]}" for k in range(90)]
    for place, site in enumerate(SITES):
        (folder / f"{site}.csv").write_text("\n".join(["person;age;dose;time;died;sex", *rows[place::3]]) + "\n")
    return folder


def study_of(data: Path, **more: Any) -> Study:
    """Three hospitals."""
    text = f"""
title = "Three hospitals"
rounds = 1
task = {{ name = "classification", network = "logistic" }}
aggregation = "{more.pop("aggregation", "secagg")}"
engine = "{more.pop("engine", "inline")}"

[source]
name = "table"
folder = "{data}"
person = "person"
label = "sex"
classes = ["f", "m"]
features = ["age", "dose", "time", "died"]

[federation]
dropout_wait_s = 0.0
round_timeout_s = 60.0
"""
    with trusting(ANYTHING):
        return parse(text, [f"{key}={value}" for key, value in more.items()])


def asked(study: Study, folder: Path, *questions: str) -> dict[str, Any]:
    with trusting(ANYTHING):
        return ask_quietly(study, folder, [spoken(one) for one in questions])


def spoken(words: str) -> Question:
    return question_of(words.split(), options=OPTIONS.get(words))


@pytest.fixture(scope="module")
def pooled(data: Path) -> dict[str, Any]:
    """What the analyses say of all rows in one table, by hospital, without any message."""
    study = study_of(data)
    with trusting(ANYTHING):
        tables = [records_of(open_hospital(study.json, index)) for index in range(3)]
        found = {}
        for words in QUESTIONS:
            question = spoken(words)
            conditions = parse_all(question.where, levels_of(study))
            rows = [table.take(conditions.rows(table)) for table in tables]
            found[words] = ask_tables(question.build(), rows, public_of(study, site_names(study))).answer.numbers
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_every_aggregation_gives_the_same_answer_to_the_last_bit(
    data: Path, pooled: dict[str, Any], aggregation: str, tmp_path: Path
) -> None:
    several = QUESTIONS if aggregation in ("plain", "secagg") else QUESTIONS[::3]
    table = asked(study_of(data, aggregation=aggregation), tmp_path / "run", *several)
    assert all(one["state"] == "answered" for one in table["answers"])
    for words, one in zip(several, table["answers"], strict=True):
        assert one["numbers"] == pooled[words], words
    assert ("own part" in table["sees"]) and table["reveals"] == ("each" if aggregation == "plain" else "sum")


def test_processes_answer_a_cox_regression_under_secagg_as_pooled_data_do(
    data: Path, pooled: dict[str, Any], tmp_path: Path
) -> None:
    table = asked(study_of(data, engine="processes"), tmp_path / "run", QUESTIONS[2])
    (answer,) = table["answers"]
    assert answer["numbers"] == pooled[QUESTIONS[2]]
    assert answer["queries"] > 2 and answer["contributed"] == list(SITES)


def test_the_folder_keeps_every_query_and_what_was_opened(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    table = asked(study_of(data), folder, "median age")
    lines = read_lines(folder, "queries.jsonl")
    assert [one["query"] for one in lines] == list(range(1, len(lines) + 1)) and len(lines) > 1
    assert all(one["contributed"] == list(SITES) for one in lines)
    assert read_table(folder, "answer.json") == table and table["schema"] == "wardround/answers/1"
    about = read_table(folder, "about.json")
    assert (about["state"], about["questions"]) == ("completed", ["median age"])
    kinds = {(one["leg"], one["direction"]) for one in read_table(folder, "traffic.json")["kinds"]}
    assert {("question", "to hospital"), ("question", "to server"), ("unmask", "to server")} <= kinds
    page = (folder / "answers.html").read_text()
    assert "Median age" in page and "hospital-2" in page and "http" not in page.replace("http-equiv", "")


def test_a_hospital_that_is_lost_in_the_middle_ends_the_question_and_says_over_whom_it_was(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sums of other hospitals would tell those apart; so no query is over others than the first."""
    answered = questions.answer

    def lost(hospital: Hospital, request: Payload, kept: RequestContext) -> Payload:
        if hospital.site == SITES[1] and request.numbers["query"] == 2:
            raise HospitalError("its disk is full")
        return answered(hospital, request, kept)

    monkeypatch.setattr(questions, "answer", lost)
    for aggregation, said in (
        ("plain", "query 2 over hospital-0, hospital-2"),
        ("secagg", "0 hospitals contributed"),
    ):
        folder = tmp_path / aggregation
        table = asked(study_of(data, aggregation=aggregation), folder, "median age", "mean age")
        first, second = table["answers"]
        assert (first["state"], second["state"]) == ("no answer", "answered")
        assert said in first["reason"] and "hospital-1: incident" in first["reason"]
        assert [one["question"] for one in read_lines(folder, "queries.jsonl")] == [0, 1]


def test_a_hospital_that_lies_ends_a_question_and_not_the_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums of squares below nought were a root's of a negative number, and the coordinator ended in a traceback."""
    told = questions.part_of

    def lied(hospital: Hospital, analysis: Analysis, *rest: Any) -> Any:
        sums = told(hospital, analysis, *rest)
        if hospital.site == SITES[1] and isinstance(analysis, Anova):
            return {**sums, "powers": sums["powers"] - 10**60}
        return sums

    monkeypatch.setattr(questions, "part_of", lied)
    table = asked(study_of(data), tmp_path / "run", "anova age sex", "mean age")
    assert [one["state"] for one in table["answers"]] == ["no answer", "answered"]
    assert "such as no rows add up to" in table["answers"][0]["reason"]


def test_a_question_without_an_answer_says_why_and_the_next_is_still_asked(data: Path, tmp_path: Path) -> None:
    table = asked(study_of(data), tmp_path / "run", "mean dosis", "mean sex", "mean age")
    assert [one["state"] for one in table["answers"]] == ["no answer", "no answer", "answered"]
    assert "its records lack a column" in table["answers"][0]["reason"]


def test_from_python_an_answer_has_numbers_and_a_page_and_an_error_names_the_column(
    data: Path, tmp_path: Path
) -> None:
    study = study_of(data)
    answer = wardround.ask(study, "mean", "age", by="sex", folder=tmp_path / "one")
    assert set(answer["groups"]) == {"f", "m"} and answer.page.exists() and answer.missing == {}
    assert answer.contributed == SITES
    with pytest.raises(AnalysisError, match="did you mean 'dose'"):
        wardround.ask(study, "mean", "dosee", folder=tmp_path / "two")


def test_a_study_lists_questions_and_without_them_its_text_is_what_it_was(data: Path) -> None:
    bare = study_of(data)
    assert "analyses" not in bare.json
    listed = parse(bare.text + '\n[[analyses]]\nname = "mean"\ncolumn = "age"\nby = "sex"\nwhere = ["age > 50"]\n')
    assert parse(listed.text) == listed and json.loads(listed.json)["analyses"][0]["where"] == ["age > 50"]
    assert Question.of(listed.analyses[0]).words == "mean age by sex where age > 50"
    wrong = {
        'name = "meen"\ncolumn = "age"': "did you mean 'mean'",
        'name = "mean"\ncolumm = "age"': "did you mean 'column'",
        'name = "mean"': "column is missing",
        'name = "mean"\ncolumn = "age"\nwhere = "age > 5"': "must be a list",
        'name = "mean"\ncolumn = "age"\nby = 3': "must be a word",
    }
    for text, match in wrong.items():
        with pytest.raises(StudyError, match=match):
            parse(f"{bare.text}\n[[analyses]]\n{text}\n")
    with pytest.raises(StudyError, match="lists the same question twice"):
        parse(bare.text + 2 * '\n[[analyses]]\nname = "mean"\ncolumn = "age"\n')


WORDS = {
    "mean age by site": Question(Entry("mean", {"column": "age"}), (), "site"),
    "mean age by sex where age > 50": Question(Entry("mean", {"column": "age"}), ("age > 50",), "sex"),
    "kaplan meier time died": Question(Entry("kaplan_meier", {"time": "time", "event": "died"})),
    "Kaplan-Meier time died": Question(Entry("kaplan_meier", {"time": "time", "event": "died"})),
    "linear age dose sex": Question(Entry("linear", {"outcome": "age", "covariates": ["dose", "sex"]})),
    "mean by": Question(Entry("mean", {"column": "by"})),
    "ttest age by sex": Question(Entry("ttest", {"column": "age", "group": "sex"})),
    "ttest age sex by ward": Question(Entry("ttest", {"column": "age", "group": "sex"}), (), "ward"),
    "anova age by site,sex": Question(Entry("anova", {"column": "age", "group": "site"}), (), "sex"),
    "levene age by arm=a|b": Question(Entry("levene", {"column": "age", "group": "arm", "levels": ["arm=a|b"]})),
    "mantel haenszel sex died by site": Question(
        Entry("mantel_haenszel", {"rows": "sex", "columns": "died", "strata": "site"})
    ),
    "kaplan meier time died by sex": Question(
        Entry("kaplan_meier", {"time": "time", "event": "died", "group": "sex"})
    ),
    "baseline age by sex": Question(Entry("baseline", {"columns": ["age"], "group": "sex"})),
}


@pytest.mark.parametrize("words", WORDS)
def test_words_are_understood_as_somebody_would_say_them(words: str) -> None:
    assert question_of(words.split()) == WORDS[words]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ("meen age", "did you mean 'mean'"),
        ("mean age chol", "is too much"),
        ("mean", "column is not said: wardround ask STUDY mean COLUMN"),
        ("ttest age", "group is not said"),
        ("", "begins with an analysis's name"),
    ],
)
def test_words_that_say_no_question_are_refused_with_what_was_meant(words: str, match: str) -> None:
    with pytest.raises(StudyError, match=match):
        question_of(words.split())


def test_groups_are_named_once() -> None:
    with pytest.raises(StudyError, match="groups are named once"):
        question_of(["mean", "age", "by", "site"], by="sex")


def test_one_word_is_a_list_where_an_option_takes_several() -> None:
    question = question_of(["linear", "chol", "cp"], options={"levels": "cp=4|3|2|1"})
    assert question.analysis.options["levels"] == ["cp=4|3|2|1"]


def test_a_study_says_groups_that_are_compared_in_the_same_way() -> None:
    listed = Question.of(Entry("logrank", {"time": "t", "event": "e", "by": "sex"}))
    assert listed == question_of(["logrank", "t", "e", "by", "sex"]) and Question.of(listed.entry) == listed
    assert listed.words == "logrank t e sex"
    assert question_of(["kaplan_meier", "t", "e", "by", "sex"]).words == "kaplan meier t e by sex"


def test_a_word_that_looks_like_a_number_is_a_word_where_one_is_needed() -> None:
    question = question_of(["simpson", "died", "sex"], options={"event_is": 1})
    assert question.analysis.options["event_is"] == "1"


@pytest.mark.parametrize(
    ("words", "tells"),
    [
        ("mean age by site", True),
        ("mean age by sex", False),
        ("simpson died sex", True),
        ("anova age by site", True),
        ("logrank t e by site", True),
    ],
)
def test_a_question_says_whether_it_is_of_single_hospitals(words: str, tells: bool) -> None:
    assert question_of(words.split()).tells_hospitals == tells


def test_signs_alone_tell_of_no_single_hospital() -> None:
    assert not question_of(["simpson", "died", "sex"], options={"reveal": "signs"}).tells_hospitals


def test_what_is_told_of_single_hospitals_is_said_though_sums_are_hidden(data: Path, tmp_path: Path) -> None:
    of_all = asked(study_of(data), tmp_path / "all", "mean age")
    assert of_all["sees"].endswith("no hospital's own part.") and not of_all["answers"][0]["of_hospitals"]
    of_each = asked(study_of(data), tmp_path / "each", "mean age by site")
    assert (
        "except where a question is of single hospitals" in of_each["sees"] and of_each["answers"][0]["of_hospitals"]
    )


def test_hospitals_without_data_say_so_where_they_are_simulated(data: Path, tmp_path: Path) -> None:
    study = study_of(data, **{"source.folder": str(tmp_path / "none")})
    with trusting(ANYTHING), pytest.raises(WardroundError, match="none"):
        ask_study(study, "nowhere", tmp_path / "run", [spoken("mean age")])
