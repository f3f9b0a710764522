"""An nn.Module's class is a network and a function a loss: what of it follows from the cases, and what is refused."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from common.data.cases import Batch, Shape
from common.errors import StudyError, UnknownNameError
from common.learning.parameters import new_network, read
from common.learning.tasks.classification import Classification
from common.learning.tasks.regression import Regression
from common.learning.tasks.segmentation import Segmentation
from common.learning.tasks.survival import Survival
from common.study.catalogue import LOSSES, NETWORKS
from common.study.options import Entry
from common.study.plugins import ANYTHING, trusting

IMAGE, TABLE = Shape((3, 8, 6), 4), Shape((5,), 2)
CODE = """
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

class Words(nn.Module):
    def __init__(self, in_channels: int, num_classes: int = 7, spatial_dims=2, channels=(8, 16), width: int = 4):
        super().__init__()
        self.said = (in_channels, num_classes, spatial_dims, channels, width)
        self.layer = nn.Linear(in_channels, num_classes)

class Flat(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.layer = nn.Linear(features, classes)
    def forward(self, inputs):
        return self.layer(inputs.flatten(1))

class Nothing(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 2)
    def forward(self, inputs):
        return self.layer(inputs)

class Whole(nn.Module):
    def __init__(self, shape, depth):
        super().__init__()
        self.said = (shape, depth)

class Random(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.layer.bias.data.fill_(float(np.random.default_rng().normal()))

def made(features, classes, hidden=3):
    return nn.Sequential(nn.Flatten(), nn.Linear(features, hidden), nn.Linear(hidden, classes))

def number(features):
    return 3

def lazy(classes):
    return nn.LazyLinear(classes)

already = Nothing()

def plain(logits, targets):
    return F.cross_entropy(logits, targets, reduction="none")
def by_case(logits, targets, factor=1.0):
    return factor * plain(logits, targets).flatten(1).mean(1)
def mean(logits, targets):
    return F.cross_entropy(logits, targets)
def dead(logits, targets):
    return torch.zeros(len(logits))
def couples(logits, targets):
    return plain(logits, targets) * logits.mean()
def absolute(answers, targets):
    return (answers - targets).abs()
def broken(logits, targets):
    return logits.view(3, 7)
def alone(logits):
    return logits
def late(logits, targets):
    return plain(logits, targets).tolist()
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "own.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    with trusting(ANYTHING):
        yield "own.py"


def network(name: str, shape: Shape, **options: Any) -> Any:
    return NETWORKS.build(Entry(name, options)).build(shape)


def test_what_follows_from_the_cases_is_filled_and_the_rest_are_options() -> None:
    """`channels` beside `in_channels` are widths, as in MONAI's networks."""
    assert network("own.py:Words", IMAGE).said == (3, 4, 2, (8, 16), 4)
    assert network("own.py:Words", IMAGE, width=9, channels=[2], spatial_dims=1).said == (3, 4, 1, [2], 9)
    assert network("own.py:Whole", IMAGE, depth=2).said == (IMAGE, 2)
    assert network("own.py:Flat", IMAGE).layer.weight.shape == (4, 3 * 8 * 6)
    assert network("own.py:made", TABLE, hidden=6)[1].weight.shape == (6, 5)
    assert network("own.py:Nothing", TABLE).layer.weight.shape == (2, 5)
    assert network("torch.nn:Linear", TABLE, bias=False).weight.shape == (2, 5)
    assert NETWORKS.options("own.py:made") == ("features", "classes", "hidden")


def test_it_is_trained_as_one_of_ours_and_begins_from_the_seed() -> None:
    tasks = [Classification(network=Entry("own.py:Flat")) for _ in range(2)]
    first, second = (read(new_network(task, IMAGE, 5)) for task in tasks)
    assert tasks[0] == tasks[1] and (first == second).all()
    assert (first != read(new_network(tasks[0], IMAGE, 6))).any()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("Whole", {}, "depth is missing: a table of options is needed, such as depth = 64, an option of the network"),
        ("Words", {"width": "x"}, "width must be a whole number"),
        ("lazy", {}, "shapes only a first batch tells (weight): write the sizes out"),
        ("Words", {"num_classes": 0, "in_channels": -1}, "cannot be built with (in_channels=-1, num_classes=0"),
        ("Random", {}, "begins with other parameters each time it is built"),
        ("number", {}, "is a function, and gives int"),
        ("already", {}, "is a module that is built already"),
    ],
)
def test_a_network_that_cannot_be_used_is_refused_with_what_to_do(name: str, options: Any, words: str) -> None:
    with pytest.raises(StudyError) as caught:
        network(f"own.py:{name}", TABLE, **options)
    assert words in str(caught.value)


def test_an_option_that_it_does_not_take_is_told() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'width'"):
        network("own.py:Words", IMAGE, widht=3)


def test_what_was_built_of_it_survives_pickling() -> None:
    for built in (NETWORKS.build(Entry("own.py:made", {"hidden": 9})), LOSSES.build(Entry("own.py:by_case"))):
        assert pickle.loads(pickle.dumps(built)) == built


def test_a_function_takes_the_place_of_a_tasks_loss() -> None:
    task = Classification(
        network=Entry("own.py:Flat"), own_loss=Entry("torch.nn:CrossEntropyLoss", {"reduction": "none"})
    )
    cases = Batch.of(torch.randn(6, 5, generator=torch.Generator().manual_seed(1)), torch.arange(6) % 2, ("",) * 6)
    built = new_network(task, TABLE, 1)
    expected = cross_entropy(built(cases.inputs), cases.targets, reduction="none")
    assert torch.equal(task.loss(built, cases), expected)
    assert task.score(built, cases)["loss"].value == pytest.approx(expected.mean().item(), abs=1e-6)


def test_options_of_a_loss_are_its_further_parameters() -> None:
    logits, targets = torch.randn(2, 3, 4), torch.zeros(2, 4, dtype=torch.int64)
    once, thrice = (
        LOSSES.build(Entry("own.py:by_case", {"factor": factor})).of(logits, targets) for factor in (1, 3)
    )
    assert torch.allclose(3 * once, thrice)


def outlines(loss: str) -> Tensor:
    task = Segmentation(network=Entry("unet", {"channels": 2, "depth": 1}), own_loss=Entry(f"own.py:{loss}"))
    batch = Batch.of(torch.randn(2, 3, 8, 6), torch.zeros(2, 8, 6, dtype=torch.int64), ("a", "b"))
    return task.loss(new_network(task, IMAGE, 1), batch)


def test_each_task_shows_a_loss_its_own_outputs_and_targets() -> None:
    assert outlines("by_case").shape == (2,)
    task = Regression(center=1.0, spread=2.0, network=Entry("own.py:Flat"), own_loss=Entry("own.py:absolute"))
    batch = Batch.of(torch.zeros(2, 5), torch.tensor([1.0, 5.0]), ("a", "b"))
    answers = (built := new_network(task, Shape((5,), 0), 1))(batch.inputs)[:, 0]
    assert torch.allclose(task.loss(built, batch), (answers - torch.tensor([0.0, 2.0])).abs())
    late = Survival(cuts=(1.0, 2.0), network=Entry("own.py:Flat"), own_loss=Entry("own.py:broken"))
    with pytest.raises(StudyError, match=r"answers of shape \(2, 2\) and targets of shape \(2, 2\), torch.float32"):
        new_network(late, Shape((5,), 0), 1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mean", 'it gave one number for all cases; torch\'s own losses give one each with reduction = "none"'),
        ("dead", "cannot be learned from: it has no gradient"),
        ("couples", "makes a case's loss depend on the other cases of its batch"),
        ("broken", "fails on answers of shape (2, 2) and targets of shape (2,), torch.int64: RuntimeError"),
        ("late", "must give a tensor of one loss a case; it gave list"),
        ("alone", "must take the network's answers and the targets: def alone(logits, targets)"),
        ("copules", "did you mean 'couples'"),
    ],
)
def test_a_loss_that_cannot_be_used_is_refused_before_anything_runs(name: str, words: str) -> None:
    with pytest.raises(StudyError) as caught:
        new_network(Classification(network=Entry("own.py:Flat"), own_loss=Entry(f"own.py:{name}")), TABLE, 1)
    assert words in str(caught.value)


def test_a_loss_a_pixel_is_refused_with_how_to_make_it_one_a_case() -> None:
    with pytest.raises(StudyError, match=r"it gave \(2, 8, 6\) for 2 cases; the mean of each is losses.flatten"):
        outlines("plain")


def test_settings_of_the_loss_that_is_replaced_are_refused() -> None:
    own = Entry("own.py:plain")
    with pytest.raises(StudyError, match="label_smoothing is of cross-entropy"):
        Classification(own_loss=own, label_smoothing=0.1)
    with pytest.raises(StudyError, match="dice_weight"):
        Segmentation(own_loss=own, dice_weight=2.0)
    with pytest.raises(StudyError, match="huber_delta"):
        Regression(center=0.0, spread=1.0, own_loss=own, error="huber")
