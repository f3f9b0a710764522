"""Training that withstands changed inputs, in whole runs: on each engine the same, under masks, and under privacy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.files.tensor_files import read_tensors
from common.study.study import Study, parse
from experiments.engines._quiet import run_quietly

TEXT = """
title = "Withstands"
rounds = 2
engine = "inline"
source = { name = "phantom", hospitals = 3, size = 16, patients = [4, 4, 4], slices_per_patient = 1 }
task = "segmentation"
aggregation = "plain"
training = { batch_size = 2, steps = 2, learning_rate = 0.01 }
federation = { start_timeout_s = 600, round_timeout_s = 600, dropout_wait_s = 600, final_intervals = false }
baselines = { local = false, pooled = false }
"""
SMALL = "{name='segmentation', network={name='unet', channels=2, depth=2}}"
GROWS = ", plain_rounds=1"
DPSGD = 'privacy={name="dpsgd", clip_norm=1.0, noise_multiplier=1.0, delta=1e-3}'


def own(*overrides: str, recipe: str = "fgsm", task: str = SMALL, more: str = "") -> Study:
    return parse(TEXT, [f"task={{name='adversarial', task={task}, size=0.1, recipe='{recipe}'{more}}}", *overrides])


def model(folder: Path) -> dict[str, Any]:
    return dict(read_tensors(folder, "model.safetensors").tensors)


def test_processes_give_the_bits_of_inline_and_masked_sums_the_same_model(tmp_path: Path) -> None:
    digests = {
        engine: run_quietly(own(f"engine={engine}", more=GROWS), tmp_path / engine).about["model_sha256"]
        for engine in ("inline", "processes")
    }
    assert digests["inline"] == digests["processes"]
    run_quietly(own("aggregation=secagg", more=GROWS), tmp_path / "secagg")
    plain, masked = model(tmp_path / "inline"), model(tmp_path / "secagg")
    assert all(np.allclose(plain[name], masked[name], atol=1e-4) for name in plain)
    unmoved = run_quietly(parse(TEXT, [f"task={SMALL}"]), tmp_path / "plainly")
    assert unmoved.about["model_sha256"] != digests["inline"]


@pytest.mark.parametrize("recipe", ["fgsm", "course"])
def test_under_privacy_for_a_patient_the_epsilon_is_that_of_plain_training(recipe: str, tmp_path: Path) -> None:
    plain = run_quietly(parse(TEXT, [f"task={SMALL}", DPSGD]), tmp_path / "plain")
    withstands = run_quietly(own(DPSGD, recipe=recipe, more=GROWS), tmp_path / "withstands")
    promised = [json.loads((tmp_path / name / "privacy.json").read_text()) for name in ("plain", "withstands")]
    spent = [{site: one["epsilon"] for site, one in claim["sites"].items()} for claim in promised]
    assert spent[0] == spent[1] and all(value > 0 for value in spent[0].values())
    assert withstands.about["model_sha256"] != plain.about["model_sha256"]


def test_robust_scores_are_in_the_report_of_a_run(tmp_path: Path) -> None:
    outcome = run_quietly(own(more=", attack='fgsm'"), tmp_path)
    pooled = outcome.final["test"]["pooled"]
    assert pooled["robust_loss"] > pooled["loss"] and "robust_dice" in pooled
