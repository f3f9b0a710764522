"""A second derivation: Flower's own strategies, given the same local models, arrive at the same global ones.

Flower averages models where this project averages deltas, so agreement is to rounding. Where Flower departs from
the paper the test says how, and sets its state right by hand before comparing.
"""

from __future__ import annotations

import gc
from functools import reduce

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import strategy as flower
from flwr.supercore.task_identity import TaskIdentity

from client.normalised_updates import fair
from common.sums.update import Update
from server.strategies.bulyan import Bulyan
from server.strategies.fedadagrad import FedAdagrad
from server.strategies.fedadam import FedAdam
from server.strategies.fedavg import FedAvg
from server.strategies.fedavgm import FedAvgM
from server.strategies.fedyogi import FedYogi
from server.strategies.krum import Krum
from server.strategies.median import Median
from server.strategies.qfedavg import QFedAvg
from server.strategies.trimmed_mean import TrimmedMean
from server.strategy import Contributions

ROUNDS, HOSPITALS, LENGTH = 4, 7, 5
DELTAS = np.random.default_rng(7).normal(size=(ROUNDS, HOSPITALS, LENGTH))
SIZES = [3.0, 20.0, 7.0, 1.0, 11.0, 5.0, 2.0]
START = np.linspace(-1, 1, LENGTH).astype(np.float32)


@pytest.fixture(autouse=True)
def task(monkeypatch):
    """Flower makes messages only inside a run; and it collects garbage at every one, of all tests before this one."""
    monkeypatch.setattr(gc, "collect", lambda *_: 0)
    for name in ("run_id", "task_id", "node_id"):
        monkeypatch.setattr(TaskIdentity, f"_{name}", 1)


def replies(models, sizes, losses=None):
    request = Message(RecordDict(), dst_node_id=1, message_type="train")
    for model, size, loss in zip(models, sizes, losses or [0.0] * len(sizes), strict=True):
        arrays = ArrayRecord({"model": Array(np.asarray(model, dtype=np.float64))})
        metrics = MetricRecord({"num-examples": size, "train_loss": loss})
        yield Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=request)


def flower_step(strategy, number, model, deltas, sizes):
    """One aggregation of Flower's, told the model it sent out."""
    held = ArrayRecord({"model": Array(model)})
    keeps_records = isinstance(strategy, flower.FedAvgM)
    strategy.current_arrays = held if keeps_records else {"model": model}
    arrays, _ = strategy.aggregate_train(number, list(replies(model + deltas, sizes)))
    return arrays["model"].numpy()


def compare(ours, theirs, round_of, sizes=SIZES, before=lambda strategy, number: None):
    state, model, peer = ours.init(START), START, START.astype(np.float64)
    for number, deltas in enumerate(DELTAS, start=1):
        sent = {f"h{k}": (size, [delta]) for k, (size, delta) in enumerate(zip(sizes, deltas, strict=True))}
        state, model = ours.step(state, model, round_of(sent))
        before(theirs, number)
        peer = flower_step(theirs, number, peer, deltas, sizes)
        np.testing.assert_allclose(model, peer, rtol=1e-5, atol=1e-5)


def test_fedavg_is_flowers(round_of):
    compare(FedAvg(), flower.FedAvg(), round_of)


def test_fedavgm_is_flowers(round_of):
    theirs = flower.FedAvgM(server_learning_rate=0.5, server_momentum=0.9)
    compare(FedAvgM(learning_rate=0.5, momentum=0.9), theirs, round_of)


def begin_at_tau_squared(strategy, number):
    """Flower begins v at 0, below the paper's v_{-1} >= tau^2."""
    if number == 1:
        strategy.v_t = {"model": np.full(LENGTH, strategy.tau**2)}


def test_fedadagrad_is_flowers_begun_at_tau_squared(round_of):
    theirs = flower.FedAdagrad(eta=0.1, tau=0.05)
    compare(FedAdagrad(learning_rate=0.1, tau=0.05), theirs, round_of, before=begin_at_tau_squared)


def test_fedyogi_is_flowers_begun_at_tau_squared(round_of):
    theirs = flower.FedYogi(eta=0.1, tau=0.05)
    compare(FedYogi(learning_rate=0.1, tau=0.05), theirs, round_of, before=begin_at_tau_squared)


def test_fedadam_is_flowers_without_its_bias_correction(round_of):
    """Flower scales eta as Kingma and Ba do, one round ahead; Algorithm 2 of Reddi et al. does not."""

    def undo_correction(strategy, number):
        begin_at_tau_squared(strategy, number)
        correction = np.sqrt(1 - strategy.beta_2 ** (number + 1)) / (1 - strategy.beta_1 ** (number + 1))
        strategy.eta = 0.1 / correction

    compare(FedAdam(learning_rate=0.1, tau=0.05), flower.FedAdam(tau=0.05), round_of, before=undo_correction)


def test_the_median_is_flowers(round_of):
    compare(Median(), flower.FedMedian(), round_of)


def test_the_trimmed_mean_is_flowers(round_of):
    compare(TrimmedMean(beta=0.3), flower.FedTrimmedAvg(beta=0.3), round_of)


@pytest.mark.parametrize("byzantine", [0, 1, 2])
def test_krum_is_flowers(round_of, byzantine):
    compare(Krum(byzantine=byzantine), flower.Krum(num_malicious_nodes=byzantine), round_of)


def test_multi_krum_is_flowers_for_hospitals_of_equal_size(round_of):
    """Flower weights the selected by their number of cases; the paper, and this project, do not."""
    theirs = flower.MultiKrum(num_malicious_nodes=2, num_nodes_to_select=3)
    compare(Krum(byzantine=2, multi=3), theirs, round_of, sizes=[4.0] * HOSPITALS)


@pytest.mark.parametrize("byzantine", [0, 1])
def test_bulyan_is_flowers(round_of, byzantine):
    compare(Bulyan(byzantine=byzantine), flower.Bulyan(num_malicious_nodes=byzantine), round_of)


@pytest.mark.parametrize("q", [0.0, 0.1, 1.0, 2.5])
def test_qfedavg_is_flowers_for_hospitals_of_equal_size(q):
    """Flower counts hospitals alike, this project by their cases."""
    rate, losses = 0.2, [0.1, 2.0, 0.7, 1.1, 0.4, 3.0, 0.9]
    ours, theirs = QFedAvg(q=q), flower.QFedAvg(client_learning_rate=rate, q=q)
    model = START
    for deltas in DELTAS:
        sent = [
            fair(Update(((4 * delta).astype(np.float32),), 4.0), loss, q, rate)
            for delta, loss in zip(deltas, losses, strict=True)
        ]
        theirs.current_arrays = ArrayRecord({"model": Array(model.astype(np.float64))})
        arrays, _ = theirs.aggregate_train(1, list(replies(model + deltas, [4.0] * HOSPITALS, losses)))
        _, model = ours.step({}, model, Contributions(reduce(Update.__add__, sent), None, 28.0))
        np.testing.assert_allclose(model, arrays["model"].numpy(), rtol=1e-5, atol=1e-5)
