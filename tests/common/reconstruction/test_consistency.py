"""Steps towards the data, beside dense solves and by hand."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from common.reconstruction.consistency import INNER_ITERATIONS, Data, positive
from common.reconstruction.operators.cartesian_mri import MaskedFourier, fourier


@dataclass(frozen=True)
class Dense:
    """A matrix (N, M, P) that has no closed forms."""

    matrix: Tensor

    @property
    def image_shape(self) -> tuple[int, ...]:
        return (1, self.matrix.shape[2])

    @property
    def measured_shape(self) -> tuple[int, ...]:
        return (self.matrix.shape[1],)

    def forward(self, images: Tensor) -> Tensor:
        return torch.einsum("nmp,np->nm", self.matrix, images[:, 0])

    def adjoint(self, measured: Tensor) -> Tensor:
        return torch.einsum("nmp,nm->np", self.matrix, measured)[:, None]

    def norm(self) -> Tensor:
        return torch.linalg.matrix_norm(self.matrix, ord=2)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def dense() -> Data:
    linear = Dense(7 * drawn(3, 4, INNER_ITERATIONS))
    return Data.of(linear, drawn(3, 4, seed=1))


@pytest.fixture
def lines() -> Data:
    mask = torch.zeros(2, 6, 4)
    mask[0, ::2], mask[1, :, 1:3] = 1, 1
    return Data.of(MaskedFourier((2, 6, 4), mask), drawn(2, 2, 6, 4) * mask[:, None])


def test_a_gradient_step_worked_out_by_hand() -> None:
    """A = (2), y = 6, x = 1: x + step * 2 * (6 - 2) / 4."""
    data = Data.of(Dense(torch.full((1, 1, 1), 2.0)), torch.tensor([[6.0]]))
    assert data.descended(torch.ones(1, 1, 1), torch.tensor(0.5)).item() == 2.0
    assert data.descended(torch.ones(1, 1, 1), torch.tensor(1.0)).item() == 3.0


def test_a_proximal_step_worked_out_by_hand() -> None:
    """(|2x - 6|^2 / 4 + w |x - 1|^2) is least at (3 + w) / (1 + w)."""
    data = Data.of(Dense(torch.full((1, 1, 1), 2.0)), torch.tensor([[6.0]]))
    assert data.proximal(torch.ones(1, 1, 1), torch.tensor(1.0)).item() == pytest.approx(2.0)


def test_conjugate_gradients_solve_as_a_dense_solve_does(dense: Data) -> None:
    images, weight = drawn(3, 1, INNER_ITERATIONS, seed=2), torch.tensor(0.3, dtype=torch.float64)
    found = dense.proximal(images, weight)
    assert isinstance(dense.linear, Dense)
    for case, matrix in enumerate(dense.linear.matrix):
        shift = 0.3 * torch.linalg.matrix_norm(matrix, ord=2) ** 2
        system = matrix.T @ matrix + shift * torch.eye(INNER_ITERATIONS, dtype=torch.float64)
        wanted = torch.linalg.solve(system, matrix.T @ dense.measured[case] + shift * images[case, 0])
        torch.testing.assert_close(found[case, 0], wanted, rtol=1e-9, atol=1e-9)


def test_a_closed_form_and_conjugate_gradients_agree(lines: Data) -> None:
    images = drawn(2, 2, 6, 4, seed=2)
    exact = lines.proximal(images, torch.tensor(0.2, dtype=torch.float64))
    shift = torch.full((2, 1, 1, 1), 0.2, dtype=torch.float64)
    found = lines._conjugate_gradients(images, lines.back + shift * images, shift)
    torch.testing.assert_close(exact, found, rtol=1e-9, atol=1e-9)


def test_every_step_below_two_comes_nearer_to_the_data(dense: Data) -> None:
    images = drawn(3, 1, INNER_ITERATIONS, seed=2)

    def residuals(images: Tensor) -> Tensor:
        return (dense.linear.forward(images) - dense.measured).norm(dim=1)

    for step in (0.1, 1.0, 1.9):
        assert (residuals(dense.descended(images, torch.tensor(step))) < residuals(images)).all()


def test_projection_leaves_what_was_measured_as_it_is(lines: Data) -> None:
    images = drawn(2, 2, 6, 4, seed=2)
    found, mask = fourier(lines.projected(images)), lines.linear.mask[:, None].bool().expand(2, 2, 6, 4)  # type: ignore[attr-defined]
    torch.testing.assert_close(found[mask], lines.measured[mask], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found[~mask], fourier(images)[~mask], rtol=1e-12, atol=1e-12)


def test_a_proximal_step_of_no_weight_is_the_projection(lines: Data) -> None:
    images = drawn(2, 2, 6, 4, seed=2)
    near = lines.proximal(images, torch.tensor(1e-9, dtype=torch.float64))
    torch.testing.assert_close(near, lines.projected(images), rtol=1e-6, atol=1e-6)


def test_a_step_means_the_same_whatever_the_norm_of_the_operator(dense: Data) -> None:
    assert isinstance(dense.linear, Dense)
    images, step = drawn(3, 1, INNER_ITERATIONS, seed=2), torch.tensor(0.7, dtype=torch.float64)
    hundredfold = Data.of(Dense(100 * dense.linear.matrix), 100 * dense.measured)
    torch.testing.assert_close(hundredfold.descended(images, step), dense.descended(images, step))
    torch.testing.assert_close(hundredfold.proximal(images, step), dense.proximal(images, step))


def test_learned_steps_are_above_zero_and_begin_at_one() -> None:
    assert positive(torch.zeros(1)).item() == 1.0
    assert positive(torch.tensor([-3.0])).item() > 0
