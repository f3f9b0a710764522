from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import client.training
from client.objective import shuffled_batches as batches
from client.training import Trainer, chunk_size
from common.data.cases import Batch, Cases, Shape
from common.errors import HospitalError
from common.learning.client_work import Training
from common.learning.parameters import new_network, read, write
from common.sums.mean import Mean

SHAPE = Shape((3,), 2)


class Linear:
    """Softmax regression, small enough to work out by hand."""

    headline: ClassVar[str] = "accuracy"

    def build_network(self, shape: Shape) -> nn.Module:
        return nn.Linear(shape.inputs[0], shape.classes)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        return nn.functional.cross_entropy(network(batch.inputs), batch.targets, reduction="none")

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        return {"accuracy": Mean.of((self.predict(network, batch.inputs) == batch.targets).float().tolist())}

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        return batch

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        return network(inputs).argmax(1)


def some_cases(count: int, seed: int = 0) -> Cases:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, 3)).astype(np.float32)
    return Cases.of(
        inputs, (inputs[:, 0] > 0).astype(np.int64), np.array([f"p{i}" for i in range(count)]), ("a", "b")
    )


def trainer(cases: Cases, training: Training, seed: int = 0) -> Trainer:
    return Trainer(Linear(), new_network(Linear(), SHAPE, 1), cases, training, np.random.default_rng(seed))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 700), st.floats(0.01, 1.0))
def test_fedavg_with_one_epoch_and_one_full_batch_is_fedsgd(count: int, rate: float) -> None:
    cases = some_cases(count)
    gradient = trainer(cases, Training(batch_size="full")).gradient_update()
    delta, steps = trainer(cases, Training(batch_size="full", learning_rate=rate)).local_update()
    assert steps == 1
    assert delta.weight == gradient.weight == count
    np.testing.assert_allclose(delta.mean()[0], -rate * gradient.mean()[0], atol=3e-7)


def test_the_gradient_sum_is_the_sum_of_single_gradients() -> None:
    cases = some_cases(300)
    whole = trainer(cases, Training(batch_size="full")).gradient_update().vectors[0]
    singles = [
        trainer(cases.take(np.array([i])), Training(batch_size="full")).gradient_update().vectors[0]
        for i in range(300)
    ]
    np.testing.assert_allclose(whole, np.sum(np.array(singles, dtype=np.float64), axis=0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("values", [1, 30, 100])
def test_chunks_bounded_by_values_change_no_figure(values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cases, training = some_cases(70), Training(batch_size="full")
    whole = trainer(cases, training).gradient_update()
    monkeypatch.setattr(client.training, "VALUES_A_CHUNK", values)
    assert chunk_size(cases) == max(1, values // 3)
    parts = trainer(cases, training).gradient_update()
    np.testing.assert_allclose(parts.vectors[0], whole.vectors[0], rtol=1e-5, atol=1e-5)
    assert parts.statistics["loss"].value == pytest.approx(whole.statistics["loss"].value, abs=1e-6)
    assert parts.weight == whole.weight == 70


def test_a_chunk_of_volumes_holds_few_and_one_of_slices_many() -> None:
    volumes = np.zeros((3, 2, 64, 64, 64), np.float32)
    names = np.array(["a", "b", "c"])
    assert chunk_size(Cases.of(volumes, np.zeros(3, np.int64), names, ("a", "b"))) == 2
    assert chunk_size(Cases.of(volumes[:, :1, :1], np.zeros(3, np.int64), names, ("a", "b"))) == 256


def test_local_steps_are_those_of_plain_torch() -> None:
    cases, training = some_cases(10), Training(epochs=3, batch_size=4, learning_rate=0.3, momentum=0.9)
    ours = trainer(cases, training, seed=5)
    ours.train()
    plain = new_network(Linear(), SHAPE, 1)
    optimiser = torch.optim.SGD(plain.parameters(), lr=0.3, momentum=0.9)
    rng = np.random.default_rng(5)
    for _ in range(3):
        order = rng.permutation(10)
        for start in (0, 4, 8):
            batch = cases.batch(order[start : start + 4])
            optimiser.zero_grad()
            nn.functional.cross_entropy(plain(batch.inputs), batch.targets).backward()
            optimiser.step()
    np.testing.assert_allclose(read(ours.network), read(plain), atol=1e-6)


def test_training_that_diverges_says_so_and_what_to_change() -> None:
    diverging = trainer(some_cases(20), Training(epochs=3, batch_size=2, learning_rate=1e30), seed=0)
    with pytest.raises(HospitalError, match=r"diverged.*training\.learning_rate"):
        diverging.local_update()


def test_the_proximal_term_pulls_towards_the_received_model() -> None:
    cases, training = some_cases(40), Training(epochs=20, batch_size="full", learning_rate=0.1)
    free = np.linalg.norm(trainer(cases, training).local_update()[0].mean()[0])
    held = np.linalg.norm(trainer(cases, training).local_update(proximal_mu=5.0)[0].mean()[0])
    assert 0 < held < 0.5 * free


def test_one_proximal_step_worked_out_by_hand() -> None:
    """From w_t the first step has no pull; the second is pulled by mu (w - w_t)."""
    cases, rate, mu = some_cases(6), 0.5, 0.25
    first = trainer(cases, Training(steps=1, batch_size="full", learning_rate=rate))
    start = read(first.network)
    first.train()
    after_one = read(first.network)
    gradient = trainer(cases, Training(batch_size="full"))
    write(gradient.network, after_one)
    expected = after_one - rate * (gradient.gradient_update().mean()[0] + mu * (after_one - start))
    both = trainer(cases, Training(steps=2, batch_size="full", learning_rate=rate))
    both.train(proximal_mu=mu)
    np.testing.assert_allclose(read(both.network), expected, atol=1e-6)


def test_a_correction_is_added_to_every_gradient() -> None:
    cases = some_cases(8)
    correction = np.arange(8, dtype=np.float32)
    plain = trainer(cases, Training(steps=1, batch_size="full", learning_rate=0.5))
    plain.train()
    corrected = trainer(cases, Training(steps=1, batch_size="full", learning_rate=0.5))
    corrected.train(correction=correction)
    np.testing.assert_allclose(read(corrected.network), read(plain.network) - 0.5 * correction, atol=1e-6)


@pytest.mark.parametrize(
    ("training", "sizes"),
    [
        (Training(epochs=2, batch_size=4), [4, 4, 2, 4, 4, 2]),
        (Training(steps=4, batch_size=4), [4, 4, 2, 4]),
        (Training(epochs=1, batch_size=32), [10]),
        (Training(epochs=2, batch_size="full"), [10, 10]),
    ],
)
def test_batches_are_epochs_or_as_many_steps_as_asked(training: Training, sizes: list[int]) -> None:
    drawn = list(chain.from_iterable(batches(10, training, np.random.default_rng(0))))
    assert [len(indices) for indices in drawn] == sizes
    assert sorted(np.concatenate(drawn)[:10].tolist()) == list(range(10))


def test_a_stochastic_gradient_is_of_as_many_cases_as_asked() -> None:
    update = trainer(some_cases(50), Training(batch_size=8)).gradient_update()
    assert update.weight == 8
