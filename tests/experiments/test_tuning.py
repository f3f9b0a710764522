"""A setting is chosen by sums over validation patients, and test patients are scored once, by the chosen one."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from client.hospital import open_hospital, site_names
from common.errors import StudyError
from common.study.study import Study, parse
from experiments.tuning.choice import Score, choose
from experiments.tuning.conduct import tune
from experiments.tuning.grid import Candidate, candidates

LAMBDAS = ("0.0", "0.5", "2.0")
RIDGE = """
title = "Ridge"
rounds = 40
engine = "inline"
aggregation = "plain"
split = { validation = 0.3, test = 0.2 }
federation = { evaluate_every = 0 }
[source]
name = "table"
target = "number"
label = "y"
decimal = "."
[task]
name = "regression"
network = { name = "mlp", hidden = [] }
center = 0
spread = 1
[training]
steps = 1
batch_size = "full"
learning_rate = 0.3
"""


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("a", "b", "c"):
        rows = rng.normal(size=(30, 6))
        target = rows[:, 0] - 0.5 * rows[:, 1] + rng.normal(0, 1.5, 30)
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*(f"x{index}" for index in range(6)), "y"])
            writer.writerows(np.column_stack([rows, target]).round(6).tolist())
    return folder


def test_lists_make_a_grid() -> None:
    found = candidates(["training.l1=0,0.1", "task.network.hidden=[4],[8,8]"])
    assert [one.settings for one in found] == [
        ("training.l1=0", "task.network.hidden=[4]"),
        ("training.l1=0", "task.network.hidden=[8,8]"),
        ("training.l1=0.1", "task.network.hidden=[4]"),
        ("training.l1=0.1", "task.network.hidden=[8,8]"),
    ]


@pytest.mark.parametrize("over", [["a"], ["a=1"], ["a=1,"], ["a=1,1"], ["a=1,2", "a=3,4"], []])
def test_what_is_no_list_is_refused(over: list[str]) -> None:
    with pytest.raises(StudyError):
        candidates(over)


def test_the_best_is_chosen_or_the_last_within_its_standard_error() -> None:
    """The best has 0.80 +- 0.05: an error of 0.0255, so that 0.78 is near enough and 0.77 is not."""
    scores = [Score(0.7), Score(0.80, 0.75, 0.85), Score(0.78), Score(0.77), Score(None)]
    assert choose(scores, lower=False) == 1
    assert choose(scores, lower=False, one_standard_error=True) == 2
    assert choose(scores, lower=True) == 0
    with pytest.raises(StudyError, match="no candidate has a validation score"):
        choose([Score(None)], lower=False)


def test_lambda_is_the_one_that_scikit_learns_ridge_path_has_on_pooled_data(tables: Path, tmp_path: Path) -> None:
    """Mean squared error / 2 + lambda / 2 |w|^2 is scikit-learn's with alpha = n lambda, if the loss is as ours."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    base = [f'source.folder="{tables}"']
    found = candidates([f"training.weight_decay={','.join(LAMBDAS)}"])
    studies = [(one, parse(RIDGE, [*base, *one.settings])) for one in found]
    tuned = tune(studies, "ridge", tmp_path / "tuned", lambda _: None)
    hospitals = [open_hospital(studies[0][1].json, k) for k in range(len(site_names(studies[0][1])))]
    rows = {
        split: [
            np.concatenate([np.asarray(getattr(one.splits[split], what), float) for one in hospitals])
            for what in ("inputs", "targets")
        ]
        for split in ("train", "validation")
    }
    errors = []
    (inputs, targets), (new, truth) = rows["train"], rows["validation"]
    with_ones, new_ones = (np.column_stack([part, np.ones(len(part))]) for part in (inputs, new))
    for value in map(float, LAMBDAS):
        ridge = linear_model.Ridge(alpha=len(inputs) * value / 2, fit_intercept=False).fit(with_ones, targets)
        errors.append(float(((ridge.predict(new_ones) - truth) ** 2).mean()))
    assert tuned.chosen == int(np.argmin(errors))
    ours = [one.validation_loss for one in tuned.tried]
    np.testing.assert_allclose(ours, errors, rtol=1e-3)


def test_test_patients_are_scored_once_and_by_the_chosen_one(
    tiny: Callable[..., Study], tmp_path: Path, wardround: Callable[..., tuple[int, str]]
) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(tiny("rounds=2", "aggregation=secagg").text)
    place = tmp_path / "out"
    over = "task.network.hidden=[1],[8]"
    code, said = wardround("tune", str(file), "--over", over, "--replicates", "2", "--folder", str(place))
    assert code == 0, said
    assert "7 runs" in said and "Chosen: task.network.hidden=" in said
    for folder in sorted(place.glob("0*")):
        for final in sorted(folder.rglob("final.json")):
            assert json.loads(final.read_text()).keys() == {"validation"}
    assert json.loads((place / "chosen" / "final.json").read_text()).keys() == {"validation", "test"}
    figures = json.loads((place / "tune.json").read_text())
    for one in figures["candidates"]:
        parts = one["parts"]
        assert parts["error"] == pytest.approx(parts["bias_squared"] + parts["variance"] + parts["noise"])
        assert one["validation"]["low"] <= one["validation"]["value"] <= one["validation"]["high"]
    assert "Where the error comes from" in (place / "tune.html").read_text()
    code, said = wardround("tune", str(file), "--over", over, "--folder", str(place))
    assert code == 1 and "already holds a choice" in said


def test_a_choice_that_would_be_paid_for_or_unfair_is_refused(tiny: Callable[..., Study], tmp_path: Path) -> None:
    private = tiny("privacy={name='dpsgd', noise_multiplier=1.0, delta=1e-3}")
    for study, words in (
        (private, "each of the 3 runs would spend the epsilon"),
        (tiny("split.validation=0"), "validation cases"),
    ):
        with pytest.raises(StudyError, match=words):
            tune([(Candidate(("a=1",)), study)] * 2, "x", tmp_path / "out", lambda _: None)


def test_a_run_that_withholds_its_test_cases_refuses_what_would_score_them(tiny: Callable[..., Study]) -> None:
    with pytest.raises(StudyError, match="local scores them"):
        tiny("federation.withhold_test=true", "baselines.local=true")
