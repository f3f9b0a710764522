"""Laws that every operator keeps, of every shape it is tried on."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from common.reconstruction.imaging_operator import Invertible, LinearMap, Operator, Shifted, Spectral
from common.reconstruction.packing import Layout
from common.study.catalogue import OPERATORS
from common.study.options import Entry

CASES = 3


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

    def parameters(self) -> dict[str, torch.Tensor]:
        """Of three cases."""
        drawn = [self.entry().draw(np.random.default_rng(case), self.shape) for case in range(CASES)]
        return {name: torch.from_numpy(np.stack([one[name] for one in drawn])) for name in drawn[0]}

    def map(self) -> LinearMap:
        """Of three cases."""
        return self.entry().map(self.shape, self.parameters())


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
    Tried("downsampling", (1, 6, 4)),
    Tried("downsampling", (2, 6, 9), {"factor": 3}),
    Tried("downsampling", (1, 6, 4, 2), {"axes": [0]}),
    Tried("downsampling", (1, 6, 8), {"kernel": "gaussian"}),
    Tried("downsampling", (2, 6, 9), {"kernel": "gaussian", "factor": 3, "sd_pixels": 0.9}),
    Tried("downsampling", (1, 4, 4, 4), {"kernel": "gaussian", "axes": [1, 2]}),
    Tried("chain", (1, 6, 6), {"operators": ["blur", {"name": "downsampling", "factor": 3}, "inpainting"]}),
    Tried("ct", (1, 6, 6), {"views": 5}),
    Tried("ct", (2, 5, 6), {"views": 6, "measured_views": 4, "kernel": "strip", "detector_pixels": 1.3}),
    Tried("ct", (1, 2, 5, 5), {"views": 4, "kernel": "line", "detectors": 9, "detector_pixels": 0.7}),
]
every = pytest.mark.parametrize("tried", TRIED, ids=lambda one: f"{one.name}-{'x'.join(map(str, one.shape))}")


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    """Drawn numbers of double precision."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dense(linear: LinearMap, case: int) -> torch.Tensor:
    """A of one case as a matrix, column by column."""
    size = int(np.prod(linear.image_shape))
    columns = []
    for pixel in range(size):
        unit = torch.zeros(CASES, size, dtype=torch.float64)
        unit[case, pixel] = 1
        columns.append(linear.forward(unit.reshape(CASES, *linear.image_shape))[case].flatten())
    return torch.stack(columns, dim=1)


def test_every_operator_is_tried() -> None:
    assert {tried.name for tried in TRIED} == set(OPERATORS.names())


@every
def test_forward_and_adjoint_belong_together(tried: Tried) -> None:
    linear = tried.map()
    images, measured = numbers(CASES, *linear.image_shape), numbers(CASES, *linear.measured_shape, seed=1)
    there, back = (linear.forward(images) * measured).sum(), (images * linear.adjoint(measured)).sum()
    assert abs(there - back) <= 1e-12 * images.norm() * measured.norm()


@every
def test_shapes_and_precision_are_those_it_says(tried: Tried) -> None:
    linear = tried.map()
    for dtype in (torch.float32, torch.float64):
        measured = linear.forward(numbers(CASES, *linear.image_shape).to(dtype))
        assert measured.shape == (CASES, *linear.measured_shape) and measured.dtype == dtype
        image = linear.adjoint(measured)
        assert image.shape == (CASES, *tried.shape) and image.dtype == dtype
    named = tried.entry().parameter_shapes(tried.shape)
    assert {name: tuple(values.shape[1:]) for name, values in tried.parameters().items()} == dict(named)


@every
def test_the_norm_is_the_largest_singular_value(tried: Tried) -> None:
    linear = tried.map()
    largest = torch.stack([torch.linalg.matrix_norm(dense(linear, case), ord=2) for case in range(CASES)])
    torch.testing.assert_close(linear.norm().expand(CASES), largest, rtol=1e-3, atol=1e-9)


@every
def test_gradients_by_the_image_are_the_adjoint(tried: Tried) -> None:
    linear = tried.map()
    image = numbers(CASES, *linear.image_shape).requires_grad_()
    residual = linear.forward(image) - numbers(CASES, *linear.measured_shape, seed=1)
    (gradient,) = torch.autograd.grad(residual.square().sum() / 2, image)
    torch.testing.assert_close(gradient, linear.adjoint(residual.detach()), rtol=1e-10, atol=1e-10)


@every
def test_a_case_is_measured_by_its_own_parameters_alone(tried: Tried) -> None:
    entry, parameters, images = tried.entry(), tried.parameters(), numbers(CASES, *tried.shape)
    together = entry.map(tried.shape, parameters).forward(images)
    for case in range(CASES):
        alone = entry.map(tried.shape, {name: values[case : case + 1] for name, values in parameters.items()})
        torch.testing.assert_close(alone.forward(images[case : case + 1])[0], together[case], rtol=1e-12, atol=1e-12)


@every
def test_closed_forms_equal_a_dense_solve(tried: Tried) -> None:
    linear = tried.map()
    image, measured = numbers(CASES, *linear.image_shape), numbers(CASES, *linear.measured_shape, seed=1)
    for case in range(CASES):
        matrix = dense(linear, case)
        if isinstance(linear, Invertible):
            expected = torch.linalg.pinv(matrix, rtol=1e-9) @ measured[case].flatten()
            torch.testing.assert_close(
                linear.pseudo_inverse(measured)[case].flatten(), expected, rtol=1e-9, atol=1e-9
            )
        if isinstance(linear, Shifted):
            system = matrix.T @ matrix + 0.3 * torch.eye(matrix.shape[1], dtype=torch.float64)
            solved = linear.solve_shifted(image, torch.tensor([0.3], dtype=torch.float64))[case].flatten()
            torch.testing.assert_close(
                solved, torch.linalg.solve(system, image[case].flatten()), rtol=1e-9, atol=1e-9
            )
        if isinstance(linear, Spectral):
            values = linear.singular_values().expand(CASES, -1)[case]
            torch.testing.assert_close(values, torch.linalg.svdvals(matrix), rtol=1e-9, atol=1e-9)


@every
def test_data_and_parameters_come_back_from_planes_as_they_went(tried: Tried) -> None:
    layout, linear = Layout.of(tried.entry(), tried.shape), tried.map()
    measured = linear.forward(numbers(CASES, *tried.shape))
    inputs = layout.pack(measured, {name: values.double() for name, values in tried.parameters().items()})
    assert inputs.shape == (CASES, *layout.inputs_shape)
    found, again = layout.unpack(inputs)
    torch.testing.assert_close(found, measured, rtol=0, atol=0)
    torch.testing.assert_close(again.adjoint(found), linear.adjoint(measured), rtol=0, atol=0)
