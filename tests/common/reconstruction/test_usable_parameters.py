"""Parameters of a case that measure nothing, or are no numbers, are found and named, whatever the operator."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from common.reconstruction.imaging_operator import Operator
from common.reconstruction.usable import fault_of
from common.study.catalogue import OPERATORS
from common.study.options import Entry

CASES = 3
TRIED = [
    ("cartesian_mri", (2, 8, 8), {"coils": 2}),
    ("radial_mri", (2, 8, 8), {"spokes": 3, "coils": 2}),
    ("ct", (1, 8, 8), {"views": 4}),
    ("blur", (1, 12, 12), {}),
    ("downsampling", (1, 8, 8), {"kernel": "gaussian"}),
    ("inpainting", (1, 8, 8), {}),
    ("chain", (1, 12, 12), {"operators": ["blur", "inpainting"]}),
    ("denoising", (1, 8, 8), {}),
]


def drawn(name: str, shape: tuple[int, ...], options: dict[str, object]) -> tuple[Operator, dict[str, torch.Tensor]]:
    operator = OPERATORS.build(Entry(name, options))
    cases = [operator.draw(np.random.default_rng(case), shape) for case in range(CASES)]
    return operator, {name: torch.from_numpy(np.stack([one[name] for one in cases])) for name in cases[0]}


def test_every_operator_is_tried() -> None:
    assert {name for name, _, _ in TRIED} == set(OPERATORS.names())


@pytest.mark.parametrize(("name", "shape", "options"), TRIED)
def test_what_an_operator_draws_is_usable_and_what_is_spoilt_in_one_case_is_named(
    name: str, shape: tuple[int, ...], options: dict[str, object]
) -> None:
    operator, parameters = drawn(name, shape, options)
    assert fault_of(operator, shape, parameters) is None
    for spoilt in parameters:
        for value in (0.0, np.nan, np.inf, 1e-20, 1e30):
            values = parameters[spoilt].clone()
            values[1] = value
            if spoilt == "degrees" and value in (1e-20, 1e30):
                continue  # an odd number of turns is still an angle
            found = fault_of(operator, shape, {**parameters, spoilt: values})
            assert found is not None and found[0] == 1 and repr(spoilt) in found[1], (spoilt, value, found)


def test_options_by_which_nothing_is_measured_are_found() -> None:
    operator, parameters = drawn("ct", (1, 8, 8), {"views": 4, "detectors": 1, "detector_shift": 1e4})
    found = fault_of(operator, (1, 8, 8), parameters)
    assert found is not None and "measures nothing of an image" in found[1]
