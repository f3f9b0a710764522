"""Counterfactuals of a run: what is asked, what is measured, the page, and how a classifier's score moves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import wardround
from client.hospital import open_hospital
from common.causality.deep.model import Cause
from common.errors import StudyError, WardroundError
from common.study.study import parse
from experiments.cli import cli
from experiments.counterfactuals.asked import actions_of, words_of
from experiments.counterfactuals.conduct import Asked, answer
from experiments.counterfactuals.page import not_learned
from experiments.counterfactuals.persons import Whose
from tests.experiments.trained_runs import trained_run

STUDY = """
title = "Digits"
rounds = 1
strategy = "fedavg"
aggregation = "plain"
source = { name = "morpho", hospitals = 2, patients = [6], scanners = true }
split = { validation = 0.0, test = 0.5 }
federation = { least_in_sum = 1 }
[task]
name = "deep_scm"
graph = "thickness -> intensity; thickness & intensity & scanner -> image"
network = { name = "conditional_ladder", channels = [4], latents = [1], top = 2 }
causes = [
    { name = "thickness", center = 2.5, spread = 0.7, measure = "stroke_thickness" },
    { name = "intensity", center = 160, spread = 55 },
    { name = "scanner", classes = 2 },
]
"""
CLASSIFIER = """
title = "Which digit"
rounds = 1
strategy = "fedavg"
aggregation = "plain"
source = { name = "mnist" }
partition = { name = "iid", hospitals = 2 }
task = { name = "classification", network = "logistic" }
federation = { least_in_sum = 1 }
"""
CAUSES = (Cause("age", 60, 10), Cause("sex", classes=2))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("counterfactuals") / "run"
    cases = open_hospital(parse(STUDY).json, 0).train
    trained_run(folder, STUDY, cases, steps=2)
    return folder


@pytest.fixture(scope="module")
def classifier(run: Path) -> Path:
    from common.data.cases import Cases

    folder = run.parent / "classifier"
    images = open_hospital(parse(STUDY).json, 0).train.inputs
    labels = np.arange(len(images)) % 2
    cases = Cases.of(images, labels.astype(np.int64), [f"p{index}" for index in range(len(images))], ("well", "ill"))
    trained_run(folder, CLASSIFIER, cases, steps=3)
    return folder


def test_an_action_is_a_cause_and_its_value_or_several() -> None:
    assert actions_of(["age=70", "sex=1, age=50"], CAUSES) == ({"age": 70.0}, {"sex": 1.0, "age": 50.0})
    assert words_of({"sex": 1.0, "age": 50.0}) == "do(sex = 1, age = 50)"


def test_without_actions_every_cause_goes_to_each_side_or_class() -> None:
    assert actions_of([], CAUSES) == ({"age": 50.0}, {"age": 70.0}, {"sex": 0.0}, {"sex": 1.0})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("age", "a cause and its value"),
        ("aeg=70", "did you mean 'age'"),
        ("age=old", "a number is needed"),
        ("age=nan", "a number is needed"),
        ("sex=2", "numbered from 0 to 1"),
        ("age=1,age=2", "twice"),
    ],
)
def test_what_is_no_action_is_refused_in_words(words: str, said: str) -> None:
    with pytest.raises(WardroundError, match=said):
        actions_of([words], CAUSES)


def test_the_command_writes_a_page_figures_and_images(run: Path, classifier: Path, tmp_path: Path) -> None:
    arguments = ["counterfactual", str(run), "--do", "thickness=4", "--do", "scanner=1", "--out", str(tmp_path)]
    result = CliRunner().invoke(cli, [*arguments, "--classifier", str(classifier), "--mediated"])
    assert result.exit_code == 0, result.output
    page = (tmp_path / "counterfactuals.html").read_text()
    assert "do(thickness = 4)" in page and "direct only" in page and "the truth" in page
    figures = json.loads((tmp_path / "counterfactuals.json").read_text())
    assert figures["patients"] == 6 and set(figures["distance"]) == {"thickness", "intensity", "scanner"}
    assert [one["action"] for one in figures["classifier"]["shifts"]] == ["do(thickness = 4)", "do(scanner = 1)"]
    with np.load(tmp_path / "counterfactuals.npz") as held:
        assert held["action_1"].shape == held["images"].shape == (6, 1, 28, 28)
        assert np.allclose(held["causes_1"][:, 0], 4)


def test_a_patients_own_scanner_changes_no_pixel_and_no_score(run: Path, classifier: Path, tmp_path: Path) -> None:
    asked = Asked(("scanner=0",), Whose(hospital="hospital-1"), classifier)
    written = answer(run, asked, tmp_path)
    assert np.allclose(written.found.outcomes[0].images["total"], written.found.cases.inputs, atol=1e-5)
    assert written.bias is not None and abs(written.bias.shifts[0].change) < 1e-5


def test_direct_and_indirect_effects_of_a_cause_without_effects_on_others_are_all_and_nothing(
    run: Path, tmp_path: Path
) -> None:
    found = answer(run, Asked(("scanner=1",), Whose(hospital="hospital-1")), tmp_path).found
    images = found.outcomes[0].images
    assert np.allclose(images["direct"], images["total"], atol=1e-6)
    assert np.allclose(images["indirect"], found.cases.inputs, atol=1e-5)


def test_images_of_a_file_are_asked_about_too_and_wrong_ones_are_refused(run: Path, tmp_path: Path) -> None:
    images, causes = np.zeros((2, 1, 28, 28), np.float32), np.array([[2, 100, 0], [3, 200, 1]], np.float32)
    np.savez(tmp_path / "good.npz", images=images, causes=causes)
    np.savez(tmp_path / "bad.npz", images=images, causes=causes[:, :2])
    found = answer(run, Asked(("thickness=3",), Whose(file=tmp_path / "good.npz")), tmp_path).found
    assert len(found.cases) == 2 and found.truths is None
    with pytest.raises(StudyError, match="of thickness, intensity, scanner"):
        answer(run, Asked((), Whose(file=tmp_path / "bad.npz")), tmp_path)


def test_a_model_that_learned_nothing_of_an_action_is_said_to_have_not(run: Path, tmp_path: Path) -> None:
    written = answer(run, Asked(("thickness=3",), Whose(hospital="hospital-1")), tmp_path)
    found = replace(written.found, answers=np.repeat(written.found.cases.inputs[None], 3, axis=0))
    assert found.distances == found.unchanged and found.not_learned == ("thickness", "intensity", "scanner")
    assert "has not learned" in not_learned(found)
    assert not replace(found, answers=found.truths).not_learned


def test_python_answers_as_the_command_does(run: Path, tmp_path: Path) -> None:
    found = answer(run, Asked(("thickness=3.5",), Whose(hospital="hospital-2")), tmp_path).found
    made, acted = wardround.load(run).counterfactual(found.cases.inputs, found.cases.targets, thickness=3.5)
    assert np.allclose(made, found.outcomes[0].images["total"], atol=1e-6)
    assert np.allclose(acted, found.outcomes[0].values, atol=1e-3)


def test_arrays_of_a_hospitals_own_are_learned_from(tmp_path: Path) -> None:
    for site in ("a", "b"):
        images, causes = np.random.default_rng(0).random((4, 1, 8, 8)), np.arange(8.0).reshape(4, 2)
        np.savez(tmp_path / f"{site}.npz", images=images, targets=causes, person=[f"{site}{k}" for k in range(4)])
    study = parse(
        STUDY,
        (
            f"source={{name='npz', folder='{tmp_path}', target='number'}}",
            "task.graph='a & b -> image'",
            "task.causes=[{name='a'}, {name='b'}]",
        ),
    )
    hospital = open_hospital(study.json, 0)
    batch = hospital.train.batch()
    assert batch.targets.shape == (2, 2) and hospital.task.loss(hospital.network, batch).isfinite().all()


def test_a_run_of_another_task_and_an_unknown_patient_are_refused(
    run: Path, classifier: Path, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match="take a run of task 'deep_scm'"):
        answer(classifier, Asked(), tmp_path)
    with pytest.raises(WardroundError, match="did you mean"):
        answer(run, Asked((), Whose(patient="hospital-1-0000x")), tmp_path)
    with pytest.raises(StudyError, match="--classifier"):
        answer(run, Asked((), Whose(), None, "ill"), tmp_path)
