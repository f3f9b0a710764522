from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from common.errors import WireError
from common.learning.client_work import Work
from common.sums.exchange import Payload
from common.wire.train_requests import Order, from_payload, to_payload

PARAMETERS = np.float32([1, 2, 3])


@pytest.mark.parametrize(
    "order",
    [
        Order("{}", 3, PARAMETERS, Work("delta", 0.5), None, ("validation",)),
        Order("{}", 1, PARAMETERS, Work("gradient")),
        Order("{}", 1, PARAMETERS, None, None, ("validation", "test")),
        Order("{}", 2, PARAMETERS, Work("delta", 0.0, True), np.float32([4, 5, 6])),
    ],
)
def test_an_order_comes_back_as_it_was(order: Order) -> None:
    back = from_payload(to_payload(order))
    assert (back.work, back.round, back.evaluate) == (order.work, order.round, order.evaluate)
    assert back.parameters.tolist() == order.parameters.tolist()
    assert (back.control is None) == (order.control is None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"array": None}, "vectors of equal length"),
        ({"numbers": {"round": 1, "proximal_mu": 0.0, "vectors": 2}}, "vectors of equal length"),
        ({"numbers": {"round": 1, "proximal_mu": -1.0, "vectors": 1}}, "out of range"),
        ({"words": {"study": "{}", "sends": "secrets", "evaluate": []}}, "a gradient or a delta"),
        ({"words": {"study": "{}", "sends": "delta", "evaluate": ["everything"]}}, "does not exist"),
        ({"words": {"sends": "delta", "evaluate": []}}, "carry its study"),
    ],
)
def test_what_is_no_order_is_refused(changes: dict[str, object], said: str) -> None:
    good: Payload = to_payload(Order("{}", 1, PARAMETERS, Work("delta")))
    with pytest.raises(WireError, match=said):
        from_payload(replace(good, **changes))
