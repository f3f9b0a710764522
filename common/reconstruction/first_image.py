"""The image that data give by themselves: what solvers and networks begin by."""

from __future__ import annotations

from torch import Tensor

from common.reconstruction.imaging_operator import Approximate, Invertible, LinearMap


def first_image(linear: LinearMap, measured: Tensor) -> Tensor:
    """(N, C, *S): an approximate inverse that bears noise, else the pseudo-inverse, else adjoint over squared norm.

    The pseudo-inverse of a blur is exact, and of noisy data of no use.
    """
    if isinstance(linear, Approximate):
        return linear.approximate_inverse(measured)
    if isinstance(linear, Invertible):
        return linear.pseudo_inverse(measured)
    image = linear.adjoint(measured)
    square = linear.norm().square().clamp(min=1e-12).to(image)
    return image / square.reshape(-1, *[1] * (image.dim() - 1))
