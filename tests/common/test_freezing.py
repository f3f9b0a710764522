"""Parameters that are frozen: which, and what is said where a pattern fits none."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from client.clipped_sums import WAYS
from client.clipping import CaseLoss
from client.training import Trainer
from common.data.cases import Cases, Shape
from common.errors import StudyError
from common.learning.client_work import Training
from common.learning.freezing import freeze
from common.learning.parameters import Layout, new_network, read, trainable, write
from common.learning.tasks.classification import Classification
from common.learning.tasks.segmentation import Segmentation
from common.study.options import Entry

MASKS = Segmentation(network=Entry("unet", {"channels": 4, "depth": 2}))
SHAPE = Shape((1, 8, 8), 2)


def network() -> nn.Module:
    return nn.ModuleDict({"encoder": nn.Linear(3, 2), "head": nn.Linear(2, 1)})


def names(one: nn.Module) -> list[str]:
    return [name for name, _ in trainable(one)]


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ((), ["encoder.bias", "encoder.weight", "head.bias", "head.weight"]),
        (("encoder.*",), ["head.bias", "head.weight"]),
        (("*.bias",), ["encoder.weight", "head.weight"]),
        (("encoder.weight", "head.bias"), ["encoder.bias", "head.weight"]),
    ],
)
def test_what_fits_a_pattern_is_not_learned(patterns: tuple[str, ...], left: list[str]) -> None:
    one = network()
    freeze(one, patterns)
    assert names(one) == left


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (("encodr.*",), r"training\.freeze: no parameter fits 'encodr\.\*'; the nearest is 'encoder"),
        (("head.weigth",), r"the nearest is 'head\.weight'.*The network has encoder\.weight"),
        (("*",), "freezes all 4 parameters"),
        (("encoder.*", "head.*"), "freezes all 4 parameters"),
    ],
)
def test_a_pattern_that_fits_nothing_or_all_is_refused(patterns: tuple[str, ...], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        freeze(network(), patterns)


def test_a_frozen_network_begins_as_the_whole_one_and_only_the_rest_is_in_the_vector() -> None:
    whole, part = (new_network(MASKS, SHAPE, 1, Training(freeze=one)) for one in ((), ("*.weight",)))
    of_whole, of_part = Layout.of(whole), Layout.of(part)
    assert of_whole.frozen == {}
    assert of_part.shapes.keys() | of_part.frozen.keys() == of_whole.shapes.keys()
    assert of_part.length == len(read(part)) < of_whole.length
    tensors = of_whole.tensors(read(whole))
    assert all(np.array_equal(tensor, tensors[name]) for name, tensor in of_part.tensors(read(part)).items())
    assert all(np.array_equal(tensor, tensors[name]) for name, tensor in of_part.frozen.items())


def masks() -> Cases:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (4, 8, 8)).astype(np.uint8)
    return Cases.of(rng.normal(size=(4, 1, 8, 8)).astype(np.float32), targets, np.array(list("abcd")), ("a", "b"))


def test_training_moves_what_is_left_and_nothing_else() -> None:
    training = Training(epochs=2, batch_size=2, freeze=("*.weight",), weight_decay=0.1, l1=0.1)
    one = new_network(MASKS, SHAPE, 1, training)
    before, start = Layout.of(one).frozen, read(one)
    Trainer(MASKS, one, masks(), training, np.random.default_rng(0)).train()
    after = Layout.of(one).frozen
    assert all(np.array_equal(after[name], before[name]) for name in before)
    assert np.all(read(one) != start)


@pytest.mark.parametrize("task", [MASKS, Classification(network=Entry("groupnorm_cnn"))])
def test_clipped_sums_of_a_frozen_network_are_those_of_the_loop(task) -> None:
    own = masks()
    if isinstance(task, Classification):
        own = own.with_columns(targets=np.array([0, 1, 1, 0]))
    every = [name for name, _ in trainable(new_network(task, own.shape, 1))]
    one = new_network(task, own.shape, 1, Training(freeze=tuple(every[: len(every) // 2]))).train()
    loss = CaseLoss(task, one)
    expected = WAYS["loop"](loss, own.batch(), 0.5)
    assert len(expected) == len(read(one))
    np.testing.assert_allclose(WAYS["layers"](loss, own.batch(), 0.5), expected, atol=1e-5)


def test_a_vector_of_another_layout_does_not_fit() -> None:
    whole = read(new_network(MASKS, SHAPE, 1))
    with pytest.raises(ValueError, match="parameters; a vector of shape"):
        write(new_network(MASKS, SHAPE, 1, Training(freeze=("*.weight",))), whole)
