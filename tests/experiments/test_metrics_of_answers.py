"""`wardround metrics` of two CSV files: answers about whole cases."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as peer

from experiments.measuring import answer_command

Wardround = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_command, "RESAMPLES", 40)


def written(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_figures_of_answers_are_scikit_learns(wardround: Wardround, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth, chances = rng.integers(0, 3, 30), rng.dirichlet((1, 1, 1), 30)
    answers = chances.argmax(1)
    given = [f"c{k},{','.join(map(str, row))}" for k, row in enumerate(chances)]
    paths = (
        written(tmp_path / "answers.csv", "case,chance_0,chance_1,chance_2", *given),
        written(tmp_path / "truth.csv", "case,label", *(f"c{k},{label}" for k, label in enumerate(truth))),
    )
    out, figure = tmp_path / "out.json", tmp_path / "out.html"
    code, said = wardround("metrics", *paths, "--json", str(out), "--figure", str(figure))
    assert code == 0, said
    record = json.loads(out.read_text())
    found = {(one["figure"], one["of"]): one["value"] for one in record["figures"]}
    expected = {
        ("accuracy", ""): peer.accuracy_score(truth, answers),
        ("balanced_accuracy", ""): peer.balanced_accuracy_score(truth, answers),
        ("mcc", ""): peer.matthews_corrcoef(truth, answers),
        ("kappa", ""): peer.cohen_kappa_score(truth, answers),
        ("kappa_quadratic", ""): peer.cohen_kappa_score(truth, answers, weights="quadratic"),
        ("sensitivity", "1"): peer.recall_score(truth == 1, answers == 1),
        ("specificity", "1"): peer.recall_score(truth != 1, answers != 1),
        ("precision", "2"): peer.precision_score(truth == 2, answers == 2),
        ("f1", "0"): peer.f1_score(truth == 0, answers == 0),
        ("auroc", "2"): peer.roc_auc_score(truth == 2, chances[:, 2]),
        ("average_precision", "0"): peer.average_precision_score(truth == 0, chances[:, 0]),
        ("brier", "1"): peer.brier_score_loss(truth == 1, chances[:, 1]),
        ("brier", ""): ((chances - np.eye(3)[truth]) ** 2).sum(1).mean(),
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected)
    assert all(one["low"] <= one["value"] + 0.2 and one["low"] <= one["high"] for one in record["figures"])
    assert record["confusion"] == peer.confusion_matrix(truth, answers).tolist()
    assert record["wrong"] == [f"c{k}" for k in np.flatnonzero(truth != answers)]
    assert figure.read_text().count("Reliability curve") == 3


def test_two_classes_of_words_need_one_column_and_patients_are_drawn_whole(
    wardround: Wardround, tmp_path: Path
) -> None:
    """Both cases of a patient are right, or both are wrong: no draw of one patient alone is in between."""
    answers = written(tmp_path / "a.csv", "case,label,chance_yes", "1,yes,.9", "2,yes,.8", "3,yes,.7", "4,yes,.6")
    truth = written(tmp_path / "t.csv", "case,label", "4,no", "3,no", "2,yes", "1,yes")
    whose = written(tmp_path / "whose.csv", "case,patient", "1,p", "2,p", "3,q", "4,q")
    out = tmp_path / "out.json"
    asked = ("--metrics", "accuracy,auc,mcc", f"--patients={whose}", "--json", str(out))
    code, said = wardround("metrics", answers, truth, *asked)
    assert code == 0, said
    accuracy, mcc, no, yes = json.loads(out.read_text())["figures"]
    assert (accuracy["value"], accuracy["low"], accuracy["high"]) == (0.5, 0.0, 1.0)
    assert mcc["value"] is None and mcc["undefined"] == 40
    assert (no["figure"], no["of"], no["value"], yes["value"]) == ("auroc", "no", 1.0, 1.0) and yes["undefined"] > 0


@pytest.mark.parametrize(
    ("answers", "truth", "expected"),
    [
        ("case,label\na,1", "case,label\nb,1", "in one file only: 'a', 'b'"),
        ("case,label\na,1\na,1", "case,label\na,1", "names the case 'a' twice"),
        ("name,label\na,1", "case,label\na,1", "must have the column case"),
        ("case,score\na,1", "case,label\na,1", "needs the column label"),
        ("case,label\na,", "case,label\na,1", "says nothing of case 'a'"),
        ("case,chance_x\na,1.5", "case,label\na,x", "within 0 and 1"),
        ("case,chance_x,chance_y\na,.5,.4", "case,label\na,x", "add up to 1"),
        ("case,chance_x\na,.5", "case,label\na,y", "no chance_y to tell"),
        ("case,label\na,1", "case,label\na,1\n" + "\n".join(f"b{k},{k}" for k in range(200)), "in one file only"),
    ],
)
def test_what_is_no_answer_is_named(
    wardround: Wardround, tmp_path: Path, answers: str, truth: str, expected: str
) -> None:
    paths = written(tmp_path / "a.csv", answers), written(tmp_path / "t.csv", truth)
    code, said = wardround("metrics", *paths)
    assert code == 1 and expected in " ".join(said.split()), said


def test_options_of_images_and_unknown_names_are_refused(wardround: Wardround, tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "case,label", "a,1")
    for wrong, expected in ((("--label", "1"), "can be said"), (("--metrics", "kapa"), "did you mean 'kappa'")):
        code, said = wardround("metrics", path, path, *wrong)
        assert code == 1 and expected in " ".join(said.split()), said
