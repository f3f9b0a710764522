from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus.grad_sample.grad_sample_module import GradSampleModule
from opacus.optimizers import DPOptimizer
from scipy.stats import chi2
from torch import Tensor, nn

from client.clipped_sums import WAYS, clipped_sum
from client.clipping import CaseLoss, plainly_laid_out
from client.private_training import LocalTerms, PrivateTrainer, refuse_batch_norm
from client.training import Trainer
from common.data.cases import Batch, Cases, Shape
from common.errors import StudyError
from common.learning.client_work import Training
from common.learning.parameters import new_network, read, trainable
from common.learning.task import Task
from common.learning.tasks.classification import Classification
from common.learning.tasks.registration import Registration
from common.learning.tasks.segmentation import Segmentation
from common.privacy.noise import SeededNoise, gaussian
from common.privacy.release import Unit
from common.study.options import Entry
from common.sums.update import Vector

ROUNDING = {"rtol": 2e-4, "atol": 2e-5}
"""Float32 sums in another order, and 4e-6 of the clip norm that is left for them."""


def a_network(name: str, **options: object) -> Entry:
    return Entry(name, options)


PROBLEMS: dict[str, tuple[Task, Shape]] = {
    "unet": (Segmentation(network=a_network("unet", channels=4, depth=3)), Shape((1, 16, 16), 4)),
    "volumes": (Segmentation(network=a_network("unet", channels=4, depth=2)), Shape((1, 8, 8, 8), 3)),
    "cnn": (Classification(network=a_network("groupnorm_cnn", channels=8)), Shape((1, 28, 28), 10)),
    "large cases": (Classification(network=a_network("groupnorm_cnn", channels=8)), Shape((2, 104, 100), 3)),
    "kernels of 5": (Classification(network=a_network("mcmahan_cnn")), Shape((1, 12, 12), 3)),
    "mlp": (Classification(network=a_network("mlp", hidden=(16,))), Shape((13,), 2)),
    "logistic": (Classification(network=a_network("logistic")), Shape((13,), 2)),
    "pairs": (Registration(network=a_network("voxelmorph"), shuffle_pairs=True), Shape((2, 16, 16), 3)),
}
IN_2D = [name for name in PROBLEMS if name != "pairs"]


def some_cases(shape: Shape, count: int, a_patient: int = 1, task: Task | None = None) -> Cases:
    rng = np.random.default_rng(3)
    grid = shape.inputs[1:] if isinstance(task, Segmentation) else ()
    grid = shape.inputs if isinstance(task, Registration) else grid
    inputs = rng.normal(size=(count, *shape.inputs)).astype(np.float32)
    targets = rng.integers(0, shape.classes, (count, *grid))
    patients = np.array([f"patient {index // a_patient:04d}" for index in range(count)])
    return Cases.of(inputs, targets, patients, tuple(map(str, range(shape.classes))))


def a_problem(name: str, count: int = 5) -> tuple[CaseLoss, Cases]:
    task, shape = PROBLEMS[name]
    return CaseLoss(task, new_network(task, shape, 1).train()), some_cases(shape, count, task=task)


def units_of(cases: Cases) -> list[Batch]:
    return [cases.batch(np.array([index])) for index in range(len(cases))]


def by_opacus(loss: CaseLoss, batch: Batch, clip_norm: float) -> Vector:
    """The sum that Opacus' own optimiser makes before it adds noise."""
    module = GradSampleModule(plainly_laid_out(loss.network), loss_reduction="sum")
    parameters = [parameter for _, parameter in trainable(module._module)]
    plain = torch.optim.SGD(parameters, lr=1.0)
    optimiser = DPOptimizer(
        plain, noise_multiplier=0.0, max_grad_norm=clip_norm, expected_batch_size=len(batch), loss_reduction="sum"
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Full backward hook is firing")
        loss.task.loss(module._module, batch).sum().backward()
    optimiser.clip_and_accumulate()
    return torch.cat([parameter.summed_grad.reshape(-1) for parameter in parameters]).detach().numpy()


@pytest.mark.parametrize("clip_norm", [0.1, 1e6])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", IN_2D)
def test_every_way_gives_the_sum_that_opacus_gives(name: str, way: str, clip_norm: float) -> None:
    loss, cases = a_problem(name)
    expected = by_opacus(loss, cases.batch(), clip_norm)
    np.testing.assert_allclose(WAYS[way](loss, cases.batch(), clip_norm), expected, **ROUNDING)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_chosen_way_gives_what_the_loop_gives(name: str) -> None:
    loss, cases = a_problem(name)
    expected = WAYS["loop"](loss, cases.batch(), 0.5)
    assert np.linalg.norm(expected) > 0
    np.testing.assert_allclose(clipped_sum(loss, units_of(cases), 0.5), expected, **ROUNDING)


def test_a_clip_norm_that_never_clips_gives_the_plain_gradient() -> None:
    loss, cases = a_problem("cnn")
    trainer = Trainer(loss.task, loss.network, cases, Training(batch_size="full"), np.random.default_rng(1))
    expected = trainer.gradient_update().vectors[0]
    loss.zero_grad()
    np.testing.assert_allclose(clipped_sum(loss, units_of(cases), 1e6), expected, **ROUNDING)


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e4), st.sampled_from(list(WAYS)))
def test_no_case_contributes_more_than_the_clip_norm(clip_norm: float, size: float, way: str) -> None:
    loss, cases = a_problem("mlp", count=1)
    batch = cases.batch()
    batch.inputs.mul_(size)
    contribution = WAYS[way](loss, batch, clip_norm).astype(np.float64)
    assert np.linalg.norm(contribution) <= clip_norm


@settings(max_examples=15, deadline=None)
@given(st.floats(1e-3, 10.0), st.integers(1, 5))
def test_one_more_case_moves_the_sum_by_at_most_the_clip_norm(clip_norm: float, count: int) -> None:
    loss, cases = a_problem("cnn", count=count + 1)
    units = units_of(cases)
    sums = (clipped_sum(loss, some, clip_norm).astype(np.float64) for some in (units, units[:-1]))
    assert np.linalg.norm(np.subtract(*sums)) <= clip_norm * (1 + 1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_a_gradient_that_is_not_finite_counts_as_zero(way: str) -> None:
    loss, cases = a_problem("mlp")
    cases.inputs[2] = np.inf
    found = WAYS[way](loss, cases.batch(), 0.5)
    good = cases.batch(np.array([0, 1, 3, 4]))
    np.testing.assert_allclose(found, WAYS["loop"](loss, good, 0.5), **ROUNDING)


@pytest.mark.parametrize("way", WAYS)
def test_frozen_parameters_have_no_part_in_norm_or_sum(way: str) -> None:
    loss, cases = a_problem("unet")
    frozen = [p for name, p in loss.network.named_parameters() if "down" in name and "0.0.weight" in name]
    assert frozen
    for parameter in frozen:
        parameter.requires_grad_(False)
    expected = by_opacus(loss, cases.batch(), 0.1)
    assert len(expected) == sum(p.numel() for _, p in trainable(loss.network))
    np.testing.assert_allclose(WAYS[way](loss, cases.batch(), 0.1), expected, **ROUNDING)


class Unusual(nn.Module):
    """A parameter that belongs to no layer, and a layer that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(13))
        self.twice = nn.Linear(13, 13)
        self.last = nn.Linear(13, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last(self.twice(torch.tanh(self.twice(inputs * self.scale))))


def test_a_network_of_unknown_layers_goes_case_by_case() -> None:
    _, cases = a_problem("mlp")
    torch.manual_seed(1)
    loss = CaseLoss(Classification(), Unusual())
    with pytest.raises(NotImplementedError, match="mul"):
        WAYS["layers"](loss, cases.batch(), 0.5)
    expected = WAYS["loop"](loss, cases.batch(), 0.5)
    np.testing.assert_allclose(clipped_sum(loss, units_of(cases), 0.5), expected, **ROUNDING)


class Tokens(nn.Module):
    """A learned row at each of three places of a case, the first of which is there twice."""

    def __init__(self, **options: int) -> None:
        super().__init__()
        self.rows = nn.Embedding(4, 3, **options)
        self.last = nn.Linear(3, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        places = (inputs[:, [0, 1, 0]] > 0).long() + torch.tensor([0, 2, 0])
        return self.last(self.rows(places).tanh().sum(1))


def test_learned_tokens_are_taken_case_by_case_and_with_options_one_case_at_a_time() -> None:
    _, cases = a_problem("mlp")
    loss = CaseLoss(Classification(), Tokens())
    expected = WAYS["loop"](loss, cases.batch(), 0.5)
    assert np.count_nonzero(expected) > len(expected) / 2
    np.testing.assert_allclose(WAYS["layers"](loss, cases.batch(), 0.5), expected, **ROUNDING)
    padded = CaseLoss(Classification(), Tokens(padding_idx=0))
    with pytest.raises(NotImplementedError, match="embedding with options"):
        WAYS["layers"](padded, cases.batch(), 0.5)
    np.testing.assert_allclose(
        clipped_sum(padded, units_of(cases), 0.5), WAYS["loop"](padded, cases.batch(), 0.5), **ROUNDING
    )


def test_bfloat16_goes_case_by_case() -> None:
    task, shape = PROBLEMS["cnn"]
    loss = CaseLoss(task, new_network(task, shape, 1).train(), "bfloat16")
    cases = some_cases(shape, 3)
    assert np.array_equal(clipped_sum(loss, units_of(cases), 0.5), WAYS["loop"](loss, cases.batch(), 0.5))


def a_trainer(
    cases: Cases,
    name: str = "mlp",
    *,
    unit: Unit = "patient",
    sampling_rate: float = 0.5,
    noise_multiplier: float = 1.0,
    clip_norm: float = 0.5,
    training: Training | None = None,
    seed: int = 0,
    proximal_mu: float = 0.0,
    correction: Vector | None = None,
) -> PrivateTrainer:
    task, shape = PROBLEMS[name]
    draws, noise = (np.random.default_rng([seed, purpose]) for purpose in (1, 2))
    return PrivateTrainer(
        task,
        new_network(task, shape, 1),
        cases,
        training or Training(batch_size=2, steps=3),
        clip_norm,
        gaussian(noise_multiplier * clip_norm, SeededNoise(noise)),
        unit,
        sampling_rate,
        draws,
        terms=LocalTerms(proximal_mu, correction),
    )


def mlp_cases(count: int, a_patient: int = 1) -> Cases:
    return some_cases(PROBLEMS["mlp"][1], count, a_patient)


def test_no_two_cases_of_a_patient_are_in_one_step() -> None:
    cases = mlp_cases(30, a_patient=5)
    trainer = a_trainer(cases)
    samples = [trainer.sample() for _ in range(200)]
    assert all(len(set(cases.patients[sample])) == len(sample) for sample in samples)
    assert set(np.concatenate(samples).tolist()) == set(range(30))


def test_patients_need_not_stand_together() -> None:
    cases = mlp_cases(30, a_patient=5).take(np.random.default_rng(1).permutation(30))
    sample = a_trainer(cases, sampling_rate=1.0).sample()
    assert sorted(cases.patients[sample]) == sorted(set(cases.patients))


@pytest.mark.parametrize("unit", ["patient", "sample"])
def test_each_unit_is_in_a_step_with_the_same_chance_and_on_its_own(unit: Unit) -> None:
    trainer = a_trainer(mlp_cases(20), unit=unit, sampling_rate=0.3)
    steps = np.zeros((4000, 20))
    for row in steps:
        row[trainer.sample()] = 1
    assert np.abs(steps.mean(0) - 0.3).max() < 4.5 * np.sqrt(0.3 * 0.7 / 4000)
    assert abs(steps.sum(1).var() / (20 * 0.3 * 0.7) - 1) < 0.12


def test_adding_a_patient_changes_the_sum_by_at_most_the_clip_norm() -> None:
    cases = mlp_cases(40, a_patient=4)
    for gone in range(0, 40, 4):
        kept = np.delete(np.arange(40), range(gone, gone + 4))
        whole = a_trainer(cases, sampling_rate=1.0).clipped_sum()
        fewer = a_trainer(cases.take(kept), sampling_rate=1.0)
        chosen = a_trainer(cases, sampling_rate=1.0).sample()
        loss = CaseLoss(fewer.task, fewer.network)
        without = clipped_sum(loss, [cases.batch(np.array([i])) for i in chosen if i in kept], 0.5)
        assert 0 < np.linalg.norm(whole - without) <= 0.5 * (1 + 1e-5)


def test_a_unit_is_augmented_alone() -> None:
    """This task lays a pair's moving image on another's fixed one, and so would mix patients."""
    task, shape = PROBLEMS["pairs"]
    cases = some_cases(shape, 4, task=task)
    found = a_trainer(cases, "pairs", sampling_rate=1.0).clipped_sum()
    loss = CaseLoss(task, new_network(task, shape, 1).train())
    np.testing.assert_allclose(found, clipped_sum(loss, units_of(cases), 0.5), **ROUNDING)


def test_an_empty_sample_is_noise_and_still_a_step() -> None:
    trainer = a_trainer(mlp_cases(5), sampling_rate=1e-12)
    assert not trainer.clipped_sum().any()
    update = trainer.gradient_update()
    assert np.abs(update.vectors[0]).min() > 0
    change, steps = trainer.local_update()
    assert steps == 3
    assert np.abs(change.vectors[0]).max() > 0


def test_the_noise_has_the_standard_deviation_that_was_asked_for() -> None:
    trainer = a_trainer(mlp_cases(5), sampling_rate=1.0, noise_multiplier=2.5, clip_norm=0.4)
    same = a_trainer(mlp_cases(5), sampling_rate=1.0, noise_multiplier=2.5, clip_norm=0.4)
    noise = np.concatenate([trainer.noisy_sum() - same.clipped_sum() for _ in range(40)]).astype(np.float64)
    squares = float((noise**2).sum()) / (2.5 * 0.4) ** 2
    assert chi2.ppf(1e-4, noise.size) < squares < chi2.ppf(1 - 1e-4, noise.size)
    assert abs(noise.mean()) < 4 / np.sqrt(noise.size)


@pytest.mark.parametrize(("unit", "expected"), [("patient", 0.25 * 4), ("sample", 0.25 * 12)])
def test_a_gradients_weight_is_the_expected_number_whatever_the_sample(unit: Unit, expected: float) -> None:
    cases = mlp_cases(12, a_patient=3)
    updates = [a_trainer(cases, unit=unit, sampling_rate=0.25, seed=seed).gradient_update() for seed in range(20)]
    assert {update.weight for update in updates} == {expected}
    assert not any(update.statistics for update in updates)


def test_a_changes_weight_is_the_number_of_cases_and_nothing_else_is_told() -> None:
    update, steps = a_trainer(mlp_cases(12, a_patient=3)).local_update()
    assert (update.weight, dict(update.statistics), steps) == (12.0, {}, 3)


def test_an_epoch_has_as_many_steps_as_expect_to_show_every_unit() -> None:
    training = Training(epochs=2, batch_size=3)
    assert a_trainer(mlp_cases(10), sampling_rate=0.3, training=training).local_update()[1] == 2 * 4


def test_without_noise_and_clipping_a_full_step_is_ordinary_training() -> None:
    cases = mlp_cases(10)
    training = Training(batch_size="full", steps=4, optimiser="adam", learning_rate=0.01)
    private = a_trainer(
        cases, sampling_rate=1.0, noise_multiplier=1e-9, clip_norm=1e4, training=training, proximal_mu=0.3
    )
    plain = Trainer(
        private.task, new_network(private.task, cases.shape, 1), cases, training, np.random.default_rng(0)
    )
    found, expected = private.local_update()[0], plain.local_update(0.3)[0]
    np.testing.assert_allclose(found.vectors[0], expected.vectors[0], rtol=1e-3, atol=1e-4)


def test_a_correction_is_added_after_the_noise() -> None:
    cases, training = mlp_cases(10), Training(steps=1, batch_size="full", learning_rate=0.1)
    correction = np.full(read(a_trainer(cases).network).size, 3.0, np.float32)
    updates = [a_trainer(cases, training=training, correction=some).local_update()[0] for some in (None, correction)]
    np.testing.assert_allclose(updates[1].vectors[0] - updates[0].vectors[0], -0.1 * 10 * correction, rtol=1e-3)


def test_the_same_seeds_give_the_same_update() -> None:
    first, again, other = (a_trainer(mlp_cases(10), seed=seed).gradient_update().vectors[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_batch_normalisation_is_refused_by_name_with_advice() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    with pytest.raises(StudyError, match=r"1 is a BatchNorm2d.*GroupNorm"):
        refuse_batch_norm(network)


def test_the_parameters_and_their_gradients_are_left_as_they_were() -> None:
    for way in WAYS:
        loss, cases = a_problem("cnn")
        before = read(loss.network)
        WAYS[way](loss, cases.batch(), 0.5)
        assert np.array_equal(before, read(loss.network))
        assert all(parameter.grad is None for parameter in loss.network.parameters())
        assert not _hooks(loss.network.modules())


def _hooks(modules: Sequence[nn.Module]) -> bool:
    return any(module._forward_hooks or module._backward_hooks for module in modules)
