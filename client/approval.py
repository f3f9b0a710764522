"""What a hospital refuses to train: models made to copy its cases into a gradient.

A cheating server may send any parameters to a study that was approved (see `approved_studies`). Two things can be
checked: that round 1 starts from the parameters that the study's seed gives, to rounding; that no linear layer before
the last is an imprint, rows of one direction that sort cases into bins so that each bin's gradient is an input (Fowl
et al. 2022, Robbing the Fed, section 3). There is no bound on how far a later model may be from an earlier one: a
server's learning rate is free, and a hospital that was not drawn for many rounds has seen none of what lies between.
A server that calls its first model round 2 and blurs its imprint with noise is therefore not caught, as the audit
shows (`experiments/audit/cheating.py`): differential privacy helps, or a network without such layers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import nn

from client.hospital import Hospital
from common.errors import WireError
from common.order import Order
from common.parameters import Layout, new_network, read
from common.update import Vector

ROUNDING = 1e-5
"""By how much another processor's first parameters may differ."""
PARALLEL = 0.9999
"""Cosine, of either sign, from which two rows have one direction; a server's imprint has 1 but for rounding."""
MOST_PARALLEL = 3
"""Rows of one direction that may be chance; an imprint of so few bins tells cases apart no better than any layer."""
LEAST_COLUMNS = 8
"""Of fewer inputs, honest random rows are parallel too."""


def approve(hospital: Hospital, order: Order) -> None:
    """Raise WireError where the order's parameters are not to be served."""
    if order.round < 1:
        raise WireError(f"rounds are numbered from 1; {order.round} came.")
    if order.round == 1:
        _refuse_another_start(hospital, order.parameters)
    _refuse_imprint(hospital, order.parameters)


def _refuse_another_start(hospital: Hospital, parameters: Vector) -> None:
    expected = read(new_network(hospital.task, hospital.train.shape, hospital.study.seed))
    if expected.shape != parameters.shape or not np.abs(expected - parameters).max() <= ROUNDING:
        raise WireError("round 1 must start from the parameters that the study's seed gives; others came.")


def _refuse_imprint(hospital: Hospital, parameters: Vector) -> None:
    layout = Layout.of(hospital.network)
    if parameters.shape != (layout.length,):
        raise WireError(f"the model has {layout.length} parameters; {parameters.size} came.")
    tensors = layout.tensors(parameters)
    for name in _hidden_linear_layers(hospital.network):
        if f"{name}.weight" in tensors and _parallel_rows(tensors[f"{name}.weight"]) > MOST_PARALLEL:
            raise WireError(f"more than {MOST_PARALLEL} rows of layer {name} have one direction: an imprint.")


def _hidden_linear_layers(network: nn.Module) -> list[str]:
    """All but the last: its rows of classes that no hospital has a case of are honestly parallel."""
    return [name for name, module in network.named_modules() if isinstance(module, nn.Linear)][:-1]


def _parallel_rows(weights: NDArray[np.float32]) -> int:
    """The most rows that have the direction of one of them. Rows of zeros have none."""
    rows = weights.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1)
    rows = rows[norms > 0] / norms[norms > 0, None]
    if not len(rows) or rows.shape[1] < LEAST_COLUMNS:
        return 0
    return int((np.abs(rows @ rows.T) >= PARALLEL).sum(axis=1).max())
