"""What the benchmark of priors makes of its rows, and how it measures and scores one image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.learning.start import first_network
from common.study.study import parse
from experiments.benchmarks._image_prior_methods import alone, magnitude, psnr, setting
from experiments.benchmarks._image_prior_pictures import before_noise, keep, sheet
from experiments.benchmarks._image_prior_problems import LARGE, PROBLEMS, acquired
from experiments.benchmarks._image_prior_studies import ROUNDS, learn, learned, study_of
from experiments.benchmarks._pretraining_ways import hospitals_of
from experiments.benchmarks.image_priors import CURVE, TV, UNTRAINED, measured


def row(problem: str, method: str, **more: Any) -> dict[str, Any]:
    return {"problem": problem, "method": method, **more}


def scored(method: str, value: float) -> dict[str, Any]:
    return row(LARGE.name, method, psnr=value, worst=value, cpu_s_an_image=1.0)


@pytest.mark.parametrize(("ours", "met"), [(27.2, True), (26.8, False)])
def test_a_decibel_less_than_total_variation_is_borne(ours: float, met: bool) -> None:
    found = measured([scored(TV, 28.0), scored(UNTRAINED, ours)])
    assert found.targets[0].met is met and found.targets[0].bound == pytest.approx(27.0)
    assert [line["PSNR"] for line in found.rows] == [28.0, ours]


def test_noise_must_be_fitted_later_than_an_image() -> None:
    curves = [row(CURVE, name, losses=[[1, 1.0], [600, left]]) for name, left in (("image", 0.1), ("noise", 0.4))]
    target = measured(curves).targets[1]
    assert target.ours == pytest.approx(4.0) and target.met


def test_without_rows_nothing_is_said_to_be_met() -> None:
    assert [target.met for target in measured([]).targets] == [None, None]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_each_problem_measures_an_image_the_same_way_every_time(problem: Any) -> None:
    image = np.random.default_rng(0).random((16, 16), np.float32)
    first, again, other = (acquired(problem, image, word) for word in ("a", "a", "b"))
    assert torch.equal(first.measured, again.measured) and not torch.equal(first.measured, other.measured)
    np.testing.assert_allclose(magnitude(first.truth), image, atol=1e-6)
    assert psnr(first.truth, first.truth) > 99 > psnr(alone(first)[0], first.truth)


def test_rows_are_measured_again_where_a_method_has_other_options() -> None:
    assert "800" in setting(UNTRAINED) and setting("generator") != setting("generator, latents alone")


@pytest.mark.parametrize("prior", sorted(ROUNDS))
def test_what_is_learned_meets_no_operator(prior: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "lgg-mri-5site").mkdir()
    monkeypatch.setenv("WARDROUND_DATA", str(tmp_path))
    study = study_of(prior)
    assert study.task.name == prior and study.task.options["operator"] == "denoising"


def test_figures_show_every_method_and_curve(tmp_path: Path) -> None:
    image = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    keep(tmp_path, "MRI x4", "tv", image, image)
    sheet(tmp_path, ["MRI x4", "not measured"], ["tv"])
    assert (tmp_path / "priors.png").read_bytes().startswith(b"\x89PNG")
    chart = before_noise({"image": [(1, 5.0), (10, 1.0), (600, 0.1)], "noise": [(10, 1.0), (600, 0.9)]})
    assert "image" in chart and "noise" in chart and "no noise" not in chart


def test_a_network_that_was_learned_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    study = parse("""
title = "A denoiser"
rounds = 1
strategy = "fedavg"
aggregation = "plain"
task = { name = "denoiser", operator = "denoising", network = { name = "ffdnet", channels = 4, depth = 2 } }
training = { steps = 1, batch_size = 2, learning_rate = 0.01, optimiser = "adam" }

[source]
name = "acquired"
images = { name = "phantom", hospitals = 3, size = 16, patients = [4], slices_per_patient = 1 }
operators = ["denoising"]
""")
    hospitals = hospitals_of(study)
    network = learn(study, hospitals, tmp_path / "denoiser")
    again = learned(study, hospitals, tmp_path / "denoiser").state_dict()
    first = first_network(study, study.build_task(), hospitals[0].train.shape).state_dict()
    assert all(torch.equal(one, again[name]) for name, one in network.state_dict().items())
    assert any(not torch.equal(one, again[name]) for name, one in first.items())
