from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from time import process_time

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from common.data.cases import Batch
from common.learning.parameters import new_network, read_gradient, write
from common.learning.tasks.classification import soft_cross_entropy
from common.study.study import Study, parse
from experiments.attack import Attack, Finding
from experiments.attacks.analytic import Analytic
from experiments.attacks.deep_image_prior import DeepImagePrior
from experiments.attacks.dlg import DeepLeakage
from experiments.attacks.inversion.differentiable_client import Victim
from experiments.attacks.inversion.inverting import problem_of
from experiments.attacks.inversion.problem import InversionProblem
from experiments.attacks.inversion.updates import as_gradient, captured_updates
from experiments.attacks.inverting_gradients import InvertingGradients
from experiments.attacks.matching import Matching
from experiments.attacks.multi_step import MultiStep
from experiments.audit.questions._similarity import psnr_db
from experiments.audit.questions._similarity_to_patients import ReconstructionScore, score
from experiments.benchmarks import inversion
from experiments.benchmarks._inversion_problems import LOCAL_LEARNING_RATE, LOCAL_STEPS, networks, problems
from experiments.evidence.budget import Budget
from experiments.evidence.ground_truth import Truth, all_training_cases, truth_of
from experiments.evidence.observing import observe
from experiments.observation import Observation
from experiments.running.run import run_study

SECONDS = 60.0
SIDE = 12
STUDY = """
title = "Inverted"
rounds = 1
seed = 11
engine = "inline"
source = { name = "medmnist" }
partition = { name = "quantity", hospitals = 4 }
task = { name = "classification", network = { name = "mlp", hidden = [64] } }
strategy = "fedsgd"
aggregation = "plain"
training = { batch_size = 1, learning_rate = 0.1 }
split = { validation = 0.2, test = 0.2 }
federation = { start_timeout_s = 60, round_timeout_s = 60, record_traffic = true }
"""

Run = Callable[..., tuple[Study, Observation]]


def blobs(rng: np.random.Generator) -> NDArray[np.uint8]:
    """(SIDE, SIDE): three bright spots, so that no two images are alike and all are smooth."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    image = np.zeros((SIDE, SIDE))
    for _ in range(3):
        row, column = rng.uniform(1, SIDE - 2, 2)
        square = (rows - row) ** 2 + (columns - column) ** 2
        image += rng.uniform(60, 200) * np.exp(-square / (2 * rng.uniform(1, 2.5) ** 2))
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def spotted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 images of 12 x 12 with labels drawn from four classes."""
    rng = np.random.default_rng(1)
    images = np.stack([blobs(rng) for _ in range(48)])
    labels = rng.integers(0, 4, (48, 1), dtype=np.uint8)
    parts = {"train": slice(0, 32), "val": slice(32, 40), "test": slice(40, 48)}
    arrays = {f"{part}_images": images[cut] for part, cut in parts.items()}
    arrays |= {f"{part}_labels": labels[cut] for part, cut in parts.items()}
    folder = tmp_path_factory.mktemp("spotted")
    np.savez(folder / "spotted.npz", **arrays)
    return folder


@pytest.fixture
def run(spotted: Path, tmp_path: Path) -> Run:
    """Run the study with overrides as on the command line: it, and what the server saw."""

    def go(*overrides: str) -> tuple[Study, Observation]:
        study = parse(STUDY, [f'source.folder="{spotted}"', *overrides])
        run_study(study, "inverted", tmp_path / "run")
        return study, observe(tmp_path / "run")

    return go


@pytest.fixture(scope="module")
def outlined(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Observation]:
    """A segmentation of two hospitals whose cases are augmented, run, and what the server saw."""
    study = parse(
        STUDY.replace('partition = { name = "quantity", hospitals = 4 }', ""),
        [
            'source={name="phantom", hospitals=2, patients=[3], slices_per_patient=1, size=32}',
            'task={name="segmentation", augmentation="contrast", network={name="unet", channels=4}}',
        ],
    )
    folder = tmp_path_factory.mktemp("outlined") / "run"
    run_study(study, "outlined", folder)
    return study, observe(folder)


def invert(attack: Attack, observed: Observation, seconds: float = SECONDS) -> Finding:
    return attack.run(observed, np.random.default_rng(0), seconds)


def scores(study: Study, finding: Finding) -> list[ReconstructionScore]:
    everybody = all_training_cases(study)
    return [score(one, truth_of(study, one.round, one.sites), everybody) for one in finding.reconstructions]


def exactly(found: NDArray[np.float32], truth: Truth) -> list[int]:
    """Indices of the true cases that came back exactly."""
    near = np.abs(found[:, None] - truth.inputs[None]).reshape(len(found), len(truth), -1).max(2) < 1e-3
    return np.flatnonzero(near.any(0)).tolist()


def alone_in_units(study: Study, observed: Observation, truth: Truth) -> NDArray[np.int64]:
    """(N,) how many ReLU units of the first layer answered to this case and to no other, counted one by one."""
    network = new_network(study.build_task(), observed.shape, study.seed)
    write(network, observed.models[1])
    first = next(module for module in network.modules() if isinstance(module, torch.nn.Linear))
    with torch.no_grad():
        answered = (first(torch.from_numpy(truth.inputs).flatten(1)) > 0).numpy()
    return np.array([int(answered[case, answered.sum(0) == 1].sum()) for case in range(len(truth))])


def test_the_analytic_attack_returns_the_exact_image_and_label_of_every_hospital(run: Run) -> None:
    study, observed = run()
    finding = invert(Analytic(updates=4), observed)
    assert len(finding.reconstructions) == 4
    for found in finding.reconstructions:
        truth = truth_of(study, found.round, found.sites)
        np.testing.assert_allclose(found.inputs, truth.inputs, atol=1e-4)
        np.testing.assert_array_equal(found.labels, truth.targets)
    for one in scores(study, finding):
        assert one.figures["psnr_db"] > 80
        assert one.figures["recognised_share"] == 1


def test_whole_numbers_of_eight_bits_hide_no_patient(run: Run) -> None:
    """Compression is no protection: what arrives is attacked, and each patient is recognised in it."""
    study, observed = run("federation.compression={kind='int8'}")
    finding = invert(Analytic(updates=4), observed)
    assert [one.figures["recognised_share"] for one in scores(study, finding)] == [1.0] * 4


def test_where_no_gradient_of_a_bias_arrived_what_is_read_has_no_more_places_than_arrived(run: Run) -> None:
    """The two largest of 9,604 values: units that would agree are none."""
    _, observed = run("training.batch_size=4", "federation.compression={kind='top_k', share=0.0002}")
    found = invert(Analytic(updates=4), observed).reconstructions
    arrived = {one.site: np.count_nonzero(one.update.vectors[0]) for one in observed.singles}
    assert len(found) == 4 and set(arrived.values()) == {2}
    assert max(np.count_nonzero(one.inputs) for one in found) <= 2


def test_of_four_cases_those_come_back_exactly_that_had_two_units_to_themselves(run: Run) -> None:
    study, observed = run("training.batch_size=4")
    finding = invert(Analytic(updates=4), observed)
    counted = 0
    for found in finding.reconstructions:
        truth = truth_of(study, found.round, found.sites)
        alone = alone_in_units(study, observed, truth)
        assert set(np.flatnonzero(alone >= 2)) <= set(exactly(found.inputs, truth))
        assert set(exactly(found.inputs, truth)) <= set(np.flatnonzero(alone >= 1))
        counted += int((alone >= 2).sum())
    assert counted > 0


def test_the_label_of_a_single_case_is_read_exactly(run: Run) -> None:
    study, observed = run("rounds=3")
    draws = torch.Generator().manual_seed(0)
    for captured in captured_updates(observed):
        labels = problem_of(observed, captured, 16, draws).labels
        np.testing.assert_array_equal(labels, truth_of(study, captured.round, captured.sites).targets)


def test_inverting_gradients_of_a_small_cnn_brings_back_this_patient_and_nobody_else(run: Run) -> None:
    study, observed = run('task.network={name="mcmahan_cnn"}')
    (one,) = scores(study, invert(InvertingGradients(iterations=100), observed))
    assert one.figures["ssim_fitted"] > 0.7
    assert (one.cases[0].rank, one.cases[0].candidates) == (1, 32)


def test_matching_of_a_small_cnn_brings_back_this_patient_and_nobody_else(run: Run) -> None:
    study, observed = run('task.network={name="mcmahan_cnn"}')
    (one,) = scores(study, invert(Matching(iterations=100), observed))
    assert one.figures["ssim_fitted"] > 0.7
    assert (one.cases[0].rank, one.cases[0].candidates) == (1, 32)


def test_a_deep_image_prior_brings_back_this_patient_and_nobody_else(run: Run) -> None:
    study, observed = run('task.network={name="mcmahan_cnn"}')
    (one,) = scores(study, invert(DeepImagePrior(iterations=120), observed))
    assert one.figures["ssim_fitted"] > 0.7
    assert (one.cases[0].rank, one.cases[0].candidates) == (1, 32)


def test_of_masked_sums_there_is_no_single_update_and_the_sum_shows_no_patient(run: Run) -> None:
    study, observed = run("aggregation=secagg", 'training={batch_size="full"}')
    refused = invert(MultiStep(), observed)
    assert (refused.possible, refused.reconstructions) == (False, ())
    assert refused.reason.startswith("sees only sums of 4 hospitals")
    for attack in (Analytic(), InvertingGradients(iterations=15), Matching(iterations=15)):
        finding = invert(attack, observed)
        assert finding.possible
        assert finding.reason == "tried on the sum of 4 hospitals, no single update being seen"
        (one,) = scores(study, finding)
        assert one.figures["psnr_db"] < 30


def test_simulating_one_step_brings_back_what_the_analytic_attack_does(run: Run) -> None:
    study, observed = run(
        "partition.hospitals=20", "federation.hospitals_at_start=1", "strategy=fedavg", 'training.batch_size="full"'
    )
    exact = invert(Analytic(), observed)
    finding = invert(MultiStep(iterations=120), observed)
    assert exact.reconstructions[0].sites == finding.reconstructions[0].sites
    truth = truth_of(study, 1, finding.reconstructions[0].sites)
    np.testing.assert_allclose(exact.reconstructions[0].inputs, truth.inputs, atol=1e-3)
    (one,) = scores(study, finding)
    assert one.figures["correlation"] > 0.9
    assert one.cases[0].rank == 1


def test_simulating_adaptive_steps_brings_back_this_patient_and_nobody_else(run: Run) -> None:
    """Of Adam too, and of one step: `test_local_steps.py`, where the network is smooth."""
    training = 'training={batch_size="full", steps=2, learning_rate=0.001, optimiser="adamw"}'
    study, observed = run(
        "partition.hospitals=20",
        "federation.hospitals_at_start=1",
        "strategy=fedavg",
        'task.network={name="mcmahan_cnn"}',
        training,
    )
    (one,) = scores(study, invert(MultiStep(iterations=75), observed))
    assert one.figures["correlation"] > 0.7
    assert one.cases[0].rank == 1 < one.cases[0].candidates


def test_a_step_of_adamw_is_taken_for_signs_of_the_gradient_without_its_weight_decay(run: Run) -> None:
    training = 'training={batch_size="full", learning_rate=0.001, optimiser="adamw", weight_decay=5.0}'
    study, observed = run("strategy=fedavg", training)
    for captured in captured_updates(observed):
        taken = np.abs(as_gradient(captured, study))
        assert 0.999 < taken.max() < 1.001


@pytest.mark.parametrize("attack", [Matching(iterations=80, polish_iterations=80), DeepLeakage(iterations=300)])
def test_of_a_smooth_network_the_image_comes_back_nearly_exactly(attack: Matching | DeepLeakage) -> None:
    draws = torch.Generator().manual_seed(3)
    layers: list[torch.nn.Module] = [torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.Sigmoid()]
    network = torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(8 * SIDE**2, 3))
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, -0.5, 0.5, generator=draws)
    victim = Victim(network, lambda body, inputs, truth: soft_cross_entropy(body(inputs), truth))
    image = torch.from_numpy(blobs(np.random.default_rng(2)) / 255).float()[None, None]
    captured = tuple(part.detach() for part in victim.gradient(image, torch.eye(3)[:1]))
    problem = InversionProblem(victim, captured, tuple(image.shape), (1, 3), np.array([0]))
    attempt = attack.search(problem, draws, Budget(SECONDS))
    assert psnr_db(image.numpy(), attempt.inputs.numpy(), 1.0) > 30


@pytest.mark.parametrize("batch", ["4", '"full"'])
def test_the_replayed_cases_are_those_the_gradient_was_computed_from(run: Run, batch: str) -> None:
    study, observed = run("rounds=2", f"training.batch_size={batch}")
    assert len(observed.singles) == 8
    replayed(study, observed)


def test_augmented_cases_of_a_segmentation_are_replayed_too(outlined: tuple[Study, Observation]) -> None:
    replayed(*outlined)


def test_of_a_segmentation_image_and_outlines_are_searched_together(outlined: tuple[Study, Observation]) -> None:
    study, observed = outlined
    shorter, longer = (invert(Matching(iterations=count), observed) for count in (1, 40))
    assert longer.figures["gradient_distance"] < shorter.figures["gradient_distance"] < 2
    assert longer.reconstructions[0].inputs.shape == (1, 1, 32, 32)
    assert scores(study, longer)[0].figures["correlation"] > scores(study, shorter)[0].figures["correlation"]


def replayed(study: Study, observed: Observation) -> None:
    """The gradient of the replayed cases, computed anew, is the one that was sent."""
    task = study.build_task()
    for single in observed.singles:
        truth = truth_of(study, single.round, (single.site,))
        network = new_network(task, observed.shape, study.seed)
        write(network, single.order.parameters)
        again = Batch.of(torch.from_numpy(truth.inputs), torch.from_numpy(truth.targets), truth.patients)
        task.loss(network, again).sum().backward()
        np.testing.assert_allclose(single.update.vectors[0], read_gradient(network), rtol=1e-4, atol=1e-5)
        assert single.update.weight == len(truth)


def test_an_attack_of_endless_iterations_ends_when_its_seconds_have_passed(run: Run) -> None:
    _, observed = run()
    endless: Mapping[str, Attack] = {
        "deep_image_prior": DeepImagePrior(iterations=10**9),
        "dlg": DeepLeakage(iterations=10**9),
        "inverting_gradients": InvertingGradients(iterations=10**9),
        "matching": Matching(iterations=10**9, restarts=10**6),
    }
    for name, attack in endless.items():
        begun = process_time()
        finding = invert(attack, observed, seconds=0.2)
        assert finding.attack == name
        assert process_time() - begun < 30, "an endless attack goes on after its seconds"


def test_without_breaching_its_rows_of_the_benchmark_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(inversion.PEERS_PYTHON, raising=False)
    given = problems(0)[:1]
    assert inversion.peers(given, 1.0) == {}
    own, *others = inversion.rows(given, {"ours": [(given[0].image.numpy(), 1.0)]})
    assert own["PSNR dB"] == 120.0
    assert [row["each"] for row in others] == ["not measured", "not measured"]
    (target,) = inversion.targets([own, *others])
    assert (target.ours, target.peer, target.met) == (120.0, None, None)


def test_the_benchmark_captures_what_local_steps_change() -> None:
    problem = problems(LOCAL_STEPS)[0]
    network = networks()[problem.network]
    before = [parameter.detach().clone() for parameter in network.parameters()]
    optimiser = torch.optim.SGD(network.parameters(), lr=LOCAL_LEARNING_RATE)
    for _ in range(LOCAL_STEPS):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network(problem.image), torch.tensor([problem.label])).backward()
        optimiser.step()
    for parameter, old, part in zip(network.parameters(), before, problem.captured, strict=True):
        torch.testing.assert_close(parameter.detach() - old, part, rtol=1e-3, atol=1e-6)
