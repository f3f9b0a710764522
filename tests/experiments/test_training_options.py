"""Whole runs with what `[training]`, `server_schedule` and `[stopping]` say: engines agree, and runs go on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from client.approval import approve
from client.hospital import open_hospital
from common.errors import StudyError
from common.learning.parameters import Layout, digest, new_network, read
from common.study.catalogue import STRATEGIES
from common.study.study import Study
from common.wire.train_requests import Order, from_payload, to_payload
from experiments.engines._quiet import run_quietly
from experiments.study_view import study_facts
from server.report import write_report

EVERYTHING = (
    "training={batch_size=8, learning_rate=0.2, momentum=0.5, nesterov=true, weight_decay=0.01, decayed='weights', "
    "l1=0.001, clip_gradient_norm=1.0, class_weights='balanced', class_counts=[70, 50], sampling='by_class', "
    "schedule={kind='cosine', warm_up_rounds=1}}",
    "server_schedule={kind='step', every=2, factor=0.5}",
)
STOPPING = "stopping={patience=2}"


def freezable(study: Study) -> list[str]:
    return sorted(Layout.of(open_hospital(study.json, 0).network).shapes)


def test_everything_at_once_gives_the_bit_identical_model_on_two_engines(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    first = freezable(tiny())[0]
    options = (*EVERYTHING[:1], f"training.freeze=['{first}']", *EVERYTHING[1:])
    digests = {
        engine: run_quietly(tiny(f"engine={engine}", *options), tmp_path / engine).about["model_sha256"]
        for engine in ("inline", "processes")
    }
    assert len(set(digests.values())) == 1


@pytest.mark.parametrize("strategy", ["fednova", "qfedavg"])
def test_weighed_strategies_give_one_model_whether_updates_are_read_singly_or_summed(
    tiny: Callable[..., Study], tmp_path: Path, strategy: str
) -> None:
    models = []
    for aggregation in ("plain", "secagg"):
        folder = tmp_path / aggregation
        run_quietly(tiny("rounds=2", f"strategy={strategy}", f"aggregation={aggregation}"), folder)
        models.append(np.concatenate([one.ravel() for one in load_file(folder / "model.safetensors").values()]))
    np.testing.assert_allclose(models[0], models[1], atol=1e-4)


def test_a_frozen_parameter_stays_does_not_travel_and_is_in_the_models_file(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    whole = tiny("rounds=2")
    first = freezable(whole)[-1]
    study = tiny("rounds=2", f"training.freeze=['{first}']", "federation.record_traffic=true")
    outcome = run_quietly(study, tmp_path)
    start = Layout.of(new_network(study.build_task(), open_hospital(study.json, 0).train.shape, study.seed))
    network = new_network(study.build_task(), open_hospital(study.json, 0).train.shape, study.seed)
    began = start.tensors(read(network))
    kept = load_file(tmp_path / "model.safetensors")
    assert kept.keys() == began.keys()
    assert np.array_equal(kept[first], began[first])
    assert all(not np.array_equal(kept[name], began[name]) for name in began if name != first)
    assert outcome.about["parameters"] == start.length - began[first].size


def test_hospitals_step_at_the_rates_of_the_rounds(tiny: Callable[..., Study], tmp_path: Path) -> None:
    """One full-batch step a round: with the rate a thousandth, a thousandth of the change."""
    base = ("rounds=1", "training={batch_size='full', learning_rate=0.1}")
    first = open_hospital(tiny().json, 0)
    began = read(new_network(first.task, first.train.shape, first.study.seed))

    def change(folder: str, *more: str) -> np.ndarray:
        run_quietly(tiny(*base, *more), tmp_path / folder)
        tensors = load_file(tmp_path / folder / "model.safetensors")
        return np.concatenate([tensors[name].ravel() for name in sorted(tensors)]) - began

    plain = change("plain")
    warm = change("warm", "training.schedule={kind='constant', warm_up_rounds=3}", "rounds=1")
    server = change("server", "server_schedule={kind='constant', warm_up_rounds=1}")
    np.testing.assert_allclose(warm, plain / 4, atol=1e-6)
    np.testing.assert_allclose(server, plain / 2, atol=1e-6)


def test_a_run_ends_early_keeps_the_best_model_and_says_so(tiny: Callable[..., Study], tmp_path: Path) -> None:
    outcome = run_quietly(tiny("rounds=30", STOPPING), tmp_path)
    scores = [record["evaluation"]["pooled"]["accuracy"] for record in outcome.rounds]
    best = int(np.argmax(scores))
    assert len(scores) == best + 3 < 30
    assert outcome.about["model_of_round"] == best
    assert outcome.about["rounds_done"] == best + 3
    assert outcome.about["model_sha256"] != outcome.about["last_model_sha256"]
    final = json.loads((tmp_path / "final.json").read_text())["validation"]["pooled"]["accuracy"]
    assert final == scores[best]
    assert [path.name for path in (tmp_path / "checkpoint" / "best").iterdir()] == [f"{best:06d}.safetensors"]
    said = f"It ended early, after round {best + 3} of 30"
    assert said in outcome.about["ended_early"]
    write_report(tmp_path)
    assert said in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "summary.json").read_text())["model_of_round"] == best


def test_the_last_model_is_kept_where_the_study_says_so(tiny: Callable[..., Study], tmp_path: Path) -> None:
    about = run_quietly(tiny("rounds=30", "stopping={patience=1, keep='last'}"), tmp_path).about
    assert about["model_of_round"] == about["rounds_done"] < 30
    assert about["model_sha256"] == about["last_model_sha256"]
    assert not (tmp_path / "checkpoint" / "best").exists()


def test_less_loss_is_better_and_a_run_that_goes_on_improving_runs_to_its_end(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    about = run_quietly(tiny("rounds=4", "stopping={patience=1, score='loss'}"), tmp_path).about
    assert (about["rounds_done"], about["model_of_round"]) == (4, 3)
    assert "ended early" not in about["ended_early"]


def test_a_resumed_run_ends_where_it_would_have(tiny: Callable[..., Study], tmp_path: Path) -> None:
    whole = run_quietly(tiny("rounds=30", STOPPING), tmp_path / "whole").about
    run_quietly(tiny("rounds=2", STOPPING), tmp_path / "parts")
    shutil.rmtree(tmp_path / "parts" / "checkpoint" / "best")
    with pytest.raises(Exception, match="best model, of round 1, cannot be read"):
        run_quietly(tiny("rounds=30", STOPPING), tmp_path / "parts", resume=True)
    run_quietly(tiny("rounds=2", STOPPING), tmp_path / "others")
    resumed = run_quietly(tiny("rounds=30", STOPPING), tmp_path / "others", resume=True).about
    for word in ("rounds_done", "model_of_round", "model_sha256", "last_model_sha256"):
        assert resumed[word] == whole[word]
    again = run_quietly(tiny("rounds=30", STOPPING), tmp_path / "others", resume=True).about
    assert (again["rounds_done"], again["model_sha256"]) == (whole["rounds_done"], whole["model_sha256"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((STOPPING, "federation.evaluate_every=0"), "needs scores between rounds"),
        ((STOPPING, "privacy={name='dpsgd', epsilon=1.0, delta=1e-3}"), "no noise covers"),
        (("stopping={patience=0}",), r"stopping\.patience must be above zero"),
        (("strategy=fednova", "privacy={name='dpsgd', epsilon=1.0, delta=1e-3}"), "which the noise"),
        (("strategy=qfedavg", "privacy={name='hospital', epsilon=1.0, delta=1e-3}"), "which the noise"),
    ],
)
def test_what_would_break_a_promise_or_has_no_score_is_refused(
    tiny: Callable[..., Study], overrides: tuple[str, ...], message: str
) -> None:
    with pytest.raises(StudyError, match=message):
        tiny(*overrides)


def test_a_score_that_the_task_does_not_have_is_refused_before_the_first_round(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match="no score 'acuracy'; it has accuracy, loss"):
        run_quietly(tiny("stopping={score='acuracy'}"), tmp_path)


def test_hospitals_refuse_another_fairness_than_the_studys(tiny: Callable[..., Study]) -> None:
    study = tiny("strategy={name='qfedavg', q=2.0}")
    hospital = open_hospital(study.json, 0)
    start = read(new_network(hospital.task, hospital.train.shape, study.seed))
    work = STRATEGIES.build(study.strategy).work()
    order = from_payload(to_payload(Order(study.json, 1, start, work)))
    assert order.work == work
    approve(hospital, order)
    other = STRATEGIES.build(tiny("strategy={name='qfedavg', q=3.0}").strategy).work()
    with pytest.raises(Exception, match="asks for"):
        approve(hospital, Order(study.json, 1, start, other))


def test_those_who_approve_are_told_what_else_leaves_and_what_is_minimised(tiny: Callable[..., Study]) -> None:
    told = " ".join(study_facts(tiny("strategy=fednova", "training.class_weights=own", STOPPING)))
    assert "how many gradients its change is the sum of" in told
    assert "weighs classes by its own counts" in told
    assert "ends early where the task's headline score has not improved for 2 evaluations" in told
    assert "by class" not in " ".join(study_facts(tiny()))


@pytest.mark.parametrize("mechanism", ["dpsgd", "hospital"])
def test_schedules_clipping_and_frozen_parameters_go_with_a_promise(
    tiny: Callable[..., Study], tmp_path: Path, mechanism: str
) -> None:
    frozen = freezable(tiny())[0]
    study = tiny(
        "rounds=2",
        f"privacy={{name='{mechanism}', noise_multiplier=1.0, delta=1e-3}}",
        "training={batch_size=8, clip_gradient_norm=0.5, l1=0.001, class_weights=[1.0, 2.0]}",
        "training.schedule={kind='exponential'}",
        f"training.freeze=['{frozen}']",
    )
    assert digest(np.zeros(1, np.float32)) != run_quietly(study, tmp_path).about["model_sha256"]
