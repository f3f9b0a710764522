"""Images whose causes are known, and with them the true image under every action: what simulated sources share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.data.cases import Cases, Quarantined

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Person:
    """One image in the (H, W) pixels that its causes made, and what other causes would have made of it.

    values: (K,) causes. done: (K, K), causes under action k, of cause k, with all that follows from it.
    counterfactual: (K, H, W).
    """

    name: str
    image: Values
    values: Sequence[float]
    done: Sequence[Sequence[float]]
    counterfactual: Sequence[Values]


def cases_of(persons: Sequence[Person], causes: tuple[str, ...], quarantined: tuple[Quarantined, ...] = ()) -> Cases:
    """Columns of task 'deep_scm': targets (N, K), `done` (N, K, K) and `counterfactual` (N, K, 1, H, W)."""
    return Cases.of(
        np.stack([one.image for one in persons])[:, None],
        np.array([one.values for one in persons], np.float32).reshape(len(persons), len(causes)),
        [one.name for one in persons],
        quarantined=quarantined,
        done=np.array([one.done for one in persons], np.float32),
        counterfactual=np.stack([np.stack(one.counterfactual) for one in persons])[:, :, None],
    )


def sigmoid(value: float) -> float:
    """Between 0 and 1."""
    return float(1 / (1 + np.exp(-value)))
