"""The benchmark of inversion against the batch, on small made-up cases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from common.data.cases import Cases, Shape
from common.learning.networks.mlp import Mlp
from experiments.audit.questions._similarity_to_patients import CaseScore
from experiments.benchmarks._inversion_batches import KINDS, Kind, radiographs
from experiments.benchmarks._inversion_networks import groupnorm_cnn, lenet
from experiments.benchmarks.inversion_batch import BATCHES, FIGURES, Attacked, attacked, captured, figures, row


def made_up() -> Cases:
    """30 patients of 20 features, two classes."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(30, 20)).astype(np.float32)
    return Cases.of(inputs, rng.integers(0, 2, 30), np.array([f"p{k}" for k in range(30)]), ("no", "yes"))


TABLE = Kind("made up", "MLP", "analytic", made_up, Mlp((64,)).build)
CASE = CaseScore(0, 0, "p0", "a", 10.0, 20.0, 0.4, 0.5, 0.9, rank=1, candidates=50, rival=0.3)


def test_a_single_row_comes_back_exactly_and_other_patients_rows_do_not_look_like_it() -> None:
    found = row(TABLE, 1, TABLE.candidates())
    assert found["identified"] == found["similarity"] == pytest.approx(1)
    assert isinstance(found["others'"], float) and found["others'"] < 0.8
    assert found["by chance"] == pytest.approx(1 / 30)


def test_matching_is_scored_on_every_case_of_a_batch() -> None:
    candidates = TABLE.candidates()
    rebuilt = attacked(replace(TABLE, attack="matching"), candidates, start=8, batch=4, seconds_a_case=0.02)
    assert sorted(case.true for case in rebuilt.cases) == [0, 1, 2, 3]
    assert {case.patient for case in rebuilt.cases} == set(candidates.patients[8:12])
    assert all(case.candidates == 30 for case in rebuilt.cases + rebuilt.others)


def test_without_its_data_a_row_is_not_measured() -> None:
    found = row(TABLE, 4, None)
    assert {name for name, value in found.items() if value is None} == set(FIGURES)


def test_figures_are_means_over_cases_and_one_that_did_not_come_back_is_not_identified() -> None:
    missed = replace(CASE, rank=3, psnr_fitted_db=10.0, ssim_fitted=float("nan"))
    found = figures([Attacked([CASE, missed], [missed], 2.0), Attacked([CASE], [CASE], 4.0)], batch=2)
    assert found == {
        "PSNR dB": pytest.approx(50 / 3),
        "of others": 15.0,
        "similarity": pytest.approx((0.5 + 0.9 + 0.5) / 3),
        "others'": pytest.approx(0.7),
        "identified": 0.5,
        "by chance": pytest.approx(0.04),
        "CPU s": 3.0,
    }


def test_what_is_captured_is_the_mean_gradient_of_the_batch_at_the_same_network_every_time() -> None:
    cases = made_up().take(np.arange(3))
    problem = captured(TABLE, cases, torch.Generator().manual_seed(0))
    assert problem.inputs == (3, 20)
    network = TABLE.victim(cases.shape).network
    batch = cases.batch()
    torch.nn.functional.cross_entropy(network(batch.inputs), batch.targets).backward()
    for (_, parameter), part in zip(sorted(network.named_parameters()), problem.captured, strict=True):
        torch.testing.assert_close(parameter.grad, part)


@pytest.mark.parametrize("build", [groupnorm_cnn, lenet])
@pytest.mark.parametrize("shape", [Shape((3, 32, 32), 10), Shape((1, 28, 30), 2), Shape((1, 16, 14, 12), 2)])
def test_networks_fit_images_and_volumes(build: type, shape: Shape) -> None:
    assert build(shape)(torch.zeros(2, *shape.inputs)).shape == (2, shape.classes)


def test_tables_images_and_volumes_are_measured_at_batches_of_1_to_16(shared_data: Path) -> None:
    assert BATCHES == (1, 2, 4, 8, 16)
    assert {kind.attack for kind in KINDS} == {"analytic", "exact_batch", "matching", "bottleneck", "learned_prior"}
    assert all(kind.largest_batch == 1 for kind in KINDS if kind.attack == "bottleneck")
    table = KINDS[0].candidates()
    assert table.inputs.shape == (200, 13)
    assert len(set(table.patients)) == 200


def test_one_radiograph_comes_back_through_a_pooled_network(shared_data: Path) -> None:
    kind = next(kind for kind in KINDS if kind.attack == "bottleneck" and kind.cases is radiographs)
    found = attacked(kind, kind.candidates(), start=0, batch=1, seconds_a_case=3.0)
    (case,) = found.cases
    assert case.rank == 1
    assert case.ssim_fitted > found.others[0].ssim_fitted
