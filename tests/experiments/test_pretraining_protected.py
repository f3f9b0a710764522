"""Every task without labels goes through every way of adding up, also where a hospital is lost, and under privacy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client import handlers as answers
from client.hospital import Hospital, open_hospital
from common.files.tensor_files import read_tensors
from common.learning.abilities import companion, couples, private_options
from common.learning.tasks._pretraining import Unlabelled
from common.study.catalogue import TASKS
from common.study.study import Study, parse
from common.sums.exchange import Payload
from experiments.access import Signals
from experiments.engines._quiet import run_quietly
from experiments.evidence.audited_training import training_of

CNN = "network={name='groupnorm_cnn', channels=2}"
VIT = "network={name='vit', patch=8, width=8, depth=1, heads=2}"
OPTIONS = {
    "mae": f"{VIT}, decoder_width=8, decoder_heads=2",
    "ijepa": "network={name='vit', patch=4, width=8, depth=1, heads=2}, predictor_width=8, predictor_heads=2",
}
TEXT = """
title = "Protected"
rounds = 1
engine = "inline"
source = { name = "phantom", hospitals = 3, size = 16, patients = [4, 4, 4], slices_per_patient = 1 }
task = "mae"
aggregation = "plain"
training = { batch_size = 4, steps = 1, learning_rate = 0.01 }
federation = { start_timeout_s = 600, round_timeout_s = 600, dropout_wait_s = 600, final_intervals = false }
baselines = { local = false, pooled = false }
"""
DPSGD = 'privacy={name="dpsgd", clip_norm=1.0, noise_multiplier=1.0, delta=1e-3}'
STUDIES = Path(__file__).parents[2] / "experiments" / "studies"
NAMES = tuple(name for name in TASKS.names() if issubclass(TASKS.load(name), Unlabelled))


def own(name: str, *overrides: str, **more: Any) -> Study:
    """A tiny study of a task."""
    options = [OPTIONS.get(name, CNN), *(f"{option}={value!r}" for option, value in more.items())]
    return parse(TEXT, [f"task={{name='{name}', {', '.join(options)}}}", *overrides])


def model(folder: Path) -> dict[str, Any]:
    return dict(read_tensors(folder, "model.safetensors").tensors)


def test_all_six_methods_are_tried_here() -> None:
    assert set(NAMES) >= {"simclr", "triplet", "byol", "dino", "mae", "ijepa"}


@pytest.mark.parametrize("name", NAMES)
def test_sums_under_masks_or_encryption_make_the_model_that_plain_ones_make(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a hospital that is lost once under masks: it is asked again, and the model is the same. Those with a
    companion go through masks and encryption, of which the two kinds take turns; the others through one of them."""
    run_quietly(own(name), tmp_path / "plain")
    plain, lost = model(tmp_path / "plain"), list[int]()
    real = answers.round_

    def failing(hospital: Hospital, request: Payload, kept: answers.RequestContext) -> Payload:
        if hospital.study.aggregation.name == "secagg" and hospital.site.startswith("a") and not lost:
            lost.append(1)
            raise RuntimeError("a cable was loose")
        return real(hospital, request, kept)

    monkeypatch.setattr(answers, "round_", failing)
    turn = NAMES.index(name)
    ways = ("secagg", ("bfv", "ckks")[turn % 2])
    for way in ways if companion(own(name).build_task()) else (ways[turn // 2 % 2],):
        outcome = run_quietly(own(name, f"aggregation={way}"), tmp_path / way)
        assert outcome.rounds[0]["attempts"] == (2 if way == "secagg" else 1)
        for part, values in model(tmp_path / way).items():
            np.testing.assert_allclose(values, plain[part], atol=1e-3)


@pytest.mark.parametrize("name", [name for name in NAMES if not couples(TASKS.load(name))])
def test_what_does_not_compare_cases_is_learned_under_privacy_for_one_patient(tmp_path: Path, name: str) -> None:
    """Teachers move, by noisy steps, and an auditor has a hand in them."""
    kind = TASKS.load(name)
    study = own(name, DPSGD, "aggregation=secagg", **private_options(kind))
    outcome = run_quietly(study, tmp_path)
    assert outcome.about["state"] == "completed"
    assert all(np.isfinite(values).all() for values in model(tmp_path).values())
    assert any(part.startswith("teacher") for part in model(tmp_path)) == bool(companion(study.build_task()))
    training = training_of(open_hospital(study.json, 0))
    for steps in (training.begun(), training.alone()):
        place = Signals(np.array([steps.length - 1]), np.array([5.0], np.float32))
        released, beside = steps.step(place)
        assert released.shape == beside.shape == (steps.length,) and np.isfinite(released).all()


def test_adams_means_of_noisy_sums_are_there_again_after_a_stop(tmp_path: Path) -> None:
    """As the shipped `pretrain_pneumonia_private` learns: noise shared by all, and a server that follows it."""
    noise = 'privacy={name="distributed", clip_norm=1.0, noise_multiplier=1.0, delta=1e-3, sampling_rate=0.5}'
    step = "strategy={name='fedsgd', optimiser='adam', learning_rate=0.01}"
    settings = (noise, step, "aggregation=secagg", "training={batch_size='full'}")
    whole = run_quietly(own("mae", *settings, "rounds=2"), tmp_path / "whole")
    run_quietly(own("mae", *settings, "rounds=1"), tmp_path / "parts")
    again = run_quietly(own("mae", *settings, "rounds=2"), tmp_path / "parts", resume=True)
    assert again.about["model_sha256"] == whole.about["model_sha256"] is not None
    shipped = parse((STUDIES / "pretrain_pneumonia_private.toml").read_text(encoding="utf-8"))
    assert shipped.strategy.options["optimiser"] == "adam" and shipped.privacy is not None
