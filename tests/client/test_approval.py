from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from client.approval import approve, approve_alone
from client.hospital import Hospital, open_hospital
from common.catalogue import STRATEGIES
from common.errors import WireError
from common.order import Order
from common.parameters import Layout, new_network, read
from common.study import parse
from common.work import Work
from experiments.quiet import run_quietly

TEXT = """
title = "Tiny"
rounds = 3
seed = 11
engine = "inline"
source = { name = "medmnist" }
partition = { name = "iid", hospitals = 5 }
task = { name = "classification", network = { name = "mlp", hidden = [8] } }
strategy = "fedavg"
training = { batch_size = 8, learning_rate = 0.1 }
split = { validation = 0.2, test = 0.2 }
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    parts = {"train": 40, "val": 10, "test": 10}
    arrays = {f"{part}_images": rng.integers(0, 255, (n, 6, 6), dtype=np.uint8) for part, n in parts.items()}
    arrays |= {f"{part}_labels": rng.integers(0, 2, (n, 1), dtype=np.uint8) for part, n in parts.items()}
    folder = tmp_path_factory.mktemp("images")
    np.savez(folder / "tiny.npz", **arrays)
    return folder


@pytest.fixture
def hospital(images: Path) -> Hospital:
    return open_hospital(parse(TEXT, [f'source.folder="{images}"']).json, 0)


def order_of(hospital: Hospital, number: int = 1) -> Order:
    network = new_network(hospital.task, hospital.train.shape, hospital.study.seed)
    return Order(hospital.study.json, number, read(network), None)


def test_round_one_starts_from_the_seed_but_for_rounding(hospital: Hospital) -> None:
    order = order_of(hospital)
    approve(hospital, order)
    other = order.parameters.copy()
    other[3] = np.nextafter(other[3], np.float32(9))
    approve(hospital, replace(order, parameters=other))
    other[3] += np.float32(1e-4)
    with pytest.raises(WireError, match="seed gives"):
        approve(hospital, replace(order, parameters=other))
    approve(hospital, replace(order, parameters=other, round=2))
    with pytest.raises(WireError, match="numbered from 1"):
        approve(hospital, replace(order, round=0))


def test_parallel_rows_are_refused_in_any_round_even_among_others(hospital: Hospital) -> None:
    order = order_of(hospital, 3)
    layout = Layout.of(hospital.network)
    tensors = {name: part.copy() for name, part in layout.tensors(order.parameters).items()}
    name = next(name for name, part in tensors.items() if part.shape == (8, 36))
    tensors[name][2:6] = np.outer([1, -2, 3, 0.5], tensors[name][0])
    forged = np.concatenate([tensors[name].reshape(-1) for name in layout.shapes])
    with pytest.raises(WireError, match="one direction"):
        approve(hospital, replace(order, parameters=forged))


def test_a_model_of_another_length_is_refused(hospital: Hospital) -> None:
    with pytest.raises(WireError, match="parameters; 3 came"):
        approve(hospital, replace(order_of(hospital, 2), parameters=np.zeros(3, np.float32)))


def test_a_study_of_three_rounds_trains_in_no_fourth_and_is_scored_once_more(hospital: Hospital) -> None:
    order = order_of(hospital, 4)
    approve(hospital, replace(order, evaluate=("validation", "test")))
    with pytest.raises(WireError, match="ends with round 3; 4 came"):
        approve(hospital, replace(order, work=Work("delta")))
    with pytest.raises(WireError, match="ends with round 3; 5 came"):
        approve(hospital, replace(order, round=5))


@pytest.mark.parametrize("work", [Work("gradient"), Work("delta", 0.5), Work("delta", 0.0, True)])
def test_only_the_kind_of_work_that_the_studys_strategy_asks_for_is_done(work: Work, hospital: Hospital) -> None:
    approve(hospital, replace(order_of(hospital), work=Work("delta")))
    with pytest.raises(WireError, match="'fedavg' asks for"):
        approve(hospital, replace(order_of(hospital), work=work))


def test_fedprox_is_asked_with_the_studys_own_mu_alone(images: Path) -> None:
    study = parse(TEXT, [f'source.folder="{images}"', 'strategy={name="fedprox", proximal_mu=0.25}'])
    hospital = open_hospital(study.json, 0)
    approve(hospital, replace(order_of(hospital), work=Work("delta", 0.25)))
    with pytest.raises(WireError, match="'fedprox' asks for"):
        approve(hospital, replace(order_of(hospital), work=Work("delta", 0.1)))


def test_between_rounds_only_the_studys_own_split_is_scored(hospital: Hospital, images: Path) -> None:
    approve(hospital, replace(order_of(hospital), evaluate=("validation",)))
    for split in ("train", "test"):
        with pytest.raises(WireError, match=f"{split}.* came"):
            approve(hospital, replace(order_of(hospital), evaluate=("validation", split)))
    with pytest.raises(WireError, match=r"train.* came"):
        approve(hospital, replace(order_of(hospital, 4), evaluate=("train",)))
    never = open_hospital(parse(TEXT, [f'source.folder="{images}"', "federation.evaluate_every=0"]).json, 0)
    with pytest.raises(WireError, match=r"validation.* came"):
        approve(never, replace(order_of(never), evaluate=("validation",)))


def test_a_model_of_its_own_is_trained_where_the_study_says_so_and_from_its_start_alone(
    hospital: Hospital, images: Path
) -> None:
    with pytest.raises(WireError, match=r"baselines\.local"):
        approve_alone(hospital, replace(order_of(hospital, 3), evaluate=("test",)))
    compared = open_hospital(parse(TEXT, [f'source.folder="{images}"', "baselines.local=true"]).json, 0)
    order = replace(order_of(compared, 3), evaluate=("test",))
    approve_alone(compared, order)
    with pytest.raises(WireError, match="seed gives"):
        approve_alone(compared, replace(order, parameters=order.parameters + 1))
    with pytest.raises(WireError, match="nothing else of it leaves"):
        approve_alone(compared, replace(order, evaluate=("train",)))
    with pytest.raises(WireError, match="nothing else of it leaves"):
        approve_alone(compared, replace(order, work=Work("delta")))


@pytest.mark.parametrize("name", STRATEGIES.names())
def test_no_honest_strategy_is_refused(name: str, images: Path, tmp_path: Path) -> None:
    """Three rounds, resumed after the first, and the final evaluation."""
    batch = ['training.batch_size="full"'] if STRATEGIES.load(name).sends == "gradient" else []
    study = parse(TEXT, [f'source.folder="{images}"', f'strategy="{name}"', *batch])
    run_quietly(replace(study, rounds=1), tmp_path)
    outcome = run_quietly(study, tmp_path, resume=True)
    assert [(len(r["contributed"]), r["dropped"]) for r in outcome.rounds] == [(5, [])] * 3
    assert len(outcome.final["test"]["sites"]) == 5
