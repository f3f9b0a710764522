"""How far noise of the data is carried into a Tikhonov image, and how ill-conditioned its equations are.

The image (A'A + w I)^-1 A'y has the condition number (s_max^2 + w) / (s_min^2 + w) and, for white noise of standard
deviation one in the data, noise of sqrt(sum_i (s_i / (s_i^2 + w))^2 / pixels) a pixel: the noise gain. What
a weight buys in noise it costs in bias: on average over images of white pixels the share of an image that is lost is
the mean of w / (s_i^2 + w), one where nothing is measured.

Singular values are those that a map states, or come by Lanczos quadrature: k steps from a few random images give
nodes and shares of the spectrum of A'A, exact for polynomials up to degree 2 k - 1 (Golub & Meurant 2010, chapter 6;
Ubaru, Chen & Saad 2017), at 2 k applications of the map each, for all weights at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from common.reconstruction.imaging_operator import LinearMap, Spectral

STEPS, PROBES = 60, 4
NEGLIGIBLE = 1e-10


@dataclass(frozen=True)
class Spectrum:
    """Of A'A of one case. Attributes:

    eigenvalues: squares of singular values, rising; zero for what is not measured. shares: of all pixels' directions
    that have them, one in sum. exact: stated by the map, else estimated.
    """

    eigenvalues: Tensor
    shares: Tensor
    exact: bool


@dataclass(frozen=True)
class Conditioning:
    """Of one weight: see the module."""

    weight: float
    condition_number: float
    noise_gain: float
    lost: float


def spectrum(
    linear: LinearMap, case: int = 0, *, steps: int = STEPS, probes: int = PROBES, seed: int = 0
) -> Spectrum:
    """That of A'A of a case. steps, probes, seed: of the estimate, for a map that does not state its own."""
    if isinstance(linear, Spectral):
        values = linear.singular_values()
        return _stated(values[min(case, len(values) - 1)], prod(linear.image_shape))
    return _estimated(linear, case, steps, probes, seed)


def conditioning(found: Spectrum, weights: Sequence[float]) -> tuple[Conditioning, ...]:
    """Condition number, noise gain and loss at each weight of zero or more.

    A weight of zero stands for the pseudo-inverse: what is not measured has no noise and is lost, and the condition
    number is that of what is measured.
    """
    return tuple(_at(found, weight) for weight in weights)


def _at(found: Spectrum, weight: float) -> Conditioning:
    values, shares = found.eigenvalues, found.shares
    largest = float(values.max())
    seen = values > (NEGLIGIBLE * largest if weight == 0 else -1.0)
    kept, portion = values[seen], shares[seen]
    if not len(kept) or largest + weight == 0:
        return Conditioning(weight, float("inf"), 0.0, 1.0)
    gain = float((portion * kept / (kept + weight) ** 2).sum()) ** 0.5
    lost = 1 - float((portion * kept / (kept + weight)).sum())
    return Conditioning(weight, (largest + weight) / (float(kept.min()) + weight), gain, max(0.0, lost))


def _stated(values: Tensor, pixels: int) -> Spectrum:
    """values: singular values; an image has as many more of zero as it has more numbers than its data."""
    squared = torch.cat([values.double().square(), torch.zeros(pixels - len(values), dtype=torch.float64)])
    return Spectrum(squared.sort().values, torch.full((pixels,), 1 / pixels, dtype=torch.float64), exact=True)


def _estimated(linear: LinearMap, case: int, steps: int, probes: int, seed: int) -> Spectrum:
    """All probes as cases of one batch cannot be: each case has its own parameters. So one after another."""
    draws = torch.Generator().manual_seed(seed)
    pixels, nodes, shares = prod(linear.image_shape), [], []
    for _ in range(probes):
        signs = torch.randint(0, 2, (pixels,), generator=draws).double() * 2 - 1
        values, portions = _quadrature(linear, case, signs, min(steps, pixels))
        nodes.append(values)
        shares.append(portions / probes)
    every, order = torch.cat(nodes).sort()
    return Spectrum(every, torch.cat(shares)[order], exact=False)


def _quadrature(linear: LinearMap, case: int, start: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Gauss nodes and weights by Lanczos with every direction made orthogonal to all before, twice."""
    directions, diagonal, beside = [start / start.norm()], [], []
    for _ in range(steps):
        mapped = _normal(linear, case, directions[-1])
        diagonal.append(float(mapped @ directions[-1]))
        basis = torch.stack(directions)
        for _ in range(2):
            mapped = mapped - basis.T @ (basis @ mapped)
        length = float(mapped.norm())
        if length <= NEGLIGIBLE * max(abs(one) for one in diagonal) or len(diagonal) == steps:
            break
        beside.append(length)
        directions.append(mapped / length)
    inside = torch.tensor(beside[: len(diagonal) - 1], dtype=torch.float64)
    triangle = (
        torch.diag(torch.tensor(diagonal, dtype=torch.float64)) + torch.diag(inside, 1) + torch.diag(inside, -1)
    )
    nodes, vectors = torch.linalg.eigh(triangle)
    return nodes.clamp_min(0), vectors[0].square()


def _normal(linear: LinearMap, case: int, image: Tensor) -> Tensor:
    """A'A of one case in double precision. The map's other cases are asked for nothing."""
    count = len(linear.norm())
    images = torch.zeros(max(count, case + 1), *linear.image_shape, dtype=torch.float64)
    images[case] = image.reshape(linear.image_shape)
    with torch.no_grad():
        return linear.adjoint(linear.forward(images))[case].flatten()
