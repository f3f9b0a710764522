from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, RecordDict

from client import handlers as answers
from client.approval import approve, approve_alone
from client.approved_studies import digest_of
from client.hospital import Hospital, open_hospital
from client.protocol_context import open_local
from common.errors import WireError
from common.learning.client_work import Work
from common.learning.parameters import Layout, new_network, read
from common.study.catalogue import STRATEGIES
from common.study.study import parse
from common.wire.train_requests import Order, to_payload
from experiments.engines._quiet import run_quietly

TEXT = """
title = "Tiny"
rounds = 3
seed = 11
engine = "inline"
source = { name = "medmnist", classes = ["class 0", "class 1"] }
partition = { name = "iid", hospitals = 5 }
task = { name = "classification", network = { name = "mlp", hidden = [8] } }
strategy = "fedavg"
aggregation = "plain"
training = { batch_size = 8, learning_rate = 0.1 }
split = { validation = 0.2, test = 0.2 }
"""


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
    along = hospital.train.batch(np.arange(8)).inputs.numpy().reshape(8, -1) @ tensors[name][0]
    bias = next(one for one in tensors if one == name.replace("weight", "bias"))
    tensors[bias][[0, 2, 3, 4, 5]] = -np.quantile(along, [0.1, 0.3, 0.5, 0.7, 0.9]) * [1, 1, -2, 3, 0.5]
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
    for number in (-7, 2, 4):
        with pytest.raises(WireError, match=f"of round 3; {number} came"):
            approve_alone(compared, replace(order, round=number))


def test_a_control_variate_cannot_make_another_start_of_round_one(images: Path) -> None:
    study = parse(TEXT, [f'source.folder="{images}"', "strategy=scaffold"])
    hospital = open_hospital(study.json, 0)
    order = replace(order_of(hospital), work=Work("delta", 0.0, True))
    zero = np.zeros_like(order.parameters)
    approve(hospital, replace(order, control=zero))
    other = zero.copy()
    other[5] = 1e-6
    with pytest.raises(WireError, match="control variate must be zero"):
        approve(hospital, replace(order, control=other))
    approve(hospital, replace(order, control=other, round=2))


def test_scores_are_given_in_the_rounds_that_the_study_says(images: Path) -> None:
    study = parse(TEXT, [f'source.folder="{images}"', "federation.evaluate_every=2"])
    hospital = open_hospital(study.json, 0)
    for number in (1, 3):
        approve(hospital, replace(order_of(hospital, number), evaluate=("validation",)))
    with pytest.raises(WireError, match=r"in round 2 the study scores \[\]"):
        approve(hospital, replace(order_of(hospital, 2), evaluate=("validation",)))


@pytest.mark.parametrize(
    "promise", ["aggregation=secagg", 'privacy={name="dpsgd", epsilon=1.0, delta=1e-3}', "baselines.local=true"]
)
def test_a_real_hospital_keeps_scores_of_its_own_model_where_the_study_promises_sums_or_epsilon(
    promise: str, images: Path
) -> None:
    study = parse(TEXT, [f'source.folder="{images}"', "baselines.local=true", promise])
    hospital = open_hospital(study.json, 0)
    request = to_payload(replace(order_of(hospital, 3), evaluate=("test",)))
    kept = answers.RequestContext({}, lambda: None, None, simulated=True)
    assert answers.local(hospital, request, kept).numbers
    if promise.startswith("baselines"):
        assert answers.local(hospital, request, replace(kept, simulated=False)).numbers
        return
    with pytest.raises(WireError, match="would break what this study promises"):
        answers.local(hospital, request, replace(kept, simulated=False))


@pytest.mark.parametrize("name", STRATEGIES.names())
def test_no_honest_strategy_is_refused(name: str, images: Path, tmp_path: Path) -> None:
    """Three rounds, resumed after the first, and the final evaluation."""
    batch = ['training.batch_size="full"'] if STRATEGIES.load(name).sends == "gradient" else []
    few = ["strategy.byzantine=0"] if name == "bulyan" else []
    study = parse(TEXT, [f'source.folder="{images}"', f'strategy="{name}"', *batch, *few])
    run_quietly(replace(study, rounds=1), tmp_path)
    outcome = run_quietly(study, tmp_path, resume=True)
    assert [(len(r["contributed"]), r["dropped"]) for r in outcome.rounds] == [(5, [])] * 3
    assert len(outcome.final["test"]["sites"]) == 5


def test_a_study_is_the_one_that_was_approved_wherever_a_hospital_keeps_its_data(
    images: Path, tmp_path: Path
) -> None:
    """Ledgers count it, and hospitals sign their sums, under one digest."""
    shutil.copy(images / "tiny.npz", tmp_path)
    study = parse(TEXT)
    here, there = (open_hospital(study.json, 1, str(folder)) for folder in (images, tmp_path))
    assert here.study != there.study
    assert here.digest == there.digest == digest_of(study.json)
    context = Context(1, 1, {"simulated": True}, RecordDict(), {})
    assert {open_local(one, context, 1, "", {}).study for one in (here, there)} == {here.digest}
