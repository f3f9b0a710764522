"""Updates, parameters, cases, seeds, catalogues and spelling."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from common.data.cases import Cases, Shape, concatenate
from common.errors import SourceError, StudyError, UnknownNameError
from common.learning.parameters import Layout, digest, new_network, read, read_gradient, refuse_unsuitable, write
from common.seeding import entropy, generator, torch_generator
from common.study.catalogue import STRATEGIES, TASKS, Catalogue
from common.study.options import Entry
from common.study.spelling import unknown
from common.sums.mean import Mean
from common.sums.update import Update

vectors = arrays(np.float32, 5, elements=st.floats(-1e3, 1e3, width=32))


@given(st.lists(st.tuples(vectors, st.floats(0.5, 100)), min_size=1, max_size=6))
def test_updates_add_up_to_the_weighted_mean(parts: list[tuple[np.ndarray, float]]) -> None:
    total = Update((np.zeros(5, np.float32),), 0.0)
    for vector, weight in parts:
        total += Update(((weight * vector).astype(np.float32),), weight, {"loss": Mean.of([1.0])})
    expected = sum(w * v.astype(np.float64) for v, w in parts) / sum(w for _, w in parts)
    np.testing.assert_allclose(total.mean()[0], expected, rtol=1e-5, atol=1e-3)
    assert total.statistics["loss"].weight == len(parts)


def test_updates_of_different_models_do_not_add() -> None:
    with pytest.raises(ValueError, match="different models"):
        Update((np.zeros(2),), 1.0) + Update((np.zeros(3),), 1.0)


def test_an_update_of_no_weight_has_no_mean() -> None:
    with pytest.raises(ValueError, match="not defined"):
        Update((np.zeros(2),), 0.0).mean()


def test_parameters_come_back_bit_for_bit() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(12, 2))
    vector = np.random.default_rng(0).normal(size=3 * 9 + 3 + 24 + 2).astype(np.float32)
    write(network, vector)
    assert read(network).tobytes() == vector.tobytes()
    tensors = Layout.of(network).tensors(vector)
    for name, parameter in network.named_parameters():
        np.testing.assert_array_equal(tensors[name], parameter.detach().numpy())


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="has 6 parameters"):
        write(nn.Linear(2, 2), np.zeros(5, np.float32))


def test_parameters_without_a_gradient_count_as_zero() -> None:
    network = nn.Linear(1, 1)
    network.weight.grad = torch.ones(1, 1)
    assert read_gradient(network).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm])
def test_batch_normalisation_is_refused_with_advice(kind: type[nn.Module]) -> None:
    with pytest.raises(StudyError, match="GroupNorm instead"):
        refuse_unsuitable(nn.Sequential(kind(3)))


def test_frozen_parameters_do_not_travel() -> None:
    network = nn.Linear(2, 1)
    network.bias.requires_grad_(False)
    assert read(network).shape == (2,)


def test_a_double_parameter_is_refused() -> None:
    with pytest.raises(StudyError, match=r"only torch\.float32"):
        refuse_unsuitable(nn.Linear(1, 1).double())


def test_a_network_depends_on_the_seed_alone() -> None:
    task = TASKS.build(Entry("classification"))
    torch.manual_seed(1)
    first = digest(read(new_network(task, Shape((4,), 2), 7)))
    torch.manual_seed(2)
    assert digest(read(new_network(task, Shape((4,), 2), 7))) == first
    assert digest(read(new_network(task, Shape((4,), 2), 8))) != first


def test_a_new_network_leaves_torchs_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    new_network(TASKS.build(Entry("classification")), Shape((4,), 2), 7)
    assert torch.rand(1) == expected


def test_seeds_are_those_of_today_for_ever() -> None:
    """A changed stream would silently change every published figure."""
    assert generator(42, "golden").integers(0, 10**6, 3).tolist() == [67626, 744003, 514559]


def test_words_are_kept_apart() -> None:
    assert entropy(1, "ab", "c") != entropy(1, "a", "bc")
    assert torch_generator(1, "a").initial_seed() != torch_generator(1, "b").initial_seed()


def test_a_catalogue_lists_without_importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "toy_strategies"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "plain.py").write_text('"""One line.\n\nMore."""\nraise RuntimeError("imported")\n')
    (package / "_helper.py").write_text("")
    (package / "nothing.py").write_text('"""Binds nothing."""\n')
    monkeypatch.syspath_prepend(tmp_path)
    toys = Catalogue("strategy", "toy_strategies", "server.strategy:Strategy")
    assert toys.names() == ("nothing", "plain")
    assert toys.summary("plain") == "One line."
    assert "toy_strategies.plain" not in sys.modules
    with pytest.raises(StudyError, match="binds no 'strategy'"):
        toys.load("nothing")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="No strategy 'fedagv'; did you mean 'fedavg'"):
        STRATEGIES.build(Entry("fedagv"))


def test_a_name_like_no_other_is_answered_with_what_there_is() -> None:
    assert str(unknown("dish", "xyz", ["soup", "bread"])) == "No dish 'xyz'. There are: bread, soup."


def a_case(inputs: np.ndarray) -> Cases:
    return Cases.of(inputs, np.zeros(len(inputs), int), np.array(["p"] * len(inputs)), ("a", "b"))


def test_cases_of_unlike_lengths_or_types_are_refused() -> None:
    with pytest.raises(SourceError, match="differ in length"):
        Cases.of(np.zeros((2, 1), np.float32), np.zeros(3, int), np.array(["p"] * 2), ("a", "b"))
    with pytest.raises(SourceError, match="must be float32"):
        a_case(np.zeros((2, 1)))


def test_cases_of_unlike_shapes_do_not_concatenate() -> None:
    with pytest.raises(SourceError, match="do not fit together"):
        concatenate([a_case(np.zeros((1, 2), np.float32)), a_case(np.zeros((1, 3), np.float32))])
