"""The model that each hospital makes of the federation's: where it stays, what is told of it, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from client.fine_tuning import FOLDER, MODEL, SCORES
from common.errors import StudyError
from common.study.study import Study
from experiments.engines._quiet import run_quietly
from experiments.study_view import study_facts
from server.report import write_report

TUNING = "fine_tuning={epochs=3, learning_rate=0.2}"


def kept(folder: Path, name: str) -> dict[str, Path]:
    return {path.parents[2].name: path for path in sorted(folder.glob(f"hospitals/*/{FOLDER}/*/{name}"))}


@pytest.mark.parametrize("aggregation", ["plain", "secagg"])
def test_hospitals_keep_models_of_their_own_and_tell_scores_alone(
    tiny: Callable[..., Study], tmp_path: Path, aggregation: str
) -> None:
    models = []
    for engine in ("inline", "processes"):
        study = tiny(TUNING, "rounds=1", f"aggregation={aggregation}", f"engine={engine}")
        outcome = run_quietly(study, tmp_path / engine)
        models.append({site: load_file(path) for site, path in kept(tmp_path / engine, MODEL).items()})
    shared = load_file(tmp_path / "inline" / "model.safetensors")
    plain = run_quietly(tiny("rounds=1", f"aggregation={aggregation}"), tmp_path / "plain")
    assert outcome.about["model_sha256"] == plain.about["model_sha256"]
    assert outcome.final["test"] == plain.final["test"]
    assert len(models[0]) == 4 and models[0].keys() == models[1].keys()
    for site, own in models[0].items():
        assert own.keys() == shared.keys()
        assert all(np.array_equal(own[name], models[1][site][name]) for name in own)
        assert all(not np.array_equal(own[name], shared[name]) for name in own)
    scores = {site: json.loads(path.read_text()) for site, path in kept(tmp_path / "inline", SCORES).items()}
    told = outcome.final["fine_tuned"]
    if aggregation == "plain":
        assert told["sites"] == {site: one["after"] for site, one in scores.items()}
        assert outcome.final["test"]["sites"] == {site: one["before"] for site, one in scores.items()}
    else:
        assert told["sites"] == {} and told["pooled"]["accuracy"] is not None
    page = write_report(tmp_path / "inline").read_text()
    assert "What fine-tuning adds in each hospital" in page


def test_only_the_named_parameters_are_tuned(tiny: Callable[..., Study], tmp_path: Path) -> None:
    study = tiny("rounds=1", "fine_tuning={steps=2, parameters=['3.*']}")
    run_quietly(study, tmp_path)
    shared = load_file(tmp_path / "model.safetensors")
    for path in kept(tmp_path, MODEL).values():
        own = load_file(path)
        assert {name for name in own if not np.array_equal(own[name], shared[name])} == {"3.bias", "3.weight"}


def test_a_name_that_no_parameter_has_is_told_before_the_first_round(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match=r"fine_tuning\.parameters: no parameter fits 'hed"):
        run_quietly(tiny("fine_tuning.parameters=['hed.*']"), tmp_path)
    assert not kept(tmp_path, MODEL)


def test_a_promise_and_a_run_that_trains_nothing_refuse_it(tiny: Callable[..., Study]) -> None:
    with pytest.raises(StudyError, match="without noise"):
        tiny(TUNING, "privacy={name='dpsgd', noise_multiplier=1.0, delta=1e-3}")
    with pytest.raises(StudyError, match="goes on from what was trained"):
        tiny(TUNING, "rounds=0", "start.model=x")


def test_those_who_approve_are_told_what_leaves_and_what_stays(tiny: Callable[..., Study]) -> None:
    told = " ".join(study_facts(tiny(TUNING)))
    assert "for 3 epochs more on its own training cases" in told and "stays in the hospital's folder" in told
