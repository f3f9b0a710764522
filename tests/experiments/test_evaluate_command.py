"""`wardround evaluate`: a model scored where it was not trained, ours and others', on the page too."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, confusion_matrix, roc_auc_score
from torch import nn

from client.hospital import open_hospital
from client.policy import read_policy
from common.data.cases import Shape
from common.errors import StudyError
from common.files.tensor_files import read_tensors
from common.learning.networks.torchscript import TorchScript
from common.study.plugins import ANYTHING, trusting
from common.study.study import parse, parse_json
from experiments.evaluating import evaluation_of
from experiments.study_view import study_facts

Wardround = Callable[..., tuple[int, str]]

TRAIN = """
title = "Sick or well"
rounds = 3
engine = "inline"
source = { name = "table", folder = "near", label = "state", person = "patient" }
task = { name = "classification", network = { name = "mlp", hidden = [6] } }
training = { batch_size = 16 }
"""
DOCS = Path(__file__).parents[2] / "docs" / "after-the-run.md"
ELSEWHERE = next(
    block.partition("```")[0] for block in DOCS.read_text().split("```toml\n") if block.startswith("title = ")
)
WEIGHTS, BIAS = np.array([[0.4, -0.7], [-0.2, 0.5], [0.1, 0.3]], np.float32), np.array([0.2, -0.1], np.float32)


def write_table(path: Path, seed: int) -> None:
    """60 persons of whom some come twice."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(80, 3))
    ill = rng.random(80) < 1 / (1 + np.exp(-2 * values[:, 0]))
    lines = [
        f"{path.stem}{k % 60},{','.join(f'{value:.3f}' for value in row)},{'well' if one else 'sick'}"
        for k, (row, one) in enumerate(zip(values, ill, strict=True))
    ]
    path.write_text("patient,a,b,c,state\n" + "\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies, each with three hospitals of its own, and the run of the first."""
    folder = tmp_path_factory.mktemp("evaluate")
    for part, names in (("near", ("Ulm", "Bern", "Graz")), ("far", ("Oslo", "Lund", "Riga"))):
        (folder / part).mkdir()
        for number, name in enumerate(names):
            write_table(folder / part / f"{name}.csv", number + len(part))
    (folder / "near.toml").write_text(TRAIN)
    (folder / "far.toml").write_text(ELSEWHERE + 'engine = "inline"\n')
    from experiments.commands._study_text import asked_study
    from experiments.running.run import run_study

    run_study(asked_study(str(folder / "near.toml"), ()).study, "near", folder / "run")
    return folder


def final(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "final.json").read_text())["test"])


def answers(place: Path, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Chances of class 1 and truths of every case far away, computed from the model's file alone."""
    study = parse((place / "far.toml").read_text(), [f'source.folder="{place / "far"}"', "rounds=1"], place)
    hospitals = [open_hospital(study.json, index) for index in range(3)]
    cases = [(part.inputs, part.targets) for one in hospitals for part in one.splits.values() if len(part)]
    given = {
        name: torch.from_numpy(value) for name, value in read_tensors(folder, "model.safetensors").tensors.items()
    }
    from common.learning.networks.mlp import Mlp

    network = Mlp((6,)).build(Shape((3,), 2)).double()
    network.load_state_dict(given)
    inputs = torch.from_numpy(np.concatenate([one for one, _ in cases])).double()
    with torch.no_grad():
        chances = network(inputs).softmax(1)[:, 1].numpy()
    return chances, np.concatenate([one for _, one in cases])


def test_every_figure_is_scikit_learns_of_the_pooled_cases(place: Path, wardround: Wardround, tmp_path: Path) -> None:
    code, said = wardround("evaluate", str(place / "run"), str(place / "far.toml"), "--folder", str(tmp_path / "far"))
    assert code == 0, said
    found, (chances, truth) = final(tmp_path / "far"), answers(place, place / "run")
    scores, curves = found["pooled"], found["curves"]
    assert (found["sites"], found["patients"]) == ({}, 180)
    assert scores["accuracy"] == pytest.approx(np.mean((chances > 0.5) == truth))
    assert scores["brier"] == pytest.approx(brier_score_loss(truth, chances), abs=1e-6)
    assert scores["auc"] == pytest.approx(roc_auc_score(truth, chances), abs=scores["auc_error"])
    assert curves["confusion"] == confusion_matrix(truth, chances > 0.5).tolist()
    observed, predicted = calibration_curve(truth, chances, n_bins=10)
    assert [one["observed"] for one in curves["calibration"]] == pytest.approx(observed.tolist(), abs=1e-6)
    assert [one["predicted"] for one in curves["calibration"]] == pytest.approx(predicted.tolist(), abs=1e-6)
    low, high = found["intervals"]["accuracy"]
    assert low < scores["accuracy"] < high


def test_the_page_says_what_was_scored_and_how_sure_that_is(
    place: Path, wardround: Wardround, tmp_path: Path
) -> None:
    wardround("evaluate", str(place / "run"), str(place / "far.toml"), "--folder", str(tmp_path / "far"))
    page = (tmp_path / "far" / "report.html").read_text()
    for words in (
        "Evaluation report",
        "Scored without any training here",
        "95 % interval",
        "Do predicted chances come true?",
        "net benefit",
        "ROC curve",
        "answered sick",
        "Recall of sick",
        "Model that was scored",
    ):
        assert words in page
    assert "Does learning together help?" not in page
    summary = json.loads((tmp_path / "far" / "summary.json").read_text())
    assert json.loads((place / "run" / "summary.json").read_text())["model_sha256"] in summary["began_from"]
    assert "accuracy" in summary["intervals"]["test"]


def test_where_it_was_trained_only_patients_are_scored_that_it_never_saw(
    place: Path, wardround: Wardround, tmp_path: Path
) -> None:
    code, said = wardround("evaluate", str(place / "run"), str(place / "near.toml"), "--folder", str(tmp_path / "n"))
    assert code == 0
    assert "was trained at hospitals of the names Bern, Graz, Ulm" in " ".join(said.split())
    before = json.loads((place / "run" / "final.json").read_text())["test"]["pooled"]
    assert final(tmp_path / "n")["pooled"].items() >= before.items()


def test_a_runs_model_named_by_its_file_is_scored_on_nobody_it_learned_from(
    place: Path, wardround: Wardround, tmp_path: Path
) -> None:
    """Before: on everybody, those it was trained on included, without a word."""
    model = place / "run" / "model.safetensors"
    assert wardround("evaluate", str(model), str(place / "near.toml"), "--folder", str(tmp_path / "n"))[0] == 0
    before = json.loads((place / "run" / "final.json").read_text())["test"]["pooled"]
    assert final(tmp_path / "n")["pooled"].items() >= before.items()


@pytest.mark.parametrize(
    "setting",
    [
        "split.test=0.5",
        "split={validation=0.0,test=1.0}",
        "seed=9",
        'source.person="a"',
    ],
)
def test_where_patients_it_learned_from_are_scored_the_page_says_so(setting: str, place: Path) -> None:
    """Before: another split, seed or reading of persons put them into the test cases, and nothing was said."""
    found = evaluation_of(place / "run", (place / "near.toml").read_text(), [setting], place / "near.toml")
    (remark,) = found.remarks
    assert "patients whom it learned from are among those scored" in remark
    study = parse((place / "near.toml").read_text(), found.overrides, place)
    assert remark in study.description


def test_of_a_model_without_a_run_it_is_said_that_nobody_knows_whom_it_learned_from(
    place: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "some.safetensors"
    bare.write_bytes((place / "run" / "model.safetensors").read_bytes())
    found = evaluation_of(bare, (place / "near.toml").read_text(), [], place / "near.toml")
    assert "Nothing here says whom this model learned from" in found.remarks[0]


def linear_script(path: Path) -> Path:
    layer = nn.Linear(3, 2)
    layer.load_state_dict({"weight": torch.from_numpy(WEIGHTS.T.copy()), "bias": torch.from_numpy(BIAS)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(layer), str(path))
    return path


def linear_onnx(path: Path) -> Path:
    onnx = pytest.importorskip("onnx", reason="onnx writes the model that this test scores")
    pytest.importorskip("onnxruntime", reason="onnxruntime runs ONNX models")
    from onnx import TensorProto, helper, numpy_helper

    sides = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size]) for name, size in (("x", 3), ("y", 2))
    ]
    weights = [numpy_helper.from_array(WEIGHTS, "w"), numpy_helper.from_array(BIAS, "b")]
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"])], "g", [sides[0]], [sides[1]], weights
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def linear_accuracy(place: Path) -> float:
    study = parse((place / "far.toml").read_text(), [f'source.folder="{place / "far"}"', "rounds=1"], place)
    parts = [part for k in range(3) for part in open_hospital(study.json, k).splits.values() if len(part)]
    right = [((part.inputs @ WEIGHTS + BIAS).argmax(1) == part.targets) for part in parts]
    return float(np.mean(np.concatenate(right)))


@pytest.mark.parametrize("written", [linear_script, linear_onnx])
def test_a_model_of_another_library_is_scored(
    place: Path, wardround: Wardround, tmp_path: Path, written: Callable[[Path], Path]
) -> None:
    model = written(tmp_path / ("m.pt" if written is linear_script else "m.onnx"))
    code, said = wardround("evaluate", str(model), str(place / "far.toml"), "--folder", str(tmp_path / "far"))
    assert code == 0, said
    assert final(tmp_path / "far")["pooled"]["accuracy"] == pytest.approx(linear_accuracy(place))
    about = json.loads((tmp_path / "far" / "about.json").read_text())
    assert about["model"]["sha256"] == about["model_sha256"] == sha256(model.read_bytes()).hexdigest()
    assert not (tmp_path / "far" / "model.safetensors").exists()


def test_on_processes_a_foreign_model_gives_the_same(place: Path, wardround: Wardround, tmp_path: Path) -> None:
    model = linear_script(tmp_path / "m.pt")
    arguments = ("evaluate", str(model), str(place / "far.toml"), "--engine", "processes")
    code, said = wardround(*arguments, "--folder", str(tmp_path / "far"))
    assert code == 0, said
    assert final(tmp_path / "far")["pooled"]["accuracy"] == pytest.approx(linear_accuracy(place))


def test_a_foreign_model_is_not_trained(place: Path, wardround: Wardround, tmp_path: Path) -> None:
    model = linear_script(tmp_path / "m.pt")
    network = f'task.network={{ name = "torchscript", file = "{model}" }}'
    code, said = wardround("run", str(place / "far.toml"), "--set", network, "--folder", str(tmp_path / "r"))
    assert code == 1
    assert "has no parameters to learn" in " ".join(said.split())


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.txt", b"", "is no model: name a run folder"),
        ("m.pt", b"no archive", "m.pt cannot be used"),
        ("absent.pt", None, "there is no file"),
        ("m.safetensors", b"x", "is not a whole safetensors file"),
    ],
)
def test_what_is_no_model_is_refused_in_a_line(
    place: Path, wardround: Wardround, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code, said = wardround("evaluate", str(tmp_path / name), str(place / "far.toml"), "--folder", str(tmp_path / "f"))
    assert code == 1
    assert words in " ".join(said.split())
    assert "Traceback" not in said


def test_a_hospital_opens_what_its_policy_allows_and_nothing_else(tmp_path: Path) -> None:
    (folder := tmp_path / "hospital").mkdir()
    (folder / "models").mkdir()
    digest = sha256(linear_script(folder / "models" / "m.pt").read_bytes()).hexdigest()
    model, shape = TorchScript("/somewhere/else/m.pt", digest), Shape((3,), 2)
    for policy, words in (
        ("", "is a program, which was not run"),
        (f'plugins = ["torchscript:{digest}"]', "no folder of models is named here"),
    ):
        (folder / "policy.toml").write_text(policy)
        with trusting(read_policy(folder).trust), pytest.raises(StudyError, match=words):
            model.build(shape)
    (folder / "policy.toml").write_text(f'models = "models"\nplugins = ["torchscript:{digest}"]')
    with trusting(read_policy(folder).trust):
        assert model.build(shape)(torch.zeros(2, 3)).shape == (2, 2)
        with pytest.raises(StudyError, match="is a program, which was not run"):
            TorchScript("m.pt", "0" * 64).build(shape)
    with trusting(ANYTHING), pytest.raises(StudyError, match="and the study names"):
        TorchScript(str(folder / "models" / "m.pt"), "0" * 64).build(shape)


def test_nobody_who_reads_a_folder_runs_a_model_of_it(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="is a program, which was not run"):
        TorchScript(str(linear_script(tmp_path / "m.pt"))).build(Shape((3,), 2))


@pytest.mark.parametrize("answers", ["probability", "logit", "probabilities", "logits"])
def test_every_form_of_answer_becomes_the_same_chances(answers: str) -> None:
    from common.learning.networks._foreign import ForeignModel

    chance = 0.8
    given = {
        "probability": [[chance]],
        "logit": [[np.log(chance / (1 - chance))]],
        "probabilities": [[1 - chance, chance]],
        "logits": [[0.0, np.log(chance / (1 - chance))]],
    }[answers]
    model = ForeignModel(lambda case: np.array(given), answers, "channels_first", {})  # type: ignore[arg-type]
    assert model(torch.zeros(2, 3)).softmax(1)[:, 1].tolist() == pytest.approx([chance, chance])


def test_the_approval_says_the_model_its_digest_and_what_leaves(place: Path) -> None:
    evaluation = evaluation_of(place / "run", ELSEWHERE, [f'source.folder="{place / "far"}"'], None)
    study = parse(ELSEWHERE, [*evaluation.overrides, f'start.sha256="{"a" * 64}"'], place)
    said = " ".join(study_facts(parse_json(study.json)))
    for words in (
        "It begins from a model of the coordinator's",
        "a" * 64,
        "Nothing is trained",
        "counts of cases by bin",
        "sums over patients of their squares",
    ):
        assert words in said
