"""A federation that begins from a model, and what hospitals refuse of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from client.hospital import open_hospital
from common.errors import FileError, StudyError, WardroundError
from common.files.tensor_files import read_tensors, write_tensors
from common.learning.parameters import digest, read
from common.learning.start import begins_with, first_network
from common.study.study import Study, parse_json
from experiments.engines._quiet import Outcome, run_quietly

Tiny = Callable[..., Study]


def model_of(tiny: Tiny, folder: Path) -> Outcome:
    return run_quietly(tiny("rounds=1"), folder)


def first_model(outcome: Path) -> dict[str, np.ndarray]:
    return read_tensors(outcome, "model.safetensors").tensors


@pytest.mark.parametrize("named", ["", "model.safetensors"])
def test_a_run_begins_from_the_model_of_another_and_says_its_digest(tiny: Tiny, tmp_path: Path, named: str) -> None:
    before = model_of(tiny, tmp_path / "before")
    study = tiny("rounds=1", f'start.model="{tmp_path / "before" / named}"')
    after = run_quietly(study, tmp_path / "after")
    start = after.rounds[0]["evaluation"]["pooled"]
    assert start == before.final["validation"]["pooled"]
    assert after.about["start"]["sha256"] == before.about["model_sha256"]
    assert f'sha256 = "{before.about["model_sha256"]}"' in (tmp_path / "after" / "study.toml").read_text()


def test_one_round_after_one_round_is_two_rounds_of_the_same_weights(tiny: Tiny, tmp_path: Path) -> None:
    """Gradients have no draws of a round, so that a run in two halves is the whole run, bit for bit."""
    whole = ["strategy=fedsgd", 'training={ batch_size = "full" }']
    both = run_quietly(tiny("rounds=2", *whole), tmp_path / "both")
    run_quietly(tiny("rounds=1", *whole), tmp_path / "one")
    two = run_quietly(tiny("rounds=1", *whole, f'start.model="{tmp_path / "one"}"'), tmp_path / "two")
    assert two.about["model_sha256"] == both.about["model_sha256"]


def test_a_run_goes_on_without_the_file_it_began_from(tiny: Tiny, tmp_path: Path) -> None:
    model_of(tiny, tmp_path / "before")
    study = tiny("rounds=1", f'start.model="{tmp_path / "before"}"')
    run_quietly(study, tmp_path / "after")
    shutil.rmtree(tmp_path / "before")
    longer = tiny("rounds=2", f'start.model="{tmp_path / "before"}"')
    resumed = run_quietly(longer, tmp_path / "after", resume=True)
    assert len(resumed.rounds) == 2


def test_baselines_begin_there_too(tiny: Tiny, tmp_path: Path) -> None:
    from experiments.engines._pooled import train_pooled

    model_of(tiny, tmp_path / "before")
    study = tiny("rounds=1", f'start.model="{tmp_path / "before"}"', "training.learning_rate=1e-9")
    local = run_quietly(
        tiny(
            "rounds=1", f'start.model="{tmp_path / "before"}"', "training.learning_rate=1e-9", "baselines.local=true"
        ),
        tmp_path / "after",
    )
    pooled = train_pooled(study)
    assert pooled["pooled_all"]["accuracy"] == local.baselines["local_all"]["accuracy"]
    assert pooled["pooled_all"]["loss"] == pytest.approx(local.final["test"]["pooled"]["loss"], abs=1e-6)


def test_a_part_comes_from_the_model_and_the_rest_from_the_seed(tiny: Tiny, tmp_path: Path) -> None:
    model_of(tiny, tmp_path / "before")
    given = first_model(tmp_path / "before")
    (part, *_), study = sorted(given), tiny("rounds=1")
    begun = tiny("rounds=1", f'start.model="{tmp_path / "before"}"', f'start.only=["{part}"]')
    hospital = open_hospital(study.json, 0)
    network = first_network(begun, hospital.task, hospital.train.shape)
    drawn = dict(first_network(study, hospital.task, hospital.train.shape).named_parameters())
    for name, parameter in network.named_parameters():
        expected = given[name] if name == part else drawn[name].detach().numpy()
        np.testing.assert_array_equal(parameter.detach().numpy(), expected)
    outcome = run_quietly(begun, tmp_path / "after")
    assert outcome.about["start"]["parameters"] == given[part].size


def test_a_hospital_refuses_every_other_model(tiny: Tiny, tmp_path: Path) -> None:
    before = model_of(tiny, tmp_path / "before")
    study = tiny(f'start.model="{tmp_path / "before"}"', f'start.sha256="{before.about["model_sha256"]}"')
    hospital = open_hospital(parse_json(study.json).json, 0)
    right = read(first_network(study, hospital.task, hospital.train.shape))
    assert digest(right) == before.about["model_sha256"]
    wrong = right.copy()
    wrong[0] = np.nextafter(wrong[0], np.float32(np.inf))
    assert begins_with(study, hospital.task, hospital.train.shape, right)
    assert not begins_with(study, hospital.task, hospital.train.shape, wrong)
    assert not begins_with(study, hospital.task, hospital.train.shape, right[:-1])
    assert not begins_with(tiny(), hospital.task, hospital.train.shape, right)


def test_of_a_part_a_hospital_checks_both_halves(tiny: Tiny, tmp_path: Path) -> None:
    model_of(tiny, tmp_path / "before")
    part = sorted(first_model(tmp_path / "before"))[0]
    outcome = run_quietly(
        tiny("rounds=1", f'start.model="{tmp_path / "before"}"', f'start.only=["{part}"]'), tmp_path / "after"
    )
    study = tiny(
        f'start.model="{tmp_path / "before"}"',
        f'start.only=["{part}"]',
        f'start.sha256="{outcome.about["start"]["sha256"]}"',
    )
    hospital = open_hospital(tiny().json, 0)
    right = read(first_network(study, hospital.task, hospital.train.shape))
    for place, moved in ((0, 1e-7), (-1, 1e-3)):
        wrong = right.copy()
        wrong[place] += np.float32(moved) + np.abs(wrong[place]) * np.float32(1e-6)
        assert not begins_with(study, hospital.task, hospital.train.shape, wrong)
    assert begins_with(study, hospital.task, hospital.train.shape, right)


FAULTS = {
    "no-such-file": "A relative path begins at the study's folder",
    "other": "another one than the study names",
    "names": r"the model has no 1\.weight \(nearest: 1\.weigth\)",
    "shape": r"is of shape \[9, 2\] in the model and \[",
    "double": "is float64; parameters are finite float32",
    "pickle": "is not a whole safetensors file",
    "nan": "has values that are not finite",
}


def faulty(kind: str, folder: Path, given: dict[str, np.ndarray]) -> list[str]:
    first = sorted(given)[0]
    if kind == "names":
        given = {name.replace("weight", "weigth"): value for name, value in given.items()}
    if kind == "shape":
        given |= {first: np.zeros((9, 2), np.float32)}
    if kind == "double":
        given |= {first: given[first].astype(np.float64)}
    if kind == "nan":
        given |= {first: np.full_like(given[first], np.nan)}
    if kind == "pickle":
        (folder / "model.safetensors").write_bytes(b"\x80\x04" + b"x" * 40)
    elif kind != "no-such-file":
        write_tensors(folder, "model.safetensors", given)
    digest_given = [f'start.sha256="{"0" * 64}"'] if kind == "other" else []
    return [f'start.model="{folder / "model.safetensors"}"', *digest_given]


@pytest.mark.parametrize("kind", FAULTS)
def test_a_model_that_cannot_be_is_refused_with_its_fault(tiny: Tiny, tmp_path: Path, kind: str) -> None:
    model_of(tiny, tmp_path / "before")
    (folder := tmp_path / "model").mkdir()
    overrides = faulty(kind, folder, first_model(tmp_path / "before"))
    with pytest.raises((StudyError, FileError), match=FAULTS[kind]):
        run_quietly(tiny("rounds=1", *overrides), tmp_path / "after")


def test_patterns_that_take_nothing_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    model_of(tiny, tmp_path / "before")
    with pytest.raises(StudyError, match="takes nothing of the model, which has"):
        run_quietly(tiny(f'start.model="{tmp_path / "before"}"', 'start.only=["encoder.*"]'), tmp_path / "after")


def test_a_digest_of_another_form_is_refused(tiny: Tiny) -> None:
    with pytest.raises(StudyError, match="64 hexadecimal digits"):
        tiny('start.model="m"', 'start.sha256="abc"')


def test_a_study_without_a_start_reads_as_it_did(tiny: Tiny) -> None:
    assert "[start]" not in tiny().text
    assert "final_intervals" not in tiny().text


def test_no_rounds_score_the_model_alone_and_leave_it_as_it_is(tiny: Tiny, tmp_path: Path) -> None:
    before = model_of(tiny, tmp_path / "before")
    alone = run_quietly(tiny("rounds=0", f'start.model="{tmp_path / "before"}"'), tmp_path / "alone")
    assert alone.final["test"]["pooled"] == before.final["test"]["pooled"]
    assert alone.about["model_sha256"] == before.about["model_sha256"]
    assert (alone.rounds, alone.about["state"]) == ([], "completed")
    assert (tmp_path / "alone" / "report.html").is_file()


def test_no_rounds_under_masks_open_one_sum_of_all(tiny: Tiny, tmp_path: Path) -> None:
    model_of(tiny, tmp_path / "before")
    start = f'start.model="{tmp_path / "before"}"'
    plain = run_quietly(tiny("rounds=0", start, "federation.final_intervals=true"), tmp_path / "plain")
    masked = run_quietly(
        tiny("rounds=0", start, "aggregation=secagg", "federation.final_intervals=true"), tmp_path / "masked"
    )
    assert masked.final["test"]["pooled"] == plain.final["test"]["pooled"]
    assert masked.final["test"]["intervals"] == plain.final["test"]["intervals"]
    assert (masked.final["test"]["sites"], masked.final["test"]["patients"]) == ({}, plain.final["test"]["patients"])


@pytest.mark.parametrize("aggregation", ["plain", "secagg"])
def test_everybody_may_be_scored_where_nobody_is_trained_on(tiny: Tiny, tmp_path: Path, aggregation: str) -> None:
    model_of(tiny, tmp_path / "before")
    every = ["split={ validation = 0.0, test = 1.0 }", 'source.splits=["train", "val", "test"]']
    study = tiny(
        "rounds=0",
        f'start.model="{tmp_path / "before"}"',
        every[0],
        "federation.final_intervals=true",
        f"aggregation={aggregation}",
    )
    outcome = run_quietly(study, tmp_path / "alone")
    assert outcome.final["test"]["patients"] > 0


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["rounds=0"], "wardround evaluate MODEL STUDY"),
        (["rounds=-1"], "zero or more"),
        (["rounds=0", "start.model=m", "baselines.pooled=true"], "baselines.pooled is trained"),
        (["rounds=0", "start.model=m", "audit.after_run=true"], "an audit is of training"),
        (["rounds=0", "start.model=m", 'privacy={name="dpsgd", epsilon=1}'], "remove privacy"),
        (["split={ validation = 0.0, test = 1.0 }"], r"must lie between 0 and 0\.9"),
        (["split={ validation = 0.5, test = 0.5 }"], "leave no patient to train on"),
    ],
)
def test_what_cannot_go_together_is_refused(tiny: Tiny, overrides: list[str], reason: str) -> None:
    with pytest.raises(WardroundError, match=reason):
        tiny(*overrides)


def test_a_hospital_approves_no_model_without_a_digest(tiny: Tiny, tmp_path: Path) -> None:
    from rich.console import Console

    from experiments.approving.agreement import approve_study

    top = 'privacy = "none"\n' + tiny('start.model="first"').text
    console = Console(record=True, width=200)
    with pytest.raises(StudyError, match="sha256 in"):
        approve_study(top, (), tmp_path, console, None)
    approve_study(top, (f'start.sha256="{"b" * 64}"',), tmp_path, console, None)
    assert "b" * 64 in console.export_text()
