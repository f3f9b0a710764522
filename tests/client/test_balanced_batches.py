"""Batches by class: how often each class and case is seen, and where that is refused."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.balanced_batches import groups_by_class
from client.objective import batches, one_batch
from common.data.cases import Cases, Shape
from common.errors import StudyError
from common.learning.client_work import Training
from common.learning.parameters import refuse_other_classes
from common.study.study import parse

TEXT = """
title = "Tiny"
source = { name = "phantom" }
task = "segmentation"
"""


def cases(labels: list[int], classes: int = 3) -> Cases:
    names = tuple("abcdef"[:classes])
    targets = np.array(labels, np.int64)
    return Cases.of(np.zeros((len(labels), 2), np.float32), targets, np.array([f"p{i}" for i in targets]), names)


def drawn(own: Cases, training: Training, seed: int = 0) -> list[np.ndarray]:
    return list(chain.from_iterable(batches(own, training, np.random.default_rng(seed))))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=40), st.integers(1, 9), st.integers(1, 3), st.integers(0, 5))
def test_over_any_stretch_no_class_has_more_than_two_slots_more(
    labels: list[int], size: int, epochs: int, seed: int
) -> None:
    """A turn gives each class one slot; a stretch cuts at most one turn at either end."""
    own, targets = cases(labels), np.array(labels)
    found = drawn(own, Training(sampling="by_class", batch_size=size, epochs=epochs), seed)
    there = np.unique(targets)
    for start in range(len(found)):
        counts = Counter(targets[np.concatenate(found[: start + 1])].tolist())
        numbers = [counts[label] for label in there]
        assert max(numbers) - min(numbers) <= 1
    assert len(found) == epochs * -(-len(labels) // min(size, len(labels)))
    assert {len(one) for one in found} == {min(size, len(labels))}


def test_every_case_of_a_class_comes_once_before_any_comes_again() -> None:
    own = cases([0] * 9 + [1] * 3)
    order = np.concatenate(drawn(own, Training(sampling="by_class", batch_size=4, steps=9)))
    rare = [index for index in order if index >= 9]
    assert len(rare) == 18
    assert all(set(rare[start : start + 3]) == {9, 10, 11} for start in range(0, 18, 3))
    common = [index for index in order if index < 9]
    assert sorted(common[:9]) == list(range(9))


def test_draws_depend_on_the_generator_alone() -> None:
    own, training = cases([0, 1, 2, 0, 1, 0]), Training(sampling="by_class", batch_size=2)
    first, second, other = drawn(own, training), drawn(own, training), drawn(own, training, 1)
    assert all(map(np.array_equal, first, second))
    assert not all(map(np.array_equal, first, other))


def test_an_outlined_case_is_of_the_rarest_class_that_it_shows() -> None:
    masks = np.zeros((4, 4, 4), np.uint8)
    masks[0, 0, 0] = masks[1, 0, 0] = masks[2, 0, 0] = 1
    masks[1, 1, 1] = 2
    inputs = np.zeros((4, 1, 4, 4), np.float32)
    own = Cases.of(inputs, masks, np.array(list("pqrs")), ("none", "one", "two"))
    assert [group.tolist() for group in groups_by_class(own)] == [[3], [0, 2], [1]]


def test_one_gradient_is_of_a_batch_of_even_classes_too() -> None:
    labels = [0] * 30 + [1] * 2
    chosen = one_batch(cases(labels), Training(sampling="by_class", batch_size=8), np.random.default_rng(0))
    assert Counter(np.array(labels)[chosen].tolist()) == {0: 4, 1: 4}
    assert sorted(chosen.tolist()) == chosen.tolist()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.sampling=by_class", "training.batch_size=full"], "draws batches"),
        (["training.sampling=by_klass"], "did you mean 'by_class'"),
        (
            [
                "training.sampling=by_class",
                "privacy={name='dpsgd', epsilon=1.0}",
                "partition={name='quantity', hospitals=3}",
            ],
            "being drawn with the same chance.*class_weights",
        ),
    ],
)
def test_where_it_would_do_nothing_or_break_a_promise_it_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        parse(TEXT, overrides)


def test_cases_without_classes_are_refused() -> None:
    with pytest.raises(StudyError, match="'by_class' needs cases of classes"):
        refuse_other_classes(Training(sampling="by_class"), Shape((2,), 0))
