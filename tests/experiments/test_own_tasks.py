"""Tasks with views, coupled cases, a companion and several optimisers: from the study to the audit, on any engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.hospital import open_hospital
from client.training import Trainer
from common.errors import StudyError
from common.files.tensor_files import read_tensors
from common.learning.parameters import Layout, new_network, read
from common.seeding import generator
from common.study.plugins import ANYTHING, trusting
from common.study.study import Study
from experiments.audit.conduct import Effort, audit_run
from experiments.audit.report.page import page_of
from experiments.engines._quiet import run_quietly
from experiments.first_look import first_look
from experiments.running.gallery import write_pictures

OWN = Path(__file__).with_name("own_tasks.py")
NAMES = ("SimCLR", "BYOL", "GAN")


@pytest.fixture(autouse=True)
def _trusted() -> Iterator[None]:
    with trusting(ANYTHING):
        yield


@pytest.fixture
def own(tiny: Callable[..., Study]) -> Callable[..., Study]:
    return lambda name, *overrides: tiny(f'task={{name="{OWN}:{name}"}}', *overrides)


def model(folder: Path) -> dict[str, Any]:
    return dict(read_tensors(folder, "model.safetensors").tensors)


@pytest.mark.parametrize("name", NAMES)
def test_inline_and_processes_give_the_bit_identical_model(
    own: Callable[..., Study], tmp_path: Path, name: str
) -> None:
    digests = {
        run_quietly(own(name, f"engine={engine}", "rounds=2"), tmp_path / engine).about["model_sha256"]
        for engine in ("inline", "processes")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_run_ends_with_the_model_of_one_that_never_stopped(
    own: Callable[..., Study], tmp_path: Path, name: str
) -> None:
    whole = run_quietly(own(name), tmp_path / "whole")
    run_quietly(own(name, "rounds=1"), tmp_path / "parts")
    resumed = run_quietly(own(name), tmp_path / "parts", resume=True)
    assert resumed.about["model_sha256"] == whole.about["model_sha256"]


def test_the_servers_teacher_is_the_mean_of_the_hospitals_teachers(own: Callable[..., Study], tmp_path: Path) -> None:
    study = own("BYOL", "rounds=1")
    run_quietly(study, tmp_path)
    total, weight = 0.0, 0
    for index in range(4):
        hospital = open_hospital(study.json, index)
        network = new_network(hospital.task, hospital.train.shape, study.seed)
        rng = generator(study.seed, 1, hospital.site, "training")
        Trainer(hospital.task, network, hospital.train, study.training, rng).train()
        total, weight = total + len(hospital.train) * read(network).astype(np.float64), weight + len(hospital.train)
    expected = Layout.of(network).tensors((total / weight).astype(np.float32))
    found = model(tmp_path)
    assert {"teacher.1.weight", "teacher.1.bias", "centre"} <= found.keys()
    start = Layout.of(network).tensors(read(new_network(hospital.task, hospital.train.shape, study.seed)))
    for part, values in expected.items():
        np.testing.assert_allclose(found[part], values, rtol=1e-5, atol=1e-6)
        assert not np.array_equal(found[part], start[part])


@pytest.mark.parametrize("aggregation", ["secagg", "additive", "bfv", "ckks"])
def test_a_companion_comes_through_every_aggregation(
    own: Callable[..., Study], tmp_path: Path, aggregation: str
) -> None:
    if aggregation == "ckks":
        pytest.importorskip("tenseal", reason="the tenseal extra is not installed")
    run_quietly(own("BYOL", "rounds=1"), tmp_path / "plain")
    run_quietly(own("BYOL", "rounds=1", f"aggregation={aggregation}"), tmp_path / aggregation)
    plain, other = model(tmp_path / "plain"), model(tmp_path / aggregation)
    for part in plain:
        np.testing.assert_allclose(other[part], plain[part], atol=1e-3)


def test_hospital_level_privacy_covers_the_companion(own: Callable[..., Study], tmp_path: Path) -> None:
    privacy = 'privacy={name="hospital", clip_norm=0.5, noise_multiplier=0.1, delta=1e-5}'
    run_quietly(own("BYOL", "rounds=1", "aggregation=secagg", privacy), tmp_path)
    assert np.isfinite(model(tmp_path)["teacher.1.weight"]).all()


def test_what_is_exchanged_beside_the_model_is_said(own: Callable[..., Study], tmp_path: Path) -> None:
    about = run_quietly(own("BYOL", "rounds=1"), tmp_path).about
    assert any("its companion is exchanged in every round (teacher, centre)" in said for said in about["trusts"])


@pytest.mark.parametrize("name", NAMES)
def test_an_audit_says_why_a_case_cannot_be_attacked(
    own: Callable[..., Study], tmp_path: Path, attacked_by: Callable[..., None], name: str
) -> None:
    """By all attacks where no task of ours is alike: `test_audit_of_every_task.py` has those that are."""
    if name != "GAN":
        attacked_by("matching", "loss_threshold", "analytic", "label_counts")
    study = own(name, "rounds=2", "federation.record_traffic=true")
    run_quietly(study, tmp_path)
    report = audit_run(tmp_path, Effort(0.2, pictures=False))
    said = {trial.attack: trial.reason for trial in report.trials if not trial.possible}
    assert "draws of augmentation" in said["matching"], said["matching"]
    by_loss = "compares the cases" if name == "SimCLR" else "several losses" if name == "GAN" else ""
    assert by_loss in said.get("loss_threshold", ""), said
    assert ("loss_threshold" in said) == bool(by_loss), "a case alone has a loss, of views that follow from it"
    assert not [trial.reason for trial in report.trials if trial.settings.get("failed")]
    assert (name == "GAN") == ("learned by several losses" in said.get("analytic", ""))
    assert all(any("were not tried, and may succeed" in words for _, words in one.reasons) for one in report.verdicts)
    assert "draws of augmentation" in page_of(report)


@pytest.mark.parametrize("name", NAMES)
def test_a_first_look_finds_nothing_wrong(own: Callable[..., Study], name: str) -> None:
    assert any("has a loss" in said for said in first_look(own(name)))


def test_the_report_draws_what_a_task_shows(own: Callable[..., Study], tmp_path: Path) -> None:
    study = own("GAN", "rounds=1")
    run_quietly(study, tmp_path)
    write_pictures(study, tmp_path)
    pictures = json.loads((tmp_path / "pictures.json").read_text())
    assert len(pictures) == 4
    assert [panel["name"] for panel in pictures[0]["panels"]] == ["real", "made"]


def test_views_of_one_case_each_go_with_privacy_for_one_patient(own: Callable[..., Study], tmp_path: Path) -> None:
    outcome = run_quietly(own("Masked", "rounds=1", DPSGD), tmp_path)
    assert outcome.about["state"] == "completed"


def test_a_loss_that_compares_cases_and_does_not_say_so_is_found_at_first_look(
    own: Callable[..., Study], tmp_path: Path
) -> None:
    silent = OWN.read_text().replace("couples: ClassVar[bool] = True", "")
    (tmp_path / "silent.py").write_text(silent)
    study = own("SimCLR", f'task={{name="{tmp_path / "silent.py"}:SimCLR"}}')
    with pytest.raises(StudyError, match="depends on what other cases are in its batch"):
        first_look(study)


DPSGD = 'privacy={name="dpsgd", clip_norm=1.0, noise_multiplier=1.0, delta=1e-5}'


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("SimCLR", [DPSGD], "compares the cases of a batch .* no gradient is one person's"),
        ("SimCLR", ["training.batch_size=5000"], "at most 4096; it is 5000"),
        (
            "BYOL",
            [DPSGD],
            "sends a companion, teacher, centre, which no noise covers, .* \\(follows_parameters",
        ),
        (
            "BYOL",
            ["strategy=scaffold"],
            "'scaffold' does not average a companion.* choose one of .*'fedavg', 'fedavgm'",
        ),
        ("BYOL", ["strategy=fedadam"], "'fedadam' does not average a companion"),
        ("BYOL", ["strategy=fedsgd", "training={}"], "companion, teacher, centre, moves with each step"),
        ("GAN", [DPSGD], "takes steps by several losses, critic, generator"),
        ("GAN", ["strategy=fedsgd", "training={}"], "several optimisers move with each step"),
    ],
)
def test_what_would_break_a_promise_or_a_meaning_is_refused(
    own: Callable[..., Study], name: str, overrides: list[str], words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        own(name, *overrides)


ODD = """
from dataclasses import dataclass
from common.learning.tasks.classification import Classification

@dataclass(frozen=True)
class Odd(Classification):
    def soft_loss(self, network, inputs, truth):
        raise KeyError("not today")

    def label_evidence(self, gradient, answers):
        return gradient[:0].reshape(3, -1, 2)
"""


def test_an_audit_goes_on_where_a_strangers_task_fails_and_never_calls_it_safe(
    own: Callable[..., Study], tmp_path: Path, attacked_by: Callable[..., None]
) -> None:
    attacked_by("matching", "dlg", "label_counts", "loss_threshold")
    (tmp_path / "odd.py").write_text(ODD)
    task = f'task={{name="{tmp_path / "odd.py"}:Odd", network={{name="mlp", hidden=[8]}}}}'
    run_quietly(own("GAN", task, "rounds=2", "federation.record_traffic=true"), tmp_path / "run")
    report = audit_run(tmp_path / "run", Effort(0.2, pictures=False))
    failed = {trial.attack for trial in report.trials if trial.settings.get("failed")}
    assert {"matching", "dlg", "label_counts"} <= failed
    assert any(trial.possible for trial in report.trials if trial.kind == "membership")
    reasons = [words for verdict in report.verdicts for _, words in verdict.reasons]
    assert any("came to no end, and proves nothing" in words and "not today" in words for words in reasons)
    assert "not today" in page_of(report)


def test_a_classifier_with_a_teacher_beside_it_is_attacked_like_any_other(
    own: Callable[..., Study], tmp_path: Path, attacked_by: Callable[..., None]
) -> None:
    expected = {"analytic", "dlg", "matching", "label_counts", "gradient_cosines", "imprint"}
    attacked_by(*expected, "rmia")
    task = f'task={{name="{OWN}:Taught", network={{name="mlp", hidden=[8]}}}}'
    run_quietly(own("Taught", task, "rounds=2", "federation.record_traffic=true"), tmp_path)
    report = audit_run(tmp_path, Effort(0.2, pictures=False))
    assert not [trial.reason for trial in report.trials if trial.settings.get("failed")]
    assert expected <= {trial.attack for trial in report.trials if trial.possible}
