"""Volumes: what inversion brings back of them, and a whole audit of a run on them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import nibabel as nib
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from common.data.cases import Shape
from common.learning.tasks.classification import soft_cross_entropy
from common.study.study import Study, parse
from experiments.attack import Attack
from experiments.attacks.analytic import Analytic
from experiments.attacks.deep_image_prior import DeepImagePrior
from experiments.attacks.inversion.descent import lbfgs
from experiments.attacks.inversion.differentiable_client import Victim
from experiments.attacks.inversion.inverting import most_cases
from experiments.attacks.inversion.priors import total_variation
from experiments.attacks.inversion.problem import InversionProblem
from experiments.attacks.matching import Matching, tiled_noise
from experiments.audit.conduct import Effort, audit_run
from experiments.audit.questions import _canaries, _sent_noise
from experiments.audit.questions._similarity import fitted, psnr_db, ssim
from experiments.audit.questions._similarity_to_patients import ReconstructionScore, score
from experiments.audit.records import Report
from experiments.audit.report.images import picture_of
from experiments.audit.report.page import SCHEMA, json_of, page_of
from experiments.engines._quiet import run_quietly
from experiments.evidence.budget import Budget
from experiments.evidence.ground_truth import all_training_cases, truth_of
from experiments.evidence.observing import observe
from tests.experiments.test_matrix import coarse_bounds

SECONDS = 60.0
SIDE = 8
STUDY = """
title = "Volumes"
rounds = 1
seed = 11
engine = "inline"
source = { name = "medmnist" }
partition = { name = "quantity", hospitals = 3 }
task = { name = "classification", network = { name = "mlp", hidden = [16] } }
strategy = "fedsgd"
aggregation = "plain"
training = { batch_size = 1, learning_rate = 0.1 }
split = { validation = 0.2, test = 0.2 }
federation = { start_timeout_s = 60, round_timeout_s = 60, record_traffic = true }
"""


def blobs(rng: np.random.Generator) -> NDArray[np.uint8]:
    """(SIDE, SIDE, SIDE): three bright spots, so that no two volumes are alike and all are smooth."""
    places = np.stack(np.mgrid[:SIDE, :SIDE, :SIDE])
    volume = np.zeros((SIDE, SIDE, SIDE))
    for _ in range(3):
        square = ((places - rng.uniform(1, SIDE - 2, (3, 1, 1, 1))) ** 2).sum(0)
        volume += rng.uniform(60, 200) * np.exp(-square / (2 * rng.uniform(1, 2) ** 2))
    return np.clip(volume, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def spotted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 volumes with labels drawn from three classes."""
    rng = np.random.default_rng(1)
    volumes = np.stack([blobs(rng) for _ in range(36)])
    labels = rng.integers(0, 3, (36, 1), dtype=np.uint8)
    parts = {"train": slice(0, 24), "val": slice(24, 30), "test": slice(30, 36)}
    arrays = {f"{part}_images": volumes[cut] for part, cut in parts.items()}
    arrays |= {f"{part}_labels": labels[cut] for part, cut in parts.items()}
    folder = tmp_path_factory.mktemp("spotted")
    np.savez(folder / "spotted3d.npz", **arrays)
    return folder


@pytest.fixture
def volumes(spotted: Path) -> Callable[..., Study]:
    """The study, with overrides as on the command line."""
    return lambda *overrides: parse(STUDY, [f'source.folder="{spotted}"', *overrides])


def scored(study: Study, folder: Path, attack: Attack) -> ReconstructionScore:
    """What the attack finds in what the server saw of a run of the study, scored."""
    run_quietly(study, folder)
    (one,) = attack.run(observe(folder), np.random.default_rng(0), SECONDS).reconstructions
    return score(one, truth_of(study, one.round, one.sites), all_training_cases(study))


def test_a_volume_comes_back_exactly_from_a_first_linear_layer(volumes: Callable[..., Study], tmp_path: Path) -> None:
    found = scored(volumes(), tmp_path, Analytic())
    assert found.figures["psnr_db"] > 80
    assert found.figures["recognised_share"] == 1


@pytest.mark.parametrize("attack", [Matching(iterations=50), DeepImagePrior(iterations=50)])
def test_a_volume_comes_back_from_a_convolutional_network_as_this_patient(
    volumes: Callable[..., Study], tmp_path: Path, attack: Attack
) -> None:
    found = scored(volumes("task.network=mcmahan_cnn"), tmp_path, attack)
    assert found.figures["correlation"] > 0.7
    assert found.cases[0].rank == 1 < found.cases[0].candidates


def test_of_a_smooth_network_a_volume_comes_back_nearly_exactly() -> None:
    draws = torch.Generator().manual_seed(3)
    layers: list[torch.nn.Module] = [torch.nn.Conv3d(1, 6, 3, padding=1), torch.nn.Sigmoid()]
    network = torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(6 * SIDE**3, 3))
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, -0.5, 0.5, generator=draws)
    victim = Victim(network, lambda body, inputs, truth: soft_cross_entropy(body(inputs), truth))
    volume = torch.from_numpy(blobs(np.random.default_rng(2)) / 255).float()[None, None]
    captured = tuple(part.detach() for part in victim.gradient(volume, torch.eye(3)[:1]))
    problem = InversionProblem(victim, captured, tuple(volume.shape), (1, 3), np.array([0]))
    attack = Matching(iterations=80, polish_iterations=80)
    first, again = (attack.search(problem, torch.Generator().manual_seed(0), Budget(SECONDS)) for _ in range(2))
    assert psnr_db(volume.numpy(), first.inputs.numpy(), 1.0) > 30
    assert torch.equal(first.inputs, again.inputs)


def test_of_large_volumes_fewer_are_searched_at_once_and_one_at_least() -> None:
    assert most_cases(Shape((1, 128, 128), 2), 16) == 16
    assert most_cases(Shape((1, 52, 52, 52), 3), 16) == 1
    assert most_cases(Shape((1, 40, 40, 40), 3), 16) == 4
    assert most_cases(Shape((4, 240, 240, 155), 4), 16) == 1


def test_a_line_search_ends_when_the_seconds_are_over() -> None:
    asked: list[float] = []
    budget = Budget(10.0, lambda: float(len(asked)))
    unknown = torch.zeros(2, requires_grad=True)

    def rosenbrock() -> torch.Tensor:
        asked.append(0.0)
        return (1 - unknown[0]) ** 2 + 100 * (unknown[1] - unknown[0] ** 2) ** 2

    found = lbfgs(rosenbrock, [unknown], 1000, budget)
    assert len(asked) == 10
    assert found == pytest.approx(rosenbrock().item())


def test_total_variation_of_a_volume_is_the_mean_length_of_its_differences() -> None:
    volume = torch.zeros(1, 1, 3, 4, 5)
    volume[0, 0, 1, 2, 2] = 2.0
    # The bright voxel differs from three next ones, and it is the next one of three others.
    assert total_variation(volume).item() == pytest.approx((2 * 3**0.5 + 3 * 2) / 60, abs=1e-3)


def test_the_noise_a_search_begins_with_repeats_along_all_three_axes() -> None:
    noise = tiled_noise((1, 1, 8, 6, 9), torch.Generator().manual_seed(0))
    assert noise.shape == (1, 1, 8, 6, 9)
    assert torch.equal(noise[..., :4, :, :], noise[..., 4:, :, :])
    assert torch.equal(noise[..., :2, :], noise[..., 4:, :])
    assert torch.equal(noise[..., 0], noise[..., 8])
    assert noise[..., :4, :4, :4].unique().numel() == 64


def test_structural_similarity_of_volumes_is_that_of_windows_in_three_dimensions() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(1, 13, 12, 11))
    guess = truth + 0.5 * rng.normal(size=truth.shape)
    assert ssim(truth, guess, 4.0) == pytest.approx(_slow_ssim(truth[0], guess[0], 4.0))
    assert ssim(truth, fitted(truth, 7 - 3 * truth), 4.0) == pytest.approx(1)


def _slow_ssim(truth: NDArray[np.float64], guess: NDArray[np.float64], span: float) -> float:
    """Window by window, its weights written out (Wang et al. 2004, equations 13 to 16)."""
    along = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    weights = along[:, None, None] * along[None, :, None] * along[None, None, :]
    weights /= weights.sum()
    found = []
    for corner in np.ndindex(*(side - 10 for side in truth.shape)):
        cut = tuple(slice(start, start + 11) for start in corner)
        a, b = truth[cut], guess[cut]
        mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
        spread_a, spread_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
        shared = (weights * (a - mean_a) * (b - mean_b)).sum()
        c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
        above = (2 * mean_a * mean_b + c1) * (2 * shared + c2)
        found.append(above / ((mean_a**2 + mean_b**2 + c1) * (spread_a + spread_b + c2)))
    return float(np.mean(found))


def test_the_picture_of_a_volume_shows_its_middle_slices_across_all_axes() -> None:
    volume = np.zeros((1, 4, 6, 8))
    volume[0, 2, 0, 0], volume[0, 0, 3, 0], volume[0, 0, 0, 4] = 1.0, 1.0, 1.0
    url = picture_of(volume, 0.0, 1.0)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))
    factor = 160 // 8
    small = pixels[factor // 2 :: factor, factor // 2 :: factor]
    # Turned so that the last axis points up: (8, 6), (8, 4) and (6, 4) with a white line between, 6 wide.
    assert small.shape == (8 + 1 + 8 + 1 + 6, 6)
    across_first, across_second, across_third = small[:8], small[9:17, :4], small[18:, :4]
    assert np.argwhere(across_first).tolist() == [[7, 0]]
    assert np.argwhere(across_second).tolist() == [[7, 0]]
    assert np.argwhere(across_third).tolist() == [[5, 0]]
    assert (small[8] == 255).all() and (small[9:17, 4:] == 255).all()


def sound(report: Report) -> None:
    """The figures keep to the schema, the page shows pictures, and what was not possible says why."""
    schema = json.loads(SCHEMA.read_text())
    jsonschema.validate(json.loads(json_of(report)), schema, jsonschema.Draft202012Validator)
    assert "data:image/png" in page_of(report)
    assert all(trial.possible or trial.reason for trial in report.trials)


def tried(report: Report) -> set[tuple[str, str]]:
    """Kind and attack of all that could be tried."""
    return {(trial.kind, trial.attack) for trial in report.trials if trial.possible}


def test_an_audit_of_classified_volumes_rebuilds_them_and_tries_every_kind_of_attack(
    volumes: Callable[..., Study], tmp_path: Path
) -> None:
    run_quietly(volumes("rounds=2"), tmp_path)
    report = audit_run(tmp_path, Effort(2.0, pictures=True))
    sound(report)
    assert {verdict.light for verdict in report.verdicts} == {"red"}
    rebuilding = {
        "analytic",
        "matching",
        "inverting_gradients",
        "dlg",
        "deep_image_prior",
        "imprint",
        "blurred_imprint",
        "exact_batch",
    }
    assert {name for kind, name in tried(report) if kind == "reconstruction"} >= rebuilding
    assert {("labels", "label_counts"), ("evasion", "fgsm"), ("evasion", "pgd")} <= tried(report)
    (counted,) = {t.figures["exact_share"] for t in report.trials if t.attack == "label_counts"}
    assert counted == 1
    asked = {trial.site for trial in report.trials if trial.attack == "rmia"}
    assert len(asked) == 3
    for verdict in report.verdicts:
        words = " ".join(rule for _, rule in verdict.reasons)
        said = "not powerful enough to tell" in words or "keeps none for tests" in words
        assert said or verdict.site in asked, "a hospital without anybody to compare with says so"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 15 NIfTI volumes with their bright spots outlined."""
    rng, folder = np.random.default_rng(5), tmp_path_factory.mktemp("stored")
    for patient in range(15):
        volume = blobs(rng)
        for kind, values in (("images", volume.astype(np.float32)), ("labels", (volume > 100).astype(np.uint8))):
            (folder / kind).mkdir(exist_ok=True)
            nib.save(nib.Nifti1Image(values, np.eye(4)), folder / kind / f"p{patient}.nii.gz")
    return folder


def test_an_audit_of_outlined_volumes_under_differential_privacy_measures_epsilon(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attacked_by: Callable[..., None]
) -> None:
    attacked_by("gradient_canaries", "canary_cases", "sent_noise", "pgd", "loss_threshold", "matching")
    for room in (_canaries, _sent_noise):
        monkeypatch.setattr(room, "PLANTED_REPEATS", 1)
    study = parse(
        STUDY,
        [
            f'source={{name="nifti", folder="{stored}", dimensions=3, size=8, classes=["none", "spot"]}}',
            'task={name="segmentation", network={name="unet", channels=2, depth=2}}',
            'privacy={name="dpsgd", epsilon=8.0, delta=0.01}',
            "strategy=fedavg",
        ],
    )
    run_quietly(study, tmp_path)
    with coarse_bounds(monkeypatch):
        report = audit_run(tmp_path, Effort(0.5, pictures=True))
    sound(report)
    assert {("epsilon", "gradient_canaries"), ("epsilon", "canary_cases"), ("evasion", "pgd")} <= tried(report)
    measured = [t for t in report.trials if "epsilon_lower_bound" in t.figures]
    assert {t.attack for t in measured} == {"gradient_canaries", "canary_cases"}
    assert all(t.figures["epsilon_lower_bound"] <= t.figures["epsilon_claimed"] for t in measured)


def test_an_audit_of_pairs_of_volumes_tries_inversion_and_says_what_it_cannot(stored: Path, tmp_path: Path) -> None:
    study = parse(
        STUDY,
        [
            f'source={{name="nifti_pairs", folder="{stored}", size=[8, 8, 8]}}',
            'task={name="registration", network={name="voxelmorph", channels=2}}',
            "partition.hospitals=2",
            "strategy=fedavg",
        ],
    )
    run_quietly(study, tmp_path)
    report = audit_run(tmp_path, Effort(0.5, pictures=True))
    sound(report)
    assert {("reconstruction", "matching"), ("reconstruction", "dlg"), ("membership", "rmia")} <= tried(report)
    assert "evasion" not in {kind for kind, _ in tried(report)}
