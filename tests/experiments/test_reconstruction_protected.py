"""Reconstruction under masks, encryption and privacy, and what an adversary makes of its updates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from client.sources.phantom import Phantom
from common.data.cases import Shape
from common.errors import StudyError
from common.files.tensor_files import read_tensors
from common.learning.abilities import abilities, no_followed_loss
from common.learning.parameters import new_network
from common.learning.tasks._reconstruction import Reconstruction
from common.learning.tasks.postprocessed import Postprocessed
from common.reconstruction.packing import Layout
from common.study.catalogue import TASKS
from common.study.options import Entry
from common.study.study import Study, parse
from experiments.attacks.inversion.differentiable_client import Victim
from experiments.attacks.inversion.imagined import ImaginedLosses
from experiments.attacks.inversion.problem import InversionProblem
from experiments.attacks.inverting_gradients import InvertingGradients
from experiments.audit.conduct import Effort, audit_run
from experiments.audit.questions._similarity import correlations
from experiments.audit.questions.reconstruction import ReconstructionOfCases
from experiments.audit.report.page import page_of
from experiments.benchmarks import private_mri as bench
from experiments.engines._quiet import run_quietly
from experiments.evidence.budget import Budget

SMALL = "network={name='unet', channels=2, depth=2}"
BY_HALF = "{name='downsampling', factor=2}"
OPTIONS = {
    "generator": "operator='denoising', width=4, levels=1, latents=2, latent_steps=1, adaptation_steps=1",
    "superresolution": f"operator={BY_HALF}, design={{name='post', network={{name='edsr', channels=2}}}}",
    "unrolled": f"operator='denoising', iterations=1, {SMALL}",
    "denoiser": f"operator='denoising', iterations=1, {SMALL}",
}
USUAL = f"operator='denoising', {SMALL}"
TEXT = """
title = "Protected"
rounds = 1
engine = "inline"
source = { name = "acquired", images = { name = "phantom", hospitals = 3, size = 16, patients = [4] }, \
operators = ["denoising"] }
task = { name = "postprocessed", operator = "denoising" }
aggregation = "plain"
training = { batch_size = 4, steps = 1, learning_rate = 0.001 }
federation = { start_timeout_s = 600, round_timeout_s = 600, dropout_wait_s = 600, final_intervals = false }
baselines = { local = false, pooled = false }
"""
DPSGD = 'privacy={name="dpsgd", clip_norm=1.0, noise_multiplier=1.0, delta=1e-3, unit="%s"}'
NAMES = tuple(name for name in TASKS.names() if issubclass(TASKS.load(name), Reconstruction))
WAYS = ("secagg", "bfv", "ckks")


def own(name: str, *overrides: str, more: str = "") -> Study:
    """A tiny study of a task."""
    options = OPTIONS.get(name, USUAL)
    operators = [f"source.operators=[{BY_HALF}]"] if BY_HALF in options else []
    return parse(TEXT, [f"task={{name='{name}', {options}{more}}}", *operators, *overrides])


def model(folder: Path) -> dict[str, Any]:
    return dict(read_tensors(folder, "model.safetensors").tensors)


def test_every_task_that_learns_to_reconstruct_is_tried_here() -> None:
    assert set(NAMES) >= {"postprocessed", "direct", "unrolled", "denoiser", "superresolution", "generator"}


@pytest.mark.parametrize("name", NAMES)
def test_sums_under_masks_or_encryption_make_the_model_that_plain_ones_make(tmp_path: Path, name: str) -> None:
    """Masks and the two encryptions take turns: `test_pretraining_protected.py` tries what travels beside it."""
    run_quietly(own(name), tmp_path / "plain")
    plain = model(tmp_path / "plain")
    way = WAYS[NAMES.index(name) % 3]
    run_quietly(own(name, f"aggregation={way}"), tmp_path / way)
    for part, values in model(tmp_path / way).items():
        np.testing.assert_allclose(values, plain[part], atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_learned_under_privacy_for_a_patient_or_for_a_case(tmp_path: Path, name: str) -> None:
    """The two units take turns."""
    unit = ("patient", "sample")[NAMES.index(name) % 2]
    outcome = run_quietly(own(name, DPSGD % unit, "aggregation=secagg"), tmp_path)
    assert outcome.about["state"] == "completed"
    assert all(np.isfinite(values).all() for values in model(tmp_path).values())


def test_losses_of_a_critic_and_its_opponent_are_refused_under_privacy() -> None:
    with pytest.raises(StudyError, match="steps by several losses"):
        own("postprocessed", DPSGD % "patient", more=", loss={name='gan'}")


def test_the_benchmark_sets_every_epsilon_beside_the_floor() -> None:
    rows = [
        {"protects": who, "epsilon": str(epsilon), "psnr": 23.0 + gain, "ssim": 0.5, "gain": gain, "cpu_s": 1.0}
        for who, epsilon, gain in ((bench.NOTHING, 0.0, 0.8), (bench.CASE, 8.0, 0.5), (bench.PATIENT, 1.0, -0.1))
    ]
    table = bench.table_of(rows)
    assert [row["psnr, dB"] for row in table] == [23.0, 23.8, 23.5, 22.9] and table[1]["epsilon"] is None
    assert [one.met for one in bench.targets_of(rows)] == [True, False]
    assert "zero-filled" in bench.plot(rows) and bench.plot(rows[:1]) == ""


def _imagined(operator: Entry, cases: int) -> tuple[Postprocessed, Shape]:
    task = Postprocessed(operator=operator, network=Entry("ffdnet", {"channels": 4}))
    channels = 2 if operator.name == "cartesian_mri" else 1
    return task, Shape(Layout.of(task._operator, (channels, 8, 8)).inputs_shape, 0)


@pytest.mark.parametrize("operator", [Entry("denoising"), Entry("cartesian_mri"), Entry("downsampling")])
def test_a_guessed_image_becomes_the_case_that_a_hospital_would_make_of_it(operator: Entry) -> None:
    """Inputs unpack to A x by a mask of whole lines; the loss is differentiable by the image, twice."""
    task, shape = _imagined(operator, 2)
    imagined = abilities(task).imagined(shape, 2, np.random.default_rng(0))
    images = torch.randn(imagined.form, dtype=torch.float64, requires_grad=True)
    batch = imagined.batch(images)
    measured, linear = task.layout(shape.inputs).unpack(batch.inputs)
    torch.testing.assert_close(measured, linear.forward(images))
    assert batch.targets is images and imagined.drawn == (("mask",) if operator.name == "cartesian_mri" else ())
    network = task.build_network(shape).double()
    parameters = list(network.parameters())
    gradient = torch.autograd.grad(task.loss(network, batch).sum(), parameters, create_graph=True, allow_unused=True)
    total = torch.stack([part.square().sum() for part in gradient if part is not None]).sum()
    (back,) = torch.autograd.grad(total, images)
    assert torch.isfinite(back).all() and back.abs().sum() > 0
    assert imagined.seen(images).shape == (2, 1, 8, 8)


def test_what_trains_by_drawn_noise_cannot_be_guessed_and_says_why() -> None:
    guessed = {name: no_followed_loss(own(name).build_task()) for name in NAMES}
    assert {name for name, reason in guessed.items() if not reason} >= {"postprocessed", "direct", "unrolled"}
    assert "draws of augmentation" in guessed["denoiser"]


def test_an_image_comes_back_from_the_gradient_of_one_case_whose_mask_is_known() -> None:
    """Far nearer than the data themselves: half of the pixels, and the gradient tells the others."""
    task = Postprocessed(operator=Entry("inpainting"), network=Entry("unet", {"channels": 16, "depth": 1}))
    phantoms = Phantom(hospitals=1, size=16, patients=(6,), slices_per_patient=1)
    held = torch.from_numpy(phantoms.cases(phantoms.sites()[0], 1).inputs)
    low, high = held.amin((1, 2, 3), keepdim=True), held.amax((1, 2, 3), keepdim=True)
    images = (held - low) / (high - low)
    shape = Shape(task.layout((2, 16, 16)).inputs_shape, 0)
    imagined = task.imagined(shape, 1, np.random.default_rng(7))
    network, case = new_network(task, shape, 1).train(), imagined.batch(images[:1])
    victim = Victim(network, ImaginedLosses(task, imagined))
    gradient = victim.gradient(images[:1] / imagined.unit, torch.zeros(1, 0))
    problem = InversionProblem(victim, tuple(part.detach() for part in gradient), imagined.form, (1, 0))
    found = InvertingGradients(iterations=400).search(problem, torch.Generator().manual_seed(3), Budget(600))
    back, known = (
        correlations(one.detach().numpy(), images.numpy())[0] for one in (found.inputs, task.start(case.inputs))
    )
    assert back.argmax() == 0 and back[0] > 0.75 > known[0] + 0.1


AUDITED = [
    "strategy={name='fedsgd'}",
    "training={batch_size=1}",
    "federation.record_traffic=true",
    "source.operators=['inpainting']",
    "task={name='postprocessed', operator='inpainting', network={name='unet', channels=8, depth=2}}",
]


def test_an_audit_inverts_one_hospitals_gradient_of_one_case_and_says_what_it_guessed(
    tmp_path: Path, attacked_by: Callable[..., None]
) -> None:
    """Whatever comes back, its light and the page say so, and that the mask was not known."""
    run_quietly(parse(TEXT, AUDITED), tmp_path / "run")
    attacked_by("matching", "inverting_gradients", "dlg")
    report = audit_run(tmp_path / "run", Effort(1.0))
    tried = {one.attack: one for one in report.trials if one.possible and one.rebuilt}
    assert {"matching", "inverting_gradients", "dlg"} <= set(tried)
    best = max((one for trial in tried.values() for one in trial.rebuilt), key=lambda one: one.ssim)
    page = page_of(report)
    assert "an image was guessed" in page and "since the true one is not known" in page
    heading = ReconstructionOfCases.heading
    lights = [verdict.lights[heading] for verdict in report.verdicts if heading in verdict.lights]
    assert "may get images back" in page and "green" not in lights
    assert not best.identifies or {"red", "amber"} & set(lights)
