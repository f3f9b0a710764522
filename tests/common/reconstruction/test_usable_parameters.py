"""Parameters of a case that measure nothing, or are no numbers, are found and named, whatever the operator."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from client.hospital import refuse_unusable
from common.data.cases import Cases
from common.errors import SourceError
from common.learning.tasks.postprocessed import Postprocessed
from common.reconstruction.denoiser import Denoiser
from common.reconstruction.imaging_operator import Operator
from common.reconstruction.solve import reconstruct
from common.reconstruction.usable import fault_of
from common.study.catalogue import OPERATORS
from common.study.options import Entry
from experiments.benchmarks._enlarged_ways import scored as enlarged
from experiments.benchmarks._mri_ways import scored

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


def test_a_hospital_names_the_case_and_the_person_before_any_training() -> None:
    task = Postprocessed(operator=Entry("blur", {"point_spread_pixels": 3}), network=Entry("unet", {"channels": 2}))
    layout = task.layout((2, 8, 8))
    spreads = torch.full((CASES, 3, 3), 1 / 9)
    spreads[2] = 0
    inputs = layout.pack(torch.ones(CASES, 1, 8, 8), {"point_spread": spreads}).numpy()
    cases = Cases.of(inputs, np.ones((CASES, 1, 8, 8), np.float32), ["ann", "bob", "eve"])
    with pytest.raises(
        SourceError, match=r"case 3 of 3 of the part 'train', of person 'eve'.*'point_spread' must not be"
    ):
        refuse_unusable(task, "north", {"train": cases})
    refuse_unusable(task, "north", {"train": cases.take(np.arange(2)), "test": cases.take(np.arange(0))})


def test_a_benchmark_leaves_out_a_hospital_without_test_cases() -> None:
    assert (
        scored(nn.Identity(), cast(Any, [SimpleNamespace(site="north", task=None, splits={"test": no_cases()})]))
        == {}
    )
    assert enlarged(None, [nn.Identity()] * 2, [no_cases()] * 2) == {}


def no_cases() -> Cases:
    return Cases.of(np.zeros((0, 1, 8, 8), np.float32), np.zeros((0, 1, 8, 8), np.float32), [])


def test_a_hole_is_filled_before_a_denoiser_plays() -> None:
    """A denoiser that changes nothing leaves what the method begins with: the surroundings of the hole, not black."""
    operator, parameters = drawn("inpainting", (1, 12, 12), {"pattern": "box", "hidden": 0.2})
    linear = operator.map((1, 12, 12), parameters)
    image = torch.full((CASES, 1, 12, 12), 0.8, dtype=torch.float64)
    for method in ("falling_denoiser", "plug_and_play"):
        prior = Denoiser(lambda images, noise: images)
        found = reconstruct(linear, linear.forward(image), method=method, prior=prior, weight=1e-4)
        assert float((found.images - image).abs().max()) < 0.02
