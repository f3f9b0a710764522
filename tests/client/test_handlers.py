from __future__ import annotations

from functools import partial

import numpy as np

from client.handlers import _controlled_update
from client.training import Trainer
from common.data.cases import Cases, Shape
from common.learning.client_work import Training
from common.learning.parameters import new_network, read
from common.learning.tasks.classification import Classification
from common.study.options import Entry


def two_cases() -> Cases:
    inputs = np.float32([[1.0, 0.0], [0.0, 2.0]])
    return Cases.of(inputs, np.array([0, 1]), np.array(["a", "b"]), ("no", "yes"))


def trainer(rate: float, steps: int) -> Trainer:
    task = Classification(network=Entry("logistic"))
    network = new_network(task, Shape((2,), 2), 3)
    training = Training(steps=steps, batch_size="full", learning_rate=rate)
    return Trainer(task, network, two_cases(), training, np.random.default_rng(0))


def test_a_hospitals_control_variate_follows_option_two() -> None:
    """c_k+ = c_k - c + (x - y) / (K eta), and the update carries n_k times both changes."""
    one = trainer(rate=0.5, steps=4)
    start = read(one.network)
    control = np.full(start.shape, 0.01, np.float32)
    memory: dict[str, np.ndarray] = {}
    update = _controlled_update(partial(one.local_update, 0.0), 0.5, control, memory)
    moved = read(one.network).astype(np.float64) - start
    expected = -control - moved / (4 * 0.5)
    np.testing.assert_allclose(memory["control"], expected, atol=1e-6)
    np.testing.assert_allclose(update.mean()[0], moved, atol=1e-6)
    np.testing.assert_allclose(update.mean()[1], expected, atol=1e-6)


def test_the_second_round_starts_from_the_kept_control_variate() -> None:
    memory: dict[str, np.ndarray] = {}
    one = trainer(rate=0.5, steps=2)
    zero = np.zeros_like(read(one.network))
    _controlled_update(partial(one.local_update, 0.0), 0.5, zero, memory)
    kept = memory["control"].copy()
    second = trainer(rate=0.5, steps=2)
    update = _controlled_update(partial(second.local_update, 0.0), 0.5, zero, memory)
    np.testing.assert_allclose(update.mean()[1], memory["control"] - kept, atol=1e-6)
