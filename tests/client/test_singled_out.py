"""What a hospital sees of a model that singles its cases out, and that looking changes nothing."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch

from client import singled_out as module
from client.hospital import open_hospital
from client.singled_out import Singled, _fished, _largest_share, _of_units, refuse_singling_out, singled_out
from common.errors import WireError
from common.learning.client_work import Work
from common.learning.parameters import digest, read
from common.study.study import parse
from common.wire.train_requests import Order

STUDY = """
title = "Looked at"
rounds = 2
seed = 5
source = { name = "medmnist", classes = ["class 0", "class 1"], folder = "FOLDER" }
partition = { name = "iid", hospitals = 2 }
task = { name = "classification", network = { name = "mlp", hidden = [32] } }
strategy = "fedsgd"
aggregation = "plain"
training = { batch_size = 24 }
"""
CASES, UNITS = 40, 20


def of(answers: np.ndarray) -> Singled:
    return _of_units(answers.astype(np.float32))


def test_units_that_one_case_reaches_are_alone_and_rare() -> None:
    found = of(np.eye(CASES, UNITS))
    assert (found.alone, found.rare) == (0.95, 0.95)  # but for the units of one case


def test_an_outlier_that_reaches_honest_units_alone_is_no_trap() -> None:
    outlier = np.zeros((CASES, UNITS))
    outlier[7] = 1.0
    assert of(outlier) == Singled(0.0, 0.0, 0.0)
    outlier[3, :2] = 1.0
    outlier[7, :2] = 0.0
    assert of(outlier).alone == 0.1


def test_units_that_few_cases_reach_are_rare_and_not_alone() -> None:
    pairs = np.eye(CASES, UNITS) + np.eye(CASES, UNITS, -1)
    found = of(pairs)
    assert found.alone == 0.0 and found.rare == 0.9


def test_honest_units_that_follow_the_class_are_no_sign_however_sure_the_model_is_of_most_cases() -> None:
    classes = np.repeat(np.arange(2), CASES // 2)
    follow = (classes[:, None] == np.arange(UNITS)[None] % 2) * 10.0 ** -np.linspace(0, 12, CASES)[:, None]
    assert of(follow) == Singled(0.0, 0.0, 0.0)


def test_units_of_halves_that_have_nothing_in_common_are_neither() -> None:
    halves = np.random.default_rng(0).random((CASES, UNITS)) < 0.5
    assert of(halves) == Singled(0.0, 0.0, 0.0)


def test_units_that_nobody_reaches_count_for_nothing() -> None:
    with_dead = np.zeros((CASES, 2 * UNITS))
    with_dead[:, :UNITS] = np.eye(CASES, UNITS)
    assert of(with_dead).alone == 0.95
    assert of(np.zeros((CASES, UNITS))) == Singled(0.0, 0.0, 0.0)


def test_fewer_units_than_a_crowd_say_nothing() -> None:
    assert of(np.eye(CASES, module.FEW_UNITS - 1)).alone == 0.0


def test_scales_of_units_do_not_matter() -> None:
    scaled = np.eye(CASES, UNITS) * 10.0 ** np.linspace(-9, 9, UNITS)
    assert of(scaled).alone == 0.95


def test_the_largest_share_is_that_of_one_case_in_all_derivatives() -> None:
    assert _largest_share(np.array([[3.0, 4.0], [0.0, 0.0], [5.0, 0.0]], np.float32)) == (pytest.approx(0.5), 0)
    assert _largest_share(np.zeros((3, 2), np.float32))[0] == 0.0


def test_the_one_case_that_a_model_does_not_know_is_fished_for_by_nobody() -> None:
    features = np.full((20, 4), 1e-9, np.float32)
    features[3] = 1.0
    assert _fished(features, features) == 0.0
    assert _fished(features, np.ones((20, 2), np.float32)) > module.MOST_OF_ONE
    assert _fished(features, None) > module.MOST_OF_ONE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 pictures of 4 x 4, of nothing."""
    place, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(3)
    cuts = {"train": slice(0, 100), "val": slice(100, 110), "test": slice(110, 120)}
    images, labels = rng.integers(0, 255, (120, 4, 4), dtype=np.uint8), rng.integers(0, 2, (120, 1), dtype=np.uint8)
    arrays = {f"{part}_images": images[cut] for part, cut in cuts.items()}
    np.savez(place / "own.npz", **arrays, **{f"{part}_labels": labels[cut] for part, cut in cuts.items()})
    return place


def test_to_look_leaves_the_model_that_came_and_no_gradient_and_draws_nothing(folder: Path) -> None:
    study = parse(STUDY.replace("FOLDER", str(folder)))
    hospital = open_hospital(study.json, 0)
    drawn = torch.random.get_rng_state()
    other = np.full(len(read(hospital.network)), 0.01, np.float32)
    found = singled_out(hospital, Order(study.json, 1, other, Work("gradient")))
    assert set(found) == {"1", "3"}
    assert digest(read(hospital.network)) == digest(other) and hospital.network.training
    assert all(one.grad is None for one in hospital.network.parameters())
    assert torch.equal(torch.random.get_rng_state(), drawn)


def test_what_is_looked_at_is_the_batch_that_the_answer_is_of(folder: Path) -> None:
    study = parse(STUDY.replace("FOLDER", str(folder)))
    hospital = open_hospital(study.json, 0)
    order = Order(study.json, 1, read(hospital.network), Work("gradient"))
    first, again = module._cases_of(hospital, order), module._cases_of(hospital, order)
    assert len(first) == 24 and first.tolist() == again.tolist()
    assert module._cases_of(hospital, Order(study.json, 2, order.parameters, order.work)).tolist() != first.tolist()


@pytest.mark.parametrize(
    ("privacy", "refuses"),
    [
        ([], True),
        (['privacy={name="dpsgd",epsilon=5.0,delta=1e-3}'], False),
        (['privacy={name="dpsgd",epsilon=1e9,delta=1e-3}'], True),
        (['privacy={name="hospital",epsilon=5.0}'], True),
    ],
    ids=["no noise", "noise", "noise that hides nothing", "noise that only the server adds"],
)
def test_where_noise_hides_a_case_and_only_there_nothing_is_refused_for_what_cases_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch, privacy: list[str], refuses: bool
) -> None:
    monkeypatch.setattr(module, "singled_out", lambda *_: {"1": Singled(1.0, 1.0, 1.0)})
    study = parse(STUDY.replace("FOLDER", str(folder)), privacy)
    hospital = open_hospital(study.json, 0)
    order = Order(study.json, 1, read(hospital.network), Work("gradient"))
    with pytest.raises(WireError, match="traps") if refuses else nullcontext():
        refuse_singling_out(hospital, order)


def test_a_layer_that_the_forward_pass_leaves_out_is_no_error(folder: Path) -> None:
    study = parse(STUDY.replace("FOLDER", str(folder)))
    hospital = open_hospital(study.json, 0)
    layers = {"unused": torch.nn.Linear(3, 3)}
    assert module._derivatives(hospital, read(hospital.network), layers, np.arange(20)) == ({}, {})
