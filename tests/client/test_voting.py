"""When a hospital calls a model worse, which comparisons it answers, and what its door lets out."""

from __future__ import annotations

import numpy as np
import pytest

from client.bounded_update import bounded
from client.voting import is_worse
from common.errors import WireError
from common.sums.exchange import Payload
from common.sums.update import Update
from common.wire.train_requests import Order, from_payload, taken_back_of, to_payload

NAN = float("nan")


@pytest.mark.parametrize(
    ("new", "old", "worse"),
    [
        ([1.1, 1.1, 1.1], [1.0, 1.0, 1.0], True),
        ([1.01, 1.01, 1.01], [1.0, 1.0, 1.0], False),  # within worse_by
        ([3.0, 0.1, 0.1], [1.0, 1.0, 1.0], False),  # one patient lost what the others gained
        ([2.0, 0.5, 1.0], [1.0, 1.0, 1.0], False),  # a mean of +.167, and a standard error of .441
        ([0.5, 0.5], [1.0, 1.0], False),
        ([NAN, 0.1], [1.0, 1.0], True),
        ([0.1, 0.1], [NAN, NAN], False),
    ],
)
def test_a_model_is_worse_by_a_share_and_by_more_than_chance(new: list[float], old: list[float], worse: bool) -> None:
    assert is_worse(np.array(new), np.array(old), 0.02) is worse


def test_an_update_is_cut_to_the_norm_of_its_mean_and_keeps_its_direction() -> None:
    update = Update((np.array([30.0, 40.0], np.float32),), 10.0)  # a mean of norm 5
    (vector,) = bounded(update, 2.0).vectors
    assert vector.tolist() == [12.0, 16.0]
    assert bounded(update, 5.0) is update and bounded(update, None) is update


def test_an_order_with_a_model_to_compare_with_comes_back_as_it_went() -> None:
    model, control, before = (np.arange(3, dtype=np.float32) + k for k in range(3))
    for control_ in (None, control):
        order = Order("{}", 7, model, None, control_, (), 0.0, before, (3, 4))
        back = from_payload(to_payload(order))
        assert back.taken_back == (3, 4) and back.reference is not None
        assert back.reference.tolist() == before.tolist() and back.parameters.tolist() == model.tolist()
        assert (back.control is None) == (control_ is None)
    plain = to_payload(Order("{}", 7, model, None))
    assert not {"reference", "taken_back"} & plain.numbers.keys()


def test_rounds_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(WireError, match="whole numbers"):
        taken_back_of(Payload(numbers={"taken_back": [0.5]}))
