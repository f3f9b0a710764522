"""Attacks on groups of persons, on what is withheld, and on models and parts that stay in a hospital."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Context, RecordDict
from rich.console import Console

from client import handlers as answers
from client import own_parts
from client.approval import approve
from client.hospital import Hospital, open_hospital, site_names
from client.subgroups import subgroup_statistics
from client.told_groups import FOLDER, tell_once
from common.data.cases import Cases
from common.errors import HospitalError, StudyError, WireError
from common.files.json_files import read_table
from common.learning.client_work import Training
from common.learning.parameters import Layout, new_network, read
from common.learning.tasks.classification import Classification
from common.metrics.subgroups import cells_of, opened
from common.study.report_settings import Report
from common.study.study import Study
from common.sums.exchange import Payload
from common.wire.train_requests import Order
from experiments.engines._quiet import run_quietly
from experiments.hospital.withdrawal import withdraw_person
from experiments.running.patient_scores import score_patients
from experiments.running.run import run_study
from experiments.tuning.conduct import tune
from experiments.tuning.grid import Candidate
from server.reporting.patients import patients_of

LEAST = 5


def fewest(columns: list[np.ndarray], told: list[np.ndarray]) -> int:
    """Persons of the smallest combination of what is told, with factors from -2 to 2."""
    sets = [np.ones(columns[0].shape[1], int)]
    sets += [
        masks[cell].astype(int) for masks, kept in zip(columns, told, strict=True) for cell in np.flatnonzero(kept)
    ]
    factors = np.array(list(product((0, 1, -1, 2, -2), repeat=len(sets))))
    found = np.count_nonzero(factors @ np.stack(sets), axis=1)
    return int(found[found > 0].min())


def test_unions_of_groups_of_two_columns_do_not_single_a_person_out() -> None:
    """Before: a0 + a1 - b0 - b1 was one person."""
    first = np.repeat(np.arange(4), [11, 10, 10, 10])
    second = np.array([*np.tile([0, 1], 10), 2, *np.tile([2, 3], 10)])
    columns = [np.stack([values == cell for cell in range(4)]) for values in (first, second)]
    told = opened(columns, LEAST)
    assert told[0].all()
    assert fewest(columns, told) >= LEAST


@pytest.mark.parametrize("seed", range(12))
def test_no_combination_of_three_columns_is_of_few_persons(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 3, (3, 60))
    values[1] = np.where(rng.random(60) < 0.9, values[0], values[1])
    values[2] = np.where(rng.random(60) < 0.9, (values[0] == 1) | (values[1] == 2), values[2])
    columns = [np.stack([row == cell for cell in range(2)]) for row in values]
    assert fewest(columns, opened(columns, LEAST)) >= LEAST


def ill_women(ill: int) -> Cases:
    """40 women, of whom `ill` are ill, and 40 men, of whom 20 are."""
    rng = np.random.default_rng(1)
    targets = np.array([1] * ill + [0] * (40 - ill) + [0, 1] * 20)
    inputs = rng.normal(size=(80, 3)).astype(np.float32)
    names = [f"p{k:02d}" for k in range(80)]
    return Cases.of(inputs, targets, names, ("well", "ill"), sex=np.array(["f"] * 40 + ["m"] * 40))


@pytest.mark.parametrize(("ill", "is_told"), [(1, False), (20, True)])
def test_the_recall_of_a_group_is_not_that_of_its_one_ill_person(ill: int, is_told: bool) -> None:
    """Before: told, so that whoever knew who she was knew whether the model found her."""
    task, cases = Classification(scores=("accuracy", "recall")), ill_women(ill)
    network = new_network(task, cases.shape, 0, Training())
    told = cells_of(subgroup_statistics(task, network, cases, Report(("sex: f, m",), LEAST)))
    assert set(told) == {(0, 0), (0, 1)}
    for cell in told.values():
        assert "accuracy" in cell
        assert any(name.startswith("recall") for name in cell) == is_told


def test_a_run_that_withholds_its_test_cases_shows_no_test_patient(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    """Before: `patients.json` had the score of each, the page pictures of them, and `wardround compare` intervals."""
    study = tiny("federation.withhold_test=true", "baselines.local=false", "baselines.pooled=false")
    run_study(study, "tiny", tmp_path / "run")
    assert not (tmp_path / "run" / "patients.json").exists()
    assert not list((tmp_path / "run").glob("pictures*"))
    with pytest.raises(StudyError, match="withholds its test cases"):
        score_patients(study, tmp_path / "run")


def test_a_study_that_names_no_digest_cannot_give_a_hospital_any_frozen_part(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    """Before: whatever came was kept as the study's model, and trained behind from round 2 on."""
    network = "task.network={name='mlp', hidden=[4]}"
    names = sorted(Layout.of(open_hospital(tiny(network).json, 0).network).shapes)
    study = tiny(network, f"start.model={tmp_path / 'any'}", f"training.freeze={names[:2]}")
    hospital = open_hospital(study.json, 0)
    context = Context(run_id=1, node_id=1, node_config={"folder": str(tmp_path)}, state=RecordDict(), run_config={})
    hostile = Payload(np.ones(10_000, np.float32))
    for attempt in (
        lambda: own_parts.take(context, hospital, hostile, None),
        lambda: own_parts.put_start(hospital, context),
    ):
        with pytest.raises(HospitalError, match="sha256"):
            attempt()
    assert not (tmp_path / own_parts.FOLDER).exists()


def test_no_patient_is_scored_by_a_model_that_no_hospital_has(tiny: Callable[..., Study], tmp_path: Path) -> None:
    """Before: scores and intervals of the shared part with the first personal one, beside those of the run."""
    network = "task.network={name='mlp', hidden=[4]}"
    off = ("baselines.local=false", "baselines.pooled=false")
    run_study(tiny(network, "training.personal=['3.*']", *off), "tiny", tmp_path / "run")
    assert "training.personal" in read_table(tmp_path / "run", "patients.json")["why_not"]


def test_whoever_withdraws_is_told_of_models_that_stay_in_the_hospital(tmp_path: Path) -> None:
    """Before: nothing was said of fine-tuned models, and a folder that held one was no hospital's."""
    for name in ("fine-tuned/run", "memory/study"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "memory" / "study" / "000001.safetensors").touch()
    console = Console(record=True, width=1000, file=StringIO())
    withdraw_person("P1", tmp_path, console, None, None, True)
    said = console.export_text()
    assert str(tmp_path / "fine-tuned") in said
    assert str(tmp_path / "memory") in said


def test_a_model_is_told_by_one_choice_of_groups_whatever_study_asks(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    """Before: bands that end a year later, or a smaller least_cell, gave the persons of that year away."""
    first, later, fewer = (
        replace(tiny(), report=Report((bands,), least))
        for bands, least in (("age: 0-50, 50-", 10), ("age: 0-51, 51-", 10), ("age: 0-50, 50-", 5))
    )
    model = np.arange(4, dtype=np.float32)
    for _ in range(2):
        tell_once(tmp_path, "data", first, model)
    for study in (later, fewer):
        with pytest.raises(WireError, match="other groups"):
            tell_once(tmp_path, "data", study, model)
        tell_once(tmp_path, "data", study, model + len(study.report.subgroups) + study.report.least_cell)


def test_a_run_writes_its_groups_down_before_it_tells_them(
    tiny: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client.handlers.subgroup_statistics", lambda *_: {})
    run_quietly(replace(tiny(), report=Report(("age: 0-50, 50-",))), tmp_path / "run")
    assert len(list((tmp_path / "run").glob(f"hospitals/*/{FOLDER}/*"))) == len(site_names(tiny()))


def cases_of(**columns: object) -> dict[str, object]:
    """`patients.json` of somebody else, of as many cases as `true` has."""
    count = len(columns["true"])  # type: ignore[arg-type]
    return {"cases": {"site": ["a"] * count, "patient": ["p"] * count, **columns}}


def test_a_strangers_patients_do_not_keep_the_page_from_being_made() -> None:
    """Before: a table of a million million classes, and Kaplan-Meier curves of 20,000 times, for minutes."""
    classes = patients_of(cases_of(kind="classes", true=[0], chances=[[0.0] * 1_000_000]))
    many = [float(time) for time in range(20_000)]
    survival = patients_of(cases_of(kind="survival", true=many, risk=many, event=[1] * len(many)))
    cells = patients_of({"subgroups": [{"column": f"c{k}"} for k in range(10_000)], "represented": [{}] * 10_000})
    assert classes is not None
    assert survival is not None
    assert cells is not None
    assert (classes.answers.kind, survival.answers.kind) == ("", "")
    assert max(len(cells.subgroups), len(cells.represented)) <= 100


def test_tests_are_scored_once_and_after_the_choice(
    tiny: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every order that a hospital is asked to score, as it sees it."""
    asked: list[tuple[str, ...]] = []

    def noted(hospital: Hospital, order: Order, *rest: Any) -> Any:
        asked.append(order.evaluate)
        return evaluations(hospital, order, *rest)

    evaluations = answers._evaluations
    monkeypatch.setattr(answers, "_evaluations", noted)
    studies = [
        (Candidate((f"training.learning_rate={rate}",)), tiny(f"training.learning_rate={rate}", "rounds=1"))
        for rate in (0.1, 0.2)
    ]
    tune(studies, "tiny", tmp_path / "tune", lambda _: None)
    first = next(place for place, splits in enumerate(asked) if "test" in splits)
    sites = len(site_names(studies[0][1]))
    assert sum("validation" in splits for splits in asked[:first]) >= 2 * sites
    assert sum("test" in splits for splits in asked) == sites


@pytest.mark.parametrize("splits", [("test",), ("validation", "test"), ("fine_tuned",)])
def test_hospitals_refuse_to_score_withheld_test_cases(tiny: Callable[..., Study], splits: tuple[str, ...]) -> None:
    hospital = open_hospital(tiny("federation.withhold_test=true").json, 0)
    order = Order(hospital.study.json, hospital.study.rounds + 1, read(hospital.network), None, evaluate=splits)
    with pytest.raises(WireError, match="scores"):
        approve(hospital, order)
