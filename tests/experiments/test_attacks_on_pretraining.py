"""What an adversary makes of pretraining without labels: patches of an update, and who was in the encoder."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from client.training import Trainer
from common.data.cases import Batch, Cases, Shape
from common.learning.abilities import no_case_loss, no_guessed_loss
from common.learning.client_work import Training
from common.learning.losses import as_held
from common.learning.parameters import new_network, trainable
from common.learning.parameters import read as parameters_of
from common.learning.task import Task
from common.learning.tasks.classification import Classification
from common.learning.tasks.mae import Mae
from common.learning.tasks.simclr import SimClr
from common.learning.tokens import patchify
from common.study.options import Entry
from common.study.study import parse
from experiments.attacks.inversion.token_spans import MISSES, embedding_of, patches_in
from experiments.attacks.patch_tokens import _Reader
from experiments.attacks.view_similarity import ViewSimilarity
from experiments.audit.conduct import Effort, audit_run
from experiments.audit.report.page import page_of
from experiments.engines._quiet import run_quietly
from experiments.evidence.budget import Budget
from experiments.evidence.target_model import Target

SHAPE = Shape((1, 16, 16), 2)
SMALL = Entry("vit", {"width": 48, "depth": 2})
TEXT = """
title = "Masked pretraining"
rounds = 2
engine = "inline"
strategy = "fedsgd"
aggregation = "plain"
source = { name = "phantom", hospitals = 3, size = 16, patients = [8, 8, 8], slices_per_patient = 1 }
task.name = "mae"
task.network = { name = "vit", width = 32, heads = 4, depth = 1 }
task.decoder_width = 32
task.normalised = false
training = { batch_size = 1 }
federation = { start_timeout_s = 600, round_timeout_s = 600, record_traffic = true }
baselines = { local = false, pooled = false }
"""


def images(count: int) -> Batch:
    rng = np.random.default_rng(0)
    inputs = torch.from_numpy(rng.normal(size=(count, *SHAPE.inputs)).astype(np.float32))
    return Batch({"inputs": inputs, "targets": torch.zeros(count, dtype=torch.int64), "patients": ("a",) * count})


def reader_of(task: Task, batch: Batch, known: bool) -> _Reader:
    """Whoever reads the gradient of the batch. known: whether it is known what was hidden."""
    network = new_network(task, SHAPE, 1).train()
    task.loss(network, batch).mean().backward()
    gradient = {name: parameter.grad for name, parameter in trainable(network) if parameter.grad is not None}
    exact = deepcopy(network).double().eval()
    embedding = embedding_of(exact, SHAPE)
    assert embedding is not None
    shown = batch.columns.get("mask", torch.zeros(1, len(embedding.pixels)))
    assert isinstance(shown, Tensor)
    places = torch.nonzero(shown[0] == 0)[:, 0] if known else None
    return _Reader(task, exact, gradient, embedding, SHAPE.inputs, places)


def read(reader: _Reader) -> Tensor:
    patches = reader.patches(torch.Generator().manual_seed(1), Budget(20))
    return reader.image(patches)[0] if len(patches.places) else torch.zeros(0)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("positions", ["sincos", "learned"])
def test_an_image_comes_back_from_maes_gradient_of_one_case_hidden_patches_too(positions: str, known: bool) -> None:
    network = Entry("vit", {"width": 48, "depth": 2, "positions": positions})
    task = Mae(network=network, decoder_width=48, normalised=False)
    batch = task.augment(images(1), np.random.default_rng(0))
    torch.testing.assert_close(read(reader_of(task, batch, known)).float(), batch.inputs, atol=0.01, rtol=0)


def test_patches_that_were_normalised_come_back_but_for_their_brightness_and_contrast() -> None:
    task = Mae(network=Entry("vit", {"width": 48, "depth": 2}), decoder_width=48, normalised=True)
    batch = task.augment(images(1), np.random.default_rng(0))
    found, true = (patchify(one.double(), (4, 4))[0] for one in (read(reader_of(task, batch, True)), batch.inputs))
    cosines = torch.nn.functional.cosine_similarity(found - found.mean(1, True), true - true.mean(1, True))
    assert cosines.min() > 0.99


def test_an_image_comes_back_from_a_transformer_that_learns_classes() -> None:
    task = Classification(network=Entry("vit", {"width": 48, "depth": 2, "positions": "learned"}))
    torch.testing.assert_close(read(reader_of(task, images(1), True)).float(), images(1).inputs, atol=0.01, rtol=0)


def test_a_wrong_place_does_not_come_near_to_the_span() -> None:
    """The margin of the certificate, where places are looked for."""
    task = Mae(network=Entry("vit", {"width": 48, "depth": 2, "positions": "learned"}))
    batch = task.augment(images(1), np.random.default_rng(0))
    reader = reader_of(task, batch, False)
    noise = torch.randn(144, 48, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gradient = reader.gradient[f"{reader.embedding.attends}.weight"]
    assert len(patches_in(gradient, reader.embedding).places) == 4
    assert not len(patches_in(noise[:, :4] @ noise[:4], reader.embedding).places)
    assert not len(patches_in(gradient + 1e-3 * noise, reader.embedding).places) and MISSES < 0.01


def test_nothing_is_claimed_of_several_cases() -> None:
    task = Mae(network=SMALL)
    batch = task.augment(images(4), np.random.default_rng(0))
    assert not len(read(reader_of(task, batch, True)))


def test_a_case_by_itself_has_the_same_loss_whoever_is_asked_about() -> None:
    task, cases = Mae(network=SMALL), images(3)
    together, alone = as_held(task, cases), as_held(task, cases.take([1]))
    assert torch.equal(together.tensor("mask")[1], alone.tensor("mask")[0])
    assert not torch.equal(as_held(task, cases, 1).tensor("mask"), together.tensor("mask"))
    assert not no_case_loss(task) and "draws of augmentation" in no_guessed_loss(task)
    assert "compares the cases" in no_case_loss(SimClr())
    assert as_held(Classification(), cases) is cases


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, Path]:
    folder = tmp_path_factory.mktemp("run")
    run_quietly(parse(TEXT, []), folder)
    return audit_run(folder, Effort(0.3)), folder


def test_an_audit_rebuilds_images_of_single_cases_and_calls_it_red(audited: tuple[object, Path]) -> None:
    report = audited[0]
    found = [one for one in report.trials if one.attack == "patch_tokens" and one.possible]  # type: ignore[attr-defined]
    assert found and max(one.figures["ssim"] for one in found) > 0.99
    assert "red" in {one.lights["reconstruction"] for one in report.verdicts}  # type: ignore[attr-defined]


def test_an_audit_asks_the_encoder_who_was_in_it(audited: tuple[object, Path]) -> None:
    tried = {one.attack for one in audited[0].trials if one.kind == "membership" and one.possible}  # type: ignore[attr-defined]
    assert {"loss_threshold", "view_similarity", "rmia", "lira_offline"} <= tried


def test_a_page_about_pretraining_has_no_word_of_classes_that_nobody_learned(audited: tuple[object, Path]) -> None:
    page = page_of(audited[0])  # type: ignore[arg-type]
    assert "solving for the patches of an image" in page or "patch_tokens" in page
    assert "training diverged" not in page
    failed = [one for one in audited[0].trials if one.settings.get("failed")]  # type: ignore[attr-defined]
    assert not failed


def test_an_encoder_that_learned_some_by_heart_gives_them_away() -> None:
    """The attack by similarity of views, of an encoder that was trained to make one of all views of members."""
    task, rng = SimClr(network=Entry("mlp", {"hidden": [256, 64]})), np.random.default_rng(0)
    network = new_network(task, SHAPE, 1)
    inputs = rng.normal(size=(16, *SHAPE.inputs)).astype(np.float32)
    cases = Cases.of(inputs, np.zeros(16, np.int64), np.array([f"p{i:02d}" for i in range(16)]), ("one", "two"))
    target, attack = Target(task, network), ViewSimilarity(shown=8)
    before = attack._similarity(target, parameters_of(network), cases)
    training = Training(steps=200, batch_size="full", learning_rate=0.002, optimiser="adam")
    Trainer(task, network, cases.take(np.arange(8)), training, np.random.default_rng(1)).train()
    gained = attack._similarity(target, parameters_of(network), cases) - before
    assert (gained[:8, None] > gained[None, 8:]).mean() > 0.65
