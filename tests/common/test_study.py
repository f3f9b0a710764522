from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import StudyError
from common.study.study import parse, parse_json

TEXT = """
title = "Test"
rounds = 2
source = "heart"
task = "classification"
strategy = "fedavg"
aggregation = "plain"
"""
STUDIES = Path(__file__).parents[2] / "experiments" / "studies"


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_study_is_sound_and_survives_both_forms(path: Path) -> None:
    study = parse(path.read_text(encoding="utf-8"))
    assert parse(study.text) == study
    assert parse_json(study.json) == study
    assert parse_json(parse(study.text).json).json == study.json


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["strategy=fedagv"], "No strategy 'fedagv'; did you mean 'fedavg'?"),
        (["training.leaning_rate=1"], "No option of study.training 'leaning_rate'; did you mean 'learning_rate'?"),
        (["strategy.lerning_rate=1"], "No option of strategy 'fedavg' 'lerning_rate'; did you mean 'learning_rate'?"),
        (["sources=heart"], "No option of study 'sources'; did you mean 'source'?"),
        (["source=hart"], "No source 'hart'; did you mean 'heart'?"),
        (["task.network=mlpp"], "No network 'mlpp'; did you mean 'mlp'?"),
        (["aggregation=plian"], "No aggregation 'plian'; did you mean 'plain'?"),
        (["engine=proceses"], "No engine 'proceses'; did you mean 'processes'?"),
        (["rounds=0"], "rounds = 0 trains nothing and scores a model: name it."),
        (["rounds=many"], "study.rounds must be a whole number; it is 'many'."),
        (["split.test=0.95"], "split.test must lie between 0 and 0.9; it is 0.95."),
        (["split.test=0.6", "split.validation=0.4"], "leave no patient to train on"),
        (["training.learning_rate=-1"], "training.learning_rate must be above zero; it is -1.0."),
        (["partition={name='iid', hospitals=3}"], "source 'heart' says itself which hospital each case is from"),
        (["source=mnist"], "source 'mnist' does not say which hospital a case is from: add [partition]"),
        (
            ["source={name='bids'}"],
            "or say by what the data tells them: source.site_column, a column of participants",
        ),
        (["source={name='dicom'}"], "source.site = 'folder', 'InstitutionName' or a column of source.table"),
        (["strategy=fedsgd", "training.epochs=5"], "training.epochs has no effect with strategy 'fedsgd'"),
        (["strategy=scaffold", "training.optimiser=adam"], "corrects plain gradient steps"),
        (["training.optimiser=adam", "training.momentum=0.9"], "training.momentum is an option of 'sgd'"),
        (["rounds"], "--set takes key=value"),
        (["title.x=1"], "title"),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_reason(overrides: list[str], said: str) -> None:
    with pytest.raises(StudyError) as caught:
        parse(TEXT, overrides)
    assert said in str(caught.value)


def test_overrides_are_typed_as_in_toml() -> None:
    study = parse(TEXT, ["training.batch_size=full", "training.steps=7", "strategy=fedadam", "strategy.tau=0.01"])
    assert (study.training.batch_size, study.training.steps) == ("full", 7)
    assert (study.strategy.name, study.strategy.options) == ("fedadam", {"tau": 0.01})


def test_an_option_of_an_entry_that_was_a_bare_word_can_be_set() -> None:
    assert parse(TEXT, ["source.scaling=none"]).source.options == {"scaling": "none"}


@pytest.mark.parametrize("text", ["title =", "[[[", "title = 'a'\ntitle = 'b'"])
def test_what_is_no_toml_is_said(text: str) -> None:
    with pytest.raises(StudyError, match="not valid TOML"):
        parse(text)


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "{}", '{"rounds": {}}'])
def test_a_hostile_study_over_the_wire_is_refused(text: str) -> None:
    with pytest.raises(StudyError):
        parse_json(text)


def test_a_number_that_became_three_says_which() -> None:
    with pytest.raises(StudyError, match=r"hospitals_at_start.*least_in_sum.*noise_shares"):
        parse(TEXT, ["federation.minimum_hospitals=3"])
