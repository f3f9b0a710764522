"""Laws that every operator keeps, of every shape it is tried on; and linear maps of many batches at once."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from common.reconstruction.imaging_operator import Operator
from common.study.catalogue import OPERATORS
from common.study.options import Entry
from wardround.testing import OperatorTests


@dataclass(frozen=True)
class Tried:
    """An operator with options, on images of a shape (C, *S)."""

    name: str
    shape: tuple[int, ...]
    options: dict[str, object] = field(default_factory=dict)

    def entry(self) -> Operator:
        """The entry."""
        built: Operator = OPERATORS.build(Entry(self.name, self.options))
        return built


TRIED = [
    Tried("denoising", (1, 6, 5)),
    Tried("denoising", (2, 3, 4, 5)),
    Tried("cartesian_mri", (2, 8, 7), {"acceleration": 2.0}),
    Tried("cartesian_mri", (2, 9, 6), {"acceleration": 3.0, "axis": 1}),
    Tried("cartesian_mri", (2, 4, 5, 6), {"acceleration": 2.0, "axis": 2}),
    Tried("cartesian_mri", (2, 6, 5), {"coils": 3, "pattern": "equispaced"}),
    Tried("cartesian_mri", (2, 6, 6), {"pattern": "poisson_disc", "acceleration": 2.0}),
    Tried("cartesian_mri", (2, 3, 4, 5), {"coils": 2, "pattern": "variable_density", "axis": 1}),
    Tried("radial_mri", (2, 6, 5), {"spokes": 4, "measured_spokes": 3}),
    Tried("radial_mri", (2, 4, 6), {"spokes": 3, "coils": 2, "samples": 7}),
    Tried("radial_mri", (2, 2, 4, 4), {"spokes": 3, "coils": 2}),
    Tried("inpainting", (1, 6, 5)),
    Tried("inpainting", (2, 5, 6), {"pattern": "box", "hidden": 0.3}),
    Tried("inpainting", (1, 3, 4, 5), {"pattern": "stripes", "axis": 2}),
    Tried("blur", (1, 6, 7), {"point_spread_pixels": 5, "sd_pixels": 0.8}),
    Tried("blur", (2, 5, 4), {"point_spread": "motion", "length_pixels": 6.0}),
    Tried("blur", (1, 4, 5, 4), {"point_spread_pixels": 3, "sd_pixels": 0.7}),
    Tried("blur", (1, 5, 6), {"point_spread": "motion", "length_pixels": 4.0, "boundary": "zero"}),
    Tried("blur", (2, 6, 5), {"point_spread": "motion", "length_pixels": 6.0, "boundary": "reflect"}),
    Tried("blur", (2, 6, 5), {"sd_pixels": 0.8, "point_spread_pixels": 5, "boundary": "reflect"}),
    Tried("blur", (1, 3, 4, 2), {"sd_pixels": 0.6, "point_spread_pixels": 3, "boundary": "reflect"}),
    Tried("downsampling", (1, 6, 4)),
    Tried("downsampling", (2, 6, 9), {"factor": 3}),
    Tried("downsampling", (1, 6, 4, 2), {"axes": [0]}),
    Tried("downsampling", (1, 6, 8), {"kernel": "gaussian"}),
    Tried("downsampling", (2, 6, 9), {"kernel": "gaussian", "factor": 3, "sd_pixels": 0.9}),
    Tried("downsampling", (1, 4, 4), {"kernel": "gaussian", "sd_pixels": 4.0}),
    Tried("downsampling", (1, 4, 4, 4), {"kernel": "gaussian", "axes": [1, 2]}),
    Tried("chain", (1, 6, 6), {"operators": ["blur", {"name": "downsampling", "factor": 3}, "inpainting"]}),
    Tried("chain", (1, 4, 6), {"operators": ["downsampling", "denoising"]}),
    Tried("ct", (1, 6, 6), {"views": 5}),
    Tried("ct", (2, 5, 6), {"views": 6, "measured_views": 4, "kernel": "strip", "detector_pixels": 1.3}),
    Tried("ct", (1, 2, 5, 5), {"views": 4, "kernel": "line", "detectors": 9, "detector_pixels": 0.7}),
]


class TestEveryOperator(OperatorTests):
    """All entries."""

    @pytest.fixture(params=TRIED, ids=lambda one: f"{one.name}-{'x'.join(map(str, one.shape))}")
    def made(self, request: pytest.FixtureRequest) -> tuple[Operator, tuple[int, ...]]:
        """One of those tried."""
        return request.param.entry(), request.param.shape


def test_every_operator_is_tried() -> None:
    assert {tried.name for tried in TRIED} == set(OPERATORS.names())


@pytest.mark.parametrize("name", OPERATORS.names())
def test_gradients_of_single_cases_can_be_taken_at_once(name: str) -> None:
    """Private training takes them by vmap, over data and parameters alike."""
    tried = next(one for one in TRIED if one.name == name)
    entry, shape = tried.entry(), tried.shape
    rows = [entry.draw(np.random.default_rng(case), shape) for case in range(2)]
    parameters = {key: torch.from_numpy(np.stack([row[key] for row in rows]))[:, None] for key in rows[0]}
    images = torch.randn(2, 1, *shape, generator=torch.Generator().manual_seed(0))

    def energy(image: torch.Tensor, own: dict[str, torch.Tensor]) -> torch.Tensor:
        linear = entry.map(shape, own)
        scale = linear.norm().to(image)
        return linear.adjoint(linear.forward(image) / scale).square().sum()

    together = torch.func.vmap(torch.func.grad(energy))(images, parameters)
    for case in range(2):
        alone = torch.func.grad(energy)(images[case], {key: values[case] for key, values in parameters.items()})
        torch.testing.assert_close(together[case], alone, rtol=1e-4, atol=1e-4)
