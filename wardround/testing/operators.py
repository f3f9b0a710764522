"""What every operator of inverse problems must be: linear, with its own adjoint, norm and closed forms."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.imaging_operator import Invertible, LinearMap, Shifted, Spectral
from common.reconstruction.packing import Layout
from wardround.testing.laws import check_options, no_global_draw

SHAPES = ((1, 6, 6), (2, 6, 6), (1, 4, 4, 4), (2, 4, 4, 4), (3, 8, 8))
ODD_SHAPES = ((), (2,), (2, 7), (1, 0, 4), (5, 3, 2), (1, 2, 3, 2), (1, 2, 2, 2, 2))
CASES = 3
Tried = tuple[Any, tuple[int, ...]]


class OperatorTests:
    """Inherit, and bind `operator` to one; `shape` (C, *S) of images, small, where none of SHAPES fits it."""

    operator: Any
    shape: ClassVar[tuple[int, ...] | None] = None

    @pytest.fixture
    def made(self) -> Tried:
        """The operator's options, and a shape for it."""
        return self.operator, self.shape or fitting_shape(self.operator)

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Tried) -> None:
        """Engines hand it to other processes, and a study's record must stay true. Mend: @dataclass(frozen=True)."""
        check_options(made[0])

    def test_parameters_follow_from_their_generator_alone_and_are_of_the_shapes_it_says(self, made: Tried) -> None:
        """The same study measures the same data, and a case's parameters travel in planes of a size agreed before.
        Mend: draw from `rng`; finite float32 of the shapes of `parameter_shapes`."""
        operator, shape = made
        with no_global_draw("draw"):
            first, second = (operator.draw(np.random.default_rng(7), shape) for _ in range(2))
        shapes = dict(operator.parameter_shapes(shape))
        assert list(first) == list(shapes), f"it draws {list(first)}, and says {list(shapes)}"
        for name, values in first.items():
            assert values.shape == tuple(shapes[name]), f"{name} is of shape {values.shape}, not {shapes[name]}"
            assert values.dtype == np.float32 and np.isfinite(values).all(), f"{name} is not finite float32"
            assert np.array_equal(values, second[name]), f"two draws of {name} from one seed differ"

    def test_it_is_linear(self, made: Tried) -> None:
        """Every solver relies on it. Mend: no constant is added, nothing is squared, cut off or normalised."""
        linear = mapped(made)
        one, other = numbers(CASES, *linear.image_shape), numbers(CASES, *linear.image_shape, seed=1)
        together = linear.forward(2.0 * one - 3.0 * other)
        apart = 2.0 * linear.forward(one) - 3.0 * linear.forward(other)
        assert (together - apart).norm() <= 1e-10 * (1 + apart.norm()), "A(2 x - 3 z) is not 2 A x - 3 A z"

    def test_forward_and_adjoint_belong_together(self, made: Tried) -> None:
        """With another adjoint solvers end elsewhere, or nowhere. Mend: <A x, y> = <x, A' y>; of a complex map the
        adjoint is the conjugate transpose; what forward leaves out, adjoint leaves out as well."""
        linear = mapped(made)
        images, measured = numbers(CASES, *linear.image_shape), numbers(CASES, *linear.measured_shape, seed=1)
        there = (linear.forward(images) * measured).flatten(1).sum(1)
        back = (images * linear.adjoint(measured)).flatten(1).sum(1)
        assert (there - back).abs().max() <= 1e-12 * images.norm() * measured.norm(), "<A x, y> is not <x, A' y>"

    def test_shapes_and_precision_are_those_it_says(self, made: Tried) -> None:
        """Networks run in float32 and scores in float64. Mend: `parameters.to(images)` before they are used."""
        linear, shape = mapped(made), made[1]
        assert linear.image_shape == shape, f"image_shape is {linear.image_shape}, and images are of {shape}"
        for dtype in (torch.float32, torch.float64):
            measured = linear.forward(numbers(CASES, *linear.image_shape).to(dtype))
            assert measured.shape == (CASES, *linear.measured_shape), f"data are of shape {tuple(measured.shape)}"
            image = linear.adjoint(measured)
            assert image.shape == (CASES, *shape), f"the adjoint is of shape {tuple(image.shape)}"
            assert measured.dtype == image.dtype == dtype, f"{dtype} gave {measured.dtype} and {image.dtype}"

    def test_the_norm_is_the_largest_singular_value(self, made: Tried) -> None:
        """Steps of solvers follow from it: too small a norm diverges. Mend: a closed form, or
        `common.reconstruction.spectral_norm.spectral_norm(forward, adjoint, (N, *image_shape))`."""
        linear = mapped(made)
        largest = torch.stack([torch.linalg.matrix_norm(dense(linear, case), ord=2) for case in range(CASES)])
        norm = linear.norm()
        assert norm.dtype == torch.float64 and len(norm) in (1, CASES), "a norm is (N,) or (1,) float64"
        torch.testing.assert_close(norm.expand(CASES), largest, rtol=1e-3, atol=1e-9)

    def test_gradients_by_the_image_are_the_adjoint(self, made: Tried) -> None:
        """Unrolled networks are trained through it. Mend: torch alone; no numpy, no detach."""
        linear = mapped(made)
        image = numbers(CASES, *linear.image_shape).requires_grad_()
        residual = linear.forward(image) - numbers(CASES, *linear.measured_shape, seed=1)
        assert residual.requires_grad, "no gradient flows from the data to the image"
        (gradient,) = torch.autograd.grad(residual.square().sum() / 2, image)
        torch.testing.assert_close(gradient, linear.adjoint(residual.detach()), rtol=1e-10, atol=1e-10)

    def test_a_case_is_measured_by_its_own_parameters_alone(self, made: Tried) -> None:
        """Patients must not mix, and hospitals differ. Mend: parameters (N, *shape), one row a case; a norm too
        is of one case, whatever is in the batch."""
        operator, shape = made
        parameters, images = drawn(made), numbers(CASES, *shape)
        together = operator.map(shape, parameters)
        data, norms = together.forward(images), together.norm().expand(CASES)
        for case in range(CASES):
            alone = operator.map(shape, {name: values[case : case + 1] for name, values in parameters.items()})
            found = alone.forward(images[case : case + 1])[0]
            assert (found - data[case]).norm() <= 1e-10 * (1 + data.norm()), "data depend on the other cases"
            torch.testing.assert_close(alone.norm()[0], norms[case], rtol=1e-9, atol=1e-9)

    def test_closed_forms_equal_a_dense_solve(self, made: Tried) -> None:
        """They are taken for exact. Mend: leave the method out rather than let it be about right."""
        linear = mapped(made)
        image, measured = numbers(CASES, *linear.image_shape), numbers(CASES, *linear.measured_shape, seed=1)
        for case in range(CASES):
            matrix = dense(linear, case)
            if isinstance(linear, Invertible):
                expected = torch.linalg.pinv(matrix, rtol=1e-9) @ measured[case].flatten()
                _close(linear.pseudo_inverse(measured)[case].flatten(), expected, "pseudo_inverse")
            if isinstance(linear, Shifted):
                system = matrix.T @ matrix + 0.3 * torch.eye(matrix.shape[1], dtype=torch.float64)
                solved = linear.solve_shifted(image, torch.tensor([0.3], dtype=torch.float64))[case].flatten()
                _close(solved, torch.linalg.solve(system, image[case].flatten()), "solve_shifted")
            if isinstance(linear, Spectral):
                values = linear.singular_values()
                _close(values.expand(CASES, -1)[case], torch.linalg.svdvals(matrix), "singular_values")

    def test_data_and_parameters_come_back_from_planes_as_they_went(self, made: Tried) -> None:
        """So they travel with a case. Mend: the shape of data follows from options, image and shapes of parameters
        alone, never from their values; `map` computes nothing yet."""
        operator, shape = made
        layout, linear = Layout.of(operator, shape), mapped(made)
        measured = linear.forward(numbers(CASES, *shape))
        inputs = layout.pack(measured, {name: values.double() for name, values in drawn(made).items()})
        assert inputs.shape == (CASES, *layout.inputs_shape)
        found, again = layout.unpack(inputs)
        assert torch.equal(found, measured), "data come back otherwise"
        torch.testing.assert_close(again.adjoint(found), linear.adjoint(measured), rtol=1e-12, atol=1e-12)

    def test_it_changes_neither_images_nor_data_nor_parameters(self, made: Tried) -> None:
        """They are used again in the next step. Mend: no operation in place."""
        operator, shape = made
        parameters, images = drawn(made), numbers(CASES, *shape)
        linear = operator.map(shape, parameters)
        before = [values.clone() for values in parameters.values()]
        measured = linear.forward(images)
        kept = measured.clone()
        linear.adjoint(measured)
        assert torch.equal(images, numbers(CASES, *shape)), "it changed the images"
        assert torch.equal(measured, kept), "it changed the data"
        assert all(map(torch.equal, parameters.values(), before)), "it changed the parameters"

    def test_images_that_it_does_not_take_are_refused_in_words(self, made: Tried) -> None:
        """A hospital's images may be of any shape. Mend: raise StudyError in `parameter_shapes`."""
        for shape in ODD_SHAPES:
            try:
                made[0].parameter_shapes(shape)
            except StudyError:
                continue
            except Exception as error:
                raise AssertionError(f"images of shape {shape} end in {type(error).__name__}: {error}") from error


def drawn(made: Tried) -> dict[str, Tensor]:
    """Parameters of three cases."""
    operator, shape = made
    rows = [operator.draw(np.random.default_rng(case), shape) for case in range(CASES)]
    return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}


def mapped(made: Tried) -> LinearMap:
    """Of three cases."""
    linear: LinearMap = made[0].map(made[1], drawn(made))
    return linear


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Drawn numbers of double precision."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dense(linear: LinearMap, case: int) -> Tensor:
    """A of one case as a matrix, column by column."""
    size = prod(linear.image_shape)
    columns = []
    for pixel in range(size):
        unit = torch.zeros(CASES, size, dtype=torch.float64)
        unit[case, pixel] = 1
        columns.append(linear.forward(unit.reshape(CASES, *linear.image_shape))[case].flatten())
    return torch.stack(columns, dim=1)


def fitting_shape(operator: Any) -> tuple[int, ...]:
    """The first of SHAPES that it takes. Raises AssertionError, saying why each was refused, for none."""
    refusals = []
    for shape in SHAPES:
        try:
            operator.parameter_shapes(shape)
        except StudyError as error:
            refusals.append(f"  {shape}: {error}")
        else:
            return shape
    tried = "\n".join(refusals)
    raise AssertionError(f"the operator takes none of these shapes; bind `shape` to one that fits:\n{tried}")


def _close(found: Tensor, expected: Tensor, name: str) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8, msg=lambda text: f"{name} is not exact: {text}")
