"""Whether anything is measured of a case: its parameters may come from a file of anybody's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from common.reconstruction.imaging_operator import LinearMap, Operator

CHOSEN = ("mask", "views", "spokes")
"""Parameters that say which data there are: 0 and 1."""
ANGLES = "degrees"
LEAST, MOST = 1e-6, 1e12
"""Largest number of the data by that of the image: beyond, squares of it are no numbers of single precision."""
EXPLAINED = {
    "mask": "nothing would be measured",
    "point_spread": "the data would be nothing but zeros",
    "sensitivities": "no coil would see anything",
    "views": "nothing would be measured",
    "spokes": "nothing would be measured",
}
"""What follows where a parameter is nothing but zeros."""


def fault_of(operator: Operator, shape: tuple[int, ...], parameters: Mapping[str, Tensor]) -> tuple[int, str] | None:
    """The first case of which no image can be made, whatever the method, and why in words; None where all are usable.

    shape: of an image, (C, *S). parameters: (N, *its shape) each. Raises StudyError where shapes do not fit.
    """
    for name, values in parameters.items():
        for case, one in enumerate(values):
            if why := _fault(name, one, parameters, case):
                return case, why
    if all(_own(name) in (*EXPLAINED, ANGLES) for name in parameters):
        parameters = {name: values[:1] for name, values in parameters.items()}  # what options say, all cases share
    many = max((len(values) for values in parameters.values()), default=1)
    return _unmeasured(operator.map(shape, parameters), (many, *shape))


def _own(name: str) -> str:
    """Without the place in a chain."""
    return name.rpartition(".")[2]


def _fault(name: str, values: Tensor, parameters: Mapping[str, Tensor], case: int) -> str:
    own, quoted = _own(name), repr(name)
    if not bool(torch.isfinite(values).all()):
        return f"the parameter {quoted} holds numbers that are not finite"
    if own in EXPLAINED and not bool(values.any()):
        return f"the parameter {quoted} must not be nothing but zeros: {EXPLAINED[own]}"
    if own in CHOSEN and not bool(((values == 0) | (values == 1)).all()):
        return f"the parameter {quoted} must hold 0 and 1, where nothing and where something was measured"
    if own in EXPLAINED and not LEAST <= (largest := float(values.abs().max())) <= MOST:
        return f"the parameter {quoted} must go up to between {LEAST:g} and {MOST:g}; it goes up to {largest:.3g}"
    spokes = parameters.get(name.removesuffix(ANGLES) + "spokes")
    if own == ANGLES and spokes is not None and int((spokes[case] != 0).sum()) > 1 and not bool(values.any()):
        return f"the parameter {quoted} must hold the angle of each spoke; all of them are 0"
    return ""


def _unmeasured(linear: LinearMap, shape: tuple[int, ...]) -> tuple[int, str] | None:
    """By the data of one image without a pattern, of which no operator but one that measures nothing makes zeros."""
    probe = 1 + torch.rand(shape[1:], generator=torch.Generator().manual_seed(18), dtype=torch.float64)
    with torch.no_grad():
        data = linear.forward(probe.expand(shape))
    for case, one in enumerate(data):
        largest = float(one.abs().max()) / float(probe.max())
        if not largest:
            return case, "the operator measures nothing of an image: its data are nothing but zeros"
        if not LEAST <= largest <= MOST:
            return case, (
                f"the operator makes data {largest:.1g} times as large as the image; between {LEAST:g} and {MOST:g} "
                "can be reckoned with"
            )
    return None
