"""Everything that computes, on a pretended GPU: nothing is made on the wrong device, and the result is the CPU's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console

from client.evaluation import evaluate
from client.private_training import LocalTerms, PrivateTrainer
from client.training import Trainer
from common.adversarial.aims import loss_of
from common.data.cases import Cases, Shape
from common.learning.client_work import Training
from common.learning.device import home, placed, repeatable
from common.learning.parameters import new_network, read, write
from common.privacy.noise import SeededNoise, gaussian
from common.registration.learned.similarity import _window_means
from common.registration.learned.spatial_transformer import gathered, warp
from common.seeding import case_generators
from common.study.catalogue import AUGMENTATIONS, NETWORKS, PERTURBATIONS, TASKS
from common.study.options import Entry
from experiments.attacks.bottleneck import Bottleneck
from experiments.attacks.deep_image_prior import DeepImagePrior
from experiments.attacks.dlg import DeepLeakage
from experiments.attacks.evasion.ascent import Range
from experiments.attacks.inversion.differentiable_client import Victim
from experiments.attacks.inversion.layers import layers_in_order
from experiments.attacks.inversion.losses import soft_losses
from experiments.attacks.inversion.problem import InversionProblem
from experiments.attacks.inversion.recovered_features import Told
from experiments.attacks.inverting_gradients import InvertingGradients
from experiments.attacks.matching import Matching
from experiments.attacks.multi_step import MultiStep
from experiments.benchmarks import device
from experiments.evidence.budget import Budget
from experiments.evidence.target_model import Target
from tests.common.test_every_task import deep_scm_cases
from tests.pretended_device import GPU, NOT_REPEATABLE, DevicesMetError, pretended_gpu

CLOSE = {"rtol": 2e-3, "atol": 1e-5}
"""A convolution may be worked out in another order behind the pretence; a wrong device would raise."""
ONLY_BY_NAME = {"max_pool3d_with_indices_backward", "cumsum"}
"""Torch names the first for windows that overlap; ours lie side by side, and no two of them add to one place. The
second is over the few intervals of a survival curve, and in no gradient."""
KINDS = {
    "logistic": "classification", "mlp": "classification", "mcmahan_2nn": "classification",
    "mcmahan_cnn": "classification", "groupnorm_cnn": "classification", "voxelmorph": "registration",
    "affine_pair": "registration", "vit": "classification",
}  # fmt: skip
SHAPES = {
    "logistic": (13,), "mlp": (13,), "mcmahan_2nn": (1, 28, 28), "mcmahan_cnn": (1, 8, 8), "voxelmorph": (2, 16, 16),
    "affine_pair": (2, 16, 16), "groupnorm_cnn": (1, 16, 16),
}  # fmt: skip
LEARNING = Training(batch_size=2, optimiser="adamw", learning_rate=1e-3)


def cases_of(kind: str, inputs: tuple[int, ...]) -> Cases:
    """Two patients of noise."""
    rng, names = np.random.default_rng(0), ["p0", "p1"]
    images = rng.random((2, *inputs)).astype(np.float32)
    forms = {"segmentation": inputs[1:], "registration": inputs, "survival": (2,), "cox": (2,)}
    targets: Any = rng.integers(0, 2, (2, *forms.get(kind, ())))
    if kind in ("regression", "survival", "cox"):
        return Cases.of(images, (targets + 0.5).astype(np.float32), names)
    spacing = (1.0,) * (len(inputs) - 1) if kind in forms else ()
    return Cases.of(images, targets, names, ("a", "b"), spacing_mm=spacing)


def learned(task: Any, cases: Cases, on_gpu: bool) -> tuple[list[NDArray[Any]], dict[str, Any]]:
    """A training step of every kind, scores and an answer."""
    network = new_network(task, cases.shape, 1)
    network = placed(network, GPU) if on_gpu else network
    rng = np.random.default_rng
    trained, _ = Trainer(task, network, cases, LEARNING, rng(3)).local_update(0.1, np.ones_like(read(network)))
    gradient = Trainer(task, network, cases, Training(), rng(3)).gradient_update()
    noise = SeededNoise(rng(5))
    private = PrivateTrainer(
        task,
        network,
        cases,
        LEARNING,
        1.0,
        gaussian(0.5, noise),
        "patient",
        1.0,
        rng(4),
        terms=LocalTerms(0.1, np.ones_like(read(network))),
    )
    sums = private.local_update()[0].vectors[0]
    scores = evaluate(task, network, cases)
    one = cases.batch(slice(0, 1)).to(home(network))
    network.train()
    answer = task.predict(network, one.inputs).detach().cpu().numpy()
    return [trained.vectors[0], gradient.vectors[0], sums, answer], scores


def same(task: Any, cases: Cases) -> set[str]:
    """Learns on both, compares, and gives the names of operations that a GPU cannot repeat."""
    ours, scores = learned(task, cases, on_gpu=False)
    with pretended_gpu() as seen:
        found, on_gpu = learned(task, cases, on_gpu=True)
    for one, other in zip(ours, found, strict=True):
        np.testing.assert_allclose(other, one, **CLOSE)
    assert scores.keys() == on_gpu.keys()
    close = {name: pytest.approx(one.value, abs=1e-3, rel=1e-3, nan_ok=True) for name, one in scores.items()}
    assert {name: one.value for name, one in on_gpu.items()} == close
    return seen & set(NOT_REPEATABLE)


@pytest.mark.parametrize("name", [one for one in NETWORKS.names() if not hasattr(NETWORKS.load(one), "has_weights")])
def test_a_network_learns_scores_and_answers_where_its_parameters_are(name: str) -> None:
    kind = KINDS.get(name, "segmentation")
    if name == "conditional_ladder":
        found = same(*deep_scm_cases())
    else:
        task = TASKS.build(Entry(kind, {"network": {"name": name}}))
        found = same(task, cases_of(kind, SHAPES.get(name, (1, 16, 16))))
    assert found == set()


@pytest.mark.parametrize(
    ("kind", "options", "inputs"),
    [
        ("regression", {"center": 1, "spread": 2}, (5,)),
        ("survival", {"cuts": [0.7, 1.2], "scores": ["brier", "auc", "c_index"]}, (5,)),
        ("cox", {}, (5,)),
        ("classification", {"scores": ["recall", "f1", "auc"]}, (5,)),
        ("segmentation", {"network": {"name": "unet", "channels": 4, "depth": 2}}, (1, 8, 8, 8)),
        ("segmentation", {"network": {"name": "unet", "channels": 4, "depth": 2}, "patch": [8, 8]}, (1, 12, 20)),
        (
            "segmentation",
            {"network": {"name": "unet", "channels": 4, "depth": 3, "deep_supervision": True}},
            (1, 16, 16),
        ),
        (
            "segmentation",
            {"network": {"name": "unet", "channels": 4, "depth": 2, "upsampling": "max_unpooling"}},
            (1, 8, 8),
        ),
        ("segmentation", {"augmentation": "contrast", "scores": ["hd95", "surface_dice"]}, (1, 16, 16)),
        (
            "registration",
            {"network": {"name": "voxelmorph", "channels": 4, "depth": 2}, "label_weight": 0.5},
            (2, 8, 8, 8),
        ),
    ],
)
def test_a_task_learns_scores_and_answers_where_its_network_is(
    kind: str, options: dict[str, Any], inputs: tuple[int, ...]
) -> None:
    found = same(TASKS.build(Entry(kind, options)), cases_of(kind, inputs))
    assert found <= ONLY_BY_NAME


@pytest.mark.parametrize("padding", ["zeros", "border"])
@pytest.mark.parametrize("sizes", [(5, 7), (4, 5, 6)])
def test_what_a_gpu_reads_by_gathering_is_what_grid_sample_reads(sizes: tuple[int, ...], padding: Any) -> None:
    rng = torch.Generator().manual_seed(1)
    images = torch.randn(2, 3, *sizes, generator=rng, dtype=torch.float64, requires_grad=True)
    field = (3 * torch.randn(2, len(sizes), *sizes, generator=rng, dtype=torch.float64)).requires_grad_()
    weights = torch.randn(2, 3, *sizes, generator=rng, dtype=torch.float64)
    expected = warp(images, field, padding=padding)
    lattice = torch.stack(torch.meshgrid(*(torch.arange(size) for size in sizes), indexing="ij"))
    found = gathered(images, lattice + field, padding)
    torch.testing.assert_close(found, expected)
    wanted = torch.autograd.grad((expected * weights).sum(), [images, field])
    for one, other in zip(torch.autograd.grad((found * weights).sum(), [images, field]), wanted, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", AUGMENTATIONS.names())
@pytest.mark.parametrize("shape", [(2, 9, 8), (1, 6, 7, 8)])
def test_views_and_their_gradients_are_the_cpus_and_can_be_repeated(name: str, shape: tuple[int, ...]) -> None:
    made = AUGMENTATIONS.build(Entry(name, {} if name == "none" else {"cut_out": 0.2, "noise": 0.1}))
    images = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    drawn = torch.from_numpy(np.stack([made.draw(np.random.default_rng(seed), shape) for seed in range(3)]))

    def seen(images: torch.Tensor, drawn: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        given = images.requires_grad_()
        views = made.apply(given, drawn, shape[1:])
        return views.detach(), torch.autograd.grad(views.square().sum(), [given])[0]

    ours = seen(images.clone(), drawn)
    with pretended_gpu() as asked, repeatable(GPU):
        found = [one.cpu() for one in seen(images.clone().to(GPU), drawn.to(GPU))]
    assert not asked & set(NOT_REPEATABLE)
    for one, other in zip(found, ours, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_windows_of_volumes_on_a_gpu_have_the_cpus_means() -> None:
    values = torch.randn(2, 5, 4, 5, 6, generator=torch.Generator().manual_seed(2))
    with pretended_gpu():
        found = _window_means(values.to(GPU), 3).cpu()
    torch.testing.assert_close(found, _window_means(values, 3))


def test_a_table_gives_the_cpus_own_bits() -> None:
    cases = cases_of("classification", (5,))
    task = TASKS.build(Entry("classification", {}))
    ours, scores = learned(task, cases, on_gpu=False)
    with pretended_gpu():
        found, on_gpu = learned(task, cases, on_gpu=True)
    assert all(np.array_equal(one, other) for one, other in zip(ours, found, strict=True))
    assert scores == on_gpu


def test_without_a_gpu_the_benchmark_measures_the_cpu_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    task = TASKS.build(Entry("segmentation", {"network": {"name": "unet", "channels": 4, "depth": 2}}))
    works = {
        "training": device._training(task, (1, 8, 8), 2),
        "private": device._private(task, (1, 8, 8), 2),
        "inversion": device._inversion(task, (1, 8, 8)),
    }
    monkeypatch.setattr(device, "WORKS", works)
    measured = device.measure(Console(quiet=True))
    assert [row["same bits on the CPU"] for row in measured.rows] == ["yes"] * 3
    assert {row["GPU ms"] for row in measured.rows} == {None}
    assert "no GPU that torch finds" in measured.notes[0]
    assert [target.met for target in measured.targets] == [True, None]


def test_the_pretended_gpu_refuses_what_a_gpu_refuses() -> None:
    with pretended_gpu() as seen:
        there = torch.ones(3).to("meta")
        with pytest.raises(DevicesMetError, match="cpu"):
            there + torch.ones(3)
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        assert (there * 2).sum().item() == 6
        assert float((there + 1).cpu().numpy().sum()) == 6
    assert "mul" in seen


def victim(on_gpu: bool) -> InversionProblem:
    """A classifier of small images, and the gradient of one of them."""
    shape = Shape((1, 8, 8), 3)
    task: Any = TASKS.build(Entry("classification", {"network": {"name": "groupnorm_cnn"}}))
    network = new_network(task, shape, 1)
    shown = Victim((placed(network, GPU) if on_gpu else network).train(), soft_losses(task))
    image = torch.from_numpy(np.random.default_rng(2).normal(size=(1, 1, 8, 8)).astype(np.float32))
    truth = torch.nn.functional.one_hot(torch.tensor([1]), 3).float()
    captured = shown.gradient(image.to(shown.device), truth.to(shown.device))
    return InversionProblem(shown, tuple(part.detach() for part in captured), (1, 1, 8, 8), (1, 3), np.array([1]))


def _budget() -> Budget:
    return Budget(1e6)


def _multi_step(problem: InversionProblem, draws: torch.Generator) -> Any:
    batches = [np.array([0])] * 2
    return MultiStep(iterations=2).search(problem, batches, Training(optimiser="adam"), 0.1, draws, _budget())


def _told(problem: InversionProblem, draws: torch.Generator) -> Any:
    layer = layers_in_order(problem.victim.network, Shape(problem.inputs[1:], 3))[2]
    told = Told(layer.name, layer.seen.cpu().abs() + 0.1, 0.0).on(problem.victim.device)
    return Bottleneck(turns=2, starts=1, iterations=2).invert(problem, told, draws, _budget())


SEARCHES: dict[str, Callable[[InversionProblem, torch.Generator], Any]] = {
    "matching": lambda problem, draws: Matching(iterations=3, polish_iterations=5).search(problem, draws, _budget()),
    "dlg": lambda problem, draws: DeepLeakage(iterations=5, restarts=1).search(problem, draws, _budget()),
    "inverting_gradients": lambda problem, draws: InvertingGradients(iterations=3).search(problem, draws, _budget()),
    "deep_image_prior": lambda problem, draws: DeepImagePrior(iterations=3, width=8).search(
        problem, draws, _budget()
    ),
    "multi_step": _multi_step,
    "bottleneck": _told,
}


@pytest.mark.parametrize("name", SEARCHES)
def test_an_inversion_searches_where_the_network_is_and_brings_its_find_home(name: str) -> None:
    ours = SEARCHES[name](victim(on_gpu=False), torch.Generator().manual_seed(3))
    with pretended_gpu():
        found = SEARCHES[name](victim(on_gpu=True), torch.Generator().manual_seed(3))
    assert found.inputs.device.type == found.truth.device.type == "cpu"
    np.testing.assert_allclose(found.inputs.numpy(), ours.inputs.numpy(), atol=0.05)


def test_losses_cosines_and_misleading_inputs_are_worked_out_where_the_network_is() -> None:
    cases = cases_of("classification", (1, 16, 16))
    task: Any = TASKS.build(Entry("classification", {"network": {"name": "groupnorm_cnn"}}))

    def measured(on_gpu: bool) -> list[NDArray[Any]]:
        network = new_network(task, cases.shape, 1)
        target = Target(task, placed(network, GPU) if on_gpu else network)
        vector = read(network)
        write(target.network, vector)
        batch = cases.batch().to(home(target.network))
        ends = (batch.inputs.amin((0, 2, 3), keepdim=True)[0], batch.inputs.amax((0, 2, 3), keepdim=True)[0])
        room, objective = Range(*ends).room(0.02), loss_of(task, target.network, batch)
        few = {"square": {"queries": 5}, "apgd_ce": {"steps": 5}}
        ways = [PERTURBATIONS.build(Entry(name, few.get(name, {}))) for name in PERTURBATIONS.names()]
        moved = [one.move(objective, room, case_generators(np.random.default_rng(1), len(batch))) for one in ways]
        direction = np.ones(len(vector))
        return [
            target.losses(vector, cases), target.cosines(vector, cases, direction), *(m.cpu().numpy() for m in moved)
        ]  # fmt: skip

    ours = measured(on_gpu=False)
    with pretended_gpu():
        found = measured(on_gpu=True)
    for one, other in zip(ours[:2], found[:2], strict=True):
        np.testing.assert_allclose(other, one, **CLOSE)
    assert all(np.abs(other - cases.inputs).max() <= 0.1 + 1e-6 for other in found[2:])
